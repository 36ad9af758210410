#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/field.h"
#include "test_contract.h"
#include "translate/json_write.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <testapi/v1/everything.pb-c.h>

/* The generated structs want char *, though writing only reads. */
static char *lit(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void assert_json(const char *plan, const void *message, const struct br_json_filter *filter,
                        const char *expected)
{
    struct br_status st = {0};
    char *text;
    size_t len;
    if (!br_json_write(test_plan(plan), message, filter, &text, &len, &st))
        fail_msg("not written: %s", st.msg);
    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
    free(text);
}

static void assert_thing(const Testapi__V1__Thing *thing, const char *expected)
{
    assert_json("Thing", thing, NULL, expected);
}

static void assert_not_finite(const void *message, const char *field)
{
    struct br_status st = {0};
    char *text = NULL;
    size_t len = 0;
    assert_false(br_json_write(test_plan("Thing"), message, NULL, &text, &len, &st));
    assert_int_equal(st.code, BR_INVALID_ARGUMENT);
    assert_string_equal(st.reason, "VALIDATION_FAILED");
    assert_int_equal(strncmp(st.msg, field, strlen(field)), 0);
    assert_int_equal(st.msg[strlen(field)], ':');
    assert_null(text);
    assert_int_equal(len, 0);
}

static void test_json_write_unset_left_out(void **state)
{
    (void)state;
    Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    assert_thing(&thing, "{}");
}

static void test_json_write_zero_and_empty_that_are_set_written(void **state)
{
    (void)state;
    Testapi__V1__Part part = TESTAPI__V1__PART__INIT;
    Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    thing.text = lit("");
    thing.has_small = 1;
    thing.has_amount = 1;
    thing.has_flag = 1;
    thing.part = &part;
    thing.choice_case = TESTAPI__V1__THING__CHOICE_CHOICE_NUMBER;
    assert_thing(&thing, "{\"text\":\"\",\"small\":0,\"amount\":0,\"flag\":false,\"part\":{},"
                         "\"choice_number\":0}");
}

static void test_json_write_keys_in_schema_order_and_from_schema(void **state)
{
    (void)state;
    Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    thing.odd_name = lit("o");
    thing.text = lit("t");
    thing.has_colour = 1;
    thing.colour = TESTAPI__V1__COLOUR__COLOUR_DEEP_BLUE;
    assert_thing(&thing, "{\"text\":\"t\",\"colour\":\"deep-blue\",\"oddName\":\"o\"}");
}

static void test_json_write_integers_exact(void **state)
{
    (void)state;
    Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    thing.has_small = 1;
    thing.small = INT32_MIN;
    thing.has_large = 1;
    thing.large = INT64_MIN;
    thing.has_count = 1;
    thing.count = UINT32_MAX;
    thing.has_total = 1;
    thing.total = UINT64_MAX;
    thing.has_zigzag = 1;
    thing.zigzag = -1;
    thing.has_fixed = 1;
    thing.fixed = 9007199254740993;
    assert_thing(&thing, "{\"small\":-2147483648,\"large\":-9223372036854775808,\"count\":4294967295,"
                         "\"total\":18446744073709551615,\"zigzag\":-1,\"fixed\":9007199254740993}");
}

static void test_json_number_text_shortest(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {100, "100"},
        {1e15, "1000000000000000"},
        {1712026426703.0, "1712026426703"},
        {9007199254740991.0, "9007199254740991"},
        {-9007199254740991.0, "-9007199254740991"},
        {9007199254740992.0, "9007199254740992"},
        {1e17, "1e+17"},
        {1e300, "1e+300"},
        {5e-324, "5e-324"},
        {-1.7976931348623157e308, "-1.7976931348623157e+308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[BR_JSON_NUMBER_CAP];
        br_json_number_text(cases[i].value, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_json_write_floats_shortest(void **state)
{
    (void)state;
    Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    thing.has_ratio = 1;
    thing.ratio = 0.1F;
    assert_thing(&thing, "{\"ratio\":0.1}");
    thing.ratio = 16777216.0F;
    assert_thing(&thing, "{\"ratio\":16777216}");
    thing.ratio = 3.4028234e38F;
    assert_thing(&thing, "{\"ratio\":3.4028235e+38}");
    thing.ratio = 1.00000025e-05F;
    assert_thing(&thing, "{\"ratio\":1.00000025e-05}");
    /* 7.038531e-26 is this float, but as a double it is in the middle between this and the next. */
    thing.ratio = 7.038531e-26F;
    assert_thing(&thing, "{\"ratio\":7.0385307e-26}");
    thing.ratio = 1.17549435e-38F;
    assert_thing(&thing, "{\"ratio\":1.1754944e-38}");
}

static void test_json_write_text_escaped(void **state)
{
    (void)state;
    Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    thing.text = lit("\"\\/\b\f\n\r\t\x01\x1F\x7F\xC3\xA9");
    assert_thing(&thing, "{\"text\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7F\xC3\xA9\"}");
}

static void test_json_write_lists(void **state)
{
    (void)state;
    Testapi__V1__Part part = TESTAPI__V1__PART__INIT;
    part.name = lit("p");
    Testapi__V1__Part *parts[] = {&part, &part};
    char *tags[] = {lit("a"), lit("")};
    int32_t numbers[] = {1, 0, -1};
    Testapi__V1__Colour colours[] = {TESTAPI__V1__COLOUR__COLOUR_RED,
                                     TESTAPI__V1__COLOUR__COLOUR_UNSPECIFIED};
    Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    thing.n_parts = 2;
    thing.parts = parts;
    thing.n_tags = 2;
    thing.tags = tags;
    thing.n_numbers = 3;
    thing.numbers = numbers;
    thing.n_colours = 2;
    thing.colours = colours;
    assert_thing(&thing, "{\"parts\":[{\"name\":\"p\"},{\"name\":\"p\"}],\"tags\":[\"a\",\"\"],"
                         "\"numbers\":[1,0,-1],\"colours\":[\"red\"]}");
}

static void test_json_write_enum_without_literal_left_out(void **state)
{
    (void)state;
    Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    thing.has_colour = 1;
    assert_thing(&thing, "{}");
    thing.colour = (Testapi__V1__Colour)99;
    assert_thing(&thing, "{}");
}

static void test_json_write_maps_last_of_a_key(void **state)
{
    (void)state;
    Testapi__V1__Thing__LabelsEntry labels[5];
    Testapi__V1__Thing__LabelsEntry *label_list[5];
    static const char *const pairs[5][2] = {{"z", "1"}, {"a", "2"}, {"z", "3"}, {NULL, "4"}, {"n", NULL}};
    for (size_t i = 0; i < 5; i++) {
        testapi__v1__thing__labels_entry__init(&labels[i]);
        labels[i].key = lit(pairs[i][0]);
        labels[i].value = lit(pairs[i][1]);
        label_list[i] = &labels[i];
    }
    Testapi__V1__Thing__PartsByNameEntry part = TESTAPI__V1__THING__PARTS_BY_NAME_ENTRY__INIT;
    part.key = lit("p");
    Testapi__V1__Thing__PartsByNameEntry *parts[] = {&part};
    Testapi__V1__Thing__CountsEntry count = TESTAPI__V1__THING__COUNTS_ENTRY__INIT;
    count.key = lit("c");
    Testapi__V1__Thing__CountsEntry *counts[] = {&count};
    Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    thing.n_labels = 5;
    thing.labels = label_list;
    thing.n_parts_by_name = 1;
    thing.parts_by_name = parts;
    thing.n_counts = 1;
    thing.counts = counts;
    assert_thing(&thing, "{\"labels\":{\"a\":\"2\",\"z\":\"3\",\"\":\"4\",\"n\":\"\"},"
                         "\"parts_by_name\":{\"p\":{}},\"counts\":{\"c\":0}}");
}

/* {"t":"x","n":NUMBER,"b":true,"l":[null,{}],"u":null} */
struct free_tree {
    Google__Protobuf__Value values[7];
    Google__Protobuf__Value *items[2];
    Google__Protobuf__ListValue list;
    Google__Protobuf__Struct empty, object;
    Google__Protobuf__Struct__FieldsEntry entries[5];
    Google__Protobuf__Struct__FieldsEntry *entry_list[5];
};

static void plant(struct free_tree *tree, double number)
{
    static const char *const keys[5] = {"t", "n", "b", "l", "u"};
    for (size_t i = 0; i < 7; i++)
        google__protobuf__value__init(&tree->values[i]);
    google__protobuf__struct__init(&tree->empty);
    google__protobuf__struct__init(&tree->object);
    google__protobuf__list_value__init(&tree->list);
    tree->values[0].kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    tree->values[0].string_value = lit("x");
    tree->values[1].kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
    tree->values[1].number_value = number;
    tree->values[2].kind_case = GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE;
    tree->values[2].bool_value = 1;
    tree->values[3].kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
    tree->values[3].list_value = &tree->list;
    tree->values[5].kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE;
    tree->values[6].kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE;
    tree->values[6].struct_value = &tree->empty;
    tree->items[0] = &tree->values[5];
    tree->items[1] = &tree->values[6];
    tree->list.n_values = 2;
    tree->list.values = tree->items;
    for (size_t i = 0; i < 5; i++) {
        google__protobuf__struct__fields_entry__init(&tree->entries[i]);
        tree->entries[i].key = lit(keys[i]);
        tree->entries[i].value = i < 4 ? &tree->values[i] : NULL;
        tree->entry_list[i] = &tree->entries[i];
    }
    tree->object.n_fields = 5;
    tree->object.fields = tree->entry_list;
}

static void test_json_write_free_json(void **state)
{
    (void)state;
    struct free_tree tree;
    plant(&tree, 1e15);
    Google__Protobuf__Value unset = GOOGLE__PROTOBUF__VALUE__INIT;
    Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    thing.free = &tree.object;
    thing.any_value = &unset;
    thing.any_list = &tree.list;
    assert_thing(&thing,
                 "{\"free\":{\"t\":\"x\",\"n\":1000000000000000,\"b\":true,\"l\":[null,{}],\"u\":null},"
                 "\"any_value\":null,\"any_list\":[null,{}]}");
    thing.any_value = &tree.values[3];
    thing.any_list = NULL;
    tree.entries[4].key = lit("t");
    assert_thing(&thing, "{\"free\":{\"n\":1000000000000000,\"b\":true,\"l\":[null,{}],\"t\":null},"
                         "\"any_value\":[null,{}]}");
}

static void test_json_write_not_finite_names_field(void **state)
{
    (void)state;
    Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    thing.has_amount = 1;
    thing.amount = NAN;
    assert_not_finite(&thing, "amount");
    thing.amount = INFINITY;
    assert_not_finite(&thing, "amount");
    thing.has_amount = 0;
    thing.has_ratio = 1;
    thing.ratio = -INFINITY;
    Testapi__V1__Thing parent = TESTAPI__V1__THING__INIT;
    parent.child = &thing;
    assert_not_finite(&parent, "child.ratio");
    struct free_tree tree;
    plant(&tree, NAN);
    Testapi__V1__Thing holder = TESTAPI__V1__THING__INIT;
    holder.free = &tree.object;
    assert_not_finite(&holder, "free");
}

/* An UpdateThingRequest whose update_mask has |paths|, up to four. */
struct masked {
    Testapi__V1__UpdateThingRequest request;
    Testapi__V1__Thing thing;
    Google__Protobuf__FieldMask mask;
    char *paths[4];
    struct br_arena arena;
    struct br_violations violations;
};

static void masked_init(struct masked *masked, const char *const *paths, size_t count)
{
    testapi__v1__update_thing_request__init(&masked->request);
    testapi__v1__thing__init(&masked->thing);
    google__protobuf__field_mask__init(&masked->mask);
    for (size_t i = 0; i < count; i++)
        masked->paths[i] = lit(paths[i]);
    masked->mask.n_paths = count;
    masked->mask.paths = masked->paths;
    masked->request.update_mask = &masked->mask;
    masked->request.project_id = lit("p");
}

static void assert_masked(struct masked *masked, const char *expected)
{
    const struct br_method *method = test_method("UpdateThing");
    struct br_json_filter filter = {.roles = method->roles, .role = BR_ROLE_BODY};
    struct br_status st = {0};
    br_arena_init(&masked->arena, 1 << 20);
    br_violations_init(&masked->violations, &masked->arena);
    assert_true(br_mask_apply(method, &masked->request.base, &masked->violations, &filter.mask, &st));
    assert_int_equal(masked->violations.total_count, 0);
    assert_json("UpdateThingRequest", &masked->request, &filter, expected);
    br_arena_finish(&masked->arena);
}

static void test_json_write_roles_filter_top_level(void **state)
{
    (void)state;
    struct masked masked;
    masked_init(&masked, NULL, 0);
    masked.request.thing = &masked.thing;
    masked.thing.text = lit("t");
    masked.request.thing_id = lit("id");
    assert_masked(&masked, "{\"thing\":{\"text\":\"t\"}}");
    /* Without a filter everything that is set, but never the mask. */
    assert_json("UpdateThingRequest", &masked.request, NULL,
                "{\"project_id\":\"p\",\"thing_id\":\"id\",\"thing\":{\"text\":\"t\"}}");
}

static void test_json_write_mask_named_empty_written(void **state)
{
    (void)state;
    static const char *const paths[] = {"description", "parts", "labels", "tags"};
    struct masked masked;
    masked_init(&masked, paths, 4);
    assert_masked(&masked, "{\"description\":\"\",\"parts\":[],\"labels\":{},\"tags\":[]}");
}

static void test_json_write_mask_set_fields_written(void **state)
{
    (void)state;
    static const char *const paths[] = {"description", "level"};
    struct masked masked;
    masked_init(&masked, paths, 2);
    masked.request.description = lit("d");
    masked.request.has_level = 1;
    masked.request.has_rank = 1;
    assert_masked(&masked, "{\"description\":\"d\",\"level\":0}");
}

static void test_json_write_mask_below_unset_message(void **state)
{
    (void)state;
    static const char *const paths[] = {"thing.tags", "thing.child.text"};
    struct masked masked;
    masked_init(&masked, paths, 2);
    assert_masked(&masked, "{\"thing\":{\"tags\":[],\"child\":{\"text\":\"\"}}}");
    masked_init(&masked, paths, 2);
    masked.thing.text = lit("left out");
    masked.request.thing = &masked.thing;
    assert_masked(&masked, "{\"thing\":{\"tags\":[],\"child\":{\"text\":\"\"}}}");
}

static void test_json_write_mask_through_list_reaches_each_element(void **state)
{
    (void)state;
    static const char *const paths[] = {"parts.name"};
    struct masked masked;
    masked_init(&masked, paths, 1);
    Testapi__V1__Part first = TESTAPI__V1__PART__INIT;
    Testapi__V1__Part second = TESTAPI__V1__PART__INIT;
    first.name = lit("n");
    first.has_size = 1;
    second.has_size = 1;
    Testapi__V1__Part *parts[] = {&first, &second};
    masked.request.n_parts = 2;
    masked.request.parts = parts;
    assert_masked(&masked, "{\"parts\":[{\"name\":\"n\"},{\"name\":\"\"}]}");
}

/* A path below an unset message that asks for nothing empty leaves no object behind. */
static void test_json_write_mask_child_without_empty_value_leaves_no_object(void **state)
{
    (void)state;
    const struct br_message_plan *plan = test_plan("UpdateThingRequest");
    const struct br_field_plan *thing = br_plan_field_by_name(plan, "thing", 5);
    struct br_mask small = {.field = br_plan_field_by_name(thing->message, "small", 5), .named = true};
    struct br_mask node = {.field = thing, .children = &small};
    struct br_mask root = {.children = &node};
    struct br_json_filter filter = {.mask = &root};
    Testapi__V1__UpdateThingRequest request = TESTAPI__V1__UPDATE_THING_REQUEST__INIT;
    assert_json("UpdateThingRequest", &request, &filter, "{}");
}

static void assert_field(const struct br_field_plan *field, const void *message, const struct br_mask *mask,
                         const char *expected)
{
    struct br_status st = {0};
    char *text;
    size_t len;
    assert_true(br_json_write_field(field, message, mask, &text, &len, &st));
    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
    free(text);
}

static void test_json_write_field_alone(void **state)
{
    (void)state;
    const struct br_field_plan *field =
        br_plan_field_by_name(test_method("PatchThing")->input, "operations", strlen("operations"));
    Testapi__V1__PatchThingRequest request = TESTAPI__V1__PATCH_THING_REQUEST__INIT;
    assert_field(field, &request, NULL, "null");
    struct br_mask node = {.field = field, .named = true};
    assert_field(field, &request, &node, "[]");
    Testapi__V1__Part part = TESTAPI__V1__PART__INIT;
    part.has_size = 1;
    Testapi__V1__Part *parts[] = {&part};
    request.n_operations = 1;
    request.operations = parts;
    assert_field(field, &request, NULL, "[{\"size\":0}]");
}

static size_t allocations_left;
static size_t blocks_alive;

static void *failing_malloc(size_t size)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    void *block = malloc(size);
    blocks_alive += block != NULL;
    return block;
}

static void counting_free(void *block)
{
    blocks_alive -= block != NULL;
    free(block);
}

/* Also when the test fails, so that the next one finds an allocator that works. */
static int reset_hooks(void **state)
{
    (void)state;
    cJSON_InitHooks(NULL);
    return 0;
}

static void test_json_write_each_allocation_failing_reported_without_leak(void **state)
{
    (void)state;
    struct free_tree tree;
    plant(&tree, 0.5);
    Testapi__V1__Thing__LabelsEntry label = TESTAPI__V1__THING__LABELS_ENTRY__INIT;
    label.key = lit("k");
    label.value = lit("v");
    Testapi__V1__Thing__LabelsEntry *labels[] = {&label};
    char *tags[] = {lit("a")};
    Testapi__V1__Part part = TESTAPI__V1__PART__INIT;
    Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    thing.has_small = 1;
    thing.has_amount = 1;
    thing.has_colour = 1;
    thing.colour = TESTAPI__V1__COLOUR__COLOUR_RED;
    thing.part = &part;
    thing.n_labels = 1;
    thing.labels = labels;
    thing.n_tags = 1;
    thing.tags = tags;
    thing.free = &tree.object;
    thing.any_value = &tree.values[3];
    cJSON_Hooks hooks = {.malloc_fn = failing_malloc, .free_fn = counting_free};
    cJSON_InitHooks(&hooks);
    size_t failures = 0;
    for (;; failures++) {
        struct br_status st = {0};
        char *text = NULL;
        size_t len;
        allocations_left = failures;
        blocks_alive = 0;
        if (br_json_write(test_plan("Thing"), &thing.base, NULL, &text, &len, &st)) {
            assert_int_equal(blocks_alive, 1);
            counting_free(text);
            break;
        }
        assert_int_equal(blocks_alive, 0);
        assert_int_equal(st.code, BR_RESOURCE_EXHAUSTED);
        assert_string_equal(st.reason, "OUT_OF_MEMORY");
        assert_null(text);
    }
    assert_true(failures > 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_write_unset_left_out),
        cmocka_unit_test(test_json_write_zero_and_empty_that_are_set_written),
        cmocka_unit_test(test_json_write_keys_in_schema_order_and_from_schema),
        cmocka_unit_test(test_json_write_integers_exact),
        cmocka_unit_test(test_json_number_text_shortest),
        cmocka_unit_test(test_json_write_floats_shortest),
        cmocka_unit_test(test_json_write_text_escaped),
        cmocka_unit_test(test_json_write_lists),
        cmocka_unit_test(test_json_write_enum_without_literal_left_out),
        cmocka_unit_test(test_json_write_maps_last_of_a_key),
        cmocka_unit_test(test_json_write_free_json),
        cmocka_unit_test(test_json_write_not_finite_names_field),
        cmocka_unit_test(test_json_write_roles_filter_top_level),
        cmocka_unit_test(test_json_write_mask_named_empty_written),
        cmocka_unit_test(test_json_write_mask_set_fields_written),
        cmocka_unit_test(test_json_write_mask_below_unset_message),
        cmocka_unit_test(test_json_write_mask_through_list_reaches_each_element),
        cmocka_unit_test(test_json_write_mask_child_without_empty_value_leaves_no_object),
        cmocka_unit_test(test_json_write_field_alone),
        cmocka_unit_test_teardown(test_json_write_each_allocation_failing_reported_without_leak, reset_hooks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
