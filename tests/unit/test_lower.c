/*
 * The generation pipeline: what lower.c does to a descriptor set, that the C structs made from the result
 * speak the wire format of the proto3 files (the expected bytes come from protoc --encode), and what schema-c
 * embeds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc_fault.h"
#include "lower.h"
#include "set_file.h"
#include "contract/schema.h"

typedef Google__Protobuf__FileDescriptorSet set_t;
typedef Google__Protobuf__FileDescriptorProto file_t;
typedef Google__Protobuf__DescriptorProto message_t;
typedef Google__Protobuf__FieldDescriptorProto field_t;

static char error[256];

/* The set that the build embedded is the one protoc wrote, see bridge/contract/schema.h. */
static set_t *original_set(void)
{
    set_t *set =
        br_set_file_parse("linked", br_schema_linked.set, br_schema_linked.set_len, error, sizeof error);

    assert_non_null(set);
    return set;
}

static set_t *lowered_set(void)
{
    set_t *set = original_set();

    assert_true(br_lower_set(set, error, sizeof error));
    return set;
}

static void free_set(set_t *set)
{
    google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
}

static file_t *find_file(const set_t *set, const char *name)
{
    for (size_t i = 0; i < set->n_file; i++) {
        if (strcmp(set->file[i]->name, name) == 0)
            return set->file[i];
    }
    fail_msg("no file %s", name);
    return NULL;
}

static message_t *presence_of(const set_t *set)
{
    message_t *message = find_file(set, "presence.proto")->message_type[0];

    assert_string_equal(message->name, "Presence");
    return message;
}

static message_t *find_nested(const message_t *message, const char *name)
{
    for (size_t i = 0; i < message->n_nested_type; i++) {
        if (strcmp(message->nested_type[i]->name, name) == 0)
            return message->nested_type[i];
    }
    fail_msg("no message %s", name);
    return NULL;
}

static field_t *find_field(const message_t *message, const char *name)
{
    for (size_t i = 0; i < message->n_field; i++) {
        if (strcmp(message->field[i]->name, name) == 0)
            return message->field[i];
    }
    fail_msg("no field %s", name);
    return NULL;
}

/* Both messages pack to the same bytes. */
static void assert_same_bytes(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    size_t len = protobuf_c_message_get_packed_size(a);
    uint8_t *bytes_a = malloc(len + 1), *bytes_b = malloc(len + 1);

    assert_int_equal(protobuf_c_message_get_packed_size(b), len);
    protobuf_c_message_pack(a, bytes_a);
    protobuf_c_message_pack(b, bytes_b);
    assert_memory_equal(bytes_a, bytes_b, len);
    free(bytes_a);
    free(bytes_b);
}

static void assert_same_unknown_fields(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    assert_true(a->n_unknown_fields > 0);
    assert_int_equal(a->n_unknown_fields, b->n_unknown_fields);
    for (unsigned i = 0; i < a->n_unknown_fields; i++) {
        assert_int_equal(a->unknown_fields[i].tag, b->unknown_fields[i].tag);
        assert_int_equal(a->unknown_fields[i].wire_type, b->unknown_fields[i].wire_type);
        assert_int_equal(a->unknown_fields[i].len, b->unknown_fields[i].len);
        assert_memory_equal(a->unknown_fields[i].data, b->unknown_fields[i].data, a->unknown_fields[i].len);
    }
}

static void assert_no_proto3_optional(const message_t *message)
{
    for (size_t i = 0; i < message->n_field; i++) {
        assert_false(message->field[i]->has_proto3_optional);
        assert_false(message->field[i]->proto3_optional);
    }
    for (size_t i = 0; i < message->n_nested_type; i++)
        assert_no_proto3_optional(message->nested_type[i]);
}

static void test_lower_set_proto3_files_lose_syntax_and_optional(void **state)
{
    (void)state;
    static const char *const proto3[] = {"presence.proto", "options.proto", "services_a.proto",
                                         "services_b.proto"};
    set_t *before = original_set(), *after = lowered_set();

    for (size_t i = 0; i < sizeof proto3 / sizeof *proto3; i++) {
        file_t *file = find_file(after, proto3[i]);

        assert_string_equal(find_file(before, proto3[i])->syntax, "proto3");
        assert_null(file->syntax);
        for (size_t k = 0; k < file->n_message_type; k++)
            assert_no_proto3_optional(file->message_type[k]);
        for (size_t k = 0; k < file->n_extension; k++)
            assert_false(file->extension[k]->has_proto3_optional);
    }
    assert_true(find_field(presence_of(before), "count")->proto3_optional);
    assert_true(find_file(before, "options.proto")->extension[0]->proto3_optional);
    free_set(before);
    free_set(after);
}

