/* Tests of the documented rules, and of the store under a clock of their own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "rules.h"
#include "store.h"

#include <stdio.h>
#include <string.h>

struct fake_clock {
    struct br_clock base;
    int64_t now_ms;
};

static int64_t read_fake_clock(const struct br_clock *self)
{
    return ((const struct fake_clock *)(const void *)self)->now_ms * 1000;
}

struct fixture {
    struct fake_clock clock;
    struct sim_store store;
};

#define EPOCH_MS 1700000000000
#define SETTLE_MS 200

static struct fixture fixture;

static int set_up(void **state)
{
    fixture = (struct fixture){.clock = {.base = {.now_us = read_fake_clock}, .now_ms = 5000}};
    sim_store_init(&fixture.store, &fixture.clock.base, EPOCH_MS, SETTLE_MS);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sim_store_finish(&fixture.store);
    return 0;
}

static struct sim_service *service(const char *id)
{
    bool full;
    struct sim_service *found = sim_store_find(&fixture.store, id, &full);
    assert_non_null(found);
    return found;
}

typedef bool (*check_fn)(const struct sim_service *, enum sim_status, const cJSON *, struct sim_refusal *);

/* "" when |json| is allowed, else the code of the refusal. */
static const char *code_of(check_fn check, const char *id, const char *json)
{
    static struct sim_refusal refusal;
    struct sim_service *subject = service(id);
    cJSON *body = cJSON_Parse(json);
    assert_non_null(body);
    refusal = (struct sim_refusal){0};
    bool ok = check(subject, sim_store_status(&fixture.store, subject), body, &refusal);
    cJSON_Delete(body);
    assert_true(ok == (refusal.code[0] == '\0'));
    assert_true(ok || refusal.http_status == 400);
    assert_true(ok || refusal.detail[0] != '\0');
    return refusal.code;
}

static const char *update(const char *id, const char *json)
{
    return code_of(sim_rules_check_update, id, json);
}

static const char *property(const char *id, const char *json)
{
    return code_of(sim_rules_check_property, id, json);
}

#define CONFIG(weight) \
    "{\"model_id\":\"m\",\"specification\":\"s\",\"instance_count\":1,\"weight\":" weight "}"

static void test_update_weights_must_sum_to_100(void **state)
{
    (void)state;
    assert_string_equal(update("demo-service", "{\"config\":[" CONFIG("100") "]}"), "");
    assert_string_equal(update("demo-service", "{\"config\":[" CONFIG("\"100\"") "]}"), "");
    assert_string_equal(update("demo-service", "{\"config\":[" CONFIG("99") "]}"), "ModelArts.0107");
    assert_string_equal(update("demo-service", "{\"config\":[" CONFIG("101") "]}"), "ModelArts.0107");
    assert_string_equal(update("demo-service", "{\"config\":[" CONFIG("\"1e2\"") "]}"), "ModelArts.0104");
    assert_string_equal(update("demo-service",
                               "{\"config\":[" CONFIG("70") ",{\"model_id\":\"n\",\"specification\":\"s\","
                                                            "\"instance_count\":1,\"weight\":30}]}"),
                        "");
    assert_string_equal(update("demo-service", "{\"config\":[" CONFIG("50") "," CONFIG("50") "]}"),
                        "ModelArts.3516");
    assert_string_equal(update("demo-service", "{\"config\":[]}"), "ModelArts.0101");
    assert_string_equal(
        update("demo-batch",
               "{\"config\":[{\"model_id\":\"m\",\"specification\":\"s\",\"instance_count\":1}]}"),
        "");
    assert_string_equal(
        update("demo-service",
               "{\"config\":[{\"model_id\":\"m\",\"specification\":\"s\",\"instance_count\":1}]}"),
        "ModelArts.0101");
}

