/* strptime(). */
#define _GNU_SOURCE

#include "translate/error_map.h"

#include "base/parse.h"
#include "translate/json_scan.h"
#include "translate/vendor_body.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The longest wait that is passed on; ModelArts' limits are per minute. */
#define MAX_RETRY_AFTER_MS 3600000

/* Bytes of a plain-text body that is quoted, and of a media type. */
#define QUOTED_BODY_MAX_BYTES 200
#define MEDIA_TYPE_CAP 65

static bool is_repeatable(const struct br_method *method)
{
    return method->idempotency != BR_IDEMPOTENCY_UNKNOWN;
}

/* Source: bridge_conventions.md section 1. */
static enum br_code code_of_http(int http)
{
    switch (http) {
    case 400:
    case 411:
    case 413:
    case 414:
    case 415:
    case 422:
    case 494:
        return BR_INVALID_ARGUMENT;
    case 401:
        return BR_UNAUTHENTICATED;
    case 403:
        return BR_PERMISSION_DENIED;
    case 404:
    case 410:
        return BR_NOT_FOUND;
    case 405:
    case 501:
        return BR_UNIMPLEMENTED;
    case 409:
        return BR_ABORTED;
    case 416:
        return BR_OUT_OF_RANGE;
    case 429:
        return BR_RESOURCE_EXHAUSTED;
    case 499:
        return BR_CANCELLED;
    case 408:
    case 502:
    case 503:
    case 504:
        return BR_UNAVAILABLE;
    default:
        if (http >= 400 && http <= 499) {
            return BR_FAILED_PRECONDITION;
        }
        return http >= 500 && http <= 599 ? BR_INTERNAL : BR_UNKNOWN;
    }
}

/*
 * Whether an answer with |http| leaves open what became of the request. A 502 or 503 is read as not executed,
 * as all peers do; a timeout and any other server error are not.
 */
static bool may_have_been_executed(int http)
{
    return http == 408 || (http >= 500 && http != 502 && http != 503);
}

/*
 * Callers repeat what is UNAVAILABLE (https://google.aip.dev/194), so a request that may have been executed
 * and may not be repeated is never that.
 */
static enum br_code without_invitation(enum br_code code, bool maybe_executed, const struct br_method *method)
{
    return code == BR_UNAVAILABLE && maybe_executed && !is_repeatable(method) ? BR_UNKNOWN : code;
}

static bool is_redirect(const struct br_http_answer *answer)
{
    return answer->status >= 300 && answer->status <= 399;
}

/* Sets code, reason, domain and the detail of the row; the message comes later. */
static void classify(const struct br_http_answer *answer, const struct br_vendor_body *body,
                     const struct br_method *method, const struct br_error_table *table,
                     struct br_arena *arena, struct br_error *error)
{
    const struct br_error_row *row = NULL;
    char derived[BR_REASON_CAP];
    const char *vendor_reason = NULL;

    if (!is_redirect(answer) && body->code[0] != '\0') {
        row = br_error_table_find(table, answer->status, body->code);
        if (row != NULL) {
            vendor_reason = row->reason;
        } else if (br_vendor_code_reason(body->code, derived)) {
            vendor_reason = br_arena_strndup(arena, derived, strlen(derived));
        }
    }

    enum br_code code = row != NULL ? row->code : code_of_http(answer->status);
    error->st.code = without_invitation(code, may_have_been_executed(answer->status), method);
    if (row != NULL) {
        error->detail = row->detail;
        error->resource_type = row->resource_type;
    }
    if (vendor_reason != NULL) {
        error->st.reason = vendor_reason;
        error->domain = BR_DOMAIN_MODELARTS;
        error->is_unmapped = row == NULL;
    } else {
        error->st.reason = is_redirect(answer) ? "UPSTREAM_REDIRECT" : "UPSTREAM_HTTP_ERROR";
    }
}

/* The Content-Type without its parameters; "" when there is none. */
static void read_media_type(const struct br_http_answer *answer, char out[MEDIA_TYPE_CAP])
{
    const char *text = br_headers_find(&answer->headers, "content-type");
    size_t len = 0;
    if (text != NULL) {
        while (len < MEDIA_TYPE_CAP - 1 && text[len] > ' ' && text[len] <= '~' && text[len] != ';') {
            len++;
        }
        memcpy(out, text, len);
    }
    out[len] = '\0';
}

static bool is_other_than_json(const char *media_type)
{
    return media_type[0] != '\0' && strstr(media_type, "json") == NULL;
}

/* One line for people: a control character would break it, or a terminal. */
static void blank_controls(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c != '\0'; c++) {
        if (*c < ' ' || *c == 0x7f) {
            *c = ' ';
        } else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f) {
            c[0] = ' ';
            c[1] = ' ';
        }
    }
}

