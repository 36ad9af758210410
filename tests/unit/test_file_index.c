#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alloc_fault.h"
#include "contract/file_index.h"
#include "test_contract.h"

#include <google/protobuf/descriptor.pb-c.h>
#include <stdlib.h>
#include <string.h>

#define OWN_FILE "testapi/v1/everything.proto"

static struct br_file_index *create(void)
{
    struct br_file_index *index = NULL;
    struct br_status st;
    if (!br_file_index_create(&br_schema_linked, &index, &st)) {
        fail_msg("%s", st.msg);
    }
    return index;
}

static const struct br_file *by_name(const struct br_file_index *index, const char *name)
{
    return br_file_index_by_name(index, name, strlen(name));
}

static const char *file_of(const struct br_file_index *index, const char *symbol, bool *is_message)
{
    const struct br_file *file = br_file_index_by_symbol(index, symbol, strlen(symbol), is_message);
    return file != NULL ? file->name : NULL;
}

static Google__Protobuf__FileDescriptorProto *unpack(const struct br_file *file)
{
    Google__Protobuf__FileDescriptorProto *proto =
        google__protobuf__file_descriptor_proto__unpack(NULL, file->len, file->bytes);
    assert_non_null(proto);
    return proto;
}

static void test_by_name_finds_every_file_of_the_set(void **state)
{
    (void)state;
    struct br_file_index *index = create();
    Google__Protobuf__FileDescriptorSet *set =
        google__protobuf__file_descriptor_set__unpack(NULL, br_schema_linked.set_len, br_schema_linked.set);
    assert_true(set->n_file > 5);
    for (size_t i = 0; i < set->n_file; i++) {
        const struct br_file *file = by_name(index, set->file[i]->name);
        assert_non_null(file);
        assert_string_equal(file->name, set->file[i]->name);
        size_t len = google__protobuf__file_descriptor_proto__get_packed_size(set->file[i]);
        assert_int_equal(file->len, len);
        /* Part of the set as protoc wrote it. */
        assert_true(file->bytes > br_schema_linked.set &&
                    file->bytes + len <= br_schema_linked.set + br_schema_linked.set_len);
    }
    google__protobuf__file_descriptor_set__free_unpacked(set, NULL);

    Google__Protobuf__FileDescriptorProto *proto = unpack(by_name(index, OWN_FILE));
    assert_string_equal(proto->syntax, "proto3");
    google__protobuf__file_descriptor_proto__free_unpacked(proto, NULL);
    assert_non_null(by_name(index, "google/protobuf/descriptor.proto"));
    assert_non_null(by_name(index, "google/api/http.proto"));
    br_file_index_destroy(index);
}

static void test_by_name_of_another_file_is_null(void **state)
{
    (void)state;
    struct br_file_index *index = create();
    static const char *const names[] = {"", "testapi/v1/everything.prot", OWN_FILE "x", "/" OWN_FILE,
                                        "testapi.v1"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_null(by_name(index, names[i]));
    }
    static const char with_nul[] = OWN_FILE "\0";
    assert_null(br_file_index_by_name(index, with_nul, sizeof with_nul - 1));
    assert_null(br_file_index_by_name(index, NULL, 0));
    br_file_index_destroy(index);
}

