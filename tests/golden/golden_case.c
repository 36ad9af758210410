#include "golden_case.h"

#include <google/rpc/status.pb-c.h>

#include <ctype.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

#define STATUS_MESSAGE "google.rpc.Status"
#define IMPORTS_MAX 4

void golden_fail(struct golden *golden, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("FAIL %s: ", golden->name);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
    golden->failed = true;
}

void *golden_need(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "out of memory or files\n");
        exit(2);
    }
    return memory;
}

void golden_append(struct br_buf *buf, const char *bytes, size_t len)
{
    if (br_buf_append(buf, bytes, len) != BR_BUF_OK) {
        golden_need(NULL);
    }
}

void golden_append_text(struct br_buf *buf, const char *text)
{
    golden_append(buf, text, strlen(text));
}

struct text golden_copy(struct golden *golden, const char *bytes, size_t len)
{
    struct text text = {.data = golden_need(br_arena_alloc(&golden->arena, len + 1)), .len = len};
    memcpy(text.data, bytes, len);
    return text;
}

struct text golden_take(struct golden *golden, struct br_buf *buf)
{
    struct text text = golden_copy(golden, buf->len > 0 ? buf->data : "", buf->len);
    br_buf_finish(buf);
    return text;
}

static struct text read_stream(struct golden *golden, FILE *stream)
{
    struct br_buf buf;
    br_buf_init(&buf, GOLDEN_BYTES);
    char chunk[4096];
    size_t len;
    while ((len = fread(chunk, 1, sizeof chunk, stream)) > 0) {
        golden_append(&buf, chunk, len);
    }
    return golden_take(golden, &buf);
}

struct text golden_read_file(struct golden *golden, const char *name)
{
    const char *path =
        golden_need(br_arena_printf(&golden->arena, "%s/%s/%s", golden->kit->folder, golden->name, name));
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) {
        if (errno != ENOENT) {
            golden_fail(golden, "%s cannot be read: %s", name, strerror(errno));
        }
        return (struct text){0};
    }
    struct text text = read_stream(golden, stream);
    fclose(stream);
    return text;
}

const char *golden_next_line(struct golden *golden, const char **at, const char *end)
{
    if (*at == end) {
        return NULL;
    }
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    const char *stop = newline != NULL ? newline : end;
    const char *line = golden_copy(golden, *at, (size_t)(stop - *at)).data;
    *at = newline != NULL ? newline + 1 : end;
    return line;
}

struct br_headers golden_read_pairs(struct golden *golden, const char *name, const char **at, const char *end)
{
    struct br_header *items = golden_need(br_arena_alloc(&golden->arena, GOLDEN_PAIRS_MAX * sizeof *items));
    struct br_headers pairs = {.items = items};
    const char *line;
    while ((line = golden_next_line(golden, at, end)) != NULL && line[0] != '\0') {
        const char *colon = strchr(line, ':');
        if (colon == NULL || colon == line || pairs.count == GOLDEN_PAIRS_MAX) {
            golden_fail(golden, "%s: \"%s\" is not \"key: value\", or one too many", name, line);
            break;
        }
        items[pairs.count].name = golden_copy(golden, line, (size_t)(colon - line)).data;
        items[pairs.count++].value = colon + 1 + (colon[1] == ' ');
    }
    return pairs;
}

struct br_headers golden_read_pairs_file(struct golden *golden, const char *name, const char *fallback)
{
    struct text text = golden_read_file(golden, name);
    const char *at = text.data != NULL ? text.data : fallback;
    const char *end = at + strlen(at);
    struct br_headers pairs = golden_read_pairs(golden, name, &at, end);
    if (at != end) {
        golden_fail(golden, "%s has an empty line", name);
    }
    return pairs;
}

