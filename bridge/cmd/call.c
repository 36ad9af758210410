#include "base/buf.h"
#include "base/file.h"
#include "cmd/call_data.h"
#include "cmd/client_settings.h"
#include "cmd/cmd.h"
#include "cmd/status_details.h"
#include "cmd/terminal.h"
#include "contract/field.h"
#include "translate/json_write.h"
#include "translate/named_rules.h"
#include "translate/wire_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes of the JSON that may be read. */
#define DATA_MAX_BYTES ((size_t)64 << 20)

/* What the messages of one call may take in memory, beside their JSON: ceilings, not reservations. */
#define ARENA_MAX_BYTES ((size_t)1 << 30)

/* Bytes of the lines about an error; the client's own ceiling on trailers, escaped. */
#define ERROR_TEXT_MAX_BYTES ((size_t)8 * BR_CLIENT_MAX_METADATA_BYTES)

/* Bytes of an answer as indented JSON. */
#define ANSWER_TEXT_MAX_BYTES ((size_t)2 << 30)

static const char warning_key[] = "modelarts-bridge-warning";

struct call_settings {
    struct br_client_settings client; /* first */
    struct br_texts metadata;
    int64_t timeout_ms;
    const char *data;
};

static const char usage[] =
    "Usage: modelarts-bridge call [SETTINGS] METHOD [--data JSON]\n\n"
    "Makes one call to a running bridge and prints its answer. METHOD is a method of \"modelarts-bridge\n"
    "routes\", in full or its last part: UpdateService. The JSON has the keys and values of ModelArts'\n"
    "documents, with the IDs of the URL as keys too:\n\n"
    "  modelarts-bridge call UpdateService --metadata x-auth-token=TOKEN \\\n"
    "    --data '{\"service_id\":\"demo-service\",\"status\":\"stopped\"}'\n\n"
    "The answer goes to standard output, warnings and errors go to standard error.\n"
    "Exit codes: 0 OK; 2 wrong arguments or JSON, nothing was sent; 1 no call could be made; otherwise\n"
    "64 + the gRPC code, such as 69 for NOT_FOUND (5).\n";

static const struct br_setting rows[] = {
    BR_CLIENT_SETTING_ROWS,
    {.flag = "metadata",
     .kind = BR_SETTING_TEXTS,
     .offset = offsetof(struct call_settings, metadata),
     .metavar = "KEY=VALUE",
     .help = "Metadata to send, such as x-auth-token=TOKEN."},
    {.flag = "timeout",
     .kind = BR_SETTING_DURATION,
     .offset = offsetof(struct call_settings, timeout_ms),
     .initial = "5s",
     .metavar = "DURATION",
     .min = 1,
     .max = (int64_t)24 * 3600 * 1000,
     .help = "The call's deadline, from now (ms, s, m, h)."},
    {.flag = "data",
     .kind = BR_SETTING_TEXT,
     .offset = offsetof(struct call_settings, data),
     .initial = "{}",
     .metavar = "JSON|@FILE|-",
     .help = "The request: JSON, a file that holds it, or - for standard input; at most 64 MiB."},
};

static const struct br_settings table = {.rows = rows, .row_count = sizeof rows / sizeof rows[0]};

static bool read_all(int fd, const char *name, struct br_buf *out, struct br_status *st)
{
    int error = br_file_read_all(fd, out);
    switch (error) {
    case 0:
        return true;
    case EFBIG:
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "--data: %s holds more than 64 MiB",
                             name);
    case ENOMEM:
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "out of memory for --data");
    default:
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "--data: cannot read %s: %s", name,
                             strerror(error));
    }
}

/* Points |json| at what --data means: itself, or what it names, read into |buf|. */
static bool find_data(const char *data, struct br_buf *buf, const char **json, size_t *len,
                      struct br_status *st)
{
    if (strcmp(data, "-") != 0 && data[0] != '@') {
        *json = data;
        *len = strlen(data);
        return true;
    }
    bool ok;
    char quoted[BR_QUOTE_CAP];
    if (data[0] == '@') {
        int fd = open(data + 1, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "--data: cannot read %s: %s",
                                 br_violation_quote(data + 1, quoted), strerror(errno));
        }
        ok = read_all(fd, br_violation_quote(data + 1, quoted), buf, st);
        (void)close(fd);
    } else {
        ok = read_all(STDIN_FILENO, "standard input", buf, st);
    }
    if (!ok) {
        return false;
    }
    *json = buf->data != NULL ? buf->data : "";
    *len = buf->len;
    return true;
}

