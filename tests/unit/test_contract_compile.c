/* What is compiled from the test API. test_contract_refusals.c has what is not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/options.h"
#include "schema_edit.h"

#include <stdio.h>
#include <testapi/v1/everything.pb-c.h>

static const struct br_field_plan *field(const char *message, const char *name)
{
    const struct br_field_plan *found = br_plan_field_by_name(test_plan(message), name, strlen(name));
    if (found == NULL)
        fail_msg("no field %s.%s", message, name);
    return found;
}

/* The route as text: the verb, then the parts with variables as {name}. */
static void assert_route(const struct br_method *method, const char *expected)
{
    char text[256];
    size_t len = (size_t)snprintf(text, sizeof text, "%s ", method->verb);
    for (size_t i = 0; i < method->part_count; i++) {
        const struct br_path_part *part = &method->parts[i];
        len += (size_t)(part->literal != NULL
                            ? snprintf(text + len, sizeof text - len, "%s", part->literal)
                            : snprintf(text + len, sizeof text - len, "{%s}", part->variable->name));
        assert_true(len < sizeof text);
    }
    assert_string_equal(text, expected);
}

/* One letter for each field: Path, Query, Body, Whole body, Mask. */
static void assert_roles(const struct br_method *method, const char *expected)
{
    assert_int_equal(method->input->field_count, strlen(expected));
    for (size_t i = 0; i < method->input->field_count; i++) {
        if ("PQBWM"[method->roles[i]] != expected[i])
            fail_msg("%s has another role", method->input->fields[i].name);
    }
}

static void test_methods_are_in_the_order_of_declaration(void **state)
{
    (void)state;
    static const char *const names[] = {
        "testapi.v1.EverythingService/UpdateThing", "testapi.v1.EverythingService/ListThings",
        "testapi.v1.EverythingService/PatchThing",  "testapi.v1.EverythingService/LocalCall",
        "testapi.v1.EverythingService/LocalWatch",  "testapi.v1.EverythingService/LocalUpload",
        "testapi.v1.EverythingService/LocalTalk",
    };
    size_t count;
    const struct br_method *methods = br_contract_methods(test_contract(), &count);
    assert_int_equal(count, sizeof names / sizeof names[0]);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(methods[i].name, names[i]);
        assert_int_equal(methods[i].path[0], '/');
        assert_string_equal(methods[i].path + 1, names[i]);
    }
}

static void test_method_with_body_star_binds_the_rest_to_the_body(void **state)
{
    (void)state;
    const struct br_method *method = test_method("UpdateThing");
    assert_route(method, "PUT /v1/{project_id}/things/{thing_id}");
    assert_string_equal(method->path_template, "/v1/{project_id}/things/{thing_id}");
    assert_roles(method, "PPBBBBBBBBBM");
    assert_true(method->has_body);
    assert_ptr_equal(method->mask, field("UpdateThingRequest", "update_mask"));
    assert_int_equal(method->idempotency, BR_IDEMPOTENCY_UNKNOWN);
    assert_string_equal(method->input->full_name, "testapi.v1.UpdateThingRequest");
    assert_string_equal(method->output->full_name, "testapi.v1.Thing");
}

static void test_method_without_body_binds_the_rest_to_the_query(void **state)
{
    (void)state;
    const struct br_method *method = test_method("ListThings");
    assert_route(method, "GET /v1/{project_id}/things");
    assert_roles(method, "PQQQQQ");
    assert_false(method->has_body);
    assert_null(method->mask);
    assert_int_equal(method->idempotency, BR_NO_SIDE_EFFECTS);
}

static void test_method_whose_body_is_a_field_sends_that_alone(void **state)
{
    (void)state;
    const struct br_method *method = test_method("PatchThing");
    assert_route(method, "PATCH /v1/{project_id}/things/{thing_id}:patch");
    assert_roles(method, "PPWQ");
    assert_true(method->has_body);
    assert_null(method->mask);
    assert_int_equal(method->idempotency, BR_IDEMPOTENT);
}

