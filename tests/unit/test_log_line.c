#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/log_line.h"
#include "base/utf8.h"

/* 2026-01-02 03:04:05.678 UTC */
static const struct timespec when = {.tv_sec = 1767323045, .tv_nsec = 678999999};

static const char json_opening[] =
    "{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"info\",\"event\":\"x\"";
static const char text_opening[] = "2026-01-02 03:04:05.678 INFO  x";

/* The line as a C string. */
static const char *write_entry(enum br_log_format format, const struct br_log_entry *entry)
{
    static char text[BR_LOG_LINE_MAX + 1];
    struct br_log_line line;
    br_log_line_write(&line, format, entry);
    assert_in_range(line.len, 1, BR_LOG_LINE_MAX);
    memcpy(text, line.text, line.len);
    text[line.len] = '\0';
    return text;
}

/* The line of the event "x", from its first field on. */
static const char *write_fields(enum br_log_format format, const struct br_log_field *fields, size_t count)
{
    const struct br_log_entry entry = {
        .when = when, .level = BR_LOG_INFO, .event = "x", .fields = fields, .field_count = count};
    const char *opening = format == BR_LOG_JSON ? json_opening : text_opening;
    const char *text = write_entry(format, &entry);
    assert_memory_equal(text, opening, strlen(opening));
    return text + strlen(opening);
}

static void test_write_text_is_bare_where_it_can_be(void **state)
{
    (void)state;
    const struct br_log_field fields[] = {
        br_log_text("method", "a.B/C"),    br_log_number("n", -5),  br_log_ms("took_ms", 1234),
        br_log_text("caller", "spiffe:~"), br_log_text("none", ""),
    };
    assert_string_equal(write_fields(BR_LOG_TEXT, fields, 5),
                        " method=a.B/C n=-5 took_ms=1.234 caller=spiffe:~ none=\"\"\n");
    assert_string_equal(write_fields(BR_LOG_JSON, fields, 5),
                        ",\"method\":\"a.B/C\",\"n\":-5,\"took_ms\":1.234,\"caller\":\"spiffe:~\",\"none\":"
                        "\"\"}\n");
}

