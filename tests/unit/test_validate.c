#include "translate/validate.h"

#include "test_contract.h"

#include <testapi/v1/everything.pb-c.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES ((size_t)16 << 20)
#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define TEXT(literal) ((char *)(uintptr_t)(literal))

typedef Testapi__V1__UpdateThingRequest__LabelsEntry Label;

/* A request that is valid as it is, and messages to hang into it. */
struct fixture {
    Testapi__V1__UpdateThingRequest request;
    Testapi__V1__Thing thing;
    Testapi__V1__Part part[4];
    Testapi__V1__Part *parts[4];
    Label label[3];
    Label *labels[3];
    char *tags[8];
    Google__Protobuf__FieldMask mask;
    char *paths[8];
    struct br_arena arena;
    struct br_violations violations;
    struct br_warnings warnings;
    struct br_status st;
};

static struct fixture f;

static int set_up(void **state)
{
    (void)state;
    f = (struct fixture){
        .request = TESTAPI__V1__UPDATE_THING_REQUEST__INIT,
        .thing = TESTAPI__V1__THING__INIT,
        .mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT,
    };
    for (size_t i = 0; i < COUNT(f.part); i++) {
        f.part[i] = (Testapi__V1__Part)TESTAPI__V1__PART__INIT;
        f.parts[i] = &f.part[i];
    }
    for (size_t i = 0; i < COUNT(f.label); i++) {
        f.label[i] = (Label)TESTAPI__V1__UPDATE_THING_REQUEST__LABELS_ENTRY__INIT;
        f.labels[i] = &f.label[i];
    }
    f.request.thing_id = TEXT("t1");
    f.request.parts = f.parts;
    f.request.labels = f.labels;
    f.request.tags = f.tags;
    f.mask.paths = f.paths;
    br_arena_init(&f.arena, ARENA_BYTES);
    br_violations_init(&f.violations, &f.arena);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    br_arena_finish(&f.arena);
    return 0;
}

static void add_path(const char *path)
{
    assert_true(f.mask.n_paths < COUNT(f.paths));
    f.paths[f.mask.n_paths++] = TEXT(path);
    f.request.update_mask = &f.mask;
}

static void validate_by(const struct br_method *method)
{
    const struct br_mask *mask = NULL;
    br_violations_init(&f.violations, &f.arena);
    f.warnings.count = 0;
    assert_true(br_mask_apply(method, &f.request.base, &f.violations, &mask, &f.st));
    br_validate(method, &f.request.base, mask, &f.violations, &f.warnings);
}

static void validate(void)
{
    validate_by(test_method("UpdateThing"));
}

static void assert_violation(size_t index, const char *field, const char *description)
{
    assert_true(index < f.violations.count);
    assert_string_equal(f.violations.items[index].field, field);
    assert_string_equal(f.violations.items[index].description, description);
}

static void assert_only(const char *field, const char *description)
{
    if (f.violations.total_count > 1)
        print_message("also: %s: %s\n", f.violations.items[1].field, f.violations.items[1].description);
    assert_int_equal(f.violations.total_count, 1);
    assert_violation(0, field, description);
}

static void assert_valid(void)
{
    if (f.violations.count > 0)
        print_message("%s: %s\n", f.violations.items[0].field, f.violations.items[0].description);
    assert_int_equal(f.violations.total_count, 0);
}

/*
 * UpdateThing with other rules for the body field |name|: for rules that the test schema has no field for.
 * Valid until the next call.
 */
static const struct br_method *with_rules(const char *name, const struct br_rules *rules)
{
    static struct br_method method;
    static struct br_message_plan input;
    static struct br_field_plan fields[32];
    method = *test_method("UpdateThing");
    input = *method.input;
    method.input = &input;
    assert_true(input.field_count <= COUNT(fields));
    memcpy(fields, input.fields, input.field_count * sizeof fields[0]);
    input.fields = fields;
    const struct br_field_plan *field = br_plan_field_by_name(&input, name, strlen(name));
    assert_non_null(field);
    fields[field - fields].rules = rules;
    return &method;
}

static struct br_rules empty_rules(void)
{
    return (struct br_rules){.max_len = UINT64_MAX, .max_items = UINT64_MAX};
}

static void test_validate_good_request_is_valid(void **state)
{
    (void)state;
    f.request.thing = &f.thing;
    f.request.description = TEXT("words");
    f.request.has_colour = true;
    f.request.colour = TESTAPI__V1__COLOUR__COLOUR_DEEP_BLUE;
    f.request.has_share = true;
    f.request.share = 0.5;
    f.request.has_rank = true;
    f.request.rank = 3;
    validate();
    assert_valid();
    assert_int_equal(f.warnings.count, 0);
}

