#include "translate/json_write.h"

#include "base/parse.h"
#include "contract/field.h"
#include "translate/free_json.h"
#include "translate/keyed.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for the text of a place in an error. */
#define PLACE_BYTES 16384

#define TWO_TO_53 9007199254740992.0

/*
 * Writers return the new cJSON item, or NULL with |st| set; NULL with |st| untouched (BR_OK) means that the
 * value has no JSON form and is left out.
 */

static bool fail_no_memory(struct br_status *st)
{
    return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                         "out of memory while a message was written as JSON");
}

static void fail_not_finite(const struct br_place *place, struct br_status *st)
{
    struct br_arena arena;
    br_arena_init(&arena, PLACE_BYTES);
    const char *where = place != NULL ? br_place_text(place, &arena) : "the value";
    (void)br_status_set(st, BR_INVALID_ARGUMENT, "VALIDATION_FAILED",
                        "%s: must be finite; JSON has no NaN or infinity",
                        where != NULL ? where : place->name);
    br_arena_finish(&arena);
}

/* |item|, or the failure that a NULL stands for. */
static cJSON *created(cJSON *item, struct br_status *st)
{
    if (item == NULL) {
        (void)fail_no_memory(st);
    }
    return item;
}

/* A whole number, which every reader of JSON numbers takes exactly. */
static bool is_plain_whole(double value)
{
    return fabs(value) < TWO_TO_53 && trunc(value) == value;
}

void br_json_number_text(double value, char text[BR_JSON_NUMBER_CAP])
{
    if (is_plain_whole(value)) {
        (void)snprintf(text, BR_JSON_NUMBER_CAP, "%.0f", value);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        double back;
        int len = snprintf(text, BR_JSON_NUMBER_CAP, "%.*g", digits, value);
        if (br_parse_double(text, (size_t)len, &back) && back == value) {
            return;
        }
    }
}

/*
 * The same for a float. Its reader takes the digits for a float at once, or for a double that it then rounds: that is
 * another float where the digits are next to the middle between two.
 */
static void float_text(float value, char text[BR_JSON_NUMBER_CAP])
{
    if (is_plain_whole((double)value)) {
        (void)snprintf(text, BR_JSON_NUMBER_CAP, "%.0f", (double)value);
        return;
    }
    for (int digits = 1; digits <= 9; digits++) {
        double back;
        int len = snprintf(text, BR_JSON_NUMBER_CAP, "%.*g", digits, (double)value);
        /* strtof(): br_parse_double() is the other way. */
        if (strtof(text, NULL) == value && br_parse_double(text, (size_t)len, &back) &&
            (float)back == value) {
            return;
        }
    }
}

static cJSON *write_fields(const struct br_message_plan *plan, const ProtobufCMessage *message,
                           const struct br_json_filter *filter, const struct br_place *parent,
                           struct br_status *st);

static cJSON *write_message(const struct br_message_plan *plan, const ProtobufCMessage *message,
                            const struct br_mask *mask, const struct br_place *place, struct br_status *st)
{
    if (plan->shape == BR_SHAPE_FIELDS) {
        struct br_json_filter filter = {.mask = mask};
        return write_fields(plan, message, &filter, place, st);
    }
    cJSON *json = NULL;
    switch (br_free_json_write(plan->shape, message, &json)) {
    case BR_FREE_JSON_OK:
        break;
    case BR_FREE_JSON_NO_MEMORY:
        (void)fail_no_memory(st);
        break;
    case BR_FREE_JSON_NOT_FINITE:
        fail_not_finite(place, st);
        break;
    }
    return json;
}

static cJSON *write_literal(const struct br_enum_plan *plan, int64_t number, struct br_status *st)
{
    for (size_t i = 0; i < plan->value_count; i++) {
        if (plan->values[i].number == number && plan->values[i].literal != NULL) {
            return created(cJSON_CreateStringReference(plan->values[i].literal), st);
        }
    }
    return NULL;
}