static void test_method_without_route_is_local(void **state)
{
    (void)state;
    const struct br_method *method = test_method("LocalCall");
    assert_null(method->verb);
    assert_null(method->path_template);
    assert_null(method->parts);
    assert_int_equal(method->part_count, 0);
    assert_null(method->roles);
    assert_null(method->input);
    assert_null(method->output);
    assert_false(method->has_body);
}

static void test_method_streams_as_declared(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool client;
        bool server;
    } cases[] = {
        {"UpdateThing", false, false}, {"LocalCall", false, false}, {"LocalWatch", false, true},
        {"LocalUpload", true, false},  {"LocalTalk", true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(test_method(cases[i].name)->client_streaming, cases[i].client);
        assert_int_equal(test_method(cases[i].name)->server_streaming, cases[i].server);
    }
}

static void test_fields_are_in_the_order_of_declaration(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t number;
        enum br_kind kind;
        enum br_label label;
    } expected[] = {
        {"text", 20, BR_KIND_STRING, BR_LABEL_SINGULAR},
        {"small", 2, BR_KIND_INT32, BR_LABEL_SINGULAR},
        {"large", 3, BR_KIND_INT64, BR_LABEL_SINGULAR},
        {"count", 4, BR_KIND_UINT32, BR_LABEL_SINGULAR},
        {"total", 5, BR_KIND_UINT64, BR_LABEL_SINGULAR},
        {"ratio", 6, BR_KIND_FLOAT, BR_LABEL_SINGULAR},
        {"amount", 7, BR_KIND_DOUBLE, BR_LABEL_SINGULAR},
        {"flag", 8, BR_KIND_BOOL, BR_LABEL_SINGULAR},
        {"colour", 9, BR_KIND_ENUM, BR_LABEL_SINGULAR},
        {"zigzag", 10, BR_KIND_INT32, BR_LABEL_SINGULAR},
        {"fixed", 11, BR_KIND_UINT64, BR_LABEL_SINGULAR},
        {"odd_name", 12, BR_KIND_STRING, BR_LABEL_SINGULAR},
        {"part", 13, BR_KIND_MESSAGE, BR_LABEL_SINGULAR},
        {"parts", 14, BR_KIND_MESSAGE, BR_LABEL_REPEATED},
        {"tags", 15, BR_KIND_STRING, BR_LABEL_REPEATED},
        {"numbers", 16, BR_KIND_INT32, BR_LABEL_REPEATED},
        {"colours", 17, BR_KIND_ENUM, BR_LABEL_REPEATED},
        {"labels", 18, BR_KIND_MESSAGE, BR_LABEL_MAP},
        {"parts_by_name", 19, BR_KIND_MESSAGE, BR_LABEL_MAP},
        {"free", 1, BR_KIND_MESSAGE, BR_LABEL_SINGULAR},
        {"any_value", 21, BR_KIND_MESSAGE, BR_LABEL_SINGULAR},
        {"any_list", 22, BR_KIND_MESSAGE, BR_LABEL_SINGULAR},
        {"choice_text", 23, BR_KIND_STRING, BR_LABEL_SINGULAR},
        {"choice_number", 24, BR_KIND_INT64, BR_LABEL_SINGULAR},
        {"choice_part", 25, BR_KIND_MESSAGE, BR_LABEL_SINGULAR},
        {"child", 26, BR_KIND_MESSAGE, BR_LABEL_SINGULAR},
        {"counts", 27, BR_KIND_MESSAGE, BR_LABEL_MAP},
        {"implicit_text", 28, BR_KIND_STRING, BR_LABEL_SINGULAR},
    };
    const struct br_message_plan *plan = test_plan("Thing");
    assert_int_equal(plan->field_count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < plan->field_count; i++) {
        const struct br_field_plan *actual = &plan->fields[i];
        assert_string_equal(actual->name, expected[i].name);
        assert_int_equal(actual->number, expected[i].number);
        assert_int_equal(actual->kind, expected[i].kind);
        assert_int_equal(actual->label, expected[i].label);
        assert_int_equal(actual->message != NULL, expected[i].kind == BR_KIND_MESSAGE);
        assert_int_equal(actual->enumeration != NULL, expected[i].kind == BR_KIND_ENUM);
        assert_non_null(actual->rules);
        assert_int_equal(actual->descriptor->id, actual->number);
    }
    assert_non_null(plan->rules);
    assert_ptr_equal(plan->descriptor, &testapi__v1__thing__descriptor);
}

