#include "upstream/http_collect.h"

#include <string.h>
#include <strings.h>

/* Lower case; they are what the answer's headers are called. */
static const char *const kept_names[] = {"content-type", "retry-after", "x-request-id", "x-subject-token"};

#define KEPT_COUNT (sizeof kept_names / sizeof kept_names[0])

_Static_assert(KEPT_COUNT + BR_HTTP_OWN_HEADERS_MAX <= BR_HTTP_KEPT_HEADERS_MAX,
               "each name is kept at most once");

static void forget_headers(struct br_http_exchange *exchange)
{
    br_buf_finish(&exchange->header_text);
    br_buf_init(&exchange->header_text, BR_HTTP_MAX_HEADERS_BYTES);
    exchange->answer.headers = (struct br_headers){.items = exchange->kept};
}

void br_http_collect_begin(struct br_http_collect *collect, struct br_http_exchange *exchange)
{
    *collect = (struct br_http_collect){.exchange = exchange};
    exchange->answer = (struct br_http_answer){0};
    br_buf_init(&exchange->body_buf, exchange->max_body_bytes);
    forget_headers(exchange);
}

/* "HTTP/1.1 404 Not Found": 404; 0 where no three digits stand. */
static int parse_status(const char *line, size_t len)
{
    const char *space = memchr(line, ' ', len);
    if (space == NULL || len - (size_t)(space - line) < 4) {
        return 0;
    }
    int status = 0;
    for (int i = 1; i <= 3; i++) {
        if (space[i] < '0' || space[i] > '9') {
            return 0;
        }
        status = status * 10 + (space[i] - '0');
    }
    return status;
}

/* The name among |names| that equals the |len| bytes of |name|; NULL: none. */
static const char *find_name(const char *const *names, size_t count, const char *name, size_t len)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(names[i]) == len && strncasecmp(names[i], name, len) == 0) {
            return names[i];
        }
    }
    return NULL;
}

/* The name to keep that equals the |len| bytes of |name|, if it was not met before; else NULL. */
static const char *find_wanted(const struct br_http_exchange *exchange, const char *name, size_t len)
{
    const char *wanted = find_name(kept_names, KEPT_COUNT, name, len);
    if (wanted == NULL) {
        wanted = find_name(exchange->keep, exchange->keep_count, name, len);
    }
    return wanted != NULL && br_headers_find(&exchange->answer.headers, wanted) == NULL ? wanted : NULL;
}

static bool is_printable(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            return false;
        }
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static enum br_http_collect_result keep_value(struct br_http_exchange *exchange, const char *name,
                                              const char *value, size_t len)
{
    if (len > BR_HTTP_MAX_HEADER_VALUE_BYTES) {
        return BR_HTTP_COLLECT_HEADERS_SIZE;
    }
    if (!is_printable(value, len)) {
        return BR_HTTP_COLLECT_OK;
    }

    struct br_buf *text = &exchange->header_text;
    size_t before = text->len;
    enum br_buf_result result = br_buf_append(text, value, len);
    if (result == BR_BUF_OK) {
        result = br_buf_append(text, "", 1);
    }
    if (result != BR_BUF_OK) {
        text->len = before;
        return result == BR_BUF_FULL ? BR_HTTP_COLLECT_HEADERS_SIZE : BR_HTTP_COLLECT_NO_MEMORY;
    }
    /* The buffer may still move, so br_http_collect_end() sets the value. */
    exchange->kept[exchange->answer.headers.count++] = (struct br_header){.name = name, .value = ""};
    return BR_HTTP_COLLECT_OK;
}

enum br_http_collect_result br_http_collect_header(struct br_http_collect *collect, const char *line,
                                                   size_t len)
{
    struct br_http_exchange *exchange = collect->exchange;
    if (len > BR_HTTP_MAX_HEADERS_BYTES - collect->header_bytes) {
        return BR_HTTP_COLLECT_HEADERS_SIZE;
    }
    collect->header_bytes += len;
    if (collect->headers_done) {
        return BR_HTTP_COLLECT_OK;
    }

    while (len > 0 && is_blank(line[len - 1])) {
        len--;
    }
    if (len == 0) {
        collect->headers_done = collect->status >= 200;
        return BR_HTTP_COLLECT_OK;
    }
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        collect->status = parse_status(line, len);
        forget_headers(exchange);
        return BR_HTTP_COLLECT_OK;
    }

    const char *colon = memchr(line, ':', len);
    if (colon == NULL) {
        return BR_HTTP_COLLECT_OK;
    }
    const char *name = find_wanted(exchange, line, (size_t)(colon - line));
    if (name == NULL) {
        return BR_HTTP_COLLECT_OK;
    }
    const char *value = colon + 1;
    const char *end = line + len;
    while (value < end && is_blank(*value)) {
        value++;
    }
    return keep_value(exchange, name, value, (size_t)(end - value));
}

enum br_http_collect_result br_http_collect_body(struct br_http_collect *collect, const char *bytes,
                                                 size_t len)
{
    struct br_buf *body = &collect->exchange->body_buf;
    enum br_buf_result result = br_buf_append(body, bytes, len);
    if (result == BR_BUF_OK) {
        return BR_HTTP_COLLECT_OK;
    }
    if (result == BR_BUF_NO_MEMORY) {
        return BR_HTTP_COLLECT_NO_MEMORY;
    }
    if (collect->status / 100 == 2) {
        return BR_HTTP_COLLECT_BODY_SIZE;
    }

    /* Half an error's body still says what went wrong. */
    if (br_buf_append(body, bytes, body->limit_bytes - body->len) != BR_BUF_OK) {
        return BR_HTTP_COLLECT_NO_MEMORY;
    }
    collect->exchange->answer.body_cut = true;
    return BR_HTTP_COLLECT_BODY_CUT;
}

void br_http_collect_end_headers(struct br_http_collect *collect)
{
    struct br_http_exchange *exchange = collect->exchange;
    if (!collect->headers_done) {
        exchange->answer.headers.count = 0;
    }
    const char *value = exchange->header_text.data;
    for (size_t i = 0; i < exchange->answer.headers.count; i++) {
        exchange->kept[i].value = value;
        value += strlen(value) + 1;
    }
}

bool br_http_collect_end(struct br_http_collect *collect)
{
    struct br_http_exchange *exchange = collect->exchange;
    if (!collect->headers_done || collect->status > 599) {
        return false;
    }

    br_http_collect_end_headers(collect);
    exchange->answer.status = collect->status;
    exchange->answer.body = exchange->body_buf.data;
    exchange->answer.body_len = exchange->body_buf.len;
    exchange->answered = true;
    return true;
}
