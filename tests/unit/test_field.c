#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/field.h"
#include "test_contract.h"

#include <stdlib.h>
#include <string.h>
#include <testapi/v1/everything.pb-c.h>

static struct br_arena arena;

static int open_arena(void **state)
{
    (void)state;
    br_arena_init(&arena, 1 << 20);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    br_arena_finish(&arena);
    return 0;
}

static const struct br_field_plan *field(const char *name)
{
    const struct br_field_plan *found = br_plan_field_by_name(test_plan("Thing"), name, strlen(name));
    if (found == NULL)
        fail_msg("no field %s", name);
    return found;
}

static Testapi__V1__Thing *new_thing(void)
{
    ProtobufCMessage *message = br_message_new(&testapi__v1__thing__descriptor, &arena);
    assert_non_null(message);
    return (Testapi__V1__Thing *)message;
}

static ProtobufCMessage *new_part(const char *name)
{
    ProtobufCMessage *part = br_message_new(&testapi__v1__part__descriptor, &arena);
    assert_non_null(part);
    ((Testapi__V1__Part *)part)->name = (char *)(uintptr_t)name;
    return part;
}

/* The message after a way over the wire. */
static Testapi__V1__Thing *pack_and_unpack(const Testapi__V1__Thing *thing)
{
    size_t len = testapi__v1__thing__get_packed_size(thing);
    uint8_t *bytes = malloc(len + 1);
    assert_non_null(bytes);
    testapi__v1__thing__pack(thing, bytes);
    ProtobufCMessage *back = br_message_unpack(&testapi__v1__thing__descriptor, bytes, len, &arena);
    free(bytes);
    assert_non_null(back);
    return (Testapi__V1__Thing *)back;
}

static void assert_value(const ProtobufCMessage *message, const struct br_field_plan *plan, size_t index,
                         union br_value expected)
{
    union br_value value = br_field_get(message, plan, index);
    switch (plan->kind) {
    case BR_KIND_INT32:
    case BR_KIND_INT64:
    case BR_KIND_ENUM:
        assert_true(value.integer == expected.integer);
        break;
    case BR_KIND_UINT32:
    case BR_KIND_UINT64:
        assert_true(value.natural == expected.natural);
        break;
    case BR_KIND_FLOAT:
    case BR_KIND_DOUBLE:
        assert_true(value.real == expected.real);
        break;
    case BR_KIND_BOOL:
        assert_int_equal(value.truth, expected.truth);
        break;
    case BR_KIND_STRING:
        assert_string_equal(value.text, expected.text);
        break;
    case BR_KIND_MESSAGE:
        assert_string_equal(((Testapi__V1__Part *)value.message)->name,
                            ((Testapi__V1__Part *)expected.message)->name);
        break;
    }
}

/* Unset, set, over the wire, cleared: each with a value that is not the type's zero, and with the zero. */
static void check_singular(const char *name, union br_value value)
{
    const struct br_field_plan *plan = field(name);
    assert_int_equal(plan->label, BR_LABEL_SINGULAR);
    Testapi__V1__Thing *thing = new_thing();
    ProtobufCMessage *message = &thing->base;
    assert_false(br_field_has(message, plan));
    assert_int_equal(br_field_count(message, plan), 0);

    br_field_set(message, plan, value);
    assert_true(br_field_has(message, plan));
    assert_int_equal(br_field_count(message, plan), 1);
    assert_value(message, plan, 0, value);

    ProtobufCMessage *back = &pack_and_unpack(thing)->base;
    for (size_t i = 0; i < test_plan("Thing")->field_count; i++) {
        const struct br_field_plan *other = &test_plan("Thing")->fields[i];
        assert_int_equal(br_field_has(back, other), other == plan);
    }
    assert_value(back, plan, 0, value);

    br_field_clear(message, plan);
    assert_false(br_field_has(message, plan));
    assert_int_equal(testapi__v1__thing__get_packed_size(thing), 0);
}

