/* Linked with -Wl,--wrap=calloc,--wrap=realloc. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fault.h"
#include "base/metrics.h"

#define THREADS 4
#define ROUNDS 5000

static const struct br_metric_def counter_def = {.name = "calls_total",
                                                 .help = "Calls.",
                                                 .type = BR_METRIC_COUNTER,
                                                 .labels = {"method", "code"},
                                                 .max_sets = 3};
static const struct br_metric_def gauge_def = {
    .name = "in_flight", .help = "A \\ and\na \"quote\".", .type = BR_METRIC_GAUGE};
static const struct br_metric_def histogram_def = {.name = "duration_seconds",
                                                   .help = "Time.",
                                                   .type = BR_METRIC_HISTOGRAM,
                                                   .labels = {"method"},
                                                   .max_sets = 2,
                                                   .unit = BR_METRIC_MICROSECONDS,
                                                   .buckets = {10, 5000, 2500000, 600000000}};
static const struct br_metric_def size_def = {
    .name = "size_bytes", .help = "Size.", .type = BR_METRIC_HISTOGRAM, .buckets = {64, 67108864}};
static const struct br_metric_def cpu_def = {.name = "cpu_seconds_total",
                                             .help = "CPU time.",
                                             .type = BR_METRIC_COUNTER,
                                             .unit = BR_METRIC_MICROSECONDS};
static const struct br_metric_def age_def = {
    .name = "age_seconds", .help = "Age.", .type = BR_METRIC_GAUGE, .unit = BR_METRIC_MICROSECONDS};

struct fixture {
    struct br_metrics *metrics;
    struct br_metric_family *counter, *gauge, *histogram;
    struct br_buf text;
};

static int set_up(void **state)
{
    static struct fixture f;
    f.metrics = br_metrics_create();
    assert_non_null(f.metrics);
    f.counter = br_metrics_family(f.metrics, &counter_def);
    f.gauge = br_metrics_family(f.metrics, &gauge_def);
    f.histogram = br_metrics_family(f.metrics, &histogram_def);
    assert_non_null(f.counter);
    assert_non_null(f.gauge);
    assert_non_null(f.histogram);
    br_buf_init(&f.text, 1 << 20);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    (void)alloc_fault_end();
    br_buf_finish(&f->text);
    br_metrics_destroy(f->metrics);
    return 0;
}

static const char *write_text(struct fixture *f)
{
    struct br_status st;
    br_buf_finish(&f->text);
    br_buf_init(&f->text, 1 << 20);
    assert_true(br_metrics_write(f->metrics, &f->text, &st));
    return f->text.data;
}

static struct br_metric *counter(struct fixture *f, const char *method, const char *code)
{
    const char *const values[] = {method, code};
    return br_metric_child(f->counter, values);
}

static struct br_metric *histogram(struct fixture *f, const char *method)
{
    return br_metric_child(f->histogram, &method);
}

/* Whether |line|, without its newline, is a whole line of what is written. */
static bool has_line(struct fixture *f, const char *line)
{
    const char *text = write_text(f);
    size_t len = strlen(line);
    for (const char *at = text; (at = strstr(at, line)) != NULL; at++) {
        if ((at == text || at[-1] == '\n') && at[len] == '\n') {
            return true;
        }
    }
    return false;
}

static size_t count_lines(struct fixture *f, const char *prefix)
{
    size_t count = 0;
    for (const char *at = write_text(f); *at != '\0'; at = strchr(at, '\n') + 1) {
        count += strncmp(at, prefix, strlen(prefix)) == 0;
    }
    return count;
}

static void test_write_without_updates_is_the_heads_and_zeros(void **state)
{
    assert_string_equal(
        write_text(*state),
        "# HELP calls_total Calls.\n# TYPE calls_total counter\n"
        "# HELP calls_label_overflow_total Updates that were counted under \"other\" for want of "
        "room.\n# TYPE calls_label_overflow_total counter\ncalls_label_overflow_total 0\n"
        "# HELP in_flight A \\\\ and\\na \"quote\".\n# TYPE in_flight gauge\nin_flight 0\n"
        "# HELP duration_seconds Time.\n# TYPE duration_seconds histogram\n"
        "# HELP duration_seconds_label_overflow_total Updates that were counted under \"other\" for "
        "want of room.\n# TYPE duration_seconds_label_overflow_total counter\n"
        "duration_seconds_label_overflow_total 0\n");
}

