#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/wire.h"

#include <stdlib.h>
#include <string.h>

/* Reads a copy that ends where |bytes| do, so that the sanitizer sees a step beyond. */
static const char *read_once(const char *bytes, size_t len, struct br_wire_record *record)
{
    static uint8_t *copy;
    free(copy);
    copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    return br_wire_read(copy, copy + len, record);
}

#define READ(literal, record) read_once(literal, sizeof(literal) - 1, record)

static void test_read_each_type_gives_its_payload(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        uint32_t number;
        unsigned wire_type;
        size_t payload_len;
    } cases[] = {
        {"\x08\x96\x01", 3, 1, BR_WIRE_VARINT, 2},
        {"\x12\x03"
         "abc",
         5, 2, BR_WIRE_LENGTH, 3},
        {"\x12\x00", 2, 2, BR_WIRE_LENGTH, 0},
        {"\x1d"
         "abcd",
         5, 3, BR_WIRE_32BIT, 4},
        {"\x21"
         "abcdefgh",
         9, 4, BR_WIRE_64BIT, 8},
        {"\xf8\xff\xff\xff\x0f\x00", 6, 536870911, BR_WIRE_VARINT, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct br_wire_record record;
        assert_null(read_once(cases[i].bytes, cases[i].len, &record));
        assert_int_equal(record.number, cases[i].number);
        assert_int_equal(record.wire_type, cases[i].wire_type);
        assert_int_equal(record.len, cases[i].payload_len);
        assert_memory_equal(record.payload, cases[i].bytes + cases[i].len - record.len, record.len);
        for (size_t len = 1; len < cases[i].len; len++) {
            assert_non_null(read_once(cases[i].bytes, len, &record));
        }
    }
}

static void test_read_hostile_bytes_are_refused(void **state)
{
    (void)state;
    struct br_wire_record record;
    assert_non_null(READ("\x00\x00", &record));
    assert_int_equal(record.number, 0);
    assert_non_null(READ("\x80\x80\x80\x80\x80\x01\x00", &record));
    assert_int_equal(record.number, 0);
    assert_non_null(READ("\x80\x80\x80\x80\x10\x00", &record)); /* number 2^29 */
    assert_non_null(READ("\x0b\x0c", &record));
    assert_non_null(READ("\x0c", &record));
    assert_non_null(READ("\x0e\x00", &record));
    assert_non_null(READ("\x0a\xff\xff\xff\xff\x0f", &record));
    assert_non_null(READ("\x0a\xff\xff\xff\xff\xff\x01", &record));
    assert_non_null(READ("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", &record));
    assert_null(READ("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", &record));
}

static void test_read_varint_has_64_bits(void **state)
{
    (void)state;
    uint64_t value;
    const uint8_t max[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    assert_int_equal(br_wire_read_varint(max, max + sizeof max, &value), sizeof max);
    assert_true(value == UINT64_MAX);
    for (size_t len = 0; len < sizeof max; len++) {
        assert_int_equal(br_wire_read_varint(max, max + len, &value), 0);
    }
}

static void test_put_is_what_read_reads(void **state)
{
    (void)state;
    static const char text[300] = "text";
    static const size_t lens[] = {0, 1, 127, 128, sizeof text};
    static const uint32_t numbers[] = {1, 15, 16, 2047, 2048, 536870911};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
            struct br_buf buf;
            struct br_wire_record record;
            br_buf_init(&buf, 1000);
            assert_int_equal(br_wire_put_bytes(&buf, numbers[k], text, lens[i]), BR_BUF_OK);
            assert_int_equal(buf.len, br_wire_size(numbers[k], lens[i]));
            assert_null(read_once(buf.data, buf.len, &record));
            assert_int_equal(record.number, numbers[k]);
            assert_int_equal(record.wire_type, BR_WIRE_LENGTH);
            assert_int_equal(record.len, lens[i]);
            assert_memory_equal(record.payload, text, lens[i]);
            size_t head = buf.len - lens[i];
            br_buf_finish(&buf);

            br_buf_init(&buf, 1000);
            assert_int_equal(br_wire_put_length(&buf, numbers[k], lens[i]), BR_BUF_OK);
            assert_int_equal(buf.len, head);
            br_buf_finish(&buf);
        }
    }
}

static void test_put_varint_keeps_every_bit(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 1, 127, 128, UINT32_MAX, (uint64_t)INT64_MIN, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct br_buf buf;
        struct br_wire_record record;
        uint64_t value;
        br_buf_init(&buf, 20);
        assert_int_equal(br_wire_put_varint(&buf, 2, values[i]), BR_BUF_OK);
        assert_null(read_once(buf.data, buf.len, &record));
        assert_int_equal(record.wire_type, BR_WIRE_VARINT);
        assert_int_equal(br_wire_read_varint(record.payload, record.payload + record.len, &value),
                         record.len);
        assert_true(value == values[i]);
        br_buf_finish(&buf);
    }
}

static void test_put_beyond_the_ceiling_is_told(void **state)
{
    (void)state;
    struct br_buf buf;
    br_buf_init(&buf, 3);
    assert_int_equal(br_wire_put_bytes(&buf, 1, "ab", 2), BR_BUF_FULL);
    assert_int_equal(br_wire_put_varint(&buf, 1, 1), BR_BUF_FULL);
    br_buf_finish(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_each_type_gives_its_payload),
        cmocka_unit_test(test_read_hostile_bytes_are_refused),
        cmocka_unit_test(test_read_varint_has_64_bits),
        cmocka_unit_test(test_put_is_what_read_reads),
        cmocka_unit_test(test_put_varint_keeps_every_bit),
        cmocka_unit_test(test_put_beyond_the_ceiling_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
