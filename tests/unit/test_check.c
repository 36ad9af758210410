#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cmd/check_call.h"
#include "contract/field.h"
#include "test_contract.h"

static const struct br_check_setup token_setup = {
    .auth = BR_AUTH_CHOICE_TOKEN, .has_credential = true, .has_project = true, .is_https = true};

/* An outcome in the few words in which the tests give it. */
static struct br_check_outcome ended(enum br_code code, const char *reason, const char *transport_error,
                                     const char *message)
{
    struct br_check_outcome outcome = {.code = code, .was_tried = true};
    (void)snprintf(outcome.reason, sizeof outcome.reason, "%s", reason);
    (void)snprintf(outcome.transport_error, sizeof outcome.transport_error, "%s", transport_error);
    (void)snprintf(outcome.message, sizeof outcome.message, "%s", message);
    return outcome;
}

/* The state of each step as one letter: "oooooooo", "ooFnnnnn". */
static const char *judge(const struct br_check_setup *setup, const struct br_check_outcome *outcome,
                         struct br_check_line lines[BR_CHECK_STEP_COUNT])
{
    static const char letters[] = {
        [BR_CHECK_OK] = 'o', [BR_CHECK_FAILED] = 'F', [BR_CHECK_SKIPPED] = 's', [BR_CHECK_NOT_REACHED] = 'n'};
    static char states[BR_CHECK_STEP_COUNT + 1];
    bool ok = br_check_judge(setup, outcome, lines);
    for (size_t i = 0; i < BR_CHECK_STEP_COUNT; i++) {
        states[i] = letters[lines[i].state];
        assert_true((lines[i].state != BR_CHECK_FAILED && lines[i].state != BR_CHECK_SKIPPED) ||
                    lines[i].text != NULL);
    }
    assert_int_equal(ok, strchr(states, 'F') == NULL);
    return states;
}

static void check(const struct br_check_setup *setup, const struct br_check_outcome *outcome,
                  const char *states)
{
    struct br_check_line lines[BR_CHECK_STEP_COUNT];
    const char *got = judge(setup, outcome, lines);
    if (strcmp(got, states) != 0) {
        fail_msg("%s %s: %s instead of %s", br_code_name(outcome->code), outcome->reason, got, states);
    }
}

/* The advice of the failed step holds |part|. */
static void check_advice(const struct br_check_setup *setup, const struct br_check_outcome *outcome,
                         const char *part)
{
    struct br_check_line lines[BR_CHECK_STEP_COUNT];
    const char *failed = strchr(judge(setup, outcome, lines), 'F');
    assert_non_null(failed);
    size_t step = strcspn(judge(setup, outcome, lines), "F");
    if (strstr(lines[step].text, part) == NULL) {
        fail_msg("%s: \"%s\" does not hold \"%s\"", outcome->reason, lines[step].text, part);
    }
}