/* One value of |field|; a message may be NULL and is then the empty one. */
static cJSON *write_value(const struct br_field_plan *field, union br_value value, const struct br_mask *mask,
                          const struct br_place *place, struct br_status *st)
{
    char number[BR_JSON_NUMBER_CAP];
    switch (field->kind) {
    case BR_KIND_INT32:
    case BR_KIND_INT64:
        (void)snprintf(number, sizeof number, "%" PRId64, value.integer);
        return created(cJSON_CreateRaw(number), st);
    case BR_KIND_UINT32:
    case BR_KIND_UINT64:
        (void)snprintf(number, sizeof number, "%" PRIu64, value.natural);
        return created(cJSON_CreateRaw(number), st);
    case BR_KIND_FLOAT:
    case BR_KIND_DOUBLE:
        if (!isfinite(value.real)) {
            fail_not_finite(place, st);
            return NULL;
        }
        if (field->kind == BR_KIND_FLOAT) {
            float_text((float)value.real, number);
        } else {
            br_json_number_text(value.real, number);
        }
        return created(cJSON_CreateRaw(number), st);
    case BR_KIND_BOOL:
        return created(cJSON_CreateBool(value.truth), st);
    case BR_KIND_STRING:
        return created(cJSON_CreateStringReference(value.text), st);
    case BR_KIND_ENUM:
        return write_literal(field->enumeration, value.integer, st);
    case BR_KIND_MESSAGE:
        return write_message(field->message, value.message, mask, place, st);
    }
    return NULL;
}

static cJSON *write_list(const struct br_field_plan *field, const ProtobufCMessage *message, size_t count,
                         const struct br_mask *mask, struct br_place *place, struct br_status *st)
{
    cJSON *list = created(cJSON_CreateArray(), st);
    for (size_t i = 0; list != NULL && i < count; i++) {
        place->index = i;
        cJSON *item = write_value(field, br_field_get(message, field, i), mask, place, st);
        if (item != NULL) {
            cJSON_AddItemToArray(list, item);
        } else if (st->code != BR_OK) {
            cJSON_Delete(list);
            return NULL;
        }
    }
    return list;
}

/* Adds |count| |entries| of the map |field| to |object|. */
static bool write_entries(const struct br_field_plan *field, const struct br_keyed *entries, size_t count,
                          cJSON *object, const struct br_place *parent, struct br_status *st)
{
    const struct br_field_plan *value_field = &field->message->fields[1];
    for (size_t i = 0; i < count; i++) {
        struct br_place place = {
            .parent = parent, .name = entries[i].key, .index = BR_PLACE_NO_INDEX, .is_key = true};
        /* An entry without a value has the empty one. */
        union br_value value = {0};
        if (br_field_has(entries[i].value, value_field)) {
            value = br_field_get(entries[i].value, value_field, 0);
        } else if (value_field->kind == BR_KIND_STRING) {
            value.text = "";
        }
        cJSON *item = write_value(value_field, value, NULL, &place, st);
        if (item != NULL) {
            cJSON_AddItemToObjectCS(object, entries[i].key, item);
        } else if (st->code != BR_OK) {
            return false;
        }
    }
    return true;
}

