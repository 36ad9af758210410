/* What br_contract_create() refuses; test_rules_refusals.c has the rules. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/options.h"
#include "schema_edit.h"

#include <google/api/http.pb-c.h>

#define OTHER_SCHEMA "the C code was generated from another schema"
#define SERVICE "testapi.v1.EverythingService"
#define UPDATE SERVICE "/UpdateThing: "
#define LIST SERVICE "/ListThings: "
#define PATCH SERVICE "/PatchThing: "
#define LOCAL SERVICE "/LocalCall: "
#define REQUEST "testapi.v1.UpdateThingRequest"

/* ---- routes ---- */

static void set_route(struct edit *edit, const char *method, const Google__Api__HttpRule *rule)
{
    Google__Protobuf__MethodDescriptorProto *proto = edit_method(edit, method);
    if (proto->options == NULL) {
        proto->options = malloc(sizeof *proto->options);
        assert_non_null(proto->options);
        google__protobuf__method_options__init(proto->options);
    }
    edit_drop_option(&proto->options->base, BR_OPTION_HTTP);
    edit_add_option(&proto->options->base, BR_OPTION_HTTP, rule);
}

static Google__Api__HttpRule put_rule(const char *path, const char *body)
{
    Google__Api__HttpRule rule = GOOGLE__API__HTTP_RULE__INIT;
    rule.pattern_case = GOOGLE__API__HTTP_RULE__PATTERN_PUT;
    rule.put = edit_lit(path);
    rule.body = edit_lit(body);
    return rule;
}

static Google__Api__HttpRule get_rule(const char *path, const char *body)
{
    Google__Api__HttpRule rule = GOOGLE__API__HTTP_RULE__INIT;
    rule.pattern_case = GOOGLE__API__HTTP_RULE__PATTERN_GET;
    rule.get = edit_lit(path);
    rule.body = edit_lit(body);
    return rule;
}

static void same_route(struct edit *edit)
{
    Google__Api__HttpRule rule = put_rule("/v1/{thing_id}/things/{project_id}", "*");
    set_route(edit, "PatchThing", &rule);
}

static void same_route_as_the_method_before(struct edit *edit)
{
    Google__Api__HttpRule rule = GOOGLE__API__HTTP_RULE__INIT;
    rule.pattern_case = GOOGLE__API__HTTP_RULE__PATTERN_PATCH;
    rule.patch = edit_lit("/v1/{project_id}/things");
    rule.body = edit_lit("*");
    set_route(edit, "UpdateThing", &rule);
    set_route(edit, "ListThings", &rule);
}

static void same_route_of_local_call(struct edit *edit)
{
    Google__Api__HttpRule rule = get_rule("/v1/{project_id}/things", NULL);
    set_route(edit, "LocalCall", &rule);
}

static void body_of_no_field(struct edit *edit)
{
    Google__Api__HttpRule rule = put_rule("/x/{project_id}", "operation");
    set_route(edit, "PatchThing", &rule);
}

static void body_of_a_path_variable(struct edit *edit)
{
    Google__Api__HttpRule rule = put_rule("/x/{project_id}", "project_id");
    set_route(edit, "PatchThing", &rule);
}

static void body_of_the_mask(struct edit *edit)
{
    Google__Api__HttpRule rule = put_rule("/x/{project_id}", "update_mask");
    set_route(edit, "UpdateThing", &rule);
}

static void body_of_a_get(struct edit *edit)
{
    Google__Api__HttpRule rule = get_rule("/x/{project_id}", "*");
    set_route(edit, "ListThings", &rule);
}

static void additional_bindings(struct edit *edit)
{
    Google__Api__HttpRule rule = put_rule("/x", "*");
    Google__Api__HttpRule more = put_rule("/y", "*");
    rule.additional_bindings = (Google__Api__HttpRule *[]){&more};
    rule.n_additional_bindings = 1;
    set_route(edit, "UpdateThing", &rule);
}

static void response_body(struct edit *edit)
{
    Google__Api__HttpRule rule = put_rule("/x", "*");
    rule.response_body = edit_lit("text");
    set_route(edit, "UpdateThing", &rule);
}

