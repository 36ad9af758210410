#include "contract/field.h"

#include <assert.h>
#include <string.h>

static void *member_at(const ProtobufCMessage *message, size_t offset)
{
    return (char *)(uintptr_t)message + offset;
}

static bool is_list(const struct br_field_plan *field)
{
    return field->label != BR_LABEL_SINGULAR;
}

static bool is_oneof(const struct br_field_plan *field)
{
    return (field->descriptor->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

/* Strings and messages are pointers, and say by NULL that they are unset; other kinds have a flag beside them. */
static bool is_pointer(const struct br_field_plan *field)
{
    return field->kind == BR_KIND_STRING || field->kind == BR_KIND_MESSAGE;
}

static size_t element_size(enum br_kind kind)
{
    switch (kind) {
    case BR_KIND_INT32:
    case BR_KIND_UINT32:
    case BR_KIND_FLOAT:
    case BR_KIND_ENUM:
        return 4;
    case BR_KIND_INT64:
    case BR_KIND_UINT64:
    case BR_KIND_DOUBLE:
        return 8;
    case BR_KIND_BOOL:
        return sizeof(protobuf_c_boolean);
    case BR_KIND_STRING:
    case BR_KIND_MESSAGE:
        return sizeof(void *);
    }
    return 0;
}

static union br_value load(enum br_kind kind, const void *at)
{
    union br_value value = {0};
    switch (kind) {
    case BR_KIND_INT32:
    case BR_KIND_ENUM:
        value.integer = *(const int32_t *)at;
        break;
    case BR_KIND_INT64:
        value.integer = *(const int64_t *)at;
        break;
    case BR_KIND_UINT32:
        value.natural = *(const uint32_t *)at;
        break;
    case BR_KIND_UINT64:
        value.natural = *(const uint64_t *)at;
        break;
    case BR_KIND_FLOAT:
        value.real = (double)*(const float *)at;
        break;
    case BR_KIND_DOUBLE:
        value.real = *(const double *)at;
        break;
    case BR_KIND_BOOL:
        value.truth = *(const protobuf_c_boolean *)at != 0;
        break;
    case BR_KIND_STRING:
        value.text = *(char *const *)at;
        if (value.text == NULL) {
            value.text = "";
        }
        break;
    case BR_KIND_MESSAGE:
        value.message = *(ProtobufCMessage *const *)at;
        break;
    }
    return value;
}

static void store(enum br_kind kind, void *at, union br_value value)
{
    switch (kind) {
    case BR_KIND_INT32:
    case BR_KIND_ENUM:
        *(int32_t *)at = (int32_t)value.integer;
        break;
    case BR_KIND_INT64:
        *(int64_t *)at = value.integer;
        break;
    case BR_KIND_UINT32:
        *(uint32_t *)at = (uint32_t)value.natural;
        break;
    case BR_KIND_UINT64:
        *(uint64_t *)at = value.natural;
        break;
    case BR_KIND_FLOAT:
        *(float *)at = (float)value.real;
        break;
    case BR_KIND_DOUBLE:
        *(double *)at = value.real;
        break;
    case BR_KIND_BOOL:
        *(protobuf_c_boolean *)at = value.truth;
        break;
    case BR_KIND_STRING:
        *(const char **)at = value.text;
        break;
    case BR_KIND_MESSAGE:
        *(ProtobufCMessage **)at = value.message;
        break;
    }
}

bool br_field_has(const ProtobufCMessage *message, const struct br_field_plan *field)
{
    return br_field_count(message, field) > 0;
}

size_t br_field_count(const ProtobufCMessage *message, const struct br_field_plan *field)
{
    const void *quantifier = member_at(message, field->descriptor->quantifier_offset);
    if (is_list(field)) {
        return *(const size_t *)quantifier;
    }
    if (is_oneof(field) && *(const uint32_t *)quantifier != field->number) {
        return 0;
    }
    if (is_pointer(field)) {
        return *(void *const *)member_at(message, field->descriptor->offset) != NULL;
    }
    return is_oneof(field) || *(const protobuf_c_boolean *)quantifier;
}

union br_value br_field_get(const ProtobufCMessage *message, const struct br_field_plan *field, size_t index)
{
    const char *at = member_at(message, field->descriptor->offset);
    if (is_list(field)) {
        at = *(char *const *)at + index * element_size(field->kind);
    }
    return load(field->kind, at);
}

void br_field_set(ProtobufCMessage *message, const struct br_field_plan *field, union br_value value)
{
    assert(!is_list(field));
    void *quantifier = member_at(message, field->descriptor->quantifier_offset);
    if (is_oneof(field)) {
        *(uint32_t *)quantifier = field->number;
    } else if (!is_pointer(field)) {
        *(protobuf_c_boolean *)quantifier = 1;
    }
    store(field->kind, member_at(message, field->descriptor->offset), value);
}

bool br_field_reserve(ProtobufCMessage *message, const struct br_field_plan *field, size_t capacity,
                      struct br_arena *arena)
{
    assert(is_list(field));
    br_field_clear(message, field);
    if (capacity == 0) {
        return true;
    }
    size_t size = element_size(field->kind);
    /* No arena holds SIZE_MAX bytes. */
    void *elements = br_arena_alloc(arena, capacity <= SIZE_MAX / size ? capacity * size : SIZE_MAX);
    *(void **)member_at(message, field->descriptor->offset) = elements;
    return elements != NULL;
}

void br_field_append(ProtobufCMessage *message, const struct br_field_plan *field, union br_value value)
{
    size_t *count = member_at(message, field->descriptor->quantifier_offset);
    char *elements = *(char **)member_at(message, field->descriptor->offset);
    store(field->kind, elements + *count * element_size(field->kind), value);
    ++*count;
}

void br_field_clear(ProtobufCMessage *message, const struct br_field_plan *field)
{
    void *quantifier = member_at(message, field->descriptor->quantifier_offset);
    void *member = member_at(message, field->descriptor->offset);
    if (is_list(field)) {
        *(size_t *)quantifier = 0;
        *(void **)member = NULL;
    } else if (is_oneof(field)) {
        if (*(uint32_t *)quantifier == field->number) {
            *(uint32_t *)quantifier = 0;
            memset(member, 0, element_size(field->kind));
        }
    } else if (is_pointer(field)) {
        *(void **)member = NULL;
    } else {
        *(protobuf_c_boolean *)quantifier = 0;
    }
}

ProtobufCMessage *br_message_new(const ProtobufCMessageDescriptor *descriptor, struct br_arena *arena)
{
    ProtobufCMessage *message = br_arena_alloc(arena, descriptor->sizeof_message);
    if (message != NULL) {
        protobuf_c_message_init(descriptor, message);
    }
    return message;
}

static void *allocate(void *arena, size_t size)
{
    return br_arena_alloc(arena, size);
}

/* The arena releases everything together. */
static void release(void *arena, void *block)
{
    (void)arena;
    (void)block;
}

ProtobufCMessage *br_message_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
                                    size_t len, struct br_arena *arena)
{
    ProtobufCAllocator allocator = {.alloc = allocate, .free = release, .allocator_data = arena};
    return protobuf_c_message_unpack(descriptor, &allocator, len, bytes);
}