static void test_validate_required_unset_is_a_violation(void **state)
{
    (void)state;
    f.request.thing_id = NULL;
    validate();
    assert_only("thing_id", "must be set");
    assert_false(br_violations_none(&f.violations, &f.st));
    assert_string_equal(f.st.msg, "thing_id: must be set");
}

static void test_validate_required_list_empty_is_a_violation(void **state)
{
    (void)state;
    struct br_rules rules = empty_rules();
    rules.required = true;
    rules.min_items = 1;
    validate_by(with_rules("tags", &rules));
    assert_only("tags", "must not be empty");
}

static void test_validate_string_max_len_counts_characters(void **state)
{
    (void)state;
    f.request.description = TEXT("\xC3\xA4\xE4\xB8\xAD\xF0\x9F\x98\x80-234567"); /* 10 characters */
    validate();
    assert_valid();
    f.request.description = TEXT("\xC3\xA4\xE4\xB8\xAD\xF0\x9F\x98\x80-2345678");
    validate();
    assert_only("description",
                "\"\xC3\xA4\xE4\xB8\xAD\xF0\x9F\x98\x80-2345678\" is longer than 10 characters");
}

static void test_validate_string_pattern_both_sides(void **state)
{
    (void)state;
    f.request.description = TEXT("");
    validate();
    assert_valid();
    f.request.description = TEXT("a<b");
    validate();
    assert_only("description", "\"a<b\" must not hold any of <>=&\"'");
}

static void test_validate_string_pattern_that_is_more_than_a_set_is_shown(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *bad;
        const char *description;
    } cases[] = {
        {"^[^x]*$", "x", "\"x\" must not hold any of x"},
        {"^[^xy]*$", "yx", "\"yx\" must not hold any of xy"},
        {"^[^x]+$", "x", "\"x\" does not match the pattern ^[^x]+$"},
        {"^[^a-c]*$", "b", "\"b\" does not match the pattern ^[^a-c]*$"},
        {"^[^[:alpha:]]*$", "b", "\"b\" does not match the pattern ^[^[:alpha:]]*$"},
        {"^[^]x]*$", "x", "\"x\" does not match the pattern ^[^]x]*$"},
        {"^[x]*$", "b", "\"b\" does not match the pattern ^[x]*$"},
        {"^[^x]*[^y]*$", "xyx", "\"xyx\" does not match the pattern ^[^x]*[^y]*$"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct br_rules rules = empty_rules();
        rules.pattern = cases[i].pattern;
        assert_int_equal(regcomp(&rules.regex, rules.pattern, REG_EXTENDED | REG_NOSUB), 0);
        f.request.description = TEXT(cases[i].bad);
        validate_by(with_rules("description", &rules));
        assert_only("description", cases[i].description);
        regfree(&rules.regex);
    }
}

static void test_validate_string_too_long_skips_the_pattern(void **state)
{
    (void)state;
    f.request.description = TEXT("<<<<<<<<<<<");
    validate();
    assert_only("description", "\"<<<<<<<<<<<\" is longer than 10 characters");
}

static void test_validate_string_pattern_without_max_len_stops_at_its_ceiling(void **state)
{
    (void)state;
    struct br_rules rules = empty_rules();
    rules.pattern = "^x*$";
    assert_int_equal(regcomp(&rules.regex, rules.pattern, REG_EXTENDED | REG_NOSUB), 0);
    char *text = malloc(BR_PATTERN_MAX_BYTES + 2);
    assert_non_null(text);
    memset(text, 'x', BR_PATTERN_MAX_BYTES + 1);
    text[BR_PATTERN_MAX_BYTES] = '\0';
    f.request.description = text;
    validate_by(with_rules("description", &rules));
    assert_valid();
    text[BR_PATTERN_MAX_BYTES] = 'x';
    text[BR_PATTERN_MAX_BYTES + 1] = '\0';
    validate_by(with_rules("description", &rules));
    assert_int_equal(f.violations.total_count, 1);
    assert_non_null(strstr(f.violations.items[0].description, "xxx\"... is longer than 65536 bytes"));
    /* The same where the limit in characters holds. */
    rules.max_len = BR_PATTERN_MAX_BYTES + 1;
    validate_by(with_rules("description", &rules));
    assert_int_equal(f.violations.total_count, 1);
    free(text);
    regfree(&rules.regex);
}

static void test_validate_string_not_in_and_not_contains(void **state)
{
    (void)state;
    f.request.thing_id = TEXT("specifications");
    validate();
    assert_only("thing_id", "\"specifications\" is not accepted");
    f.request.thing_id = TEXT("specifications2");
    validate();
    assert_valid();
    f.request.thing_id = TEXT("a,b");
    validate();
    assert_only("thing_id", "\"a,b\" must not contain \",\"");
}

