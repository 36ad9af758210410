/*
 * The process's log: one JSON object a line on standard error.
 *
 * {"time":"2026-01-02T03:04:05.678Z","level":"info","event":"call","method":"...","code":"OK"}
 *
 * The event is a stable lower-case label; what varies stands in fields. No secret and no body may be given to it. A
 * reader of standard error that has stopped does not stop the process: what does not fit is dropped, and counted in
 * the line "log_lines_dropped".
 *
 * Threads: any; one lock around the write, which never waits for the reader.
 */
#ifndef BR_BASE_LOG_H
#define BR_BASE_LOG_H

#include "base/status.h"

#include <stdint.h>

enum br_log_level {
    BR_LOG_ERROR = 0,
    BR_LOG_WARN = 1,
    BR_LOG_INFO = 2,
    BR_LOG_DEBUG = 3,
};

/* One field of a line. Use br_log_text() and br_log_number() to make one. */
struct br_log_field {
    const char *key;
    const char *text; /* NULL: the field is |number| */
    int64_t number;
};

/* |key| and |text| borrowed until the line is written; a |text| that is NULL counts as "". */
static inline struct br_log_field br_log_text(const char *key, const char *text)
{
    return (struct br_log_field){.key = key, .text = text != NULL ? text : ""};
}

/* |key| borrowed until the line is written. */
static inline struct br_log_field br_log_number(const char *key, int64_t number)
{
    return (struct br_log_field){.key = key, .number = number};
}

/* Bytes of one line, the newline included; a longer one loses its last fields and says "cut":1. */
#define BR_LOG_LINE_MAX 4096

/* The least important level that is written; BR_LOG_INFO at start. */
void br_log_set_level(enum br_log_level level);
bool br_log_enabled(enum br_log_level level);

/* Writes one line if |level| is enabled. |fields| borrowed. */
void br_log(enum br_log_level level, const char *event, const struct br_log_field *fields,
            size_t field_count);

/* br_log() with the fields written in place: BR_LOG(BR_LOG_INFO, "listening", br_log_text("address", a)); */
#define BR_LOG(level, event, ...)                                                                   \
    do {                                                                                            \
        const struct br_log_field br_log_fields_[] = {__VA_ARGS__};                                 \
        br_log((level), (event), br_log_fields_, sizeof br_log_fields_ / sizeof br_log_fields_[0]); \
    } while (0)

#endif
