#include "signature.h"

#include "alloc.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HASH_BYTES SHA256_DIGEST_LENGTH
#define DAY_LEN 8 /* "20240101" */
#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/* Text that grows; never more than a few times the gateway's limits on path and headers. */
struct text {
    char *data;
    size_t len, cap;
};

static void add(struct text *text, const char *bytes, size_t len)
{
    if (text->cap - text->len < len) {
        text->cap = 2 * (text->len + len) + 256;
        text->data = sim_realloc(text->data, text->cap);
    }
    if (len > 0) {
        memcpy(text->data + text->len, bytes, len);
    }
    text->len += len;
}

static void add_text(struct text *text, const char *more)
{
    add(text, more, strlen(more));
}

/* Percent-encodes everything but unreserved characters and those of |also|. */
static void add_encoded(struct text *text, const char *raw, const char *also)
{
    for (; *raw != '\0'; raw++) {
        if ((*raw >= 'A' && *raw <= 'Z') || strchr(LETTERS DIGITS "-_.~", *raw) != NULL ||
            strchr(also, *raw) != NULL) {
            add(text, raw, 1);
        } else {
            char encoded[4];
            snprintf(encoded, sizeof encoded, "%%%02X", (unsigned)(unsigned char)*raw);
            add_text(text, encoded);
        }
    }
}

static void to_hex(const unsigned char *hash, char *out)
{
    for (size_t i = 0; i < HASH_BYTES; i++) {
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
    }
}

static void hash_hex(const void *bytes, size_t len, char *out)
{
    unsigned char hash[HASH_BYTES];
    SHA256(bytes, len, hash);
    to_hex(hash, out);
}

/* Cuts |*at| after the next |end| and returns what stood before it; NULL when there is no |end|. */
static char *cut(char **at, const char *end)
{
    char *piece = *at;
    char *found = strstr(piece, end);
    if (found == NULL) {
        return NULL;
    }
    *found = '\0';
    *at = found + strlen(end);
    return piece;
}

/* Moves |*at| past |prefix|, which must stand there. */
static bool skip(char **at, const char *prefix)
{
    size_t len = strlen(prefix);
    if (strncmp(*at, prefix, len) != 0) {
        return false;
    }
    *at += len;
    return true;
}

/* Visible ASCII, so that it can stand in an answer. */
static bool is_access_key(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~') {
            return false;
        }
    }
    return text[0] != '\0';
}

/* "<day>/<region>/<service>/sdk_request"; region and service may be empty. */
static bool is_scope(const char *scope)
{
    if (strspn(scope, DIGITS) != DAY_LEN || scope[DAY_LEN] != '/') {
        return false;
    }
    const char *region_end = strchr(scope + DAY_LEN + 1, '/');
    const char *service_end = region_end != NULL ? strchr(region_end + 1, '/') : NULL;
    return service_end != NULL && strcmp(service_end, "/sdk_request") == 0;
}

static bool is_header_list(const char *list)
{
    char last[128] = "";
    bool dated = false;
    const char *at = list;
    while (true) {
        char name[128];
        size_t len = strcspn(at, ";");
        if (len == 0 || len >= sizeof name || strspn(at, LETTERS DIGITS "-") != len) {
            return false;
        }
        snprintf(name, sizeof name, "%.*s", (int)len, at);
        if (strcmp(name, last) <= 0) {
            return false;
        }
        dated = dated || strcmp(name, "x-sdk-date") == 0;
        memcpy(last, name, len + 1);
        if (at[len] == '\0') {
            return dated;
        }
        at += len + 1;
    }
}

static bool read_parts(char *at, struct sim_signature *out)
{
    bool derived = false;
    if (!skip(&at, SIM_SIGNATURE_SCHEME " ") ||
        !(skip(&at, "Access=") || (derived = skip(&at, "Credential=")))) {
        return false;
    }
    out->dialect = derived ? SIM_DIALECT_CREDENTIAL : SIM_DIALECT_ACCESS;
    out->scope = "";
    char *identity = cut(&at, ", ");
    if (identity == NULL) {
        return false;
    }
    out->access_key = derived ? cut(&identity, "/") : identity;
    if (derived) {
        out->scope = identity;
    }
    if (!skip(&at, "SignedHeaders=")) {
        return false;
    }
    out->header_list = cut(&at, ", ");
    if (!skip(&at, "Signature=")) {
        return false;
    }
    out->hex = at;
    return out->access_key != NULL && is_access_key(out->access_key) && (!derived || is_scope(out->scope)) &&
           out->header_list != NULL && is_header_list(out->header_list) && strlen(at) == SIM_HASH_HEX_LEN &&
           strspn(at, DIGITS "abcdef") == SIM_HASH_HEX_LEN;
}