static void test_validate_string_every_other_rule(void **state)
{
    (void)state;
    static const char *const texts[] = {"a-mid-z", "a-midmid-z"};
    struct br_rules rules = empty_rules();
    rules.prefix = "a-";
    rules.suffix = "-z";
    rules.contains = "mid";
    rules.min_len = 7;
    rules.in = (struct br_value_list){.texts = texts, .count = COUNT(texts)};
    f.request.description = TEXT("a-mid-z");
    validate_by(with_rules("description", &rules));
    assert_valid();
    f.request.description = TEXT("z");
    validate_by(with_rules("description", &rules));
    assert_int_equal(f.violations.total_count, 5);
    assert_violation(0, "description", "\"z\" is shorter than 7 characters");
    assert_violation(1, "description", "\"z\" is not one of \"a-mid-z\", \"a-midmid-z\"");
    assert_violation(2, "description", "\"z\" does not begin with \"a-\"");
    assert_violation(3, "description", "\"z\" does not end with \"-z\"");
    assert_violation(4, "description", "\"z\" does not contain \"mid\"");
}

static void test_validate_integer_bounds_both_sides(void **state)
{
    (void)state;
    f.request.n_parts = 1;
    f.part[0].name = TEXT("x");
    f.part[0].has_size = true;
    f.part[0].size = 100;
    validate();
    assert_valid();
    f.part[0].size = 101;
    validate();
    assert_int_equal(f.violations.total_count, 2);
    assert_violation(0, "parts[0].size", "101 is not between 0 and 100");
    f.request.n_parts = 2;
    f.part[1].name = TEXT("y");
    f.part[1].has_size = true;
    f.part[1].size = -1;
    validate();
    assert_int_equal(f.violations.total_count, 2);
    assert_violation(1, "parts[1].size", "-1 is not between 0 and 100");
    f.part[0].size = 100;
    f.part[1].size = 0;
    validate();
    assert_valid();
}

static void test_validate_integer_one_sided_and_exclusive_bounds(void **state)
{
    (void)state;
    static const struct {
        struct br_bound min, max;
        int32_t good, bad;
        const char *description;
    } cases[] = {
        {{BR_BOUND_INCLUSIVE, 5, 0}, {BR_BOUND_NONE, 0, 0}, 5, 4, "4 is less than 5"},
        {{BR_BOUND_EXCLUSIVE, 5, 0}, {BR_BOUND_NONE, 0, 0}, 6, 5, "5 is not greater than 5"},
        {{BR_BOUND_NONE, 0, 0}, {BR_BOUND_INCLUSIVE, 5, 0}, 5, 6, "6 is more than 5"},
        {{BR_BOUND_NONE, 0, 0}, {BR_BOUND_EXCLUSIVE, 5, 0}, 4, 5, "5 is not less than 5"},
        {{BR_BOUND_EXCLUSIVE, 1, 0},
         {BR_BOUND_INCLUSIVE, 3, 0},
         3,
         1,
         "1 is not greater than 1 and at most 3"},
    };
    f.request.has_level = true;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct br_rules rules = empty_rules();
        rules.min = cases[i].min;
        rules.max = cases[i].max;
        const struct br_method *method = with_rules("level", &rules);
        f.request.level = cases[i].good;
        validate_by(method);
        assert_valid();
        f.request.level = cases[i].bad;
        validate_by(method);
        assert_only("level", cases[i].description);
    }
}

static void test_validate_integer_lists(void **state)
{
    (void)state;
    f.request.has_rank = true;
    f.request.rank = 4;
    validate();
    assert_only("rank", "4 is not one of 1, 2, 3");
    f.request.rank = INT64_MIN;
    validate();
    assert_only("rank", "-9223372036854775808 is not one of 1, 2, 3");

    static const int64_t numbers[] = {7};
    struct br_rules rules = empty_rules();
    rules.not_in = (struct br_value_list){.numbers = numbers, .count = 1};
    f.request.rank = 7;
    validate_by(with_rules("rank", &rules));
    assert_only("rank", "7 is not accepted");
}

static void test_validate_double_exclusive_bounds(void **state)
{
    (void)state;
    f.request.has_share = true;
    f.request.share = 0.000001;
    validate();
    assert_valid();
    f.request.share = 0;
    validate();
    assert_only("share", "0 is not greater than 0 and less than 1");
    f.request.share = 1.5;
    validate();
    assert_only("share", "1.5 is not greater than 0 and less than 1");
}

