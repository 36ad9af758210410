#include "translate/vendor_code.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void expect_key(const char *code, const char *expected)
{
    char key[BR_VENDOR_CODE_CAP];
    br_vendor_code_key(code, key);
    assert_string_equal(key, expected);
}

static void expect_reason(const char *code, const char *expected)
{
    char reason[BR_REASON_CAP];
    assert_true(br_vendor_code_reason(code, reason));
    assert_string_equal(reason, expected);
}

static void expect_no_reason(const char *code)
{
    char reason[BR_REASON_CAP] = "untouched";
    assert_false(br_vendor_code_reason(code, reason));
    assert_string_equal(reason, "untouched");
}

static void test_vendor_code_key_of_gateway_spellings_is_one(void **state)
{
    (void)state;
    expect_key("APIGW.0301", "APIG.0301");
    expect_key("APIG.0301", "APIG.0301");
}

static void test_vendor_code_key_of_other_codes_is_the_code(void **state)
{
    (void)state;
    expect_key("ModelArts.3502", "ModelArts.3502");
    expect_key("1103", "1103");
    expect_key("APIGW", "APIGW");
    expect_key("apigw.0301", "apigw.0301");
    expect_key("", "");
}

static void test_vendor_code_reason_of_known_forms_is_derived(void **state)
{
    (void)state;
    expect_reason("ModelArts.0203", "MODELARTS_0203");
    expect_reason("ModelArts.81113", "MODELARTS_81113");
    expect_reason("ModelArts.50015001", "MODELARTS_50015001");
    expect_reason("APIG.0308", "APIG_0308");
    expect_reason("APIGW.0308", "APIG_0308");
    expect_reason("IAM.0007", "IAM_0007");
    expect_reason("EPS.0003", "EPS_0003");
}

static void test_vendor_code_reason_of_bare_number_is_of_iam(void **state)
{
    (void)state;
    expect_reason("401", "IAM_401");
    expect_reason("0", "IAM_0");
    expect_reason("999", "IAM_999");
}

static void test_vendor_code_reason_of_old_iam_code_is_not_that_of_the_dotted_one(void **state)
{
    (void)state;
    expect_reason("1103", "IAM_LEGACY_1103");
    expect_reason("IAM.1103", "IAM_1103");
    expect_reason("1000", "IAM_LEGACY_1000");
    expect_reason("0001", "IAM_LEGACY_0001");
}

static void test_vendor_code_reason_of_odd_characters_is_sanitised(void **state)
{
    (void)state;
    expect_reason("a-b c\td", "A_B_C_D");
    expect_reason("Code.\xe9\x94\x99.1", "CODE_____1");
    expect_reason("ModelArts.3502. ", "MODELARTS_3502");
}

static void test_vendor_code_reason_without_the_form_is_refused(void **state)
{
    (void)state;
    expect_no_reason("!!!");
    expect_no_reason("ab");
    expect_no_reason("a.");
    expect_no_reason("4xx");
    expect_no_reason("_code");
    expect_no_reason("\xe9\x94\x99.0001");
    expect_reason("abc", "ABC");
}

static void test_vendor_code_reason_of_longest_code_fits(void **state)
{
    (void)state;
    char code[BR_VENDOR_CODE_CAP];
    memset(code, 'a', sizeof code - 1);
    code[sizeof code - 1] = '\0';
    char reason[BR_REASON_CAP];
    assert_true(br_vendor_code_reason(code, reason));
    assert_int_equal(strlen(reason), 63);

    memset(code, '7', sizeof code - 1);
    assert_true(br_vendor_code_reason(code, reason));
    assert_int_equal(strlen(reason), 63);
    assert_memory_equal(reason, "IAM_LEGACY_777", 14);
}

static void test_vendor_code_reason_cut_at_a_dot_ends_in_a_letter(void **state)
{
    (void)state;
    char code[BR_VENDOR_CODE_CAP];
    memset(code, 'a', sizeof code - 1);
    code[sizeof code - 1] = '\0';
    code[62] = '.';
    char reason[BR_REASON_CAP];
    assert_true(br_vendor_code_reason(code, reason));
    assert_int_equal(strlen(reason), 62);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vendor_code_key_of_gateway_spellings_is_one),
        cmocka_unit_test(test_vendor_code_key_of_other_codes_is_the_code),
        cmocka_unit_test(test_vendor_code_reason_of_known_forms_is_derived),
        cmocka_unit_test(test_vendor_code_reason_of_bare_number_is_of_iam),
        cmocka_unit_test(test_vendor_code_reason_of_old_iam_code_is_not_that_of_the_dotted_one),
        cmocka_unit_test(test_vendor_code_reason_of_odd_characters_is_sanitised),
        cmocka_unit_test(test_vendor_code_reason_without_the_form_is_refused),
        cmocka_unit_test(test_vendor_code_reason_of_longest_code_fits),
        cmocka_unit_test(test_vendor_code_reason_cut_at_a_dot_ends_in_a_letter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
