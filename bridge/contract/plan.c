#include "contract/compile.h"
#include "contract/options.h"

#include <stdio.h>
#include <string.h>

/* Messages whose JSON form is their own. Source: https://protobuf.dev/programming-guides/json/ */
static const struct {
    const char *full_name;
    enum br_shape shape;
} known_shapes[] = {
    {"google.protobuf.Struct", BR_SHAPE_STRUCT},
    {"google.protobuf.Value", BR_SHAPE_VALUE},
    {"google.protobuf.ListValue", BR_SHAPE_LIST},
    {"google.protobuf.FieldMask", BR_SHAPE_FIELD_MASK},
};

/* Two values with one literal would be one value in JSON. Of two names for one number the first is sent. */
static bool check_literals(const struct br_enum_plan *plan, struct br_status *st)
{
    for (size_t i = 0; i < plan->value_count; i++) {
        for (size_t k = 0; plan->values[i].literal != NULL && k < i; k++) {
            const struct br_enum_value *other = &plan->values[k];
            if (other->literal != NULL && strcmp(plan->values[i].literal, other->literal) == 0) {
                return br_contract_invalid(st, plan->full_name, "two values have the literal \"%s\"",
                                           other->literal);
            }
        }
    }
    return true;
}

static bool plan_enum(struct br_contract *contract, const ProtobufCEnumDescriptor *descriptor,
                      const struct br_enum_plan **out, struct br_status *st)
{
    struct br_arena *arena = &contract->arena;
    for (const struct br_enum_node *node = contract->enums; node != NULL; node = node->next) {
        if (strcmp(node->plan.full_name, descriptor->name) == 0) {
            *out = &node->plan;
            return true;
        }
    }
    const Google__Protobuf__EnumDescriptorProto *proto = br_lookup_enum(contract, descriptor->name);
    if (proto == NULL) {
        return br_contract_invalid(st, descriptor->name, "is not in the descriptor set");
    }
    struct br_enum_node *node = br_arena_alloc(arena, sizeof *node);
    struct br_enum_value *values = br_arena_alloc(arena, proto->n_value * sizeof *values);
    if (node == NULL || values == NULL) {
        return br_arena_fail(arena, st);
    }
    for (size_t i = 0; i < proto->n_value; i++) {
        const Google__Protobuf__EnumValueDescriptorProto *value = proto->value[i];
        const char *name = value->name != NULL ? value->name : "a value";
        values[i].number = value->number;
        values[i].literal =
            value->options != NULL ? br_option_text(&value->options->base, BR_OPTION_LITERAL, arena) : NULL;
        if (arena->exhausted) {
            return br_arena_fail(arena, st);
        }
        if (values[i].literal == NULL && value->number != 0) {
            return br_contract_invalid(st, descriptor->name, "%s has no (modelarts.rest.v1.literal)", name);
        }
        if (values[i].literal != NULL && value->number == 0) {
            return br_contract_invalid(st, descriptor->name, "%s is the zero value and may have no literal",
                                       name);
        }
    }
    node->plan =
        (struct br_enum_plan){.full_name = descriptor->name, .values = values, .value_count = proto->n_value};
    if (!check_literals(&node->plan, st)) {
        return false;
    }
    node->next = contract->enums;
    contract->enums = node;
    *out = &node->plan;
    return true;
}

static bool kind_of(ProtobufCType type, enum br_kind *out)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        *out = BR_KIND_INT32;
        return true;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        *out = BR_KIND_INT64;
        return true;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        *out = BR_KIND_UINT32;
        return true;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        *out = BR_KIND_UINT64;
        return true;
    case PROTOBUF_C_TYPE_FLOAT:
        *out = BR_KIND_FLOAT;
        return true;
    case PROTOBUF_C_TYPE_DOUBLE:
        *out = BR_KIND_DOUBLE;
        return true;
    case PROTOBUF_C_TYPE_BOOL:
        *out = BR_KIND_BOOL;
        return true;
    case PROTOBUF_C_TYPE_ENUM:
        *out = BR_KIND_ENUM;
        return true;
    case PROTOBUF_C_TYPE_STRING:
        *out = BR_KIND_STRING;
        return true;
    case PROTOBUF_C_TYPE_MESSAGE:
        *out = BR_KIND_MESSAGE;
        return true;
    case PROTOBUF_C_TYPE_BYTES:
        return false;
    }
    return false;
}

