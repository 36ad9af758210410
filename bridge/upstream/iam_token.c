#include "upstream/iam_token.h"

#include "base/parse.h"
#include "translate/json_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bytes of a request's body beside its values, more than it takes; and what a byte of a value becomes at most. */
#define BODY_FRAME_BYTES ((size_t)512)
#define ESCAPED_BYTES ((size_t)6)

enum {
    FILE_USERNAME,
    FILE_PASSWORD,
    FILE_DOMAIN,
    FILE_PROJECT,
};

const struct br_credential_file br_iam_token_files[BR_IAM_TOKEN_FILE_COUNT] = {
    [FILE_USERNAME] = {.name = "username", .required = true},
    [FILE_PASSWORD] = {.name = "password", .required = true},
    [FILE_DOMAIN] = {.name = "domain", .required = true},
    [FILE_PROJECT] = {.name = "project", .required = true},
};

/* ---- The request ---- */

static bool add_item(cJSON *parent, const char *key, cJSON *item)
{
    bool added = key != NULL ? cJSON_AddItemToObject(parent, key, item) : cJSON_AddItemToArray(parent, item);
    if (!added) {
        cJSON_Delete(item);
    }
    return added;
}

/* By reference: cJSON would not wipe its copy. */
static bool add_text(cJSON *parent, const char *key, const char *text)
{
    return add_item(parent, key, cJSON_CreateStringReference(text));
}

/* Source: wire_facts.md section 7. NULL: no memory. */
static cJSON *describe_request(const struct br_credential_set *set)
{
    /* cJSON takes a parent that is NULL and gives NULL, so only the ends are looked at. */
    cJSON *root = cJSON_CreateObject();
    cJSON *auth = cJSON_AddObjectToObject(root, "auth");
    cJSON *identity = cJSON_AddObjectToObject(auth, "identity");
    cJSON *methods = cJSON_AddArrayToObject(identity, "methods");
    cJSON *user = cJSON_AddObjectToObject(cJSON_AddObjectToObject(identity, "password"), "user");
    cJSON *project = cJSON_AddObjectToObject(cJSON_AddObjectToObject(auth, "scope"), "project");
    if (add_text(methods, NULL, "password") && add_text(user, "name", set->values[FILE_USERNAME]) &&
        add_text(user, "password", set->values[FILE_PASSWORD]) &&
        add_text(cJSON_AddObjectToObject(user, "domain"), "name", set->values[FILE_DOMAIN]) &&
        add_text(project, "name", set->values[FILE_PROJECT])) {
        return root;
    }
    cJSON_Delete(root);
    return NULL;
}

/* The body in one piece of memory: one that grows would leave the password behind where it was. */
char *br_iam_token_write_body(const struct br_credential_set *set, size_t *cap)
{
    size_t need = BODY_FRAME_BYTES;
    for (size_t i = 0; i < BR_IAM_TOKEN_FILE_COUNT; i++) {
        need += ESCAPED_BYTES * strlen(set->values[i]);
    }
    cJSON *json = describe_request(set);
    char *body = malloc(need);
    if (json != NULL && body != NULL && cJSON_PrintPreallocated(json, body, (int)need, false)) {
        *cap = need;
    } else {
        if (body != NULL) {
            explicit_bzero(body, need);
        }
        free(body);
        body = NULL;
    }
    cJSON_Delete(json);
    return body;
}

/* ---- The answer ---- */

static bool is_form(const char *text, const char *form)
{
    for (; *form != '\0'; form++, text++) {
        if (*form == '9' ? *text < '0' || *text > '9' : *text != *form) {
            return false;
        }
    }
    return true;
}

static int read_digits(const char *text, size_t len)
{
    int64_t number = 0;
    /* is_form() has seen that they are digits. */
    (void)!br_parse_int64(text, len, &number);
    return (int)number;
}

/* RFC 3339 in UTC, as IAM writes it: "2020-01-04T09:05:22.701000Z". The fraction is dropped. */
static bool parse_time(const char *text, int64_t *out_s)
{
    static const char form[] = "9999-99-99T99:99:99";
    if (!is_form(text, form)) {
        return false;
    }
    const char *rest = text + sizeof form - 1;
    if (rest[0] == '.' && rest[1] >= '0' && rest[1] <= '9') {
        rest++;
        rest += strspn(rest, "0123456789");
    }
    if (strcmp(rest, "Z") != 0) {
        return false;
    }
    struct tm want = {
        .tm_year = read_digits(text, 4) - 1900,
        .tm_mon = read_digits(text + 5, 2) - 1,
        .tm_mday = read_digits(text + 8, 2),
        .tm_hour = read_digits(text + 11, 2),
        .tm_min = read_digits(text + 14, 2),
        .tm_sec = read_digits(text + 17, 2),
    };
    /* timegm() makes 1 March of 30 February: such a time does not come back as it was. */
    struct tm given = want;
    time_t seconds = timegm(&given);
    if (given.tm_mon != want.tm_mon || given.tm_mday != want.tm_mday || given.tm_hour != want.tm_hour ||
        given.tm_min != want.tm_min || given.tm_sec != want.tm_sec) {
        return false;
    }
    *out_s = seconds;
    return true;
}

