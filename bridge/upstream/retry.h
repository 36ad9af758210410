/*
 * Whether a failed exchange is tried again, and when.
 *
 * Two questions: is a repeat harmless, and is there budget. A request that was not sent may be repeated whatever it is;
 * one that may have been executed, only where the schema says that the method is idempotent. The budget is the
 * process's: retries may add a fifth to the calls, so that an upstream in trouble is not buried under them.
 *
 * Threads: any; the budget is one atomic.
 * Source:  bridge_conventions.md section 5; https://sre.google/sre-book/addressing-cascading-failures/ (retry budgets);
 *          https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/ (full jitter).
 */
#ifndef BR_UPSTREAM_RETRY_H
#define BR_UPSTREAM_RETRY_H

#include "upstream/http.h"

#include <stdatomic.h>

/* The first pause is drawn from 0..BASE, each further one from twice as much, up to MAX. */
#define BR_RETRY_BASE_MS 100
#define BR_RETRY_MAX_MS 5000

/* Retries that a process may make before its calls have earned any. */
#define BR_RETRY_RESERVE 10

/* What calls have earned and retries have spent, in fifths of a retry. */
struct br_retry_budget {
    atomic_int fifths;
};

/* |budget| becomes the reserve. Before other threads use it; there is nothing to release. */
void br_retry_budget_init(struct br_retry_budget *budget);

/* A call was made: it earns a fifth of a retry. */
void br_retry_budget_earn(struct br_retry_budget *budget);

/* What decides about one failed attempt. */
struct br_retry_question {
    const struct br_http_exchange *exchange; /* over, and not with a 2xx */
    bool idempotent;                         /* the method may be repeated once it was executed */
    int attempt;                             /* this was the first: 1 */
    int max_attempts;
    int64_t retry_after_ms; /* upstream's wish; -1: none */
    int64_t remaining_ms;   /* until the call's deadline */
    uint32_t random;        /* any 32 bits */
};

/*
 * The pause before the next attempt, in milliseconds; -1: no further attempt. Takes a retry out of |budget|
 * when it says yes, so ask once for each failure. A pause that would pass the deadline is a no.
 */
int64_t br_retry_delay_ms(struct br_retry_budget *budget, const struct br_retry_question *question);

#endif
