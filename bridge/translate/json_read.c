#include "translate/json_read.h"

#include "base/parse.h"
#include "contract/field.h"
#include "translate/free_json.h"
#include "translate/json_scan.h"
#include "translate/json_write.h"
#include "translate/keyed.h"
#include "translate/violation.h"

#include <math.h>
#include <string.h>

/* Beyond this a double no longer holds every integer, so what was written may have been another one. */
#define MAX_EXACT_INTEGER 9007199254740991.0

/* What became of one JSON value that was read for a field. */
enum outcome {
    READ,
    SKIPPED, /* as if it were absent */
    FAILED,  /* the status says why */
};

struct reading {
    const struct br_json_reader *reader;
    struct br_status *st;
};

static bool fail_no_memory(struct br_status *st)
{
    return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "out of memory while JSON was read");
}

/* For an allocation that failed, in the arena or in cJSON. */
static enum outcome fail_memory(struct reading *reading)
{
    if (reading->reader->arena->exhausted) {
        (void)br_arena_fail(reading->reader->arena, reading->st);
    } else {
        (void)fail_no_memory(reading->st);
    }
    return FAILED;
}

/* |json| for people: a scalar as it was written, as far as that is known. */
static const char *quote(const cJSON *json, char out[BR_QUOTE_CAP])
{
    if (cJSON_IsString(json)) {
        return br_violation_quote(json->valuestring, out);
    }
    if (cJSON_IsBool(json)) {
        return cJSON_IsTrue(json) ? "true" : "false";
    }
    if (cJSON_IsArray(json)) {
        return "a list";
    }
    if (cJSON_IsObject(json)) {
        return "an object";
    }
    if (!cJSON_IsNumber(json)) {
        return "null";
    }
    if (!isfinite(json->valuedouble)) {
        return "the number";
    }
    br_json_number_text(json->valuedouble, out);
    return out;
}

/* |json| at |place| (NULL: the top) cannot be read; |why| goes on behind it. */
static enum outcome fail_value(struct reading *reading, const struct br_place *place, const cJSON *json,
                               const char *why)
{
    const struct br_json_reader *reader = reading->reader;
    char quoted[BR_QUOTE_CAP];
    const char *where = place != NULL ? br_place_text(place, reader->arena) : "the JSON text";
    if (where == NULL) {
        return fail_memory(reading);
    }
    (void)br_status_set(reading->st, reader->code, reader->reason, "%s: %s %s", where, quote(json, quoted),
                        why);
    return FAILED;
}

static void observe(const struct reading *reading, enum br_drift drift, const char *where, const char *what)
{
    struct br_drift_observer *observer = reading->reader->observer;
    if (observer != NULL) {
        observer->seen(observer, drift, where, what);
    }
}

/* Whether |json| is a number, or a string that holds one. */
static bool get_real(const cJSON *json, double *out)
{
    if (cJSON_IsString(json)) {
        return br_parse_double(json->valuestring, strlen(json->valuestring), out);
    }
    if (!cJSON_IsNumber(json) || !isfinite(json->valuedouble)) {
        return false;
    }
    *out = json->valuedouble;
    return true;
}

/* Whether |json| is a whole number that a double holds exactly, however it is written: 100, 100.0, "1e2". */
static bool get_exact_whole(const cJSON *json, double *out)
{
    double value;
    if (!get_real(json, &value) || trunc(value) != value || fabs(value) > MAX_EXACT_INTEGER) {
        return false;
    }
    *out = value;
    return true;
}