static void no_verb(struct edit *edit)
{
    Google__Api__HttpRule rule = GOOGLE__API__HTTP_RULE__INIT;
    set_route(edit, "UpdateThing", &rule);
}

static void custom_verb(struct edit *edit)
{
    Google__Api__CustomHttpPattern custom = GOOGLE__API__CUSTOM_HTTP_PATTERN__INIT;
    custom.kind = edit_lit("HEAD");
    custom.path = edit_lit("/x");
    Google__Api__HttpRule rule = GOOGLE__API__HTTP_RULE__INIT;
    rule.pattern_case = GOOGLE__API__HTTP_RULE__PATTERN_CUSTOM;
    rule.custom = &custom;
    set_route(edit, "UpdateThing", &rule);
}

static void bad_template(struct edit *edit)
{
    Google__Api__HttpRule rule = put_rule("/v1/{nothing}", "*");
    set_route(edit, "UpdateThing", &rule);
}

static void two_rules(struct edit *edit)
{
    Google__Api__HttpRule rule = put_rule("/x", "*");
    edit_add_option(&edit_method(edit, "UpdateThing")->options->base, BR_OPTION_HTTP, &rule);
}

static void unreadable_rule(struct edit *edit)
{
    ProtobufCMessage *options = &edit_method(edit, "UpdateThing")->options->base;
    edit_drop_option(options, BR_OPTION_HTTP);
    edit_add_bytes(options, BR_OPTION_HTTP, (const uint8_t *)"\x1A\x09x", 3);
}

static void client_streaming(struct edit *edit)
{
    edit_method(edit, "UpdateThing")->has_client_streaming = true;
    edit_method(edit, "UpdateThing")->client_streaming = true;
}

static void server_streaming(struct edit *edit)
{
    edit_method(edit, "ListThings")->has_server_streaming = true;
    edit_method(edit, "ListThings")->server_streaming = true;
}

static void message_in_the_query(struct edit *edit)
{
    Google__Api__HttpRule rule = put_rule("/x/{project_id}", NULL);
    set_route(edit, "PatchThing", &rule);
}

static void map_in_the_query(struct edit *edit)
{
    Google__Api__HttpRule rule = put_rule("/x/{project_id}", "thing");
    set_route(edit, "UpdateThing", &rule);
}

static void test_create_route_that_cannot_be_refused(void **state)
{
    (void)state;
    static const struct edit_refusal refusals[] = {
        {same_route,
         PATCH "has the same route as " SERVICE "/UpdateThing: PUT /v1/{thing_id}/things/{project_id}"},
        {same_route_as_the_method_before,
         LIST "has the same route as " SERVICE "/UpdateThing: PATCH /v1/{project_id}/things"},
        {same_route_of_local_call,
         LOCAL "has the same route as " SERVICE "/ListThings: GET /v1/{project_id}/things"},
        {body_of_no_field, PATCH "its body \"operation\" names no field that can be one"},
        {body_of_a_path_variable, PATCH "its body \"project_id\" names no field that can be one"},
        {body_of_the_mask, UPDATE "its body \"update_mask\" names no field that can be one"},
        {body_of_a_get, LIST "a GET request has no body"},
        {additional_bindings, UPDATE "additional_bindings would give it two routes"},
        {response_body, UPDATE "response_body is not supported"},
        {no_verb, UPDATE "needs one of get, put, post, delete, patch"},
        {custom_verb, UPDATE "needs one of get, put, post, delete, patch"},
        {bad_template, UPDATE "the path template \"/v1/{nothing}\" has a variable that is no field of the "
                              "request (only {field_name} is supported)"},
        {two_rules, UPDATE "google.api.http must be set in one statement"},
        {unreadable_rule, UPDATE "google.api.http cannot be read"},
        {client_streaming, UPDATE "a method with google.api.http cannot stream"},
        {server_streaming, LIST "a method with google.api.http cannot stream"},
        {message_in_the_query, PATCH "operations is a message and cannot be a query parameter"},
        {map_in_the_query, UPDATE "parts is a message and cannot be a query parameter"},
    };
    edit_assert_refusals(refusals, sizeof refusals / sizeof refusals[0]);
}

