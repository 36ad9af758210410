/*
 * The snapshot of the status page, with settings and a contract that only the test knows. Linked with
 * -Wl,--wrap=br_auth_token_state,--wrap=br_server_address,--wrap=br_server_upstream_stats.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/statusz.h"
#include "serve/call_metrics.h"
#include "test_contract.h"
#include "upstream/auth_token.h"

#define UPDATE "testapi.v1.EverythingService/UpdateThing"

struct settings {
    const char *url;
    const char *unset;
    int64_t timeout_ms;
};

static const struct br_setting rows[] = {
    {.flag = "url", .kind = BR_SETTING_TEXT, .offset = offsetof(struct settings, url)},
    {.flag = "unset", .kind = BR_SETTING_TEXT, .offset = offsetof(struct settings, unset)},
    {.flag = "timeout",
     .kind = BR_SETTING_DURATION,
     .offset = offsetof(struct settings, timeout_ms),
     .max = INT64_MAX},
};

static const struct br_settings table = {.rows = rows, .row_count = 3};
static const struct settings settings = {.url = "http://a/", .timeout_ms = 60000};

static struct br_auth_token_state token_state;

void __wrap_br_auth_token_state(struct br_auth *auth, struct br_auth_token_state *out);

void __wrap_br_auth_token_state(struct br_auth *auth, struct br_auth_token_state *out)
{
    (void)auth;
    *out = token_state;
}

/* A server that never was: it has two addresses, and a pool. */
static const char server;

const char *__wrap_br_server_address(const struct br_server *self, size_t index);
void __wrap_br_server_upstream_stats(const struct br_server *self, struct br_http_curl_stats *out);

const char *__wrap_br_server_address(const struct br_server *self, size_t index)
{
    static const char *const addresses[] = {"127.0.0.1:1", "unix:/a", NULL};
    assert_ptr_equal(self, &server);
    return addresses[index];
}

void __wrap_br_server_upstream_stats(const struct br_server *self, struct br_http_curl_stats *out)
{
    assert_ptr_equal(self, &server);
    *out = (struct br_http_curl_stats){
        .queued = 1, .in_flight = 2, .connections = 3, .connections_max = 4, .connections_opened = 5};
}

struct fixture {
    struct br_clock clock; /* first: the clock is the fixture */
    int64_t now_us;
    struct br_metrics *metrics;
    struct br_call_metrics *call_metrics;
    struct br_statusz source;
    cJSON *root;
};

static int64_t read_now_us(const struct br_clock *self)
{
    return ((const struct fixture *)self)->now_us;
}

static int set_up(void **state)
{
    static struct fixture f;
    static char url[] = "--url=http://a/";
    static char *argv[] = {url};
    f = (struct fixture){.clock = {.now_us = read_now_us}, .now_us = 5000000};
    f.metrics = br_metrics_create();
    assert_non_null(f.metrics);
    f.call_metrics = br_call_metrics_create(f.metrics);
    assert_non_null(f.call_metrics);
    f.source.table = &table;
    f.source.settings = &settings;
    f.source.argc = 1;
    f.source.argv = argv;
    f.source.contract = test_contract();
    f.source.metrics = f.metrics;
    f.source.errors = br_recent_errors_create();
    f.source.health = br_health_create(test_contract());
    assert_non_null(f.source.errors);
    assert_non_null(f.source.health);
    f.source.clock = &f.clock;
    f.source.started_unix_s = 1767323045;
    f.source.started_ms = 5000;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    cJSON_Delete(f->root);
    br_health_destroy(f->source.health);
    br_recent_errors_destroy(f->source.errors);
    br_call_metrics_destroy(f->call_metrics);
    br_metrics_destroy(f->metrics);
    return 0;
}

static void snapshot(struct fixture *f)
{
    struct br_status st;
    cJSON_Delete(f->root);
    f->root = NULL;
    if (!br_statusz_snapshot(&f->source, &f->root, &st)) {
        fail_msg("%s", st.msg);
    }
}

