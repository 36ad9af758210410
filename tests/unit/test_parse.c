#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void test_int64_limits_are_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {"7", 7},
        {"-1", -1},
        {"007", 7},
        {"9007199254740993", INT64_C(9007199254740993)},
        {"9223372036854775806", INT64_MAX - 1},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775807", -INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        int64_t value = 42;
        assert_true(br_parse_int64(good[i].text, strlen(good[i].text), &value));
        assert_true(value == good[i].value);
    }
}

static void test_int64_other_text_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "-",
        "--1",
        "+1",
        " 1",
        "1 ",
        "1.0",
        "1e3",
        "0x10",
        "a",
        "1a",
        "\t1",
        "-9223372036854775809",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999999",
        "\xD9\xA1",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int64_t value = 42;
        assert_false(br_parse_int64(bad[i], strlen(bad[i]), &value));
        assert_int_equal(value, 42);
    }
    int64_t value = 42;
    assert_false(br_parse_int64("1\0", 2, &value));
    assert_false(br_parse_int64(NULL, 0, &value));
}

static void test_int64_reads_len_bytes_only(void **state)
{
    (void)state;
    char *text = malloc(3);
    assert_non_null(text);
    memcpy(text, "-12", 3);
    int64_t value;
    assert_true(br_parse_int64(text, 3, &value));
    assert_int_equal(value, -12);
    assert_true(br_parse_int64(text, 2, &value));
    assert_int_equal(value, -1);
    assert_false(br_parse_int64(text, 1, &value));
    free(text);
}

static void test_uint64_limits(void **state)
{
    (void)state;
    uint64_t value = 42;
    assert_true(br_parse_uint64("18446744073709551615", 20, &value));
    assert_true(value == UINT64_MAX);
    value = 42;
    assert_false(br_parse_uint64("18446744073709551616", 20, &value));
    assert_false(br_parse_uint64("18446744073709551620", 20, &value));
    assert_false(br_parse_uint64("-1", 2, &value));
    assert_false(br_parse_uint64("-0", 2, &value));
    assert_false(br_parse_uint64("", 0, &value));
    assert_int_equal(value, 42);
    assert_true(br_parse_uint64("0", 1, &value));
    assert_int_equal(value, 0);
}

static void test_double_json_numbers_are_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {
        {"0", 0.0},
        {"-0", -0.0},
        {"0.0", 0.0},
        {"-0.5", -0.5},
        {"1", 1.0},
        {"10", 10.0},
        {"0.1", 0.1},
        {"1e3", 1000.0},
        {"1E3", 1000.0},
        {"1e+3", 1000.0},
        {"1.5e-3", 0.0015},
        {"0e0", 0.0},
        {"1e0001", 10.0},
        {"9007199254740993", 9007199254740992.0},
        {"1.7976931348623157e308", DBL_MAX},
        {"-1.7976931348623157e308", -DBL_MAX},
        {"5e-324", 4.9406564584124654e-324},
        {"1e-400", 0.0},
        {"0e999999999", 0.0},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        double value = 42;
        assert_true(br_parse_double(good[i].text, strlen(good[i].text), &value));
        assert_memory_equal(&value, &good[i].value, sizeof value);
    }
}

static void test_double_other_text_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "-",
        "+1",
        ".5",
        "1.",
        "1.e3",
        "-.5",
        "01",
        "-01",
        "00",
        "1e",
        "1e+",
        "e3",
        "1e3.",
        "0x1",
        "0x1p3",
        "inf",
        "-inf",
        "nan",
        "NaN",
        "Infinity",
        "1 ",
        " 1",
        "1,5",
        "1.5.2",
        "--1",
        "1e1e1",
        "1f",
        "1_0",
        "1e309",
        "-1e309",
        "1.7976931348623159e308",
        "1e99999999999999999999",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        double value = 42;
        assert_false(br_parse_double(bad[i], strlen(bad[i]), &value));
        assert_true(value == 42);
    }
    double value = 42;
    assert_false(br_parse_double("1\0", 2, &value));
    assert_false(br_parse_double(NULL, 0, &value));
}