static void test_lower_set_proto2_files_pass_unchanged(void **state)
{
    (void)state;
    static const char *const proto2[] = {"legacy.proto", "google/protobuf/descriptor.proto"};
    set_t *before = original_set(), *after = lowered_set();

    for (size_t i = 0; i < sizeof proto2 / sizeof *proto2; i++)
        assert_same_bytes(&find_file(before, proto2[i])->base, &find_file(after, proto2[i])->base);
    free_set(before);
    free_set(after);
}

static void test_lower_set_keeps_only_real_oneofs(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        int oneof; /* -1: none */
    } expected[] = {{"count", -1}, {"note", -1},  {"name", 0},   {"inner_target", 0}, {"blob", -1},
                    {"color", -1}, {"inner", -1}, {"ratio", -1}, {"flag", -1},        {"number", 1},
                    {"shade", 1},  {"plain", -1}, {"sizes", -1}, {"list", -1},        {"legacy", -1}};
    set_t *before = original_set(), *after = lowered_set();
    message_t *message = presence_of(after), *inner = find_nested(message, "Inner");

    assert_int_equal(presence_of(before)->n_oneof_decl, 10);
    assert_int_equal(message->n_oneof_decl, 2);
    assert_string_equal(message->oneof_decl[0]->name, "target");
    assert_string_equal(message->oneof_decl[1]->name, "second");
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        field_t *field = find_field(message, expected[i].field);

        assert_int_equal(field->has_oneof_index, expected[i].oneof >= 0);
        if (field->has_oneof_index)
            assert_int_equal(field->oneof_index, expected[i].oneof);
    }

    assert_int_equal(inner->n_oneof_decl, 1);
    assert_string_equal(inner->oneof_decl[0]->name, "which");
    assert_int_equal(find_field(inner, "text")->oneof_index, 0);
    assert_false(find_field(inner, "tag")->has_oneof_index);
    assert_int_equal(find_nested(inner, "Deep")->n_oneof_decl, 0);
    free_set(before);
    free_set(after);
}

/* protoc puts the synthetic oneofs last; here they come first, so the real ones have to move down. */
static void test_lower_set_synthetic_oneofs_first_renumbers_the_real_ones(void **state)
{
    (void)state;
    set_t *expected = lowered_set(), *set = original_set();
    message_t *message = presence_of(set);
    size_t count = message->n_oneof_decl;

    /* Rotate by two: the real ones, 0 and 1, become the last two. */
    for (size_t round = 0; round < 2; round++) {
        Google__Protobuf__OneofDescriptorProto *first = message->oneof_decl[0];

        memmove(message->oneof_decl, message->oneof_decl + 1, (count - 1) * sizeof first);
        message->oneof_decl[count - 1] = first;
    }
    for (size_t i = 0; i < message->n_field; i++) {
        if (message->field[i]->has_oneof_index)
            message->field[i]->oneof_index = (message->field[i]->oneof_index + (int)count - 2) % (int)count;
    }
    assert_int_equal(find_field(message, "name")->oneof_index, count - 2);

    assert_true(br_lower_set(set, error, sizeof error));
    assert_same_bytes(&expected->base, &set->base);
    free_set(expected);
    free_set(set);
}

static void test_lower_set_states_the_packing_that_proto3_implies(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        int packed; /* -1: not stated */
    } expected[] = {
        {"packed_default", 1}, {"unpacked", 0}, {"packed", 1}, {"colors", 1}, {"doubles", 1},
        {"signed", 1},         {"flags", 1},    {"names", -1}, {"list", -1},  {"blobs", -1},
        {"sizes", -1},         {"inners", -1},  {"plain", -1}, {"count", -1}, {"color", -1},
    };
    set_t *after = lowered_set();
    file_t *options = find_file(after, "options.proto");

    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        field_t *field = find_field(presence_of(after), expected[i].field);
        bool stated = field->options && field->options->has_packed;

        assert_int_equal(stated ? field->options->packed : -1, expected[i].packed);
    }
    for (size_t i = 0; i < options->n_extension; i++) {
        field_t *field = options->extension[i];

        assert_int_equal(field->options && field->options->packed, strcmp(field->name, "levels") == 0);
    }
    free_set(after);
}

