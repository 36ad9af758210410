#include "upstream/sign.h"

#include "upstream/sign_stages.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ALGORITHM "SDK-HMAC-SHA256"
#define SCOPE_END "sdk_request"
#define KEY_PREFIX "SDK"
#define YEAR_9999_END INT64_C(253402300799)
/* The most that either dialect signs, and the most that br_sign() gives. */
#define SIGNED_HEADERS_MAX 5
#define OUT_HEADERS_MAX 4

/* Text that is not terminated, or that may hold NUL bytes. */
struct bytes {
    const char *data;
    size_t len;
};

/* ---- Hashes ---- */

static bool crypto_failed(const char *what, struct br_status *st)
{
    /* Nobody reads the reasons, and whoever uses this thread's queue next must not take them for its own. */
    ERR_clear_error();
    return br_status_set(st, BR_INTERNAL, "SIGNING_FAILED",
                         "the request cannot be signed: %s failed in libcrypto", what);
}

static void write_hex(const unsigned char hash[BR_SIGN_HASH_BYTES], char out[BR_SIGN_HEX_CAP])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < BR_SIGN_HASH_BYTES; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[2 * BR_SIGN_HASH_BYTES] = '\0';
}

static bool hash_hex(struct bytes data, char out[BR_SIGN_HEX_CAP], struct br_status *st)
{
    unsigned char hash[BR_SIGN_HASH_BYTES];
    if (EVP_Digest(data.data, data.len, hash, NULL, EVP_sha256(), NULL) != 1) {
        return crypto_failed("SHA-256", st);
    }
    write_hex(hash, out);
    return true;
}

/* |out| may be |key|. */
static bool hmac(const void *key, size_t key_len, struct bytes data, unsigned char out[BR_SIGN_HASH_BYTES],
                 struct br_status *st)
{
    size_t len;
    if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, key_len, (const unsigned char *)data.data,
                  data.len, out, BR_SIGN_HASH_BYTES, &len) == NULL) {
        return crypto_failed("HMAC-SHA256", st);
    }
    return true;
}

/* ---- Percent-encoding ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

/* In place; returns the new length. A "%" without two hexadecimal digits stays as it is. */
static size_t decode(char *text, size_t len, bool plus_is_space)
{
    size_t out = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%' && len - i > 2 && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
            c = (char)(hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]));
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        text[out++] = c;
    }
    return out;
}

enum encoding {
    ENCODE_PATH, /* a slash stays */
    ENCODE_PART, /* all but the unreserved characters of RFC 3986 */
    ENCODE_FORM, /* likewise, and a space becomes a plus */
};

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

static char *encode(struct bytes raw, enum encoding encoding, struct br_arena *arena)
{
    static const char digits[] = "0123456789ABCDEF";
    char *text = br_arena_alloc(arena, 3 * raw.len + 1);
    if (text == NULL) {
        return NULL;
    }
    char *at = text;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.data[i];
        if (is_unreserved(c) || (c == '/' && encoding == ENCODE_PATH)) {
            *at++ = c;
        } else if (c == ' ' && encoding == ENCODE_FORM) {
            *at++ = '+';
        } else {
            *at++ = '%';
            *at++ = digits[(unsigned char)c >> 4];
            *at++ = digits[(unsigned char)c & 15];
        }
    }
    return text;
}

/* ---- The URL ---- */

struct url {
    bool is_https;
    struct bytes authority;
    struct bytes path;  /* empty, or from the first slash on */
    struct bytes query; /* without the question mark */
};

static struct url split_url(const char *text)
{
    const char *authority = strstr(text, "://");
    assert(authority != NULL);
    authority += strlen("://");
    const char *path = authority + strcspn(authority, "/?");
    const char *query = path + strcspn(path, "?");
    const char *query_text = *query == '?' ? query + 1 : query;
    return (struct url){
        .is_https = strncmp(text, "https:", strlen("https:")) == 0,
        .authority = {.data = authority, .len = (size_t)(path - authority)},
        .path = {.data = path, .len = (size_t)(query - path)},
        .query = {.data = query_text, .len = strlen(query_text)},
    };
}

/*
 * The value of the Host header. Observed with libcurl 7.88: the scheme's default port is left out, leading
 * zeros of a port are dropped, the case of letters stays.
 */