static void test_double_longest_text(void **state)
{
    (void)state;
    char text[1200];
    double value = 42;
    /* The exact form of a double never needs more: here of the smallest one. */
    int len = snprintf(text, sizeof text, "%.1074f", -4.9406564584124654e-324);
    assert_int_equal(len, 1077);
    assert_true(br_parse_double(text, (size_t)len, &value));
    assert_true(value == -4.9406564584124654e-324);

    memset(text, '1', sizeof text);
    text[1] = '.';
    assert_true(br_parse_double(text, 1100, &value));
    assert_true(value > 1.1 && value < 1.2);
    value = 42;
    assert_false(br_parse_double(text, 1101, &value));
    assert_true(value == 42);
}

static void test_double_reads_len_bytes_only(void **state)
{
    (void)state;
    char *text = malloc(4);
    assert_non_null(text);
    memcpy(text, "1.25", 4);
    double value;
    assert_true(br_parse_double(text, 4, &value));
    assert_true(value == 1.25);
    assert_true(br_parse_double(text, 3, &value));
    assert_true(value == 1.2);
    assert_false(br_parse_double(text, 2, &value));
    free(text);
}

static void test_duration_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0s", 0},
        {"0ms", 0},
        {"500ms", 500},
        {"30s", 30000},
        {"5m", 300000},
        {"1h", 3600000},
        {"596h", 596 * INT64_C(3600000)},
        {"2147483647ms", INT32_MAX},
        {"2147483s", 2147483000},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        int64_t value = 42;
        assert_true(br_parse_duration_ms(good[i].text, &value));
        assert_true(value == good[i].value);
    }
}

static void test_duration_other_text_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "30",
        "s",
        "1.5s",
        "5 s",
        " 5s",
        "5s ",
        "-1s",
        "+1s",
        "5S",
        "5sec",
        "1h30m",
        "5d",
        "5us",
        "0x5s",
        "5",
        "ms",
        "2147483648ms",
        "2147484s",
        "597h",
        "18446744073709551615h",
        "18446744073709551616ms",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int64_t value = 42;
        assert_false(br_parse_duration_ms(bad[i], &value));
        assert_int_equal(value, 42);
    }
}

static void test_size_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {
        {"0B", 0},
        {"1B", 1},
        {"4KiB", 4096},
        {"4MiB", 4194304},
        {"2GiB", UINT64_C(2147483648)},
        {"1024GiB", UINT64_C(1) << 40},
        {"1099511627776B", UINT64_C(1) << 40},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        uint64_t value = 42;
        assert_true(br_parse_size_bytes(good[i].text, &value));
        assert_true(value == good[i].value);
    }
}

static void test_size_other_text_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "4",
        "B",
        "4 MiB",
        "4MB",
        "4mib",
        "4M",
        "4kiB",
        "1.5MiB",
        "-1B",
        "1TiB",
        "4MiBs",
        "4Mi",
        "1025GiB",
        "1099511627777B",
        "18014398509481984KiB",
        "18446744073709551616B",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        uint64_t value = 42;
        assert_false(br_parse_size_bytes(bad[i], &value));
        assert_int_equal(value, 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int64_limits_are_accepted),
        cmocka_unit_test(test_int64_other_text_is_refused),
        cmocka_unit_test(test_int64_reads_len_bytes_only),
        cmocka_unit_test(test_uint64_limits),
        cmocka_unit_test(test_double_json_numbers_are_accepted),
        cmocka_unit_test(test_double_other_text_is_refused),
        cmocka_unit_test(test_double_longest_text),
        cmocka_unit_test(test_double_reads_len_bytes_only),
        cmocka_unit_test(test_duration_units),
        cmocka_unit_test(test_duration_other_text_is_refused),
        cmocka_unit_test(test_size_units),
        cmocka_unit_test(test_size_other_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
