/*
 * Changes the descriptor set that the program was built with, in memory, and compiles a contract from it.
 *
 * Every pointer put into |set| must come from malloc: edit_close() frees the whole.
 */
#ifndef SCHEMA_EDIT_H
#define SCHEMA_EDIT_H

#include "contract/contract.h"
#include "test_contract.h"

#include <google/protobuf/descriptor.pb-c.h>
#include <stdlib.h>
#include <string.h>

struct edit {
    Google__Protobuf__FileDescriptorSet *set;
    Google__Protobuf__FileDescriptorProto *file; /* of the test API */
    const ProtobufCServiceDescriptor *service;   /* its C descriptors; a test may put in others */
    uint8_t *packed;
    struct br_schema schema;
    struct br_contract *contract; /* NULL until edit_compile() succeeds */
    struct br_status st;
};

static inline void edit_open(struct edit *edit)
{
    *edit = (struct edit){.service = br_schema_linked.services[0]};
    edit->set =
        google__protobuf__file_descriptor_set__unpack(NULL, br_schema_linked.set_len, br_schema_linked.set);
    assert_non_null(edit->set);
    for (size_t i = 0; i < edit->set->n_file; i++) {
        if (strcmp(edit->set->file[i]->package, "testapi.v1") == 0)
            edit->file = edit->set->file[i];
    }
    assert_non_null(edit->file);
}

/* Compiles the set as it is now. May be called once. */
static inline bool edit_compile(struct edit *edit)
{
    size_t len = google__protobuf__file_descriptor_set__get_packed_size(edit->set);
    edit->packed = malloc(len);
    assert_non_null(edit->packed);
    google__protobuf__file_descriptor_set__pack(edit->set, edit->packed);
    edit->schema = (struct br_schema){
        .set = edit->packed, .set_len = len, .services = &edit->service, .service_count = 1};
    return br_contract_create(&edit->schema, test_functions, test_functions_count, &edit->contract,
                              &edit->st);
}

static inline void edit_close(struct edit *edit)
{
    br_contract_destroy(edit->contract);
    google__protobuf__file_descriptor_set__free_unpacked(edit->set, NULL);
    free(edit->packed);
}

static inline Google__Protobuf__DescriptorProto *edit_message(struct edit *edit, const char *name)
{
    for (size_t i = 0; i < edit->file->n_message_type; i++) {
        if (strcmp(edit->file->message_type[i]->name, name) == 0)
            return edit->file->message_type[i];
    }
    fail_msg("no message %s", name);
    return NULL;
}

static inline Google__Protobuf__FieldDescriptorProto *edit_field(struct edit *edit, const char *message,
                                                                 const char *name)
{
    Google__Protobuf__DescriptorProto *proto = edit_message(edit, message);
    for (size_t i = 0; i < proto->n_field; i++) {
        if (strcmp(proto->field[i]->name, name) == 0)
            return proto->field[i];
    }
    fail_msg("no field %s.%s", message, name);
    return NULL;
}

static inline Google__Protobuf__MethodDescriptorProto *edit_method(struct edit *edit, const char *name)
{
    Google__Protobuf__ServiceDescriptorProto *service = edit->file->service[0];
    for (size_t i = 0; i < service->n_method; i++) {
        if (strcmp(service->method[i]->name, name) == 0)
            return service->method[i];
    }
    fail_msg("no method %s", name);
    return NULL;
}

/* |text| NULL: unset. */
static inline void edit_text(char **slot, const char *text)
{
    free(*slot);
    *slot = text != NULL ? strdup(text) : NULL;
}

/* The field's options, made if there are none. */
static inline ProtobufCMessage *edit_field_options(Google__Protobuf__FieldDescriptorProto *field)
{
    if (field->options == NULL) {
        field->options = malloc(sizeof *field->options);
        assert_non_null(field->options);
        google__protobuf__field_options__init(field->options);
    }
    return &field->options->base;
}

/* The options of the message |name|, made if there are none. */
static inline ProtobufCMessage *edit_message_options(struct edit *edit, const char *name)
{
    Google__Protobuf__DescriptorProto *message = edit_message(edit, name);
    if (message->options == NULL) {
        message->options = malloc(sizeof *message->options);
        assert_non_null(message->options);
        google__protobuf__message_options__init(message->options);
    }
    return &message->options->base;
}

/* Adds one more occurrence of the length-delimited option |number|. */
static inline void edit_add_bytes(ProtobufCMessage *options, uint32_t number, const uint8_t *bytes,
                                  size_t len)
{
    ProtobufCMessageUnknownField *fields =
        realloc(options->unknown_fields, (options->n_unknown_fields + 1) * sizeof *fields);
    assert_non_null(fields);
    options->unknown_fields = fields;
    uint8_t *data = malloc(len + 5);
    assert_non_null(data);
    size_t used = 0;
    for (size_t rest = len; used == 0 || rest > 0; rest >>= 7)
        data[used++] = (uint8_t)((rest & 0x7F) | (rest > 0x7F ? 0x80 : 0));
    if (len > 0)
        memcpy(data + used, bytes, len);
    fields[options->n_unknown_fields++] = (ProtobufCMessageUnknownField){
        .tag = number, .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, .len = used + len, .data = data};
}

static inline void edit_add_option(ProtobufCMessage *options, uint32_t number, const void *value)
{
    const ProtobufCMessage *message = value;
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(len + 1);
    assert_non_null(bytes);
    protobuf_c_message_pack(message, bytes);
    edit_add_bytes(options, number, bytes, len);
    free(bytes);
}

static inline void edit_drop_option(ProtobufCMessage *options, uint32_t number)
{
    size_t kept = 0;
    for (size_t i = 0; i < options->n_unknown_fields; i++) {
        if (options->unknown_fields[i].tag == number)
            free(options->unknown_fields[i].data);
        else
            options->unknown_fields[kept++] = options->unknown_fields[i];
    }
    options->n_unknown_fields = (unsigned)kept;
}

/* One way to spoil the schema, and the whole message that says so. */
struct edit_refusal {
    void (*spoil)(struct edit *edit);
    const char *message;
};

/* Compiles and closes |edit|, which must be refused with |message|. */
static inline void edit_assert_refused(struct edit *edit, const char *message)
{
    if (edit_compile(edit))
        fail_msg("compiles, although: %s", message);
    assert_null(edit->contract);
    assert_string_equal(edit->st.msg, message);
    assert_int_equal(edit->st.code, BR_INTERNAL);
    assert_string_equal(edit->st.reason, "CONTRACT_INVALID");
    edit_close(edit);
}

static inline void edit_assert_refusals(const struct edit_refusal *refusals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct edit edit;
        edit_open(&edit);
        refusals[i].spoil(&edit);
        edit_assert_refused(&edit, refusals[i].message);
    }
}

/* The generated structs want char *, though packing only reads. */
static inline char *edit_lit(const char *text)
{
    return (char *)(uintptr_t)text;
}

#endif