static void test_write_of_an_empty_registry_is_empty(void **state)
{
    (void)state;
    struct br_metrics *metrics = br_metrics_create();
    struct br_buf text;
    struct br_status st;
    br_buf_init(&text, 0);
    assert_true(br_metrics_write(metrics, &text, &st));
    assert_int_equal(text.len, 0);
    br_metrics_destroy(metrics);
    br_metrics_destroy(NULL);
}

static void test_add_counts_each_label_set(void **state)
{
    struct fixture *f = *state;
    br_metric_add(counter(f, "a", "OK"), 1);
    br_metric_add(counter(f, "a", ""), 0);
    br_metric_add(counter(f, "a", "OK"), INT64_C(5000000000));
    assert_ptr_equal(counter(f, "a", "OK"), counter(f, "a", "OK"));
    assert_true(has_line(f, "calls_total{method=\"a\",code=\"OK\"} 5000000001"));
    assert_true(has_line(f, "calls_total{method=\"a\",code=\"\"} 0"));
    assert_int_equal(count_lines(f, "calls_total{"), 2);
}

static void test_gauge_goes_both_ways(void **state)
{
    struct fixture *f = *state;
    struct br_metric *gauge = br_metric_child(f->gauge, NULL);
    br_metric_add(gauge, 3);
    br_metric_add(gauge, -5);
    assert_true(has_line(f, "in_flight -2"));
    br_metric_set(gauge, 7);
    assert_true(has_line(f, "in_flight 7"));
}

static void test_child_past_the_ceiling_is_other(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        char method[16];
        snprintf(method, sizeof method, "m%d", i);
        br_metric_add(counter(f, method, "OK"), 1);
    }
    assert_true(has_line(f, "calls_label_overflow_total 0"));
    assert_int_equal(count_lines(f, "calls_total{"), 3);

    for (int i = 3; i < 1000; i++) {
        char method[16];
        snprintf(method, sizeof method, "m%d", i);
        br_metric_add(counter(f, method, "OK"), 1);
    }
    assert_true(has_line(f, "calls_total{method=\"other\",code=\"other\"} 997"));
    assert_true(has_line(f, "calls_label_overflow_total 997"));
    assert_int_equal(count_lines(f, "calls_total{"), 4);

    br_metric_add(counter(f, "m2", "OK"), 1);
    assert_true(has_line(f, "calls_total{method=\"m2\",code=\"OK\"} 2"));
}

/* Else the text would have the same series twice once the family is full. */
static void test_child_named_other_is_the_overflow_set(void **state)
{
    struct fixture *f = *state;
    br_metric_add(counter(f, "other", "other"), 1);
    br_metric_add(counter(f, "other", "OK"), 1);
    br_metric_add(counter(f, "a", "OK"), 1);
    br_metric_add(counter(f, "b", "OK"), 1);
    br_metric_add(counter(f, "c", "OK"), 1);
    assert_true(has_line(f, "calls_total{method=\"other\",code=\"other\"} 2"));
    assert_true(has_line(f, "calls_total{method=\"other\",code=\"OK\"} 1"));
    assert_true(has_line(f, "calls_label_overflow_total 1"));
    assert_int_equal(count_lines(f, "calls_total{"), 5 - 1);
}

static void test_child_escapes_values(void **state)
{
    struct fixture *f = *state;
    br_metric_add(counter(f, "a\\b\"c\nd} 9\n", "\t\xC3\xA9"), 1);
    assert_true(has_line(f, "calls_total{method=\"a\\\\b\\\"c\\nd} 9\\n\",code=\"\t\xC3\xA9\"} 1"));
}