static bool get_signed(const cJSON *json, int64_t *out)
{
    if (cJSON_IsString(json) && br_parse_int64(json->valuestring, strlen(json->valuestring), out)) {
        return true;
    }
    double value;
    if (!get_exact_whole(json, &value)) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

static bool get_unsigned(const cJSON *json, uint64_t *out)
{
    if (cJSON_IsString(json) && br_parse_uint64(json->valuestring, strlen(json->valuestring), out)) {
        return true;
    }
    double value;
    if (!get_exact_whole(json, &value) || value < 0) {
        return false;
    }
    *out = (uint64_t)value;
    return true;
}

static bool get_truth(const cJSON *json, bool *out)
{
    bool is_true = cJSON_IsTrue(json) || (cJSON_IsString(json) && strcmp(json->valuestring, "true") == 0) ||
                   (cJSON_IsNumber(json) && json->valuedouble == 1);
    bool is_false = cJSON_IsFalse(json) ||
                    (cJSON_IsString(json) && strcmp(json->valuestring, "false") == 0) ||
                    (cJSON_IsNumber(json) && json->valuedouble == 0);
    *out = is_true;
    return is_true || is_false;
}

/* Not exactly known, since cJSON holds numbers as doubles. */
static enum outcome fail_inexact(struct reading *reading, const struct br_place *place, const cJSON *json)
{
    bool advises = reading->reader->is_input && cJSON_IsNumber(json);
    return fail_value(reading, place, json,
                      advises ? "has more digits than are read exactly; give it as text"
                              : "has more digits than are read exactly");
}

/* Why |json| was not read as a whole number of |kind|. */
static enum outcome fail_whole(struct reading *reading, const struct br_place *place, enum br_kind kind,
                               const cJSON *json)
{
    static const struct {
        double min;
        double max; /* of 64 bits: the power of two behind it */
        const char *why;
    } ranges[] = {
        [BR_KIND_INT32] = {INT32_MIN, INT32_MAX, "is not between -2147483648 and 2147483647"},
        [BR_KIND_INT64] = {-0x1p63, 0x1p63, "is not between -9223372036854775808 and 9223372036854775807"},
        [BR_KIND_UINT32] = {0, UINT32_MAX, "is not between 0 and 4294967295"},
        [BR_KIND_UINT64] = {0, 0x1p64, "is not between 0 and 18446744073709551615"},
    };
    double value;
    if (cJSON_IsNumber(json) && !isfinite(json->valuedouble)) {
        return fail_value(reading, place, json, ranges[kind].why);
    }
    if (!get_real(json, &value) || trunc(value) != value) {
        return fail_value(reading, place, json, "is not a whole number");
    }
    /* A text at the limit was read digit by digit, and found to be beyond it. */
    bool is_text = cJSON_IsString(json);
    if (value < ranges[kind].min || value > ranges[kind].max ||
        (is_text && (value == ranges[kind].min || value == ranges[kind].max))) {
        return fail_value(reading, place, json, ranges[kind].why);
    }
    return fail_inexact(reading, place, json);
}

static enum outcome fail_real(struct reading *reading, const struct br_place *place, enum br_kind kind,
                              const cJSON *json)
{
    double value;
    if (!cJSON_IsNumber(json) && !get_real(json, &value)) {
        return fail_value(reading, place, json, "is not a number");
    }
    return fail_value(reading, place, json,
                      kind == BR_KIND_FLOAT ? "is beyond the range of a float"
                                            : "is beyond the range of a double");
}

/* |json| is a number, or holds one. */
static enum outcome fail_not_finite(struct reading *reading, const struct br_place *place, const cJSON *json)
{
    return fail_value(reading, place, json,
                      cJSON_IsNumber(json) ? "is beyond the range of a double"
                                           : "holds a number beyond the range of a double");
}

/* The scalar |json| as text; NULL when it is no scalar, or a number that is not known exactly. */
static const char *get_text(const cJSON *json, char number[BR_JSON_NUMBER_CAP])
{
    if (cJSON_IsString(json)) {
        return json->valuestring;
    }
    if (cJSON_IsBool(json)) {
        return cJSON_IsTrue(json) ? "true" : "false";
    }
    if (!cJSON_IsNumber(json) || !(fabs(json->valuedouble) <= MAX_EXACT_INTEGER)) {
        return NULL;
    }
    br_json_number_text(json->valuedouble, number);
    return number;
}

/* For a NULL of get_text(). */
static enum outcome fail_text(struct reading *reading, const struct br_place *place, const cJSON *json)
{
    if (cJSON_IsNumber(json)) {
        return fail_inexact(reading, place, json);
    }
    return fail_value(reading, place, json, "is not accepted here; a text is expected");
}

static enum outcome keep_text(struct reading *reading, const char *text, union br_value *out)
{
    const char *copy = br_arena_strndup(reading->reader->arena, text, strlen(text));
    if (copy == NULL) {
        return fail_memory(reading);
    }
    out->text = copy;
    return READ;
}

static enum outcome read_text(struct reading *reading, const struct br_place *place, const cJSON *json,
                              union br_value *out)
{
    char number[BR_JSON_NUMBER_CAP];
    const char *text = get_text(json, number);
    if (text == NULL) {
        return fail_text(reading, place, json);
    }
    return keep_text(reading, text, out);
}

/* The object or list |json| as compact JSON text. By way of a message, since cJSON itself would round the numbers. */
static enum outcome read_as_text(struct reading *reading, const struct br_place *place, const cJSON *json,
                                 union br_value *out)
{
    struct br_arena *arena = reading->reader->arena;
    ProtobufCMessage *message = NULL;
    cJSON *copy = NULL;
    enum br_free_json result = br_free_json_read(BR_SHAPE_VALUE, json, arena, &message);
    if (result == BR_FREE_JSON_OK) {
        result = br_free_json_write(BR_SHAPE_VALUE, message, &copy);
    }
    if (result == BR_FREE_JSON_NOT_FINITE) {
        return fail_not_finite(reading, place, json);
    }

    char *text = copy != NULL ? cJSON_PrintUnformatted(copy) : NULL;
    cJSON_Delete(copy);
    if (text == NULL) {
        return fail_memory(reading);
    }
    enum outcome outcome = keep_text(reading, text, out);
    cJSON_free(text);
    return outcome;
}

static enum outcome read_literal(struct reading *reading, const struct br_place *place,
                                 const struct br_enum_plan *plan, const cJSON *json, union br_value *out)
{
    char number[BR_JSON_NUMBER_CAP];
    const char *text = get_text(json, number);
    if (text == NULL) {
        return fail_text(reading, place, json);
    }
    for (size_t i = 0; i < plan->value_count; i++) {
        if (plan->values[i].literal != NULL && strcmp(plan->values[i].literal, text) == 0) {
            out->integer = plan->values[i].number;
            return READ;
        }
    }
    observe(reading, BR_DRIFT_LITERAL, plan->full_name, text);
    return SKIPPED;
}

static enum outcome read_message(struct reading *reading, const struct br_place *place,
                                 const struct br_message_plan *plan, const cJSON *json,
                                 ProtobufCMessage **out);

/* One value of |field|; |json| is not null. */
static enum outcome read_value(struct reading *reading, const struct br_place *place,
                               const struct br_field_plan *field, const cJSON *json, union br_value *out)
{
    switch (field->kind) {
    case BR_KIND_INT32:
        if (!get_signed(json, &out->integer) || out->integer < INT32_MIN || out->integer > INT32_MAX) {
            return fail_whole(reading, place, field->kind, json);
        }
        return READ;
    case BR_KIND_INT64:
        if (!get_signed(json, &out->integer)) {
            return fail_whole(reading, place, field->kind, json);
        }
        return READ;
    case BR_KIND_UINT32:
        if (!get_unsigned(json, &out->natural) || out->natural > UINT32_MAX) {
            return fail_whole(reading, place, field->kind, json);
        }
        return READ;
    case BR_KIND_UINT64:
        if (!get_unsigned(json, &out->natural)) {
            return fail_whole(reading, place, field->kind, json);
        }
        return READ;
    case BR_KIND_FLOAT:
        if (!get_real(json, &out->real) || !isfinite((float)out->real)) {
            return fail_real(reading, place, field->kind, json);
        }
        return READ;
    case BR_KIND_DOUBLE:
        if (!get_real(json, &out->real)) {
            return fail_real(reading, place, field->kind, json);
        }
        return READ;
    case BR_KIND_BOOL:
        if (!get_truth(json, &out->truth)) {
            return fail_value(reading, place, json, "is not true or false");
        }
        return READ;
    case BR_KIND_STRING:
        /* A list whose elements are called strings holds rules, which are objects, in extend_config. */
        if (field->label == BR_LABEL_REPEATED && (cJSON_IsObject(json) || cJSON_IsArray(json))) {
            return read_as_text(reading, place, json, out);
        }
        return read_text(reading, place, json, out);
    case BR_KIND_ENUM:
        return read_literal(reading, place, field->enumeration, json, out);
    case BR_KIND_MESSAGE:
        return read_message(reading, place, field->message, json, &out->message);
    }
    return SKIPPED;
}

/* The children of |json| that are not null. */
static size_t count_present(const cJSON *json)
{
    size_t count = 0;
    for (const cJSON *child = json->child; child != NULL; child = child->next) {
        count += !cJSON_IsNull(child);
    }
    return count;
}

static enum outcome read_list(struct reading *reading, struct br_place *place,
                              const struct br_field_plan *field, const cJSON *json, ProtobufCMessage *message)
{
    bool is_list = cJSON_IsArray(json);
    size_t count = is_list ? count_present(json) : 1;
    if (!br_field_reserve(message, field, count, reading->reader->arena)) {
        return fail_memory(reading);
    }

    place->index = 0;
    for (const cJSON *child = is_list ? json->child : json; child != NULL; child = child->next) {
        if (!cJSON_IsNull(child)) {
            union br_value value;
            enum outcome outcome = read_value(reading, place, field, child, &value);
            if (outcome == FAILED) {
                return FAILED;
            }
            if (outcome == READ) {
                br_field_append(message, field, value);
            }
        }
        if (!is_list) {
            break;
        }
        place->index++;
    }
    return READ;
}

/* Adds the member |member| to the map |field| of |message|, where there is room for it. */
static enum outcome read_entry(struct reading *reading, const struct br_place *parent,
                               const struct br_field_plan *field, const struct br_keyed *member,
                               ProtobufCMessage *message)
{
    const struct br_message_plan *entry_plan = field->message;
    struct br_place place = {
        .parent = parent, .name = member->key, .index = BR_PLACE_NO_INDEX, .is_key = true};
    union br_value value;
    enum outcome outcome = read_value(reading, &place, &entry_plan->fields[1], member->value, &value);
    if (outcome != READ) {
        return outcome;
    }
    union br_value entry;
    union br_value key;
    entry.message = br_message_new(entry_plan->descriptor, reading->reader->arena);
    if (entry.message == NULL) {
        return fail_memory(reading);
    }
    if (keep_text(reading, member->key, &key) == FAILED) {
        return FAILED;
    }
    br_field_set(entry.message, &entry_plan->fields[0], key);
    br_field_set(entry.message, &entry_plan->fields[1], value);
    br_field_append(message, field, entry);
    return READ;
}

static enum outcome read_map(struct reading *reading, const struct br_place *place,
                             const struct br_field_plan *field, const cJSON *json, ProtobufCMessage *message)
{
    if (!cJSON_IsObject(json)) {
        return fail_value(reading, place, json, "is not an object");
    }
    size_t count = 0;
    for (const cJSON *child = json->child; child != NULL; child = child->next) {
        count++;
    }
    struct br_keyed *members = cJSON_malloc((count + 1) * sizeof *members);
    if (members == NULL) {
        return fail_memory(reading);
    }
    count = 0;
    for (const cJSON *child = json->child; child != NULL; child = child->next) {
        members[count++] = (struct br_keyed){.key = child->string, .value = child};
    }
    count = br_keyed_keep_last(members, count);

    enum outcome outcome = READ;
    if (!br_field_reserve(message, field, count, reading->reader->arena)) {
        outcome = fail_memory(reading);
    }
    for (size_t i = 0; outcome != FAILED && i < count; i++) {
        if (!cJSON_IsNull((const cJSON *)members[i].value)) {
            outcome = read_entry(reading, place, field, &members[i], message);
        }
    }
    cJSON_free(members);
    return outcome;
}

/* Whatever |field| held before goes: of duplicate keys the last wins. */
static enum outcome read_field(struct reading *reading, const struct br_place *parent,
                               const struct br_field_plan *field, const cJSON *json,
                               ProtobufCMessage *message)
{
    struct br_place place = {.parent = parent, .name = field->name, .index = BR_PLACE_NO_INDEX};
    br_field_clear(message, field);
    if (cJSON_IsNull(json)) {
        return SKIPPED;
    }
    if (field->label == BR_LABEL_MAP) {
        return read_map(reading, &place, field, json, message);
    }
    if (field->label == BR_LABEL_REPEATED) {
        return read_list(reading, &place, field, json, message);
    }

    union br_value value;
    enum outcome outcome = read_value(reading, &place, field, json, &value);
    if (outcome == READ) {
        br_field_set(message, field, value);
    }
    return outcome;
}

/*
 * The field whose key is |key|; NULL when there is none. The search begins at |cursor|, which is left behind
 * the field that was found: keys in the order of the schema are found at once.
 */
static const struct br_field_plan *find_key(const struct br_message_plan *plan, const char *key,
                                            size_t *cursor)
{
    for (size_t i = 0; i < plan->field_count; i++) {
        size_t index = *cursor + i < plan->field_count ? *cursor + i : *cursor + i - plan->field_count;
        if (strcmp(plan->fields[index].key, key) == 0) {
            *cursor = index + 1;
            return &plan->fields[index];
        }
    }
    return NULL;
}

static enum outcome read_fields(struct reading *reading, const struct br_place *place,
                                const struct br_message_plan *plan, const cJSON *json,
                                ProtobufCMessage *message)
{
    if (!cJSON_IsObject(json)) {
        return fail_value(reading, place, json, "is not an object");
    }
    size_t cursor = 0;
    for (const cJSON *child = json->child; child != NULL; child = child->next) {
        const struct br_field_plan *field = find_key(plan, child->string, &cursor);
        if (field == NULL) {
            observe(reading, BR_DRIFT_KEY, plan->full_name, child->string);
        } else if (read_field(reading, place, field, child, message) == FAILED) {
            return FAILED;
        }
    }
    return READ;
}

/* The mask |message| from "a,b.c". */
static enum outcome read_mask_text(struct reading *reading, const struct br_field_plan *paths,
                                   const char *text, ProtobufCMessage *message)
{
    size_t count = text[0] != '\0';
    for (const char *at = text; *at != '\0'; at++) {
        count += *at == ',';
    }
    if (!br_field_reserve(message, paths, count, reading->reader->arena)) {
        return fail_memory(reading);
    }
    for (size_t i = 0; i < count; i++) {
        union br_value path;
        size_t len = strcspn(text, ",");
        path.text = br_arena_strndup(reading->reader->arena, text, len);
        if (path.text == NULL) {
            return fail_memory(reading);
        }
        br_field_append(message, paths, path);
        text += len + 1;
    }
    return READ;
}

static enum outcome read_free_json(struct reading *reading, const struct br_place *place, enum br_shape shape,
                                   const cJSON *json, ProtobufCMessage **out)
{
    if (shape == BR_SHAPE_STRUCT && !cJSON_IsObject(json)) {
        return fail_value(reading, place, json, "is not an object");
    }
    switch (br_free_json_read(shape, json, reading->reader->arena, out)) {
    case BR_FREE_JSON_OK:
        return READ;
    case BR_FREE_JSON_NOT_FINITE:
        return fail_not_finite(reading, place, json);
    case BR_FREE_JSON_NO_MEMORY:
        break;
    }
    return fail_memory(reading);
}

static enum outcome read_message(struct reading *reading, const struct br_place *place,
                                 const struct br_message_plan *plan, const cJSON *json,
                                 ProtobufCMessage **out)
{
    if (plan->shape != BR_SHAPE_FIELDS && plan->shape != BR_SHAPE_FIELD_MASK) {
        return read_free_json(reading, place, plan->shape, json, out);
    }
    ProtobufCMessage *message = br_message_new(plan->descriptor, reading->reader->arena);
    if (message == NULL) {
        return fail_memory(reading);
    }
    bool is_mask = plan->shape == BR_SHAPE_FIELD_MASK;
    if (is_mask && !cJSON_IsString(json) && !cJSON_IsObject(json)) {
        return fail_value(reading, place, json,
                          "is not accepted; give the names as one text: \"description,config.envs\"");
    }
    enum outcome outcome;
    if (is_mask && cJSON_IsString(json)) {
        outcome = read_mask_text(reading, &plan->fields[0], json->valuestring, message);
    } else {
        outcome = read_fields(reading, place, plan, json, message);
    }
    if (outcome == READ) {
        *out = message;
    }
    return outcome;
}

bool br_json_parse(const struct br_json_reader *reader, const char *text, size_t len, cJSON **out,
                   struct br_status *st)
{
    struct br_json_fault fault;
    if (len == 0) {
        return br_status_set(st, reader->code, reader->reason, "not valid JSON: the text is empty");
    }
    if (!br_json_scan(text, len, &fault)) {
        bool at_end = fault.offset == len;
        return br_status_set(st, reader->code, reader->reason, "not valid JSON: %s, %s byte %zu", fault.what,
                             at_end ? "after" : "at", at_end ? len : fault.offset + 1);
    }
    cJSON *json = cJSON_ParseWithLength(text, len);
    if (json == NULL) {
        return fail_no_memory(st);
    }
    *out = json;
    return true;
}

bool br_json_read(const struct br_json_reader *reader, const struct br_message_plan *plan, const cJSON *json,
                  ProtobufCMessage **out, struct br_status *st)
{
    struct reading reading = {.reader = reader, .st = st};
    /* An absent message is the empty one. */
    static const cJSON empty = {.type = cJSON_Object};
    if (cJSON_IsNull(json) && plan->shape == BR_SHAPE_FIELDS) {
        json = &empty;
    }
    return read_message(&reading, NULL, plan, json, out) == READ;
}
