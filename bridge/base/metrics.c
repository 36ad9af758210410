#include "base/metrics.h"

#include "base/utf8.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The replacement character U+FFFD. */
#define REPLACEMENT "\xEF\xBF\xBD"

typedef char label_values[BR_METRIC_LABELS_MAX][BR_METRIC_VALUE_MAX_BYTES + 1];

struct br_metric {
    const struct br_metric_def *def;
    label_values values;
    _Atomic int64_t value; /* of a histogram: the sum */
    _Atomic int64_t
        buckets[BR_METRIC_BUCKETS_MAX + 1]; /* not cumulative; the one after the last bound is +Inf */
};

struct br_metric_family {
    struct br_metrics *metrics;
    const struct br_metric_def *def;
    struct br_metric_family *next;
    size_t label_count;
    size_t bucket_count;

    /* Filled from the front: what is below |set_count| does not change any more. */
    struct br_metric *sets;
    size_t set_cap;
    atomic_size_t set_count;

    struct br_metric other; /* what found no room */
    atomic_bool other_used;
    _Atomic int64_t overflow_count;
};

struct br_metrics {
    pthread_mutex_t lock; /* around the making of a label set */
    struct br_metric_family *first;
    struct br_metric_family **end; /* where the next family is linked */
    struct {
        br_metrics_refresh_fn run;
        void *ctx;
    } refreshes[BR_METRICS_REFRESHES_MAX];
    size_t refresh_count;
};

/* ---- Making ---- */

struct br_metrics *br_metrics_create(void)
{
    struct br_metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics != NULL) {
        pthread_mutex_init(&metrics->lock, NULL);
        metrics->end = &metrics->first;
    }
    return metrics;
}

