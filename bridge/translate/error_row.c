#include "translate/error_row.h"

#include "base/parse.h"
#include "translate/vendor_code.h"

#include <string.h>

#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

static const char *const column_names[BR_ERROR_COLUMN_COUNT] = {"http",   "code",   "grpc",
                                                                "reason", "source", "detail"};

#define FAIL(st, ...) br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", __VA_ARGS__)

int br_error_row_compare(const struct br_error_row *a, const struct br_error_row *b)
{
    return a->http != b->http ? (a->http < b->http ? -1 : 1) : strcmp(a->vendor_code, b->vendor_code);
}

static bool holds_only(const char *text, const char *set)
{
    return text[strspn(text, set)] == '\0';
}

static bool read_http(const char *text, struct br_error_row *row, struct br_status *st)
{
    int64_t http;
    if (!br_parse_int64(text, strlen(text), &http) || http < 400 || http > 599) {
        return FAIL(st, "http is '%s', not a number from 400 to 599", text);
    }
    row->http = (int)http;
    return true;
}

/* What no known code has would need quoting in C, or never match. */
static bool read_code(const char *text, struct br_error_row *row, struct br_status *st)
{
    size_t len = strlen(text);
    if (len == 0 || len >= BR_VENDOR_CODE_CAP || !holds_only(text, UPPER LOWER DIGITS "._-")) {
        return FAIL(st, "code is '%s', not 1 to %d letters, digits, '.', '_', '-'", text,
                    BR_VENDOR_CODE_CAP - 1);
    }
    char key[BR_VENDOR_CODE_CAP];
    br_vendor_code_key(text, key);
    if (strcmp(text, key) != 0) {
        return FAIL(st, "code is %s, but it is looked up as %s", text, key);
    }
    row->vendor_code = text;
    return true;
}

static bool read_grpc(const char *text, struct br_error_row *row, struct br_status *st)
{
    if (!br_code_parse(text, &row->code)) {
        return FAIL(st, "grpc is '%s', not the name of a gRPC code", text);
    }
    if (row->code == BR_OK) {
        return FAIL(st, "grpc is OK, but a failed answer is never OK");
    }
    if (row->code == BR_DEADLINE_EXCEEDED) {
        return FAIL(st, "grpc is DEADLINE_EXCEEDED, which says that the caller's own deadline passed; "
                        "a timeout further on is UNAVAILABLE");
    }
    return true;
}

static bool read_reason(const char *text, struct br_error_row *row, struct br_status *st)
{
    size_t len = strlen(text);
    if (len < 3 || len >= BR_REASON_CAP || !holds_only(text, UPPER DIGITS "_") ||
        strchr(UPPER, text[0]) == NULL || text[len - 1] == '_') {
        return FAIL(st, "reason is '%s', not [A-Z][A-Z0-9_]+[A-Z0-9] of at most %d characters", text,
                    BR_REASON_CAP - 1);
    }
    row->reason = text;
    return true;
}

static bool read_source(const char *text, struct br_status *st)
{
    if (holds_only(text, " ")) {
        return FAIL(st, "source is empty: say where the meaning comes from");
    }
    return true;
}

/* "modelarts.Service": the service in lower case, the type as a message's name. */
static bool is_resource_type(const char *text)
{
    size_t service_len = strspn(text, LOWER);
    const char *type = text + service_len + 1;
    return service_len > 0 && text[service_len] == '.' && type[0] != '\0' && strchr(UPPER, type[0]) != NULL &&
           holds_only(type, UPPER LOWER DIGITS);
}

