/*
 * The vendor error table: the rows that the build compiled in, and over them those of an operator.
 *
 * Pure. Threads: any; a table does not change once it is parsed.
 * Owns:    the texts and rows of a parsed table, until br_error_table_finish().
 * Source:  translate/error_codes.tsv; the form of a table stands in translate/error_row.h.
 */
#ifndef BR_TRANSLATE_ERROR_TABLE_H
#define BR_TRANSLATE_ERROR_TABLE_H

#include "base/arena.h"
#include "translate/error_row.h"

/* Bytes of the text of a table; a row takes about a hundred. */
#define BR_ERROR_TABLE_MAX_BYTES ((size_t)1 << 20)

/* The compiled rows, sorted as br_error_row_compare() orders them; generated from translate/error_codes.tsv. */
extern const struct br_error_row br_error_table[];
extern const size_t br_error_table_count;

/* Rows that come before the compiled ones. All zero: none. */
struct br_error_table {
    struct br_arena arena;
    const struct br_error_row *rows; /* sorted, no two with the same http and vendor_code */
    size_t count;
};

/*
 * Reads an operator's rows from |text| (|len| bytes, no NUL needed). They need no order; a row replaces the
 * compiled one of its http and code, or is added. The reason is the operator's choice.
 * |text|  borrowed.
 * |out|   written on success; release with br_error_table_finish().
 * Errors: INVALID_ARGUMENT/BAD_SETTING  too large, a bad or missing header, a bad row, two rows with the same
 *                                       http and code; "line N: " stands before what is wrong in a line, and
 *                                       the caller puts the file's name before that
 *         RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_error_table_parse(const char *text, size_t len, struct br_error_table *out,
                          struct br_status *st) BR_MUST_CHECK;

/* Releases the rows; errors that were made from them hold their reasons no longer. Accepts NULL and all zero. */
void br_error_table_finish(struct br_error_table *table);

/*
 * The row for |code| under |http|: of |table|, else compiled in; NULL: none.
 * |table| borrowed; NULL: the compiled rows alone.
 * |code|  as the vendor wrote it, shorter than BR_VENDOR_CODE_CAP.
 */
const struct br_error_row *br_error_table_find(const struct br_error_table *table, int http,
                                               const char *code);

#endif
