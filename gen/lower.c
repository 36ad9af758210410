#include "lower.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where in the set the work is, for messages. */
struct place {
    const char *file;
    const char *message; /* NULL outside a message */
    char *error;
    size_t error_cap;
};

static const char *or_unnamed(const char *name)
{
    return name && *name ? name : "(unnamed)";
}

/* Always false, so that a failing function can end with `return fail(...)`. */
__attribute__((format(printf, 3, 4))) static bool fail(const struct place *place, const char *name,
                                                       const char *format, ...)
{
    char why[128];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    snprintf(place->error, place->error_cap, "%s: %s%s%s: %s", or_unnamed(place->file),
             place->message ? place->message : "", place->message ? "." : "", or_unnamed(name), why);
    return false;
}

static bool is_packable(Google__Protobuf__FieldDescriptorProto__Type type)
{
    switch (type) {
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING:
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BYTES:
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE:
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_GROUP:
        return false;
    default:
        return true;
    }
}

/* In proto3 a repeated scalar is packed unless it says otherwise; in proto2 it has to say so. */
static bool state_packing(Google__Protobuf__FieldDescriptorProto *field, const struct place *place)
{
    if (field->label != GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED) {
        return true;
    }
    if (!field->has_type) {
        return fail(place, field->name, "has no type");
    }
    if (!is_packable(field->type) || (field->options && field->options->has_packed)) {
        return true;
    }
    if (!field->options) {
        field->options = calloc(1, sizeof *field->options);
        if (!field->options) {
            return fail(place, field->name, "out of memory");
        }
        google__protobuf__field_options__init(field->options);
    }
    field->options->has_packed = 1;
    field->options->packed = 1;
    return true;
}

static bool lower_extensions(Google__Protobuf__FieldDescriptorProto **extensions, size_t count,
                             const struct place *place)
{
    for (size_t i = 0; i < count; i++) {
        /* An optional extension carries the flag without a oneof. */
        extensions[i]->has_proto3_optional = 0;
        extensions[i]->proto3_optional = 0;
        if (!state_packing(extensions[i], place)) {
            return false;
        }
    }
    return true;
}

static bool check_oneofs(const Google__Protobuf__DescriptorProto *message, const struct place *place)
{
    for (size_t i = 0; i < message->n_field; i++) {
        const Google__Protobuf__FieldDescriptorProto *field = message->field[i];

        if (field->has_oneof_index &&
            (field->oneof_index < 0 || (size_t)field->oneof_index >= message->n_oneof_decl)) {
            return fail(place, field->name, "oneof_index %d is out of range", field->oneof_index);
        }
        if (field->proto3_optional && !field->has_oneof_index) {
            return fail(place, field->name, "proto3_optional without a oneof");
        }
    }
    return true;
}

/* Takes the oneof of the optional field |owner| out of |message|; the indexes behind it move down by one. */
static bool drop_oneof(Google__Protobuf__DescriptorProto *message,
                       Google__Protobuf__FieldDescriptorProto *owner, const struct place *place)
{
    int32_t dropped = owner->oneof_index;
    size_t at = (size_t)dropped;

    for (size_t i = 0; i < message->n_field; i++) {
        Google__Protobuf__FieldDescriptorProto *field = message->field[i];

        if (field == owner || !field->has_oneof_index) {
            continue;
        }
        if (field->oneof_index == dropped) {
            return fail(place, field->name, "shares its oneof with the optional field %s",
                        or_unnamed(owner->name));
        }
        if (field->oneof_index > dropped) {
            field->oneof_index--;
        }
    }
    owner->has_oneof_index = 0;
    owner->oneof_index = 0;
    owner->has_proto3_optional = 0;
    owner->proto3_optional = 0;

    google__protobuf__oneof_descriptor_proto__free_unpacked(message->oneof_decl[at], NULL);
    message->n_oneof_decl--;
    memmove(message->oneof_decl + at, message->oneof_decl + at + 1,
            (message->n_oneof_decl - at) * sizeof *message->oneof_decl);
    return true;
}

static bool lower_message(Google__Protobuf__DescriptorProto *message, const struct place *outer)
{
    struct place place = *outer;

    place.message = or_unnamed(message->name);
    if (!check_oneofs(message, &place)) {
        return false;
    }
    for (size_t i = 0; i < message->n_field; i++) {
        Google__Protobuf__FieldDescriptorProto *field = message->field[i];

        if (field->proto3_optional && !drop_oneof(message, field, &place)) {
            return false;
        }
        field->has_proto3_optional = 0;
        if (!state_packing(field, &place)) {
            return false;
        }
    }
    if (!lower_extensions(message->extension, message->n_extension, &place)) {
        return false;
    }
    for (size_t i = 0; i < message->n_nested_type; i++) {
        if (!lower_message(message->nested_type[i], &place)) {
            return false;
        }
    }
    return true;
}

static bool lower_file(Google__Protobuf__FileDescriptorProto *file, const struct place *place)
{
    /* protoc leaves `syntax` out for proto2. */
    if (!file->syntax || !*file->syntax || strcmp(file->syntax, "proto2") == 0) {
        return true;
    }
    if (strcmp(file->syntax, "proto3") != 0) {
        return fail(place, "syntax", "\"%s\" is neither proto2 nor proto3", file->syntax);
    }
    free(file->syntax);
    file->syntax = NULL;

    for (size_t i = 0; i < file->n_message_type; i++) {
        if (!lower_message(file->message_type[i], place)) {
            return false;
        }
    }
    return lower_extensions(file->extension, file->n_extension, place);
}

bool br_lower_set(Google__Protobuf__FileDescriptorSet *set, char *error, size_t error_cap)
{
    for (size_t i = 0; i < set->n_file; i++) {
        struct place place = {.file = set->file[i]->name, .error = error, .error_cap = error_cap};

        if (!lower_file(set->file[i], &place)) {
            return false;
        }
    }
    return true;
}
