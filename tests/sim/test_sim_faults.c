/* Tests of the fault and form parsers, of the answers faults give, of the README's tables against them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alloc.h"
#include "faults.h"
#include "forms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sim_fault parsed(const char *id)
{
    struct sim_fault fault;
    assert_true(sim_fault_parse(id, &fault));
    return fault;
}

static void test_parse_status_gives_status_and_name(void **state)
{
    (void)state;
    struct sim_fault fault = parsed("fault-503--abc");
    assert_int_equal(fault.kind, SIM_FAULT_STATUS);
    assert_int_equal(fault.http_status, 503);
    assert_string_equal(fault.name, "fault-503");
    assert_false(fault.executes);
    fault = parsed("fault-429-retry-after-2");
    assert_int_equal(fault.retry_after, SIM_RETRY_AFTER_SECONDS);
    assert_int_equal(fault.retry_after_s, 2);
    assert_int_equal(parsed("fault-503-retry-after-date").retry_after, SIM_RETRY_AFTER_DATE);
}

static void test_parse_code_gives_status_and_code(void **state)
{
    (void)state;
    struct sim_fault fault = parsed("fault-code-403-APIGW.0302--7");
    assert_int_equal(fault.kind, SIM_FAULT_CODE);
    assert_int_equal(fault.http_status, 403);
    assert_string_equal(fault.code, "APIGW.0302");
    assert_string_equal(parsed("fault-code-400-ModelArts.50015001").code, "ModelArts.50015001");
}

static void test_parse_amounts_keep_their_limits(void **state)
{
    (void)state;
    struct sim_fault fault;
    assert_int_equal(parsed("fault-slow-600000ms").amount, 600000);
    assert_false(sim_fault_parse("fault-slow-600001ms", &fault));
    assert_int_equal(parsed("fault-deep-1").amount, 1);
    assert_false(sim_fault_parse("fault-deep-0", &fault));
    assert_int_equal(parsed("fault-huge-4096MiB").amount, 4096);
    assert_false(sim_fault_parse("fault-huge-4097MiB", &fault));
    assert_int_equal(parsed("fault-400").http_status, 400);
    assert_false(sim_fault_parse("fault-399", &fault));
    assert_int_equal(parsed("fault-599").http_status, 599);
    assert_false(sim_fault_parse("fault-600", &fault));
}

static void test_parse_executed_marks_any_fault(void **state)
{
    (void)state;
    assert_true(parsed("fault-executed-503").executes);
    assert_true(parsed("fault-executed-reset").executes);
    assert_false(parsed("fault-reset").executes);
    assert_true(parsed("fault-slow-5ms").executes);
}

static void test_parse_flaky_counts_requests(void **state)
{
    (void)state;
    struct sim_fault fault = parsed("fault-flaky-2-503--x");
    assert_int_equal(fault.first_count, 2);
    assert_int_equal(fault.http_status, 503);
}

static void test_parse_no_fault_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "fault-",
        "fault",
        "svc-fault-503",
        "fault-50",
        "fault-0503",
        "fault-503x",
        "fault-503-",
        "fault-503-retry-after-",
        "fault-503-retry-after--1",
        "fault-503-retry-after-1s",
        "fault-executed-",
        "fault-executed-executed-503",
        "fault-code-503",
        "fault-code-503-Nobody.1",
        "fault-code-503-ModelArts.",
        "fault-code-503-ModelArts.123456789",
        "fault-code-199-ModelArts.0010",
        "fault-flaky-0-503",
        "fault-flaky-1-",
        "fault-slow-5",
        "fault-slow-5s",
        "fault-slow--5ms",
        "fault-slow-99999999999999999999ms",
        "fault-huge-1GiB",
        "fault-resets",
        "fault-html-",
        "fault--503",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sim_fault fault;
        if (sim_fault_parse(bad[i], &fault)) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
}

static void test_parse_long_name_is_refused(void **state)
{
    (void)state;
    char id[2 * SIM_FAULT_NAME_CAP];
    struct sim_fault fault;
    snprintf(id, sizeof id, "fault-503-retry-after-%0*d", SIM_FAULT_NAME_CAP, 1);
    assert_false(sim_fault_parse(id, &fault));
}

/* Reads the whole body through small pieces, as the server does. */
static char *body_of(const struct sim_answer *answer, size_t piece)
{
    size_t len = (size_t)sim_answer_body_len(answer), at = 0;
    char *body = sim_alloc(len + 1);
    while (at < len) {
        size_t cap = piece < len - at ? piece : len - at;
        size_t got = sim_answer_read(answer, at, body + at, cap);
        assert_true(got > 0 && got <= cap);
        at += got;
    }
    char extra;
    assert_int_equal(sim_answer_read(answer, len, &extra, 1), 0);
    return body;
}