static void test_set_get_clear_each_kind(void **state)
{
    (void)state;
    check_singular("text", (union br_value){.text = "t"});
    check_singular("text", (union br_value){.text = ""});
    check_singular("small", (union br_value){.integer = INT32_MIN});
    check_singular("small", (union br_value){.integer = INT32_MAX});
    check_singular("small", (union br_value){.integer = 0});
    check_singular("zigzag", (union br_value){.integer = INT32_MIN});
    check_singular("large", (union br_value){.integer = INT64_MIN});
    check_singular("large", (union br_value){.integer = INT64_MAX});
    check_singular("count", (union br_value){.natural = UINT32_MAX});
    check_singular("count", (union br_value){.natural = 0});
    check_singular("total", (union br_value){.natural = UINT64_MAX});
    check_singular("fixed", (union br_value){.natural = UINT64_MAX});
    check_singular("ratio", (union br_value){.real = 0.5});
    check_singular("ratio", (union br_value){.real = 0});
    check_singular("amount", (union br_value){.real = 0.1});
    check_singular("flag", (union br_value){.truth = true});
    check_singular("flag", (union br_value){.truth = false});
    check_singular("colour", (union br_value){.integer = 2});
    check_singular("colour", (union br_value){.integer = -7});
    check_singular("part", (union br_value){.message = new_part("p")});
    check_singular("implicit_text", (union br_value){.text = "i"});
    check_singular("choice_text", (union br_value){.text = ""});
    check_singular("choice_number", (union br_value){.integer = 0});
    check_singular("choice_number", (union br_value){.integer = INT64_MIN});
    check_singular("choice_part", (union br_value){.message = new_part("c")});
}

static void test_get_message_field_gives_the_message_itself(void **state)
{
    (void)state;
    Testapi__V1__Thing *thing = new_thing();
    ProtobufCMessage *part = new_part("p");
    br_field_set(&thing->base, field("part"), (union br_value){.message = part});
    assert_ptr_equal(br_field_get(&thing->base, field("part"), 0).message, part);
    assert_ptr_equal(thing->part, part);
}

static void test_set_again_replaces_the_value(void **state)
{
    (void)state;
    Testapi__V1__Thing *thing = new_thing();
    br_field_set(&thing->base, field("small"), (union br_value){.integer = 1});
    br_field_set(&thing->base, field("small"), (union br_value){.integer = 2});
    assert_int_equal(thing->small, 2);
    assert_int_equal(br_field_count(&thing->base, field("small")), 1);
}

static void test_set_oneof_member_replaces_the_other(void **state)
{
    (void)state;
    Testapi__V1__Thing *thing = new_thing();
    ProtobufCMessage *message = &thing->base;
    const struct br_field_plan *text = field("choice_text");
    const struct br_field_plan *number = field("choice_number");
    const struct br_field_plan *part = field("choice_part");

    br_field_set(message, text, (union br_value){.text = "t"});
    br_field_set(message, number, (union br_value){.integer = 7});
    assert_false(br_field_has(message, text));
    assert_false(br_field_has(message, part));
    assert_true(br_field_has(message, number));
    assert_int_equal(thing->choice_case, TESTAPI__V1__THING__CHOICE_CHOICE_NUMBER);
    assert_int_equal(br_field_get(message, number, 0).integer, 7);

    br_field_set(message, part, (union br_value){.message = new_part("p")});
    assert_false(br_field_has(message, number));
    assert_string_equal(pack_and_unpack(thing)->choice_part->name, "p");
}

static void test_clear_oneof_member_clears_its_own_alone(void **state)
{
    (void)state;
    Testapi__V1__Thing *thing = new_thing();
    br_field_set(&thing->base, field("choice_number"), (union br_value){.integer = 7});
    br_field_clear(&thing->base, field("choice_text"));
    br_field_clear(&thing->base, field("choice_part"));
    assert_int_equal(br_field_get(&thing->base, field("choice_number"), 0).integer, 7);
    br_field_clear(&thing->base, field("choice_number"));
    assert_int_equal(thing->choice_case, TESTAPI__V1__THING__CHOICE__NOT_SET);
    assert_int_equal(thing->choice_number, 0);
}