static void test_lower_set_keeps_maps_and_custom_options(void **state)
{
    (void)state;
    set_t *before_set = original_set(), *after_set = lowered_set();
    message_t *before = presence_of(before_set), *after = presence_of(after_set);
    file_t *before_file = find_file(before_set, "presence.proto"),
           *after_file = find_file(after_set, "presence.proto");

    assert_same_bytes(&find_nested(before, "SizesEntry")->base, &find_nested(after, "SizesEntry")->base);
    assert_same_bytes(&find_nested(before, "InnersEntry")->base, &find_nested(after, "InnersEntry")->base);
    assert_same_bytes(&before_file->enum_type[0]->base, &after_file->enum_type[0]->base);

    assert_same_unknown_fields(&before->options->base, &after->options->base);
    assert_same_unknown_fields(&find_field(before, "count")->options->base,
                               &find_field(after, "count")->options->base);
    assert_same_unknown_fields(&find_field(before, "colors")->options->base,
                               &find_field(after, "colors")->options->base);
    assert_same_unknown_fields(&before->oneof_decl[0]->options->base, &after->oneof_decl[0]->options->base);
    assert_same_unknown_fields(&before_file->enum_type[0]->value[1]->options->base,
                               &after_file->enum_type[0]->value[1]->options->base);
    free_set(before_set);
    free_set(after_set);
}

static void test_lower_set_twice_changes_nothing_more(void **state)
{
    (void)state;
    set_t *once = lowered_set(), *twice = lowered_set();

    assert_true(br_lower_set(twice, error, sizeof error));
    assert_same_bytes(&once->base, &twice->base);
    free_set(once);
    free_set(twice);
}

/* Lowers |set|, which has to fail with |sentence|, and frees it. */
static void assert_refused(set_t *set, const char *sentence)
{
    assert_false(br_lower_set(set, error, sizeof error));
    assert_string_equal(error, sentence);
    free_set(set);
}

static void test_lower_set_bad_oneof_index_is_refused(void **state)
{
    (void)state;
    set_t *set = original_set();

    find_field(presence_of(set), "name")->oneof_index = (int32_t)presence_of(set)->n_oneof_decl;
    assert_refused(set, "presence.proto: Presence.name: oneof_index 10 is out of range");

    set = original_set();
    find_field(presence_of(set), "note")->oneof_index = -1;
    assert_refused(set, "presence.proto: Presence.note: oneof_index -1 is out of range");

    set = original_set();
    find_field(find_nested(presence_of(set), "Inner"), "tag")->oneof_index = INT32_MAX;
    assert_refused(set, "presence.proto: Inner.tag: oneof_index 2147483647 is out of range");
}

static void test_lower_set_inconsistent_optional_is_refused(void **state)
{
    (void)state;
    set_t *set = original_set();

    find_field(presence_of(set), "note")->has_oneof_index = 0;
    assert_refused(set, "presence.proto: Presence.note: proto3_optional without a oneof");

    set = original_set();
    find_field(presence_of(set), "note")->oneof_index = find_field(presence_of(set), "count")->oneof_index;
    assert_refused(set, "presence.proto: Presence.note: shares its oneof with the optional field count");

    set = original_set();
    find_field(presence_of(set), "list")->has_type = 0;
    assert_refused(set, "presence.proto: Presence.list: has no type");
}

/* An explicit false says no more than absence, but protoc-c need not know the flag. */
static void test_lower_set_explicit_false_flag_is_dropped(void **state)
{
    (void)state;
    set_t *expected = lowered_set(), *set = original_set();

    find_field(presence_of(set), "plain")->has_proto3_optional = 1;
    assert_true(br_lower_set(set, error, sizeof error));
    assert_same_bytes(&expected->base, &set->base);
    free_set(expected);
    free_set(set);
}

