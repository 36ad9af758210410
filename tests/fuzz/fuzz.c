#include "fuzz.h"

#include "test_contract.h"

#include "base/utf8.h"
#include "contract/contract.h"
#include "translate/json_scan.h"
#include "translate/named_rules.h"
#include "upstream/http_collect.h"

#include <cjson/cJSON.h>
#include <google/rpc/status.pb-c.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE_URL "https://modelarts.example.com/prefix"
#define URL_MAX_BYTES ((size_t)32 << 10)

/* ---- The input ---- */

uint8_t fuzz_byte(struct fuzz_input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

uint64_t fuzz_number(struct fuzz_input *input, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        number = number << 8 | fuzz_byte(input);
    }
    return number;
}

char *fuzz_part(struct fuzz_input *input, char separator, size_t *len)
{
    size_t left = (size_t)(input->end - input->at);
    const uint8_t *found = left > 0 ? memchr(input->at, separator, left) : NULL;
    size_t part_len = found != NULL ? (size_t)(found - input->at) : left;
    char *part = malloc(part_len + 1);
    assert(part != NULL);
    if (part_len > 0) {
        memcpy(part, input->at, part_len);
    }
    part[part_len] = '\0';
    input->at += part_len + (found != NULL);
    if (len != NULL) {
        *len = part_len;
    }
    return part;
}

bool fuzz_answer(struct fuzz_input *input, struct br_http_exchange *exchange)
{
    struct br_http_collect collect;
    exchange->max_body_bytes = 1024;
    br_http_collect_begin(&collect, exchange);
    enum br_http_collect_result result = BR_HTTP_COLLECT_OK;
    while (result == BR_HTTP_COLLECT_OK && input->at < input->end && !collect.headers_done) {
        size_t len;
        char *line = fuzz_part(input, '\n', &len);
        result = br_http_collect_header(&collect, line, len);
        free(line);
    }
    if (result == BR_HTTP_COLLECT_OK && input->at < input->end) {
        size_t len = (size_t)(input->end - input->at);
        result = br_http_collect_body(&collect, (const char *)input->at, len);
        assert(exchange->body_buf.len <= exchange->max_body_bytes);
    }
    return (result == BR_HTTP_COLLECT_OK || result == BR_HTTP_COLLECT_BODY_CUT) &&
           br_http_collect_end(&collect);
}

/* ---- The contract ---- */

static struct br_contract *compiled;
static const struct br_method *rest_methods[16];
static size_t rest_method_count;

static void destroy_contract(void)
{
    br_contract_destroy(compiled);
}

static void compile_contract(void)
{
    struct br_named_function functions[64];
    struct br_status st;
    size_t count = br_named_functions_count;
    assert(count + test_functions_count <= sizeof functions / sizeof functions[0]);
    memcpy(functions, br_named_functions, count * sizeof functions[0]);
    memcpy(functions + count, test_functions, test_functions_count * sizeof functions[0]);
    if (!br_contract_create(&br_schema_linked, functions, count + test_functions_count, &compiled, &st)) {
        fprintf(stderr, "the contract does not compile: %s\n", st.msg);
        abort();
    }
    (void)atexit(destroy_contract);
    const struct br_method *methods = br_contract_methods(compiled, &count);
    for (size_t i = 0; i < count; i++) {
        if (methods[i].verb != NULL) {
            assert(rest_method_count < sizeof rest_methods / sizeof rest_methods[0]);
            rest_methods[rest_method_count++] = &methods[i];
        }
    }
}

const struct br_contract *fuzz_contract(void)
{
    if (compiled == NULL) {
        compile_contract();
    }
    return compiled;
}

const struct br_method *fuzz_method(struct fuzz_input *input, size_t *arena_bytes)
{
    (void)fuzz_contract();
    uint8_t choice = (uint8_t)(fuzz_byte(input) - '0');
    size_t round = choice / rest_method_count;
    if (arena_bytes != NULL) {
        *arena_bytes = round == 0 ? FUZZ_ARENA_BYTES : round * round * 8;
    }
    return rest_methods[choice % rest_method_count];
}

const struct br_method *fuzz_method_named(const char *name)
{
    (void)fuzz_contract();
    size_t i = 0;
    while (strcmp(strrchr(rest_methods[i]->path, '/') + 1, name) != 0) {
        i++;
        assert(i < rest_method_count);
    }
    return rest_methods[i];
}

/* ---- What must hold ---- */

static void check_utf8(const char *text)
{
    assert(text != NULL);
    assert(br_utf8_valid_prefix(text, strlen(text)) == strlen(text));
}

/* Source: google/rpc/error_details.proto, ErrorInfo.reason. */
static void check_reason(const char *reason)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    assert(reason != NULL);
    size_t len = strlen(reason);
    assert(len >= 3 && len <= 63 && strspn(reason, allowed) == len);
    assert(reason[0] >= 'A' && reason[0] <= 'Z' && reason[len - 1] != '_');
}

void fuzz_check_status(const struct br_status *st)
{
    assert(st->code > BR_OK && st->code <= BR_UNAUTHENTICATED);
    check_reason(st->reason);
    assert(memchr(st->msg, '\0', sizeof st->msg) != NULL);
    assert(st->msg[0] != '\0');
    check_utf8(st->msg);
}

