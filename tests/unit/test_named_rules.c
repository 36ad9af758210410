#include "translate/named_rules.h"

#include <modelarts/v1/modelarts_service.pb-c.h>
#include <modelarts/v1/service_config.pb-c.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <string.h>

#define TEXT(literal) ((char *)(uintptr_t)(literal))

static bool holds(const char *id, const ProtobufCMessage *message)
{
    for (size_t i = 0; i < br_named_functions_count; i++) {
        if (strcmp(br_named_functions[i].id, id) == 0)
            return br_named_functions[i].holds(message);
    }
    fail_msg("no function for %s", id);
    return false;
}

/* Whether weights_sum_100 holds for |count| entries with these weights; a negative one is unset. */
static bool weights_hold(const int32_t *weights, size_t count)
{
    Modelarts__V1__ServiceConfig entries[16];
    Modelarts__V1__ServiceConfig *config[16];
    Modelarts__V1__UpdateServiceRequest request = MODELARTS__V1__UPDATE_SERVICE_REQUEST__INIT;
    assert_true(count <= 16);
    for (size_t i = 0; i < count; i++) {
        entries[i] = (Modelarts__V1__ServiceConfig)MODELARTS__V1__SERVICE_CONFIG__INIT;
        entries[i].has_weight = weights[i] >= 0;
        entries[i].weight = weights[i] >= 0 ? weights[i] : 0;
        config[i] = &entries[i];
    }
    request.n_config = count;
    request.config = config;
    return holds("config.weights_sum_100", &request.base);
}

static void test_weights_sum_100_without_a_weight_holds(void **state)
{
    (void)state;
    assert_true(weights_hold(NULL, 0));
    assert_true(weights_hold((const int32_t[]){-1}, 1));
    assert_true(weights_hold((const int32_t[]){-1, -1}, 2));
}

static void test_weights_sum_100_any_weight_asks_for_the_sum(void **state)
{
    (void)state;
    assert_true(weights_hold((const int32_t[]){100}, 1));
    assert_true(weights_hold((const int32_t[]){70, 30}, 2));
    assert_true(weights_hold((const int32_t[]){100, 0}, 2));
    assert_true(weights_hold((const int32_t[]){-1, 100}, 2));
    assert_false(weights_hold((const int32_t[]){99}, 1));
    assert_false(weights_hold((const int32_t[]){101}, 1));
    assert_false(weights_hold((const int32_t[]){0}, 1));
    assert_false(weights_hold((const int32_t[]){70, -1}, 2));
}

static void test_weights_sum_100_many_or_huge_weights_are_summed(void **state)
{
    (void)state;
    int32_t weights[10] = {10, 10, 10, 10, 10, 10, 10, 10, 10, 10};
    assert_true(weights_hold(weights, 10));
    weights[9] = 11;
    assert_false(weights_hold(weights, 10));
    assert_false(weights_hold((const int32_t[]){INT32_MAX, INT32_MAX, 102}, 3));
}

static void test_status_wins_with_config_does_not_hold(void **state)
{
    (void)state;
    Modelarts__V1__ServiceConfig entry = MODELARTS__V1__SERVICE_CONFIG__INIT;
    Modelarts__V1__ServiceConfig *config[] = {&entry};
    Modelarts__V1__UpdateServiceRequest request = MODELARTS__V1__UPDATE_SERVICE_REQUEST__INIT;
    assert_true(holds("update_service.status_wins", &request.base));
    request.has_status = true;
    request.status = MODELARTS__V1__SERVICE_STATUS__SERVICE_STATUS_STOPPED;
    assert_true(holds("update_service.status_wins", &request.base));
    request.n_config = 1;
    request.config = config;
    assert_false(holds("update_service.status_wins", &request.base));
    request.has_status = false;
    assert_true(holds("update_service.status_wins", &request.base));
}

static void test_custom_spec_required_for_custom_only(void **state)
{
    (void)state;
    Modelarts__V1__CustomSpec spec = MODELARTS__V1__CUSTOM_SPEC__INIT;
    Modelarts__V1__ServiceConfig config = MODELARTS__V1__SERVICE_CONFIG__INIT;
    assert_true(holds("service_config.custom_spec_required", &config.base));
    config.specification = TEXT("modelarts.vm.cpu.2u");
    assert_true(holds("service_config.custom_spec_required", &config.base));
    config.specification = TEXT("custom");
    assert_false(holds("service_config.custom_spec_required", &config.base));
    config.custom_spec = &spec;
    assert_true(holds("service_config.custom_spec_required", &config.base));
}

static void test_mapping_rule_required_for_csv_only(void **state)
{
    (void)state;
    Google__Protobuf__Struct rule = GOOGLE__PROTOBUF__STRUCT__INIT;
    Modelarts__V1__ServiceConfig config = MODELARTS__V1__SERVICE_CONFIG__INIT;
    assert_true(holds("service_config.mapping_rule_required", &config.base));
    config.has_mapping_type = true;
    config.mapping_type = MODELARTS__V1__MAPPING_TYPE__MAPPING_TYPE_FILE;
    assert_true(holds("service_config.mapping_rule_required", &config.base));
    config.mapping_type = MODELARTS__V1__MAPPING_TYPE__MAPPING_TYPE_CSV;
    assert_false(holds("service_config.mapping_rule_required", &config.base));
    config.mapping_rule = &rule;
    assert_true(holds("service_config.mapping_rule_required", &config.base));
}

/* The real schema compiles with exactly these functions. */
static void test_functions_are_those_of_the_schema(void **state)
{
    (void)state;
    struct br_contract *contract = NULL;
    struct br_status st = {0};
    if (!br_contract_create(&br_schema_linked, br_named_functions, br_named_functions_count, &contract, &st))
        fail_msg("%s", st.msg);
    br_contract_destroy(contract);
    for (size_t i = 0; i < br_named_functions_count; i++) {
        struct br_named_function others[16];
        size_t count = 0;
        assert_true(br_named_functions_count <= 16);
        for (size_t k = 0; k < br_named_functions_count; k++) {
            if (k != i)
                others[count++] = br_named_functions[k];
        }
        assert_false(br_contract_create(&br_schema_linked, others, count, &contract, &st));
        assert_non_null(strstr(st.msg, br_named_functions[i].id));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights_sum_100_without_a_weight_holds),
        cmocka_unit_test(test_weights_sum_100_any_weight_asks_for_the_sum),
        cmocka_unit_test(test_weights_sum_100_many_or_huge_weights_are_summed),
        cmocka_unit_test(test_status_wins_with_config_does_not_hold),
        cmocka_unit_test(test_custom_spec_required_for_custom_only),
        cmocka_unit_test(test_mapping_rule_required_for_csv_only),
        cmocka_unit_test(test_functions_are_those_of_the_schema),
    };
    return cmocka_run_group_tests_name("named_rules", tests, NULL, NULL);
}
