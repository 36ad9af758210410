#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/trace_context.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRACE_ID "0af7651916cd43dd8448eb211c80319c"
#define SPAN_ID "b7ad6b7169203331"
#define TRACEPARENT "00-" TRACE_ID "-" SPAN_ID "-01"

static int random_count;

static void ones(void *bytes, size_t len)
{
    random_count++;
    memset(bytes, 0x11, len);
}

static void zeros(void *bytes, size_t len)
{
    memset(bytes, 0, len);
}

static void last_byte(void *bytes, size_t len)
{
    memset(bytes, 0, len);
    ((uint8_t *)bytes)[len - 1] = 0xFE;
}

/* What goes upstream for |traceparent|, with a tracestate beside it; NULL: neither does. */
static const char *forward(const char *traceparent, br_random_fn *random)
{
    static struct br_trace_context context;
    struct br_header items[] = {{"x-request-id", "r"}, {"traceparent", traceparent}, {"tracestate", "a=1"}};
    struct br_headers headers = {items, 3};
    br_trace_context_continue(&headers, random, &context);
    assert_string_equal(br_headers_find(&headers, "x-request-id"), "r");
    const char *sent = br_headers_find(&headers, "traceparent");
    if (sent == NULL) {
        assert_int_equal(headers.count, 1);
        assert_string_equal(context.trace_id, "");
        assert_string_equal(context.span_id, "");
        assert_string_equal(context.traceparent, "");
        return NULL;
    }
    assert_int_equal(headers.count, 3);
    assert_string_equal(br_headers_find(&headers, "tracestate"), "a=1");
    assert_ptr_equal(sent, context.traceparent);
    assert_int_equal(strlen(sent), BR_TRACEPARENT_LEN);
    assert_memory_equal(sent + 3, context.trace_id, BR_TRACE_ID_LEN);
    assert_memory_equal(sent + 3 + BR_TRACE_ID_LEN + 1, context.span_id, BR_SPAN_ID_LEN);
    return sent;
}

static void test_continue_keeps_the_trace_and_changes_the_span(void **state)
{
    (void)state;
    static const struct {
        const char *received, *sent;
    } cases[] = {
        {TRACEPARENT, "00-" TRACE_ID "-1111111111111111-01"},
        {"00-" TRACE_ID "-" SPAN_ID "-00", "00-" TRACE_ID "-1111111111111111-00"},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
         "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01"},
        {"00-00000000000000000000000000000001-0000000000000001-01",
         "00-00000000000000000000000000000001-1111111111111111-01"},
        {"00-10000000000000000000000000000000-1000000000000000-01",
         "00-10000000000000000000000000000000-1111111111111111-01"},
        /* Flags: sampled and random are known, the others have to be zero in what is sent. */
        {"00-" TRACE_ID "-" SPAN_ID "-02", "00-" TRACE_ID "-1111111111111111-02"},
        {"00-" TRACE_ID "-" SPAN_ID "-09", "00-" TRACE_ID "-1111111111111111-01"},
        {"00-" TRACE_ID "-" SPAN_ID "-ff", "00-" TRACE_ID "-1111111111111111-03"},
        {"00-" TRACE_ID "-" SPAN_ID "-fc", "00-" TRACE_ID "-1111111111111111-00"},
        /* Later versions. */
        {"01-" TRACE_ID "-" SPAN_ID "-01", "00-" TRACE_ID "-1111111111111111-01"},
        {"cc-" TRACE_ID "-" SPAN_ID "-01", "00-" TRACE_ID "-1111111111111111-01"},
        {"fe-" TRACE_ID "-" SPAN_ID "-ff", "00-" TRACE_ID "-1111111111111111-01"},
        {"cc-" TRACE_ID "-" SPAN_ID "-01-", "00-" TRACE_ID "-1111111111111111-01"},
        {"cc-" TRACE_ID "-" SPAN_ID "-02-what-the-future-will-be-like",
         "00-" TRACE_ID "-1111111111111111-00"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *sent = forward(cases[i].received, ones);
        assert_non_null(sent);
        assert_string_equal(sent, cases[i].sent);
    }
}