static bool read_detail(const char *text, struct br_error_row *row, struct br_status *st)
{
    static const char resource[] = "resource:";
    enum br_code code = row->code;
    bool fits = true;

    row->resource_type = NULL;
    if (strcmp(text, "-") == 0) {
        row->detail = BR_DETAIL_NONE;
    } else if (strcmp(text, "quota") == 0) {
        row->detail = BR_DETAIL_QUOTA;
        fits = code == BR_RESOURCE_EXHAUSTED;
    } else if (strcmp(text, "precondition") == 0) {
        row->detail = BR_DETAIL_PRECONDITION;
        fits = code == BR_FAILED_PRECONDITION;
    } else if (strncmp(text, resource, sizeof resource - 1) == 0 &&
               is_resource_type(text + sizeof resource - 1)) {
        row->detail = BR_DETAIL_RESOURCE;
        row->resource_type = text + sizeof resource - 1;
        fits = code == BR_NOT_FOUND || code == BR_ALREADY_EXISTS;
    } else {
        return FAIL(st,
                    "detail is '%s', not '-', 'quota', 'precondition' or one such as "
                    "'resource:modelarts.Service'",
                    text);
    }
    return fits || FAIL(st, "detail is '%s', which does not go with %s", text, br_code_name(code));
}

/* Cuts |line| at its tabs; false when there are more or fewer columns than expected. */
static bool split_columns(char *line, size_t count, const char *columns[BR_ERROR_COLUMN_COUNT])
{
    for (size_t i = 0; i < count; i++) {
        columns[i] = line;
        char *tab = strchr(line, '\t');
        if ((tab == NULL) != (i == count - 1)) {
            return false;
        }
        if (tab != NULL) {
            *tab = '\0';
            line = tab + 1;
        }
    }
    return true;
}

static bool read_row(char *line, size_t column_count, struct br_error_row *out, struct br_status *st)
{
    const char *columns[BR_ERROR_COLUMN_COUNT] = {[BR_ERROR_COLUMN_COUNT - 1] = "-"};
    if (!split_columns(line, column_count, columns)) {
        return FAIL(st, "not %zu columns with one tab between them", column_count);
    }
    struct br_error_row row;
    if (!read_http(columns[0], &row, st) || !read_code(columns[1], &row, st) ||
        !read_grpc(columns[2], &row, st) || !read_reason(columns[3], &row, st) ||
        !read_source(columns[4], st) || !read_detail(columns[5], &row, st)) {
        return false;
    }
    *out = row;
    return true;
}

static bool read_header(struct br_error_reader *reader, char *line, struct br_status *st)
{
    const char *columns[BR_ERROR_COLUMN_COUNT];
    size_t count = BR_ERROR_COLUMN_COUNT;
    /* What follows a bad header is read as whole rows. */
    reader->column_count = BR_ERROR_COLUMN_COUNT;

    size_t tab_count = 0;
    for (const char *c = line; *c != '\0'; c++) {
        tab_count += *c == '\t';
    }
    if (tab_count == BR_ERROR_COLUMN_COUNT - 2) {
        count = BR_ERROR_COLUMN_COUNT - 1;
    }
    bool good = split_columns(line, count, columns);
    for (size_t i = 0; good && i < count; i++) {
        good = strcmp(columns[i], column_names[i]) == 0;
    }
    if (!good) {
        return FAIL(st, "the header is not http, code, grpc, reason, source, detail, with tabs between them");
    }
    reader->column_count = count;
    return true;
}

static bool has_control(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)line[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return true;
        }
    }
    return false;
}

void br_error_reader_init(struct br_error_reader *reader, char *text, size_t len)
{
    *reader = (struct br_error_reader){.at = text, .end = text + len};
}

enum br_error_read br_error_reader_next(struct br_error_reader *reader, struct br_error_row *row,
                                        struct br_status *st)
{
    while (reader->at < reader->end) {
        char *line = reader->at;
        char *newline = memchr(line, '\n', (size_t)(reader->end - line));
        char *line_end = newline != NULL ? newline : reader->end;
        reader->at = newline != NULL ? newline + 1 : reader->end;
        reader->line++;
        *line_end = '\0';

        if (has_control(line, (size_t)(line_end - line))) {
            (void)FAIL(st, "a control character, such as the carriage return of a DOS file");
            return BR_ERROR_READ_BAD;
        }
        if (line[0] == '#') {
            continue;
        }
        if (reader->column_count > 0) {
            return read_row(line, reader->column_count, row, st) ? BR_ERROR_READ_ROW : BR_ERROR_READ_BAD;
        }
        if (!read_header(reader, line, st)) {
            return BR_ERROR_READ_BAD;
        }
    }
    return BR_ERROR_READ_END;
}