static void test_by_symbol_finds_each_kind(void **state)
{
    (void)state;
    static const struct {
        const char *symbol;
        const char *file;
        bool is_message;
    } cases[] = {
        {"testapi.v1.EverythingService", OWN_FILE, false},
        {"testapi.v1.EverythingService.UpdateThing", OWN_FILE, false},
        {"testapi.v1.EverythingService.LocalTalk", OWN_FILE, false},
        {"testapi.v1.Thing", OWN_FILE, true},
        {"testapi.v1.Thing.LabelsEntry", OWN_FILE, true},
        {"testapi.v1.Thing.LabelsEntry.key", OWN_FILE, false},
        {"testapi.v1.Thing.text", OWN_FILE, false},
        {"testapi.v1.Thing._text", OWN_FILE, false},
        {"testapi.v1.Thing.choice", OWN_FILE, false},
        {"testapi.v1.Thing.choice_number", OWN_FILE, false},
        {"testapi.v1.Colour", OWN_FILE, false},
        {"testapi.v1.COLOUR_DEEP_BLUE", OWN_FILE, false},
        {"google.protobuf.DescriptorProto.ExtensionRange", "google/protobuf/descriptor.proto", true},
        {"google.protobuf.FieldDescriptorProto.Type", "google/protobuf/descriptor.proto", false},
        {"google.protobuf.FieldDescriptorProto.TYPE_DOUBLE", "google/protobuf/descriptor.proto", false},
        {"google.api.http", "google/api/annotations.proto", false},
        {"modelarts.rest.v1.key", "modelarts/rest/v1/rest.proto", false},
    };
    struct br_file_index *index = create();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool is_message = !cases[i].is_message;
        const char *file = file_of(index, cases[i].symbol, &is_message);
        assert_non_null(file);
        assert_string_equal(file, cases[i].file);
        assert_int_equal(is_message, cases[i].is_message);
    }
    br_file_index_destroy(index);
}

static void test_by_symbol_of_another_name_is_null(void **state)
{
    (void)state;
    struct br_file_index *index = create();
    static const char *const names[] = {
        "",
        "testapi",
        "testapi.v1",
        "testapi.v1.Thin",
        "testapi.v1.Thing2",
        "testapi.v1.thing",
        ".testapi.v1.Thing",
        "testapi.v1.Thing.",
        "Thing",
        "testapi.v1.Colour.COLOUR_RED",
        "testapi.v1.EverythingService/UpdateThing",
        "\xff\xff",
        "zzz",
    };
    bool is_message = true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_null(file_of(index, names[i], &is_message));
    }
    static const char with_nul[] = "testapi.v1.Thing\0";
    assert_null(br_file_index_by_symbol(index, with_nul, sizeof with_nul - 1, &is_message));
    assert_null(br_file_index_by_symbol(index, NULL, 0, &is_message));
    assert_true(is_message);

    size_t len = 1 << 20;
    char *huge = malloc(len);
    memset(huge, 'm', len);
    assert_null(br_file_index_by_symbol(index, huge, len, &is_message));
    free(huge);
    br_file_index_destroy(index);
}

static bool is_listed(const struct br_file *file, const char *name)
{
    size_t found = 0;
    for (size_t i = 0; i < file->with_imports_count; i++) {
        found += strcmp(file->with_imports[i]->name, name) == 0;
    }
    assert_true(found <= 1);
    return found == 1;
}

static void test_with_imports_is_closed_and_begins_with_itself(void **state)
{
    (void)state;
    struct br_file_index *index = create();
    const struct br_file *own = by_name(index, OWN_FILE);
    assert_true(own->with_imports_count >= 7);
    for (size_t i = 0; i < own->with_imports_count; i++) {
        const struct br_file *file = own->with_imports[i];
        assert_ptr_equal(file->with_imports[0], file);
        Google__Protobuf__FileDescriptorProto *proto = unpack(file);
        for (size_t k = 0; k < proto->n_dependency; k++) {
            assert_true(is_listed(file, proto->dependency[k]));
            assert_true(is_listed(own, proto->dependency[k]));
        }
        google__protobuf__file_descriptor_proto__free_unpacked(proto, NULL);
    }
    assert_int_equal(by_name(index, "google/protobuf/descriptor.proto")->with_imports_count, 1);
    /* annotations.proto imports http.proto and descriptor.proto. */
    assert_int_equal(by_name(index, "google/api/annotations.proto")->with_imports_count, 3);
    br_file_index_destroy(index);
}

