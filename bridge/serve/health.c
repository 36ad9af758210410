#include "serve/health.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct br_health {
    const struct br_contract *contract;
    pthread_mutex_t lock; /* of all below */
    bool started;
    bool draining;
    char problem[BR_HEALTH_PROBLEM_CAP]; /* "": none */
    TAILQ_HEAD(, br_health_watcher) watchers;
};

struct br_health *br_health_create(const struct br_contract *contract)
{
    struct br_health *health = calloc(1, sizeof *health);
    if (health == NULL) {
        return NULL;
    }
    health->contract = contract;
    pthread_mutex_init(&health->lock, NULL);
    TAILQ_INIT(&health->watchers);
    return health;
}

void br_health_destroy(struct br_health *health)
{
    if (health == NULL) {
        return;
    }
    pthread_mutex_destroy(&health->lock);
    free(health);
}

/* Under the lock. NULL: ready. */
static const char *find_problem(const struct br_health *health)
{
    if (health->draining) {
        return "draining";
    }
    if (!health->started) {
        return "starting";
    }
    return health->problem[0] != '\0' ? health->problem : NULL;
}

/* Begins a change; returns whether the bridge was ready before it. */
static bool begin_change(struct br_health *health)
{
    pthread_mutex_lock(&health->lock);
    return find_problem(health) == NULL;
}

/* Ends a change, and tells the watchers where it was one. */
static void end_change(struct br_health *health, bool was_ready)
{
    if ((find_problem(health) == NULL) != was_ready) {
        struct br_health_watcher *watcher;
        TAILQ_FOREACH(watcher, &health->watchers, line)
        {
            watcher->changed(watcher);
        }
    }
    pthread_mutex_unlock(&health->lock);
}

void br_health_set_started(struct br_health *health)
{
    bool was_ready = begin_change(health);
    health->started = true;
    end_change(health, was_ready);
}

void br_health_set_draining(struct br_health *health)
{
    bool was_ready = begin_change(health);
    health->draining = true;
    end_change(health, was_ready);
}

void br_health_set_problem(struct br_health *health, const char *problem)
{
    bool was_ready = begin_change(health);
    (void)snprintf(health->problem, sizeof health->problem, "%s", problem != NULL ? problem : "");
    end_change(health, was_ready);
}

bool br_health_is_started(struct br_health *health)
{
    pthread_mutex_lock(&health->lock);
    bool started = health->started;
    pthread_mutex_unlock(&health->lock);
    return started;
}

bool br_health_is_draining(struct br_health *health)
{
    pthread_mutex_lock(&health->lock);
    bool draining = health->draining;
    pthread_mutex_unlock(&health->lock);
    return draining;
}

bool br_health_is_ready(struct br_health *health, char problem[BR_HEALTH_PROBLEM_CAP])
{
    pthread_mutex_lock(&health->lock);
    const char *found = find_problem(health);
    if (found != NULL && problem != NULL) {
        (void)snprintf(problem, BR_HEALTH_PROBLEM_CAP, "%s", found);
    }
    pthread_mutex_unlock(&health->lock);
    return found == NULL;
}

static bool is_name(const char *service, size_t len, const char *name, size_t name_len)
{
    /* Not strcmp(): a caller's name has no NUL at its end, and may hold one. */
    return len == name_len && (len == 0 || memcmp(service, name, len) == 0);
}

/* Whether |service| has a method that becomes a REST request. */
static bool is_rest_service(const struct br_contract *contract, const char *service, size_t len)
{
    size_t count;
    const struct br_method *methods = br_contract_methods(contract, &count);
    for (size_t i = 0; i < count; i++) {
        if (methods[i].verb != NULL &&
            is_name(service, len, methods[i].name, strcspn(methods[i].name, "/"))) {
            return true;
        }
    }
    return false;
}

enum br_health_status br_health_check(struct br_health *health, const char *service, size_t len)
{
    static const char liveness[] = "liveness";
    static const char readiness[] = "readiness";
    if (is_name(service, len, liveness, sizeof liveness - 1)) {
        return BR_HEALTH_SERVING;
    }
    if (len > 0 && !is_name(service, len, readiness, sizeof readiness - 1) &&
        !is_rest_service(health->contract, service, len)) {
        return BR_HEALTH_SERVICE_UNKNOWN;
    }
    return br_health_is_ready(health, NULL) ? BR_HEALTH_SERVING : BR_HEALTH_NOT_SERVING;
}

void br_health_watch(struct br_health *health, struct br_health_watcher *watcher)
{
    pthread_mutex_lock(&health->lock);
    TAILQ_INSERT_TAIL(&health->watchers, watcher, line);
    pthread_mutex_unlock(&health->lock);
}

void br_health_unwatch(struct br_health *health, struct br_health_watcher *watcher)
{
    pthread_mutex_lock(&health->lock);
    TAILQ_REMOVE(&health->watchers, watcher, line);
    pthread_mutex_unlock(&health->lock);
}