/* The JSON text of a member of |object|. */
static void assert_member(const cJSON *object, const char *key, const char *expected)
{
    char *text = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(object, key));
    if (text == NULL) {
        fail_msg("no %s", key);
        return;
    }
    assert_string_equal(text, expected);
    cJSON_free(text);
}

static const cJSON *member(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (item == NULL) {
        fail_msg("no %s", key);
    }
    return item;
}

static void test_snapshot_tells_where_the_process_stands(void **state)
{
    struct fixture *f = *state;
    snapshot(f);
    assert_string_equal(member(f->root, "version")->valuestring, br_version());
    assert_member(f->root, "ready", "false");
    assert_member(f->root, "problem", "\"starting\"");
    assert_member(f->root, "draining", "false");
    assert_member(f->root, "started", "\"2026-01-02T03:04:05Z\"");
    assert_member(f->root, "uptime_s", "0");
    assert_member(f->root, "listening", "[]");
    assert_member(f->root, "log_level", "\"info\"");
    assert_member(f->root, "calls_in_flight", "0");
    assert_null(cJSON_GetObjectItemCaseSensitive(f->root, "token"));

    br_health_set_started(f->source.health);
    br_log_set_level(BR_LOG_DEBUG);
    f->now_us += 61999999;
    snapshot(f);
    br_log_set_level(BR_LOG_INFO);
    assert_member(f->root, "ready", "true");
    assert_member(f->root, "problem", "null");
    assert_member(f->root, "uptime_s", "61");
    assert_member(f->root, "log_level", "\"debug\"");

    br_health_set_problem(f->source.health, "no password");
    snapshot(f);
    assert_member(f->root, "problem", "\"no password\"");
    br_health_set_draining(f->source.health);
    snapshot(f);
    assert_member(f->root, "ready", "false");
    assert_member(f->root, "problem", "\"draining\"");
    assert_member(f->root, "draining", "true");
}

static void test_snapshot_counts_calls_by_method_and_status(void **state)
{
    struct fixture *f = *state;
    const struct br_method *update = test_method("UpdateThing");
    static const enum br_code codes[] = {BR_OK, BR_OK, BR_NOT_FOUND};
    for (size_t i = 0; i < 3; i++) {
        const struct br_call_end end = {.code = codes[i], .duration_us = 1000};
        br_call_metrics_started(f->call_metrics, update);
        br_call_metrics_ended(f->call_metrics, update, &end);
    }
    br_call_metrics_started(f->call_metrics, update);
    const struct br_call_end unknown = {.code = BR_UNIMPLEMENTED};
    br_call_metrics_started(f->call_metrics, NULL);
    br_call_metrics_ended(f->call_metrics, NULL, &unknown);
    snapshot(f);
    const cJSON *methods = member(f->root, "methods");
    const cJSON *method = member(methods, UPDATE);
    assert_int_equal(strncmp(member(method, "route")->valuestring, update->verb, strlen(update->verb)), 0);
    assert_non_null(strstr(member(method, "route")->valuestring, update->path_template));
    assert_member(method, "started", "4");
    assert_member(method, "ended", "{\"OK\":2,\"NOT_FOUND\":1}");
    assert_member(methods, "other", "{\"route\":null,\"started\":1,\"ended\":{\"UNIMPLEMENTED\":1}}");
    assert_member(f->root, "calls_in_flight", "1");

    /* Those that nobody called are there too. */
    size_t count;
    (void)br_contract_methods(test_contract(), &count);
    assert_int_equal(cJSON_GetArraySize(methods), count + 1);
}

static void test_snapshot_has_what_the_server_tells(void **state)
{
    struct fixture *f = *state;
    snapshot(f);
    assert_member(f->root, "listening", "[]");
    assert_member(f->root, "upstream", "{}");
    atomic_store(&f->source.server, (const struct br_server *)&server);
    snapshot(f);
    assert_member(f->root, "listening", "[\"127.0.0.1:1\",\"unix:/a\"]");
    assert_member(f->root, "upstream",
                  "{\"requests_queued\":1,\"requests_in_flight\":2,\"connections\":3,"
                  "\"connections_max\":4,\"connections_opened\":5}");
}