static void test_lower_set_other_syntax_is_refused(void **state)
{
    (void)state;
    set_t *set = original_set();

    memcpy(find_file(set, "presence.proto")->syntax, "proto4", 6);
    assert_refused(set, "presence.proto: syntax: \"proto4\" is neither proto2 nor proto3");
}

static void test_lower_set_explicit_proto2_passes_unchanged(void **state)
{
    (void)state;
    set_t *before = original_set(), *set = original_set();

    memcpy(find_file(before, "presence.proto")->syntax, "proto2", 6);
    memcpy(find_file(set, "presence.proto")->syntax, "proto2", 6);
    assert_true(br_lower_set(set, error, sizeof error));
    assert_same_bytes(&find_file(before, "presence.proto")->base, &find_file(set, "presence.proto")->base);
    free_set(before);
    free_set(set);
}

static void test_lower_set_out_of_memory_is_reported(void **state)
{
    (void)state;
    size_t allocations = 0;

    for (;; allocations++) {
        set_t *set = original_set();
        bool ok;

        alloc_fault_once_after(allocations);
        ok = br_lower_set(set, error, sizeof error);
        (void)alloc_fault_end();
        free_set(set);
        if (ok)
            break;
        assert_non_null(strstr(error, ": out of memory"));
    }
    /* packed_default, doubles, signed, flags, and the extension levels have no options of their own. */
    assert_int_equal(allocations, 5);
}

/* br_set_file_parse() and br_set_file_read() */

/* Parses and lowers a copy of exactly |len| bytes, so that the sanitizer sees a read past the end. */
static bool survives(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len + !len);
    set_t *set;
    bool ok;

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    set = br_set_file_parse("hostile", copy, len, error, sizeof error);
    ok = set && br_lower_set(set, error, sizeof error);
    if (set)
        free_set(set);
    free(copy);
    return ok;
}

static size_t put_varint(uint8_t *out, uint64_t value)
{
    size_t len = 0;

    for (; value >= 0x80; value >>= 7)
        out[len++] = (uint8_t)(value | 0x80);
    out[len++] = (uint8_t)value;
    return len;
}

static void test_parse_truncated_set_is_refused_or_shorter(void **state)
{
    (void)state;
    size_t accepted = 0, files;
    set_t *set = original_set();

    files = set->n_file;
    free_set(set);
    for (size_t len = 0; len <= br_schema_linked.set_len; len++)
        accepted += survives(br_schema_linked.set, len);
    /* Whole files are a set: none of them, the first, ... all. */
    assert_int_equal(accepted, files + 1);
}

/* presence.proto alone as a set, cut at |cut| inside the file with the length in front right again, or not
 * cut. */
static size_t wrap_presence(uint8_t **out, size_t cut)
{
    set_t *set = original_set();
    file_t *file = find_file(set, "presence.proto");
    size_t len = google__protobuf__file_descriptor_proto__get_packed_size(file), head;
    uint8_t *packed = malloc(len), *bytes = malloc(len + 6);

    google__protobuf__file_descriptor_proto__pack(file, packed);
    if (cut > len)
        cut = len;
    bytes[0] = 0x0a;
    head = 1 + put_varint(bytes + 1, cut);
    memcpy(bytes + head, packed, cut);
    free(packed);
    free_set(set);
    *out = bytes;
    return head + cut;
}

static void test_parse_file_cut_inside_does_not_crash(void **state)
{
    (void)state;
    uint8_t *whole, *bytes;
    size_t whole_len = wrap_presence(&whole, SIZE_MAX);

    assert_true(survives(whole, whole_len));
    for (size_t cut = 0; cut + 3 < whole_len; cut++) {
        size_t len = wrap_presence(&bytes, cut);

        survives(bytes, len);
        free(bytes);
    }
    free(whole);
}

static void test_parse_any_byte_changed_does_not_crash(void **state)
{
    (void)state;
    static const uint8_t flips[] = {0x01, 0x80, 0xff, 0x07};
    uint8_t *bytes;
    size_t len = wrap_presence(&bytes, SIZE_MAX);

    for (size_t i = 0; i < len; i++) {
        for (size_t k = 0; k < sizeof flips; k++) {
            bytes[i] ^= flips[k];
            survives(bytes, len);
            bytes[i] ^= flips[k];
        }
    }
    free(bytes);
}