static void test_child_replaces_what_is_not_utf8(void **state)
{
    struct fixture *f = *state;
    br_metric_add(counter(f, "a\xFF\xC3z\xED\xA0\x80", "\xE2\x82"), 1);
    assert_true(
        has_line(f, "calls_total{method=\"a\xEF\xBF\xBD\xEF\xBF\xBDz\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\","
                    "code=\"\xEF\xBF\xBD\xEF\xBF\xBD\"} 1"));
}

static void test_child_cuts_values_between_characters(void **state)
{
    struct fixture *f = *state;
    char fits[65], longer[66], wide[70], bytes[4001], line[400];
    snprintf(fits, sizeof fits, "%064d", 1);
    snprintf(longer, sizeof longer, "%s2", fits);
    assert_ptr_equal(counter(f, fits, ""), counter(f, longer, ""));
    snprintf(line, sizeof line, "calls_total{method=\"%s\",code=\"\"} 0", fits);
    assert_true(has_line(f, line));

    /* The character that would end at byte 65 goes as a whole. */
    snprintf(wide, sizeof wide, "%063d\xC3\xA9", 1);
    br_metric_add(counter(f, wide, ""), 1);
    snprintf(line, sizeof line, "calls_total{method=\"%063d\",code=\"\"} 1", 1);
    assert_true(has_line(f, line));

    /* 64 bytes have room for 21 replacement characters of three. */
    memset(bytes, 0xFF, sizeof bytes - 1);
    bytes[sizeof bytes - 1] = '\0';
    br_metric_add(counter(f, bytes, "bytes"), 1);
    char replaced[64] = "";
    for (size_t i = 0; i < 21; i++) {
        memcpy(replaced + 3 * i, "\xEF\xBF\xBD", 4);
    }
    snprintf(line, sizeof line, "calls_total{method=\"%s\",code=\"bytes\"} 1", replaced);
    assert_true(has_line(f, line));
}

static void test_observe_fills_cumulative_buckets(void **state)
{
    struct fixture *f = *state;
    static const int64_t durations_us[] = {-3,      0,       10,        11,        5000,
                                           2500000, 2500001, 600000000, 600000001, INT64_C(3600000000)};
    for (size_t i = 0; i < sizeof durations_us / sizeof durations_us[0]; i++) {
        br_metric_observe(histogram(f, "a"), durations_us[i]);
    }
    const char *text = write_text(f);
    assert_non_null(strstr(text, "duration_seconds_bucket{method=\"a\",le=\"0.00001\"} 3\n"
                                 "duration_seconds_bucket{method=\"a\",le=\"0.005\"} 5\n"
                                 "duration_seconds_bucket{method=\"a\",le=\"2.5\"} 6\n"
                                 "duration_seconds_bucket{method=\"a\",le=\"600\"} 8\n"
                                 "duration_seconds_bucket{method=\"a\",le=\"+Inf\"} 10\n"
                                 "duration_seconds_sum{method=\"a\"} 4805.005023\n"
                                 "duration_seconds_count{method=\"a\"} 10\n"));
}

static void test_observe_without_labels_has_only_le(void **state)
{
    (void)state;
    static const struct br_metric_def def = {.name = "wait_seconds",
                                             .help = "Wait.",
                                             .type = BR_METRIC_HISTOGRAM,
                                             .unit = BR_METRIC_MICROSECONDS,
                                             .buckets = {1000000}};
    struct br_metrics *metrics = br_metrics_create();
    struct br_metric_family *family = br_metrics_family(metrics, &def);
    assert_non_null(family);
    br_metric_observe(br_metric_child(family, NULL), 10000);
    struct br_buf text;
    struct br_status st;
    br_buf_init(&text, 4096);
    assert_true(br_metrics_write(metrics, &text, &st));
    assert_string_equal(text.data, "# HELP wait_seconds Wait.\n# TYPE wait_seconds histogram\n"
                                   "wait_seconds_bucket{le=\"1\"} 1\nwait_seconds_bucket{le=\"+Inf\"} 1\n"
                                   "wait_seconds_sum 0.01\nwait_seconds_count 1\n");
    br_buf_finish(&text);
    br_metrics_destroy(metrics);
}

