#include "serve/forward.h"

#include "upstream/auth.h"

#include <string.h>

static const char *const allowed_keys[] = {BR_AUTH_TOKEN_KEY, "traceparent", "tracestate", "x-request-id"};
#define ALLOWED_COUNT (sizeof allowed_keys / sizeof allowed_keys[0])

/*
 * What no list may hold: credentials, what the bridge or its HTTP client sets itself, and what is about one connection.
 * Source: bridge_conventions.md section 6; RFC 9110 section 7.6.1.
 */
static const char *const forbidden_names[] = {
    BR_AUTH_TOKEN_KEY,
    "authorization",
    "proxy-authorization",
    "proxy-authenticate",
    "www-authenticate",
    "cookie",
    "set-cookie",
    "x-subject-token",
    "x-security-token",
    "x-sdk-date",
    "x-project-id",
    "host",
    "accept",
    "accept-encoding",
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "user-agent",
    "x-request-id",
    "traceparent",
    "tracestate",
    "retry-after",
    "modelarts-bridge-warning",
    "modelarts-bridge-attempts",
};

static bool is_listed(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

const char *br_forward_name_problem(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != len) {
        return "is no metadata key: give lower-case letters, digits, '-', '_' and '.'";
    }
    if ((len > 4 && strcmp(name + len - 4, "-bin") == 0) || strncmp(name, "grpc-", 5) == 0) {
        return "is a key of gRPC's own: those ending in -bin or beginning with grpc- are not forwarded";
    }
    if (is_listed(forbidden_names, sizeof forbidden_names / sizeof forbidden_names[0], name)) {
        return "may not be added: it carries a credential, is set by the bridge, or is forwarded already";
    }
    return NULL;
}

static bool is_key(const struct br_metadatum *entry, const char *key)
{
    return entry->key_len == strlen(key) && memcmp(entry->key, key, entry->key_len) == 0;
}

/* The key of |entry| as the lists have it; NULL: it is on none. */
static const char *allowed_key(const struct br_forward *forward, const struct br_metadatum *entry)
{
    for (size_t i = 0; i < ALLOWED_COUNT; i++) {
        if (is_key(entry, allowed_keys[i])) {
            return allowed_keys[i];
        }
    }
    for (size_t i = 0; i < forward->metadata.count; i++) {
        if (is_key(entry, forward->metadata.items[i])) {
            return forward->metadata.items[i];
        }
    }
    return NULL;
}

static bool is_printable(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] > 0x7E) {
            return false;
        }
    }
    return true;
}

/* The entry of |key| among those that are kept; NULL: there is none yet. */
static struct br_header *find_kept(const struct br_headers *kept, const char *key)
{
    for (size_t i = 0; i < kept->count; i++) {
        if (strcmp(kept->items[i].name, key) == 0) {
            return &kept->items[i];
        }
    }
    return NULL;
}

/* The value of |entry|, after that of |first| where there is one. NULL without memory. */
static const char *copy_value(struct br_arena *arena, const struct br_header *first,
                              const struct br_metadatum *entry)
{
    const char *value = br_arena_strndup(arena, entry->value, entry->value_len);
    return value == NULL || first == NULL ? value : br_arena_printf(arena, "%s,%s", first->value, value);
}

bool br_forward_metadata(const struct br_forward *forward, const struct br_metadatum *metadata, size_t count,
                         struct br_arena *arena, struct br_headers *out, struct br_status *st)
{
    size_t capacity = ALLOWED_COUNT + forward->metadata.count;
    struct br_headers kept = {.items = br_arena_alloc(arena, capacity * sizeof *kept.items)};
    if (kept.items == NULL) {
        return br_arena_fail(arena, st);
    }
    for (size_t i = 0; i < count; i++) {
        const struct br_metadatum *entry = &metadata[i];
        const char *key = allowed_key(forward, entry);
        struct br_header *first = key != NULL ? find_kept(&kept, key) : NULL;
        if (key == NULL || (first != NULL && strcmp(key, "tracestate") != 0)) {
            continue;
        }
        if (!is_printable(entry->value, entry->value_len)) {
            return br_status_set(st, BR_INVALID_ARGUMENT, "METADATA_INVALID",
                                 "the metadata key %s has a value that is not printable ASCII", key);
        }
        const char *value = copy_value(arena, first, entry);
        if (value == NULL) {
            return br_arena_fail(arena, st);
        }
        if (first == NULL) {
            first = &kept.items[kept.count++];
            first->name = key;
        }
        first->value = value;
    }
    *out = kept;
    return true;
}
