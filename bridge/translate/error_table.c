#include "translate/error_table.h"

#include "translate/vendor_code.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Beside the text and the rows: what the arena adds to align them. */
#define SLACK_BYTES 256

static int compare(const void *a, const void *b)
{
    return br_error_row_compare(a, b);
}

static bool fail(struct br_status *st, const char *what)
{
    return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "%s", what);
}

/* As many rows as |text| can have. */
static size_t max_rows(const char *text, size_t len)
{
    size_t lines = 1;
    for (size_t i = 0; i < len && lines < BR_ERROR_MAX_ROWS; i++) {
        lines += text[i] == '\n';
    }
    return lines;
}

/* Puts |row| in its place among the |*count| sorted rows, which have room for it. */
static bool insert(struct br_error_row *rows, size_t *count, const struct br_error_row *row,
                   struct br_status *st)
{
    size_t low = 0;
    size_t high = *count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = br_error_row_compare(row, &rows[middle]);
        if (order == 0) {
            return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "another row for %s under %d",
                                 row->vendor_code, row->http);
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    memmove(&rows[low + 1], &rows[low], (*count - low) * sizeof *rows);
    rows[low] = *row;
    ++*count;
    return true;
}

/* Reads all rows into |rows|, which has room for |cap|. */
static bool read_rows(struct br_error_reader *reader, struct br_error_row *rows, size_t cap, size_t *count,
                      struct br_status *st)
{
    struct br_error_row row;
    for (;;) {
        switch (br_error_reader_next(reader, &row, st)) {
        case BR_ERROR_READ_END:
            return reader->column_count > 0 || fail(st, "no header");
        case BR_ERROR_READ_BAD:
            return false;
        case BR_ERROR_READ_ROW:
            break;
        }
        /* |cap| is the number of lines, or else the ceiling. */
        if (*count == cap) {
            return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "more than %d rows",
                                 BR_ERROR_MAX_ROWS);
        }
        if (!insert(rows, count, &row, st)) {
            return false;
        }
    }
}

bool br_error_table_parse(const char *text, size_t len, struct br_error_table *out, struct br_status *st)
{
    if (len > BR_ERROR_TABLE_MAX_BYTES) {
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "more than %zu bytes",
                             BR_ERROR_TABLE_MAX_BYTES);
    }

    struct br_error_table table = {.count = 0};
    br_arena_init(&table.arena,
                  BR_ERROR_TABLE_MAX_BYTES + BR_ERROR_MAX_ROWS * sizeof(struct br_error_row) + SLACK_BYTES);
    size_t cap = max_rows(text, len);
    char *copy = br_arena_alloc(&table.arena, len + 1);
    struct br_error_row *rows = br_arena_alloc(&table.arena, cap * sizeof *rows);
    if (copy == NULL || rows == NULL) {
        (void)br_arena_fail(&table.arena, st);
        br_error_table_finish(&table);
        return false;
    }
    if (len > 0) {
        memcpy(copy, text, len);
    }

    struct br_error_reader reader;
    br_error_reader_init(&reader, copy, len);
    if (!read_rows(&reader, rows, cap, &table.count, st)) {
        char where[32];
        (void)snprintf(where, sizeof where, "line %zu", reader.line);
        if (reader.line > 0) {
            br_status_prefix(st, where);
        }
        br_error_table_finish(&table);
        return false;
    }
    table.rows = rows;
    *out = table;
    return true;
}

void br_error_table_finish(struct br_error_table *table)
{
    if (table == NULL) {
        return;
    }
    br_arena_finish(&table->arena);
    *table = (struct br_error_table){.count = 0};
}

const struct br_error_row *br_error_table_find(const struct br_error_table *table, int http, const char *code)
{
    char key[BR_VENDOR_CODE_CAP];
    br_vendor_code_key(code, key);
    const struct br_error_row wanted = {.http = http, .vendor_code = key};
    const struct br_error_row *row = NULL;
    if (table != NULL && table->count > 0) {
        row = bsearch(&wanted, table->rows, table->count, sizeof wanted, compare);
    }
    return row != NULL ? row : bsearch(&wanted, br_error_table, br_error_table_count, sizeof wanted, compare);
}
