/*
 * error-table IN.tsv OUT.c: checks the vendor error table IN.tsv (bridge/translate/error_codes.tsv) and
 * writes it as the C file OUT.c that defines br_error_table (bridge/translate/error_table.h).
 *
 * Beside what bridge/translate/error_row.h asks of any table: the detail column is there, rows are sorted by
 * http as a number, then by code as bytes, and each reason is the one derived from its code. What is wrong is
 * reported as "IN.tsv:LINE: ...", for all lines, and then nothing is written.
 */
#include "base/buf.h"
#include "translate/error_row.h"
#include "translate/vendor_code.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_FILE_BYTES ((size_t)4 << 20)

struct table {
    const char *path;
    size_t line; /* being read; the first is 1 */
    size_t error_count;
    size_t count;
    struct br_error_row rows[BR_ERROR_MAX_ROWS];
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

/* A caller that knows only the reason must know which code it was. */
static bool check_reason(struct table *table, const struct br_error_row *row)
{
    char reason[BR_REASON_CAP];
    if (!br_vendor_code_reason(row->vendor_code, reason)) {
        report(table, "code is %s, from which no reason can be derived", row->vendor_code);
        return false;
    }
    if (strcmp(row->reason, reason) != 0) {
        report(table, "reason is '%s', but the reason derived from %s is %s", row->reason, row->vendor_code,
               reason);
        return false;
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct br_error_row *other = &table->rows[i];
        if (strcmp(row->reason, other->reason) == 0 && strcmp(row->vendor_code, other->vendor_code) != 0) {
            report(table, "reason %s is also that of the code %s", row->reason, other->vendor_code);
            return false;
        }
    }
    return true;
}

static bool check_order(struct table *table, const struct br_error_row *row)
{
    int order = table->count > 0 ? br_error_row_compare(&table->rows[table->count - 1], row) : -1;
    if (order == 0) {
        report(table, "duplicate of the row before");
    } else if (order > 0) {
        report(table, "not sorted: belongs before the row before");
    }
    return order < 0;
}

static void add_row(struct table *table, const struct br_error_row *row)
{
    if (table->count == BR_ERROR_MAX_ROWS) {
        report(table, "more than %d rows", BR_ERROR_MAX_ROWS);
        return;
    }
    if (check_reason(table, row) && check_order(table, row)) {
        table->rows[table->count++] = *row;
    }
}

/* Reads the table from |text|, into which its rows point from then on. */
static bool read_table(struct table *table, struct br_buf *text)
{
    struct br_error_reader reader;
    br_error_reader_init(&reader, text->data, text->len);
    struct br_error_row row;
    struct br_status st;
    enum br_error_read result;
    while ((result = br_error_reader_next(&reader, &row, &st)) != BR_ERROR_READ_END) {
        table->line = reader.line;
        if (result == BR_ERROR_READ_ROW) {
            add_row(table, &row);
        } else {
            report(table, "%s", st.msg);
        }
    }
    table->line = reader.line;
    if (table->error_count > 0) {
        return false;
    }
    if (reader.column_count != BR_ERROR_COLUMN_COUNT) {
        report(table, "no header with the column detail");
    } else if (table->count == 0) {
        report(table, "no rows");
    }
    return table->error_count == 0;
}

static bool read_file(const char *path, struct br_buf *text)
{
    FILE *in = fopen(path, "r");
    if (in == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    char chunk[4096];
    size_t len;
    enum br_buf_result result = br_buf_puts(text, "");
    while (result == BR_BUF_OK && (len = fread(chunk, 1, sizeof chunk, in)) > 0) {
        result = br_buf_append(text, chunk, len);
    }
    bool complete = result == BR_BUF_OK && ferror(in) == 0;
    if (result == BR_BUF_FULL) {
        fprintf(stderr, "%s: more than %zu bytes\n", path, MAX_FILE_BYTES);
    } else if (!complete) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    }
    (void)fclose(in);
    return complete;
}

static const char *detail_name(enum br_error_detail detail)
{
    static const char *const names[] = {
        [BR_DETAIL_NONE] = "BR_DETAIL_NONE",
        [BR_DETAIL_QUOTA] = "BR_DETAIL_QUOTA",
        [BR_DETAIL_PRECONDITION] = "BR_DETAIL_PRECONDITION",
        [BR_DETAIL_RESOURCE] = "BR_DETAIL_RESOURCE",
    };
    return names[detail];
}

static void write_row(FILE *out, const struct br_error_row *row)
{
    fprintf(out, "    {%d, \"%s\", BR_%s, \"%s\", %s, ", row->http, row->vendor_code, br_code_name(row->code),
            row->reason, detail_name(row->detail));
    if (row->resource_type != NULL) {
        fprintf(out, "\"%s\"},\n", row->resource_type);
    } else {
        fputs("NULL},\n", out);
    }
}

static bool write_table(const struct table *table, const char *path)
{
    FILE *out = fopen(path, "w");
    if (out != NULL) {
        fputs("/* Generated by error-table. */\n#include \"translate/error_table.h\"\n\n"
              "const struct br_error_row br_error_table[] = {\n",
              out);
        for (size_t i = 0; i < table->count; i++) {
            write_row(out, &table->rows[i]);
        }
        fputs("};\n\nconst size_t br_error_table_count = sizeof br_error_table / sizeof br_error_table[0];\n",
              out);
        bool written = ferror(out) == 0;
        if (fclose(out) == 0 && written) {
            return true;
        }
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
    struct br_buf text;
    br_buf_init(&text, MAX_FILE_BYTES);
    bool done = read_file(argv[1], &text) && read_table(&table, &text) && write_table(&table, argv[2]);
    br_buf_finish(&text);
    return done ? 0 : 1;
}