static bool is_map_entry(const Google__Protobuf__DescriptorProto *proto)
{
    return proto != NULL && proto->options != NULL && proto->options->has_map_entry &&
           proto->options->map_entry;
}

/*
 * Whether the field can be read and written as proto3 has it: contract/field.c knows no required fields, and
 * takes a string that is not NULL for one that was set.
 */
static bool is_proto3(const ProtobufCFieldDescriptor *descriptor)
{
    return descriptor->label == PROTOBUF_C_LABEL_REPEATED ||
           (descriptor->label == PROTOBUF_C_LABEL_OPTIONAL && descriptor->default_value == NULL);
}

static bool plan_field(struct br_contract *contract, const ProtobufCMessageDescriptor *parent,
                       const Google__Protobuf__FieldDescriptorProto *proto, struct br_field_plan *field,
                       struct br_status *st)
{
    const ProtobufCFieldDescriptor *descriptor =
        protobuf_c_message_descriptor_get_field(parent, (unsigned)proto->number);
    if (descriptor == NULL || proto->name == NULL || strcmp(proto->name, descriptor->name) != 0) {
        return br_contract_invalid(st, parent->name, BR_OTHER_SCHEMA);
    }
    char where[256];
    (void)snprintf(where, sizeof where, "%s.%s", parent->name, proto->name);
    if (!is_proto3(descriptor)) {
        return br_contract_invalid(st, where, "a field that is required or has a default is not supported");
    }
    *field = (struct br_field_plan){
        .name = proto->name, .key = proto->name, .number = descriptor->id, .descriptor = descriptor};
    if (!kind_of(descriptor->type, &field->kind)) {
        return br_contract_invalid(st, where, "a bytes field has no form in REST JSON");
    }
    if (descriptor->label == PROTOBUF_C_LABEL_REPEATED) {
        field->label = BR_LABEL_REPEATED;
    }
    const ProtobufCMessage *options = proto->options != NULL ? &proto->options->base : NULL;
    const char *key = br_option_text(options, BR_OPTION_KEY, &contract->arena);
    if (contract->arena.exhausted) {
        return br_arena_fail(&contract->arena, st);
    }
    field->key = key != NULL ? key : field->key;
    if (field->kind == BR_KIND_ENUM &&
        !plan_enum(contract, descriptor->descriptor, &field->enumeration, st)) {
        return false;
    }
    if (field->kind == BR_KIND_MESSAGE) {
        if (!br_plan_message(contract, descriptor->descriptor, &field->message, st)) {
            return false;
        }
        if (is_map_entry(br_lookup_message(contract, field->message->full_name))) {
            if (field->label != BR_LABEL_REPEATED) {
                return br_contract_invalid(st, where, "a map entry is no type for a field");
            }
            field->label = BR_LABEL_MAP;
        }
    }
    return br_rules_of_field(contract, options, field, where, &field->rules, st);
}

/* Two fields with one key would be one value in JSON. */
static bool check_keys(const struct br_message_plan *plan, struct br_status *st)
{
    for (size_t i = 0; i < plan->field_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(plan->fields[i].key, plan->fields[k].key) == 0) {
                return br_contract_invalid(st, plan->full_name, "two fields have the REST key \"%s\"",
                                           plan->fields[i].key);
            }
        }
    }
    return true;
}

static enum br_shape shape_of(const char *full_name)
{
    for (size_t i = 0; i < sizeof known_shapes / sizeof known_shapes[0]; i++) {
        if (strcmp(known_shapes[i].full_name, full_name) == 0) {
            return known_shapes[i].shape;
        }
    }
    return BR_SHAPE_FIELDS;
}

