/*
 * One row of a vendor error table: as data, and how it is read from text. The build's own table and an
 * operator's keep to the same rules, checked here.
 *
 * A table is lines of text. Lines that begin with '#' are comments; the first other line is the header; then
 * come the rows, their columns parted by one tab:
 *
 *   http    the final status, 400 to 599: the others are never looked up
 *   code    the vendor's code; the gateway's as "APIG.0101", never "APIGW.0101"
 *   grpc    the name of a gRPC code; not OK, and not DEADLINE_EXCEEDED, which is about the caller's own deadline
 *   reason  ErrorInfo.reason: [A-Z][A-Z0-9_]+[A-Z0-9], at most 63 characters
 *   source  where the meaning comes from; any text that is not empty
 *   detail  the detail beside ErrorInfo: "-" none; "quota" QuotaFailure, of RESOURCE_EXHAUSTED; "precondition"
 *           PreconditionFailure, of FAILED_PRECONDITION; "resource:modelarts.Service" ResourceInfo with this
 *           type, of NOT_FOUND and ALREADY_EXISTS
 *
 * A header without |detail| is good for rows without it.
 *
 * Pure. Threads: any.
 * Source: bridge_conventions.md section 3; google/rpc/error_details.proto.
 */
#ifndef BR_TRANSLATE_ERROR_ROW_H
#define BR_TRANSLATE_ERROR_ROW_H

#include "base/status.h"

/* The columns of a whole row, |detail| included. */
#define BR_ERROR_COLUMN_COUNT 6

/* Rows of one table. Known are some hundreds. */
#define BR_ERROR_MAX_ROWS 4096

/* What an error carries beside ErrorInfo because its row says so. */
enum br_error_detail {
    BR_DETAIL_NONE,
    BR_DETAIL_QUOTA,        /* QuotaFailure */
    BR_DETAIL_PRECONDITION, /* PreconditionFailure */
    BR_DETAIL_RESOURCE,     /* ResourceInfo */
};

struct br_error_row {
    int http;                /* 400..599 */
    const char *vendor_code; /* "ModelArts.3502"; the gateway's APIGW. is looked up as APIG. */
    enum br_code code;       /* neither OK nor DEADLINE_EXCEEDED */
    const char *reason;
    enum br_error_detail detail;
    const char *resource_type; /* of BR_DETAIL_RESOURCE; else NULL */
};

/* Orders rows by http, then by vendor_code as bytes: negative, 0 or positive, as strcmp(). */
int br_error_row_compare(const struct br_error_row *a, const struct br_error_row *b);

/* Goes through the text of a table. */
struct br_error_reader {
    char *at;            /* what is not read yet */
    char *end;           /* the NUL after the text */
    size_t line;         /* of what was read last; the first is 1 */
    size_t column_count; /* as the header says; 0: no header yet */
};

enum br_error_read {
    BR_ERROR_READ_ROW,
    BR_ERROR_READ_BAD, /* the line is wrong; reading may go on after it */
    BR_ERROR_READ_END,
};

/*
 * Starts at the beginning of |text|.
 * |text| kept, and cut into its cells while it is read; rows point into it. |text[len]| is a NUL.
 */
void br_error_reader_init(struct br_error_reader *reader, char *text, size_t len);

/*
 * Reads up to the next row.
 * |row| written with BR_ERROR_READ_ROW; its texts live as long as the reader's text.
 * |st|  written with BR_ERROR_READ_BAD: INVALID_ARGUMENT/BAD_SETTING, the first mistake of |reader->line|.
 */
enum br_error_read br_error_reader_next(struct br_error_reader *reader, struct br_error_row *row,
                                        struct br_status *st) BR_MUST_CHECK;

#endif
