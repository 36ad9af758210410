#include "base/log.h"

#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static atomic_int enabled_level = BR_LOG_INFO;

/* What may follow the last field that fits. */
static const char cut_mark[] = ",\"cut\":1";
static const char line_end[] = "}\n";

#define FIELDS_MAX (BR_LOG_LINE_MAX - (sizeof cut_mark - 1) - (sizeof line_end - 1))

_Static_assert(BR_LOG_LINE_MAX <= PIPE_BUF, "a line is written at once or not at all");

struct line {
    char text[BR_LOG_LINE_MAX];
    size_t len;
    bool full; /* something did not fit in FIELDS_MAX */
};

void br_log_set_level(enum br_log_level level)
{
    atomic_store_explicit(&enabled_level, (int)level, memory_order_relaxed);
}

bool br_log_enabled(enum br_log_level level)
{
    return (int)level <= atomic_load_explicit(&enabled_level, memory_order_relaxed);
}

static void put_bytes(struct line *line, const char *bytes, size_t len)
{
    if (line->full || len > FIELDS_MAX - line->len) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->len, bytes, len);
    line->len += len;
}

static void put_text(struct line *line, const char *text)
{
    put_bytes(line, text, strlen(text));
}

/* One byte of well-formed UTF-8, escaped where JSON asks for it (RFC 8259 section 7). */
static void put_escaped(struct line *line, char c)
{
    char escape[8];
    switch (c) {
    case '"':
        put_text(line, "\\\"");
        break;
    case '\\':
        put_text(line, "\\\\");
        break;
    case '\n':
        put_text(line, "\\n");
        break;
    case '\r':
        put_text(line, "\\r");
        break;
    case '\t':
        put_text(line, "\\t");
        break;
    default:
        if ((unsigned char)c < 0x20) {
            (void)snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)c);
            put_text(line, escape);
        } else {
            put_bytes(line, &c, 1);
        }
    }
}

static void put_string(struct line *line, const char *text)
{
    static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
    size_t len = strlen(text);
    put_text(line, "\"");
    while (len > 0 && !line->full) {
        size_t valid = br_utf8_valid_prefix(text, len);
        for (size_t i = 0; i < valid && !line->full; i++) {
            put_escaped(line, text[i]);
        }
        text += valid;
        len -= valid;
        if (len > 0) {
            put_text(line, replacement);
            text++;
            len--;
        }
    }
    put_text(line, "\"");
}

/* The line's opening: {"time":"...","level":"..." */
static void put_opening(struct line *line, enum br_log_level level)
{
    struct timespec now;
    struct tm utc;
    char text[96];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &utc) == NULL) {
        memset(&utc, 0, sizeof utc);
    }
    size_t len = strftime(text, sizeof text, "{\"time\":\"%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(text + len, sizeof text - len, ".%03dZ\",\"level\":\"%s\"", (int)(now.tv_nsec / 1000000),
                   level_names[level]);
    put_text(line, text);
}

static void put_field(struct line *line, const struct br_log_field *field)
{
    put_text(line, ",");
    put_string(line, field->key);
    put_text(line, ":");
    if (field->text != NULL) {
        put_string(line, field->text);
    } else {
        char number[24];
        (void)snprintf(number, sizeof number, "%" PRId64, field->number);
        put_text(line, number);
    }
}

static void compose(struct line *line, enum br_log_level level, const char *event,
                    const struct br_log_field *fields, size_t field_count)
{
    line->len = 0;
    line->full = false;
    put_opening(line, level);

    struct br_log_field event_field = br_log_text("event", event);
    size_t whole = line->len;
    put_field(line, &event_field);
    for (size_t i = 0; i < field_count && !line->full; i++) {
        whole = line->len;
        put_field(line, &fields[i]);
    }

    /* FIELDS_MAX leaves room for both. */
    if (line->full) {
        line->len = whole;
        memcpy(line->text + line->len, cut_mark, sizeof cut_mark - 1);
        line->len += sizeof cut_mark - 1;
    }
    memcpy(line->text + line->len, line_end, sizeof line_end - 1);
    line->len += sizeof line_end - 1;
}

/*
 * Whether a line can be written without a wait: a pipe that is ready takes PIPE_BUF bytes at once, and a line has no
 * more. An error counts as ready: the write will tell.
 */
static bool is_ready(void)
{
    struct pollfd standard_error = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&standard_error, 1, 0) != 0;
}

static void write_line(const struct line *line)
{
    ssize_t written;
    do {
        written = write(STDERR_FILENO, line->text, line->len);
    } while (written < 0 && errno == EINTR);
    /* A log that cannot be written has nobody to tell. */
}

/* A reader that has stopped must not stop the calls: lines it has no room for are dropped, and counted. */
static void write_or_drop(const struct line *line)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int64_t dropped_count;
    pthread_mutex_lock(&lock);
    if (dropped_count > 0 && is_ready()) {
        struct line report;
        struct br_log_field count = br_log_number("count", dropped_count);
        compose(&report, BR_LOG_WARN, "log_lines_dropped", &count, 1);
        write_line(&report);
        dropped_count = 0;
    }
    if (is_ready()) {
        write_line(line);
    } else {
        dropped_count++;
    }
    pthread_mutex_unlock(&lock);
}

void br_log(enum br_log_level level, const char *event, const struct br_log_field *fields, size_t field_count)
{
    if (!br_log_enabled(level)) {
        return;
    }
    int saved_errno = errno;
    struct line line;
    compose(&line, level, event, fields, field_count);
    write_or_drop(&line);
    errno = saved_errno;
}