static void test_implicit_text_from_the_wire_is_set_when_it_was_sent(void **state)
{
    (void)state;
    static const uint8_t empty[] = {0xE2, 0x01, 0x00}; /* field 28, no bytes */
    ProtobufCMessage *message =
        br_message_unpack(&testapi__v1__thing__descriptor, empty, sizeof empty, &arena);
    assert_non_null(message);
    assert_true(br_field_has(message, field("implicit_text")));
    assert_string_equal(br_field_get(message, field("implicit_text"), 0).text, "");
    message = br_message_unpack(&testapi__v1__thing__descriptor, NULL, 0, &arena);
    assert_non_null(message);
    assert_false(br_field_has(message, field("implicit_text")));
}

/* Two elements, over the wire, then the room of none. */
static void check_repeated(const char *name, union br_value first, union br_value second)
{
    const struct br_field_plan *plan = field(name);
    assert_int_equal(plan->label, BR_LABEL_REPEATED);
    Testapi__V1__Thing *thing = new_thing();
    ProtobufCMessage *message = &thing->base;
    assert_false(br_field_has(message, plan));

    assert_true(br_field_reserve(message, plan, 2, &arena));
    assert_int_equal(br_field_count(message, plan), 0);
    br_field_append(message, plan, first);
    br_field_append(message, plan, second);
    assert_true(br_field_has(message, plan));
    assert_int_equal(br_field_count(message, plan), 2);

    ProtobufCMessage *back = &pack_and_unpack(thing)->base;
    assert_int_equal(br_field_count(back, plan), 2);
    assert_value(back, plan, 0, first);
    assert_value(back, plan, 1, second);

    assert_true(br_field_reserve(message, plan, 1, &arena));
    assert_false(br_field_has(message, plan));
    br_field_append(message, plan, second);
    assert_int_equal(br_field_count(message, plan), 1);
    br_field_clear(message, plan);
    assert_false(br_field_has(message, plan));
    assert_true(br_field_reserve(message, plan, 0, &arena));
    assert_int_equal(testapi__v1__thing__get_packed_size(thing), 0);
}

static void test_reserve_append_repeated_fields(void **state)
{
    (void)state;
    check_repeated("tags", (union br_value){.text = "a"}, (union br_value){.text = ""});
    check_repeated("numbers", (union br_value){.integer = -1}, (union br_value){.integer = INT32_MAX});
    check_repeated("colours", (union br_value){.integer = 1}, (union br_value){.integer = 0});
    check_repeated("parts", (union br_value){.message = new_part("a")},
                   (union br_value){.message = new_part("b")});
}

static void test_append_map_entries(void **state)
{
    (void)state;
    const struct br_field_plan *map = field("counts");
    assert_int_equal(map->label, BR_LABEL_MAP);
    const struct br_field_plan *key = &map->message->fields[0];
    const struct br_field_plan *value = &map->message->fields[1];
    Testapi__V1__Thing *thing = new_thing();
    assert_true(br_field_reserve(&thing->base, map, 2, &arena));
    static const char *const keys[] = {"a", "b"};
    for (int i = 0; i < 2; i++) {
        ProtobufCMessage *entry = br_message_new(map->message->descriptor, &arena);
        assert_non_null(entry);
        assert_false(br_field_has(entry, key));
        /* A key that is missing on the wire reads as the empty one. */
        assert_string_equal(br_field_get(entry, key, 0).text, "");
        br_field_set(entry, key, (union br_value){.text = keys[i]});
        br_field_set(entry, value, (union br_value){.integer = i + 10});
        br_field_append(&thing->base, map, (union br_value){.message = entry});
    }
    Testapi__V1__Thing *back = pack_and_unpack(thing);
    assert_int_equal(br_field_count(&back->base, map), 2);
    assert_string_equal(back->counts[1]->key, "b");
    assert_int_equal(back->counts[1]->value, 11);
    br_field_clear(&thing->base, map);
    assert_false(br_field_has(&thing->base, map));
}