static void test_validate_number_without_json_form_is_a_violation(void **state)
{
    (void)state;
    f.request.has_share = true;
    f.request.share = NAN;
    f.request.thing = &f.thing;
    f.thing.has_amount = true;
    f.thing.amount = -INFINITY;
    f.thing.has_ratio = true;
    f.thing.ratio = INFINITY;
    validate();
    assert_int_equal(f.violations.total_count, 3);
    assert_violation(0, "thing.ratio", "infinity cannot be sent: JSON has no NaN or infinity");
    assert_violation(1, "thing.amount", "-infinity cannot be sent: JSON has no NaN or infinity");
    assert_violation(2, "share", "NaN cannot be sent: JSON has no NaN or infinity");
}

static void test_validate_number_in_free_json_is_checked(void **state)
{
    (void)state;
    Google__Protobuf__Value bad = GOOGLE__PROTOBUF__VALUE__INIT;
    bad.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
    bad.number_value = NAN;
    Google__Protobuf__Value good = GOOGLE__PROTOBUF__VALUE__INIT;
    good.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    good.string_value = TEXT("NaN");
    Google__Protobuf__Value unset = GOOGLE__PROTOBUF__VALUE__INIT;
    Google__Protobuf__Value *values[] = {&good, &unset, &bad};
    Google__Protobuf__ListValue list = GOOGLE__PROTOBUF__LIST_VALUE__INIT;
    list.n_values = COUNT(values);
    list.values = values;
    Google__Protobuf__Value nested = GOOGLE__PROTOBUF__VALUE__INIT;
    nested.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
    nested.list_value = &list;
    Google__Protobuf__Struct__FieldsEntry entry = GOOGLE__PROTOBUF__STRUCT__FIELDS_ENTRY__INIT;
    entry.key = TEXT("k");
    entry.value = &nested;
    Google__Protobuf__Struct__FieldsEntry empty = GOOGLE__PROTOBUF__STRUCT__FIELDS_ENTRY__INIT;
    Google__Protobuf__Struct__FieldsEntry *entries[] = {&empty, &entry};
    Google__Protobuf__Struct object = GOOGLE__PROTOBUF__STRUCT__INIT;
    object.n_fields = COUNT(entries);
    object.fields = entries;

    f.request.thing = &f.thing;
    f.thing.free = &object;
    f.thing.any_value = &bad;
    f.thing.any_list = &list;
    validate();
    assert_int_equal(f.violations.total_count, 3);
    assert_violation(0, "thing.free[\"k\"][2]", "NaN cannot be sent: JSON has no NaN or infinity");
    assert_violation(1, "thing.any_value", "NaN cannot be sent: JSON has no NaN or infinity");
    assert_violation(2, "thing.any_list[2]", "NaN cannot be sent: JSON has no NaN or infinity");
    bad.number_value = -0.0;
    validate();
    assert_valid();
}

static void test_validate_enum_number_without_literal_is_a_violation(void **state)
{
    (void)state;
    f.request.has_colour = true;
    f.request.colour = TESTAPI__V1__COLOUR__COLOUR_UNSPECIFIED;
    validate();
    assert_only("colour", "0 is not one of \"red\", \"deep-blue\"");

    /* The same where the schema has no rule. */
    f.request.has_colour = false;
    f.request.thing = &f.thing;
    f.thing.has_colour = true;
    f.thing.colour = (Testapi__V1__Colour)99;
    Testapi__V1__Colour colours[] = {TESTAPI__V1__COLOUR__COLOUR_RED,
                                     TESTAPI__V1__COLOUR__COLOUR_UNSPECIFIED};
    f.thing.n_colours = COUNT(colours);
    f.thing.colours = colours;
    validate();
    assert_int_equal(f.violations.total_count, 2);
    assert_violation(0, "thing.colour", "99 is not one of \"red\", \"deep-blue\"");
    assert_violation(1, "thing.colours[1]", "0 is not one of \"red\", \"deep-blue\"");
}

static void test_validate_enum_lists_name_the_accepted_literals(void **state)
{
    (void)state;
    static const int64_t numbers[] = {2};
    struct br_rules rules = empty_rules();
    rules.not_in = (struct br_value_list){.numbers = numbers, .count = 1};
    f.request.has_colour = true;
    f.request.colour = TESTAPI__V1__COLOUR__COLOUR_DEEP_BLUE;
    validate_by(with_rules("colour", &rules));
    assert_only("colour", "\"deep-blue\" is not one of \"red\"");
    rules = empty_rules();
    rules.in = (struct br_value_list){.numbers = numbers, .count = 1};
    validate_by(with_rules("colour", &rules));
    assert_valid();
    f.request.colour = TESTAPI__V1__COLOUR__COLOUR_RED;
    validate_by(with_rules("colour", &rules));
    assert_only("colour", "\"red\" is not one of \"deep-blue\"");
}