/* Sets the message and keeps code and reason. */
static void set_message(struct br_error *error, const char *format, ...) BR_PRINTF(2, 3);
static void set_message(struct br_error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)br_status_vset(&error->st, error->st.code, error->st.reason, format, args);
    va_end(args);
    blank_controls(error->st.msg);
}

/* The length of the body without the white space at its end. */
static size_t trimmed_len(const struct br_http_answer *answer)
{
    size_t len = answer->body_len;
    while (len > 0 && strchr(" \t\r\n", answer->body[len - 1]) != NULL) {
        len--;
    }
    return len;
}

/* The message of an answer whose body has none. */
static void describe_answer(const struct br_http_answer *answer, const struct br_vendor_body *body,
                            const char *media_type, struct br_error *error)
{
    int http = answer->status;
    if (is_redirect(answer)) {
        set_message(error, "ModelArts answered HTTP %d, a redirect, which is never followed", http);
    } else if (body->no_memory) {
        set_message(error, "ModelArts answered HTTP %d, and the bridge had no memory to read the body", http);
    } else if (body->code[0] != '\0') {
        set_message(error, "ModelArts answered HTTP %d with the error code %s and no message", http,
                    body->code);
    } else if (body->is_json) {
        set_message(error, "ModelArts answered HTTP %d with JSON that holds no message", http);
    } else if (trimmed_len(answer) == 0) {
        set_message(error, "ModelArts answered HTTP %d without a body", http);
    } else if (answer->body_cut) {
        set_message(error, "ModelArts answered HTTP %d with a body that is too long to be read", http);
    } else if (strcmp(media_type, "text/plain") == 0 && answer->body_len <= QUOTED_BODY_MAX_BYTES) {
        set_message(error, "ModelArts answered HTTP %d: %.*s", http, (int)trimmed_len(answer), answer->body);
    } else if (is_other_than_json(media_type)) {
        set_message(error, "ModelArts answered HTTP %d with %s, not with JSON", http, media_type);
    } else {
        set_message(error, "ModelArts answered HTTP %d with a body that is not JSON", http);
    }
}

static void add_answer_metadata(const struct br_http_answer *answer, const struct br_vendor_body *body,
                                const char *media_type, struct br_arena *arena, struct br_error *error)
{
    br_error_add_metadata(error, "http_status", br_arena_printf(arena, "%d", answer->status));
    if (body->code[0] != '\0') {
        br_error_add_metadata(error, "error_code", br_arena_strndup(arena, body->code, strlen(body->code)));
    }
    if (!body->is_json && answer->body_len > 0 && media_type[0] != '\0') {
        br_error_add_metadata(error, "content_type", br_arena_strndup(arena, media_type, strlen(media_type)));
    }
    if (answer->body_cut) {
        br_error_add_metadata(error, "body_cut", "true");
    }
}

static void set_request_id(const struct br_http_answer *answer, struct br_vendor_body *body,
                           struct br_arena *arena, struct br_error *error)
{
    const char *header = br_headers_find(&answer->headers, "x-request-id");
    if (body->request_id[0] == '\0' && header != NULL) {
        br_request_id_copy(header, body->request_id);
    }
    if (body->request_id[0] != '\0') {
        error->request_id = br_arena_strndup(arena, body->request_id, strlen(body->request_id));
    }
}

void br_error_from_answer(const struct br_http_answer *answer, const struct br_method *method,
                          const struct br_error_table *table, int64_t now_s, struct br_arena *arena,
                          struct br_error *error)
{
    struct br_vendor_body body;
    /* What is left of a cut body could be JSON by chance, and say something else than the whole. */
    br_vendor_body_read(answer->body, answer->body_cut ? 0 : answer->body_len, &body);
    char media_type[MEDIA_TYPE_CAP];
    read_media_type(answer, media_type);

    br_error_init(error);
    classify(answer, &body, method, table, arena, error);
    if (body.message[0] != '\0' && !is_redirect(answer)) {
        set_message(error, "%s", body.message);
    } else {
        describe_answer(answer, &body, media_type, error);
    }

    add_answer_metadata(answer, &body, media_type, arena, error);
    set_request_id(answer, &body, arena, error);

    /* RetryInfo invites a repeat as UNAVAILABLE does. */
    const char *retry_after = br_headers_find(&answer->headers, "retry-after");
    if (retry_after != NULL && error->st.code != BR_UNKNOWN) {
        error->retry_after_ms = br_retry_after_ms(retry_after, now_s);
    }
}

/* What a transport failure means. Source: bridge_conventions.md section 2. */
struct failure {
    enum br_code code;
    const char *reason;
    const char *message;
    const char *executed; /* what to say of a request that may not be repeated; NULL: it was not sent */
    bool says_all;        /* the transport's own text would only repeat |message| */
};

#define MAYBE_EXECUTED "; the request may have been executed"

