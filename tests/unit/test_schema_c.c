/*
 * The C structs that the build makes from tests/unit/lower/ speak the wire format of the proto3 files (the
 * expected bytes come from protoc --encode), and schema-c embeds the right set and services.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "set_file.h"
#include "contract/schema.h"
#include "presence.pb-c.h"

typedef Bridge__Test__V1__Presence presence_t;
typedef Bridge__Test__V1__Presence__Inner inner_t;

static size_t read_vector(const char *name, uint8_t **bytes)
{
    char path[512], error[256];
    size_t len;

    snprintf(path, sizeof path, "%s/%s.bin", LOWER_VECTORS, name);
    assert_true(br_set_file_read(path, bytes, &len, error, sizeof error));
    return len;
}

static void assert_packs_to(const presence_t *message, const uint8_t *expected, size_t expected_len)
{
    size_t len = bridge__test__v1__presence__get_packed_size(message);
    uint8_t *bytes = malloc(len + 1);

    assert_int_equal(bridge__test__v1__presence__pack(message, bytes), len);
    assert_int_equal(len, expected_len);
    assert_memory_equal(bytes, expected, len);
    free(bytes);
}

/* Unpacks what protoc encoded; packing it again has to give the same bytes. */
static presence_t *unpack_vector(const char *name)
{
    uint8_t *bytes;
    size_t len = read_vector(name, &bytes);
    presence_t *message = bridge__test__v1__presence__unpack(NULL, len, bytes);

    assert_non_null(message);
    assert_int_equal(message->base.n_unknown_fields, 0);
    assert_packs_to(message, bytes, len);
    free(bytes);
    return message;
}

static void assert_equals_vector(const presence_t *message, const char *name)
{
    uint8_t *bytes;
    size_t len = read_vector(name, &bytes);

    assert_packs_to(message, bytes, len);
    free(bytes);
}

static void test_structs_unset_is_absent(void **state)
{
    (void)state;
    presence_t blank = BRIDGE__TEST__V1__PRESENCE__INIT, *message = unpack_vector("unset");

    assert_equals_vector(&blank, "unset");
    assert_false(message->has_count || message->has_blob || message->has_color || message->has_ratio);
    assert_false(message->has_flag || message->has_plain);
    assert_null(message->note);
    assert_null(message->inner);
    assert_null(message->legacy);
    assert_int_equal(message->target_case, BRIDGE__TEST__V1__PRESENCE__TARGET__NOT_SET);
    assert_int_equal(message->second_case, BRIDGE__TEST__V1__PRESENCE__SECOND__NOT_SET);
    bridge__test__v1__presence__free_unpacked(message, NULL);
}

static void test_structs_zero_is_present(void **state)
{
    (void)state;
    char empty[] = "";
    inner_t inner = BRIDGE__TEST__V1__PRESENCE__INNER__INIT;
    presence_t built = BRIDGE__TEST__V1__PRESENCE__INIT, *message = unpack_vector("zero");

    assert_true(message->has_count && message->has_blob && message->has_color && message->has_ratio &&
                message->has_flag);
    assert_false(message->has_plain);
    assert_string_equal(message->note, "");
    assert_int_equal(message->blob.len, 0);
    assert_non_null(message->inner);
    assert_false(message->inner->has_id);
    assert_null(message->inner->tag);
    assert_int_equal(message->target_case, BRIDGE__TEST__V1__PRESENCE__TARGET_NAME);
    assert_string_equal(message->name, "");
    assert_int_equal(message->second_case, BRIDGE__TEST__V1__PRESENCE__SECOND_NUMBER);
    bridge__test__v1__presence__free_unpacked(message, NULL);

    built.has_count = built.has_blob = built.has_color = built.has_ratio = built.has_flag = 1;
    built.note = empty;
    built.inner = &inner;
    built.target_case = BRIDGE__TEST__V1__PRESENCE__TARGET_NAME;
    built.name = empty;
    built.second_case = BRIDGE__TEST__V1__PRESENCE__SECOND_NUMBER;
    assert_equals_vector(&built, "zero");
}

