/* The handlers of the admin port's routes, called without a port. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cmd/admin_pages.h"
#include "test_contract.h"

struct fixture {
    struct br_admin_pages pages;
    struct br_metrics *metrics;
    struct br_admin_answer answer;
};

static int set_up(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    f.metrics = br_metrics_create();
    assert_non_null(f.metrics);
    f.pages.status.metrics = f.metrics;
    f.pages.status.health = br_health_create(test_contract());
    assert_non_null(f.pages.status.health);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    br_buf_finish(&f->answer.body);
    br_health_destroy(f->pages.status.health);
    br_metrics_destroy(f->metrics);
    br_log_set_level(BR_LOG_INFO);
    return 0;
}

/* As the port calls a handler. */
static bool ask(struct fixture *f, const char *method, const char *path, const char *body,
                struct br_status *st)
{
    const struct br_admin_route *route = br_admin_routes;
    while (strcmp(route->method, method) != 0 || strcmp(route->path, path) != 0) {
        route++;
        assert_true(route < br_admin_routes + br_admin_route_count);
    }
    assert_true(strlen(body) <= route->body_max_bytes);
    const struct br_admin_request request = {.body = body, .body_len = strlen(body)};
    br_buf_finish(&f->answer.body);
    f->answer = (struct br_admin_answer){.status = 200, .type = BR_ADMIN_TEXT};
    br_buf_init(&f->answer.body, BR_ADMIN_ANSWER_MAX_BYTES);
    return route->handle(&f->pages, &request, &f->answer, st);
}

static void expect(struct fixture *f, const char *method, const char *path, const char *body, unsigned status,
                   const char *text)
{
    struct br_status st;
    assert_true(ask(f, method, path, body, &st));
    assert_int_equal(f->answer.status, status);
    assert_string_equal(f->answer.body.data, text);
}

static void test_probes_from_start_to_drain(void **state)
{
    struct fixture *f = *state;
    expect(f, "GET", "/livez", "", 200, "ok\n");
    expect(f, "GET", "/startupz", "", 503, "starting\n");
    expect(f, "GET", "/readyz", "", 503, "starting\n");
    br_health_set_problem(f->pages.status.health, "no password");
    br_health_set_started(f->pages.status.health);
    expect(f, "GET", "/startupz", "", 200, "started\n");
    expect(f, "GET", "/readyz", "", 503, "no password\n");
    br_health_set_problem(f->pages.status.health, NULL);
    expect(f, "GET", "/readyz", "", 200, "ready\n");
    br_health_set_draining(f->pages.status.health);
    expect(f, "GET", "/livez", "", 200, "ok\n");
    expect(f, "GET", "/startupz", "", 200, "started\n");
    expect(f, "GET", "/readyz", "", 503, "draining\n");
}

static void test_metrics_are_the_registry_now(void **state)
{
    struct fixture *f = *state;
    static const struct br_metric_def def = {.name = "a_total", .help = "A.", .type = BR_METRIC_COUNTER};
    struct br_metric_family *family = br_metrics_family(f->metrics, &def);
    assert_non_null(family);
    br_metric_add(br_metric_child(family, NULL), 3);
    expect(f, "GET", "/metrics", "", 200, "# HELP a_total A.\n# TYPE a_total counter\na_total 3\n");
    assert_string_equal(f->answer.type, "text/plain; version=0.0.4; charset=utf-8");
}

static void test_metrics_above_the_ceiling_fail(void **state)
{
    struct fixture *f = *state;
    static char help[BR_ADMIN_ANSWER_MAX_BYTES + 1];
    memset(help, 'h', sizeof help - 1);
    static const struct br_metric_def def = {.name = "large", .help = help, .type = BR_METRIC_GAUGE};
    assert_non_null(br_metrics_family(f->metrics, &def));
    struct br_status st;
    assert_false(ask(f, "GET", "/metrics", "", &st));
    assert_string_equal(st.reason, "METRICS_SIZE");
}

static void test_log_level_takes_names_alone(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"error", "warn", "info", "debug"};
    expect(f, "GET", "/log-level", "", 200, "info\n");
    for (int level = 0; level < 4; level++) {
        char line[8];
        (void)snprintf(line, sizeof line, "%s\n", names[level]);
        expect(f, "PUT", "/log-level", names[level], 200, line);
        assert_int_equal(br_log_level(), level);
        br_log_set_level(BR_LOG_INFO);
        expect(f, "PUT", "/log-level", line, 200, line);
        assert_int_equal(br_log_level(), level);
        expect(f, "GET", "/log-level", "", 200, line);
    }
    static const char *const wrong[] = {"", "\n", "deb", "debugg", "debug\r", "Debug", " debug", "debug\n\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        expect(f, "PUT", "/log-level", wrong[i], 400, "send error, warn, info or debug as the body\n");
        assert_int_equal(br_log_level(), BR_LOG_DEBUG);
    }
}

static void test_drain_is_for_who_may(void **state)
{
    struct fixture *f = *state;
    expect(f, "POST", "/drain", "", 403, "not allowed; start the bridge with --admin-drain\n");
    assert_null(f->answer.after);
    f->pages.drain_allowed = true;
    expect(f, "POST", "/drain", "", 202, "draining\n");
    assert_non_null(f->answer.after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_probes_from_start_to_drain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_metrics_are_the_registry_now, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_metrics_above_the_ceiling_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_level_takes_names_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_drain_is_for_who_may, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
