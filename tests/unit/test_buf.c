#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fault.h"
#include "base/buf.h"

static int reset(void **state)
{
    (void)state;
    (void)alloc_fault_end();
    return 0;
}

static void test_append_grows_and_stays_terminated(void **state)
{
    (void)state;
    struct br_buf buf;
    br_buf_init(&buf, 100000);
    assert_null(buf.data);
    for (size_t i = 0; i < 5000; i++) {
        const char bytes[3] = {(char)('a' + i % 26), '\0', 'z'};
        assert_int_equal(br_buf_append(&buf, bytes, 3), BR_BUF_OK);
        assert_int_equal(buf.len, 3 * (i + 1));
        assert_int_equal(buf.data[buf.len], '\0');
    }
    for (size_t i = 0; i < 5000; i++) {
        assert_int_equal(buf.data[3 * i], 'a' + i % 26);
        assert_int_equal(buf.data[3 * i + 2], 'z');
    }
    br_buf_finish(&buf);
}

static void test_append_ceiling_is_exact(void **state)
{
    (void)state;
    struct br_buf buf;
    br_buf_init(&buf, 5);
    assert_int_equal(br_buf_append(&buf, "abc", 3), BR_BUF_OK);
    assert_int_equal(br_buf_append(&buf, "def", 3), BR_BUF_FULL);
    assert_string_equal(buf.data, "abc");
    assert_int_equal(br_buf_append(&buf, "de", 2), BR_BUF_OK);
    assert_string_equal(buf.data, "abcde");
    assert_int_equal(br_buf_append(&buf, "f", 1), BR_BUF_FULL);
    assert_int_equal(br_buf_append(&buf, NULL, 0), BR_BUF_OK);
    assert_in_range(buf.cap, 6, 6);
    br_buf_finish(&buf);
}

static void test_append_nothing_gives_an_empty_string(void **state)
{
    (void)state;
    struct br_buf buf;
    br_buf_init(&buf, 0);
    assert_int_equal(br_buf_puts(&buf, ""), BR_BUF_OK);
    assert_string_equal(buf.data, "");
    assert_int_equal(br_buf_puts(&buf, "a"), BR_BUF_FULL);
    br_buf_finish(&buf);
}

static void test_append_without_ceiling_refuses_what_no_size_holds(void **state)
{
    (void)state;
    struct br_buf buf;
    br_buf_init(&buf, SIZE_MAX);
    assert_int_equal(br_buf_puts(&buf, "abc"), BR_BUF_OK);
    assert_int_equal(br_buf_append(&buf, "", SIZE_MAX), BR_BUF_FULL);
    assert_int_equal(br_buf_append(&buf, "", SIZE_MAX - 3), BR_BUF_FULL);
    alloc_fault_all_after(0);
    assert_int_equal(br_buf_append(&buf, "", SIZE_MAX - 4), BR_BUF_NO_MEMORY);
    assert_string_equal(buf.data, "abc");
    br_buf_finish(&buf);
}

static void test_append_no_memory_keeps_the_buffer(void **state)
{
    (void)state;
    struct br_buf buf;
    char text[1000];
    memset(text, 'x', sizeof text);
    br_buf_init(&buf, 10000);
    alloc_fault_all_after(0);
    assert_int_equal(br_buf_puts(&buf, "abc"), BR_BUF_NO_MEMORY);
    assert_null(buf.data);
    (void)alloc_fault_end();
    assert_int_equal(br_buf_puts(&buf, "abc"), BR_BUF_OK);
    alloc_fault_all_after(0);
    assert_int_equal(br_buf_append(&buf, text, sizeof text), BR_BUF_NO_MEMORY);
    assert_int_equal(br_buf_printf(&buf, "%1000d", 1), BR_BUF_NO_MEMORY);
    assert_int_equal(buf.len, 3);
    assert_string_equal(buf.data, "abc");
    br_buf_finish(&buf);
}

static void test_printf_ceiling_is_exact(void **state)
{
    (void)state;
    struct br_buf buf;
    br_buf_init(&buf, 8);
    assert_int_equal(br_buf_printf(&buf, "%s=%d", "a", 12), BR_BUF_OK);
    assert_string_equal(buf.data, "a=12");
    assert_int_equal(br_buf_printf(&buf, "%d", 12345), BR_BUF_FULL);
    assert_string_equal(buf.data, "a=12");
    assert_int_equal(br_buf_printf(&buf, "%d", 1234), BR_BUF_OK);
    assert_string_equal(buf.data, "a=121234");
    assert_int_equal(buf.len, 8);
    br_buf_finish(&buf);
}

static void test_printf_failure_is_full(void **state)
{
    (void)state;
    struct br_buf buf;
    br_buf_init(&buf, SIZE_MAX);
    /* The C locale has no form for this character, so that printf itself fails. */
    assert_int_equal(br_buf_printf(&buf, "%ls", L"\u6587"), BR_BUF_FULL);
    assert_null(buf.data);
    br_buf_finish(&buf);
}

static void test_finish_accepts_null_zeroed_and_again(void **state)
{
    (void)state;
    struct br_buf buf = {0};
    br_buf_finish(NULL);
    br_buf_finish(&buf);
    br_buf_init(&buf, 10);
    assert_int_equal(br_buf_puts(&buf, "abc"), BR_BUF_OK);
    br_buf_finish(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.limit_bytes, 0);
    br_buf_finish(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_append_grows_and_stays_terminated, reset),
        cmocka_unit_test_setup(test_append_ceiling_is_exact, reset),
        cmocka_unit_test_setup(test_append_nothing_gives_an_empty_string, reset),
        cmocka_unit_test_setup(test_append_without_ceiling_refuses_what_no_size_holds, reset),
        cmocka_unit_test_setup(test_append_no_memory_keeps_the_buffer, reset),
        cmocka_unit_test_setup(test_printf_ceiling_is_exact, reset),
        cmocka_unit_test_setup(test_printf_failure_is_full, reset),
        cmocka_unit_test_setup(test_finish_accepts_null_zeroed_and_again, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
