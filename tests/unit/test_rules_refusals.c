/* Rules that br_contract_create() refuses: nothing would enforce them, or not as the schema means them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/options.h"
#include "schema_edit.h"

#include <buf/validate/validate.pb-c.h>
#include <stdio.h>

/* Rules as bytes, since no compiler writes most of these. */
struct case_of_field {
    const char *field; /* of UpdateThingRequest */
    const char *rules; /* buf.validate.FieldRules, added to those it has */
    size_t len;
    const char *message;
};
#define BYTES(text) text, sizeof text - 1

static void assert_fields_refused(const struct case_of_field *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct edit edit;
        edit_open(&edit);
        edit_add_bytes(edit_field_options(edit_field(&edit, "UpdateThingRequest", cases[i].field)),
                       BR_OPTION_VALIDATE, (const uint8_t *)cases[i].rules, cases[i].len);
        char message[256];
        (void)snprintf(message, sizeof message, "testapi.v1.UpdateThingRequest.%s: %s", cases[i].field,
                       cases[i].message);
        edit_assert_refused(&edit, message);
    }
}

static void test_create_unknown_field_rule_refused(void **state)
{
    (void)state;
    static const struct case_of_field cases[] = {
        {"level", BYTES("\xD8\x01\x01"),
         "buf.validate.FieldRules has constraint number 27, which the bridge does not know"}, /* ignore */
        {"description", BYTES("\x72\x02\x60\x01"),
         "buf.validate.StringRules has constraint number 12, which the bridge does not know"}, /* string.email */
        {"level", BYTES("\x1A\x02\x78\x01"),
         "buf.validate.Int32Rules has constraint number 15, which the bridge does not know"},
        {"rank", BYTES("\x22\x02\x78\x01"),
         "buf.validate.Int64Rules has constraint number 15, which the bridge does not know"},
        {"share", BYTES("\x12\x02\x78\x01"),
         "buf.validate.DoubleRules has constraint number 15, which the bridge does not know"},
        {"colour", BYTES("\x82\x01\x02\x78\x01"),
         "buf.validate.EnumRules has constraint number 15, which the bridge does not know"},
        {"tags", BYTES("\x92\x01\x02\x78\x01"),
         "buf.validate.RepeatedRules has constraint number 15, which the bridge does not know"},
        {"labels", BYTES("\x9A\x01\x02\x78\x01"),
         "buf.validate.MapRules has constraint number 15, which the bridge does not know"},
        {"tags", BYTES("\x92\x01\x05\x22\x03\xD8\x01\x01"),
         "buf.validate.FieldRules has constraint number 27, which the bridge does not know"}, /* repeated.items.ignore */
        {"level", BYTES("\xBA\x01\x02\x78\x01"),
         "buf.validate.Rule has constraint number 15, which the bridge does not know"},
        {"level", BYTES("\x1A\x7F"), "its options cannot be read"},
    };
    assert_fields_refused(cases, sizeof cases / sizeof cases[0]);
}