static void test_update_config_mandatory_keys(void **state)
{
    (void)state;
    assert_string_equal(
        update("demo-service",
               "{\"config\":[{\"specification\":\"s\",\"instance_count\":1,\"weight\":100}]}"),
        "ModelArts.0101");
    assert_string_equal(
        update("demo-service", "{\"config\":[{\"model_id\":\"m\",\"instance_count\":1,\"weight\":100}]}"),
        "ModelArts.0101");
    assert_string_equal(
        update("demo-service", "{\"config\":[{\"model_id\":\"m\",\"specification\":\"s\",\"weight\":100}]}"),
        "ModelArts.0101");
    assert_string_equal(update("demo-service",
                               "{\"config\":[{\"model_id\":\"m\",\"specification\":\"custom\","
                               "\"instance_count\":1,\"weight\":100}]}"),
                        "ModelArts.0101");
    assert_string_equal(
        update("demo-service",
               "{\"config\":[{\"model_id\":\"m\",\"specification\":\"custom\","
               "\"instance_count\":1,\"weight\":100,\"custom_spec\":{\"cpu\":0.01,\"memory\":1}}]}"),
        "");
    assert_string_equal(
        update("demo-service",
               "{\"config\":[{\"model_id\":\"m\",\"specification\":\"custom\","
               "\"instance_count\":1,\"weight\":100,\"custom_spec\":{\"cpu\":0.009,\"memory\":1}}]}"),
        "ModelArts.0107");
}

static void test_update_wrong_types_are_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"description\":1}",
        "{\"description\":null}",
        "{\"status\":true}",
        "{\"config\":{}}",
        "{\"config\":[1]}",
        "{\"priority\":\"1\"}",
        "{\"priority\":1.5}",
        "{\"schedule\":{}}",
        "{\"additional_properties\":[]}",
        "{\"additional_properties\":{\"websocket_upgrade\":\"true\"}}",
        "{\"additional_properties\":{\"smn_notification\":{\"topic_urn\":\"u\",\"events\":[\"3\"]}}}",
        "{\"additional_properties\":{\"k\":{\"smn_notification\":{\"topic_urn\":\"u\",\"events\":[3]}}}}",
        "{\"additional_properties\":{\"smn_notification\":{\"k\":{\"topic_urn\":\"u\",\"events\":[3]}}}}",
        "{\"description\":\"a\",\"description\":\"b\"}",
        "{\"config\":[{\"model_id\":\"m\",\"specification\":\"s\",\"instance_count\":\"1\",\"weight\":100}]}",
        "{\"config\":[{\"envs\":{\"a\":1}}]}",
        "{\"config\":[{\"nodes\":[1]}]}",
        "{\"config\":[{\"additional_properties\":{\"k\":{\"max_surge\":1}}}]}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        if (strcmp(update("demo-service", bodies[i]), "ModelArts.0104") != 0) {
            fail_msg("not refused as a wrong type: %s", bodies[i]);
        }
    }
}

static void test_update_empty_and_zero_values_are_allowed(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{}",
        "{\"description\":\"\"}",
        "{\"schedule\":[]}",
        "{\"service_secrets\":[]}",
        "{\"additional_properties\":{}}",
        "{\"additional_properties\":{\"log_report_channels\":[]}}",
        "{\"additional_properties\":{\"websocket_upgrade\":false}}",
        ("{\"config\":[{\"model_id\":\"m\",\"specification\":\"s\",\"instance_count\":0,\"weight\":100,"
         "\"envs\":{},\"additional_properties\":{\"max_unavailable\":0,\"log_volume\":[]}}]}"),
        "{\"key_of_tomorrow\":[1]}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        if (strcmp(update("demo-service", bodies[i]), "") != 0) {
            fail_msg("refused: %s", bodies[i]);
        }
    }
}