static void test_field_key_is_the_name_unless_the_schema_says_another(void **state)
{
    (void)state;
    const struct br_message_plan *plan = test_plan("Thing");
    for (size_t i = 0; i < plan->field_count; i++) {
        const char *name = plan->fields[i].name;
        assert_string_equal(plan->fields[i].key, strcmp(name, "odd_name") == 0 ? "oddName" : name);
    }
}

static void test_enum_has_the_literals_of_the_schema(void **state)
{
    (void)state;
    const struct br_enum_plan *plan = field("Thing", "colour")->enumeration;
    assert_string_equal(plan->full_name, "testapi.v1.Colour");
    assert_int_equal(plan->value_count, 3);
    assert_int_equal(plan->values[0].number, 0);
    assert_null(plan->values[0].literal);
    assert_int_equal(plan->values[1].number, 1);
    assert_string_equal(plan->values[1].literal, "red");
    assert_int_equal(plan->values[2].number, 2);
    assert_string_equal(plan->values[2].literal, "deep-blue");
    /* One plan for all fields of the type. */
    assert_ptr_equal(field("Thing", "colours")->enumeration, plan);
    assert_ptr_equal(field("ListThingsRequest", "colour")->enumeration, plan);
}

static void test_shapes_of_free_json_and_masks_are_known(void **state)
{
    (void)state;
    assert_int_equal(field("Thing", "free")->message->shape, BR_SHAPE_STRUCT);
    assert_int_equal(field("Thing", "any_value")->message->shape, BR_SHAPE_VALUE);
    assert_int_equal(field("Thing", "any_list")->message->shape, BR_SHAPE_LIST);
    assert_int_equal(field("UpdateThingRequest", "update_mask")->message->shape, BR_SHAPE_FIELD_MASK);
    assert_int_equal(field("Thing", "part")->message->shape, BR_SHAPE_FIELDS);
    assert_int_equal(test_plan("Thing")->shape, BR_SHAPE_FIELDS);
}

static void test_map_entry_has_a_key_and_a_value(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum br_kind value;
    } maps[] = {{"labels", BR_KIND_STRING}, {"counts", BR_KIND_INT64}, {"parts_by_name", BR_KIND_MESSAGE}};
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        const struct br_message_plan *entry = field("Thing", maps[i].name)->message;
        assert_int_equal(entry->field_count, 2);
        assert_string_equal(entry->fields[0].name, "key");
        assert_int_equal(entry->fields[0].kind, BR_KIND_STRING);
        assert_string_equal(entry->fields[1].name, "value");
        assert_int_equal(entry->fields[1].kind, maps[i].value);
    }
    assert_ptr_equal(field("Thing", "parts_by_name")->message->fields[1].message, test_plan("Part"));
}

static void test_message_that_holds_itself_has_one_plan(void **state)
{
    (void)state;
    assert_ptr_equal(field("Thing", "child")->message, test_plan("Thing"));
    assert_ptr_equal(test_method("UpdateThing")->output, test_plan("Thing"));
    /* Struct -> entry -> Value -> Struct. */
    const struct br_message_plan *free_struct = field("Thing", "free")->message;
    const struct br_message_plan *value = free_struct->fields[0].message->fields[1].message;
    assert_ptr_equal(value, field("Thing", "any_value")->message);
    assert_ptr_equal(br_plan_field_by_name(value, "struct_value", 12)->message, free_struct);
}