static char *write_host(const struct url *url, struct br_arena *arena)
{
    struct bytes host = url->authority;
    const char *end = host.data + host.len;
    const char *name_end = host.data;
    if (host.len > 0 && host.data[0] == '[') {
        const char *bracket = memchr(host.data, ']', host.len);
        assert(bracket != NULL);
        name_end = bracket;
    }
    const char *colon = memchr(name_end, ':', (size_t)(end - name_end));
    struct bytes port = {.data = end};
    if (colon != NULL) {
        host.len = (size_t)(colon - host.data);
        port.data = colon + 1;
        while (port.data < end && *port.data == '0') {
            port.data++;
        }
        port.len = (size_t)(end - port.data);
    }
    const char *default_port = url->is_https ? "443" : "80";
    if (port.len == 0 ||
        (port.len == strlen(default_port) && memcmp(port.data, default_port, port.len) == 0)) {
        return br_arena_strndup(arena, host.data, host.len);
    }
    return br_arena_printf(arena, "%.*s:%.*s", (int)host.len, host.data, (int)port.len, port.data);
}

/* ---- The query ---- */

struct param {
    struct bytes key; /* decoded, as is |value| */
    struct bytes value;
    const char *encoded_key;
    const char *encoded_value;
    size_t index; /* place in the URL */
};

enum query_form {
    QUERY_ACCESS,
    QUERY_CREDENTIAL,
    QUERY_PAYLOAD, /* as the body of a form */
};

static int compare_bytes(struct bytes a, struct bytes b)
{
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_index(const struct param *a, const struct param *b)
{
    return (a->index > b->index) - (a->index < b->index);
}

static int order_access(const void *left, const void *right)
{
    const struct param *a = left;
    const struct param *b = right;
    int order = compare_bytes(a->key, b->key);
    return order != 0 ? order : compare_bytes(a->value, b->value);
}

/* Equal keys stand together, the first of them in front. */
static int order_credential(const void *left, const void *right)
{
    const struct param *a = left;
    const struct param *b = right;
    int order = strcasecmp(a->encoded_key, b->encoded_key);
    if (order == 0) {
        order = strcmp(a->encoded_key, b->encoded_key);
    }
    return order != 0 ? order : compare_index(a, b);
}

static int order_payload(const void *left, const void *right)
{
    const struct param *a = left;
    const struct param *b = right;
    int order = compare_bytes(a->key, b->key);
    return order != 0 ? order : compare_index(a, b);
}

/*
 * Splits and decodes |query|, sorts the parameters and writes them again; NULL as br_arena_alloc().
 *
 * A "+" in the URL means a space. The signing rules speak of unencoded parameters and do not say; the clients
 * that sign a finished URL (golangsdk and gophertelekomcloud, signer_helper.go) read it so.
 */
static char *write_query(struct bytes query, enum query_form form, struct br_arena *arena)
{
    static int (*const orders[])(const void *, const void *) = {
        [QUERY_ACCESS] = order_access,
        [QUERY_CREDENTIAL] = order_credential,
        [QUERY_PAYLOAD] = order_payload,
    };
    size_t most = 1;
    for (size_t i = 0; i < query.len; i++) {
        most += query.data[i] == '&';
    }
    struct param *params = br_arena_alloc(arena, most * sizeof *params);
    char *rest = br_arena_strndup(arena, query.data, query.len);
    if (params == NULL || rest == NULL) {
        return NULL;
    }

    size_t count = 0;
    size_t text_bytes = 1;
    enum encoding encoding = form == QUERY_PAYLOAD ? ENCODE_FORM : ENCODE_PART;
    for (char *part = strsep(&rest, "&"); part != NULL; part = strsep(&rest, "&")) {
        if (*part == '\0') {
            continue;
        }
        char *value = part;
        char *key = strsep(&value, "=");
        struct param *param = &params[count];
        param->index = count++;
        param->key = (struct bytes){.data = key, .len = decode(key, strlen(key), true)};
        param->value = (struct bytes){.data = ""};
        if (value != NULL) {
            param->value = (struct bytes){.data = value, .len = decode(value, strlen(value), true)};
        }
        param->encoded_key = encode(param->key, encoding, arena);
        param->encoded_value = encode(param->value, encoding, arena);
        if (param->encoded_key == NULL || param->encoded_value == NULL) {
            return NULL;
        }
        text_bytes += strlen(param->encoded_key) + strlen(param->encoded_value) + strlen("&=");
    }
    qsort(params, count, sizeof *params, orders[form]);

    char *text = br_arena_alloc(arena, text_bytes);
    if (text == NULL) {
        return NULL;
    }
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        /* The Credential dialect signs only the first of the values that share a key. */
        if (form == QUERY_CREDENTIAL && i > 0 &&
            strcmp(params[i].encoded_key, params[i - 1].encoded_key) == 0) {
            continue;
        }
        len += (size_t)snprintf(text + len, text_bytes - len, "%s%s=%s", len > 0 ? "&" : "",
                                params[i].encoded_key, params[i].encoded_value);
    }
    return text;
}