/* Splits each "key=value"; the value may hold further "=". */
static bool read_metadata(const struct br_texts *texts, struct br_arena *arena, struct br_headers *out,
                          struct br_status *st)
{
    struct br_header *items = br_arena_alloc(arena, texts->count * sizeof *items);
    if (items == NULL) {
        return br_arena_fail(arena, st);
    }
    for (size_t i = 0; i < texts->count; i++) {
        const char *text = texts->items[i];
        size_t key_len = strcspn(text, "=");
        /* What stands there may be a credential: it is not quoted. */
        if (key_len == 0 || text[key_len] == '\0') {
            return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                                 "--metadata: entry %zu is not KEY=VALUE", i + 1);
        }
        items[i].name = br_arena_strndup(arena, text, key_len);
        items[i].value = text + key_len + 1;
        if (items[i].name == NULL) {
            return br_arena_fail(arena, st);
        }
    }
    *out = (struct br_headers){.items = items, .count = texts->count};
    return true;
}

static bool fail_text(enum br_buf_result result, struct br_status *st)
{
    if (result == BR_BUF_FULL) {
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "ANSWER_TOO_LARGE",
                             "the answer is too large to print");
    }
    return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "out of memory for the answer");
}

/* Prints the warnings among the trailers, one a line. */
static bool print_warnings(const struct br_client_answer *answer, struct br_status *st)
{
    struct br_buf text;
    br_buf_init(&text, ERROR_TEXT_MAX_BYTES);
    enum br_buf_result result = BR_BUF_OK;
    for (size_t i = 0; i < answer->trailer_count && result == BR_BUF_OK; i++) {
        const struct br_client_trailer *trailer = &answer->trailers[i];
        if (strcmp(trailer->key, warning_key) != 0) {
            continue;
        }
        result = br_buf_puts(&text, "warning: ");
        if (result == BR_BUF_OK) {
            result = br_terminal_text(&text, (const char *)trailer->value, trailer->len);
        }
        if (result == BR_BUF_OK) {
            result = br_buf_puts(&text, "\n");
        }
    }
    if (text.len > 0) {
        (void)fputs(text.data, stderr);
    }
    br_buf_finish(&text);
    return result == BR_BUF_OK || fail_text(result, st);
}

static bool print_error(const struct br_client_answer *answer, struct br_status *st)
{
    struct br_buf text;
    br_buf_init(&text, ERROR_TEXT_MAX_BYTES);
    enum br_buf_result result =
        br_buf_printf(&text, "error: %s (%d)\n", br_code_name((enum br_code)answer->code), answer->code);
    if (result == BR_BUF_OK && answer->message[0] != '\0') {
        result = br_buf_puts(&text, "message: ");
        if (result == BR_BUF_OK) {
            result = br_terminal_text(&text, answer->message, strlen(answer->message));
        }
        if (result == BR_BUF_OK) {
            result = br_buf_puts(&text, "\n");
        }
    }
    for (size_t i = 0; i < answer->trailer_count && result == BR_BUF_OK; i++) {
        const struct br_client_trailer *trailer = &answer->trailers[i];
        if (strcmp(trailer->key, BR_STATUS_DETAILS_KEY) == 0) {
            result = br_status_details_text(&text, trailer->value, trailer->len);
        }
    }
    if (text.len > 0) {
        (void)fputs(text.data, stderr);
    }
    br_buf_finish(&text);
    return result == BR_BUF_OK || fail_text(result, st);
}

