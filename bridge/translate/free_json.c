#include "translate/free_json.h"

#include "contract/field.h"
#include "translate/json_write.h"
#include "translate/keyed.h"

#include <google/protobuf/struct.pb-c.h>
#include <math.h>
#include <string.h>

static enum br_free_json write_value(const Google__Protobuf__Value *value, cJSON **out);

static enum br_free_json write_list(const Google__Protobuf__ListValue *list, cJSON **out)
{
    cJSON *array = cJSON_CreateArray();
    if (array == NULL) {
        return BR_FREE_JSON_NO_MEMORY;
    }
    for (size_t i = 0; list != NULL && i < list->n_values; i++) {
        cJSON *item;
        enum br_free_json result = write_value(list->values[i], &item);
        if (result != BR_FREE_JSON_OK) {
            cJSON_Delete(array);
            return result;
        }
        cJSON_AddItemToArray(array, item);
    }
    *out = array;
    return BR_FREE_JSON_OK;
}

static enum br_free_json write_members(const struct br_keyed *members, size_t count, cJSON *object)
{
    for (size_t i = 0; i < count; i++) {
        cJSON *item;
        enum br_free_json result = write_value(members[i].value, &item);
        if (result != BR_FREE_JSON_OK) {
            return result;
        }
        cJSON_AddItemToObjectCS(object, members[i].key, item);
    }
    return BR_FREE_JSON_OK;
}

static enum br_free_json write_struct(const Google__Protobuf__Struct *message, cJSON **out)
{
    size_t count = message != NULL ? message->n_fields : 0;
    struct br_keyed *members = cJSON_malloc((count + 1) * sizeof *members);
    cJSON *object = cJSON_CreateObject();
    enum br_free_json result = BR_FREE_JSON_NO_MEMORY;
    if (members == NULL || object == NULL) {
        goto done;
    }

    for (size_t i = 0; i < count; i++) {
        const Google__Protobuf__Struct__FieldsEntry *entry = message->fields[i];
        members[i] = (struct br_keyed){.key = entry->key != NULL ? entry->key : "", .value = entry->value};
    }
    result = write_members(members, br_keyed_keep_last(members, count), object);
    if (result == BR_FREE_JSON_OK) {
        *out = object;
        object = NULL;
    }
done:
    cJSON_Delete(object);
    cJSON_free(members);
    return result;
}

static enum br_free_json write_value(const Google__Protobuf__Value *value, cJSON **out)
{
    cJSON *json = NULL;
    char number[BR_JSON_NUMBER_CAP];

    switch (value != NULL ? value->kind_case : GOOGLE__PROTOBUF__VALUE__KIND__NOT_SET) {
    case GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE:
        if (!isfinite(value->number_value)) {
            return BR_FREE_JSON_NOT_FINITE;
        }
        br_json_number_text(value->number_value, number);
        json = cJSON_CreateRaw(number);
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE:
        json = cJSON_CreateStringReference(value->string_value);
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE:
        json = cJSON_CreateBool(value->bool_value);
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE:
        return write_struct(value->struct_value, out);
    case GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE:
        return write_list(value->list_value, out);
    default:
        json = cJSON_CreateNull();
        break;
    }
    if (json == NULL) {
        return BR_FREE_JSON_NO_MEMORY;
    }
    *out = json;
    return BR_FREE_JSON_OK;
}

enum br_free_json br_free_json_write(enum br_shape shape, const ProtobufCMessage *message, cJSON **out)
{
    if (shape == BR_SHAPE_STRUCT) {
        return write_struct((const Google__Protobuf__Struct *)message, out);
    }
    if (shape == BR_SHAPE_LIST) {
        return write_list((const Google__Protobuf__ListValue *)message, out);
    }
    return write_value((const Google__Protobuf__Value *)message, out);
}

static size_t count_children(const cJSON *json)
{
    size_t count = 0;
    for (const cJSON *child = json->child; child != NULL; child = child->next) {
        count++;
    }
    return count;
}

static enum br_free_json read_value(const cJSON *json, struct br_arena *arena, ProtobufCMessage **out);

static enum br_free_json read_list(const cJSON *json, struct br_arena *arena, ProtobufCMessage **out)
{
    bool is_list = cJSON_IsArray(json);
    size_t count = is_list ? count_children(json) : 1;
    ProtobufCMessage *message = br_message_new(&google__protobuf__list_value__descriptor, arena);
    Google__Protobuf__Value **values = br_arena_alloc(arena, count * sizeof *values);
    if (message == NULL || values == NULL) {
        return BR_FREE_JSON_NO_MEMORY;
    }