static void test_update_description_limits(void **state)
{
    (void)state;
    char json[512];
    char text[302] = "";
    for (size_t i = 0; i < 100; i++) {
        memcpy(text + 3 * i, "\xE6\xB1\x89", 4);
    }
    snprintf(json, sizeof json, "{\"description\":\"%s\"}", text);
    assert_string_equal(update("demo-service", json), "");
    snprintf(json, sizeof json, "{\"description\":\"%sx\"}", text);
    assert_string_equal(update("demo-service", json), "ModelArts.0107");
    static const char *const bad[] = {"<", ">", "=", "&", "\\\"", "'"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(json, sizeof json, "{\"description\":\"a%sb\"}", bad[i]);
        assert_string_equal(update("demo-service", json), "ModelArts.0107");
    }
    assert_string_equal(update("demo-service", "{\"description\":\"a!b\"}"), "");
}

static void test_update_ranges_and_literals(void **state)
{
    (void)state;
    assert_string_equal(update("demo-service", "{\"priority\":0}"), "ModelArts.0107");
    assert_string_equal(update("demo-service", "{\"priority\":1}"), "");
    assert_string_equal(update("demo-service", "{\"priority\":3}"), "");
    assert_string_equal(update("demo-service", "{\"priority\":4}"), "ModelArts.0107");
    assert_string_equal(update("demo-edge", "{\"priority\":1}"), "ModelArts.0101");
    assert_string_equal(update("demo-batch", "{\"priority\":1}"), "");
    assert_string_equal(update("demo-service", "{\"status\":\"paused\"}"), "ModelArts.0107");
    assert_string_equal(update("demo-service", "{\"load_balancer_policy\":\"SOURCE_IP\"}"), "");
    assert_string_equal(update("demo-service", "{\"load_balancer_policy\":\"source_ip\"}"), "ModelArts.0107");
    assert_string_equal(update("demo-batch", "{\"load_balancer_policy\":\"SOURCE_IP\"}"), "ModelArts.0101");
    assert_string_equal(
        update("demo-service", "{\"schedule\":[{\"type\":\"stop\",\"time_unit\":\"HOURS\",\"duration\":1}]}"),
        "");
    assert_string_equal(
        update("demo-service", "{\"schedule\":[{\"type\":\"stop\",\"time_unit\":\"HOURS\"}]}"),
        "ModelArts.0101");
    assert_string_equal(
        update("demo-service", "{\"service_secrets\":[{\"secretId\":\"a\",\"mountPath\":\"/b\"}]}"),
        "ModelArts.0101");
}

static void test_update_state_decides(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        const char *to_running, *to_stopped, *to_description;
    } rows[] = {
        {"svc-state-running", "ModelArts.3519", "", ""},
        {"svc-state-stopped", "", "ModelArts.3519", ""},
        {"svc-state-failed", "", "", ""},
        {"svc-state-finished", "", "", ""},
        {"svc-state-concerning", "ModelArts.3519", "", ""},
        {"svc-state-waiting", "ModelArts.3519", "", ""},
        {"svc-state-deploying", "ModelArts.3519", "ModelArts.3519", "ModelArts.3519"},
        {"svc-state-stopping", "ModelArts.3519", "ModelArts.3519", "ModelArts.3519"},
        {"svc-state-deleting", "ModelArts.3519", "ModelArts.3519", "ModelArts.3519"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(update(rows[i].id, "{\"status\":\"running\"}"), rows[i].to_running);
        assert_string_equal(update(rows[i].id, "{\"status\":\"stopped\"}"), rows[i].to_stopped);
        assert_string_equal(update(rows[i].id, "{\"description\":\"x\"}"), rows[i].to_description);
    }
}

static void test_update_status_makes_config_ignored(void **state)
{
    (void)state;
    assert_string_equal(update("demo-service", "{\"status\":\"stopped\",\"config\":[" CONFIG("1") "]}"), "");
}