static void test_reserve_without_memory_leaves_the_field_empty(void **state)
{
    (void)state;
    Testapi__V1__Thing *thing = new_thing();
    const struct br_field_plan *numbers = field("numbers");
    static const size_t capacities[] = {17, SIZE_MAX / 8 + 1, SIZE_MAX / 4, SIZE_MAX / 4 + 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        assert_true(br_field_reserve(&thing->base, numbers, 1, &arena));
        br_field_append(&thing->base, numbers, (union br_value){.integer = 1});
        struct br_arena small;
        br_arena_init(&small, 64);
        assert_false(br_field_reserve(&thing->base, numbers, capacities[i], &small));
        assert_true(small.exhausted);
        assert_false(br_field_has(&thing->base, numbers));
        br_arena_finish(&small);
    }
    struct br_arena exact;
    br_arena_init(&exact, 64);
    assert_true(br_field_reserve(&thing->base, numbers, 16, &exact));
    br_field_clear(&thing->base, numbers);
    br_arena_finish(&exact);
}

static void test_message_new_without_memory_is_null(void **state)
{
    (void)state;
    struct br_arena small;
    size_t size = (testapi__v1__thing__descriptor.sizeof_message + 15) / 16 * 16;
    br_arena_init(&small, size - 1);
    assert_null(br_message_new(&testapi__v1__thing__descriptor, &small));
    assert_true(small.exhausted);
    br_arena_finish(&small);
    br_arena_init(&small, size);
    assert_non_null(br_message_new(&testapi__v1__thing__descriptor, &small));
    br_arena_finish(&small);
}

static void test_unpack_tells_malformed_from_out_of_memory(void **state)
{
    (void)state;
    Testapi__V1__Thing *thing = new_thing();
    thing->text = (char *)(uintptr_t) "a text of some length";
    thing->part = (Testapi__V1__Part *)new_part("p");
    uint8_t bytes[64];
    size_t len = testapi__v1__thing__pack(thing, bytes);
    assert_true(len <= sizeof bytes);

    struct br_arena small;
    br_arena_init(&small, 1 << 16);
    assert_null(br_message_unpack(&testapi__v1__thing__descriptor, bytes, len - 1, &small));
    assert_false(small.exhausted);
    br_arena_finish(&small);

    size_t failures = 0;
    for (size_t limit = 0;; limit += 16) {
        br_arena_init(&small, limit);
        bool unpacked = br_message_unpack(&testapi__v1__thing__descriptor, bytes, len, &small) != NULL;
        assert_int_equal(small.exhausted, !unpacked);
        br_arena_finish(&small);
        if (unpacked)
            break;
        failures++;
    }
    assert_true(failures > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_get_clear_each_kind),
        cmocka_unit_test(test_get_message_field_gives_the_message_itself),
        cmocka_unit_test(test_set_again_replaces_the_value),
        cmocka_unit_test(test_set_oneof_member_replaces_the_other),
        cmocka_unit_test(test_clear_oneof_member_clears_its_own_alone),
        cmocka_unit_test(test_implicit_text_from_the_wire_is_set_when_it_was_sent),
        cmocka_unit_test(test_reserve_append_repeated_fields),
        cmocka_unit_test(test_append_map_entries),
        cmocka_unit_test(test_reserve_without_memory_leaves_the_field_empty),
        cmocka_unit_test(test_message_new_without_memory_is_null),
        cmocka_unit_test(test_unpack_tells_malformed_from_out_of_memory),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