static void test_continue_takes_out_what_is_malformed(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "-",
        "00",
        "ff-" TRACE_ID "-" SPAN_ID "-01",
        "ff-" TRACE_ID "-" SPAN_ID "-01-more",
        "00-" TRACE_ID "-" SPAN_ID "-01.",
        "00-" TRACE_ID "-" SPAN_ID "-01-",
        "00-" TRACE_ID "-" SPAN_ID "-01-what-the-future-will-be-like",
        "00-" TRACE_ID "-" SPAN_ID "-01 ",
        " 00-" TRACE_ID "-" SPAN_ID "-01",
        "cc-" TRACE_ID "-" SPAN_ID "-01.what-the-future-will-be-like",
        "cc-" TRACE_ID "-" SPAN_ID "-011",
        ".0-" TRACE_ID "-" SPAN_ID "-01",
        "0.-" TRACE_ID "-" SPAN_ID "-01",
        "0-" TRACE_ID "-" SPAN_ID "-01",
        "000-" TRACE_ID "-" SPAN_ID "-01",
        "0A-" TRACE_ID "-" SPAN_ID "-01",
        "00-00000000000000000000000000000000-" SPAN_ID "-01",
        "cc-00000000000000000000000000000000-" SPAN_ID "-01",
        "00-" TRACE_ID "-0000000000000000-01",
        "cc-" TRACE_ID "-0000000000000000-01",
        "00-.af7651916cd43dd8448eb211c80319c-" SPAN_ID "-01",
        "00-0af7651916cd43dd8448eb211c80319.-" SPAN_ID "-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" SPAN_ID "-01",
        "00-0af7651916cd43dd8448eb211c80319g-" SPAN_ID "-01",
        "00-0af7651916cd43dd8448eb211c80319-" SPAN_ID "-01",
        "00-0af7651916cd43dd8448eb211c80319-" SPAN_ID "-011",
        "00-0af7651916cd43dd8448eb211c80319cc-" SPAN_ID "-01",
        "00-" TRACE_ID "-.7ad6b7169203331-01",
        "00-" TRACE_ID "-b7ad6b716920333.-01",
        "00-" TRACE_ID "-B7AD6B7169203331-01",
        "00-" TRACE_ID "-b7ad6b716920333-01",
        "00-" TRACE_ID "-b7ad6b71692033311-01",
        "00-" TRACE_ID "-" SPAN_ID "-.0",
        "00-" TRACE_ID "-" SPAN_ID "-0.",
        "00-" TRACE_ID "-" SPAN_ID "-0A",
        "00-" TRACE_ID "-" SPAN_ID "-1",
        "00-" TRACE_ID "-" SPAN_ID "-",
        "00_" TRACE_ID "-" SPAN_ID "-01",
        "00-" TRACE_ID "_" SPAN_ID "-01",
        "00-" TRACE_ID "-" SPAN_ID "_01",
        "00" TRACE_ID SPAN_ID "01",
        TRACEPARENT "," TRACEPARENT,
    };
    random_count = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_null(forward(cases[i], ones));
    }
    assert_int_equal(random_count, 0);
}

/* The text is in a block of exactly its size, so a read beyond it is seen. */
static const char *forward_block(const char *text, size_t len)
{
    char *block = malloc(len + 1);
    assert_non_null(block);
    memcpy(block, text, len);
    block[len] = '\0';
    const char *sent = forward(block, ones);
    free(block);
    return sent;
}

static void test_continue_truncated_at_each_length_is_taken_out(void **state)
{
    (void)state;
    for (size_t len = 0; len < BR_TRACEPARENT_LEN; len++) {
        assert_null(forward_block(TRACEPARENT, len));
        assert_null(forward_block("cc-" TRACE_ID "-" SPAN_ID "-01-more", len));
    }
    assert_non_null(forward_block(TRACEPARENT, BR_TRACEPARENT_LEN));
}