/* ---- The canonical request ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* The Access dialect trims; the Credential dialect does not, but makes one space of several. */
static char *canonical_value(enum br_sign_dialect dialect, const char *value, struct br_arena *arena)
{
    size_t len = strlen(value);
    if (dialect == BR_SIGN_ACCESS) {
        for (; is_space(*value); len--) {
            value++;
        }
        while (len > 0 && is_space(value[len - 1])) {
            len--;
        }
        return br_arena_strndup(arena, value, len);
    }
    char *text = br_arena_alloc(arena, len + 1);
    char *at = text;
    for (; text != NULL && *value != '\0'; value++) {
        if (!is_space(*value)) {
            *at++ = *value;
        } else if (at == text || at[-1] != ' ') {
            *at++ = ' ';
        }
    }
    return text;
}

/* |lines| gets "name:value\n" for each header, |names| "name;name". */
static bool write_headers(enum br_sign_dialect dialect, const struct br_headers *headers,
                          struct br_arena *arena, const char **lines, const char **names)
{
    *lines = "";
    *names = "";
    for (size_t i = 0; i < headers->count; i++) {
        const char *name = headers->items[i].name;
        const char *value = canonical_value(dialect, headers->items[i].value, arena);
        if (value == NULL) {
            return false;
        }
        *lines = br_arena_printf(arena, "%s%s:%s\n", *lines, name, value);
        *names = br_arena_printf(arena, "%s%s%s", *names, i > 0 ? ";" : "", name);
        if (*lines == NULL || *names == NULL) {
            return false;
        }
    }
    return true;
}

/*
 * The path stands percent-encoded in |url|, and the rules encode the *unescaped* path, once. So it is decoded
 * first: huaweicloud-sdk-python-v3 (signer.py) does the same; golangsdk and gophertelekomcloud start from Go's
 * URL.Path, which is decoded. Encoding what goes out once more would sign "%2520" for "%20". As in those
 * clients, a "%2F" becomes a slash like any other.
 */
static char *write_path(const struct url *url, struct br_arena *arena)
{
    char *path = br_arena_strndup(arena, url->path.data, url->path.len);
    if (path == NULL) {
        return NULL;
    }
    struct bytes raw = {.data = path, .len = decode(path, url->path.len, false)};
    char *encoded = encode(raw, ENCODE_PATH, arena);
    bool has_slash = raw.len > 0 && raw.data[raw.len - 1] == '/';
    return encoded == NULL || has_slash ? encoded : br_arena_printf(arena, "%s/", encoded);
}

bool br_sign_build_canonical(enum br_sign_dialect dialect, const struct br_sign_request *request,
                             const struct br_headers *signed_headers, struct br_arena *arena,
                             struct br_sign_canonical *out, struct br_status *st)
{
    struct url url = split_url(request->url);
    enum query_form form = dialect == BR_SIGN_ACCESS ? QUERY_ACCESS : QUERY_CREDENTIAL;
    struct bytes payload = {.data = ""};
    if (request->body != NULL) {
        payload = (struct bytes){.data = request->body, .len = request->body_len};
    }

    /* The Credential dialect takes the query of a POST without a body for the body. */
    bool query_is_payload =
        dialect == BR_SIGN_CREDENTIAL && request->body == NULL && strcmp(request->verb, "POST") == 0;
    const char *query = write_query(url.query, query_is_payload ? QUERY_PAYLOAD : form, arena);
    const char *path = write_path(&url, arena);
    const char *header_lines;
    const char *signed_names;
    if (query == NULL || path == NULL ||
        !write_headers(dialect, signed_headers, arena, &header_lines, &signed_names)) {
        return br_arena_fail(arena, st);
    }
    if (query_is_payload) {
        payload = (struct bytes){.data = query, .len = strlen(query)};
        query = "";
    }

