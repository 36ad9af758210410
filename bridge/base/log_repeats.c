#include "base/log_repeats.h"

#include <string.h>

bool br_log_repeats_admit(struct br_log_repeats *repeats, const char *event, int64_t now_ms,
                          int64_t *suppressed)
{
    size_t i = 0;
    while (i < repeats->row_count && strcmp(repeats->rows[i].event, event) != 0) {
        i++;
    }
    if (i == BR_LOG_REPEATS_EVENTS_MAX) {
        *suppressed = 0;
        return true;
    }
    if (i == repeats->row_count) {
        repeats->rows[i].event = event;
        repeats->rows[i].window_start_ms = now_ms;
        repeats->row_count++;
    }
    if (now_ms - repeats->rows[i].window_start_ms >= BR_LOG_REPEATS_WINDOW_MS) {
        repeats->rows[i].window_start_ms = now_ms;
        repeats->rows[i].written_count = 0;
    }
    if (repeats->rows[i].written_count == BR_LOG_REPEATS_BURST) {
        repeats->rows[i].suppressed_count++;
        return false;
    }
    repeats->rows[i].written_count++;
    *suppressed = repeats->rows[i].suppressed_count;
    repeats->rows[i].suppressed_count = 0;
    return true;
}
