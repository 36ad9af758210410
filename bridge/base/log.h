/*
 * The process's log: one line for each event on standard error, as JSON or as text for people.
 *
 * {"time":"2026-01-02T03:04:05.678Z","level":"info","event":"call","method":"...","code":"OK"}
 * 2026-01-02 03:04:05.678 INFO  call method=... code=OK
 *
 * The event is a stable lower-case label; what varies stands in fields. No secret and no body may be given to it.
 * Whatever a value holds, a line stays one line, and nothing in it passes for another field.
 *
 * A reader of standard error that has stopped does not stop the process: what does not fit is dropped, and counted in
 * the line "log_lines_dropped". Errors and warnings that repeat are limited by event (log_repeats.h): the next line of
 * the event that is written has the count of those before it in "suppressed", and br_log_report_suppressed() tells
 * what is left at the end.
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

enum br_log_format {
    BR_LOG_JSON = 0,
    BR_LOG_TEXT = 1,
};

enum br_log_kind {
    BR_LOG_KIND_TEXT,
    BR_LOG_KIND_NUMBER,
    BR_LOG_KIND_MS,
};

/* One field of a line. Use br_log_text(), br_log_number() and br_log_ms() to make one. */
struct br_log_field {
    const char *key;
    enum br_log_kind kind;
    const char *text;
    int64_t number; /* of BR_LOG_KIND_MS: microseconds */
};

/* |key| and |text| borrowed until the line is written; a |text| that is NULL counts as "". */
static inline struct br_log_field br_log_text(const char *key, const char *text)
{
    return (struct br_log_field){.key = key, .kind = BR_LOG_KIND_TEXT, .text = text != NULL ? text : ""};
}

/* |key| borrowed until the line is written. */
static inline struct br_log_field br_log_number(const char *key, int64_t number)
{
    return (struct br_log_field){.key = key, .kind = BR_LOG_KIND_NUMBER, .number = number};
}

/* Microseconds, written as milliseconds with three decimals: 1.234. |key| borrowed until the line is written. */
static inline struct br_log_field br_log_ms(const char *key, int64_t duration_us)
{
    return (struct br_log_field){.key = key, .kind = BR_LOG_KIND_MS, .number = duration_us};
}

/* Bytes of one line, the newline included; a longer one loses its last fields and says "cut":1. */
#define BR_LOG_LINE_MAX 4096

/* The least important level that is written; BR_LOG_INFO at start. */
void br_log_set_level(enum br_log_level level);
enum br_log_level br_log_level(void);
bool br_log_enabled(enum br_log_level level);

/* "error", "warn", "info" or "debug"; process lifetime. */
const char *br_log_level_name(enum br_log_level level);

/* The form of all further lines; BR_LOG_JSON at start. */
void br_log_set_format(enum br_log_format format);

/*
 * Writes one line if |level| is enabled, and if it is no repeat beyond the limit.
 * |event|  process lifetime: a string literal.
 * |fields| borrowed.
 */
void br_log(enum br_log_level level, const char *event, const struct br_log_field *fields,
            size_t field_count);

/* br_log() without the limit on repeats: for lines whose number is bounded, each of which matters. */
void br_log_always(enum br_log_level level, const char *event, const struct br_log_field *fields,
                   size_t field_count);

/* br_log() with the fields written in place: BR_LOG(BR_LOG_INFO, "listening", br_log_text("address", a)); */
#define BR_LOG(level, event, ...)                                                                   \
    do {                                                                                            \
        const struct br_log_field br_log_fields_[] = {__VA_ARGS__};                                 \
        br_log((level), (event), br_log_fields_, sizeof br_log_fields_ / sizeof br_log_fields_[0]); \
    } while (0)

/*
 * Writes a line "log_lines_suppressed" for each event with repeats that no line has told of, and starts to count anew.
 * For the end of the process.
 */
void br_log_report_suppressed(void);

/* The lines lost since the start because the reader had no room for them, and repeats that only those told of. */
int64_t br_log_dropped_count(void);

#endif