    char payload_hash[BR_SIGN_HEX_CAP];
    if (!hash_hex(payload, payload_hash, st)) {
        return false;
    }
    const char *text = br_arena_printf(arena, "%s\n%s\n%s\n%s\n%s\n%s", request->verb, path, query,
                                       header_lines, signed_names, payload_hash);
    if (text == NULL) {
        return br_arena_fail(arena, st);
    }
    *out = (struct br_sign_canonical){.text = text, .signed_names = signed_names};
    return true;
}

/* ---- From there to the signature ---- */

bool br_sign_format_date(int64_t unix_s, char out[BR_SIGN_DATE_CAP], struct br_status *st)
{
    struct tm utc;
    time_t seconds = unix_s;
    /* Outside these years the form has another length. */
    if (unix_s < 0 || unix_s > YEAR_9999_END || gmtime_r(&seconds, &utc) == NULL) {
        return br_status_set(st, BR_INTERNAL, "SIGNING_FAILED",
                             "the request cannot be signed: the clock says %lld s since 1970",
                             (long long)unix_s);
    }
    size_t len = strftime(out, BR_SIGN_DATE_CAP, "%Y%m%dT%H%M%SZ", &utc);
    assert(len == BR_SIGN_DATE_CAP - 1);
    return true;
}

bool br_sign_build_string(const char *date, const char *scope, const char *canonical, struct br_arena *arena,
                          const char **out, struct br_status *st)
{
    char hash[BR_SIGN_HEX_CAP];
    if (!hash_hex((struct bytes){.data = canonical, .len = strlen(canonical)}, hash, st)) {
        return false;
    }
    const char *text = scope == NULL ? br_arena_printf(arena, ALGORITHM "\n%s\n%s", date, hash)
                                     : br_arena_printf(arena, ALGORITHM "\n%s\n%s\n%s", date, scope, hash);
    if (text == NULL) {
        return br_arena_fail(arena, st);
    }
    *out = text;
    return true;
}

bool br_sign_derive_key(const char *secret_key, const char *date, const char *region, const char *service,
                        struct br_arena *arena, unsigned char out[BR_SIGN_HASH_BYTES], struct br_status *st)
{
    /* Not printf: it works on copies of its own, which nobody could wipe. */
    size_t first_len = strlen(KEY_PREFIX) + strlen(secret_key);
    char *first = br_arena_alloc(arena, first_len);
    if (first == NULL) {
        return br_arena_fail(arena, st);
    }
    memcpy(first, KEY_PREFIX, strlen(KEY_PREFIX));
    memcpy(first + strlen(KEY_PREFIX), secret_key, first_len - strlen(KEY_PREFIX));
    unsigned char key[BR_SIGN_HASH_BYTES];
    bool ok = hmac(first, first_len, (struct bytes){.data = date, .len = BR_SIGN_DAY_LEN}, key, st) &&
              hmac(key, sizeof key, (struct bytes){.data = region, .len = strlen(region)}, key, st) &&
              hmac(key, sizeof key, (struct bytes){.data = service, .len = strlen(service)}, key, st) &&
              hmac(key, sizeof key, (struct bytes){.data = SCOPE_END, .len = strlen(SCOPE_END)}, key, st);
    if (ok) {
        memcpy(out, key, sizeof key);
    }
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(first, first_len);
    return ok;
}

bool br_sign_compute(const void *key, size_t key_len, const char *string_to_sign, char out[BR_SIGN_HEX_CAP],
                     struct br_status *st)
{
    unsigned char signature[BR_SIGN_HASH_BYTES];
    struct bytes data = {.data = string_to_sign, .len = strlen(string_to_sign)};
    if (!hmac(key, key_len, data, signature, st)) {
        return false;
    }
    write_hex(signature, out);
    return true;
}

/* ---- All together ---- */

/* A copy of |text|; none of an empty one, as libcurl drops a header without a value. False: out of memory. */
static bool copy_optional(const char *text, struct br_arena *arena, const char **out)
{
    *out = NULL;
    if (text == NULL || text[0] == '\0') {
        return true;
    }
    *out = br_arena_strndup(arena, text, strlen(text));
    return *out != NULL;
}

