#include "upstream/retry.h"

#define FIFTHS_OF_ONE 5
#define MAX_FIFTHS (1000 * FIFTHS_OF_ONE)

void br_retry_budget_init(struct br_retry_budget *budget)
{
    atomic_init(&budget->fifths, BR_RETRY_RESERVE * FIFTHS_OF_ONE);
}

void br_retry_budget_earn(struct br_retry_budget *budget)
{
    if (atomic_load_explicit(&budget->fifths, memory_order_relaxed) < MAX_FIFTHS) {
        atomic_fetch_add_explicit(&budget->fifths, 1, memory_order_relaxed);
    }
}

static bool spend(struct br_retry_budget *budget)
{
    int fifths = atomic_load_explicit(&budget->fifths, memory_order_relaxed);
    while (fifths >= FIFTHS_OF_ONE) {
        if (atomic_compare_exchange_weak_explicit(&budget->fifths, &fifths, fifths - FIFTHS_OF_ONE,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

/* Nothing can have been executed: the request never left. */
static bool was_not_sent(const struct br_http_exchange *exchange)
{
    return !exchange->answered && (exchange->failure == BR_TRANSPORT_UNREACHABLE ||
                                   exchange->failure == BR_TRANSPORT_CONNECT_TIMEOUT);
}

/* Upstream is busy, away, or broke off: it may be back soon. */
static bool may_pass(const struct br_http_exchange *exchange)
{
    if (!exchange->answered) {
        return exchange->failure == BR_TRANSPORT_BROKEN;
    }
    int status = exchange->answer.status;
    return status == 429 || status == 502 || status == 503 || status == 504;
}

static int64_t pause_ms(const struct br_retry_question *question)
{
    int64_t ceiling_ms = BR_RETRY_BASE_MS;
    for (int i = 1; i < question->attempt && ceiling_ms < BR_RETRY_MAX_MS; i++) {
        ceiling_ms *= 2;
    }
    if (ceiling_ms > BR_RETRY_MAX_MS) {
        ceiling_ms = BR_RETRY_MAX_MS;
    }
    int64_t jitter_ms = question->random % (ceiling_ms + 1);
    /* Those who were told the same time must not all come back at it. */
    return question->retry_after_ms > 0 ? question->retry_after_ms + jitter_ms : jitter_ms;
}

int64_t br_retry_delay_ms(struct br_retry_budget *budget, const struct br_retry_question *question)
{
    if (question->attempt >= question->max_attempts) {
        return -1;
    }
    if (!was_not_sent(question->exchange) && !(question->idempotent && may_pass(question->exchange))) {
        return -1;
    }
    int64_t delay_ms = pause_ms(question);
    return delay_ms < question->remaining_ms && spend(budget) ? delay_ms : -1;
}
