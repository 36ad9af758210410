/*
 * What the main thread does while the bridge serves: waits for signals, keeps a token at hand and health up to date,
 * drains.
 *
 * SIGTERM, SIGINT   drain: health says NOT_SERVING, new calls are still taken for the minimum delay, then the server
 *                   stops; calls in flight may finish until the maximum delay. A second one cancels them.
 * SIGUSR1           the log's level becomes debug, or again what it was set to.
 *
 * Threads: the main thread.
 * Source:  bridge_conventions.md section 11.
 */
#ifndef BR_CMD_LIFECYCLE_H
#define BR_CMD_LIFECYCLE_H

#include "base/log.h"
#include "serve/health.h"
#include "serve/server.h"

struct br_lifecycle {
    struct br_server *server;
    struct br_health *health; /* started and drained here */
    struct br_auth *token;    /* --auth=token: fetched ahead of calls; NULL otherwise */
    enum br_log_level log_level;
    int64_t drain_min_delay_ms; /* 0: none */
    int64_t drain_max_delay_ms; /* from the signal on; not less than the minimum */
};

/*
 * Blocks the signals that br_lifecycle_run() takes, and ignores SIGPIPE. Before the first other thread starts: none of
 * them may take one.
 */
void br_lifecycle_block_signals(void);

/* Serves until a signal, then drains: returns when no call is left. |lifecycle| borrowed. */
void br_lifecycle_run(const struct br_lifecycle *lifecycle);

#endif
