/* Tests of the strict JSON check, of UTF-8, of request targets and of the vendor's messages. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "codes.h"
#include "target.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_is_json_accepts_values(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        "[]",
        "0",
        "-0",
        "-1.5e+3",
        "\"\"",
        "true",
        "false",
        "null",
        " { \"a\" : [ 1 , {} ] } \n",
        "\"\\u00e9\\n\\/\"",
        "\"\xC3\xA9\xE6\xB1\x89\xF0\x9F\x98\x80\"",
        "1E9",
        "{\"a\":1,\"a\":2}",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!sim_text_is_json(good[i], strlen(good[i]), 8)) {
            fail_msg("refused: %s", good[i]);
        }
    }
}

static void test_is_json_refuses_what_is_none(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "{]",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
        "NaN",
        "tru",
        "nul",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\n\"",
        "\"\xC0\x80\"",
        "\"\xED\xA0\x80\"",
        "\"\xF5\x80\x80\x80\"",
        "{} {}",
        "[1 2]",
        "{\"a\" 1}",
        "'a'",
        "// c\n1",
        "\"\xE6\xB1",
        "[1",
        "{\"a\":",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (sim_text_is_json(bad[i], strlen(bad[i]), 8)) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    assert_false(sim_text_is_json(NULL, 0, 8));
    assert_false(sim_text_is_json("1\0", 2, 8));
    assert_false(sim_text_is_json("\"\0\"", 3, 8));
}

static void test_is_json_depth_has_a_limit(void **state)
{
    (void)state;
    assert_true(sim_text_is_json("[[[0]]]", 7, 3));
    assert_false(sim_text_is_json("[[[0]]]", 7, 2));
    char deep[100000];
    memset(deep, '[', sizeof deep);
    assert_false(sim_text_is_json(deep, sizeof deep, SIM_JSON_DEPTH_MAX));
}

static void test_clean_replaces_bytes_that_are_no_text(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *expected;
    } cases[] = {
        {"abc", 3, "abc"},
        {"", 0, ""},
        {"a\xFF"
         "b",
         3,
         "a\xEF\xBF\xBD"
         "b"},
        {"a\0b", 3,
         "a\xEF\xBF\xBD"
         "b"},
        {"\xE6\xB1", 2, "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xE6\xB1\x89", 3, "\xE6\xB1\x89"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = sim_text_clean(cases[i].bytes, cases[i].len);
        assert_string_equal(text, cases[i].expected);
        free(text);
    }
}

static void test_target_is_split_before_it_is_decoded(void **state)
{
    (void)state;
    struct sim_target target;
    assert_true(sim_target_parse("/v1/p%20q/services/a%2Fb%2e%2e/../logs?x=1?2", &target));
    assert_string_equal(target.path, "/v1/p%20q/services/a%2Fb%2e%2e/../logs");
    assert_string_equal(target.query, "x=1?2");
    assert_int_equal(target.segment_count, 6);
    assert_string_equal(target.segments[1], "p q");
    assert_string_equal(target.segments[3], "a/b..");
    assert_string_equal(target.segments[4], "..");
    sim_target_finish(&target);
}

static void test_target_odd_ones_are_recorded(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        bool ok;
        size_t count;
    } cases[] = {
        {"*", true, 0},     {"", true, 0},
        {"/", true, 1},     {"//", true, 2},
        {"/a/", true, 2},   {"http://h/a", true, 0},
        {"/%", false, 1},   {"/%1", false, 1},
        {"/%zz", false, 1}, {"/%00", false, 1},
        {"/a%2", false, 1}, {"/%41", true, 1},
        {"/a?", true, 1},   {"/1/2/3/4/5/6/7/8/9", true, 9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sim_target target;
        assert_true(sim_target_parse(cases[i].raw, &target) == cases[i].ok);
        assert_int_equal(target.segment_count, cases[i].count);
        assert_non_null(target.path);
        sim_target_finish(&target);
    }
}

static void test_target_query_value_is_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        bool found;
        const char *value;
    } cases[] = {
        {"/?k=1", true, "1"},     {"/?a=2&k=%31%32&b", true, "12"},
        {"/?k=1&k=2", true, "2"}, {"/?k", true, ""},
        {"/?k=", true, ""},       {"/?kk=1", false, NULL},
        {"/", false, NULL},       {"/?k=%zz", true, NULL},
        {"/?k=a=b", true, "a=b"}, {"/?&&k=1", true, "1"},
        {"/?%6b=1", true, "1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sim_target target;
        bool found;
        assert_true(sim_target_parse(cases[i].raw, &target));
        char *value = sim_target_query_value(&target, "k", &found);
        assert_true(found == cases[i].found);
        if (cases[i].value == NULL) {
            assert_null(value);
        } else {
            assert_string_equal(value, cases[i].value);
        }
        free(value);
        sim_target_finish(&target);
    }
}

static void test_refuse_fills_the_message(void **state)
{
    (void)state;
    struct sim_refusal refusal;
    assert_false(sim_refuse(&refusal, 400, "ModelArts.0107", "weight", "90", "sum %d", 90));
    assert_string_equal(refusal.message, "The values of the request parameters (weight,90) are invalid.");
    assert_string_equal(refusal.detail, "sum 90");
    sim_refuse(&refusal, 404, "ModelArts.3502", "{}%s\xE6\xB1\x89", NULL, "x");
    assert_string_equal(refusal.message, "Service {}%s\xE6\xB1\x89 does not exist.");
    sim_refuse(&refusal, 503, "ModelArts.4302", NULL, NULL, "x");
    assert_string_equal(refusal.message, "Gateway forwarding error because %s.");
}

static void test_refuse_long_value_is_cut_on_a_character(void **state)
{
    (void)state;
    struct sim_refusal refusal;
    char value[4 * SIM_MESSAGE_CAP];
    for (size_t i = 0; i + 3 < sizeof value; i += 3) {
        memcpy(value + i, "\xE6\xB1\x89", 4);
    }
    sim_refuse(&refusal, 404, "ModelArts.3502", value, NULL, "x");
    size_t len = strlen(refusal.message);
    assert_true(len < SIM_MESSAGE_CAP);
    for (size_t i = 0; i < len;) {
        size_t size = sim_text_utf8_char(refusal.message + i, len - i);
        assert_true(size > 0);
        i += size;
    }
}

static void test_code_message_knows_both_gateways(void **state)
{
    (void)state;
    assert_string_equal(sim_code_message(429, "APIGW.0308"), sim_code_message(429, "APIG.0308"));
    assert_string_equal(sim_code_message(401, "ModelArts.0203"), "Invalid token.");
    assert_string_equal(sim_code_message(418, "ModelArts.0203"), "Invalid token.");
    assert_string_equal(sim_code_message(413, "APIG.0201"), "Request entity too large.");
    assert_string_equal(sim_code_message(500, "ModelArts.1"), "An error made by the simulator.");
}

static void test_code_example_fills_every_placeholder(void **state)
{
    (void)state;
    static const char *const layers[] = {"ModelArts", "APIG", "IAM"};
    char message[SIM_MESSAGE_CAP];
    size_t known = 0;
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        for (int number = 0; number < 10000; number++) {
            char code[SIM_CODE_CAP];
            snprintf(code, sizeof code, "%s.%04d", layers[i], number);
            sim_code_example(0, code, message);
            known += strcmp(message, "An error made by the simulator.") != 0;
            if (strpbrk(message, "{}%") != NULL) {
                fail_msg("%s: %s", code, message);
            }
        }
    }
    assert_true(known > 50);
    sim_code_example(503, "ModelArts.4302", message);
    assert_string_equal(message, "Gateway forwarding error because the backend did not answer.");
    sim_code_example(400, "ModelArts.3529", message);
    assert_string_equal(message, "Model demo-model under service demo-service does not exist.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_json_accepts_values),
        cmocka_unit_test(test_is_json_refuses_what_is_none),
        cmocka_unit_test(test_is_json_depth_has_a_limit),
        cmocka_unit_test(test_clean_replaces_bytes_that_are_no_text),
        cmocka_unit_test(test_target_is_split_before_it_is_decoded),
        cmocka_unit_test(test_target_odd_ones_are_recorded),
        cmocka_unit_test(test_target_query_value_is_decoded),
        cmocka_unit_test(test_refuse_fills_the_message),
        cmocka_unit_test(test_refuse_long_value_is_cut_on_a_character),
        cmocka_unit_test(test_code_message_knows_both_gateways),
        cmocka_unit_test(test_code_example_fills_every_placeholder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