static void test_validate_enum_in_the_url_is_checked(void **state)
{
    (void)state;
    Testapi__V1__ListThingsRequest request = TESTAPI__V1__LIST_THINGS_REQUEST__INIT;
    request.has_colour = true;
    request.has_amount = true;
    request.amount = NAN;
    br_validate(test_method("ListThings"), &request.base, NULL, &f.violations, &f.warnings);
    assert_int_equal(f.violations.total_count, 2);
    assert_violation(0, "colour", "0 is not one of \"red\", \"deep-blue\"");
    assert_violation(1, "amount", "NaN cannot be sent: JSON has no NaN or infinity");
}

static void test_validate_list_max_items_both_sides(void **state)
{
    (void)state;
    f.request.n_parts = 3;
    validate();
    assert_valid();
    f.request.n_parts = 4;
    validate();
    assert_only("parts", "has 4 elements, at most 3 are accepted");
}

static void test_validate_list_min_items_counts_an_empty_list(void **state)
{
    (void)state;
    struct br_rules rules = empty_rules();
    rules.min_items = 1;
    validate_by(with_rules("tags", &rules));
    assert_only("tags", "has 0 elements, at least 1 are needed");
    f.request.n_tags = 1;
    f.tags[0] = TEXT("t");
    validate_by(with_rules("tags", &rules));
    assert_valid();
}

static void test_validate_list_items_have_rules(void **state)
{
    (void)state;
    f.request.n_tags = 3;
    f.tags[0] = TEXT("t-a");
    f.tags[1] = TEXT("x");
    f.tags[2] = TEXT("t-");
    validate();
    assert_only("tags[1]", "\"x\" does not begin with \"t-\"");
}

static void test_validate_list_unique_names_each_repetition(void **state)
{
    (void)state;
    /* Buffers of their own: texts count, not pointers. */
    char texts[6][8] = {"t-b", "t-a", "t-b", "t-c", "t-b", "t-aa"};
    f.request.n_tags = COUNT(texts);
    for (size_t i = 0; i < COUNT(texts); i++)
        f.tags[i] = texts[i];
    validate();
    assert_int_equal(f.violations.total_count, 2);
    assert_violation(0, "tags[2]", "is the same as tags[0]; each may be given once");
    assert_violation(1, "tags[4]", "is the same as tags[0]; each may be given once");
    texts[2][2] = 'd';
    texts[4][2] = 'e';
    validate();
    assert_valid();
}

/* A message of one repeated field, made by hand: the test schema has lists of few kinds. */
struct list_message {
    ProtobufCMessage base;
    size_t count;
    void *items;
};

/* How many elements of a list of |kind| are refused as repetitions, or as numbers that JSON cannot say. */
static size_t count_refused(enum br_kind kind, void *items, size_t count)
{
    struct br_rules rules = empty_rules();
    rules.unique = true;
    ProtobufCFieldDescriptor descriptor = {
        .name = "list",
        .label = PROTOBUF_C_LABEL_REPEATED,
        .quantifier_offset = offsetof(struct list_message, count),
        .offset = offsetof(struct list_message, items),
    };
    struct br_field_plan field = {
        .name = "list", .kind = kind, .label = BR_LABEL_REPEATED, .rules = &rules, .descriptor = &descriptor};
    struct br_rules none = empty_rules();
    struct br_message_plan plan = {.full_name = "List", .fields = &field, .field_count = 1, .rules = &none};
    enum br_role role = BR_ROLE_BODY;
    struct br_method method = {.input = &plan, .roles = &role};
    struct list_message message = {.count = count, .items = items};
    br_violations_init(&f.violations, &f.arena);
    br_validate(&method, &message.base, NULL, &f.violations, &f.warnings);
    return f.violations.total_count;
}

static void test_validate_list_unique_of_every_kind(void **state)
{
    (void)state;
    int32_t small[] = {5, -5, 5, INT32_MIN, INT32_MAX};
    int64_t large[] = {INT64_MAX, INT64_MIN, 0, INT64_MAX, INT64_MIN};
    uint64_t natural[] = {UINT64_MAX, 0, 1, UINT64_MAX};
    float ratio[] = {0.5f, 0.25f, 0.5f};
    double real[] = {0.0, 1.5, -0.0, -1.5};
    protobuf_c_boolean truth[] = {true, false};
    assert_int_equal(count_refused(BR_KIND_INT32, small, COUNT(small)), 1);
    assert_violation(0, "list[2]", "is the same as list[0]; each may be given once");
    assert_int_equal(count_refused(BR_KIND_INT64, large, COUNT(large)), 2);
    assert_violation(0, "list[4]", "is the same as list[1]; each may be given once");
    assert_int_equal(count_refused(BR_KIND_UINT64, natural, COUNT(natural)), 1);
    assert_int_equal(count_refused(BR_KIND_FLOAT, ratio, COUNT(ratio)), 1);
    assert_int_equal(count_refused(BR_KIND_DOUBLE, real, COUNT(real)), 1);
    assert_int_equal(count_refused(BR_KIND_BOOL, truth, COUNT(truth)), 0);
    truth[1] = true;
    assert_int_equal(count_refused(BR_KIND_BOOL, truth, COUNT(truth)), 1);
}