static void test_create_field_rule_that_does_not_fit_refused(void **state)
{
    (void)state;
    static const struct case_of_field cases[] = {
        {"level", BYTES("\x22\x02\x28\x00"),
         "its rules are not supported for a field of its type"}, /* int64.gte */
        {"tags", BYTES("\x72\x02\x10\x01"),
         "its rules are not supported for a field of its type"}, /* string.min_len */
        {"thing", BYTES("\x72\x02\x10\x01"),
         "its rules are not supported for a field of its type"}, /* string.min_len */
        {"labels", BYTES("\x92\x01\x02\x08\x01"),
         "its rules are not supported for a field of its type"}, /* repeated.min_items */
        {"tags", BYTES("\x92\x01\x06\x22\x04\x1A\x02\x28\x00"),
         "its rules are not supported for a field of its type"}, /* repeated.items.int32.gte */
        {"tags", BYTES("\x92\x01\x05\x22\x03\xC8\x01\x01"),
         "required and cel are not supported for elements"}, /* repeated.items.required */
        {"tags", BYTES("\x92\x01\x05\x22\x03\xBA\x01\x00"),
         "required and cel are not supported for elements"}, /* repeated.items.cel */
        {"parts", BYTES("\x92\x01\x02\x18\x01"),
         "unique is not supported for messages"}, /* repeated.unique */
        {"description", BYTES("\x72\x03\x0A\x01x"),
         "const is not supported for strings; use in"}, /* string.const */
        {"share", BYTES("\x12\x09\x31\0\0\0\0\0\0\0\0"),
         "in and not_in are not supported for fractions"}, /* double.in */
        {"level", BYTES("\x1A\x04\x20\x05\x10\x03"),
         "its lower bound is above its upper bound"}, /* gt: 5, lt: 3 */
        {"rank", BYTES("\x22\x04\x28\x05\x18\x04"),
         "its lower bound is above its upper bound"}, /* gte: 5, lte: 4 */
        {"share", BYTES("\x12\x09\x29\0\0\0\0\0\0\x00\x40"),
         "its lower bound is above its upper bound"}, /* gte: 2, beside lt: 1 */
    };
    assert_fields_refused(cases, sizeof cases / sizeof cases[0]);
}

static void test_create_rules_of_a_bool_refused(void **state)
{
    (void)state;
    struct edit edit;
    edit_open(&edit);
    edit_add_bytes(edit_field_options(edit_field(&edit, "ListThingsRequest", "flag")), BR_OPTION_VALIDATE,
                   (const uint8_t *)"\x6A\x02\x08\x01", 4);
    edit_assert_refused(
        &edit, "testapi.v1.ListThingsRequest.flag: its rules are not supported for a field of its type");
}

static void test_create_message_rule_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t option;
        const char *bytes;
        size_t len;
        const char *message;
    } cases[] = {
        {BR_OPTION_VALIDATE, BYTES("\x08\x01"),
         "buf.validate.MessageRules has constraint number 1, which the bridge does not know"},
        {BR_OPTION_VALIDATE, BYTES("\x1A\x7F"), "its options cannot be read"},
        {BR_OPTION_VALIDATE, BYTES("\x1A\x06\x0A\x01x\x12\x01m"),
         "the rule \"x\" has no function in the bridge"},
        {BR_OPTION_WARNING, BYTES("\x78\x01"),
         "modelarts.rest.v1.Warning has constraint number 15, which the bridge does not know"},
        {BR_OPTION_WARNING, BYTES("\x0A\x7F"), "its options cannot be read"},
        {BR_OPTION_WARNING, BYTES("\x0A\x01x\x12\x01m"), "the rule \"x\" has no function in the bridge"},
        {BR_OPTION_WARNING, BYTES("\x12\x01m"), "a named rule needs an id and a message"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct edit edit;
        edit_open(&edit);
        edit_add_bytes(edit_message_options(&edit, "Thing"), cases[i].option, (const uint8_t *)cases[i].bytes,
                       cases[i].len);
        char message[256];
        (void)snprintf(message, sizeof message, "testapi.v1.Thing: %s", cases[i].message);
        edit_assert_refused(&edit, message);
    }
}

static void test_create_rule_of_a_oneof_refused(void **state)
{
    (void)state;
    struct edit edit;
    edit_open(&edit);
    Google__Protobuf__OneofDescriptorProto *choice = edit_message(&edit, "Thing")->oneof_decl[0];
    choice->options = malloc(sizeof *choice->options);
    assert_non_null(choice->options);
    google__protobuf__oneof_options__init(choice->options);
    edit_add_bytes(&choice->options->base, BR_OPTION_VALIDATE, (const uint8_t *)"\x08\x01", 2);
    edit_assert_refused(&edit, "testapi.v1.Thing: the rules of a oneof are not supported");
}

