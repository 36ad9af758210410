#include "base/clock.h"

#include <time.h>

/* Cannot fail: the ids are valid and |now| is ours. */
static struct timespec read_clock(clockid_t id)
{
    struct timespec now;
    (void)clock_gettime(id, &now);
    return now;
}

static int64_t monotonic_now_us(const struct br_clock *self)
{
    (void)self;
    struct timespec now = read_clock(CLOCK_MONOTONIC);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t realtime_unix_s(const struct br_clock *self)
{
    (void)self;
    return read_clock(CLOCK_REALTIME).tv_sec;
}

const struct br_clock *br_clock_system(void)
{
    static const struct br_clock clock = {.now_us = monotonic_now_us, .unix_s = realtime_unix_s};
    return &clock;
}