static void test_validate_list_unique_with_nan_still_finds_the_others(void **state)
{
    (void)state;
    double real[] = {2, NAN, 1, NAN, 2, NAN, 1};
    /* Each NaN is refused, the 2 of them that repeat another as well; so are the second 2 and the second 1. */
    assert_int_equal(count_refused(BR_KIND_DOUBLE, real, COUNT(real)), 3 + 2 + 2);
}

static void test_validate_list_unique_of_many_elements_is_quick(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    char **tags = calloc(MANY, sizeof *tags);
    assert_non_null(tags);
    for (size_t i = 0; i < MANY; i++)
        tags[i] = TEXT("t-same");
    f.request.tags = tags;
    f.request.n_tags = MANY;
    validate();
    assert_int_equal(f.violations.total_count, MANY - 1);
    assert_int_equal(f.violations.count, BR_VIOLATIONS_MAX);
    free(tags);
}

static void test_validate_map_pairs_keys_and_values(void **state)
{
    (void)state;
    f.request.n_labels = 2;
    f.label[0].key = TEXT("a");
    f.label[0].value = TEXT("1234");
    f.label[1].key = TEXT("b");
    f.label[1].value = TEXT("");
    validate();
    assert_valid();
    f.label[0].value = TEXT("12345");
    f.label[1].key = TEXT("");
    f.request.n_labels = 3;
    f.label[2].key = TEXT("c\n");
    f.label[2].value = TEXT("\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4");
    validate();
    assert_int_equal(f.violations.total_count, 4);
    assert_violation(0, "labels", "has 3 elements, at most 2 are accepted");
    assert_violation(1, "labels[\"a\"]", "\"12345\" is longer than 4 characters");
    assert_violation(2, "labels[\"\"]", "key \"\" is shorter than 1 character");
    assert_violation(3, "labels[\"c\\u000A\"]",
                     "\"\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\" is longer than 4 characters");
}

static void test_validate_map_entry_without_key_and_value_has_defaults(void **state)
{
    (void)state;
    f.label[0].key = NULL;
    f.label[0].value = NULL;
    f.request.n_labels = 1;
    validate();
    assert_only("labels[\"\"]", "key \"\" is shorter than 1 character");

    f.request.n_labels = 0;
    Testapi__V1__Thing__PartsByNameEntry entry = TESTAPI__V1__THING__PARTS_BY_NAME_ENTRY__INIT;
    Testapi__V1__Thing__PartsByNameEntry *entries[] = {&entry};
    f.request.thing = &f.thing;
    f.thing.n_parts_by_name = 1;
    f.thing.parts_by_name = entries;
    validate();
    assert_valid();
}

static void test_validate_message_in_a_map_is_walked(void **state)
{
    (void)state;
    Testapi__V1__Thing__PartsByNameEntry entry = TESTAPI__V1__THING__PARTS_BY_NAME_ENTRY__INIT;
    Testapi__V1__Thing__PartsByNameEntry *entries[] = {&entry};
    entry.key = TEXT("k");
    entry.value = &f.part[0];
    f.part[0].has_size = true;
    f.part[0].size = -3;
    f.request.thing = &f.thing;
    f.thing.n_parts_by_name = 1;
    f.thing.parts_by_name = entries;
    validate();
    assert_int_equal(f.violations.total_count, 2);
    assert_violation(0, "thing.parts_by_name[\"k\"].size", "-3 is not between 0 and 100");
    assert_violation(1, "thing.parts_by_name[\"k\"]", "size needs a name [part.size_with_name]");
}

static void test_validate_named_rules_of_message_and_field(void **state)
{
    (void)state;
    f.request.n_parts = 2;
    f.part[0].name = TEXT("a");
    f.part[0].has_size = true;
    f.part[0].size = 60;
    f.part[1].has_size = true;
    f.part[1].size = 41;
    validate();
    assert_int_equal(f.violations.total_count, 2);
    assert_violation(0, "parts[1]", "size needs a name [part.size_with_name]");
    assert_violation(1, "parts", "the sizes of all parts must sum to 100 [update_thing.sizes_sum_100]");
    f.part[1].name = TEXT("b");
    f.part[1].size = 40;
    validate();
    assert_valid();
}