void br_metrics_destroy(struct br_metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    struct br_metric_family *family = metrics->first;
    while (family != NULL) {
        struct br_metric_family *next = family->next;
        free(family->sets);
        free(family);
        family = next;
    }
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

static bool is_name(const char *name)
{
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    size_t len = strlen(name);
    return len > 0 && strchr(first, name[0]) != NULL &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789") == len;
}

static void check_def(const struct br_metrics *metrics, const struct br_metric_def *def)
{
    assert(is_name(def->name));
    for (const struct br_metric_family *known = metrics->first; known != NULL; known = known->next) {
        assert(strcmp(known->def->name, def->name) != 0);
    }
    for (size_t i = 0; i < BR_METRIC_LABELS_MAX && def->labels[i] != NULL; i++) {
        assert(is_name(def->labels[i]) && strcmp(def->labels[i], "le") != 0);
    }
    assert((def->type == BR_METRIC_HISTOGRAM) == (def->buckets[0] > 0));
    for (size_t i = 1; i < BR_METRIC_BUCKETS_MAX && def->buckets[i] != 0; i++) {
        assert(def->buckets[i] > def->buckets[i - 1]);
    }
}

struct br_metric_family *br_metrics_family(struct br_metrics *metrics, const struct br_metric_def *def)
{
    check_def(metrics, def);
    struct br_metric_family *family = calloc(1, sizeof *family);
    if (family == NULL) {
        return NULL;
    }
    family->metrics = metrics;
    family->def = def;
    while (family->label_count < BR_METRIC_LABELS_MAX && def->labels[family->label_count] != NULL) {
        family->label_count++;
    }
    while (family->bucket_count < BR_METRIC_BUCKETS_MAX && def->buckets[family->bucket_count] != 0) {
        family->bucket_count++;
    }
    family->set_cap = family->label_count > 0 ? def->max_sets : 1;
    assert(family->set_cap > 0);
    family->sets = calloc(family->set_cap, sizeof *family->sets);
    if (family->sets == NULL) {
        free(family);
        return NULL;
    }
    for (size_t i = 0; i < family->set_cap; i++) {
        family->sets[i].def = def;
    }
    family->other.def = def;
    for (size_t i = 0; i < family->label_count; i++) {
        memcpy(family->other.values[i], BR_METRIC_OTHER, sizeof BR_METRIC_OTHER);
    }
    if (family->label_count == 0) {
        atomic_store(&family->set_count, 1);
    }
    *metrics->end = family;
    metrics->end = &family->next;
    return family;
}

const char *br_metric_type_name(enum br_metric_type type)
{
    static const char *const names[] = {"counter", "gauge", "histogram"};
    return names[type];
}

void br_metrics_on_write(struct br_metrics *metrics, br_metrics_refresh_fn refresh, void *ctx)
{
    assert(metrics->refresh_count < BR_METRICS_REFRESHES_MAX);
    metrics->refreshes[metrics->refresh_count].run = refresh;
    metrics->refreshes[metrics->refresh_count++].ctx = ctx;
}

/* ---- Finding ---- */

/* |text| as a label's value: UTF-8, and not too long. */
static void clean_value(const char *text, char out[BR_METRIC_VALUE_MAX_BYTES + 1])
{
    /* What lies beyond cannot show: each byte of the input makes at least one of the output. */
    size_t len = strnlen(text, BR_METRIC_VALUE_MAX_BYTES + 4);
    char all[(BR_METRIC_VALUE_MAX_BYTES + 4) * 3];
    size_t all_len = 0;
    while (len > 0) {
        size_t valid = br_utf8_valid_prefix(text, len);
        memcpy(all + all_len, text, valid);
        all_len += valid;
        text += valid;
        len -= valid;
        if (len > 0) {
            memcpy(all + all_len, REPLACEMENT, sizeof REPLACEMENT - 1);
            all_len += sizeof REPLACEMENT - 1;
            text++;
            len--;
        }
    }
    size_t kept = br_utf8_cut(all, all_len, BR_METRIC_VALUE_MAX_BYTES);
    memcpy(out, all, kept);
    out[kept] = '\0';
}

static bool has_values(const struct br_metric *metric, label_values values, size_t label_count)
{
    for (size_t i = 0; i < label_count; i++) {
        if (strcmp(metric->values[i], values[i]) != 0) {
            return false;
        }
    }
    return true;
}

/* The known set with |values| from |*index| on; NULL: none, and |*index| is how many are known. */
static struct br_metric *find_set(struct br_metric_family *family, label_values values, size_t *index)
{
    size_t count = atomic_load_explicit(&family->set_count, memory_order_acquire);
    for (; *index < count; (*index)++) {
        if (has_values(&family->sets[*index], values, family->label_count)) {
            return &family->sets[*index];
        }
    }
    return NULL;
}

/* Under the lock. NULL: no room. */
static struct br_metric *make_set(struct br_metric_family *family, label_values values, size_t index)
{
    if (index == family->set_cap) {
        return NULL;
    }
    struct br_metric *made = &family->sets[index];
    memcpy(made->values, values, sizeof made->values);
    atomic_store_explicit(&family->set_count, index + 1, memory_order_release);
    return made;
}

struct br_metric *br_metric_child(struct br_metric_family *family, const char *const *values)
{
    if (family->label_count == 0) {
        return &family->sets[0];
    }
    label_values clean = {{0}};
    for (size_t i = 0; i < family->label_count; i++) {
        clean_value(values[i], clean[i]);
    }
    if (has_values(&family->other, clean, family->label_count)) {
        atomic_store(&family->other_used, true);
        return &family->other;
    }
    size_t index = 0;
    struct br_metric *metric = find_set(family, clean, &index);
    if (metric == NULL && index < family->set_cap) {
        pthread_mutex_lock(&family->metrics->lock);
        metric = find_set(family, clean, &index);
        if (metric == NULL) {
            metric = make_set(family, clean, index);
        }
        pthread_mutex_unlock(&family->metrics->lock);
    }
    if (metric == NULL) {
        atomic_fetch_add_explicit(&family->overflow_count, 1, memory_order_relaxed);
        atomic_store(&family->other_used, true);
        metric = &family->other;
    }
    return metric;
}

/* ---- Updating ---- */

void br_metric_add(struct br_metric *metric, int64_t delta)
{
    assert(metric->def->type == BR_METRIC_GAUGE || (metric->def->type == BR_METRIC_COUNTER && delta >= 0));
    atomic_fetch_add_explicit(&metric->value, delta, memory_order_relaxed);
}

void br_metric_set(struct br_metric *metric, int64_t value)
{
    assert(metric->def->type != BR_METRIC_HISTOGRAM);
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

void br_metric_observe(struct br_metric *metric, int64_t value)
{
    assert(metric->def->type == BR_METRIC_HISTOGRAM);
    int64_t counted = value > 0 ? value : 0;
    const int64_t *bounds = metric->def->buckets;
    size_t i = 0;
    while (i < BR_METRIC_BUCKETS_MAX && bounds[i] != 0 && counted > bounds[i]) {
        i++;
    }
    atomic_fetch_add_explicit(&metric->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&metric->value, counted, memory_order_relaxed);
}

/* ---- Writing ---- */

/* After the first failure nothing more is written. */
struct writer {
    struct br_buf *buf;
    enum br_buf_result result;
};

static void put_bytes(struct writer *writer, const char *bytes, size_t len)
{
    if (writer->result == BR_BUF_OK) {
        writer->result = br_buf_append(writer->buf, bytes, len);
    }
}

static void put(struct writer *writer, const char *text)
{
    put_bytes(writer, text, strlen(text));
}

static void put_number(struct writer *writer, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number);
    put(writer, text);
}

/* |value| as |unit| is shown, without zeros behind the point: 2500000 microseconds are "2.5". */
static void put_value(struct writer *writer, enum br_metric_unit unit, int64_t value)
{
    if (unit == BR_METRIC_PLAIN) {
        put_number(writer, value);
        return;
    }
    char text[32];
    uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
    int len = snprintf(text, sizeof text, "%s%" PRIu64 ".%06u", value < 0 ? "-" : "", size / 1000000,
                       (unsigned)(size % 1000000));
    while (text[len - 1] == '0') {
        len--;
    }
    if (text[len - 1] == '.') {
        len--;
    }
    put_bytes(writer, text, (size_t)len);
}

/* Backslash and newline are escaped everywhere, a quote only where |specials| names it. */
static void put_escaped(struct writer *writer, const char *text, const char *specials)
{
    while (*text != '\0') {
        size_t plain = strcspn(text, specials);
        put_bytes(writer, text, plain);
        text += plain;
        if (*text != '\0') {
            const char escape[2] = {'\\', *text == '\n' ? 'n' : *text};
            put_bytes(writer, escape, sizeof escape);
            text++;
        }
    }
}

static void put_head(struct writer *writer, const char *name, size_t name_len, const char *suffix,
                     const char *help, const char *type)
{
    put(writer, "# HELP ");
    put_bytes(writer, name, name_len);
    put(writer, suffix);
    put(writer, " ");
    put_escaped(writer, help, "\\\n");
    put(writer, "\n# TYPE ");
    put_bytes(writer, name, name_len);
    put(writer, suffix);
    put(writer, " ");
    put(writer, type);
    put(writer, "\n");
}

/* |bound|: the label "le" of a bucket; INT64_MAX: "+Inf"; -1: the line has none. */
static void put_series(struct writer *writer, const struct br_metric_family *family,
                       const struct br_metric *metric, const char *suffix, int64_t bound)
{
    put(writer, family->def->name);
    put(writer, suffix);
    const char *before = "{";
    for (size_t i = 0; i < family->label_count; i++) {
        put(writer, before);
        put(writer, family->def->labels[i]);
        put(writer, "=\"");
        put_escaped(writer, metric->values[i], "\\\"\n");
        put(writer, "\"");
        before = ",";
    }
    if (bound >= 0) {
        put(writer, before);
        put(writer, "le=\"");
        if (bound == INT64_MAX) {
            put(writer, "+Inf");
        } else {
            put_value(writer, family->def->unit, bound);
        }
        put(writer, "\"");
        before = ",";
    }
    put(writer, *before == ',' ? "} " : " ");
}

static void put_histogram(struct writer *writer, const struct br_metric_family *family,
                          const struct br_metric *metric)
{
    /* The count is what the buckets add up to, so that the text agrees with itself while others observe. */
    int64_t total = 0;
    for (size_t i = 0; i <= family->bucket_count; i++) {
        total += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
        put_series(writer, family, metric, "_bucket",
                   i < family->bucket_count ? family->def->buckets[i] : INT64_MAX);
        put_number(writer, total);
        put(writer, "\n");
    }
    put_series(writer, family, metric, "_sum", -1);
    put_value(writer, family->def->unit, atomic_load_explicit(&metric->value, memory_order_relaxed));
    put(writer, "\n");
    put_series(writer, family, metric, "_count", -1);
    put_number(writer, total);
    put(writer, "\n");
}

static void put_metric(struct writer *writer, const struct br_metric_family *family,
                       const struct br_metric *metric)
{
    if (family->def->type == BR_METRIC_HISTOGRAM) {
        put_histogram(writer, family, metric);
    } else {
        put_series(writer, family, metric, "", -1);
        put_value(writer, family->def->unit, atomic_load_explicit(&metric->value, memory_order_relaxed));
        put(writer, "\n");
    }
}

static void put_overflow(struct writer *writer, const struct br_metric_family *family)
{
    static const char total[] = "_total";
    static const char suffix[] = "_label_overflow_total";
    const char *name = family->def->name;
    size_t len = strlen(name);
    if (len > sizeof total - 1 && strcmp(name + len - (sizeof total - 1), total) == 0) {
        len -= sizeof total - 1;
    }
    put_head(writer, name, len, suffix,
             "Updates that were counted under \"" BR_METRIC_OTHER "\" for want of room.", "counter");
    put_bytes(writer, name, len);
    put(writer, suffix);
    put(writer, " ");
    put_number(writer, atomic_load_explicit(&family->overflow_count, memory_order_relaxed));
    put(writer, "\n");
}

static void put_family(struct writer *writer, const struct br_metric_family *family)
{
    const struct br_metric_def *def = family->def;
    put_head(writer, def->name, strlen(def->name), "", def->help, br_metric_type_name(def->type));
    size_t count = atomic_load_explicit(&family->set_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++) {
        put_metric(writer, family, &family->sets[i]);
    }
    if (atomic_load(&family->other_used)) {
        put_metric(writer, family, &family->other);
    }
    if (family->label_count > 0) {
        put_overflow(writer, family);
    }
}

bool br_metrics_write(const struct br_metrics *metrics, struct br_buf *out, struct br_status *st)
{
    for (size_t i = 0; i < metrics->refresh_count; i++) {
        metrics->refreshes[i].run(metrics->refreshes[i].ctx);
    }
    size_t len_before = out->len;
    struct writer writer = {.buf = out, .result = BR_BUF_OK};
    for (const struct br_metric_family *family = metrics->first; family != NULL; family = family->next) {
        put_family(&writer, family);
    }
    if (writer.result == BR_BUF_OK) {
        return true;
    }
    out->len = len_before;
    if (out->data != NULL) {
        out->data[len_before] = '\0';
    }
    return writer.result == BR_BUF_FULL
               ? br_status_set(st, BR_RESOURCE_EXHAUSTED, "METRICS_SIZE",
                               "the metrics are more than %zu bytes", out->limit_bytes)
               : br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for the metrics");
}

/* ---- Reading ---- */

static void visit_metric(const struct br_metric_family *family, const struct br_metric *metric,
                         br_metric_visit_fn visit, void *context)
{
    const char *values[BR_METRIC_LABELS_MAX];
    for (size_t i = 0; i < family->label_count; i++) {
        values[i] = metric->values[i];
    }
    int64_t value = 0;
    if (family->def->type == BR_METRIC_HISTOGRAM) {
        for (size_t i = 0; i <= family->bucket_count; i++) {
            value += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
        }
    } else {
        value = atomic_load_explicit(&metric->value, memory_order_relaxed);
    }
    visit(context, values, value);
}

void br_metrics_visit(const struct br_metrics *metrics, const char *name, br_metric_visit_fn visit,
                      void *context)
{
    const struct br_metric_family *family = metrics->first;
    while (family != NULL && strcmp(family->def->name, name) != 0) {
        family = family->next;
    }
    if (family == NULL) {
        return;
    }
    size_t count = atomic_load_explicit(&family->set_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++) {
        visit_metric(family, &family->sets[i], visit, context);
    }
    if (atomic_load(&family->other_used)) {
        visit_metric(family, &family->other, visit, context);
    }
}