static bool fail_unavailable(struct br_status *st, const char *what)
{
    return br_status_set(st, BR_UNAVAILABLE, "TOKEN_UNAVAILABLE", "no token from IAM: %s", what);
}

/* How long the token of the answer's body is good. */
static bool read_life(const struct br_http_answer *answer, int64_t now_s, int64_t *life_ms,
                      struct br_status *st)
{
    static const struct br_json_reader reader = {.code = BR_UNAVAILABLE, .reason = "TOKEN_UNAVAILABLE"};
    cJSON *json;
    if (!br_json_parse(&reader, answer->body, answer->body_len, &json, st)) {
        return fail_unavailable(st, "its answer is not JSON");
    }
    const cJSON *token = cJSON_GetObjectItemCaseSensitive(json, "token");
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(token, "expires_at"));
    int64_t expires_s = 0;
    bool known = text != NULL && parse_time(text, &expires_s);
    cJSON_Delete(json);
    if (!known) {
        return fail_unavailable(st, "its answer does not say when the token expires");
    }
    int64_t life_s = expires_s - now_s;
    if (life_s <= 0) {
        return fail_unavailable(st, "it has expired by the clock of this machine");
    }
    *life_ms = life_s * 1000;
    return true;
}

static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~') {
            return false;
        }
    }
    return len > 0;
}

static void read_token(const struct br_http_answer *answer, int64_t now_s, struct br_iam_outcome *out)
{
    const char *text = br_headers_find(&answer->headers, "x-subject-token");
    size_t len = text != NULL ? strlen(text) : 0;
    if (text == NULL || !is_token(text, len)) {
        (void)fail_unavailable(&out->st, "its answer has no X-Subject-Token");
        return;
    }
    if (len > BR_IAM_TOKEN_MAX_BYTES) {
        (void)fail_unavailable(&out->st, "it is too long for a header");
        return;
    }
    if (!read_life(answer, now_s, &out->life_ms, &out->st)) {
        return;
    }
    out->token = strdup(text);
    out->token_len = len;
    if (out->token == NULL) {
        (void)fail_unavailable(&out->st, "out of memory");
    }
}

/* " (IAM_0011)"; "" for what is no code of the vendor's: it may be anything, even what was sent. */
static void describe_code(const struct br_http_answer *answer, char out[BR_REASON_CAP + 3])
{
    static const char *const vendors[] = {"IAM_", "APIG_", "MODELARTS_"};
    struct br_vendor_body body;
    char reason[BR_REASON_CAP];
    br_vendor_body_read(answer->body, answer->body_cut ? 0 : answer->body_len, &body);
    out[0] = '\0';
    if (!br_vendor_code_reason(body.code, reason)) {
        return;
    }
    for (size_t i = 0; i < sizeof vendors / sizeof vendors[0]; i++) {
        if (strncmp(reason, vendors[i], strlen(vendors[i])) == 0) {
            (void)snprintf(out, BR_REASON_CAP + 3, " (%s)", reason);
        }
    }
}

static void read_error(const struct br_http_answer *answer, int64_t now_s, struct br_iam_outcome *out)
{
    int http = answer->status;
    char code[BR_REASON_CAP + 3];
    describe_code(answer, code);
    if (http == 400 || http == 401 || http == 403 || http == 404) {
        (void)br_status_set(&out->st, BR_UNAUTHENTICATED, "TOKEN_REFUSED",
                            "IAM refuses the bridge's credentials with HTTP %d%s", http, code);
        return;
    }
    (void)br_status_set(&out->st, BR_UNAVAILABLE, "TOKEN_UNAVAILABLE", "no token from IAM: HTTP %d%s%s", http,
                        code, http >= 300 && http <= 399 ? ", a redirect, which is never followed" : "");
    const char *retry_after = br_headers_find(&answer->headers, "retry-after");
    if (retry_after != NULL) {
        out->retry_after_ms = br_retry_after_ms(retry_after, now_s);
    }
}

void br_iam_token_read(const struct br_http_exchange *exchange, int64_t now_s, struct br_iam_outcome *out)
{
    *out = (struct br_iam_outcome){.retry_after_ms = -1};
    if (!exchange->answered) {
        out->cancelled = exchange->failure == BR_TRANSPORT_CANCELLED;
        (void)fail_unavailable(&out->st, exchange->failure_text[0] != '\0' ? exchange->failure_text
                                                                           : exchange->failure_name);
        return;
    }
    const struct br_http_answer *answer = &exchange->answer;
    out->http_status = answer->status;
    const char *request_id = br_headers_find(&answer->headers, "x-request-id");
    if (request_id != NULL) {
        br_request_id_copy(request_id, out->request_id);
    }
    if (answer->status == 201) {
        read_token(answer, now_s, out);
    } else {
        read_error(answer, now_s, out);
    }
}