static void test_validate_warning_does_not_refuse(void **state)
{
    (void)state;
    f.request.thing = &f.thing;
    f.thing.has_flag = true;
    f.thing.has_colour = true;
    f.thing.colour = TESTAPI__V1__COLOUR__COLOUR_RED;
    validate();
    assert_valid();
    assert_int_equal(f.warnings.count, 1);
    assert_string_equal(f.warnings.items[0], "flag wins over colour");
}

static bool never(const ProtobufCMessage *message)
{
    (void)message;
    return false;
}

static void test_validate_warnings_are_kept_once_and_up_to_the_limit(void **state)
{
    (void)state;
    struct br_named_rule named[BR_WARNINGS_MAX + 2];
    static const char *const texts[] = {"a", "b", "c", "d", "e"};
    for (size_t i = 0; i < COUNT(named); i++)
        named[i] = (struct br_named_rule){
            .id = "x", .message = texts[i == 0 ? 0 : i - 1], .warning = true, .holds = never};
    struct br_rules rules = empty_rules();
    rules.named = named;
    rules.named_count = BR_WARNINGS_MAX + 1;
    const struct br_method *method = with_rules("tags", &rules);
    validate_by(method);
    assert_int_equal(f.warnings.count, BR_WARNINGS_MAX);
    assert_string_equal(f.warnings.items[BR_WARNINGS_MAX - 1], "d");
    rules.named_count = BR_WARNINGS_MAX + 2;
    validate_by(method);
    assert_int_equal(f.warnings.count, BR_WARNINGS_MAX);
    assert_valid();
}

static void test_validate_all_violations_come_at_once(void **state)
{
    (void)state;
    f.request.thing_id = NULL;
    f.request.description = TEXT("a=b");
    f.request.has_rank = true;
    f.request.has_share = true;
    validate();
    assert_int_equal(f.violations.total_count, 4);
    assert_false(br_violations_none(&f.violations, &f.st));
    assert_string_equal(f.st.msg, "thing_id: must be set (and 3 more)");
}

static void test_validate_mask_named_rule_of_part_message_is_not_checked(void **state)
{
    (void)state;
    f.request.n_parts = 1;
    f.part[0].name = TEXT("a");
    f.part[0].has_size = true;
    f.part[0].size = 100;
    add_path("parts.size");
    validate();
    assert_null(f.part[0].name);
    assert_valid();

    /* The same message sent whole. */
    f.mask.n_paths = 0;
    add_path("parts");
    validate();
    assert_only("parts[0]", "size needs a name [part.size_with_name]");
}

static void test_validate_mask_other_rules_check_what_is_left(void **state)
{
    (void)state;
    f.request.description = TEXT("<");
    f.request.n_parts = 1;
    f.part[0].name = TEXT("a");
    f.part[0].has_size = true;
    f.part[0].size = 101;
    add_path("parts.size");
    validate();
    assert_int_equal(f.violations.total_count, 2);
    assert_violation(0, "parts[0].size", "101 is not between 0 and 100");
    assert_violation(1, "parts", "the sizes of all parts must sum to 100 [update_thing.sizes_sum_100]");
}

static void test_validate_mask_field_left_out_is_not_checked(void **state)
{
    (void)state;
    struct br_rules rules = empty_rules();
    struct br_named_rule named = {.id = "x", .message = "never", .holds = never};
    rules.required = true;
    rules.min_items = 1;
    rules.named = &named;
    rules.named_count = 1;
    f.request.description = TEXT("words");
    add_path("description");
    validate_by(with_rules("tags", &rules));
    assert_valid();
}

static void test_validate_mask_required_in_the_url_is_checked(void **state)
{
    (void)state;
    f.request.thing_id = NULL;
    f.request.description = TEXT("words");
    add_path("description");
    validate();
    assert_only("thing_id", "must be set");
}

static void test_validate_mask_named_empty_string_is_checked_as_sent(void **state)
{
    (void)state;
    f.request.n_parts = 1;
    add_path("description");
    add_path("parts.name");
    validate();
    assert_only("parts[0].name", "\"\" is shorter than 1 character");
}

static void test_validate_mask_below_an_unset_message_is_checked_as_sent(void **state)
{
    (void)state;
    add_path("thing.part.name");
    add_path("thing.child.tags");
    validate();
    assert_only("thing.part.name", "\"\" is shorter than 1 character");
}

static void test_validate_mask_min_items_checks_a_named_empty_list(void **state)
{
    (void)state;
    struct br_rules rules = empty_rules();
    rules.min_items = 1;
    add_path("tags");
    validate_by(with_rules("tags", &rules));
    assert_only("tags", "has 0 elements, at least 1 are needed");
}