/* A map needs string keys: JSON has no others. protoc puts the key first. */
static bool check_entry(const struct br_message_plan *plan, struct br_status *st)
{
    const struct br_field_plan *key = &plan->fields[0];
    const struct br_field_plan *value = &plan->fields[1];
    if (key->kind != BR_KIND_STRING) {
        return br_contract_invalid(st, plan->full_name, "the keys of a map must be strings");
    }
    if (key->label != BR_LABEL_SINGULAR || value->label != BR_LABEL_SINGULAR) {
        return br_contract_invalid(st, plan->full_name, "the key and value of a map must be single");
    }
    return true;
}

/* Nothing would enforce them: refuse them, like every constraint that the bridge does not know. */
static bool check_oneofs(const Google__Protobuf__DescriptorProto *proto, const char *where,
                         struct br_status *st)
{
    for (size_t i = 0; i < proto->n_oneof_decl; i++) {
        const Google__Protobuf__OneofOptions *options = proto->oneof_decl[i]->options;
        struct br_option option;
        size_t cursor = 0;
        if (options != NULL && br_option_next(&options->base, BR_OPTION_VALIDATE, &cursor, &option)) {
            return br_contract_invalid(st, where, "the rules of a oneof are not supported");
        }
    }
    return true;
}

bool br_plan_message(struct br_contract *contract, const ProtobufCMessageDescriptor *descriptor,
                     const struct br_message_plan **out, struct br_status *st)
{
    struct br_arena *arena = &contract->arena;
    for (const struct br_plan_node *node = contract->plans; node != NULL; node = node->next) {
        if (node->plan.descriptor == descriptor) {
            *out = &node->plan;
            return true;
        }
    }
    const Google__Protobuf__DescriptorProto *proto = br_lookup_message(contract, descriptor->name);
    if (proto == NULL) {
        return br_contract_invalid(st, descriptor->name, "is not in the descriptor set");
    }
    if (proto->n_field != descriptor->n_fields || (is_map_entry(proto) && proto->n_field != 2)) {
        return br_contract_invalid(st, descriptor->name, BR_OTHER_SCHEMA);
    }
    struct br_plan_node *node = br_arena_alloc(arena, sizeof *node);
    struct br_field_plan *fields = br_arena_alloc(arena, proto->n_field * sizeof *fields);
    if (node == NULL || fields == NULL) {
        return br_arena_fail(arena, st);
    }
    struct br_message_plan *plan = &node->plan;
    *plan = (struct br_message_plan){.full_name = descriptor->name,
                                     .shape = shape_of(descriptor->name),
                                     .fields = fields,
                                     .descriptor = descriptor};
    /* Known before its fields are planned: a message may hold itself. */
    node->next = contract->plans;
    contract->plans = node;
    const ProtobufCMessage *options = proto->options != NULL ? &proto->options->base : NULL;
    if (!check_oneofs(proto, plan->full_name, st) ||
        !br_rules_of_message(contract, options, plan->full_name, &plan->rules, st)) {
        return false;
    }
    for (size_t i = 0; i < proto->n_field; i++) {
        if (!plan_field(contract, descriptor, proto->field[i], &fields[plan->field_count], st)) {
            return false;
        }
        plan->field_count++;
    }
    if ((is_map_entry(proto) && !check_entry(plan, st)) || !check_keys(plan, st)) {
        return false;
    }
    *out = plan;
    return true;
}

const struct br_field_plan *br_plan_field_by_name(const struct br_message_plan *plan, const char *name,
                                                  size_t len)
{
    for (size_t i = 0; i < plan->field_count; i++) {
        const char *candidate = plan->fields[i].name;
        if (strlen(candidate) == len && memcmp(candidate, name, len) == 0) {
            return &plan->fields[i];
        }
    }
    return NULL;
}