    const cJSON *child = is_list ? json->child : json;
    for (size_t i = 0; i < count; i++) {
        ProtobufCMessage *value;
        enum br_free_json result = read_value(child, arena, &value);
        if (result != BR_FREE_JSON_OK) {
            return result;
        }
        values[i] = (Google__Protobuf__Value *)value;
        child = child->next;
    }
    Google__Protobuf__ListValue *list = (Google__Protobuf__ListValue *)message;
    list->values = values;
    list->n_values = count;
    *out = message;
    return BR_FREE_JSON_OK;
}

static enum br_free_json read_entry(const struct br_keyed *member, struct br_arena *arena,
                                    Google__Protobuf__Struct__FieldsEntry **out)
{
    ProtobufCMessage *message = br_message_new(&google__protobuf__struct__fields_entry__descriptor, arena);
    char *key = br_arena_strndup(arena, member->key, strlen(member->key));
    if (message == NULL || key == NULL) {
        return BR_FREE_JSON_NO_MEMORY;
    }
    ProtobufCMessage *value;
    enum br_free_json result = read_value(member->value, arena, &value);
    if (result != BR_FREE_JSON_OK) {
        return result;
    }
    Google__Protobuf__Struct__FieldsEntry *entry = (Google__Protobuf__Struct__FieldsEntry *)message;
    entry->key = key;
    entry->value = (Google__Protobuf__Value *)value;
    *out = entry;
    return BR_FREE_JSON_OK;
}

static enum br_free_json read_struct(const cJSON *json, struct br_arena *arena, ProtobufCMessage **out)
{
    size_t count = count_children(json);
    ProtobufCMessage *message = br_message_new(&google__protobuf__struct__descriptor, arena);
    Google__Protobuf__Struct__FieldsEntry **entries = br_arena_alloc(arena, count * sizeof *entries);
    struct br_keyed *members = cJSON_malloc((count + 1) * sizeof *members);
    enum br_free_json result = BR_FREE_JSON_NO_MEMORY;
    if (message == NULL || entries == NULL || members == NULL) {
        goto done;
    }

    const cJSON *child = json->child;
    for (size_t i = 0; i < count; i++) {
        members[i] = (struct br_keyed){.key = child->string, .value = child};
        child = child->next;
    }
    count = br_keyed_keep_last(members, count);
    result = BR_FREE_JSON_OK;
    for (size_t i = 0; i < count && result == BR_FREE_JSON_OK; i++) {
        result = read_entry(&members[i], arena, &entries[i]);
    }
    if (result == BR_FREE_JSON_OK) {
        Google__Protobuf__Struct *object = (Google__Protobuf__Struct *)message;
        object->fields = entries;
        object->n_fields = count;
        *out = message;
    }
done:
    cJSON_free(members);
    return result;
}

static enum br_free_json read_value(const cJSON *json, struct br_arena *arena, ProtobufCMessage **out)
{
    ProtobufCMessage *message = br_message_new(&google__protobuf__value__descriptor, arena);
    if (message == NULL) {
        return BR_FREE_JSON_NO_MEMORY;
    }
    Google__Protobuf__Value *value = (Google__Protobuf__Value *)message;
    ProtobufCMessage *inner;
    enum br_free_json result = BR_FREE_JSON_OK;

    if (cJSON_IsNumber(json)) {
        if (!isfinite(json->valuedouble)) {
            return BR_FREE_JSON_NOT_FINITE;
        }
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
        value->number_value = json->valuedouble;
    } else if (cJSON_IsString(json)) {
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
        value->string_value = br_arena_strndup(arena, json->valuestring, strlen(json->valuestring));
        if (value->string_value == NULL) {
            return BR_FREE_JSON_NO_MEMORY;
        }
    } else if (cJSON_IsBool(json)) {
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE;
        value->bool_value = cJSON_IsTrue(json);
    } else if (cJSON_IsObject(json)) {
        result = read_struct(json, arena, &inner);
        if (result != BR_FREE_JSON_OK) {
            return result;
        }
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE;
        value->struct_value = (Google__Protobuf__Struct *)inner;
    } else if (cJSON_IsArray(json)) {
        result = read_list(json, arena, &inner);
        if (result != BR_FREE_JSON_OK) {
            return result;
        }
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
        value->list_value = (Google__Protobuf__ListValue *)inner;
    } else {
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE;
    }
    *out = message;
    return BR_FREE_JSON_OK;
}

enum br_free_json br_free_json_read(enum br_shape shape, const cJSON *json, struct br_arena *arena,
                                    ProtobufCMessage **out)
{
    if (shape == BR_SHAPE_STRUCT) {
        return read_struct(json, arena, out);
    }
    if (shape == BR_SHAPE_LIST) {
        return read_list(json, arena, out);
    }
    return read_value(json, arena, out);
}
