#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/options.h"
#include "contract/rules.h"
#include "schema_edit.h"

#include <buf/validate/validate.pb-c.h>

static const struct br_rules *rules_of(const struct br_contract *contract, const char *method,
                                       const char *name)
{
    size_t count;
    const struct br_method *methods = br_contract_methods(contract, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(strrchr(methods[i].name, '/') + 1, method) == 0) {
            const struct br_field_plan *field = br_plan_field_by_name(methods[i].input, name, strlen(name));
            assert_non_null(field);
            return field->rules;
        }
    }
    fail_msg("no method %s", method);
    return NULL;
}

static const struct br_rules *update_rules(const char *name)
{
    return rules_of(test_contract(), "UpdateThing", name);
}

static void assert_no_number_rules(const struct br_rules *rules)
{
    assert_int_equal(rules->min.type, BR_BOUND_NONE);
    assert_int_equal(rules->max.type, BR_BOUND_NONE);
    assert_false(rules->defined_only);
}

static void assert_no_lists(const struct br_rules *rules)
{
    assert_int_equal(rules->in.count, 0);
    assert_int_equal(rules->not_in.count, 0);
}

static void assert_no_text_rules(const struct br_rules *rules)
{
    assert_int_equal(rules->min_len, 0);
    assert_true(rules->max_len == UINT64_MAX);
    assert_null(rules->prefix);
    assert_null(rules->suffix);
    assert_null(rules->contains);
    assert_null(rules->not_contains);
    assert_null(rules->pattern);
}

static void assert_no_list_rules(const struct br_rules *rules)
{
    assert_int_equal(rules->min_items, 0);
    assert_true(rules->max_items == UINT64_MAX);
    assert_false(rules->unique);
    assert_null(rules->items);
    assert_null(rules->keys);
}

static void test_field_without_rules_has_empty_ones(void **state)
{
    (void)state;
    static const char *const names[] = {"project_id", "thing", "level", "update_mask"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct br_rules *rules = update_rules(names[i]);
        assert_false(rules->required);
        assert_no_number_rules(rules);
        assert_no_lists(rules);
        assert_no_text_rules(rules);
        assert_no_list_rules(rules);
        assert_int_equal(rules->named_count, 0);
    }
}

static void test_string_rules_from_two_statements_are_merged(void **state)
{
    (void)state;
    const struct br_rules *rules = update_rules("thing_id");
    assert_true(rules->required);
    assert_int_equal(rules->max_len, 128);
    assert_int_equal(rules->min_len, 0);
    assert_int_equal(rules->not_in.count, 1);
    assert_string_equal(rules->not_in.texts[0], "specifications");
    assert_int_equal(rules->in.count, 0);
    assert_string_equal(rules->not_contains, ",");
    assert_null(rules->contains);
    assert_null(rules->pattern);
    assert_no_number_rules(rules);
    assert_no_list_rules(rules);

    const struct br_message_plan *part = test_plan("Part");
    assert_int_equal(part->fields[0].rules->min_len, 1);
    assert_int_equal(part->fields[0].rules->max_len, 8);
}

static void test_pattern_is_compiled(void **state)
{
    (void)state;
    const struct br_rules *rules = update_rules("description");
    assert_int_equal(rules->max_len, 10);
    assert_string_equal(rules->pattern, "^[^<>=&\"']*$");
    assert_int_equal(regexec(&rules->regex, "plain", 0, NULL, 0), 0);
    assert_int_equal(regexec(&rules->regex, "", 0, NULL, 0), 0);
    assert_int_equal(regexec(&rules->regex, "a<b", 0, NULL, 0), REG_NOMATCH);
    assert_int_equal(regexec(&rules->regex, "it's", 0, NULL, 0), REG_NOMATCH);
}

