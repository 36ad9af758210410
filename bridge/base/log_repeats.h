/*
 * The limit on lines of the log that repeat: of one event, the first few of a window are written, further ones counted.
 *
 * Pure: the caller has the clock and the lock. Nothing wakes up for it: what a window suppressed is told by the next
 * line of the event that is written, or by whoever walks the rows at the end.
 *
 * Threads: none of its own.
 */
#ifndef BR_BASE_LOG_REPEATS_H
#define BR_BASE_LOG_REPEATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lines of one event that are written in a window, which begins with the first of them. */
#define BR_LOG_REPEATS_BURST 5
#define BR_LOG_REPEATS_WINDOW_MS 10000

/* Events that are told apart. The program has fewer; lines of a further one would not be limited. */
#define BR_LOG_REPEATS_EVENTS_MAX 64

struct br_log_repeats {
    struct {
        const char *event; /* process lifetime */
        int64_t window_start_ms;
        int written_count;        /* in the window */
        int64_t suppressed_count; /* since the last line that was written */
    } rows[BR_LOG_REPEATS_EVENTS_MAX];
    size_t row_count;
};

/*
 * Whether a line of |event| is to be written now; if not, it has been counted.
 * |event|      kept; compared by its text.
 * |now_ms|     of a clock that does not go back.
 * |suppressed| written on true only: the lines before this one that were not written.
 */
bool br_log_repeats_admit(struct br_log_repeats *repeats, const char *event, int64_t now_ms,
                          int64_t *suppressed);

#endif