static void test_create_one_path_with_two_verbs_compiles(void **state)
{
    (void)state;
    struct edit edit;
    edit_open(&edit);
    Google__Api__HttpRule rule = put_rule("/v1/{project_id}/things", "*");
    set_route(&edit, "UpdateThing", &rule);
    assert_true(edit_compile(&edit));
    edit_close(&edit);
}

static void test_create_streaming_method_without_route_compiles(void **state)
{
    (void)state;
    struct edit edit;
    edit_open(&edit);
    edit_method(&edit, "LocalCall")->has_server_streaming = true;
    edit_method(&edit, "LocalCall")->server_streaming = true;
    assert_true(edit_compile(&edit));
    edit_close(&edit);
}

/* ---- enums and keys ---- */

static ProtobufCMessage *value_options(struct edit *edit, size_t index)
{
    Google__Protobuf__EnumValueDescriptorProto *value = edit->file->enum_type[0]->value[index];
    if (value->options == NULL) {
        value->options = malloc(sizeof *value->options);
        assert_non_null(value->options);
        google__protobuf__enum_value_options__init(value->options);
    }
    return &value->options->base;
}

static void no_literal(struct edit *edit)
{
    edit_drop_option(value_options(edit, 2), BR_OPTION_LITERAL);
}

static void no_literal_and_no_name(struct edit *edit)
{
    no_literal(edit);
    edit_text(&edit->file->enum_type[0]->value[2]->name, NULL);
}

static void zero_with_literal(struct edit *edit)
{
    edit_add_bytes(value_options(edit, 0), BR_OPTION_LITERAL, (const uint8_t *)"none", 4);
}

static void same_literal(struct edit *edit)
{
    edit_add_bytes(value_options(edit, 2), BR_OPTION_LITERAL, (const uint8_t *)"red", 3);
}

static void same_key(struct edit *edit)
{
    edit_add_bytes(edit_field_options(edit_field(edit, "Thing", "small")), BR_OPTION_KEY,
                   (const uint8_t *)"oddName", 7);
}

static void key_of_another_name(struct edit *edit)
{
    edit_add_bytes(edit_field_options(edit_field(edit, "Thing", "small")), BR_OPTION_KEY,
                   (const uint8_t *)"text", 4);
}

static void test_create_ambiguous_json_refused(void **state)
{
    (void)state;
    static const struct edit_refusal refusals[] = {
        {no_literal, "testapi.v1.Colour: COLOUR_DEEP_BLUE has no (modelarts.rest.v1.literal)"},
        {no_literal_and_no_name, "testapi.v1.Colour: a value has no (modelarts.rest.v1.literal)"},
        {zero_with_literal,
         "testapi.v1.Colour: COLOUR_UNSPECIFIED is the zero value and may have no literal"},
        {same_literal, "testapi.v1.Colour: two values have the literal \"red\""},
        {same_key, "testapi.v1.Thing: two fields have the REST key \"oddName\""},
        {key_of_another_name, "testapi.v1.Thing: two fields have the REST key \"text\""},
    };
    edit_assert_refusals(refusals, sizeof refusals / sizeof refusals[0]);
}

/* ---- a set that is not that of the C descriptors ---- */

static void service_renamed(struct edit *edit)
{
    edit_text(&edit->file->service[0]->name, "OtherService");
}

static void service_unnamed(struct edit *edit)
{
    edit_text(&edit->file->service[0]->name, NULL);
}

static void package_renamed(struct edit *edit)
{
    edit_text(&edit->file->package, "testapi.v");
}

static void package_unnamed(struct edit *edit)
{
    edit_text(&edit->file->package, NULL);
}

static void method_missing(struct edit *edit)
{
    Google__Protobuf__ServiceDescriptorProto *service = edit->file->service[0];
    google__protobuf__method_descriptor_proto__free_unpacked(service->method[--service->n_method], NULL);
}

static void method_unnamed(struct edit *edit)
{
    edit_text(&edit_method(edit, "ListThings")->name, NULL);
}