static void test_write_text_is_quoted_where_it_must_be(void **state)
{
    (void)state;
    static const struct {
        const char *value, *written;
    } cases[] = {
        {"a b", "\"a b\""},
        {"a=b", "\"a=b\""},
        {"a\"b", "\"a\\\"b\""},
        {"a\\b", "\"a\\\\b\""},
        {"\n", "\"\\n\""},
        {"a\rb", "\"a\\rb\""},
        {"\t", "\"\\t\""},
        {"\x1B[31m", "\"\\u001b[31m\""},
        {"\x7F", "\"\\u007f\""},
        {"\xC2\x80", "\"\\u0080\""},          /* the first of C1 */
        {"\xC2\x9B", "\"\\u009b\""},          /* CSI in one character */
        {"\xC2\x9F", "\"\\u009f\""},          /* the last of C1 */
        {"\xC2\xA0", "\"\xC2\xA0\""},         /* a space that does not break */
        {"\xE2\x80\x8D", "\"\xE2\x80\x8D\""}, /* U+200D */
        {"\xE2\x80\x8E", "\"\\u200e\""},      /* left-to-right mark */
        {"\xE2\x80\x8F", "\"\\u200f\""},      /* right-to-left mark */
        {"\xE2\x80\x90", "\"\xE2\x80\x90\""}, /* U+2010 */
        {"\xE2\x80\xA7", "\"\xE2\x80\xA7\""}, /* U+2027 */
        {"\xE2\x80\xA8", "\"\\u2028\""},      /* line separator */
        {"\xE2\x80\xA9", "\"\\u2029\""},      /* paragraph separator */
        {"\xE2\x80\xAE", "\"\\u202e\""},      /* right-to-left override */
        {"\xE2\x80\xAF", "\"\xE2\x80\xAF\""}, /* U+202F */
        {"\xE2\x81\xA5", "\"\xE2\x81\xA5\""}, /* U+2065 */
        {"\xE2\x81\xA6", "\"\\u2066\""},      /* left-to-right isolate */
        {"\xE2\x81\xA9", "\"\\u2069\""},      /* pop isolate */
        {"\xE2\x81\xAA", "\"\xE2\x81\xAA\""}, /* U+206A */
        {"caf\xC3\xA9", "\"caf\xC3\xA9\""},
        {"\xE6\x96\x87", "\"\xE6\x96\x87\""},
        {"\xF0\x9F\x98\x80", "\"\xF0\x9F\x98\x80\""},
        {"a\xFFz", "\"a\xEF\xBF\xBDz\""},
        {"cut \xE6\x96", "\"cut \xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"\xF0\x9F\x98", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""}, /* a surrogate */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[128];
        const struct br_log_field field = br_log_text("k", cases[i].value);
        (void)snprintf(expected, sizeof expected, " k=%s\n", cases[i].written);
        assert_string_equal(write_fields(BR_LOG_TEXT, &field, 1), expected);
        (void)snprintf(expected, sizeof expected, ",\"k\":%s}\n", cases[i].written);
        assert_string_equal(write_fields(BR_LOG_JSON, &field, 1), expected);
    }
}

static void test_write_key_and_event_are_quoted_alike(void **state)
{
    (void)state;
    const struct br_log_field field = br_log_number("a b", 1);
    const struct br_log_entry entry = {
        .when = when, .level = BR_LOG_WARN, .event = "x\ny", .fields = &field, .field_count = 1};
    assert_string_equal(write_entry(BR_LOG_TEXT, &entry),
                        "2026-01-02 03:04:05.678 WARN  \"x\\ny\" \"a b\"=1\n");
    assert_string_equal(
        write_entry(BR_LOG_JSON, &entry),
        "{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"warn\",\"event\":\"x\\ny\",\"a b\":"
        "1}\n");
}

static void test_write_levels_are_of_one_width(void **state)
{
    (void)state;
    static const char *const labels[] = {"ERROR", "WARN ", "INFO ", "DEBUG"};
    for (int level = BR_LOG_ERROR; level <= BR_LOG_DEBUG; level++) {
        char expected[64];
        (void)snprintf(expected, sizeof expected, "2026-01-02 03:04:05.678 %s x\n", labels[level]);
        const struct br_log_entry entry = {.when = when, .level = (enum br_log_level)level, .event = "x"};
        assert_string_equal(write_entry(BR_LOG_TEXT, &entry), expected);
    }
}

static void test_write_milliseconds(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *written;
    } cases[] = {
        {0, "0.000"},
        {1, "0.001"},
        {999, "0.999"},
        {1000, "1.000"},
        {1234, "1.234"},
        {60000050, "60000.050"},
        {-1, "-0.001"},
        {-999, "-0.999"},
        {-1000, "-1.000"},
        {-1001, "-1.001"},
        {INT64_MAX, "9223372036854775.807"},
        {INT64_MIN, "-9223372036854775.808"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[64];
        const struct br_log_field field = br_log_ms("t", cases[i].us);
        (void)snprintf(expected, sizeof expected, " t=%s\n", cases[i].written);
        assert_string_equal(write_fields(BR_LOG_TEXT, &field, 1), expected);
        (void)snprintf(expected, sizeof expected, ",\"t\":%s}\n", cases[i].written);
        assert_string_equal(write_fields(BR_LOG_JSON, &field, 1), expected);
    }
}

static void test_write_suppressed_stands_first_and_is_kept_when_fields_are_cut(void **state)
{
    (void)state;
    static char text[BR_LOG_LINE_MAX + 1];
    memset(text, 'a', sizeof text - 1);
    const struct br_log_field small = br_log_number("n", 1);
    const struct br_log_field large = br_log_text("a", text);
    struct br_log_entry entry = {.when = when,
                                 .level = BR_LOG_INFO,
                                 .event = "x",
                                 .fields = &small,
                                 .field_count = 1,
                                 .suppressed_count = 7};
    assert_string_equal(write_entry(BR_LOG_TEXT, &entry) + strlen(text_opening), " suppressed=7 n=1\n");
    assert_string_equal(write_entry(BR_LOG_JSON, &entry) + strlen(json_opening),
                        ",\"suppressed\":7,\"n\":1}\n");
    entry.fields = &large;
    assert_string_equal(write_entry(BR_LOG_TEXT, &entry) + strlen(text_opening), " suppressed=7 cut=1\n");
    assert_string_equal(write_entry(BR_LOG_JSON, &entry) + strlen(json_opening),
                        ",\"suppressed\":7,\"cut\":1}\n");
}

static void test_write_text_ceiling_is_exact(void **state)
{
    (void)state;
    static char text[BR_LOG_LINE_MAX + 1];
    /* The room that is kept is that of the longer format. */
    const size_t kept = strlen(",\"cut\":1") + strlen("}\n");
    const size_t fits = BR_LOG_LINE_MAX - kept - strlen(text_opening) - strlen(" a=");
    memset(text, 'a', sizeof text - 1);
    text[fits] = '\0';
    const struct br_log_field whole = br_log_text("a", text);
    const char *rest = write_fields(BR_LOG_TEXT, &whole, 1);
    assert_int_equal(strlen(text_opening) + strlen(rest), BR_LOG_LINE_MAX - kept + 1);

    text[fits] = 'a';
    text[fits + 1] = '\0';
    const struct br_log_field longer[] = {br_log_number("n", 1), br_log_text("a", text),
                                          br_log_number("m", 2)};
    assert_string_equal(write_fields(BR_LOG_TEXT, longer, 3), " n=1 cut=1\n");
}

static void test_write_event_too_long_is_cut(void **state)
{
    (void)state;
    static char text[BR_LOG_LINE_MAX * 2];
    memset(text, 'e', sizeof text - 1);
    const struct br_log_entry entry = {
        .when = when, .level = BR_LOG_INFO, .event = text, .suppressed_count = 3};
    assert_string_equal(write_entry(BR_LOG_TEXT, &entry), "2026-01-02 03:04:05.678 INFO  cut=1\n");
    assert_string_equal(write_entry(BR_LOG_JSON, &entry),
                        "{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"info\",\"cut\":1}\n");
}

static void test_write_time_beyond_the_calendar_is_still_a_line(void **state)
{
    (void)state;
    const struct br_log_entry entry = {.when = {.tv_sec = INT64_MAX}, .level = BR_LOG_INFO, .event = "x"};
    assert_string_equal(write_entry(BR_LOG_TEXT, &entry), "1900-01-00 00:00:00.000 INFO  x\n");
}

/* Skips one word or string of a line for people, as a reader would; NULL: it is neither. */
static const char *skip_value(const char *at)
{
    if (*at != '"') {
        const char *begin = at;
        while (*at > ' ' && *at < 0x7F && *at != '"' && *at != '=' && *at != '\\') {
            at++;
        }
        return at > begin ? at : NULL;
    }
    for (at++; *at != '"'; at++) {
        if (*at == '\\') {
            at++;
        }
        if (*at == '\0') {
            return NULL;
        }
    }
    return at + 1;
}

static const char *skip_text(const char *at, const char *expected)
{
    size_t len = strlen(expected);
    return at != NULL && strncmp(at, expected, len) == 0 ? at + len : NULL;
}

/* Both lines have the two fields that were written, and no more; |value| can be anything. */
static void assert_not_forged(const char *value)
{
    const struct br_log_field fields[] = {br_log_text("a", value), br_log_number("b", 1)};
    for (int format = BR_LOG_JSON; format <= BR_LOG_TEXT; format++) {
        bool json = format == BR_LOG_JSON;
        const char *line = write_fields((enum br_log_format)format, fields, 2);
        size_t len = strlen(line);
        assert_int_equal(br_utf8_valid_prefix(line, len), len);
        for (size_t i = 0; i < len - 1; i++) {
            assert_true((unsigned char)line[i] >= ' ' && line[i] != 0x7F);
        }
        const char *at = skip_text(line, json ? ",\"a\":" : " a=");
        assert_non_null(at);
        assert_true(!json || *at == '"');
        at = skip_value(at);
        assert_non_null(skip_text(at, json ? ",\"b\":1}\n" : " b=1\n"));
        assert_string_equal(at, json ? ",\"b\":1}\n" : " b=1\n");
    }
}

static void test_write_value_cannot_forge_a_line_or_a_field(void **state)
{
    (void)state;
    static const char *const values[] = {
        "ok\n2026-01-02 03:04:05.678 ERROR call code=INTERNAL",
        "ok\r2026-01-02 03:04:05.678 ERROR call",
        "ok code=OK",
        "ok\" code=OK x=\"",
        "\\",
        "\\\" b=2",
        "\"",
        "=",
        "ok\",\"level\":\"error\",\"a\":\"",
        "\x1B[1A\x1B[2Kgone",
        "\xC2\x85next line",
        "\xE2\x80\xA8next line",
        "ends in a lead byte \xC2",
        "\xC2\n",
        "\xE2\x80",
        "cut=1",
        " ",
        "",
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_not_forged(values[i]);
    }
}

static void test_write_random_bytes_cannot_forge_a_line_or_a_field(void **state)
{
    (void)state;
    /* Bytes that matter, more often than chance has them. */
    static const char special[] = "\n\r\t \"\\=,:{}\x1B\x7F\xC2\x85\xE2\x80\xA8\xF0\xFF";
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        char value[48];
        random = random * 1664525U + 1013904223U;
        size_t len = (random >> 16) % sizeof value;
        for (size_t i = 0; i < len; i++) {
            random = random * 1664525U + 1013904223U;
            uint32_t bits = random >> 8;
            value[i] = (bits & 1U) != 0 ? special[(bits >> 1) % (sizeof special - 1)]
                                        : (char)(1 + (bits >> 1) % 255);
        }
        value[len] = '\0';
        assert_not_forged(value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_text_is_bare_where_it_can_be),
        cmocka_unit_test(test_write_text_is_quoted_where_it_must_be),
        cmocka_unit_test(test_write_key_and_event_are_quoted_alike),
        cmocka_unit_test(test_write_levels_are_of_one_width),
        cmocka_unit_test(test_write_milliseconds),
        cmocka_unit_test(test_write_suppressed_stands_first_and_is_kept_when_fields_are_cut),
        cmocka_unit_test(test_write_text_ceiling_is_exact),
        cmocka_unit_test(test_write_event_too_long_is_cut),
        cmocka_unit_test(test_write_time_beyond_the_calendar_is_still_a_line),
        cmocka_unit_test(test_write_value_cannot_forge_a_line_or_a_field),
        cmocka_unit_test(test_write_random_bytes_cannot_forge_a_line_or_a_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