static void test_number_rules(void **state)
{
    (void)state;
    const struct br_rules *size = test_plan("Part")->fields[1].rules;
    assert_int_equal(size->min.type, BR_BOUND_INCLUSIVE);
    assert_int_equal(size->min.integer, 0);
    assert_int_equal(size->max.type, BR_BOUND_INCLUSIVE);
    assert_int_equal(size->max.integer, 100);
    assert_no_lists(size);
    assert_no_text_rules(size);

    const struct br_rules *share = update_rules("share");
    assert_int_equal(share->min.type, BR_BOUND_EXCLUSIVE);
    assert_true(share->min.real == 0);
    assert_int_equal(share->max.type, BR_BOUND_EXCLUSIVE);
    assert_true(share->max.real == 1);

    const struct br_rules *rank = update_rules("rank");
    assert_no_number_rules(rank);
    assert_int_equal(rank->in.count, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(rank->in.numbers[i], i + 1);
    assert_int_equal(rank->not_in.count, 0);
}

static void test_enum_rules(void **state)
{
    (void)state;
    const struct br_rules *rules = update_rules("colour");
    assert_true(rules->defined_only);
    assert_int_equal(rules->in.count, 0);
    assert_int_equal(rules->not_in.count, 1);
    assert_int_equal(rules->not_in.numbers[0], 0);
}

static void test_repeated_and_map_rules(void **state)
{
    (void)state;
    const struct br_rules *parts = update_rules("parts");
    assert_int_equal(parts->min_items, 0);
    assert_int_equal(parts->max_items, 3);
    assert_false(parts->unique);
    assert_null(parts->items);

    const struct br_rules *tags = update_rules("tags");
    assert_true(tags->unique);
    assert_true(tags->max_items == UINT64_MAX);
    assert_string_equal(tags->items->prefix, "t-");
    assert_null(tags->items->suffix);
    assert_null(tags->keys);
    assert_null(tags->prefix);

    const struct br_rules *labels = update_rules("labels");
    assert_int_equal(labels->min_items, 0);
    assert_int_equal(labels->max_items, 2);
    assert_int_equal(labels->keys->min_len, 1);
    assert_true(labels->keys->max_len == UINT64_MAX);
    assert_int_equal(labels->items->max_len, 4);
    assert_int_equal(labels->items->min_len, 0);
}

static void test_named_rules_have_their_function(void **state)
{
    (void)state;
    const struct br_rules *part = test_plan("Part")->rules;
    assert_int_equal(part->named_count, 1);
    assert_string_equal(part->named[0].id, "part.size_with_name");
    assert_string_equal(part->named[0].message, "size needs a name");
    assert_false(part->named[0].warning);
    assert_ptr_equal(part->named[0].holds, test_functions[0].holds);

    const struct br_rules *parts = update_rules("parts");
    assert_int_equal(parts->named_count, 1);
    assert_string_equal(parts->named[0].id, "update_thing.sizes_sum_100");
    assert_ptr_equal(parts->named[0].holds, test_functions[1].holds);
    assert_false(parts->named[0].warning);

    const struct br_rules *request = test_method("UpdateThing")->input->rules;
    assert_int_equal(request->named_count, 1);
    assert_string_equal(request->named[0].id, "update_thing.flag_wins");
    assert_true(request->named[0].warning);
    assert_ptr_equal(request->named[0].holds, test_functions[2].holds);
}

/* The options of UpdateThingRequest.|name|, without the rules it has. */
static ProtobufCMessage *bare_options(struct edit *edit, const char *name)
{
    ProtobufCMessage *options = edit_field_options(edit_field(edit, "UpdateThingRequest", name));
    edit_drop_option(options, BR_OPTION_VALIDATE);
    return options;
}

static void add_rules(ProtobufCMessage *options, const Buf__Validate__FieldRules *rules)
{
    edit_add_option(options, BR_OPTION_VALIDATE, rules);
}

static const struct br_rules *compiled_rules(struct edit *edit, const char *name)
{
    if (!edit_compile(edit))
        fail_msg("%s", edit->st.msg);
    return rules_of(edit->contract, "UpdateThing", name);
}

static void test_every_string_rule_is_kept(void **state)
{
    (void)state;
    struct edit edit;
    edit_open(&edit);
    Buf__Validate__StringRules string = BUF__VALIDATE__STRING_RULES__INIT;
    string.has_min_len = true;
    string.min_len = 2;
    string.prefix = edit_lit("p");
    string.suffix = edit_lit("s");
    string.contains = edit_lit("c");
    string.not_contains = edit_lit("n");
    string.in = (char *[]){edit_lit("a"), edit_lit("b")};
    string.n_in = 2;
    Buf__Validate__FieldRules rules = BUF__VALIDATE__FIELD_RULES__INIT;
    rules.type_case = BUF__VALIDATE__FIELD_RULES__TYPE_STRING;
    rules.string = &string;
    ProtobufCMessage *options = bare_options(&edit, "description");
    add_rules(options, &rules);
    /* A second statement adds to the lists and leaves what it does not name. */
    Buf__Validate__StringRules more = BUF__VALIDATE__STRING_RULES__INIT;
    more.has_max_len = true;
    more.max_len = UINT64_MAX - 1;
    more.in = (char *[]){edit_lit("c")};
    more.n_in = 1;
    more.not_in = (char *[]){edit_lit("x")};
    more.n_not_in = 1;
    rules.string = &more;
    add_rules(options, &rules);

    const struct br_rules *compiled = compiled_rules(&edit, "description");
    assert_int_equal(compiled->min_len, 2);
    assert_true(compiled->max_len == UINT64_MAX - 1);
    assert_string_equal(compiled->prefix, "p");
    assert_string_equal(compiled->suffix, "s");
    assert_string_equal(compiled->contains, "c");
    assert_string_equal(compiled->not_contains, "n");
    assert_int_equal(compiled->in.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(compiled->in.texts[i][0], 'a' + (int)i);
    assert_int_equal(compiled->not_in.count, 1);
    edit_close(&edit);
}

static void test_string_len_is_both_limits(void **state)
{
    (void)state;
    struct edit edit;
    edit_open(&edit);
    Buf__Validate__StringRules string = BUF__VALIDATE__STRING_RULES__INIT;
    string.has_len = true;
    string.len = 32;
    Buf__Validate__FieldRules rules = BUF__VALIDATE__FIELD_RULES__INIT;
    rules.type_case = BUF__VALIDATE__FIELD_RULES__TYPE_STRING;
    rules.string = &string;
    add_rules(bare_options(&edit, "description"), &rules);
    const struct br_rules *compiled = compiled_rules(&edit, "description");
    assert_int_equal(compiled->min_len, 32);
    assert_int_equal(compiled->max_len, 32);
    edit_close(&edit);
}

static void test_every_int32_rule_is_kept(void **state)
{
    (void)state;
    struct edit edit;
    edit_open(&edit);
    Buf__Validate__Int32Rules int32 = BUF__VALIDATE__INT32_RULES__INIT;
    int32.has_gt = int32.has_lt = true;
    int32.gt = INT32_MIN;
    int32.lt = INT32_MAX;
    int32.in = (int32_t[]){INT32_MIN};
    int32.n_in = 1;
    Buf__Validate__FieldRules rules = BUF__VALIDATE__FIELD_RULES__INIT;
    rules.type_case = BUF__VALIDATE__FIELD_RULES__TYPE_INT32;
    rules.int32 = &int32;
    ProtobufCMessage *options = bare_options(&edit, "level");
    add_rules(options, &rules);
    Buf__Validate__Int32Rules more = BUF__VALIDATE__INT32_RULES__INIT;
    more.in = (int32_t[]){7, 8};
    more.n_in = 2;
    more.not_in = (int32_t[]){-1};
    more.n_not_in = 1;
    rules.int32 = &more;
    add_rules(options, &rules);

    const struct br_rules *compiled = compiled_rules(&edit, "level");
    assert_int_equal(compiled->min.type, BR_BOUND_EXCLUSIVE);
    assert_true(compiled->min.integer == INT32_MIN);
    assert_int_equal(compiled->max.type, BR_BOUND_EXCLUSIVE);
    assert_true(compiled->max.integer == INT32_MAX);
    assert_int_equal(compiled->in.count, 3);
    assert_true(compiled->in.numbers[0] == INT32_MIN);
    assert_int_equal(compiled->in.numbers[1], 7);
    assert_int_equal(compiled->in.numbers[2], 8);
    assert_int_equal(compiled->not_in.count, 1);
    assert_true(compiled->not_in.numbers[0] == -1);
    edit_close(&edit);
}

static void test_const_is_both_bounds(void **state)
{
    (void)state;
    struct edit edit;
    edit_open(&edit);
    Buf__Validate__FieldRules rules = BUF__VALIDATE__FIELD_RULES__INIT;
    Buf__Validate__Int64Rules int64 = BUF__VALIDATE__INT64_RULES__INIT;
    int64.has_const_ = true;
    int64.const_ = INT64_MIN;
    rules.type_case = BUF__VALIDATE__FIELD_RULES__TYPE_INT64;
    rules.int64 = &int64;
    add_rules(bare_options(&edit, "rank"), &rules);
    Buf__Validate__DoubleRules real = BUF__VALIDATE__DOUBLE_RULES__INIT;
    real.has_const_ = true;
    real.const_ = 0.5;
    rules.type_case = BUF__VALIDATE__FIELD_RULES__TYPE_DOUBLE;
    rules.double_ = &real;
    add_rules(bare_options(&edit, "share"), &rules);
    Buf__Validate__EnumRules number = BUF__VALIDATE__ENUM_RULES__INIT;
    number.has_const_ = true;
    number.const_ = 2;
    rules.type_case = BUF__VALIDATE__FIELD_RULES__TYPE_ENUM;
    rules.enum_ = &number;
    add_rules(bare_options(&edit, "colour"), &rules);

    const struct br_rules *rank = compiled_rules(&edit, "rank");
    assert_int_equal(rank->min.type, BR_BOUND_INCLUSIVE);
    assert_int_equal(rank->max.type, BR_BOUND_INCLUSIVE);
    assert_true(rank->min.integer == INT64_MIN && rank->max.integer == INT64_MIN);
    const struct br_rules *share = rules_of(edit.contract, "UpdateThing", "share");
    assert_int_equal(share->min.type, BR_BOUND_INCLUSIVE);
    assert_true(share->min.real == 0.5 && share->max.real == 0.5);
    const struct br_rules *colour = rules_of(edit.contract, "UpdateThing", "colour");
    assert_true(colour->min.integer == 2 && colour->max.integer == 2);
    assert_false(colour->defined_only);
    edit_close(&edit);
}

static void test_enum_rules_from_two_statements_are_merged(void **state)
{
    (void)state;
    struct edit edit;
    edit_open(&edit);
    Buf__Validate__FieldRules rules = BUF__VALIDATE__FIELD_RULES__INIT;
    Buf__Validate__EnumRules defined = BUF__VALIDATE__ENUM_RULES__INIT;
    Buf__Validate__EnumRules not_in = BUF__VALIDATE__ENUM_RULES__INIT;
    rules.type_case = BUF__VALIDATE__FIELD_RULES__TYPE_ENUM;
    ProtobufCMessage *options = bare_options(&edit, "colour");
    defined.has_defined_only = defined.defined_only = true;
    rules.enum_ = &defined;
    add_rules(options, &rules);
    not_in.not_in = (int32_t[]){0};
    not_in.n_not_in = 1;
    rules.enum_ = &not_in;
    add_rules(options, &rules);
    const struct br_rules *compiled = compiled_rules(&edit, "colour");
    assert_true(compiled->defined_only);
    assert_int_equal(compiled->not_in.count, 1);
    edit_close(&edit);
}

static void test_element_rules_from_two_statements_are_merged(void **state)
{
    (void)state;
    struct edit edit;
    edit_open(&edit);
    Buf__Validate__FieldRules rules = BUF__VALIDATE__FIELD_RULES__INIT;
    Buf__Validate__RepeatedRules repeated = BUF__VALIDATE__REPEATED_RULES__INIT;
    Buf__Validate__FieldRules element = BUF__VALIDATE__FIELD_RULES__INIT;
    Buf__Validate__StringRules min = BUF__VALIDATE__STRING_RULES__INIT;
    Buf__Validate__StringRules max = BUF__VALIDATE__STRING_RULES__INIT;
    rules.type_case = BUF__VALIDATE__FIELD_RULES__TYPE_REPEATED;
    rules.repeated = &repeated;
    repeated.items = &element;
    element.type_case = BUF__VALIDATE__FIELD_RULES__TYPE_STRING;
    ProtobufCMessage *options = bare_options(&edit, "tags");
    min.has_min_len = true;
    min.min_len = 3;
    element.string = &min;
    add_rules(options, &rules);
    max.has_max_len = true;
    max.max_len = 5;
    element.string = &max;
    add_rules(options, &rules);
    Buf__Validate__RepeatedRules unique = BUF__VALIDATE__REPEATED_RULES__INIT;
    unique.has_unique = unique.unique = true;
    rules.repeated = &unique;
    add_rules(options, &rules);
    const struct br_rules *compiled = compiled_rules(&edit, "tags");
    assert_int_equal(compiled->items->min_len, 3);
    assert_int_equal(compiled->items->max_len, 5);
    assert_true(compiled->unique);
    edit_close(&edit);
}

static void test_required_may_be_taken_back(void **state)
{
    (void)state;
    struct edit edit;
    edit_open(&edit);
    Buf__Validate__FieldRules rules = BUF__VALIDATE__FIELD_RULES__INIT;
    rules.has_required = true;
    rules.required = false;
    edit_add_option(edit_field_options(edit_field(&edit, "UpdateThingRequest", "thing_id")),
                    BR_OPTION_VALIDATE, &rules);
    const struct br_rules *compiled = compiled_rules(&edit, "thing_id");
    assert_false(compiled->required);
    assert_int_equal(compiled->max_len, 128);
    edit_close(&edit);
}

static void test_several_named_rules_keep_their_order(void **state)
{
    (void)state;
    struct edit edit;
    edit_open(&edit);
    Buf__Validate__Rule first = BUF__VALIDATE__RULE__INIT;
    Buf__Validate__Rule second = BUF__VALIDATE__RULE__INIT;
    first.id = edit_lit("update_thing.flag_wins");
    first.message = edit_lit("first");
    second.id = edit_lit("part.size_with_name");
    second.message = edit_lit("second");
    Buf__Validate__FieldRules rules = BUF__VALIDATE__FIELD_RULES__INIT;
    rules.cel = (Buf__Validate__Rule *[]){&first, &second};
    rules.n_cel = 2;
    edit_add_option(edit_field_options(edit_field(&edit, "UpdateThingRequest", "parts")), BR_OPTION_VALIDATE,
                    &rules);
    const struct br_rules *compiled = compiled_rules(&edit, "parts");
    assert_int_equal(compiled->named_count, 3);
    assert_string_equal(compiled->named[0].id, "update_thing.sizes_sum_100");
    assert_string_equal(compiled->named[1].message, "first");
    assert_ptr_equal(compiled->named[2].holds, test_functions[0].holds);
    edit_close(&edit);
}

/* Each option text: none, one, the last of several. */
static void test_option_text_is_the_last_one(void **state)
{
    (void)state;
    struct br_arena arena;
    br_arena_init(&arena, 1 << 12);
    Google__Protobuf__FieldOptions *options = malloc(sizeof *options);
    assert_non_null(options);
    google__protobuf__field_options__init(options);
    assert_null(br_option_text(NULL, BR_OPTION_KEY, &arena));
    assert_null(br_option_text(&options->base, BR_OPTION_KEY, &arena));
    edit_add_bytes(&options->base, BR_OPTION_KEY, (const uint8_t *)"one", 3);
    edit_add_bytes(&options->base, BR_OPTION_LITERAL, (const uint8_t *)"other", 5);
    assert_string_equal(br_option_text(&options->base, BR_OPTION_KEY, &arena), "one");
    edit_add_bytes(&options->base, BR_OPTION_KEY, NULL, 0);
    assert_string_equal(br_option_text(&options->base, BR_OPTION_KEY, &arena), "");
    char big[300];
    memset(big, 'x', sizeof big);
    edit_add_bytes(&options->base, BR_OPTION_KEY, (const uint8_t *)big, sizeof big);
    assert_int_equal(strlen(br_option_text(&options->base, BR_OPTION_KEY, &arena)), sizeof big);
    assert_false(arena.exhausted);

    /* Another wire type is not the option. */
    options->base.unknown_fields[0].wire_type = PROTOBUF_C_WIRE_TYPE_32BIT;
    size_t cursor = 0;
    struct br_option option;
    assert_true(br_option_next(&options->base, BR_OPTION_KEY, &cursor, &option));
    assert_int_equal(option.len, 0);
    assert_true(br_option_next(&options->base, BR_OPTION_KEY, &cursor, &option));
    assert_int_equal(option.len, sizeof big);
    assert_false(br_option_next(&options->base, BR_OPTION_KEY, &cursor, &option));
    br_arena_finish(&arena);

    br_arena_init(&arena, 16);
    assert_null(br_option_text(&options->base, BR_OPTION_KEY, &arena));
    assert_true(arena.exhausted);
    br_arena_finish(&arena);
    google__protobuf__field_options__free_unpacked(options, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_field_without_rules_has_empty_ones),
        cmocka_unit_test(test_string_rules_from_two_statements_are_merged),
        cmocka_unit_test(test_pattern_is_compiled),
        cmocka_unit_test(test_number_rules),
        cmocka_unit_test(test_enum_rules),
        cmocka_unit_test(test_repeated_and_map_rules),
        cmocka_unit_test(test_named_rules_have_their_function),
        cmocka_unit_test(test_every_string_rule_is_kept),
        cmocka_unit_test(test_string_len_is_both_limits),
        cmocka_unit_test(test_every_int32_rule_is_kept),
        cmocka_unit_test(test_const_is_both_bounds),
        cmocka_unit_test(test_enum_rules_from_two_statements_are_merged),
        cmocka_unit_test(test_element_rules_from_two_statements_are_merged),
        cmocka_unit_test(test_required_may_be_taken_back),
        cmocka_unit_test(test_several_named_rules_keep_their_order),
        cmocka_unit_test(test_option_text_is_the_last_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
