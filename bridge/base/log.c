#include "base/log.h"

#include "base/log_line.h"
#include "base/log_repeats.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static atomic_int enabled_level = BR_LOG_INFO;
static atomic_int current_format = BR_LOG_JSON;

/* Guards what follows, and the write. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct br_log_repeats repeats;
static int64_t dropped_count;
static int64_t dropped_told_count; /* of these, in a line "log_lines_dropped" */
static bool has_half_line;         /* the last write had room for a part of its line */

_Static_assert(BR_LOG_LINE_MAX <= PIPE_BUF, "a line is written at once or not at all");

void br_log_set_level(enum br_log_level level)
{
    atomic_store_explicit(&enabled_level, (int)level, memory_order_relaxed);
}

enum br_log_level br_log_level(void)
{
    return (enum br_log_level)atomic_load_explicit(&enabled_level, memory_order_relaxed);
}

bool br_log_enabled(enum br_log_level level)
{
    return level <= br_log_level();
}

const char *br_log_level_name(enum br_log_level level)
{
    return level_names[level];
}

void br_log_set_format(enum br_log_format format)
{
    atomic_store_explicit(&current_format, (int)format, memory_order_relaxed);
}

static void compose(struct br_log_line *line, struct br_log_entry *entry)
{
    (void)clock_gettime(CLOCK_REALTIME, &entry->when);
    br_log_line_write(line, (enum br_log_format)atomic_load_explicit(&current_format, memory_order_relaxed),
                      entry);
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

static ssize_t write_text(const char *text, size_t len)
{
    ssize_t written;
    do {
        written = write(STDERR_FILENO, text, len);
    } while (written < 0 && errno == EINTR);
    return written;
}

/* Under the lock. Returns whether the whole line was written: a disk may be full. */
static bool write_line(const struct br_log_line *line)
{
    if (has_half_line && write_text("\n", 1) != 1) {
        return false;
    }
    ssize_t written = write_text(line->text, line->len);
    has_half_line = written > 0 && (size_t)written < line->len;
    return written > 0 && !has_half_line;
}

/* Under the lock. */
static void tell_dropped(void)
{
    struct br_log_field count = br_log_number("count", dropped_count - dropped_told_count);
    struct br_log_entry entry = {
        .level = BR_LOG_WARN, .event = "log_lines_dropped", .fields = &count, .field_count = 1};
    struct br_log_line line;
    compose(&line, &entry);
    if (write_line(&line)) {
        dropped_told_count = dropped_count;
    }
}

/* A reader that has stopped, or a full disk, must not stop the calls: lines without room are dropped, and counted. */
static void write_or_drop(struct br_log_entry *entry)
{
    struct br_log_line line;
    compose(&line, entry);
    pthread_mutex_lock(&lock);
    if (dropped_count > dropped_told_count && is_ready()) {
        tell_dropped();
    }
    if (!is_ready() || !write_line(&line)) {
        dropped_count += 1 + entry->suppressed_count;
    }
    pthread_mutex_unlock(&lock);
}

void br_log_always(enum br_log_level level, const char *event, const struct br_log_field *fields,
                   size_t field_count)
{
    if (!br_log_enabled(level)) {
        return;
    }
    int saved_errno = errno;
    struct br_log_entry entry = {
        .level = level, .event = event, .fields = fields, .field_count = field_count};
    write_or_drop(&entry);
    errno = saved_errno;
}

static bool admit(const char *event, int64_t *suppressed)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&lock);
    bool admitted = br_log_repeats_admit(
        &repeats, event, (int64_t)now.tv_sec * 1000 + (int64_t)now.tv_nsec / 1000000, suppressed);
    pthread_mutex_unlock(&lock);
    return admitted;
}

void br_log(enum br_log_level level, const char *event, const struct br_log_field *fields, size_t field_count)
{
    if (!br_log_enabled(level)) {
        return;
    }
    int saved_errno = errno;
    struct br_log_entry entry = {
        .level = level, .event = event, .fields = fields, .field_count = field_count};
    if (level > BR_LOG_WARN || admit(event, &entry.suppressed_count)) {
        write_or_drop(&entry);
    }
    errno = saved_errno;
}

void br_log_report_suppressed(void)
{
    pthread_mutex_lock(&lock);
    struct br_log_repeats last = repeats;
    repeats = (struct br_log_repeats){0};
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < last.row_count; i++) {
        if (last.rows[i].suppressed_count > 0) {
            const struct br_log_field fields[] = {
                br_log_text("of", last.rows[i].event),
                br_log_number("count", last.rows[i].suppressed_count),
            };
            struct br_log_entry entry = {
                .level = BR_LOG_WARN, .event = "log_lines_suppressed", .fields = fields, .field_count = 2};
            write_or_drop(&entry);
        }
    }
}

int64_t br_log_dropped_count(void)
{
    pthread_mutex_lock(&lock);
    int64_t count = dropped_count;
    pthread_mutex_unlock(&lock);
    return count;
}
