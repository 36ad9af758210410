/* What needs no server and no token. Those are in tests/e2e/test_metrics.py. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alloc_fault.h"
#include "cmd/cmd.h"
#include "cmd/serve_metrics.h"
#include "test_contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct br_metrics *registry;
    struct br_health *health;
    struct br_serve_metrics *metrics;
    struct br_buf text;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.registry = br_metrics_create(), .health = br_health_create(test_contract())};
    assert_non_null(f.registry);
    assert_non_null(f.health);
    f.metrics = br_serve_metrics_create(f.registry, &(struct br_serve_metrics_config){.health = f.health});
    assert_non_null(f.metrics);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    (void)alloc_fault_end();
    br_buf_finish(&f->text);
    br_serve_metrics_destroy(f->metrics);
    br_serve_metrics_destroy(NULL);
    br_health_destroy(f->health);
    br_metrics_destroy(f->registry);
    return 0;
}

static const char *write_text(struct fixture *f)
{
    struct br_status st;
    br_buf_finish(&f->text);
    br_buf_init(&f->text, 1 << 20);
    assert_true(br_metrics_write(f->registry, &f->text, &st));
    return f->text.data;
}

static void assert_written(struct fixture *f, const char *line)
{
    if (strstr(write_text(f), line) == NULL) {
        fail_msg("no %s in\n%s", line, f->text.data);
    }
}

/* The value of the series |name|, which has no labels. */
static double value(struct fixture *f, const char *name)
{
    char line[100];
    (void)snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(write_text(f), line);
    assert_non_null(at);
    return strtod(at + strlen(line), NULL);
}

static void test_health_shows_at_once(void **state)
{
    struct fixture *f = *state;
    assert_written(f, "\nmodelarts_bridge_ready 0\n");
    assert_written(f, "\nmodelarts_bridge_draining 0\n");
    br_health_set_started(f->health);
    assert_written(f, "\nmodelarts_bridge_ready 1\n");
    br_health_set_problem(f->health, "no credential");
    assert_written(f, "\nmodelarts_bridge_ready 0\n");
    br_health_set_problem(f->health, NULL);
    assert_written(f, "\nmodelarts_bridge_ready 1\n");
    br_health_set_draining(f->health);
    assert_written(f, "\nmodelarts_bridge_ready 0\n");
    assert_written(f, "\nmodelarts_bridge_draining 1\n");
}

static void test_process_and_build_are_there(void **state)
{
    struct fixture *f = *state;
    char line[100];
    (void)snprintf(line, sizeof line, "\nmodelarts_bridge_build_info{version=\"%s\"} 1\n", br_version());
    assert_written(f, line);
    assert_true(value(f, "process_start_time_seconds") > 1600000000);
    assert_true(value(f, "process_cpu_seconds_total") > 0);
    assert_true(value(f, "process_resident_memory_bytes") > 100000);
    assert_true(value(f, "process_open_fds") >= 1);
    assert_true(value(f, "process_max_fds") >= value(f, "process_open_fds"));
    assert_written(f, "\nmodelarts_bridge_log_lines_dropped_total 0\n");
}

static void test_pool_is_empty_before_there_is_a_server(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"requests_queued", "requests_in_flight", "connections",
                                        "connections_opened_total", "connections_max"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char line[100];
        (void)snprintf(line, sizeof line, "\nmodelarts_bridge_upstream_%s 0\n", names[i]);
        assert_written(f, line);
    }
}

static void test_metrics_of_what_is_not_configured_are_not_there(void **state)
{
    struct fixture *f = *state;
    assert_null(strstr(write_text(f), "modelarts_bridge_token_"));
    assert_null(strstr(write_text(f), "certificate"));
    size_t count;
    const struct br_metric_def *defs = br_serve_metrics_defs(&count);
    for (size_t i = 0; i < count; i++) {
        bool is_configured =
            strstr(defs[i].name, "_token_") == NULL && strstr(defs[i].name, "certificate") == NULL;
        char line[100];
        (void)snprintf(line, sizeof line, "# TYPE %s %s\n", defs[i].name, br_metric_type_name(defs[i].type));
        assert_int_equal(strstr(write_text(f), line) != NULL, is_configured);
    }
}

static void test_create_without_memory_returns_null(void **state)
{
    struct fixture *f = *state;
    struct br_metrics *registry = br_metrics_create();
    alloc_fault_all_after(0);
    assert_null(br_serve_metrics_create(registry, &(struct br_serve_metrics_config){.health = f->health}));
    (void)alloc_fault_end();
    br_metrics_destroy(registry);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_health_shows_at_once),
        TEST(test_process_and_build_are_there),
        TEST(test_pool_is_empty_before_there_is_a_server),
        TEST(test_metrics_of_what_is_not_configured_are_not_there),
        TEST(test_create_without_memory_returns_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
