/*
 * error-table IN.tsv OUT.c: checks the vendor error table IN.tsv (bridge/translate/error_codes.tsv) and
 * writes it as the C file OUT.c that defines br_error_table (bridge/translate/error_map.h).
 *
 * Columns: http, code, grpc, reason, source; rows sorted by http as a number, then by code as bytes. What is
 * wrong is reported as "IN.tsv:LINE: ...", all of it, and then nothing is written.
 */
#include "base/parse.h"
#include "translate/vendor_code.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER "http\tcode\tgrpc\treason\tsource"
#define COLUMN_COUNT 5
#define MAX_ROWS 4096

struct row {
    int64_t http;
    enum br_code grpc;
    char code[BR_VENDOR_CODE_CAP];
    char reason[BR_REASON_CAP];
};

struct table {
    const char *path;
    size_t line; /* being read; the first is 1 */
    size_t error_count;
    size_t count;
    struct row rows[MAX_ROWS];
};

static void report(struct table *table, const char *format, ...) BR_PRINTF(2, 3);
static void report(struct table *table, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%zu: ", table->path, table->line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    table->error_count++;
}

/* Cuts |line| at its tabs; false when there are more or fewer columns than expected. */
static bool split_columns(char *line, char *columns[COLUMN_COUNT])
{
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        columns[i] = line;
        char *tab = strchr(line, '\t');
        if ((tab == NULL) != (i == COLUMN_COUNT - 1))
            return false;
        if (tab != NULL) {
            *tab = '\0';
            line = tab + 1;
        }
    }
    return true;
}

/* What no known code has would need quoting in C, or never match. */
static bool is_code(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr("._-", text[i]) == NULL)
            return false;
    }
    return len > 0 && len < BR_VENDOR_CODE_CAP;
}

static void read_http(struct table *table, const char *text, struct row *row)
{
    if (!br_parse_int64(text, strlen(text), &row->http) || row->http < 100 || row->http > 599)
        report(table, "http is '%s', not a number from 100 to 599", text);
}

static void read_grpc(struct table *table, const char *text, struct row *row)
{
    if (!br_code_parse(text, &row->grpc))
        report(table, "grpc is '%s', not the name of a gRPC code", text);
    else if (row->grpc == BR_OK)
        report(table, "grpc is OK, but a failed answer is never OK");
    else if (row->grpc == BR_DEADLINE_EXCEEDED)
        report(table, "grpc is DEADLINE_EXCEEDED, which says that the caller's own deadline passed; "
                      "a timeout further on is UNAVAILABLE");
}

static void read_code(struct table *table, const char *code, const char *reason, struct row *row)
{
    if (!is_code(code)) {
        report(table, "code is '%s', not 1 to %d letters, digits, '.', '_', '-'", code,
               BR_VENDOR_CODE_CAP - 1);
        return;
    }
    br_vendor_code_key(code, row->code);
    if (strcmp(code, row->code) != 0)
        report(table, "code is %s, but it is looked up as %s", code, row->code);
    if (!br_vendor_code_reason(code, row->reason))
        report(table, "code is %s, from which no reason can be derived", code);
    else if (strcmp(reason, row->reason) != 0)
        report(table, "reason is '%s', but the reason derived from %s is %s", reason, code, row->reason);
}

/* A caller that knows only the reason must know which code it was. */
static void check_against_others(struct table *table, const struct row *row)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct row *other = &table->rows[i];
        if (strcmp(row->reason, other->reason) == 0 && strcmp(row->code, other->code) != 0)
            report(table, "reason %s is also that of the code %s", row->reason, other->code);
    }
    if (table->count == 0)
        return;
    const struct row *previous = &table->rows[table->count - 1];
    int order = previous->http == row->http ? strcmp(previous->code, row->code)
                                            : (previous->http < row->http ? -1 : 1);
    if (order == 0)
        report(table, "duplicate of the row before");
    else if (order > 0)
        report(table, "not sorted: belongs before the row before");
}

static void read_row(struct table *table, char *line)
{
    char *columns[COLUMN_COUNT];
    if (!split_columns(line, columns)) {
        report(table, "not %d columns with one tab between them", COLUMN_COUNT);
        return;
    }
    if (table->count == MAX_ROWS) {
        report(table, "more than %d rows", MAX_ROWS);
        return;
    }
    size_t errors_before = table->error_count;
    struct row *row = &table->rows[table->count];
    read_http(table, columns[0], row);
    read_grpc(table, columns[2], row);
    read_code(table, columns[1], columns[3], row);
    if (columns[4][strspn(columns[4], " ")] == '\0')
        report(table, "source is empty: say where the meaning comes from");
    if (table->error_count > errors_before)
        return;
    check_against_others(table, row);
    table->count++;
}

/* Cuts the newline; false when the line has other control characters than tabs. */
static bool end_line(char *line, size_t len)
{
    if (len > 0 && line[len - 1] == '\n')
        line[--len] = '\0';
    for (size_t i = 0; i < len; i++) {
        if (iscntrl((unsigned char)line[i]) && line[i] != '\t')
            return false;
    }
    return true;
}

static bool read_table(struct table *table)
{
    FILE *in = fopen(table->path, "r");
    if (in == NULL) {
        fprintf(stderr, "%s: %s\n", table->path, strerror(errno));
        return false;
    }
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    while ((len = getline(&line, &cap, in)) >= 0) {
        table->line++;
        if (!end_line(line, (size_t)len))
            report(table, "a control character, such as the carriage return of a DOS file");
        else if (table->line > 1)
            read_row(table, line);
        else if (strcmp(line, HEADER) != 0)
            report(table, "the header is not http, code, grpc, reason, source, with tabs between them");
    }
    bool complete = feof(in) != 0;
    if (!complete)
        fprintf(stderr, "%s: %s\n", table->path, strerror(errno));
    else if (table->line < 2)
        report(table, "no rows");
    free(line);
    (void)fclose(in);
    return complete && table->error_count == 0;
}

static bool write_table(const struct table *table, const char *path)
{
    FILE *out = fopen(path, "w");
    if (out != NULL) {
        fputs("/* Generated by error-table. */\n#include \"translate/error_map.h\"\n\n"
              "const struct br_error_row br_error_table[] = {\n",
              out);
        for (size_t i = 0; i < table->count; i++) {
            const struct row *row = &table->rows[i];
            fprintf(out, "    {%d, \"%s\", BR_%s, \"%s\"},\n", (int)row->http, row->code,
                    br_code_name(row->grpc), row->reason);
        }
        fputs("};\n\nconst size_t br_error_table_count = sizeof br_error_table / sizeof br_error_table[0];\n",
              out);
        bool written = ferror(out) == 0;
        if (fclose(out) == 0 && written)
            return true;
    }
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return false;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: error-table IN.tsv OUT.c\n", stderr);
        return 2;
    }
    static struct table table;
    table.path = argv[1];
    return read_table(&table) && write_table(&table, argv[2]) ? 0 : 1;
}
