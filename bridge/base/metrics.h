/*
 * Counters, gauges and histograms, and their text for Prometheus.
 *
 * A family is one name with its labels; a metric is one of its label sets. Families are declared at start, metrics come
 * into being when they are first asked for. Both are bounded: a family keeps as many label sets as its table row says,
 * and every further one is counted in the set whose values are all "other" and in
 * <name without "_total">_label_overflow_total.
 *
 * Threads: families and refreshes are declared by one thread, before others use the registry. All else: any thread;
 *          updates are atomics, one lock is taken only where a new label set is made.
 * Owns:    the registry owns families and metrics; their handles live as long as it does.
 * Source:  https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4)
 */
#ifndef BR_BASE_METRICS_H
#define BR_BASE_METRICS_H

#include "base/buf.h"

#include <stdint.h>

#define BR_METRIC_LABELS_MAX 3
#define BR_METRIC_BUCKETS_MAX 16
#define BR_METRICS_REFRESHES_MAX 4

/* Bytes of a label's value; a longer one is cut on a character boundary. */
#define BR_METRIC_VALUE_MAX_BYTES 64

/* The value of every label of the set that takes what a family has no room for. */
#define BR_METRIC_OTHER "other"

enum br_metric_type {
    BR_METRIC_COUNTER,
    BR_METRIC_GAUGE,
    BR_METRIC_HISTOGRAM,
};

/* What a family's numbers are: values, bounds and sums alike. */
enum br_metric_unit {
    BR_METRIC_PLAIN,        /* shown as they are: counts, bytes, seconds since 1970 */
    BR_METRIC_MICROSECONDS, /* shown in seconds */
};

/* One family, as its user declares it; process lifetime. */
struct br_metric_def {
    const char *name; /* "calls_total"; with the unit that is shown: "call_duration_seconds" */
    const char *help; /* one sentence */
    enum br_metric_type type;
    enum br_metric_unit unit;
    const char *labels[BR_METRIC_LABELS_MAX]; /* NULL after the last */
    size_t max_sets;                          /* label sets that are told apart; not read without labels */
    int64_t buckets[BR_METRIC_BUCKETS_MAX];   /* HISTOGRAM: upper bounds, ascending; 0 after the last */
};

/* Brings metrics up to date that are looked up rather than kept. |ctx| as declared. */
typedef void (*br_metrics_refresh_fn)(void *ctx);

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

/* "counter", "gauge" or "histogram". */
const char *br_metric_type_name(enum br_metric_type type);

/*
 * Has |refresh| called before each text is made, by whoever makes it: on any thread, under no lock of the registry.
 * |ctx| kept as long as texts are made.
 * BR_METRICS_REFRESHES_MAX at the most: one more is a bug and asserted.
 * Thread: before others use the registry.
 */
void br_metrics_on_write(struct br_metrics *metrics, br_metrics_refresh_fn refresh, void *ctx);

/*
 * The metric of |family| for one label set, made if it is new. Never NULL; keep it to spare the search.
 * |values| borrowed: as many as the family has labels, none NULL; bytes that are no UTF-8 become U+FFFD. NULL for a
 *          family without labels.
 */
struct br_metric *br_metric_child(struct br_metric_family *family, const char *const *values);

/* COUNTER: |delta| is not negative. GAUGE: any. */
void br_metric_add(struct br_metric *metric, int64_t delta);

/* GAUGE, or a COUNTER that is counted elsewhere and never goes back. */
void br_metric_set(struct br_metric *metric, int64_t value);

/* HISTOGRAM; a negative value counts as 0. */
void br_metric_observe(struct br_metric *metric, int64_t value);

/*
 * Appends everything as Prometheus reads it, families and label sets in the order of their making, after the refreshes.
 * |out|   as before on failure.
 * Errors: RESOURCE_EXHAUSTED/METRICS_SIZE  the text does not fit under |out|'s ceiling
 *         RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_metrics_write(const struct br_metrics *metrics, struct br_buf *out,
                      struct br_status *st) BR_MUST_CHECK;

/*
 * Takes one metric. |values| as many as its family has labels, borrowed. |value| of a histogram is the number of its
 * observations.
 */
typedef void (*br_metric_visit_fn)(void *context, const char *const *values, int64_t value);

/*
 * Calls |visit| for each metric of the family |name|, in the order of their making; not at all without such a family.
 * Nothing is refreshed.
 */
void br_metrics_visit(const struct br_metrics *metrics, const char *name, br_metric_visit_fn visit,
                      void *context);

#endif