static char *fault_body(const char *id, size_t piece, int *http_status)
{
    struct sim_answer answer;
    struct sim_fault fault = parsed(id);
    sim_answer_init(&answer);
    sim_fault_apply(&fault, &answer);
    *http_status = answer.http_status;
    char *body = body_of(&answer, piece);
    sim_answer_finish(&answer);
    return body;
}

static void test_apply_deep_nests_as_deep_as_said(void **state)
{
    (void)state;
    int status;
    char *body = fault_body("fault-deep-1", 3, &status);
    assert_string_equal(body, "{\"deep\":0}");
    free(body);
    body = fault_body("fault-deep-4", 1, &status);
    assert_string_equal(body, "{\"deep\":[[[0]]]}");
    free(body);
}

static void test_apply_huge_is_json_of_exact_size(void **state)
{
    (void)state;
    int status;
    char *body = fault_body("fault-huge-2MiB", 65536, &status);
    assert_int_equal(status, 200);
    assert_int_equal(strlen(body), 2 * 1024 * 1024);
    cJSON *json = cJSON_Parse(body);
    assert_non_null(json);
    cJSON_Delete(json);
    free(body);
    body = fault_body("fault-huge-error-1MiB", 1000, &status);
    assert_int_equal(status, 500);
    assert_int_equal(strlen(body), 1024 * 1024);
    free(body);
}

static void test_apply_code_has_body_of_its_layer(void **state)
{
    (void)state;
    int status;
    char *body = fault_body("fault-code-401-APIGW.0301", 64, &status);
    assert_int_equal(status, 401);
    assert_non_null(strstr(body, "\"error_msg\":\"Incorrect IAM authentication information.\""));
    assert_non_null(strstr(body, "\"request_id\":\""));
    free(body);
    body = fault_body("fault-503", 64, &status);
    assert_string_equal(body, "{\"error_code\":\"ModelArts.4302\",\"error_msg\":\"Gateway forwarding error "
                              "because the backend did not answer.\"}");
    free(body);
    body = fault_body("fault-code-418-ModelArts.9999", 64, &status);
    assert_int_equal(status, 418);
    assert_non_null(strstr(body, "ModelArts.9999"));
    free(body);
}

static void test_forms_parse_finds_whole_names_only(void **state)
{
    (void)state;
    assert_int_equal(sim_forms_parse("svc-form-strings"), SIM_FORM_STRINGS);
    assert_int_equal(sim_forms_parse("form-strings--1"), SIM_FORM_STRINGS);
    assert_int_equal(sim_forms_parse("svc-form-strings-form-201"), SIM_FORM_STRINGS | SIM_FORM_201);
    assert_int_equal(sim_forms_parse("svc-platform-204"), 0);
    assert_int_equal(sim_forms_parse("svc-form-2040"), 0);
    assert_int_equal(sim_forms_parse("svc-form-"), 0);
    assert_int_equal(sim_forms_parse(""), 0);
}

static char *rendered(unsigned forms, const char *json)
{
    struct sim_answer answer;
    cJSON *body = cJSON_Parse(json);
    sim_answer_init(&answer);
    sim_forms_render(forms, SIM_BODY_UPDATE, body, &answer);
    cJSON_Delete(body);
    char *text = sim_strdup(answer.text);
    sim_answer_finish(&answer);
    return text;
}