static cJSON *write_map(const struct br_field_plan *field, const ProtobufCMessage *message, size_t count,
                        const struct br_place *place, struct br_status *st)
{
    const struct br_field_plan *key_field = &field->message->fields[0];
    struct br_keyed *entries = cJSON_malloc((count + 1) * sizeof *entries);
    cJSON *object = cJSON_CreateObject();
    bool done = false;
    if (entries == NULL || object == NULL) {
        (void)fail_no_memory(st);
    } else {
        for (size_t i = 0; i < count; i++) {
            const ProtobufCMessage *entry = br_field_get(message, field, i).message;
            bool has_key = br_field_has(entry, key_field);
            entries[i] = (struct br_keyed){.key = has_key ? br_field_get(entry, key_field, 0).text : "",
                                           .value = entry};
        }
        count = br_keyed_keep_last(entries, count);
        done = write_entries(field, entries, count, object, place, st);
    }
    cJSON_free(entries);
    if (!done) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

/* The unset singular message |field|: an object of what |mask| names inside it; NULL when that is nothing. */
static cJSON *write_unset_message(const struct br_field_plan *field, const struct br_mask *mask,
                                  const struct br_place *place, struct br_status *st)
{
    if (mask->children == NULL || field->message->shape != BR_SHAPE_FIELDS) {
        return NULL;
    }
    cJSON *object = write_message(field->message, NULL, mask, place, st);
    if (object == NULL || object->child != NULL) {
        return object;
    }
    cJSON_Delete(object);
    return NULL;
}

/* |field| of |message|, which is NULL when that is unset. |mask| is the node of the field; NULL: none. */
static cJSON *write_field(const struct br_field_plan *field, const ProtobufCMessage *message,
                          const struct br_mask *mask, const struct br_place *parent, struct br_status *st)
{
    struct br_place place = {.parent = parent, .name = field->name, .index = BR_PLACE_NO_INDEX};
    size_t count = message != NULL ? br_field_count(message, field) : 0;
    bool is_named = mask != NULL && mask->named;

    if (field->label == BR_LABEL_MAP) {
        return count > 0 || is_named ? write_map(field, message, count, &place, st) : NULL;
    }
    if (field->label == BR_LABEL_REPEATED) {
        return count > 0 || is_named ? write_list(field, message, count, mask, &place, st) : NULL;
    }
    if (count > 0) {
        return write_value(field, br_field_get(message, field, 0), mask, &place, st);
    }
    if (is_named && field->kind == BR_KIND_STRING) {
        return created(cJSON_CreateStringReference(""), st);
    }
    if (mask != NULL && field->kind == BR_KIND_MESSAGE) {
        return write_unset_message(field, mask, &place, st);
    }
    return NULL;
}

static bool is_left_out(const struct br_message_plan *plan, size_t index, const struct br_json_filter *filter)
{
    const struct br_field_plan *field = &plan->fields[index];
    if (field->kind == BR_KIND_MESSAGE && field->message->shape == BR_SHAPE_FIELD_MASK) {
        return true;
    }
    return filter->roles != NULL && filter->roles[index] != filter->role;
}

/* |message| NULL: an unset one. */
static cJSON *write_fields(const struct br_message_plan *plan, const ProtobufCMessage *message,
                           const struct br_json_filter *filter, const struct br_place *parent,
                           struct br_status *st)
{
    cJSON *object = created(cJSON_CreateObject(), st);
    for (size_t i = 0; object != NULL && i < plan->field_count; i++) {
        const struct br_field_plan *field = &plan->fields[i];
        if (is_left_out(plan, i, filter)) {
            continue;
        }
        cJSON *item = write_field(field, message, br_mask_child(filter->mask, field), parent, st);
        if (item != NULL) {
            cJSON_AddItemToObjectCS(object, field->key, item);
        } else if (st->code != BR_OK) {
            cJSON_Delete(object);
            return NULL;
        }
    }
    return object;
}

/* Takes |json|. */
static bool print(cJSON *json, char **text, size_t *len, struct br_status *st)
{
    char *printed = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    if (printed == NULL) {
        return fail_no_memory(st);
    }
    *text = printed;
    *len = strlen(printed);
    return true;
}

bool br_json_write(const struct br_message_plan *plan, const ProtobufCMessage *message,
                   const struct br_json_filter *filter, char **text, size_t *len, struct br_status *st)
{
    static const struct br_json_filter everything = {0};
    struct br_status failure = {0};
    cJSON *json = plan->shape == BR_SHAPE_FIELDS
                      ? write_fields(plan, message, filter != NULL ? filter : &everything, NULL, &failure)
                      : write_message(plan, message, NULL, NULL, &failure);
    if (json == NULL) {
        *st = failure;
        return false;
    }
    return print(json, text, len, st);
}

bool br_json_write_field(const struct br_field_plan *field, const ProtobufCMessage *message,
                         const struct br_mask *mask, char **text, size_t *len, struct br_status *st)
{
    struct br_status failure = {0};
    cJSON *json = write_field(field, message, mask, NULL, &failure);
    if (json == NULL && failure.code == BR_OK) {
        json = created(cJSON_CreateNull(), &failure);
    }
    if (json == NULL) {
        *st = failure;
        return false;
    }
    return print(json, text, len, st);
}