static void test_find_exact_path_only(void **state)
{
    (void)state;
    const struct br_contract *contract = test_contract();
    size_t count;
    const struct br_method *methods = br_contract_methods(contract, &count);
    for (size_t i = 0; i < count; i++) {
        const char *path = methods[i].path;
        size_t len = strlen(path);
        for (size_t cut = 0; cut < len; cut++)
            assert_null(br_contract_find(contract, path, cut));
        assert_ptr_equal(br_contract_find(contract, path, len), &methods[i]);
        /* No NUL is needed behind it. */
        char longer[128];
        assert_true((size_t)snprintf(longer, sizeof longer, "%sX", path) < sizeof longer);
        assert_ptr_equal(br_contract_find(contract, longer, len), &methods[i]);
        assert_null(br_contract_find(contract, longer, len + 1));
        assert_null(br_contract_find(contract, path + 1, len - 1));
    }
    assert_null(br_contract_find(contract, "", 0));
    assert_null(br_contract_find(contract, "/", 1));
    assert_null(br_contract_find(contract, "\xff\xff", 2));
    static const char other_case[] = "/testapi.v1.EverythingService/updatething";
    assert_null(br_contract_find(contract, other_case, sizeof other_case - 1));
}

static void test_find_path_with_nul_finds_nothing(void **state)
{
    (void)state;
    char path[4096] = "/testapi.v1.EverythingService/UpdateThing";
    size_t len = strlen(path);
    assert_null(br_contract_find(test_contract(), path, len + 1));
    assert_null(br_contract_find(test_contract(), path, sizeof path));
    path[0] = '\0';
    assert_null(br_contract_find(test_contract(), path, len));
    assert_null(br_contract_find(test_contract(), path, sizeof path));
}

static void test_plan_field_by_name_exact_name_only(void **state)
{
    (void)state;
    const struct br_message_plan *plan = test_plan("Thing");
    assert_ptr_equal(br_plan_field_by_name(plan, "odd_name", 8), field("Thing", "odd_name"));
    assert_ptr_equal(br_plan_field_by_name(plan, "parts_by_name", 5), field("Thing", "parts"));
    assert_null(br_plan_field_by_name(plan, "oddName", 7));
    assert_null(br_plan_field_by_name(plan, "odd_name", 7));
    assert_null(br_plan_field_by_name(plan, "odd_name2", 9));
    assert_null(br_plan_field_by_name(plan, "", 0));
    char with_nul[4096] = "text";
    assert_ptr_equal(br_plan_field_by_name(plan, with_nul, 4), field("Thing", "text"));
    assert_null(br_plan_field_by_name(plan, with_nul, 5));
    assert_null(br_plan_field_by_name(plan, with_nul, sizeof with_nul));
}

static void test_nested_enum_is_found_by_its_full_name(void **state)
{
    (void)state;
    /* In Part it is testapi.v1.Part.Colour. */
    struct edit edit;
    edit_open(&edit);
    Google__Protobuf__DescriptorProto *part = edit_message(&edit, "Part");
    part->enum_type = malloc(sizeof *part->enum_type);
    assert_non_null(part->enum_type);
    part->enum_type[0] = edit.file->enum_type[0];
    part->n_enum_type = 1;
    edit.file->n_enum_type = 0;
    assert_false(edit_compile(&edit));
    assert_string_equal(edit.st.msg, "testapi.v1.Colour: is not in the descriptor set");
    edit_close(&edit);

    /* A full name does not tell packages from messages: this is package "testapi", message "v1". */
    edit_open(&edit);
    Google__Protobuf__EnumDescriptorProto *colour = edit.file->enum_type[0];
    edit.file->n_enum_type = 0;
    Google__Protobuf__FileDescriptorProto *other = edit.set->file[0];
    edit_text(&other->package, "testapi");
    for (size_t i = 0; i < other->n_message_type; i++) {
        if (other->message_type[i]->n_enum_type == 0)
            continue;
        edit_text(&other->message_type[i]->name, "v1");
        Google__Protobuf__EnumDescriptorProto *replaced = other->message_type[i]->enum_type[0];
        other->message_type[i]->enum_type[0] = colour;
        edit.file->enum_type[0] = replaced;
        break;
    }
    edit.file->n_enum_type = 1;
    bool compiled = edit_compile(&edit);
    if (!compiled)
        fail_msg("%s", edit.st.msg);
    edit_close(&edit);
}