static void test_validate_mask_keeps_warnings_of_what_is_sent(void **state)
{
    (void)state;
    f.request.thing = &f.thing;
    f.thing.has_flag = true;
    f.thing.has_colour = true;
    f.thing.colour = TESTAPI__V1__COLOUR__COLOUR_RED;
    add_path("thing.flag");
    add_path("thing.colour");
    validate();
    assert_valid();
    assert_int_equal(f.warnings.count, 1);
    f.mask.n_paths = 1;
    validate();
    assert_valid();
    assert_int_equal(f.warnings.count, 0);
}

static void test_validate_deep_messages_are_walked(void **state)
{
    (void)state;
    Testapi__V1__Thing things[60];
    for (size_t i = 0; i < COUNT(things); i++) {
        things[i] = (Testapi__V1__Thing)TESTAPI__V1__THING__INIT;
        if (i > 0)
            things[i - 1].child = &things[i];
    }
    things[59].has_amount = true;
    things[59].amount = NAN;
    f.request.thing = things;
    validate();
    assert_int_equal(f.violations.total_count, 1);
    assert_int_equal(strlen(f.violations.items[0].field), strlen("thing") + 59 * 6 + strlen(".amount"));
}

static void test_validate_memory_runs_out_never_passes(void **state)
{
    (void)state;
    f.request.n_tags = 3;
    for (size_t i = 0; i < 3; i++)
        f.tags[i] = TEXT("t-same");
    for (size_t limit = 0; limit < 1024; limit += 16) {
        br_arena_finish(&f.arena);
        br_arena_init(&f.arena, limit);
        validate();
        assert_false(br_violations_none(&f.violations, &f.st));
        assert_true(f.st.code == BR_RESOURCE_EXHAUSTED || f.violations.total_count == 2);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_validate_good_request_is_valid),
        TEST(test_validate_required_unset_is_a_violation),
        TEST(test_validate_required_list_empty_is_a_violation),
        TEST(test_validate_string_max_len_counts_characters),
        TEST(test_validate_string_pattern_both_sides),
        TEST(test_validate_string_pattern_that_is_more_than_a_set_is_shown),
        TEST(test_validate_string_too_long_skips_the_pattern),
        TEST(test_validate_string_pattern_without_max_len_stops_at_its_ceiling),
        TEST(test_validate_string_not_in_and_not_contains),
        TEST(test_validate_string_every_other_rule),
        TEST(test_validate_integer_bounds_both_sides),
        TEST(test_validate_integer_one_sided_and_exclusive_bounds),
        TEST(test_validate_integer_lists),
        TEST(test_validate_double_exclusive_bounds),
        TEST(test_validate_number_without_json_form_is_a_violation),
        TEST(test_validate_number_in_free_json_is_checked),
        TEST(test_validate_enum_number_without_literal_is_a_violation),
        TEST(test_validate_enum_lists_name_the_accepted_literals),
        TEST(test_validate_enum_in_the_url_is_checked),
        TEST(test_validate_list_max_items_both_sides),
        TEST(test_validate_list_min_items_counts_an_empty_list),
        TEST(test_validate_list_items_have_rules),
        TEST(test_validate_list_unique_names_each_repetition),
        TEST(test_validate_list_unique_of_every_kind),
        TEST(test_validate_list_unique_with_nan_still_finds_the_others),
        TEST(test_validate_list_unique_of_many_elements_is_quick),
        TEST(test_validate_map_pairs_keys_and_values),
        TEST(test_validate_map_entry_without_key_and_value_has_defaults),
        TEST(test_validate_message_in_a_map_is_walked),
        TEST(test_validate_named_rules_of_message_and_field),
        TEST(test_validate_warning_does_not_refuse),
        TEST(test_validate_warnings_are_kept_once_and_up_to_the_limit),
        TEST(test_validate_all_violations_come_at_once),
        TEST(test_validate_mask_named_rule_of_part_message_is_not_checked),
        TEST(test_validate_mask_other_rules_check_what_is_left),
        TEST(test_validate_mask_field_left_out_is_not_checked),
        TEST(test_validate_mask_required_in_the_url_is_checked),
        TEST(test_validate_mask_named_empty_string_is_checked_as_sent),
        TEST(test_validate_mask_below_an_unset_message_is_checked_as_sent),
        TEST(test_validate_mask_min_items_checks_a_named_empty_list),
        TEST(test_validate_mask_keeps_warnings_of_what_is_sent),
        TEST(test_validate_deep_messages_are_walked),
        TEST(test_validate_memory_runs_out_never_passes),
    };
    return cmocka_run_group_tests_name("validate", tests, NULL, NULL);
}