void fuzz_check_error(const struct br_error *error, struct br_arena *arena)
{
    fuzz_check_status(&error->st);
    assert(strcmp(error->domain, BR_DOMAIN_BRIDGE) == 0 || strcmp(error->domain, BR_DOMAIN_MODELARTS) == 0);
    assert(error->retry_after_ms >= -1 && error->retry_after_ms <= 3600000);
    for (size_t i = 0; i < error->metadata_count; i++) {
        check_utf8(error->metadata[i].value);
    }
    for (size_t i = 0; error->violations != NULL && i < error->violations->count; i++) {
        check_utf8(error->violations->items[i].field);
        check_utf8(error->violations->items[i].description);
    }
    uint8_t *bytes;
    size_t len;
    bool cut;
    if (!br_error_encode(error, arena, &bytes, &len, &cut)) {
        assert(arena->exhausted);
        return;
    }
    assert(len <= BR_TRAILER_BUDGET_BYTES);
    Google__Rpc__Status *status = google__rpc__status__unpack(NULL, len, bytes);
    assert(status != NULL && status->code == (int32_t)error->st.code);
    assert(strcmp(status->message, error->st.msg) == 0);
    google__rpc__status__free_unpacked(status, NULL);
}

void fuzz_check_json(const char *text, size_t len)
{
    struct br_json_fault fault;
    if (br_json_scan(text, len, &fault)) {
        return;
    }
    /* In JSON a list of messages is a level, which br_wire_check() does not count. */
    bool is_deep = strstr(fault.what, "too deep") != NULL;
    cJSON *json = is_deep ? cJSON_ParseWithLength(text, len) : NULL;
    if (json == NULL) {
        fprintf(stderr, "not JSON at byte %zu: %s\n", fault.offset, fault.what);
        abort();
    }
    cJSON_Delete(json);
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-_.~", c) != NULL);
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *found = c != '\0' ? strchr(digits, c) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

/*
 * The end of the encoded value at |at|: unreserved bytes and %XX, of UTF-8. In a path it may not decode to what steers
 * one.
 */
static const char *skip_value(const char *at, bool in_path)
{
    char decoded[URL_MAX_BYTES + 1];
    size_t len = 0;
    while (is_unreserved(*at) || *at == '%') {
        int byte = (unsigned char)*at;
        if (*at == '%') {
            byte = hex_digit(at[1]) << 4 | hex_digit(at[2]);
            assert(byte > 0 && !is_unreserved((char)byte));
            assert(!in_path || (byte >= ' ' && byte != 0x7F && strchr("/\\", byte) == NULL));
            at += 2;
        }
        decoded[len++] = (char)byte;
        at++;
    }
    assert(br_utf8_valid_prefix(decoded, len) == len);
    return at;
}

static void check_url(const struct br_method *method, const char *url)
{
    assert(strlen(url) <= URL_MAX_BYTES);
    assert(strncmp(url, BASE_URL "/", sizeof BASE_URL) == 0);
    const char *at = url + sizeof BASE_URL - 1;
    for (size_t i = 0; i < method->part_count; i++) {
        const char *literal = method->parts[i].literal;
        if (literal != NULL) {
            assert(strncmp(at, literal, strlen(literal)) == 0);
            at += strlen(literal);
            continue;
        }
        const char *end = skip_value(at, true);
        size_t len = (size_t)(end - at);
        assert(len > 0 && !(len == 1 && at[0] == '.') && !(len == 2 && at[0] == '.' && at[1] == '.'));
        at = end;
    }
    for (char separator = '?'; *at != '\0'; separator = '&') {
        assert(*at == separator);
        at = skip_value(at + 1, false);
        assert(*at == '=');
        at = skip_value(at + 1, false);
    }
}

static void check_refusal(const struct br_status *st, const struct br_violations *violations,
                          struct br_arena *arena)
{
    struct br_error error;
    assert(st->code == BR_INVALID_ARGUMENT || st->code == BR_RESOURCE_EXHAUSTED);
    assert(strcmp(st->reason, "VALIDATION_FAILED") != 0 || violations->total_count > 0);
    br_error_from_status(st, violations, &error);
    fuzz_check_error(&error, arena);
}

bool fuzz_check_request(const struct br_method *method, bool with_defaults, size_t arena_bytes,
                        const uint8_t *bytes, size_t len)
{
    struct br_header project = {.name = "project_id", .value = "default"};
    const struct br_rest_config config = {
        .base_url = BASE_URL,
        .defaults = {.items = &project, .count = with_defaults},
    };
    struct br_arena arena;
    struct br_violations violations;
    struct br_warnings warnings = {0};
    struct br_rest_request request;
    struct br_status st;
    br_arena_init(&arena, arena_bytes);
    br_violations_init(&violations, &arena);
    bool built = br_rest_request_build(method, &config, bytes, len, &violations, &warnings, &request, &st);
    assert(arena.used_bytes <= arena.limit_bytes);
    assert(warnings.count <= BR_WARNINGS_MAX);
    if (built) {
        assert(violations.total_count == 0 && !arena.exhausted);
        assert(strcmp(request.verb, method->verb) == 0);
        check_url(method, request.url);
        assert((request.body != NULL) == method->has_body);
        if (request.body != NULL) {
            fuzz_check_json(request.body, request.body_len);
        }
        br_rest_request_finish(&request);
    } else {
        check_refusal(&st, &violations, &arena);
    }
    br_arena_finish(&arena);
    return built;
}