static void test_update_latches_stay_on(void **state)
{
    (void)state;
    static const char on[] = "{\"log_report_channels\":[{\"type\":\"LTS\"}],\"websocket_upgrade\":true}";
    cJSON *properties = cJSON_Parse(on);
    sim_store_set_attribute(&fixture.store, service("svc-latch"), "additional_properties", properties);
    cJSON_Delete(properties);
    assert_string_equal(update("svc-latch", "{\"additional_properties\":{\"log_report_channels\":[]}}"),
                        "ModelArts.0107");
    assert_string_equal(update("svc-latch", "{\"additional_properties\":{\"websocket_upgrade\":false}}"),
                        "ModelArts.0107");
    assert_string_equal(update("svc-latch", "{\"additional_properties\":{\"websocket_upgrade\":true,"
                                            "\"log_report_channels\":[{\"type\":\"LTS\"}]}}"),
                        "");
    assert_string_equal(update("demo-service", "{\"additional_properties\":{\"log_report_channels\":[]}}"),
                        "");
}

#define CHANGE(model, value)                                                       \
    "{\"changed_property\":\"instance_count\",\"configs\":[{\"model_id\":\"" model \
    "\",\"changed_value\":" value "}]}"

static void test_property_values(void **state)
{
    (void)state;
    assert_string_equal(property("demo-service", CHANGE("demo-model", "2")), "");
    assert_string_equal(property("demo-service", CHANGE("demo-model", "\"2\"")), "");
    assert_string_equal(property("demo-service", CHANGE("demo-model", "0")), "");
    assert_string_equal(property("demo-service", CHANGE("demo-model", "1")), "ModelArts.0107");
    assert_string_equal(property("demo-service", CHANGE("demo-model", "\"1\"")), "ModelArts.0107");
    assert_string_equal(property("demo-service", CHANGE("demo-model", "-1")), "ModelArts.0107");
    assert_string_equal(property("demo-service", CHANGE("demo-model", "2.5")), "ModelArts.0104");
    assert_string_equal(property("demo-service", CHANGE("demo-model", "\"two\"")), "ModelArts.0104");
    assert_string_equal(property("demo-service", CHANGE("demo-model", "\"\"")), "ModelArts.0104");
    assert_string_equal(property("demo-service", CHANGE("demo-model", "\"-1\"")), "ModelArts.0104");
    assert_string_equal(property("demo-service", CHANGE("demo-model", "2147483647")), "");
    assert_string_equal(property("demo-service", CHANGE("demo-model", "2147483648")), "ModelArts.0107");
    assert_string_equal(property("demo-service", CHANGE("demo-model", "1e300")), "ModelArts.0104");
    assert_string_equal(property("demo-service", CHANGE("other-model", "2")), "ModelArts.3529");
    assert_string_equal(property("demo-service", "{\"changed_property\":\"weight\",\"configs\":[]}"),
                        "ModelArts.0107");
    assert_string_equal(property("demo-service", "{\"changed_property\":\"instance_count\"}"),
                        "ModelArts.0101");
    assert_string_equal(property("demo-service", "{\"configs\":[]}"), "ModelArts.0101");
}

static void test_property_state_and_type_decide(void **state)
{
    (void)state;
    assert_string_equal(property("svc-state-concerning", CHANGE("demo-model", "2")), "");
    assert_string_equal(property("svc-state-failed", CHANGE("demo-model", "2")), "");
    assert_string_equal(property("demo-stopped", CHANGE("demo-model", "2")), "ModelArts.3519");
    assert_string_equal(property("demo-deploying", CHANGE("demo-model", "2")), "ModelArts.3519");
    assert_string_equal(property("demo-edge", CHANGE("demo-model", "2")), "ModelArts.0101");
}