static void methods_swapped(struct edit *edit)
{
    Google__Protobuf__MethodDescriptorProto **methods = edit->file->service[0]->method;
    Google__Protobuf__MethodDescriptorProto *first = methods[0];
    methods[0] = methods[2];
    methods[2] = first;
}

static void message_unnamed(struct edit *edit)
{
    edit_text(&edit_message(edit, "Part")->name, NULL);
}

static void enum_unnamed(struct edit *edit)
{
    edit_text(&edit->file->enum_type[0]->name, NULL);
}

static void field_renamed(struct edit *edit)
{
    edit_text(&edit_field(edit, "Part", "size")->name, "sizes");
}

static void field_unnamed(struct edit *edit)
{
    edit_text(&edit_field(edit, "Part", "size")->name, NULL);
}

static void field_renumbered(struct edit *edit)
{
    edit_field(edit, "Part", "size")->number = 3;
}

static void field_missing(struct edit *edit)
{
    Google__Protobuf__DescriptorProto *part = edit_message(edit, "Part");
    google__protobuf__field_descriptor_proto__free_unpacked(part->field[--part->n_field], NULL);
}

static void entry_for_a_single_field(struct edit *edit)
{
    Google__Protobuf__MessageOptions *options =
        (Google__Protobuf__MessageOptions *)edit_message_options(edit, "Part");
    options->has_map_entry = true;
    options->map_entry = true;
}

static void entry_of_many_fields(struct edit *edit)
{
    Google__Protobuf__MessageOptions *options =
        (Google__Protobuf__MessageOptions *)edit_message_options(edit, "Thing");
    options->has_map_entry = true;
    options->map_entry = true;
}

static void test_create_set_of_another_schema_refused(void **state)
{
    (void)state;
    static const struct edit_refusal refusals[] = {
        {service_renamed, SERVICE ": " OTHER_SCHEMA},
        {service_unnamed, SERVICE ": " OTHER_SCHEMA},
        {package_renamed, SERVICE ": " OTHER_SCHEMA},
        {package_unnamed, SERVICE ": " OTHER_SCHEMA},
        {method_missing, SERVICE ": " OTHER_SCHEMA},
        {method_unnamed, SERVICE ": " OTHER_SCHEMA},
        {methods_swapped, SERVICE ": " OTHER_SCHEMA},
        {message_unnamed, "testapi.v1.Part: is not in the descriptor set"},
        {enum_unnamed, "testapi.v1.Colour: is not in the descriptor set"},
        {field_renamed, "testapi.v1.Part: " OTHER_SCHEMA},
        {field_unnamed, "testapi.v1.Part: " OTHER_SCHEMA},
        {field_renumbered, "testapi.v1.Part: " OTHER_SCHEMA},
        {field_missing, "testapi.v1.Part: " OTHER_SCHEMA},
        {entry_for_a_single_field, "testapi.v1.Thing.part: a map entry is no type for a field"},
        {entry_of_many_fields, "testapi.v1.Thing: " OTHER_SCHEMA},
    };
    edit_assert_refusals(refusals, sizeof refusals / sizeof refusals[0]);
}

/* ---- types without a REST form: the C descriptors are changed, since they tell the type ---- */

#define MAX_FIELDS 32

struct copied_message {
    ProtobufCMessageDescriptor descriptor;
    ProtobufCFieldDescriptor fields[MAX_FIELDS];
};

static void copy_message(const ProtobufCMessageDescriptor *from, struct copied_message *to)
{
    assert_true(from->n_fields <= MAX_FIELDS);
    to->descriptor = *from;
    memcpy(to->fields, from->fields, from->n_fields * sizeof *from->fields);
    to->descriptor.fields = to->fields;
}

/* The service, whose first method takes a request of its own. */
struct copied_service {
    ProtobufCServiceDescriptor descriptor;
    ProtobufCMethodDescriptor methods[7];
    struct copied_message request;
};