bool sim_signature_parse(const char *authorization, struct sim_signature *out)
{
    struct sim_signature read = {.copy = sim_strdup(authorization)};
    if (!read_parts(read.copy, &read)) {
        free(read.copy);
        return false;
    }
    *out = read;
    return true;
}

void sim_signature_finish(struct sim_signature *signature)
{
    free(signature->copy);
    *signature = (struct sim_signature){0};
}

/* "Access=" encodes each segment, "Credential=" the whole path but its slashes; both end with a slash. */
static bool add_path(struct text *out, enum sim_dialect dialect, const struct sim_target *target)
{
    if (target->segment_count > SIM_TARGET_SEGMENTS_MAX) {
        return false;
    }
    for (size_t i = 0; i < target->segment_count; i++) {
        add_text(out, "/");
        add_encoded(out, target->segments[i], dialect == SIM_DIALECT_CREDENTIAL ? "/" : "");
    }
    if (out->len == 0 || out->data[out->len - 1] != '/') {
        add_text(out, "/");
    }
    return true;
}

struct parameter {
    char *key;     /* "Credential=": encoded */
    char *value;   /* not encoded */
    size_t number; /* its place in the query */
};

static int by_key_and_value(const void *a, const void *b)
{
    const struct parameter *first = a, *second = b;
    int order = strcmp(first->key, second->key);
    return order != 0 ? order : strcmp(first->value, second->value);
}

static int by_encoded_key(const void *a, const void *b)
{
    const struct parameter *first = a, *second = b;
    int order = strcasecmp(first->key, second->key);
    order = order != 0 ? order : strcmp(first->key, second->key);
    return order != 0 ? order : (first->number > second->number) - (first->number < second->number);
}

static char *encode_key(char *key)
{
    struct text encoded = {0};
    add_encoded(&encoded, key, "");
    add(&encoded, "", 1);
    free(key);
    return encoded.data;
}

static void add_parameters(struct text *out, enum sim_dialect dialect, struct parameter *list, size_t count)
{
    bool derived = dialect == SIM_DIALECT_CREDENTIAL;
    if (count > 0) {
        qsort(list, count, sizeof *list, derived ? by_encoded_key : by_key_and_value);
    }
    for (size_t i = 0; i < count; i++) {
        /* Of a repeated key "Credential=" takes the first value only. */
        if (derived && i > 0 && strcmp(list[i - 1].key, list[i].key) == 0) {
            continue;
        }
        if (i > 0) {
            add_text(out, "&");
        }
        if (derived) {
            add_text(out, list[i].key);
        } else {
            add_encoded(out, list[i].key, "");
        }
        add_text(out, "=");
        add_encoded(out, list[i].value, "");
    }
}