static void test_contract_of_no_service_is_empty(void **state)
{
    (void)state;
    struct br_status st = {0};
    struct br_contract *contract = NULL;
    struct br_schema schema = {.set = br_schema_linked.set, .set_len = br_schema_linked.set_len};
    assert_true(br_contract_create(&schema, NULL, 0, &contract, &st));
    size_t count;
    (void)br_contract_methods(contract, &count);
    assert_int_equal(count, 0);
    assert_null(br_contract_find(contract, "/x", 2));
    br_contract_destroy(contract);
    br_contract_destroy(NULL);
}

/* What may be in a schema though the test API has none of it. */
static void test_every_verb_and_an_alias_compile(void **state)
{
    (void)state;
    struct edit edit;
    edit_open(&edit);
    /* Two names for one number. */
    Google__Protobuf__EnumDescriptorProto *colour = edit.file->enum_type[0];
    colour->value[2]->number = 1;
    assert_true(edit_compile(&edit));
    size_t count;
    const struct br_method *methods = br_contract_methods(edit.contract, &count);
    const struct br_field_plan *plan = br_plan_field_by_name(methods[0].input, "colour", 6);
    assert_int_equal(plan->enumeration->values[1].number, 1);
    assert_int_equal(plan->enumeration->values[2].number, 1);
    assert_string_equal(plan->enumeration->values[2].literal, "deep-blue");
    edit_close(&edit);

    static const struct {
        uint8_t tag; /* of HttpRule's field, length-delimited */
        const char *route;
    } verbs[] = {
        {0x12, "GET /x"}, {0x1A, "PUT /x"}, {0x22, "POST /x"}, {0x2A, "DELETE /x"}, {0x32, "PATCH /x"}};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        edit_open(&edit);
        ProtobufCMessage *options = &edit_method(&edit, "ListThings")->options->base;
        edit_drop_option(options, BR_OPTION_HTTP);
        const uint8_t rule[] = {verbs[i].tag, 2, '/', 'x'};
        edit_add_bytes(options, BR_OPTION_HTTP, rule, sizeof rule);
        assert_true(edit_compile(&edit));
        methods = br_contract_methods(edit.contract, &count);
        assert_route(&methods[1], verbs[i].route);
        assert_false(methods[1].has_body);
        edit_close(&edit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods_are_in_the_order_of_declaration),
        cmocka_unit_test(test_method_with_body_star_binds_the_rest_to_the_body),
        cmocka_unit_test(test_method_without_body_binds_the_rest_to_the_query),
        cmocka_unit_test(test_method_whose_body_is_a_field_sends_that_alone),
        cmocka_unit_test(test_method_without_route_is_local),
        cmocka_unit_test(test_method_streams_as_declared),
        cmocka_unit_test(test_fields_are_in_the_order_of_declaration),
        cmocka_unit_test(test_field_key_is_the_name_unless_the_schema_says_another),
        cmocka_unit_test(test_enum_has_the_literals_of_the_schema),
        cmocka_unit_test(test_shapes_of_free_json_and_masks_are_known),
        cmocka_unit_test(test_map_entry_has_a_key_and_a_value),
        cmocka_unit_test(test_message_that_holds_itself_has_one_plan),
        cmocka_unit_test(test_find_exact_path_only),
        cmocka_unit_test(test_find_path_with_nul_finds_nothing),
        cmocka_unit_test(test_plan_field_by_name_exact_name_only),
        cmocka_unit_test(test_nested_enum_is_found_by_its_full_name),
        cmocka_unit_test(test_contract_of_no_service_is_empty),
        cmocka_unit_test(test_every_verb_and_an_alias_compile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