static void test_snapshot_has_the_last_errors(void **state)
{
    struct fixture *f = *state;
    snapshot(f);
    assert_member(f->root, "last_errors", "[]");
    const struct br_recent_error error = {.unix_s = 0,
                                          .method = UPDATE,
                                          .code = BR_UNAVAILABLE,
                                          .duration_ms = 12,
                                          .reason = "UPSTREAM_UNREACHABLE",
                                          .request_id = "\"<r>"};
    br_recent_errors_add(f->source.errors, &error);
    snapshot(f);
    assert_member(f->root, "last_errors",
                  "[{\"time\":\"1970-01-01T00:00:00Z\",\"method\":\"" UPDATE
                  "\",\"code\":\"UNAVAILABLE\",\"reason\":\"UPSTREAM_UNREACHABLE\",\"duration_ms\":12,"
                  "\"request_id\":\"\\\"<r>\",\"trace_id\":null}]");
}

static void test_snapshot_has_the_token_without_its_message(void **state)
{
    struct fixture *f = *state;
    f->source.token = (struct br_auth *)&token_state; /* never looked into */
    token_state = (struct br_auth_token_state){.at_hand = true, .age_us = 61999999, .expires_in_s = 3600};
    snapshot(f);
    assert_member(f->root, "token",
                  "{\"at_hand\":true,\"age_s\":61,\"expires_in_s\":3600,\"last_failure\":null}");
    token_state = (struct br_auth_token_state){.at_hand = false};
    (void)br_status_set(&token_state.last_failure, BR_UNAUTHENTICATED, "TOKEN_REFUSED", "user me");
    snapshot(f);
    assert_member(f->root, "token",
                  "{\"at_hand\":false,\"age_s\":0,\"expires_in_s\":0,\"last_failure\":\"TOKEN_REFUSED\"}");
}

static void test_snapshot_has_settings_with_their_source(void **state)
{
    struct fixture *f = *state;
    snapshot(f);
    assert_member(f->root, "settings",
                  "{\"--url\":{\"value\":\"http://a/\",\"source\":\"flag\"},"
                  "\"--unset\":{\"value\":null,\"source\":\"default\"},"
                  "\"--timeout\":{\"value\":\"1m\",\"source\":\"default\"}}");
}

static long allocations_left;

static void *limited_malloc(size_t size)
{
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

static void test_snapshot_without_memory_fails(void **state)
{
    struct fixture *f = *state;
    const struct br_recent_error error = {.method = UPDATE, .code = BR_UNAVAILABLE};
    br_recent_errors_add(f->source.errors, &error);
    f->source.token = (struct br_auth *)&token_state;
    atomic_store(&f->source.server, (const struct br_server *)&server);
    br_call_metrics_started(f->call_metrics, NULL);
    cJSON_Hooks hooks = {.malloc_fn = limited_malloc, .free_fn = free};
    cJSON_InitHooks(&hooks);
    long allowed = 0;
    bool made = false;
    for (; !made; allowed++) {
        struct br_status st = {0};
        cJSON *root = NULL;
        allocations_left = allowed;
        made = br_statusz_snapshot(&f->source, &root, &st);
        if (!made) {
            assert_null(root);
            assert_int_equal(st.code, BR_RESOURCE_EXHAUSTED);
            assert_string_equal(st.reason, "OUT_OF_MEMORY");
        }
        cJSON_Delete(root);
    }
    cJSON_InitHooks(NULL);
    assert_true(allowed > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_snapshot_tells_where_the_process_stands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_snapshot_counts_calls_by_method_and_status, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_snapshot_has_what_the_server_tells, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_snapshot_has_the_last_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_snapshot_has_the_token_without_its_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_snapshot_has_settings_with_their_source, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_snapshot_without_memory_fails, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