static void test_extensions_stand_by_type_and_number(void **state)
{
    (void)state;
    struct br_file_index *index = create();
    size_t count;
    const struct br_extension *extensions = br_file_index_extensions(index, &count);
    static const struct br_extension expected[] = {
        {"google.protobuf.EnumValueOptions", 50701, NULL}, {"google.protobuf.FieldOptions", 1159, NULL},
        {"google.protobuf.FieldOptions", 50702, NULL},     {"google.protobuf.MessageOptions", 1159, NULL},
        {"google.protobuf.MessageOptions", 50703, NULL},   {"google.protobuf.MethodOptions", 72295728, NULL},
        {"google.protobuf.OneofOptions", 1159, NULL},
    };
    assert_int_equal(count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(extensions[i].type, expected[i].type);
        assert_int_equal(extensions[i].number, expected[i].number);
    }
    assert_string_equal(extensions[1].file->name, "buf/validate/validate.proto");
    assert_string_equal(extensions[2].file->name, "modelarts/rest/v1/rest.proto");
    br_file_index_destroy(index);
}

/* A copy that ends where the set does, so that the sanitizer sees a step beyond. */
static bool survives(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len + 1);
    memcpy(copy + 1, bytes, len);
    struct br_schema schema = {.set = copy + 1, .set_len = len};
    struct br_file_index *index = NULL;
    struct br_status st;
    bool created = br_file_index_create(&schema, &index, &st);
    if (!created) {
        assert_null(index);
        assert_string_equal(st.reason, "CONTRACT_INVALID");
    }
    br_file_index_destroy(index);
    free(copy);
    return created;
}

static void test_create_truncated_set_is_refused(void **state)
{
    (void)state;
    size_t accepted = 0;
    for (size_t len = 0; len < br_schema_linked.set_len; len += 13) {
        accepted += survives(br_schema_linked.set, len);
    }
    /* Those that end between two files. */
    assert_true(accepted < 15);
    assert_true(survives(br_schema_linked.set, br_schema_linked.set_len));
}

static void test_create_damaged_set_is_survived(void **state)
{
    (void)state;
    uint8_t *copy = malloc(br_schema_linked.set_len);
    for (size_t i = 0; i < br_schema_linked.set_len; i += 11) {
        memcpy(copy, br_schema_linked.set, br_schema_linked.set_len);
        copy[i] ^= (uint8_t)(1 << i % 8);
        (void)survives(copy, br_schema_linked.set_len);
    }
    free(copy);
}

static void test_create_file_before_its_import_is_refused(void **state)
{
    (void)state;
    struct br_file_index *index = create();
    const struct br_file *file = by_name(index, "google/api/annotations.proto");
    /* The file with the tag and the two bytes of length in front of it, as the set has it. */
    struct br_schema schema = {.set = file->bytes - 3, .set_len = file->len + 3};
    assert_int_equal(schema.set[0], 0x0A);
    struct br_file_index *other = NULL;
    struct br_status st;
    assert_false(br_file_index_create(&schema, &other, &st));
    assert_string_equal(st.msg,
                        "google/api/annotations.proto: it imports google/api/http.proto, which does not come "
                        "before it");
    br_file_index_destroy(index);
}

static void test_create_without_memory_is_told(void **state)
{
    (void)state;
    size_t failures = 0;
    for (;; failures++) {
        struct br_file_index *index = NULL;
        struct br_status st;
        alloc_fault_once_after(failures);
        bool created = br_file_index_create(&br_schema_linked, &index, &st);
        bool failed = alloc_fault_end();
        br_file_index_destroy(index);
        if (!failed) {
            assert_true(created);
            break;
        }
        assert_false(created);
        assert_string_equal(st.reason, "OUT_OF_MEMORY");
    }
    assert_true(failures > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_name_finds_every_file_of_the_set),
        cmocka_unit_test(test_by_name_of_another_file_is_null),
        cmocka_unit_test(test_by_symbol_finds_each_kind),
        cmocka_unit_test(test_by_symbol_of_another_name_is_null),
        cmocka_unit_test(test_with_imports_is_closed_and_begins_with_itself),
        cmocka_unit_test(test_extensions_stand_by_type_and_number),
        cmocka_unit_test(test_create_truncated_set_is_refused),
        cmocka_unit_test(test_create_damaged_set_is_survived),
        cmocka_unit_test(test_create_file_before_its_import_is_refused),
        cmocka_unit_test(test_create_without_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