static void copy_service(struct edit *edit, struct copied_service *to)
{
    const ProtobufCServiceDescriptor *from = edit->service;
    assert_int_equal(from->n_methods, 7);
    to->descriptor = *from;
    memcpy(to->methods, from->methods, sizeof to->methods);
    to->descriptor.methods = to->methods;
    copy_message(from->methods[0].input, &to->request);
    to->methods[0].input = &to->request.descriptor;
    edit->service = &to->descriptor;
}

static ProtobufCFieldDescriptor *copied_field(struct copied_message *message, const char *name)
{
    for (size_t i = 0; i < message->descriptor.n_fields; i++) {
        if (strcmp(message->fields[i].name, name) == 0)
            return &message->fields[i];
    }
    fail_msg("no field %s", name);
    return NULL;
}

static void test_create_bytes_field_refused(void **state)
{
    (void)state;
    struct edit edit;
    struct copied_service service;
    edit_open(&edit);
    copy_service(&edit, &service);
    copied_field(&service.request, "level")->type = PROTOBUF_C_TYPE_BYTES;
    edit_assert_refused(&edit, REQUEST ".level: a bytes field has no form in REST JSON");
}

static void test_create_proto2_field_refused(void **state)
{
    (void)state;
    static const char *const message =
        REQUEST ".level: a field that is required or has a default is not supported";
    struct edit edit;
    struct copied_service service;
    static const ProtobufCLabel labels[] = {PROTOBUF_C_LABEL_REQUIRED, PROTOBUF_C_LABEL_NONE};
    for (size_t i = 0; i < 2; i++) {
        edit_open(&edit);
        copy_service(&edit, &service);
        copied_field(&service.request, "level")->label = labels[i];
        edit_assert_refused(&edit, message);
    }
    static const int32_t level = 7;
    edit_open(&edit);
    copy_service(&edit, &service);
    copied_field(&service.request, "level")->default_value = &level;
    edit_assert_refused(&edit, message);
}

static void test_create_map_that_is_no_object_refused(void **state)
{
    (void)state;
    struct edit edit;
    struct copied_service service;
    struct copied_message entry;

    edit_open(&edit);
    copy_service(&edit, &service);
    ProtobufCFieldDescriptor *labels = copied_field(&service.request, "labels");
    copy_message(labels->descriptor, &entry);
    labels->descriptor = &entry.descriptor;
    entry.fields[0].type = PROTOBUF_C_TYPE_INT32;
    edit_assert_refused(&edit, REQUEST ".LabelsEntry: the keys of a map must be strings");

    for (size_t i = 0; i < 2; i++) {
        edit_open(&edit);
        copy_service(&edit, &service);
        labels = copied_field(&service.request, "labels");
        copy_message(labels->descriptor, &entry);
        labels->descriptor = &entry.descriptor;
        entry.fields[i].label = PROTOBUF_C_LABEL_REPEATED;
        edit_assert_refused(&edit, REQUEST ".LabelsEntry: the key and value of a map must be single");
    }
}

static void test_create_two_field_masks_refused(void **state)
{
    (void)state;
    struct edit edit;
    struct copied_service service;
    edit_open(&edit);
    copy_service(&edit, &service);
    /* The mask's type in the place of another message. */
    ProtobufCFieldDescriptor *thing = copied_field(&service.request, "thing");
    thing->descriptor = copied_field(&service.request, "update_mask")->descriptor;
    edit_assert_refused(&edit, UPDATE "has more than one field mask");

    edit_open(&edit);
    copy_service(&edit, &service);
    copied_field(&service.request, "update_mask")->label = PROTOBUF_C_LABEL_REPEATED;
    edit_assert_refused(&edit, UPDATE "has more than one field mask");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_route_that_cannot_be_refused),
        cmocka_unit_test(test_create_one_path_with_two_verbs_compiles),
        cmocka_unit_test(test_create_streaming_method_without_route_compiles),
        cmocka_unit_test(test_create_ambiguous_json_refused),
        cmocka_unit_test(test_create_set_of_another_schema_refused),
        cmocka_unit_test(test_create_bytes_field_refused),
        cmocka_unit_test(test_create_proto2_field_refused),
        cmocka_unit_test(test_create_map_that_is_no_object_refused),
        cmocka_unit_test(test_create_two_field_masks_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
