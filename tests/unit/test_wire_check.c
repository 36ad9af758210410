#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/field.h"
#include "test_contract.h"
#include "translate/wire_check.h"

#include <stdlib.h>
#include <string.h>
#include <testapi/v1/everything.pb-c.h>

#define VARINT 0
#define FIXED64 1
#define LENGTH 2
#define FIXED32 5

/* Bytes that are put together from the end, so that a message can be wrapped again and again. */
struct wire {
    uint8_t *start;
    uint8_t *at;
    uint8_t *end;
};

static struct wire wire_new(size_t cap)
{
    struct wire wire = {.start = malloc(cap)};
    assert_non_null(wire.start);
    wire.end = wire.start + cap;
    wire.at = wire.end;
    return wire;
}

static void put(struct wire *wire, const void *bytes, size_t len)
{
    assert_true((size_t)(wire->at - wire->start) >= len);
    wire->at -= len;
    if (len > 0)
        memcpy(wire->at, bytes, len);
}

static void put_varint(struct wire *wire, uint64_t value)
{
    uint8_t bytes[10];
    size_t len = 0;
    do {
        bytes[len++] = (uint8_t)(value & 0x7F) | (value > 0x7F ? 0x80 : 0);
        value >>= 7;
    } while (value > 0);
    put(wire, bytes, len);
}

static size_t wire_len(const struct wire *wire)
{
    return (size_t)(wire->end - wire->at);
}

/* Makes everything that is there the payload of one record. */
static void wrap(struct wire *wire, uint32_t number)
{
    put_varint(wire, wire_len(wire));
    put_varint(wire, (uint64_t)number << 3 | LENGTH);
}

struct check {
    struct br_arena arena;
    struct br_violations violations;
    struct br_status st;
};

/* The bytes are copied to a block of their own size, so that a read past the end is seen. */
static bool run(struct check *check, const struct br_message_plan *plan, const void *bytes, size_t len)
{
    br_arena_init(&check->arena, 1 << 20);
    br_violations_init(&check->violations, &check->arena);
    check->st = (struct br_status){0};
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, bytes, len);
    bool ok = br_wire_check(plan, copy, len, BR_MAX_WIRE_ELEMENTS, &check->violations, &check->st);
    free(copy);
    return ok;
}

static void assert_accepted(const void *bytes, size_t len)
{
    struct check check;
    if (!run(&check, test_plan("Thing"), bytes, len))
        fail_msg("refused: %s", check.st.msg);
    assert_int_equal(check.violations.total_count, 0);
    br_arena_finish(&check.arena);
}