/* Prints the packed response of |method| as JSON. The server is no more trusted than any other. */
static bool print_response(const struct br_method *method, const struct br_client_answer *answer,
                           struct br_arena *arena, struct br_status *st)
{
    struct br_violations violations;
    br_violations_init(&violations, arena);
    if (!br_wire_check(method->output, answer->bytes, answer->len, BR_MAX_ANSWER_ELEMENTS, &violations, st)) {
        br_status_prefix(st, "the answer");
        return false;
    }
    const ProtobufCMessage *message =
        br_message_unpack(method->output->descriptor, answer->bytes, answer->len, arena);
    if (message == NULL) {
        if (arena->exhausted) {
            return br_arena_fail(arena, st);
        }
        return br_status_set(st, BR_INTERNAL, "MALFORMED_MESSAGE", "the answer is not a %s",
                             method->output->full_name);
    }
    char *json;
    size_t len;
    if (!br_json_write(method->output, message, NULL, &json, &len, st)) {
        return false;
    }

    struct br_buf text;
    br_buf_init(&text, ANSWER_TEXT_MAX_BYTES);
    enum br_buf_result result = br_terminal_json(&text, json, len);
    free(json);
    if (result == BR_BUF_OK) {
        (void)puts(text.data);
    }
    br_buf_finish(&text);
    return result == BR_BUF_OK || fail_text(result, st);
}

/* A gRPC code outside 1..16 is UNKNOWN, to gRPC's own rules. */
static int exit_code_of(int code)
{
    return BR_EXIT_CALL_BASE + (code >= 1 && code <= 16 ? code : (int)BR_UNKNOWN);
}

/* What is wrong with the arguments is BR_EXIT_USAGE, everything else BR_EXIT_FAILED. */
static int fail(const struct br_status *st)
{
    return br_cmd_fail(st->code == BR_INVALID_ARGUMENT ? BR_EXIT_USAGE : BR_EXIT_FAILED, st);
}

static int call(const struct br_contract *contract, const struct call_settings *settings,
                const struct br_texts *positional, struct br_arena *arena, struct br_buf *data)
{
    struct br_status st;
    if (positional->count != 1) {
        (void)br_status_set(&st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                            "call: give one METHOD, not %zu; see \"modelarts-bridge routes\"",
                            positional->count);
        return fail(&st);
    }
    struct br_client_request request = {.address = settings->client.address,
                                        .timeout_ms = settings->timeout_ms};
    size_t method_count;
    const struct br_method *methods = br_contract_methods(contract, &method_count);
    const struct br_method *method;
    const char *json = NULL;
    size_t json_len = 0;
    struct br_client_answer answer;
    if (!br_call_method(methods, method_count, positional->items[0], &method, &st) ||
        !br_client_settings_tls(&settings->client, &request.tls, &st) ||
        !read_metadata(&settings->metadata, arena, &request.metadata, &st) ||
        !find_data(settings->data, data, &json, &json_len, &st) ||
        !br_call_data(method, json, json_len, arena, &request.bytes, &request.len, &st)) {
        return fail(&st);
    }
    request.method = method->path;
    if (!br_client_call(&request, arena, &answer, &st)) {
        return fail(&st);
    }

    /* Nothing after this point is a wrong argument. */
    if (!print_warnings(&answer, &st)) {
        return br_cmd_fail(BR_EXIT_FAILED, &st);
    }
    if (answer.code == BR_OK) {
        if (!print_response(method, &answer, arena, &st)) {
            return br_cmd_fail(BR_EXIT_FAILED, &st);
        }
        return BR_EXIT_OK;
    }
    int code = exit_code_of(answer.code);
    if (!print_error(&answer, &st)) {
        return br_cmd_fail(code, &st);
    }
    return code;
}

int br_cmd_call(int argc, char **argv)
{
    struct call_settings settings = {0};
    struct br_texts positional = {0};
    struct br_status st;
    struct br_contract *contract = NULL;
    struct br_arena arena;
    struct br_buf data;
    br_arena_init(&arena, ARENA_MAX_BYTES);
    br_buf_init(&data, DATA_MAX_BYTES);

    int code = br_cmd_read(usage, &table, argc, argv, &settings, &positional);
    if (code < 0 && !br_contract_create(&br_schema_linked, br_named_functions, br_named_functions_count,
                                        &contract, &st)) {
        code = br_cmd_fail(BR_EXIT_FAILED, &st);
    }
    if (code < 0) {
        code = call(contract, &settings, &positional, &arena, &data);
    }

    br_contract_destroy(contract);
    br_buf_finish(&data);
    br_arena_finish(&arena);
    free(positional.items);
    br_settings_finish(&table, &settings);
    return code;
}