static void test_continue_oversized(void **state)
{
    (void)state;
    static char text[65536];
    memset(text, '0', sizeof text - 1);
    assert_null(forward_block(text, sizeof text - 1));
    memcpy(text, TRACEPARENT, BR_TRACEPARENT_LEN);
    text[BR_TRACEPARENT_LEN] = '-';
    assert_null(forward_block(text, sizeof text - 1));
    memcpy(text, "cc", 2);
    assert_non_null(forward_block(text, sizeof text - 1));
}

static bool is_digit_of_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* Each character of a good one replaced by each that a header may have: only a digit for a digit stays good. */
static void test_continue_other_character_at_each_place(void **state)
{
    (void)state;
    for (size_t at = 0; at < BR_TRACEPARENT_LEN; at++) {
        for (int c = 0x20; c < 0x7F; c++) {
            char text[] = TRACEPARENT;
            bool was_dash = text[at] == '-';
            text[at] = (char)c;
            bool good = was_dash ? c == '-' : is_digit_of_hex((char)c);
            assert_int_equal(forward(text, ones) != NULL, good);
        }
    }
}

static void test_continue_random_bytes_are_taken_out(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        char text[80];
        random = random * 1664525U + 1013904223U;
        size_t len = (random >> 16) % sizeof text;
        for (size_t i = 0; i < len; i++) {
            random = random * 1664525U + 1013904223U;
            text[i] = (char)(0x20 + (random >> 16) % 0x5F);
        }
        assert_null(forward_block(text, len));
    }
}

static void test_continue_without_traceparent(void **state)
{
    (void)state;
    struct br_trace_context context;
    struct br_header items[] = {{"tracestate", "a=1"}, {"x-request-id", "r"}};
    struct br_headers headers = {items, 2};
    random_count = 0;
    br_trace_context_continue(&headers, ones, &context);
    assert_int_equal(headers.count, 1);
    assert_string_equal(headers.items[0].name, "x-request-id");
    assert_string_equal(context.trace_id, "");
    assert_int_equal(random_count, 0);

    struct br_headers none = {NULL, 0};
    br_trace_context_continue(&none, ones, &context);
    assert_int_equal(none.count, 0);
}

static void test_continue_without_tracestate(void **state)
{
    (void)state;
    struct br_trace_context context;
    struct br_header items[] = {{"traceparent", TRACEPARENT}};
    struct br_headers headers = {items, 1};
    br_trace_context_continue(&headers, ones, &context);
    assert_int_equal(headers.count, 1);
    assert_string_equal(headers.items[0].value, "00-" TRACE_ID "-1111111111111111-01");
    assert_string_equal(context.trace_id, TRACE_ID);
    assert_string_equal(context.span_id, "1111111111111111");
}

static void test_continue_span_id_is_never_all_zeros(void **state)
{
    (void)state;
    assert_string_equal(forward(TRACEPARENT, zeros), "00-" TRACE_ID "-0000000000000001-01");
    assert_string_equal(forward(TRACEPARENT, last_byte), "00-" TRACE_ID "-00000000000000fe-01");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_continue_keeps_the_trace_and_changes_the_span),
        cmocka_unit_test(test_continue_takes_out_what_is_malformed),
        cmocka_unit_test(test_continue_truncated_at_each_length_is_taken_out),
        cmocka_unit_test(test_continue_oversized),
        cmocka_unit_test(test_continue_other_character_at_each_place),
        cmocka_unit_test(test_continue_random_bytes_are_taken_out),
        cmocka_unit_test(test_continue_without_traceparent),
        cmocka_unit_test(test_continue_without_tracestate),
        cmocka_unit_test(test_continue_span_id_is_never_all_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