static const struct failure failures[] = {
    [BR_TRANSPORT_CANCELLED] = {BR_CANCELLED, "CALLER_CANCELLED", "the caller cancelled the call",
                                MAYBE_EXECUTED, false},
    [BR_TRANSPORT_DEADLINE] = {BR_DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED",
                               "the call's deadline passed before ModelArts answered", MAYBE_EXECUTED, true},
    [BR_TRANSPORT_UNREACHABLE] = {BR_UNAVAILABLE, "UPSTREAM_UNREACHABLE",
                                  "ModelArts cannot be reached; nothing was sent", NULL, false},
    [BR_TRANSPORT_CONNECT_TIMEOUT] = {BR_UNAVAILABLE, "UPSTREAM_CONNECT_TIMEOUT",
                                      "connecting to ModelArts took too long; nothing was sent", NULL, false},
    [BR_TRANSPORT_BROKEN] = {BR_UNAVAILABLE, "UPSTREAM_CONNECTION_BROKEN",
                             "the connection to ModelArts broke before it answered", MAYBE_EXECUTED, false},
    [BR_TRANSPORT_UNTRUSTED] = {BR_FAILED_PRECONDITION, "UPSTREAM_CERTIFICATE",
                                "the certificate of ModelArts cannot be verified; nothing was sent", NULL,
                                false},
    [BR_TRANSPORT_TOO_LARGE] = {BR_RESOURCE_EXHAUSTED, "UPSTREAM_RESPONSE_TOO_LARGE",
                                "the answer of ModelArts is larger than --max-response-bytes",
                                "; the request was executed", true},
    [BR_TRANSPORT_NO_MEMORY] = {BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "the bridge ran out of memory",
                                MAYBE_EXECUTED, false},
    [BR_TRANSPORT_FAILED] = {BR_INTERNAL, "UPSTREAM_TRANSPORT_ERROR", "the request to ModelArts failed",
                             MAYBE_EXECUTED, false},
};

void br_error_from_transport(enum br_transport_failure failure, const char *what, const char *text,
                             const struct br_method *method, struct br_error *error)
{
    const struct failure *row = &failures[failure];
    bool sent = row->executed != NULL;

    br_error_init(error);
    error->st.code = without_invitation(row->code, sent, method);
    error->st.reason = row->reason;
    bool has_text = text != NULL && text[0] != '\0' && !row->says_all;
    set_message(error, "%s%s%s%s", row->message, sent && !is_repeatable(method) ? row->executed : "",
                has_text ? ": " : "", has_text ? text : "");
    br_error_add_metadata(error, "transport_error", what);
}

void br_error_from_status(const struct br_status *st, const struct br_violations *violations,
                          struct br_error *error)
{
    br_error_init(error);
    error->st = *st;
    if (violations != NULL && violations->count > 0) {
        error->violations = violations;
    }
}

void br_error_from_unreadable(const struct br_http_answer *answer, const struct br_status *st,
                              struct br_arena *arena, struct br_error *error)
{
    struct br_json_fault fault;
    char media_type[MEDIA_TYPE_CAP];
    read_media_type(answer, media_type);
    br_error_from_status(st, NULL, error);
    if (strcmp(st->reason, "UPSTREAM_MALFORMED_RESPONSE") != 0 || !is_other_than_json(media_type) ||
        br_json_scan(answer->body, answer->body_len, &fault)) {
        return;
    }
    set_message(error, "the request was executed, but ModelArts answered HTTP %d with %s, not with JSON",
                answer->status, media_type);
    br_error_add_metadata(error, "content_type", br_arena_strndup(arena, media_type, strlen(media_type)));
}

/* Source: RFC 9110 section 5.6.7, the form in use first, then the two obsolete ones. */
static const char *const date_formats[] = {
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %e %H:%M:%S %Y",
};

/* The names are English because this process never calls setlocale(). */
static bool parse_http_date(const char *text, int64_t *out)
{
    for (size_t i = 0; i < sizeof date_formats / sizeof date_formats[0]; i++) {
        struct tm tm = {.tm_sec = 0};
        const char *end = strptime(text, date_formats[i], &tm);
        if (end != NULL && *end == '\0') {
            *out = timegm(&tm);
            return true;
        }
    }
    return false;
}

int64_t br_retry_after_ms(const char *text, int64_t now_s)
{
    const int64_t max_s = MAX_RETRY_AFTER_MS / 1000;
    size_t len = strlen(text);
    int64_t wait_s;
    int64_t date_s;
    uint64_t seconds;

    if (len > 0 && strspn(text, "0123456789") == len) {
        wait_s = br_parse_uint64(text, len, &seconds) && seconds < (uint64_t)max_s ? (int64_t)seconds : max_s;
    } else if (parse_http_date(text, &date_s)) {
        wait_s = date_s > now_s ? date_s - now_s : 0;
    } else {
        return -1;
    }
    return (wait_s < max_s ? wait_s : max_s) * 1000;
}