/* |field| NULL: the whole message is refused, without a violation. |text| is a part of the message. */
static void assert_refused(const void *bytes, size_t len, const char *reason, const char *field,
                           const char *text)
{
    struct check check;
    assert_false(run(&check, test_plan("Thing"), bytes, len));
    assert_string_equal(check.st.reason, reason);
    bool is_size = strcmp(reason, "MESSAGE_TOO_LARGE") == 0;
    assert_int_equal(check.st.code, is_size ? BR_RESOURCE_EXHAUSTED : BR_INVALID_ARGUMENT);
    if (strstr(check.st.msg, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", check.st.msg, text);
    assert_int_equal(check.violations.total_count, field != NULL);
    if (field != NULL) {
        assert_string_equal(check.violations.items[0].field, field);
        assert_non_null(strstr(check.st.msg, field));
    }
    br_arena_finish(&check.arena);
}

#define ACCEPTED(...)                                  \
    do {                                               \
        static const uint8_t bytes_[] = {__VA_ARGS__}; \
        assert_accepted(bytes_, sizeof bytes_);        \
    } while (0)
#define MALFORMED(field, text, ...)                                              \
    do {                                                                         \
        static const uint8_t bytes_[] = {__VA_ARGS__};                           \
        assert_refused(bytes_, sizeof bytes_, "MALFORMED_MESSAGE", field, text); \
    } while (0)

/* The generated structs want char *, though packing only reads. */
static char *lit(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* A Thing with every kind of field; released by free(). */
static uint8_t *pack_thing(size_t *len)
{
    Testapi__V1__Part part = TESTAPI__V1__PART__INIT;
    part.name = lit("part");
    part.has_size = 1;
    part.size = 7;
    Testapi__V1__Part *parts[] = {&part, &part};
    char *tags[] = {lit("a"), lit(""), lit("\xC3\xA9")};
    int32_t numbers[] = {1, -1, 300};
    Testapi__V1__Colour colours[] = {TESTAPI__V1__COLOUR__COLOUR_RED, TESTAPI__V1__COLOUR__COLOUR_DEEP_BLUE};
    Testapi__V1__Thing__LabelsEntry label = TESTAPI__V1__THING__LABELS_ENTRY__INIT;
    label.key = lit("k");
    label.value = lit("v");
    Testapi__V1__Thing__LabelsEntry *labels[] = {&label};
    Google__Protobuf__Value text = GOOGLE__PROTOBUF__VALUE__INIT;
    text.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    text.string_value = lit("free");
    Google__Protobuf__Value none = GOOGLE__PROTOBUF__VALUE__INIT;
    none.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE;
    Google__Protobuf__Value *values[] = {&text, &none};
    Google__Protobuf__ListValue list = GOOGLE__PROTOBUF__LIST_VALUE__INIT;
    list.n_values = 2;
    list.values = values;
    Google__Protobuf__Value list_value = GOOGLE__PROTOBUF__VALUE__INIT;
    list_value.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
    list_value.list_value = &list;
    Google__Protobuf__Struct__FieldsEntry member = GOOGLE__PROTOBUF__STRUCT__FIELDS_ENTRY__INIT;
    member.key = lit("m");
    member.value = &list_value;
    Google__Protobuf__Struct__FieldsEntry *members[] = {&member};
    Google__Protobuf__Struct object = GOOGLE__PROTOBUF__STRUCT__INIT;
    object.n_fields = 1;
    object.fields = members;
    Testapi__V1__Thing child = TESTAPI__V1__THING__INIT;
    child.choice_case = TESTAPI__V1__THING__CHOICE_CHOICE_TEXT;
    child.choice_text = lit("chosen");
    Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    thing.text = lit("text");
    thing.has_small = 1;
    thing.small = -5;
    thing.has_large = 1;
    thing.large = INT64_MIN;
    thing.has_total = 1;
    thing.total = UINT64_MAX;
    thing.has_ratio = 1;
    thing.ratio = 0.5F;
    thing.has_amount = 1;
    thing.amount = 1.25;
    thing.has_flag = 1;
    thing.flag = 1;
    thing.has_fixed = 1;
    thing.fixed = 9;
    thing.has_zigzag = 1;
    thing.zigzag = -3;
    thing.part = &part;
    thing.n_parts = 2;
    thing.parts = parts;
    thing.n_tags = 3;
    thing.tags = tags;
    thing.n_numbers = 3;
    thing.numbers = numbers;
    thing.n_colours = 2;
    thing.colours = colours;
    thing.n_labels = 1;
    thing.labels = labels;
    thing.free = &object;
    thing.any_value = &list_value;
    thing.any_list = &list;
    thing.child = &child;
    *len = protobuf_c_message_get_packed_size(&thing.base);
    uint8_t *bytes = malloc(*len);
    assert_non_null(bytes);
    protobuf_c_message_pack(&thing.base, bytes);
    return bytes;
}

static void test_wire_check_every_kind_accepted(void **state)
{
    (void)state;
    size_t len;
    uint8_t *bytes = pack_thing(&len);
    assert_accepted(bytes, len);
    free(bytes);
    assert_accepted(NULL, 0);
}

static void test_wire_check_truncated_never_accepted_where_unpack_fails(void **state)
{
    (void)state;
    size_t len;
    uint8_t *bytes = pack_thing(&len);
    size_t refused = 0;
    for (size_t cut = 0; cut < len; cut++) {
        struct check check;
        bool ok = run(&check, test_plan("Thing"), bytes, cut);
        ProtobufCMessage *message =
            br_message_unpack(test_plan("Thing")->descriptor, bytes, cut, &check.arena);
        assert_int_equal(ok, message != NULL);
        refused += !ok;
        br_arena_finish(&check.arena);
    }
    assert_true(refused > len / 2);
    free(bytes);
}

static void test_wire_check_unknown_fields_skipped(void **state)
{
    (void)state;
    ACCEPTED(0xC0, 0x3E, 0x01);                   /* 1000: a varint */
    ACCEPTED(0xC1, 0x3E, 1, 2, 3, 4, 5, 6, 7, 8); /* 64 bits */
    ACCEPTED(0xC2, 0x3E, 2, 0xFF, 0x00);          /* bytes, which are not text */
    ACCEPTED(0xC5, 0x3E, 1, 2, 3, 4);             /* 32 bits */
    ACCEPTED(0xF8, 0xFF, 0xFF, 0xFF, 0x0F, 0x00); /* the greatest field number */
    ACCEPTED(0x90, 0x80, 0x80, 0x80, 0x00, 0x01); /* |small| with a tag of five bytes */
    ACCEPTED(0xC0, 0x3E, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
             0x01); /* the greatest varint */
}

static void test_wire_check_bad_tag_refused(void **state)
{
    (void)state;
    MALFORMED(NULL, "the message is not valid: a field number outside 1 to 536870911, at byte 1", 0x00, 0x00);
    MALFORMED(NULL, "field number outside 1 to 536870911, at byte 3", 0x10, 0x01, 0x80, 0x80, 0x80, 0x80,
              0x10, 0x00);
    MALFORMED(NULL, "tag that does not end", 0x80);
    MALFORMED(NULL, "tag that does not end", 0x90, 0x80, 0x80, 0x80, 0x80, 0x00, 0x01);
    MALFORMED(NULL, "wire type that does not exist", 0xC6, 0x3E, 0x01);
    MALFORMED(NULL, "wire type that does not exist", 0xC7, 0x3E, 0x01);
}

static void test_wire_check_group_refused_as_unpack_does(void **state)
{
    (void)state;
    static const uint8_t group[] = {0xC3, 0x3E, 0xC4, 0x3E};
    struct br_arena arena;
    br_arena_init(&arena, 1 << 16);
    assert_null(br_message_unpack(test_plan("Thing")->descriptor, group, sizeof group, &arena));
    br_arena_finish(&arena);
    assert_refused(group, sizeof group, "MALFORMED_MESSAGE", NULL,
                   "a group, which is not supported, at byte 1");
    MALFORMED(NULL, "a group", 0xC4, 0x3E);
    MALFORMED("part", "a group, which is not supported, at byte 1, in part", 0x6B, 0x6C);
}

static void test_wire_check_bad_number_refused(void **state)
{
    (void)state;
    MALFORMED("small", "does not end", 0x10);
    MALFORMED("small", "does not end", 0x10, 0x80);
    MALFORMED("large", "longer than 64 bits", 0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
              0x02);
    MALFORMED("large", "longer than 64 bits", 0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
              0x81, 0x00);
    MALFORMED("ratio", "past the end", 0x35, 1, 2, 3);
    ACCEPTED(0x35, 1, 2, 3, 4);
    MALFORMED("amount", "past the end", 0x39, 1, 2, 3, 4, 5, 6, 7);
    ACCEPTED(0x39, 1, 2, 3, 4, 5, 6, 7, 8);
}

static void test_wire_check_bad_length_refused(void **state)
{
    (void)state;
    MALFORMED("part", "past the end of its message, at byte 1", 0x6A, 0x01);
    MALFORMED("parts[1].name", "past the end of its message, at byte 5", 0x72, 0x00, 0x72, 0x03, 0x0A, 0x02,
              'a');
    MALFORMED("part", "length that does not end", 0x6A, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00);
    MALFORMED("part", "past the end", 0x6A, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F);
    ACCEPTED(0x6A, 0x80, 0x80, 0x80, 0x80, 0x00);
}

static void test_wire_check_wrong_type_refused(void **state)
{
    (void)state;
    MALFORMED("text", "another type", 0xA0, 0x01, 0x01);  /* a string as a varint */
    MALFORMED("flag", "another type", 0x42, 0x01, 0x01);  /* a bool as bytes */
    MALFORMED("small", "another type", 0x15, 1, 2, 3, 4); /* an int32 as 32 bits */
    MALFORMED("part", "another type", 0x68, 0x01);        /* a message as a varint */
    MALFORMED("numbers[0]", "another type", 0x85, 0x01, 1, 2, 3, 4);
}

static void test_wire_check_packed_numbers(void **state)
{
    (void)state;
    ACCEPTED(0x82, 0x01, 0x00);
    ACCEPTED(0x82, 0x01, 0x03, 0x01, 0xAC, 0x02);
    ACCEPTED(0x80, 0x01, 0x01, 0x80, 0x01, 0x02); /* one by one */
    MALFORMED("numbers[0]", "packed number that does not end", 0x82, 0x01, 0x02, 0x01, 0x80);
    MALFORMED("numbers[1]", "packed number that does not end", 0x82, 0x01, 0x01, 0x01, 0x82, 0x01, 0x01,
              0x80);
    MALFORMED("colours[0]", "packed number that does not end", 0x8A, 0x01, 0x0B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
              0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01);
}

static void test_wire_check_message_given_twice_refused(void **state)
{
    (void)state;
    MALFORMED("part", "given twice, at byte 3", 0x6A, 0x00, 0x6A, 0x00);
    MALFORMED("child.child", "given twice", 0xD2, 0x01, 0x06, 0xD2, 0x01, 0x00, 0xD2, 0x01, 0x00);
    MALFORMED("free", "given twice", 0x0A, 0x06, 0x0A, 0x04, 0x12, 0x00, 0x12, 0x00);
    ACCEPTED(0x10, 0x01, 0x10, 0x02); /* a number: the last wins */
}

static void test_wire_check_bad_text_names_field(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        const char *text;
        const char *bytes;
        size_t len;
    } cases[] = {
        {"text", "is not UTF-8", "\xA2\x01\x02\xC3\x28", 5},
        {"text", "holds a NUL character, at byte 1 of the text", "\xA2\x01\x01\x00", 4},
        {"text", "at byte 3 of the text",
         "\xA2\x01\x04"
         "ab\xFF"
         "c",
         7},
        {"tags[1]", "is not UTF-8", "\x7A\x00\x7A\x01\xFF", 5},
        {"parts[1].name", "is not UTF-8", "\x72\x00\x72\x03\x0A\x01\xFF", 7},
        {"labels[1].key", "is not UTF-8", "\x92\x01\x00\x92\x01\x03\x0A\x01\xFF", 9},
        {"labels[0].value", "is not UTF-8", "\x92\x01\x03\x12\x01\xFF", 6},
        {"free", "NUL", "\x0A\x05\x0A\x03\x0A\x01\x00", 7},
        {"any_value", "is not UTF-8", "\xAA\x01\x03\x1A\x01\xC0", 6},
        {"any_list", "is not UTF-8", "\xB2\x01\x07\x0A\x00\x0A\x03\x1A\x01\xC0", 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refused(cases[i].bytes, cases[i].len, "VALIDATION_FAILED", cases[i].field, cases[i].text);
}

/* Releases |wire|. */
static void check_depth(struct wire *wire, bool accepted)
{
    struct check check;
    bool ok = run(&check, test_plan("Thing"), wire->at, wire_len(wire));
    assert_int_equal(ok, accepted);
    if (!ok) {
        assert_string_equal(check.st.reason, "MALFORMED_MESSAGE");
        assert_non_null(strstr(check.st.msg, "nested too deep"));
        assert_int_equal(check.violations.count, 1);
    }
    br_arena_finish(&check.arena);
    free(wire->start);
}

/* |levels| below the Thing, which is one itself. */
static void nest_children(size_t levels, bool accepted)
{
    struct wire wire = wire_new(levels * 8 + 8);
    for (size_t i = 0; i < levels; i++)
        wrap(&wire, 26);
    check_depth(&wire, accepted);
}

static void nest_lists(size_t levels, bool accepted)
{
    struct wire wire = wire_new(levels * 16 + 16);
    for (size_t i = 1; i < levels; i++) {
        wrap(&wire, 6); /* Value.list_value */
        wrap(&wire, 1); /* ListValue.values */
    }
    wrap(&wire, 22);
    check_depth(&wire, accepted);
}

static void nest_structs(size_t levels, bool accepted)
{
    struct wire wire = wire_new(levels * 24 + 24);
    for (size_t i = 1; i < levels; i++) {
        wrap(&wire, 5); /* Value.struct_value */
        wrap(&wire, 2); /* the value of an entry */
        wrap(&wire, 1); /* Struct.fields */
    }
    wrap(&wire, 1);
    check_depth(&wire, accepted);
}

static void test_wire_check_depth_limited(void **state)
{
    (void)state;
    nest_children(BR_MAX_DEPTH - 1, true);
    nest_children(BR_MAX_DEPTH, false);
    nest_lists(BR_MAX_DEPTH - 1, true);
    nest_lists(BR_MAX_DEPTH, false);
    nest_structs(BR_MAX_DEPTH - 1, true);
    nest_structs(BR_MAX_DEPTH, false);
    nest_children(100000, false);
    nest_lists(100000, false);
    nest_structs(100000, false);
}

static void test_wire_check_elements_limited(void **state)
{
    (void)state;
    struct wire wire = wire_new(3 * BR_MAX_WIRE_ELEMENTS);
    for (size_t i = 0; i < BR_MAX_WIRE_ELEMENTS; i++)
        put(&wire, "\x7A\x00", 2);
    assert_accepted(wire.at, wire_len(&wire));
    put(&wire, "\x7A\x00", 2);
    assert_refused(wire.at, wire_len(&wire), "MESSAGE_TOO_LARGE", NULL,
                   "the message has more than 100000 fields and list elements");
    struct br_arena arena;
    struct br_violations violations;
    struct br_status st;
    br_arena_init(&arena, 1 << 16);
    br_violations_init(&violations, &arena);
    assert_true(br_wire_check(test_plan("Thing"), wire.at, wire_len(&wire), BR_MAX_WIRE_ELEMENTS + 1,
                              &violations, &st));
    br_arena_finish(&arena);

    wire.at = wire.end;
    for (size_t i = 0; i < BR_MAX_WIRE_ELEMENTS - 1; i++)
        put(&wire, "\x01", 1);
    wrap(&wire, 16);
    assert_accepted(wire.at, wire_len(&wire));
    put(&wire, "\x80\x01\x01", 3);
    assert_refused(wire.at, wire_len(&wire), "MESSAGE_TOO_LARGE", NULL, "more than 100000");

    /* Elements of all levels together. */
    wire.at = wire.end;
    for (size_t i = 0; i < BR_MAX_WIRE_ELEMENTS - 1; i++)
        put(&wire, "\x7A\x00", 2);
    wrap(&wire, 26);
    assert_accepted(wire.at, wire_len(&wire));
    put(&wire, "\x10\x00", 2);
    assert_refused(wire.at, wire_len(&wire), "MESSAGE_TOO_LARGE", NULL, "more than 100000");
    free(wire.start);
}

static void test_wire_check_no_memory_for_violation_still_refused(void **state)
{
    (void)state;
    struct br_arena arena;
    struct br_violations violations;
    struct br_status st = {0};
    br_arena_init(&arena, 0);
    br_violations_init(&violations, &arena);
    assert_false(br_wire_check(test_plan("Thing"), (const uint8_t *)"\x7A\x01\xFF", 3, BR_MAX_WIRE_ELEMENTS,
                               &violations, &st));
    assert_int_equal(st.code, BR_INVALID_ARGUMENT);
    assert_false(br_wire_check(test_plan("Thing"), (const uint8_t *)"\x10", 1, BR_MAX_WIRE_ELEMENTS,
                               &violations, &st));
    assert_string_equal(st.reason, "MALFORMED_MESSAGE");
    br_arena_finish(&arena);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* What the check lets through, protobuf-c must be able to unpack. */
static void test_wire_check_mutated_accepted_only_where_unpack_succeeds(void **state)
{
    (void)state;
    const struct br_message_plan *plan = test_plan("Thing");
    size_t len;
    uint8_t *bytes = pack_thing(&len);
    uint8_t *mutant = malloc(len);
    assert_non_null(mutant);
    uint64_t seed = 88172645463325252;
    size_t accepted = 0;
    for (size_t round = 0; round < 20000; round++) {
        memcpy(mutant, bytes, len);
        for (uint64_t i = next_random(&seed) % 4 + 1; i > 0; i--)
            mutant[next_random(&seed) % len] = (uint8_t)next_random(&seed);
        size_t cut = next_random(&seed) % 4 == 0 ? next_random(&seed) % len : len;
        struct check check;
        if (run(&check, plan, mutant, cut)) {
            accepted++;
            assert_non_null(br_message_unpack(plan->descriptor, mutant, cut, &check.arena));
        }
        br_arena_finish(&check.arena);
    }
    assert_true(accepted > 1000);
    free(mutant);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire_check_every_kind_accepted),
        cmocka_unit_test(test_wire_check_truncated_never_accepted_where_unpack_fails),
        cmocka_unit_test(test_wire_check_unknown_fields_skipped),
        cmocka_unit_test(test_wire_check_bad_tag_refused),
        cmocka_unit_test(test_wire_check_group_refused_as_unpack_does),
        cmocka_unit_test(test_wire_check_bad_number_refused),
        cmocka_unit_test(test_wire_check_bad_length_refused),
        cmocka_unit_test(test_wire_check_wrong_type_refused),
        cmocka_unit_test(test_wire_check_packed_numbers),
        cmocka_unit_test(test_wire_check_message_given_twice_refused),
        cmocka_unit_test(test_wire_check_bad_text_names_field),
        cmocka_unit_test(test_wire_check_depth_limited),
        cmocka_unit_test(test_wire_check_elements_limited),
        cmocka_unit_test(test_wire_check_no_memory_for_violation_still_refused),
        cmocka_unit_test(test_wire_check_mutated_accepted_only_where_unpack_succeeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