static void assert_named_refused(const char *id, const char *text, const char *message)
{
    struct edit edit;
    edit_open(&edit);
    Buf__Validate__Rule rule = BUF__VALIDATE__RULE__INIT;
    rule.id = edit_lit(id);
    rule.message = edit_lit(text);
    Buf__Validate__FieldRules rules = BUF__VALIDATE__FIELD_RULES__INIT;
    rules.cel = (Buf__Validate__Rule *[]){&rule};
    rules.n_cel = 1;
    edit_add_option(edit_field_options(edit_field(&edit, "UpdateThingRequest", "level")), BR_OPTION_VALIDATE,
                    &rules);
    edit_assert_refused(&edit, message);
}

static void test_create_named_rule_without_function_id_or_message_refused(void **state)
{
    (void)state;
    static const char *const field = "testapi.v1.UpdateThingRequest.level: a named rule needs an id and a "
                                     "message";
    assert_named_refused("level.unheard_of", "x",
                         "testapi.v1.UpdateThingRequest.level: the rule \"level.unheard_of\" has no function "
                         "in the bridge");
    /* Ids are compared as a whole. */
    assert_named_refused("update_thing.flag_win", "x",
                         "testapi.v1.UpdateThingRequest.level: the rule \"update_thing.flag_win\" has no "
                         "function in the bridge");
    assert_named_refused(NULL, "x", field);
    assert_named_refused("update_thing.flag_wins", NULL, field);
}

static void add_pattern(struct edit *edit, const char *field, const char *pattern)
{
    Buf__Validate__StringRules string = BUF__VALIDATE__STRING_RULES__INIT;
    string.pattern = edit_lit(pattern);
    Buf__Validate__FieldRules rules = BUF__VALIDATE__FIELD_RULES__INIT;
    rules.type_case = BUF__VALIDATE__FIELD_RULES__TYPE_STRING;
    rules.string = &string;
    edit_add_option(edit_field_options(edit_field(edit, "UpdateThingRequest", field)), BR_OPTION_VALIDATE,
                    &rules);
}

static void test_create_pattern_that_others_read_differently_refused(void **state)
{
    (void)state;
    struct edit edit;
    edit_open(&edit);
    add_pattern(&edit, "thing_id", "^\\d+$");
    edit_assert_refused(&edit, "testapi.v1.UpdateThingRequest.thing_id: the pattern \"^\\d+$\" holds a "
                               "backslash, which POSIX and RE2 do not read alike; \"[.]\" stands for a dot");
    edit_open(&edit);
    add_pattern(&edit, "thing_id", "^[\xC3\xA9]$");
    edit_assert_refused(&edit, "testapi.v1.UpdateThingRequest.thing_id: the pattern \"^[\xC3\xA9]$\" is not "
                               "ASCII; it is matched byte by byte");
    edit_open(&edit);
    add_pattern(&edit, "description", "^a$");
    edit_assert_refused(&edit,
                        "testapi.v1.UpdateThingRequest.description: the pattern \"^a$\" is one of two");
}

static void test_create_pattern_that_is_none_refused(void **state)
{
    (void)state;
    struct edit edit;
    edit_open(&edit);
    add_pattern(&edit, "thing_id", "^[a-z");
    assert_false(edit_compile(&edit));
    /* What comes after it is libc's. */
    static const char expected[] =
        "testapi.v1.UpdateThingRequest.thing_id: the pattern \"^[a-z\" is no POSIX "
        "extended expression: ";
    assert_int_equal(strncmp(edit.st.msg, expected, strlen(expected)), 0);
    assert_int_equal(edit.st.code, BR_INTERNAL);
    edit_close(&edit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_unknown_field_rule_refused),
        cmocka_unit_test(test_create_field_rule_that_does_not_fit_refused),
        cmocka_unit_test(test_create_rules_of_a_bool_refused),
        cmocka_unit_test(test_create_message_rule_refused),
        cmocka_unit_test(test_create_rule_of_a_oneof_refused),
        cmocka_unit_test(test_create_named_rule_without_function_id_or_message_refused),
        cmocka_unit_test(test_create_pattern_that_others_read_differently_refused),
        cmocka_unit_test(test_create_pattern_that_is_none_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