static bool read_hex(struct golden *golden, struct text source, struct text *bytes)
{
    *bytes = golden_copy(golden, source.data, source.len);
    bytes->len = 0;
    int high = -1;
    for (const char *at = source.data; *at != '\0'; at++) {
        if (*at == '#') {
            at += strcspn(at, "\n") - 1;
            continue;
        }
        const char digit[] = {*at, '\0'};
        if (isxdigit((unsigned char)*at)) {
            int value = (int)strtol(digit, NULL, 16);
            if (high >= 0) {
                bytes->data[bytes->len++] = (char)(high << 4 | value);
            }
            high = high < 0 ? value : -1;
        } else if (!isspace((unsigned char)*at)) {
            golden_fail(golden, "request.hex holds \"%s\"", digit);
            return false;
        }
    }
    if (high >= 0) {
        golden_fail(golden, "request.hex ends in the middle of a byte");
    }
    return high < 0;
}

bool golden_read_request(struct golden *golden, struct text *bytes)
{
    struct text source = golden_read_file(golden, "request.txtpb");
    struct text hex = golden_read_file(golden, "request.hex");
    if ((source.data == NULL) == (hex.data == NULL)) {
        golden_fail(golden, "needs one of request.txtpb and request.hex");
        return false;
    }
    if (source.data == NULL) {
        return read_hex(golden, hex, bytes);
    }
    return golden_encode(golden, "request.txtpb", golden->method->input->full_name, source, bytes);
}

/* ---- Comparing ---- */

bool golden_is_equal(struct text a, struct text b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* Shows the lines of |text| but for |skip_start| and |skip_end| bytes. */
static void print_lines(char sign, struct text text, size_t skip_start, size_t skip_end)
{
    const char *end = text.data + text.len - skip_end;
    for (const char *at = text.data + skip_start; at < end; at += strcspn(at, "\n") + 1) {
        printf("    %c %.*s\n", sign, (int)strcspn(at, "\n"), at);
    }
    if (text.len > 0 && skip_end == 0 && text.data[text.len - 1] != '\n') {
        printf("    %c (without a line end)\n", sign);
    }
}

void golden_print_unexpected(struct text text)
{
    print_lines('+', text, 0, 0);
}

void golden_expect_text(struct golden *golden, const char *what, struct text expected, struct text actual)
{
    if (golden_is_equal(expected, actual)) {
        return;
    }
    /* The whole lines that are equal at the start and at the end are not shown. */
    size_t shorter = expected.len < actual.len ? expected.len : actual.len;
    size_t start = 0;
    for (size_t i = 0; i < shorter && expected.data[i] == actual.data[i]; i++) {
        start = expected.data[i] == '\n' ? i + 1 : start;
    }
    size_t end = 0;
    for (size_t i = 1; i <= shorter - start && expected.data[expected.len - i] == actual.data[actual.len - i];
         i++) {
        end = expected.data[expected.len - i] == '\n' ? i - 1 : end;
    }
    golden_fail(golden, "%s: - expected, + actual", what);
    print_lines('-', expected, start, end);
    print_lines('+', actual, start, end);
}

/* ---- protoc ---- */

/* Runs protoc with |input| as its standard input; its complaints go to our standard error. */
static bool run_protoc(struct golden *golden, const char *const *argv, struct text input, struct text *output)
{
    FILE *in = golden_need(tmpfile());
    FILE *out = golden_need(tmpfile());
    bool done = fwrite(input.data, 1, input.len, in) == input.len && fflush(in) == 0;
    rewind(in);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fileno(in), 0);
    posix_spawn_file_actions_adddup2(&actions, fileno(out), 1);
    pid_t pid;
    int status = -1;
    done = done && posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ) == 0 &&
           waitpid(pid, &status, 0) == pid && status == 0;
    posix_spawn_file_actions_destroy(&actions);
    if (done) {
        rewind(out);
        *output = read_stream(golden, out);
    }
    fclose(in);
    fclose(out);
    return done;
}

static const char *sets_option(struct golden *golden)
{
    return golden_need(br_arena_printf(&golden->arena, "--descriptor_set_in=%s", golden->kit->sets));
}

