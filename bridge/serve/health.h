/*
 * Whether the bridge is ready, as probes and health-checking clients ask it: one object for the process.
 *
 * Names: "", "readiness" and each service of the contract that has a REST method are ready or not; "liveness" is
 * always SERVING. Ready means started, not draining, and no problem of the bridge's own; an upstream that is down is
 * none.
 *
 * Threads: every function any, but for create and destroy; one lock.
 * Owns:    a copy of the problem's text.
 * Source:  grpc/health/v1/health.proto; bridge_conventions.md section 11.
 */
#ifndef BR_SERVE_HEALTH_H
#define BR_SERVE_HEALTH_H

#include "contract/contract.h"

#include <sys/queue.h>

/* The numbers are those of grpc.health.v1.HealthCheckResponse.ServingStatus. */
enum br_health_status {
    BR_HEALTH_UNKNOWN = 0,
    BR_HEALTH_SERVING = 1,
    BR_HEALTH_NOT_SERVING = 2,
    BR_HEALTH_SERVICE_UNKNOWN = 3,
};

/* Bytes of a problem's text, the NUL included; a longer one is cut. */
#define BR_HEALTH_PROBLEM_CAP 256

struct br_health;

/*
 * |contract| kept until br_health_destroy().
 * Returned; NULL without memory. It has not started.
 */
struct br_health *br_health_create(const struct br_contract *contract) BR_MUST_CHECK;

/* Nobody watches any more. Accepts NULL. */
void br_health_destroy(struct br_health *health);

/* The listeners take calls. */
void br_health_set_started(struct br_health *health);

/* The process is about to end: for good. */
void br_health_set_draining(struct br_health *health);

/* What keeps the bridge from being of use, such as a credential that is missing; copied. NULL: nothing. */
void br_health_set_problem(struct br_health *health, const char *problem);

bool br_health_is_started(struct br_health *health);
bool br_health_is_draining(struct br_health *health);

/*
 * Whether the bridge is ready.
 * |problem| why not: "draining", "starting" or the one that was set; written unless ready. NULL: nobody asks.
 */
bool br_health_is_ready(struct br_health *health, char problem[BR_HEALTH_PROBLEM_CAP]);

/* The status of |service|, borrowed, |len| bytes; SERVICE_UNKNOWN for a name that is none of the above. */
enum br_health_status br_health_check(struct br_health *health, const char *service, size_t len);

/* Who wants to know of changes: part of its owner's object. */
struct br_health_watcher {
    /*
     * The status of a name may have changed. On the thread that changed it and under the lock, so that none is under
     * way once br_health_unwatch() has returned: it may only post, and calls nothing of this header.
     */
    void (*changed)(struct br_health_watcher *self);
    TAILQ_ENTRY(br_health_watcher) line;
};

/* |watcher| kept until br_health_unwatch(); it is told of what changes from here on. */
void br_health_watch(struct br_health *health, struct br_health_watcher *watcher);
void br_health_unwatch(struct br_health *health, struct br_health_watcher *watcher);

#endif