static void test_observe_of_plain_numbers_shows_them_as_they_are(void **state)
{
    struct fixture *f = *state;
    struct br_metric_family *family = br_metrics_family(f->metrics, &size_def);
    assert_non_null(family);
    static const int64_t sizes[] = {0, 64, 65, 67108864, 67108865};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        br_metric_observe(br_metric_child(family, NULL), sizes[i]);
    }
    assert_non_null(strstr(write_text(f),
                           "\nsize_bytes_bucket{le=\"64\"} 2\nsize_bytes_bucket{le=\"67108864\"} 4\n"
                           "size_bytes_bucket{le=\"+Inf\"} 5\nsize_bytes_sum 134217858\n"
                           "size_bytes_count 5\n"));
}

static void test_microseconds_of_counters_and_gauges_show_as_fractions(void **state)
{
    struct fixture *f = *state;
    struct br_metric_family *cpu = br_metrics_family(f->metrics, &cpu_def);
    struct br_metric_family *age = br_metrics_family(f->metrics, &age_def);
    assert_non_null(cpu);
    assert_non_null(age);
    assert_true(has_line(f, "cpu_seconds_total 0"));
    br_metric_add(br_metric_child(cpu, NULL), 1500000);
    assert_true(has_line(f, "cpu_seconds_total 1.5"));
    br_metric_set(br_metric_child(cpu, NULL), 12000001);
    assert_true(has_line(f, "cpu_seconds_total 12.000001"));
    br_metric_set(br_metric_child(age, NULL), -20000);
    assert_true(has_line(f, "age_seconds -0.02"));
    br_metric_set(br_metric_child(age, NULL), INT64_MIN);
    assert_true(has_line(f, "age_seconds -9223372036854.775808"));
}

/* Looks a gauge up, and makes a label set: what is under the registry's lock elsewhere. */
static void refresh(void *ctx)
{
    struct fixture *f = ctx;
    br_metric_add(br_metric_child(f->gauge, NULL), 1);
    br_metric_add(counter(f, "refreshed", "OK"), 1);
}

static void test_write_refreshes_before_each_text(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < BR_METRICS_REFRESHES_MAX; i++) {
        br_metrics_on_write(f->metrics, refresh, f);
    }
    assert_non_null(strstr(write_text(f), "\nin_flight 4\n"));
    assert_non_null(strstr(write_text(f), "\ncalls_total{method=\"refreshed\",code=\"OK\"} 8\n"));
}

static void test_write_ceiling_is_exact_and_leaves_the_buffer(void **state)
{
    struct fixture *f = *state;
    br_metric_add(counter(f, "a", "OK"), 1);
    size_t need = strlen(write_text(f));
    struct br_status st;
    struct br_buf text;
    br_buf_init(&text, need + 3);
    assert_int_equal(br_buf_puts(&text, "abc"), BR_BUF_OK);
    assert_true(br_metrics_write(f->metrics, &text, &st));
    assert_int_equal(text.len, need + 3);
    br_buf_finish(&text);

    br_buf_init(&text, need + 2);
    assert_int_equal(br_buf_puts(&text, "abc"), BR_BUF_OK);
    assert_false(br_metrics_write(f->metrics, &text, &st));
    assert_int_equal(st.code, BR_RESOURCE_EXHAUSTED);
    assert_string_equal(st.reason, "METRICS_SIZE");
    assert_string_equal(text.data, "abc");
    assert_int_equal(text.len, 3);
    br_buf_finish(&text);
}

static void test_write_without_memory_fails(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 2; i++) {
        struct br_buf text;
        struct br_status st;
        br_buf_init(&text, 1 << 20);
        alloc_fault_all_after(i);
        assert_false(br_metrics_write(f->metrics, &text, &st));
        (void)alloc_fault_end();
        assert_int_equal(st.code, BR_RESOURCE_EXHAUSTED);
        assert_string_equal(st.reason, "OUT_OF_MEMORY");
        assert_int_equal(text.len, 0);
        br_buf_finish(&text);
    }
}

