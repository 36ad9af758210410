/*
 * One line of the log, composed in memory.
 *
 * Pure. Threads: any.
 * Source:  RFC 8259 section 7 for JSON strings.
 */
#ifndef BR_BASE_LOG_LINE_H
#define BR_BASE_LOG_LINE_H

#include "base/log.h"

#include <time.h>

/* What a line says; all borrowed. */
struct br_log_entry {
    struct timespec when; /* since 1970 */
    enum br_log_level level;
    const char *event;
    const struct br_log_field *fields;
    size_t field_count;
    int64_t suppressed_count; /* 0: the line does not say */
};

struct br_log_line {
    char text[BR_LOG_LINE_MAX];
    size_t len;
    enum br_log_format format;
    bool full; /* something did not fit */
};

/*
 * Writes |entry| into |line|, its newline included.
 *
 * Text in JSON is a string. In the format for people it stands bare where it is printable ASCII without space, quote,
 * backslash and '=', else as the same string. A string has no control character (C0, DEL, C1), no line or paragraph
 * separator and none that turns the direction of text: those are escaped, and bytes that are not UTF-8 replaced.
 */
void br_log_line_write(struct br_log_line *line, enum br_log_format format, const struct br_log_entry *entry);

#endif