/* A set with one proto3 file whose message holds a message, |depth| of them in all. */
static size_t nest(uint8_t *out, size_t cap, unsigned depth)
{
    static const uint8_t syntax[] = {0x62, 6, 'p', 'r', 'o', 't', 'o', '3'};
    size_t at = cap;
    uint8_t head[6];

    for (unsigned level = 0; level <= depth; level++) {
        bool file = level == depth;
        size_t payload = cap - at, head_len;

        if (file) {
            at -= sizeof syntax;
            memcpy(out + at, syntax, sizeof syntax);
            payload += sizeof syntax;
        }
        /* nested_type = 3 in a message, message_type = 4 in the file, file = 1 in the set. */
        head[0] = file ? 0x0a : level == depth - 1 ? 0x22 : 0x1a;
        head_len = 1 + put_varint(head + 1, payload);
        assert_true(at >= head_len);
        at -= head_len;
        memcpy(out + at, head, head_len);
    }
    memmove(out, out + at, cap - at);
    return cap - at;
}

static void test_parse_nesting_limit_holds_on_both_sides(void **state)
{
    (void)state;
    size_t cap = 1 << 20;
    uint8_t *bytes = malloc(cap);

    assert_true(survives(bytes, nest(bytes, cap, 1)));
    assert_true(survives(bytes, nest(bytes, cap, BR_SET_FILE_MAX_NESTING)));
    assert_false(survives(bytes, nest(bytes, cap, BR_SET_FILE_MAX_NESTING + 1)));
    /* Deep enough to run through any stack. */
    assert_false(survives(bytes, nest(bytes, cap, 200000)));
    assert_string_equal(error, "hostile: not a descriptor set, or nested more than 100 deep");
    free(bytes);
}

static bool read_file_of(size_t size)
{
    char path[] = "/tmp/test_lower_XXXXXX";
    uint8_t *bytes;
    size_t len;
    bool ok;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    close(fd);
    ok = br_set_file_read(path, &bytes, &len, error, sizeof error);
    unlink(path);
    if (ok) {
        assert_int_equal(len, size);
        free(bytes);
    }
    return ok;
}

static void test_read_size_limit_holds_on_both_sides(void **state)
{
    (void)state;

    assert_true(read_file_of(0));
    assert_true(read_file_of(BR_SET_FILE_MAX_BYTES));
    assert_false(read_file_of(BR_SET_FILE_MAX_BYTES + 1));
    assert_non_null(strstr(error, "larger than 16777216 bytes"));
}

static void test_read_directory_is_refused(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t len;

    assert_false(br_set_file_read("/tmp", &bytes, &len, error, sizeof error));
    assert_string_equal(error, "/tmp: cannot be read");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lower_set_proto3_files_lose_syntax_and_optional),
        cmocka_unit_test(test_lower_set_proto2_files_pass_unchanged),
        cmocka_unit_test(test_lower_set_keeps_only_real_oneofs),
        cmocka_unit_test(test_lower_set_synthetic_oneofs_first_renumbers_the_real_ones),
        cmocka_unit_test(test_lower_set_states_the_packing_that_proto3_implies),
        cmocka_unit_test(test_lower_set_keeps_maps_and_custom_options),
        cmocka_unit_test(test_lower_set_twice_changes_nothing_more),
        cmocka_unit_test(test_lower_set_bad_oneof_index_is_refused),
        cmocka_unit_test(test_lower_set_inconsistent_optional_is_refused),
        cmocka_unit_test(test_lower_set_explicit_false_flag_is_dropped),
        cmocka_unit_test(test_lower_set_other_syntax_is_refused),
        cmocka_unit_test(test_lower_set_explicit_proto2_passes_unchanged),
        cmocka_unit_test(test_lower_set_out_of_memory_is_reported),
        cmocka_unit_test(test_parse_truncated_set_is_refused_or_shorter),
        cmocka_unit_test(test_parse_file_cut_inside_does_not_crash),
        cmocka_unit_test(test_parse_any_byte_changed_does_not_crash),
        cmocka_unit_test(test_parse_nesting_limit_holds_on_both_sides),
        cmocka_unit_test(test_read_size_limit_holds_on_both_sides),
        cmocka_unit_test(test_read_directory_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
