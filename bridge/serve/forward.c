#include "serve/forward.h"

#include "upstream/auth.h"

#include <string.h>

static const char *const allowed_keys[] = {BR_AUTH_TOKEN_KEY, "traceparent", "tracestate", "x-request-id"};
#define ALLOWED_COUNT (sizeof allowed_keys / sizeof allowed_keys[0])

/* The allowed key that |entry| has; NULL: none. */
static const char *allowed_key(const struct br_metadatum *entry)
{
    for (size_t i = 0; i < ALLOWED_COUNT; i++) {
        if (entry->key_len == strlen(allowed_keys[i]) &&
            memcmp(entry->key, allowed_keys[i], entry->key_len) == 0) {
            return allowed_keys[i];
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

bool br_forward_metadata(const struct br_metadatum *metadata, size_t count, struct br_arena *arena,
                         struct br_headers *out, struct br_status *st)
{
    struct br_headers kept = {.items = br_arena_alloc(arena, ALLOWED_COUNT * sizeof *kept.items)};
    if (kept.items == NULL) {
        return br_arena_fail(arena, st);
    }
    for (size_t i = 0; i < count; i++) {
        const struct br_metadatum *entry = &metadata[i];
        const char *key = allowed_key(entry);
        if (key == NULL || br_headers_find(&kept, key) != NULL) {
            continue;
        }
        if (!is_printable(entry->value, entry->value_len)) {
            return br_status_set(st, BR_INVALID_ARGUMENT, "METADATA_INVALID",
                                 "the metadata key %s has a value that is not printable ASCII", key);
        }
        const char *value = br_arena_strndup(arena, entry->value, entry->value_len);
        if (value == NULL) {
            return br_arena_fail(arena, st);
        }
        kept.items[kept.count++] = (struct br_header){.name = key, .value = value};
    }
    *out = kept;
    return true;
}