static void test_judge_each_outcome_is_about_one_step(void **state)
{
    (void)state;
    static const struct {
        enum br_code code;
        const char *reason, *transport_error, *states;
    } cases[] = {
        {BR_OK, "", "", "oooooooo"},
        {BR_NOT_FOUND, "MODELARTS_3502", "", "oooooooo"},
        {BR_NOT_FOUND, "MODELARTS_9999", "", "oooooooo"},
        {BR_UNAUTHENTICATED, "TOKEN_REFUSED", "", "Fnnnnnnn"},
        {BR_UNAVAILABLE, "TOKEN_UNAVAILABLE", "", "Fnnnnnnn"},
        {BR_UNAVAILABLE, "UPSTREAM_UNREACHABLE", "COULDNT_RESOLVE_HOST", "oFnnnnnn"},
        {BR_UNAVAILABLE, "UPSTREAM_UNREACHABLE", "COULDNT_RESOLVE_PROXY", "oFnnnnnn"},
        {BR_UNAVAILABLE, "UPSTREAM_UNREACHABLE", "COULDNT_CONNECT", "ooFnnnnn"},
        {BR_UNAVAILABLE, "UPSTREAM_UNREACHABLE", "PROXY", "ooFnnnnn"},
        {BR_UNAVAILABLE, "UPSTREAM_CONNECT_TIMEOUT", "OPERATION_TIMEDOUT", "osFnnnnn"},
        {BR_UNAVAILABLE, "UPSTREAM_UNREACHABLE", "SSL_CONNECT_ERROR", "oooFnnnn"},
        {BR_FAILED_PRECONDITION, "UPSTREAM_CERTIFICATE", "PEER_FAILED_VERIFICATION", "oooFnnnn"},
        {BR_FAILED_PRECONDITION, "UPSTREAM_CERTIFICATE", "SSL_CACERT_BADFILE", "oooFnnnn"},
        {BR_UNAVAILABLE, "UPSTREAM_CONNECTION_BROKEN", "GOT_NOTHING", "ooooFnnn"},
        {BR_DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "OPERATION_TIMEDOUT", "osssFnnn"},
        {BR_UNIMPLEMENTED, "APIG_0101", "", "ooooFnnn"},
        {BR_UNIMPLEMENTED, "UPSTREAM_HTTP_ERROR", "", "ooooFnnn"},
        {BR_NOT_FOUND, "UPSTREAM_HTTP_ERROR", "", "ooooFnnn"},
        {BR_NOT_FOUND, "IAM_404", "", "ooooFnnn"},
        {BR_PERMISSION_DENIED, "UPSTREAM_HTTP_ERROR", "", "ooooFnnn"},
        {BR_UNKNOWN, "UPSTREAM_REDIRECT", "", "ooooFnnn"},
        {BR_INTERNAL, "UPSTREAM_MALFORMED_RESPONSE", "", "ooooFnnn"},
        {BR_RESOURCE_EXHAUSTED, "APIG_0308", "", "ooooFnnn"},
        {BR_INTERNAL, "MODELARTS_0010", "", "ooooFnnn"},
        {BR_UNAUTHENTICATED, "MODELARTS_0203", "", "oooooFnn"},
        {BR_UNAUTHENTICATED, "UPSTREAM_HTTP_ERROR", "", "oooooFnn"},
        {BR_PERMISSION_DENIED, "MODELARTS_0203", "", "oooooFnn"},
        {BR_PERMISSION_DENIED, "MODELARTS_0206", "", "oooooFnn"},
        {BR_PERMISSION_DENIED, "MODELARTS_0210", "", "ooooooFn"},
        {BR_INVALID_ARGUMENT, "MODELARTS_0210", "", "ooooooFn"},
        {BR_UNAUTHENTICATED, "MODELARTS_0210", "", "oooooFnn"},
        {BR_UNAUTHENTICATED, "MODELARTS_0212", "", "ooooooFn"},
        {BR_NOT_FOUND, "MODELARTS_2786", "", "ooooooFn"},
        {BR_NOT_FOUND, "MODELARTS_6650", "", "ooooooFn"},
        {BR_PERMISSION_DENIED, "MODELARTS_0108", "", "oooooooF"},
        {BR_PERMISSION_DENIED, "APIG_0302", "", "oooooooF"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct br_check_outcome outcome = ended(cases[i].code, cases[i].reason, cases[i].transport_error, "");
        check(&token_setup, &outcome, cases[i].states);
    }
}

static void test_judge_call_that_was_never_tried_is_about_the_credential(void **state)
{
    (void)state;
    struct br_check_outcome outcome = ended(BR_DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "", "");
    outcome.was_tried = false;
    check(&token_setup, &outcome, "Fnnnnnnn");
    check_advice(&token_setup, &outcome, "--iam-url");
}

static void test_judge_plain_http_skips_tls(void **state)
{
    (void)state;
    struct br_check_setup setup = token_setup;
    setup.is_https = false;
    struct br_check_outcome fine = ended(BR_NOT_FOUND, "MODELARTS_3502", "", "");
    check(&setup, &fine, "ooosoooo");
    struct br_check_outcome unreachable =
        ended(BR_UNAVAILABLE, "UPSTREAM_UNREACHABLE", "COULDNT_CONNECT", "");
    check(&setup, &unreachable, "ooFnnnnn");
}

static void test_judge_without_a_credential_a_refusal_by_modelarts_is_fine(void **state)
{
    (void)state;
    const struct br_check_setup setup = {
        .auth = BR_AUTH_CHOICE_PASSTHROUGH, .has_project = true, .is_https = true};
    static const struct {
        enum br_code code;
        const char *reason, *states;
    } cases[] = {
        {BR_UNAUTHENTICATED, "APIG_0301", "soooosss"},
        {BR_UNAUTHENTICATED, "MODELARTS_0205", "soooosss"},
        {BR_PERMISSION_DENIED, "MODELARTS_0108", "soooosss"},
        {BR_NOT_FOUND, "MODELARTS_3502", "soooosss"},
        {BR_UNAUTHENTICATED, "UPSTREAM_HTTP_ERROR", "soooFnnn"},
        {BR_UNAUTHENTICATED, "IAM_401", "soooFnnn"},
        {BR_UNIMPLEMENTED, "APIG_0101", "soooFnnn"},
        {BR_UNAVAILABLE, "APIG_0202", "soooFnnn"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct br_check_outcome outcome = ended(cases[i].code, cases[i].reason, "", "");
        check(&setup, &outcome, cases[i].states);
    }
}

static void test_judge_without_a_project_says_nothing_of_it(void **state)
{
    (void)state;
    struct br_check_setup setup = token_setup;
    setup.has_project = false;
    struct br_check_outcome other = ended(BR_PERMISSION_DENIED, "MODELARTS_0210", "", "");
    check(&setup, &other, "ooooooss");
    struct br_check_outcome denied = ended(BR_PERMISSION_DENIED, "MODELARTS_0108", "", "");
    check(&setup, &denied, "ooooooss");
    struct br_check_outcome fine = ended(BR_NOT_FOUND, "MODELARTS_3502", "", "");
    check(&setup, &fine, "ooooooss");
    struct br_check_outcome refused = ended(BR_UNAUTHENTICATED, "MODELARTS_0203", "", "");
    check(&setup, &refused, "oooooFnn");
}

static void test_judge_advice_fits_the_credential_and_the_gateways_text(void **state)
{
    (void)state;
    struct br_check_setup setup = token_setup;
    struct br_check_outcome refused =
        ended(BR_UNAUTHENTICATED, "APIG_0301", "", "Incorrect: decrypt token fail");
    check_advice(&setup, &refused, "--iam-url");
    setup.auth = BR_AUTH_CHOICE_PASSTHROUGH;
    check_advice(&setup, &refused, "--token-file");
    setup.auth = BR_AUTH_CHOICE_AKSK;
    check_advice(&setup, &refused, "secret-key");
    struct br_check_outcome late =
        ended(BR_UNAUTHENTICATED, "APIG_0301", "", "signature expired, signature time:1,server time:2");
    check_advice(&setup, &late, "clock");
    struct br_check_outcome locked =
        ended(BR_UNAUTHENTICATED, "APIG_0301", "", "AK access failed to reach the limit,forbidden");
    check_advice(&setup, &locked, "locked");
    struct br_check_outcome ill = ended(BR_INTERNAL, "MODELARTS_0010", "", "");
    check_advice(&setup, &ill, "try again later");
    struct br_check_outcome foreign = ended(BR_INTERNAL, "UPSTREAM_HTTP_ERROR", "", "");
    check_advice(&setup, &foreign, "something else");
}

static void test_method_is_the_first_without_side_effects(void **state)
{
    (void)state;
    static const struct br_field_plan text = {.kind = BR_KIND_STRING};
    static const struct br_field_plan number = {.kind = BR_KIND_INT32};
    static const struct br_path_part texts[] = {{.literal = "v1"}, {.variable = &text}};
    static const struct br_path_part numbers[] = {{.literal = "v1"}, {.variable = &number}};
    static const struct br_method methods[] = {
        {.name = "local", .idempotency = BR_NO_SIDE_EFFECTS},
        {.name = "update", .verb = "PUT", .idempotency = BR_IDEMPOTENT, .parts = texts, .part_count = 2},
        {.name = "number",
         .verb = "GET",
         .idempotency = BR_NO_SIDE_EFFECTS,
         .parts = numbers,
         .part_count = 2},
        {.name = "show", .verb = "GET", .idempotency = BR_NO_SIDE_EFFECTS, .parts = texts, .part_count = 2},
        {.name = "list", .verb = "GET", .idempotency = BR_NO_SIDE_EFFECTS, .parts = texts, .part_count = 1},
    };
    const struct br_method *found = br_check_method(methods, sizeof methods / sizeof methods[0]);
    assert_non_null(found);
    assert_string_equal(found->name, "show");
    assert_null(br_check_method(methods, 3));
    assert_null(br_check_method(methods, 0));
}

static void test_pack_fills_the_path_but_for_the_defaults(void **state)
{
    (void)state;
    const struct br_method *method = test_method("UpdateThing");
    const char *left_out = NULL;
    for (size_t part = 0; left_out == NULL; part++) {
        left_out = method->parts[part].variable != NULL ? method->parts[part].variable->name : NULL;
    }
    struct br_header item = {.name = left_out, .value = "given"};
    const struct br_headers defaults = {.items = &item, .count = 1};
    struct br_arena arena;
    br_arena_init(&arena, 4096);
    uint8_t *bytes;
    size_t len;
    assert_true(br_check_pack(method, &defaults, &arena, &bytes, &len));
    ProtobufCMessage *message = br_message_unpack(method->input->descriptor, bytes, len, &arena);
    assert_non_null(message);
    for (size_t i = 0; i < method->input->field_count; i++) {
        const struct br_field_plan *field = &method->input->fields[i];
        bool filled = method->roles[i] == BR_ROLE_PATH && strcmp(field->name, left_out) != 0;
        assert_int_equal(br_field_has(message, field), filled);
        if (filled) {
            assert_string_equal(br_field_get(message, field, 0).text, BR_CHECK_PATH_VALUE);
        }
    }
    br_arena_finish(&arena);
}

static void test_pack_without_memory_fails(void **state)
{
    (void)state;
    const struct br_method *method = test_method("UpdateThing");
    const struct br_headers none = {0};
    struct br_arena arena;
    br_arena_init(&arena, 1);
    uint8_t *bytes;
    size_t len;
    assert_false(br_check_pack(method, &none, &arena, &bytes, &len));
    br_arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge_each_outcome_is_about_one_step),
        cmocka_unit_test(test_judge_call_that_was_never_tried_is_about_the_credential),
        cmocka_unit_test(test_judge_plain_http_skips_tls),
        cmocka_unit_test(test_judge_without_a_credential_a_refusal_by_modelarts_is_fine),
        cmocka_unit_test(test_judge_without_a_project_says_nothing_of_it),
        cmocka_unit_test(test_judge_advice_fits_the_credential_and_the_gateways_text),
        cmocka_unit_test(test_method_is_the_first_without_side_effects),
        cmocka_unit_test(test_pack_fills_the_path_but_for_the_defaults),
        cmocka_unit_test(test_pack_without_memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