static void test_store_change_settles_with_the_clock(void **state)
{
    (void)state;
    struct sim_service *subject = service("svc-clock");
    int64_t first = sim_store_deploy(&fixture.store, subject, cJSON_Duplicate(subject->config, true));
    assert_true(first >= EPOCH_MS);
    assert_int_equal(sim_store_status(&fixture.store, subject), SIM_DEPLOYING);
    assert_string_equal(sim_store_result(&fixture.store, &subject->records[0]), "RUNNING");
    fixture.clock.now_ms += SETTLE_MS - 1;
    assert_int_equal(sim_store_status(&fixture.store, subject), SIM_DEPLOYING);
    fixture.clock.now_ms += 1;
    assert_int_equal(sim_store_status(&fixture.store, subject), SIM_RUNNING);
    assert_string_equal(sim_store_result(&fixture.store, &subject->records[0]), "SUCCESS");
    int64_t second = sim_store_deploy(&fixture.store, subject, cJSON_Duplicate(subject->config, true));
    int64_t third = sim_store_deploy(&fixture.store, subject, cJSON_Duplicate(subject->config, true));
    assert_true(second > first && third > second);
    sim_store_set_running(&fixture.store, subject, false);
    assert_int_equal(sim_store_status(&fixture.store, subject), SIM_STOPPING);
    fixture.clock.now_ms += SETTLE_MS;
    assert_int_equal(sim_store_status(&fixture.store, subject), SIM_STOPPED);
}

static void test_store_demo_deploying_never_settles(void **state)
{
    (void)state;
    struct sim_service *subject = service("demo-deploying");
    fixture.clock.now_ms += INT64_C(1000) * 3600 * 24 * 365;
    assert_int_equal(sim_store_status(&fixture.store, subject), SIM_DEPLOYING);
    assert_string_equal(sim_store_result(&fixture.store, &subject->records[0]), "RUNNING");
}

static void test_store_keeps_a_bounded_number_of_records(void **state)
{
    (void)state;
    struct sim_service *subject = service("svc-many");
    int64_t last = 0;
    for (int i = 0; i < SIM_RECORDS_MAX + 3; i++) {
        last = sim_store_deploy(&fixture.store, subject, cJSON_Duplicate(subject->config, true));
    }
    assert_int_equal(subject->record_count, SIM_RECORDS_MAX);
    assert_int_equal(subject->records[SIM_RECORDS_MAX - 1].update_time_ms, last);
}

static void test_store_find_springs_only_in_free_namespaces(void **state)
{
    (void)state;
    bool full;
    assert_non_null(sim_store_find(&fixture.store, "svc-", &full));
    assert_ptr_equal(service("svc-x"), service("svc-x"));
    static const char *const none[] = {"",        "..",      "svc",        "other",
                                       "svc-a/b", "svc-a b", "fault-typo", "form-typo"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_null(sim_store_find(&fixture.store, none[i], &full));
        assert_false(full);
    }
    char id[SIM_SERVICE_ID_MAX + 2];
    memset(id, 'a', sizeof id);
    memcpy(id, "svc-", 4);
    id[SIM_SERVICE_ID_MAX + 1] = '\0';
    assert_null(sim_store_find(&fixture.store, id, &full));
    id[SIM_SERVICE_ID_MAX] = '\0';
    assert_non_null(sim_store_find(&fixture.store, id, &full));
}

static void test_store_find_says_when_it_is_full(void **state)
{
    (void)state;
    bool full;
    assert_int_equal(fixture.store.limit, SIM_SERVICES_MAX);
    fixture.store.limit = fixture.store.count + 1;
    assert_non_null(sim_store_find(&fixture.store, "svc-1", &full));
    assert_null(sim_store_find(&fixture.store, "svc-2", &full));
    assert_true(full);
    assert_non_null(sim_store_find(&fixture.store, "svc-1", &full));
    assert_false(full);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_update_weights_must_sum_to_100),
        TEST(test_update_config_mandatory_keys),
        TEST(test_update_wrong_types_are_refused),
        TEST(test_update_empty_and_zero_values_are_allowed),
        TEST(test_update_description_limits),
        TEST(test_update_ranges_and_literals),
        TEST(test_update_state_decides),
        TEST(test_update_status_makes_config_ignored),
        TEST(test_update_latches_stay_on),
        TEST(test_property_values),
        TEST(test_property_state_and_type_decide),
        TEST(test_store_change_settles_with_the_clock),
        TEST(test_store_demo_deploying_never_settles),
        TEST(test_store_keeps_a_bounded_number_of_records),
        TEST(test_store_find_springs_only_in_free_namespaces),
        TEST(test_store_find_says_when_it_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