static void test_create_without_memory_returns_null(void **state)
{
    (void)state;
    alloc_fault_all_after(0);
    assert_null(br_metrics_create());
    (void)alloc_fault_end();
    struct br_metrics *metrics = br_metrics_create();
    for (size_t i = 0; i < 2; i++) {
        alloc_fault_all_after(i);
        assert_null(br_metrics_family(metrics, &counter_def));
    }
    (void)alloc_fault_end();
    assert_non_null(br_metrics_family(metrics, &counter_def));
    br_metrics_destroy(metrics);
}

struct worker {
    struct fixture *f;
    pthread_barrier_t *begin;
};

/* All of them make the same label sets, three of which find room, and observe. */
static void *work(void *arg)
{
    struct worker *worker = arg;
    pthread_barrier_wait(worker->begin);
    for (int i = 0; i < ROUNDS; i++) {
        char method[16];
        snprintf(method, sizeof method, "m%d", i % 5);
        br_metric_add(counter(worker->f, method, "OK"), 1);
        br_metric_observe(histogram(worker->f, "a"), i % 200);
    }
    return NULL;
}

static int64_t sum_of(struct fixture *f, const char *prefix)
{
    int64_t sum = 0;
    for (const char *at = write_text(f); *at != '\0'; at = strchr(at, '\n') + 1) {
        if (strncmp(at, prefix, strlen(prefix)) == 0) {
            const char *number = strchr(at, '}') + 2;
            int64_t value = 0;
            for (; *number >= '0' && *number <= '9'; number++) {
                value = value * 10 + (*number - '0');
            }
            sum += value;
        }
    }
    return sum;
}

static void test_threads_lose_no_update(void **state)
{
    struct fixture *f = *state;
    pthread_barrier_t begin;
    pthread_barrier_init(&begin, NULL, THREADS + 1);
    struct worker worker = {f, &begin};
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work, &worker), 0);
    }
    pthread_barrier_wait(&begin);
    for (int i = 0; i < 100; i++) {
        /* Whenever it is read, a histogram agrees with itself. */
        const char *text = write_text(f);
        const char *last = strstr(text, "le=\"+Inf\"} ");
        const char *count = strstr(text, "duration_seconds_count{method=\"a\"} ");
        if (last != NULL) {
            assert_non_null(count);
            last = strchr(last, ' ') + 1;
            count = strchr(count, ' ') + 1;
            size_t len = strcspn(last, "\n");
            assert_memory_equal(last, count, len + 1);
        }
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&begin);
    assert_int_equal(count_lines(f, "calls_total{"), 4);
    assert_int_equal(sum_of(f, "calls_total{"), THREADS * ROUNDS);
    assert_int_equal(sum_of(f, "duration_seconds_count{"), THREADS * ROUNDS);
    assert_true(has_line(f, "calls_total{method=\"other\",code=\"other\"} 8000"));
    assert_true(has_line(f, "duration_seconds_sum{method=\"a\"} 1.99"));
}

/* Many known sets make the search long: both threads end it before either has made its set. */
#define KNOWN_SETS 400
#define RACERS 2

static const struct br_metric_def race_def = {.name = "races_total",
                                              .help = "Races.",
                                              .type = BR_METRIC_COUNTER,
                                              .labels = {"method"},
                                              .max_sets = KNOWN_SETS + 1};

struct racer {
    struct br_metric_family *family;
    atomic_int *ready_count;
    const char *method;
};

static void *race(void *arg)
{
    struct racer *racer = arg;
    atomic_fetch_add(racer->ready_count, 1);
    while (atomic_load(racer->ready_count) < RACERS) {
        sched_yield();
    }
    br_metric_add(br_metric_child(racer->family, &racer->method), 1);
    return NULL;
}