static bool add_query(struct text *out, enum sim_dialect dialect, const char *query)
{
    struct parameter *list = sim_alloc((strlen(query) + 1) * sizeof *list);
    size_t count = 0;
    bool ok = true;
    while (*query != '\0') {
        size_t len = strcspn(query, "&");
        size_t key_len = strcspn(query, "=&");
        if (len > 0) {
            struct parameter *parameter = &list[count++];
            parameter->number = count;
            parameter->key = sim_target_decode(query, key_len);
            parameter->value =
                key_len < len ? sim_target_decode(query + key_len + 1, len - key_len - 1) : sim_strdup("");
            ok = ok && parameter->key != NULL && parameter->value != NULL;
            if (ok && dialect == SIM_DIALECT_CREDENTIAL) {
                parameter->key = encode_key(parameter->key);
            }
        }
        query += len + (query[len] == '&');
    }
    if (ok) {
        add_parameters(out, dialect, list, count);
    }
    for (size_t i = 0; i < count; i++) {
        free(list[i].key);
        free(list[i].value);
    }
    free(list);
    return ok;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* "Access=" trims a value, "Credential=" makes each run of white space one space. */
static void add_value(struct text *out, enum sim_dialect dialect, const char *value)
{
    if (dialect == SIM_DIALECT_ACCESS) {
        size_t len = strlen(value);
        for (; len > 0 && is_space(*value); len--) {
            value++;
        }
        for (; len > 0 && is_space(value[len - 1]); len--) {
        }
        add(out, value, len);
        return;
    }
    for (size_t i = 0; value[i] != '\0'; i++) {
        if (!is_space(value[i])) {
            add(out, value + i, 1);
        } else if (i == 0 || !is_space(value[i - 1])) {
            add_text(out, " ");
        }
    }
}

static bool add_headers(struct text *out, const struct sim_signature *signature,
                        const struct sim_request *request)
{
    const char *at = signature->header_list;
    while (*at != '\0') {
        char name[128];
        size_t len = strcspn(at, ";"), count;
        snprintf(name, sizeof name, "%.*s", (int)len, at);
        const char *value = sim_request_header(request, name, &count);
        if (count != 1) {
            return false;
        }
        add_text(out, name);
        add_text(out, ":");
        add_value(out, signature->dialect, value);
        add_text(out, "\n");
        at += len + (at[len] == ';');
    }
    return true;
}

static bool add_canonical(struct text *out, const struct sim_signature *signature,
                          const struct sim_request *request, const struct sim_target *target)
{
    struct text path = {0};
    bool ok = add_path(&path, signature->dialect, target);
    add_text(out, request->method);
    add_text(out, "\n");
    add(out, path.data, path.len);
    free(path.data);
    add_text(out, "\n");
    ok = ok && add_query(out, signature->dialect, target->query != NULL ? target->query : "");
    add_text(out, "\n");
    ok = ok && add_headers(out, signature, request);
    add_text(out, "\n");
    add_text(out, signature->header_list);
    add_text(out, "\n");
    size_t count;
    const char *declared = sim_request_header(request, "x-sdk-content-sha256", &count);
    char body_hex[SIM_HASH_HEX_LEN + 1];
    hash_hex(request->body != NULL ? request->body : "", request->body_len, body_hex);
    add_text(out, count > 0 ? declared : body_hex);
    return ok;
}

static void hmac(const void *key, size_t key_len, const char *bytes, size_t len, unsigned char *out)
{
    HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)bytes, len, out, NULL);
}

/* The chain of keys: day, region, service, "sdk_request", each signed with the one before. */
static void derive_key(const char *secret_key, const char *scope, unsigned char *key)
{
    struct text first = {0};
    add_text(&first, "SDK");
    add_text(&first, secret_key);
    size_t len = strcspn(scope, "/");
    hmac(first.data, first.len, scope, len, key);
    free(first.data);
    while (scope[len] == '/') {
        unsigned char next[HASH_BYTES];
        scope += len + 1;
        len = strcspn(scope, "/");
        hmac(key, HASH_BYTES, scope, len, next);
        memcpy(key, next, HASH_BYTES);
    }
}

bool sim_signature_compute(const struct sim_signature *signature, const struct sim_request *request,
                           const struct sim_target *target, const char *date, const char *secret_key,
                           struct sim_signature_expected *out)
{
    struct text canonical = {0};
    if (!add_canonical(&canonical, signature, request, target)) {
        free(canonical.data);
        return false;
    }
    hash_hex(canonical.data, canonical.len, out->canonical_hex);
    free(canonical.data);

    struct text message = {0};
    unsigned char key[HASH_BYTES], result[HASH_BYTES];
    add_text(&message, SIM_SIGNATURE_SCHEME "\n");
    add_text(&message, date);
    add_text(&message, "\n");
    if (signature->dialect == SIM_DIALECT_CREDENTIAL) {
        add_text(&message, signature->scope);
        add_text(&message, "\n");
    }
    add(&message, out->canonical_hex, SIM_HASH_HEX_LEN);
    if (signature->dialect == SIM_DIALECT_CREDENTIAL) {
        derive_key(secret_key, signature->scope, key);
        hmac(key, sizeof key, message.data, message.len, result);
    } else {
        hmac(secret_key, strlen(secret_key), message.data, message.len, result);
    }
    free(message.data);
    to_hex(result, out->hex);
    return true;
}
