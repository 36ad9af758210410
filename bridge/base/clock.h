/*
 * Time as a seam: the parts that measure or wait take a clock, so that tests can drive it.
 *
 * Threads: any.
 */
#ifndef BR_BASE_CLOCK_H
#define BR_BASE_CLOCK_H

#include <stdint.h>

struct br_clock {
    /* Microseconds from an arbitrary start; never goes back. */
    int64_t (*now_us)(const struct br_clock *self);
    /* Seconds since 1970 UTC; may jump. For dates that others write. */
    int64_t (*unix_s)(const struct br_clock *self);
};

/* The system's CLOCK_MONOTONIC and CLOCK_REALTIME; lives as long as the process. */
const struct br_clock *br_clock_system(void);

/* Milliseconds from the same start as |now_us|: for deadlines and pauses. */
static inline int64_t br_clock_now_ms(const struct br_clock *clock)
{
    return clock->now_us(clock) / 1000;
}

#endif