/* The rest of |line| behind "# |key|: "; NULL for other lines. */
static const char *comment_value(const char *line, const char *key)
{
    size_t len = strlen(key);
    bool is_it = strncmp(line, "# ", 2) == 0 && strncmp(line + 2, key, len) == 0 &&
                 strncmp(line + 2 + len, ": ", 2) == 0;
    return is_it ? line + len + 4 : NULL;
}

bool golden_encode(struct golden *golden, const char *name, const char *message, struct text source,
                   struct text *bytes)
{
    const char *argv[3 + IMPORTS_MAX + 1] = {
        golden->kit->protoc, sets_option(golden),
        golden_need(br_arena_printf(&golden->arena, "--encode=%s", message))};
    size_t count = 3;
    const char *declared = "";
    const char *at = source.data;
    const char *line;
    while ((line = golden_next_line(golden, &at, source.data + source.len)) != NULL && line[0] == '#') {
        const char *file = comment_value(line, "proto-file");
        file = file != NULL ? file : comment_value(line, "proto-import");
        if (file != NULL && count < 3 + IMPORTS_MAX) {
            argv[count++] = file;
        }
        const char *value = comment_value(line, "proto-message");
        declared = value != NULL ? value : declared;
    }
    if (strcmp(declared, message) != 0) {
        golden_fail(golden, "%s has no line \"# proto-message: %s\" at its top", name, message);
        return false;
    }
    if (!run_protoc(golden, argv, source, bytes)) {
        golden_fail(golden, "%s is no %s that protoc can encode", name, message);
        return false;
    }
    return true;
}

static struct text decode_plain(struct golden *golden, const char *message, struct text bytes)
{
    const char *const argv[] = {
        golden->kit->protoc,
        sets_option(golden),
        golden_need(br_arena_printf(&golden->arena, "--decode=%s", message)),
        "modelarts/v1/modelarts_service.proto",
        "google/rpc/status.proto",
        "google/rpc/error_details.proto",
        NULL,
    };
    struct text text;
    if (!run_protoc(golden, argv, bytes, &text)) {
        golden_fail(golden, "protoc cannot decode a %s of %zu bytes", message, bytes.len);
        text = golden_copy(golden, "", 0);
    }
    return text;
}

static void append_detail(struct golden *golden, struct br_buf *buf, const Google__Protobuf__Any *any)
{
    const char *slash = strrchr(any->type_url, '/');
    struct text value = {.data = (char *)any->value.data, .len = any->value.len};
    struct text inner = decode_plain(golden, slash != NULL ? slash + 1 : any->type_url, value);
    golden_append_text(buf, "details {\n  [");
    golden_append_text(buf, any->type_url);
    golden_append_text(buf, "] {\n");
    const char *at = inner.data;
    const char *line;
    while ((line = golden_next_line(golden, &at, inner.data + inner.len)) != NULL) {
        golden_append_text(buf, "    ");
        golden_append_text(buf, line);
        golden_append_text(buf, "\n");
    }
    golden_append_text(buf, "  }\n}\n");
}

struct text golden_decode(struct golden *golden, const char *message, struct text bytes)
{
    struct text plain = decode_plain(golden, message, bytes);
    const char *details = strstr(plain.data, "details {\n");
    if (strcmp(message, STATUS_MESSAGE) != 0 || details == NULL) {
        return plain;
    }
    /* protoc shows the details as bytes. */
    struct br_buf buf;
    br_buf_init(&buf, GOLDEN_BYTES);
    golden_append(&buf, plain.data, (size_t)(details - plain.data));
    Google__Rpc__Status *status =
        golden_need(google__rpc__status__unpack(NULL, bytes.len, (const uint8_t *)bytes.data));
    for (size_t i = 0; i < status->n_details; i++) {
        append_detail(golden, &buf, status->details[i]);
    }
    google__rpc__status__free_unpacked(status, NULL);
    return golden_take(golden, &buf);
}
