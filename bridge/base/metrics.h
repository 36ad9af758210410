/*
 * Counters, gauges and histograms, and their text for Prometheus.
 *
 * A family is one name with its labels; a metric is one of its label sets. Families are declared at start, metrics come
 * into being when they are first asked for. Both are bounded: a family keeps as many label sets as its table row says,
 * and every further one is counted in the set whose values are all "other" and in
 * <name without "_total">_label_overflow_total.
 *
 * Threads: families are declared by one thread, before others use the registry. All else: any thread; updates are
 *          atomics, one lock is taken only where a new label set is made.
 * Owns:    the registry owns families and metrics; their handles live as long as it does.
 * Source:  https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4)
 */
#ifndef BR_BASE_METRICS_H
#define BR_BASE_METRICS_H

#include "base/buf.h"

#include <stdint.h>

#define BR_METRIC_LABELS_MAX 3
#define BR_METRIC_BUCKETS_MAX 16

/* Bytes of a label's value; a longer one is cut on a character boundary. */
#define BR_METRIC_VALUE_MAX_BYTES 64

/* The value of every label of the set that takes what a family has no room for. */
#define BR_METRIC_OTHER "other"

enum br_metric_type {
    BR_METRIC_COUNTER,
    BR_METRIC_GAUGE,
    BR_METRIC_HISTOGRAM,
};

/* One family, as its user declares it; process lifetime. */
struct br_metric_def {
    const char *name; /* "calls_total"; a histogram's ends in "_seconds" */
    const char *help; /* one sentence */
    enum br_metric_type type;
    const char *labels[BR_METRIC_LABELS_MAX];  /* NULL after the last */
    size_t max_sets;                           /* label sets that are told apart; not read without labels */
    int64_t buckets_ms[BR_METRIC_BUCKETS_MAX]; /* HISTOGRAM: upper bounds, ascending; 0 after the last */
};

struct br_metrics;
struct br_metric_family;
struct br_metric;

/* Returned; release with br_metrics_destroy(). NULL without memory. */
struct br_metrics *br_metrics_create(void) BR_MUST_CHECK;

/* Accepts NULL. Nobody may use a handle any more. */
void br_metrics_destroy(struct br_metrics *metrics);

/*
 * Declares a family. A family without labels has its one metric at once, and it is 0.
 * |def|   kept; must live as long as the registry. A name that is not one, or is there twice, is a bug and asserted.
 * Returns NULL without memory.
 * Thread: before others use the registry.
 */
struct br_metric_family *br_metrics_family(struct br_metrics *metrics,
                                           const struct br_metric_def *def) BR_MUST_CHECK;

/*
 * The metric of |family| for one label set, made if it is new. Never NULL; keep it to spare the search.
 * |values| borrowed: as many as the family has labels, none NULL; bytes that are no UTF-8 become U+FFFD. NULL for a
 *          family without labels.
 */
struct br_metric *br_metric_child(struct br_metric_family *family, const char *const *values);

/* COUNTER: |delta| is not negative. GAUGE: any. */
void br_metric_add(struct br_metric *metric, int64_t delta);

/* GAUGE. */
void br_metric_set(struct br_metric *metric, int64_t value);

/* HISTOGRAM: a duration, shown in seconds; a negative one counts as 0. */
void br_metric_observe_ms(struct br_metric *metric, int64_t duration_ms);

/*
 * Appends everything as Prometheus reads it, families and label sets in the order of their making.
 * |out|   as before on failure.
 * Errors: RESOURCE_EXHAUSTED/METRICS_SIZE  the text does not fit under |out|'s ceiling
 *         RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_metrics_write(const struct br_metrics *metrics, struct br_buf *out,
                      struct br_status *st) BR_MUST_CHECK;

#endif