static void test_structs_full_message_keeps_every_value(void **state)
{
    (void)state;
    presence_t *message = unpack_vector("full");

    assert_int_equal(message->count, -5);
    assert_string_equal(message->note, "noted");
    assert_int_equal(message->target_case, BRIDGE__TEST__V1__PRESENCE__TARGET_INNER_TARGET);
    assert_true(message->inner_target->id == INT64_C(9007199254740993));
    assert_int_equal(message->inner_target->which_case, BRIDGE__TEST__V1__PRESENCE__INNER__WHICH_NUMBER);
    assert_true(message->inner->has_id && message->inner->deep->has_on && !message->inner->deep->on);
    assert_true(message->ratio == 0.1);
    assert_true(message->has_plain && message->plain == 42);
    assert_int_equal(message->n_sizes, 1);
    assert_string_equal(message->sizes[0]->key, "k");
    assert_true(message->sizes[0]->value == -1);
    assert_string_equal(message->inners[0]->value->tag, "");
    assert_int_equal(message->n_packed_default, 3);
    assert_int_equal(message->packed_default[2], -1);
    assert_int_equal(message->n_colors, 2);
    assert_int_equal(message->n_list, 2);
    assert_int_equal(message->n_blobs, 2);
    assert_int_equal(message->legacy->size, 7);
    assert_int_equal(message->legacy->n_tight, 2);
    bridge__test__v1__presence__free_unpacked(message, NULL);
}

static void test_structs_packed_and_unpacked_are_both_read(void **state)
{
    (void)state;
    static const uint8_t loose[] = {0x78, 1, 0x78, 2, 0x82, 0x01, 2, 3, 4}; /* 15 one by one, 16 packed */
    static const uint8_t stated[] = {0x7a, 2, 1, 2, 0x80, 0x01, 3, 0x80, 0x01, 4}; /* as the .proto says */
    presence_t *message = bridge__test__v1__presence__unpack(NULL, sizeof loose, loose);

    assert_non_null(message);
    assert_int_equal(message->n_packed_default, 2);
    assert_int_equal(message->packed_default[1], 2);
    assert_int_equal(message->n_unpacked, 2);
    assert_int_equal(message->unpacked[1], 4);
    assert_packs_to(message, stated, sizeof stated);
    bridge__test__v1__presence__free_unpacked(message, NULL);
}

static void test_structs_unknown_enum_number_stays(void **state)
{
    (void)state;
    static const uint8_t wire[] = {0x30, 99}; /* color = 6 */
    presence_t *message = bridge__test__v1__presence__unpack(NULL, sizeof wire, wire);

    assert_non_null(message);
    assert_true(message->has_color);
    assert_int_equal(message->color, 99);
    assert_packs_to(message, wire, sizeof wire);
    bridge__test__v1__presence__free_unpacked(message, NULL);
}

static void test_schema_services_stand_in_the_order_of_the_files(void **state)
{
    (void)state;
    static const char *const expected[] = {"bridge.TestKit.v2Beta.Go2HTTP",
                                           "bridge.TestKit.v2Beta.under_score", "bridge.test.v1.PetStore",
                                           "bridge.test.v1.ABTestRunner"};

    assert_int_equal(br_schema_linked.service_count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(br_schema_linked.services[i]->name, expected[i]);
    assert_string_equal(br_schema_linked.services[2]->methods[0].name, "Feed");
    assert_ptr_equal(br_schema_linked.services[2]->methods[0].input, &bridge__test__v1__presence__descriptor);
}

static void test_schema_set_is_original_with_imports_without_source_info(void **state)
{
    (void)state;
    static const char *const expected[] = {"legacy.proto",     "google/protobuf/descriptor.proto",
                                           "options.proto",    "presence.proto",
                                           "services_b.proto", "services_a.proto"};
    char error[256];
    Google__Protobuf__FileDescriptorSet *set =
        br_set_file_parse("linked", br_schema_linked.set, br_schema_linked.set_len, error, sizeof error);

    assert_non_null(set);
    assert_int_equal(set->n_file, 6);
    for (size_t i = 0; i < set->n_file; i++) {
        assert_string_equal(set->file[i]->name, expected[i]);
        assert_null(set->file[i]->source_code_info);
    }
    assert_string_equal(set->file[3]->syntax, "proto3");
    google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structs_unset_is_absent),
        cmocka_unit_test(test_structs_zero_is_present),
        cmocka_unit_test(test_structs_full_message_keeps_every_value),
        cmocka_unit_test(test_structs_packed_and_unpacked_are_both_read),
        cmocka_unit_test(test_structs_unknown_enum_number_stays),
        cmocka_unit_test(test_schema_services_stand_in_the_order_of_the_files),
        cmocka_unit_test(test_schema_set_is_original_with_imports_without_source_info),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