static void add_header(struct br_headers *headers, const char *name, const char *value)
{
    if (value != NULL) {
        headers->items[headers->count++] = (struct br_header){.name = name, .value = value};
    }
}

/* |scope| NULL: the Access dialect, where the secret key itself signs. */
static bool sign_string(const struct br_sign_key *key, const struct br_sign_request *request,
                        const char *date, const char *scope, const char *string, struct br_arena *arena,
                        char out[BR_SIGN_HEX_CAP], struct br_status *st)
{
    if (scope == NULL) {
        return br_sign_compute(key->secret_key, strlen(key->secret_key), string, out, st);
    }
    unsigned char derived[BR_SIGN_HASH_BYTES];
    if (!br_sign_derive_key(key->secret_key, date, request->region, request->service, arena, derived, st)) {
        return false;
    }
    bool ok = br_sign_compute(derived, sizeof derived, string, out, st);
    OPENSSL_cleanse(derived, sizeof derived);
    return ok;
}

bool br_sign(const struct br_sign_key *key, enum br_sign_dialect dialect,
             const struct br_sign_request *request, struct br_arena *arena, struct br_headers *out,
             struct br_status *st)
{
    char date_text[BR_SIGN_DATE_CAP];
    if (!br_sign_format_date(request->unix_s, date_text, st)) {
        return false;
    }

    struct url url = split_url(request->url);
    const char *date = br_arena_strndup(arena, date_text, strlen(date_text));
    const char *host = write_host(&url, arena);
    struct br_header *items = br_arena_alloc(arena, OUT_HEADERS_MAX * sizeof *items);
    const char *project_id;
    const char *token;
    if (date == NULL || host == NULL || items == NULL ||
        !copy_optional(request->project_id, arena, &project_id) ||
        !copy_optional(key->security_token, arena, &token)) {
        return br_arena_fail(arena, st);
    }
    const char *scope = NULL;
    if (dialect == BR_SIGN_CREDENTIAL) {
        scope = br_arena_printf(arena, "%.*s/%s/%s/" SCOPE_END, BR_SIGN_DAY_LEN, date, request->region,
                                request->service);
        if (scope == NULL) {
            return br_arena_fail(arena, st);
        }
    }

    /*
     * In the order of their names, which is the order in which they are signed. Only the date must be signed;
     * the rest is what each dialect's own clients do: huaweicloud-sdk-python-v3 signs the project and the
     * token, gophertelekomcloud adds them after signing. No other header is signed, so none whose name has a
     * "_", which the gateway would refuse.
     */
    struct br_header signed_items[SIGNED_HEADERS_MAX];
    struct br_headers signed_headers = {.items = signed_items};
    bool is_access = dialect == BR_SIGN_ACCESS;
    add_header(&signed_headers, "content-type", br_headers_find(&request->headers, "content-type"));
    add_header(&signed_headers, "host", host);
    add_header(&signed_headers, "x-project-id", is_access ? project_id : NULL);
    add_header(&signed_headers, "x-sdk-date", date);
    add_header(&signed_headers, "x-security-token", is_access ? token : NULL);

    struct br_sign_canonical canonical;
    const char *string;
    char signature[BR_SIGN_HEX_CAP];
    if (!br_sign_build_canonical(dialect, request, &signed_headers, arena, &canonical, st) ||
        !br_sign_build_string(date, scope, canonical.text, arena, &string, st) ||
        !sign_string(key, request, date, scope, string, arena, signature, st)) {
        return false;
    }

    const char *authorization =
        br_arena_printf(arena, ALGORITHM " %s%s%s%s, SignedHeaders=%s, Signature=%s",
                        is_access ? "Access=" : "Credential=", key->access_key, is_access ? "" : "/",
                        is_access ? "" : scope, canonical.signed_names, signature);
    if (authorization == NULL) {
        return br_arena_fail(arena, st);
    }
    struct br_headers headers = {.items = items};
    add_header(&headers, "X-Sdk-Date", date);
    add_header(&headers, "X-Project-Id", project_id);
    add_header(&headers, "X-Security-Token", token);
    add_header(&headers, "Authorization", authorization);
    *out = headers;
    return true;
}