/* Runs threads that ask for |methods| at once while there is room for one more; the text is in |f| then. */
static void run_race(struct fixture *f, const char *const methods[RACERS])
{
    *f = (struct fixture){.metrics = br_metrics_create()};
    struct br_metric_family *family = br_metrics_family(f->metrics, &race_def);
    assert_non_null(family);
    for (int i = 0; i < KNOWN_SETS; i++) {
        char known[24];
        snprintf(known, sizeof known, "known%d", i);
        const char *value = known;
        (void)br_metric_child(family, &value);
    }
    atomic_int ready_count = 0;
    struct racer racers[RACERS];
    pthread_t threads[RACERS];
    for (size_t i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){family, &ready_count, methods[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < RACERS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void end_race(struct fixture *f)
{
    br_buf_finish(&f->text);
    br_metrics_destroy(f->metrics);
}

static void test_threads_make_a_set_once_and_no_more_than_fit(void **state)
{
    (void)state;
    struct fixture f;
    for (int round = 0; round < 200; round++) {
        run_race(&f, (const char *const[]){"same", "same"});
        assert_true(has_line(&f, "races_total{method=\"same\"} 2"));
        assert_true(has_line(&f, "races_label_overflow_total 0"));
        end_race(&f);

        run_race(&f, (const char *const[]){"one", "two"});
        assert_true(has_line(&f, "races_total{method=\"other\"} 1"));
        assert_true(has_line(&f, "races_label_overflow_total 1"));
        assert_int_equal(count_lines(&f, "races_total{"), KNOWN_SETS + 2);
        end_race(&f);
    }
}

struct visited {
    char text[256];
    size_t len;
};

static void note(void *context, const char *const *values, int64_t value)
{
    struct visited *visited = context;
    for (size_t i = 0; values != NULL && i < 2; i++) {
        visited->len += (size_t)snprintf(visited->text + visited->len, sizeof visited->text - visited->len,
                                         "%s ", values[i]);
    }
    visited->len += (size_t)snprintf(visited->text + visited->len, sizeof visited->text - visited->len, "%d;",
                                     (int)value);
}

/* For families with fewer than two labels. */
static void note_value(void *context, const char *const *values, int64_t value)
{
    (void)values;
    note(context, NULL, value);
}

static void assert_visited(struct fixture *f, const char *name, br_metric_visit_fn visit, const char *text)
{
    struct visited visited = {.len = 0};
    br_metrics_visit(f->metrics, name, visit, &visited);
    assert_string_equal(visited.text, text);
}

static void test_visit_gives_each_metric_of_a_family(void **state)
{
    struct fixture *f = *state;
    assert_visited(f, "calls_total", note, "");
    assert_visited(f, "in_flight", note_value, "0;");
    assert_visited(f, "duration_seconds", note_value, "");
    assert_visited(f, "nothing", note, "");
    static const char *const sets[][2] = {{"a", "OK"}, {"a", "NO"}, {"b", "OK"}, {"c", "OK"}, {"d", "OK"}};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        br_metric_add(br_metric_child(f->counter, sets[i]), (int64_t)i + 1);
    }
    br_metric_set(br_metric_child(f->gauge, NULL), -5);
    struct br_metric *durations = br_metric_child(f->histogram, (const char *const[]){"a"});
    br_metric_observe(durations, 1);
    br_metric_observe(durations, 700000000);
    assert_visited(f, "calls_total", note, "a OK 1;a NO 2;b OK 3;other other 9;");
    assert_visited(f, "in_flight", note_value, "-5;");
    assert_visited(f, "duration_seconds", note_value, "2;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write_without_updates_is_the_heads_and_zeros, set_up, tear_down),
        cmocka_unit_test(test_write_of_an_empty_registry_is_empty),
        cmocka_unit_test_setup_teardown(test_add_counts_each_label_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gauge_goes_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_child_past_the_ceiling_is_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_child_named_other_is_the_overflow_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_child_escapes_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_child_replaces_what_is_not_utf8, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_child_cuts_values_between_characters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_observe_fills_cumulative_buckets, set_up, tear_down),
        cmocka_unit_test(test_observe_without_labels_has_only_le),
        cmocka_unit_test_setup_teardown(test_observe_of_plain_numbers_shows_them_as_they_are, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_microseconds_of_counters_and_gauges_show_as_fractions, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_visit_gives_each_metric_of_a_family, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_write_refreshes_before_each_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_write_ceiling_is_exact_and_leaves_the_buffer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_write_without_memory_fails, set_up, tear_down),
        cmocka_unit_test(test_create_without_memory_returns_null),
        cmocka_unit_test(test_threads_make_a_set_once_and_no_more_than_fit),
        cmocka_unit_test_setup_teardown(test_threads_lose_no_update, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
