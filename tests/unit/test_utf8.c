#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* The UTF-8 form of |code_point|, as RFC 3629 section 3 draws it. */
static size_t encode(uint32_t code_point, char out[4])
{
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (char)(0xC0 | code_point >> 6);
        out[1] = (char)(0x80 | (code_point & 0x3F));
        return 2;
    }
    if (code_point < 0x10000) {
        out[0] = (char)(0xE0 | code_point >> 12);
        out[1] = (char)(0x80 | (code_point >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code_point & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code_point >> 18);
    out[1] = (char)(0x80 | (code_point >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code_point >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code_point & 0x3F));
    return 4;
}

static void test_valid_prefix_every_code_point_is_accepted(void **state)
{
    (void)state;
    for (uint32_t code_point = 0; code_point <= 0x10FFFF; code_point++) {
        char text[4];
        size_t len = encode(code_point, text);
        bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
        if (br_utf8_valid_prefix(text, len) != (surrogate ? 0 : len))
            fail_msg("U+%04X", (unsigned)code_point);
        for (size_t cut = 1; cut < len; cut++) {
            if (br_utf8_valid_prefix(text, cut) != 0)
                fail_msg("U+%04X cut at %zu", (unsigned)code_point, cut);
        }
    }
}

static void test_valid_prefix_no_other_sequence_is_accepted(void **state)
{
    (void)state;
    /* All sequences of three bytes that are one character: 0x800..0xFFFF without the surrogates. */
    size_t accepted = 0;
    for (uint32_t bits = 0xC00000; bits <= 0xFFFFFF; bits++) {
        const char text[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
        /* One of two bytes and an ASCII character is not meant. */
        accepted += (bits >> 16) >= 0xE0 && br_utf8_valid_prefix(text, 3) == 3;
    }
    assert_int_equal(accepted, 0x10000 - 0x800 - 0x800);

    /* Two bytes: 0x80..0x7FF. */
    accepted = 0;
    for (uint32_t bits = 0x8000; bits <= 0xFFFF; bits++) {
        const char text[2] = {(char)(bits >> 8), (char)bits};
        accepted += br_utf8_valid_prefix(text, 2) == 2;
    }
    assert_int_equal(accepted, 0x800 - 0x80);

    /* Four bytes, with the edges of the last two. Each lead and second byte accepted stands for 2 * 2 of
     * them. */
    static const unsigned char edges[] = {0x00, 0x7F, 0x80, 0xBF, 0xC0, 0xFF};
    accepted = 0;
    for (unsigned lead = 0xF0; lead <= 0xFF; lead++) {
        for (unsigned second = 0; second <= 0xFF; second++) {
            for (size_t i = 0; i < sizeof edges * sizeof edges; i++) {
                const char text[4] = {(char)lead, (char)second, (char)edges[i / sizeof edges],
                                      (char)edges[i % sizeof edges]};
                accepted += br_utf8_valid_prefix(text, 4) == 4;
            }
        }
    }
    /* (0x110000 - 0x10000) code points in planes of 0x1000 for each second byte. */
    assert_int_equal(accepted, 4 * (0x110000 - 0x10000) / 0x1000);
}

static void test_valid_prefix_named_attacks_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\xC0\x80",
        "\xC1\xBF",
        "\xE0\x80\x80",
        "\xE0\x9F\xBF",
        "\xF0\x80\x80\x80",
        "\xF0\x8F\xBF\xBF",
        "\xED\xA0\x80",
        "\xED\xBF\xBF",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xFE",
        "\xFF",
        "\x80",
        "\xBF",
        "\xC3(",
        "\xE2\x82(",
        "\xF0\x9F\x98(",
        "\xE2(\xA1",
        "\xF8\x88\x80\x80\x80",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(br_utf8_valid_prefix(bad[i], strlen(bad[i])), 0);
}

/* Each offset against the steps of eight; the text lies in memory of its own size, for the address sanitizer.
 */
static void test_valid_prefix_bad_byte_anywhere_is_found(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 40; len++) {
        char *text = malloc(len);
        assert_non_null(text);
        memset(text, 'a', len);
        assert_int_equal(br_utf8_valid_prefix(text, len), len);
        for (size_t at = 0; at < len; at++) {
            text[at] = (char)0x80;
            assert_int_equal(br_utf8_valid_prefix(text, len), at);
            text[at] = 'a';
        }
        for (size_t at = 0; at + 2 <= len; at++) {
            memcpy(text + at, "\xC3\xA9", 2);
            assert_int_equal(br_utf8_valid_prefix(text, len), len);
            assert_int_equal(br_utf8_valid_prefix(text, at + 1), at);
            memcpy(text + at, "aa", 2);
        }
        free(text);
    }
}

static void test_valid_prefix_nul_and_empty_are_valid(void **state)
{
    (void)state;
    assert_int_equal(br_utf8_valid_prefix("a\0b", 3), 3);
    assert_int_equal(br_utf8_valid_prefix("", 0), 0);
    assert_int_equal(br_utf8_valid_prefix(NULL, 0), 0);
}

static void test_cut_falls_between_characters(void **state)
{
    (void)state;
    const char *text = "a\xC3\xA9\xE6\x96\x87\xF0\x9F\x98\x80z"; /* at 0, 1, 3, 6, 10 */
    static const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (size_t max = 0; max < sizeof expected / sizeof expected[0]; max++)
        assert_int_equal(br_utf8_cut(text, 11, max), expected[max]);
    assert_int_equal(br_utf8_cut(text, 11, SIZE_MAX), 11);
    assert_int_equal(br_utf8_cut(text, 0, 0), 0);
}

static void test_count_counts_characters(void **state)
{
    (void)state;
    const char *text = "a\xC3\xA9\xE6\x96\x87\xF0\x9F\x98\x80z";
    assert_int_equal(br_utf8_count(text, 11), 5);
    assert_int_equal(br_utf8_count(text, 3), 2);
    assert_int_equal(br_utf8_count(text, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid_prefix_every_code_point_is_accepted),
        cmocka_unit_test(test_valid_prefix_no_other_sequence_is_accepted),
        cmocka_unit_test(test_valid_prefix_named_attacks_are_refused),
        cmocka_unit_test(test_valid_prefix_bad_byte_anywhere_is_found),
        cmocka_unit_test(test_valid_prefix_nul_and_empty_are_valid),
        cmocka_unit_test(test_cut_falls_between_characters),
        cmocka_unit_test(test_count_counts_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