static void test_forms_render_alters_the_body(void **state)
{
    (void)state;
    static const char given[] = "{\"update_time\":1712026426703,\"resource_ids\":[\"INF-1\",\"INF-2\"]}";
    static const struct {
        unsigned forms;
        const char *expected;
    } cases[] = {
        {0, given},
        {SIM_FORM_STRINGS, "{\"update_time\":\"1712026426703\",\"resource_ids\":[\"INF-1\",\"INF-2\"]}"},
        {SIM_FORM_SINGLE_RESOURCE_ID, "{\"update_time\":1712026426703,\"resource_ids\":\"INF-1\"}"},
        {SIM_FORM_EMPTY_OBJECT, "{}"},
        {SIM_FORM_EMPTY_BODY, ""},
        {SIM_FORM_204, ""},
        {SIM_FORM_DUPLICATE_KEYS,
         "{\"update_time\":1,\"update_time\":1712026426703,\"resource_ids\":[\"INF-1\",\"INF-2\"]}"},
        {SIM_FORM_STRINGS | SIM_FORM_SINGLE_RESOURCE_ID,
         "{\"update_time\":\"1712026426703\",\"resource_ids\":\"INF-1\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = rendered(cases[i].forms, given);
        assert_string_equal(text, cases[i].expected);
        free(text);
    }
    char *text = rendered(SIM_FORM_NULLS, "{}");
    assert_string_equal(text, "{\"update_time\":null,\"resource_ids\":null}");
    free(text);
}

/* Every name in back quotes that starts with |prefix| and has no placeholder in it. */
static size_t check_readme(const char *prefix, bool (*accepts)(const char *name, void *seen), void *seen)
{
    FILE *file = fopen(SIM_README, "re");
    assert_non_null(file);
    char line[2048];
    size_t count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        for (char *at = strchr(line, '`'); at != NULL; at = strchr(at, '`')) {
            char *name = at + 1;
            size_t len = strcspn(name, "`");
            if (name[len] == '\0') {
                break;
            }
            at = name + len + 1;
            name[len] = '\0';
            if (strncmp(name, prefix, strlen(prefix)) == 0 && strpbrk(name, "<*") == NULL &&
                strcmp(name, prefix) != 0) {
                count++;
                if (!accepts(name, seen)) {
                    fail_msg("README.md names %s, which does not exist", name);
                }
            }
        }
    }
    fclose(file);
    return count;
}

static bool accept_fault(const char *name, void *seen)
{
    struct sim_fault fault;
    bool ok = sim_fault_parse(name, &fault);
    if (ok) {
        ((bool *)seen)[fault.kind] = true;
    }
    return ok;
}

static bool accept_user_fault(const char *name, void *seen)
{
    struct sim_fault fault;
    bool ok = sim_fault_parse_user(name, &fault);
    if (ok) {
        ((bool *)seen)[fault.kind] = true;
    }
    return ok;
}

static bool accept_form(const char *name, void *seen)
{
    unsigned forms = sim_forms_parse(name);
    *(unsigned *)seen |= forms;
    return forms != 0;
}

static void test_readme_names_all_faults_and_no_other(void **state)
{
    (void)state;
    bool seen[SIM_FAULT_KIND_COUNT] = {false};
    assert_true(check_readme("fault-", accept_fault, seen) > 0);
    assert_true(check_readme("iam-fault-", accept_user_fault, seen) > 0);
    for (int kind = 0; kind < SIM_FAULT_KIND_COUNT; kind++) {
        if (!seen[kind]) {
            fail_msg("README.md has no example of fault kind %d", kind);
        }
    }
}

static void test_readme_names_all_forms_and_no_other(void **state)
{
    (void)state;
    unsigned seen = 0;
    assert_true(check_readme("form-", accept_form, &seen) > 0);
    assert_int_equal(seen, (1U << SIM_FORM_COUNT) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_status_gives_status_and_name),
        cmocka_unit_test(test_parse_code_gives_status_and_code),
        cmocka_unit_test(test_parse_amounts_keep_their_limits),
        cmocka_unit_test(test_parse_executed_marks_any_fault),
        cmocka_unit_test(test_parse_flaky_counts_requests),
        cmocka_unit_test(test_parse_no_fault_is_refused),
        cmocka_unit_test(test_parse_long_name_is_refused),
        cmocka_unit_test(test_apply_deep_nests_as_deep_as_said),
        cmocka_unit_test(test_apply_huge_is_json_of_exact_size),
        cmocka_unit_test(test_apply_code_has_body_of_its_layer),
        cmocka_unit_test(test_forms_parse_finds_whole_names_only),
        cmocka_unit_test(test_forms_render_alters_the_body),
        cmocka_unit_test(test_readme_names_all_faults_and_no_other),
        cmocka_unit_test(test_readme_names_all_forms_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
