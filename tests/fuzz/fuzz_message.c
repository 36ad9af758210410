/*
 * Message to JSON and back: a valid message of any kind is written, read again, and the same.
 *
 * Input: the method, whether it is the request or the response, then choices that a message is made from: whatever the
 * bytes are, a message comes of them.
 */
#include "fuzz.h"

#include "contract/field.h"
#include "translate/free_json.h"
#include "translate/json_read.h"
#include "translate/json_write.h"
#include "translate/wire_check.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Beyond this cJSON, which holds doubles, does not know a whole number exactly. */
#define MAX_EXACT_INTEGER ((INT64_C(1) << 53) - 1)

struct maker {
    struct fuzz_input *input;
    struct br_arena *arena;
    bool is_inexact; /* a whole number was made that is not read back */
};

/* ---- Values ---- */

static bool has_more(const struct maker *maker)
{
    return maker->input->at < maker->input->end;
}

/* A code point but for NUL and the surrogates: most of one byte, as in life. */
static uint32_t make_character(struct maker *maker)
{
    uint32_t code = fuzz_byte(maker->input);
    if (code >= 0x80) {
        code = (uint32_t)fuzz_number(maker->input, 3) % 0x110000;
    }
    return code == 0 || (code >= 0xD800 && code < 0xE000) ? '/' : code;
}

static size_t put_character(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    out[0] = (char)(0xF00 >> len | code);
    return len;
}

static const char *make_text(struct maker *maker)
{
    char text[4 * 32];
    size_t len = 0;
    for (size_t count = fuzz_byte(maker->input) % 32; count > 0; count--) {
        len += put_character(make_character(maker), text + len);
    }
    const char *copy = br_arena_strndup(maker->arena, text, len);
    assert(copy != NULL);
    return copy;
}

static double make_real(struct maker *maker)
{
    double real;
    uint64_t bits = fuzz_number(maker->input, 8);
    memcpy(&real, &bits, sizeof real);
    return isfinite(real) ? real : 0;
}

/* Of 1, 2, 4 or 8 bytes, so that small ones and those at limits are met. */
static uint64_t make_natural(struct maker *maker)
{
    uint8_t choice = fuzz_byte(maker->input);
    uint64_t number = fuzz_number(maker->input, (size_t)1 << (choice & 3));
    return choice & 4 ? ~number : number;
}

static union br_value make_literal(struct maker *maker, const struct br_enum_plan *plan)
{
    size_t index = fuzz_byte(maker->input) % plan->value_count;
    while (plan->values[index].literal == NULL) {
        index = (index + 1) % plan->value_count;
    }
    return (union br_value){.integer = plan->values[index].number};
}

/* ---- Free JSON ---- */

/* |levels|: how many more there may be, that of the value itself included. */
static cJSON *make_json(struct maker *maker, bool is_list, bool is_object, size_t levels)
{
    uint8_t choice = fuzz_byte(maker->input) % 8;
    is_list = is_list || (!is_object && choice == 6 && levels > 0);
    is_object = is_object || (!is_list && choice == 7 && levels > 0);
    if (is_list || is_object) {
        cJSON *json = is_list ? cJSON_CreateArray() : cJSON_CreateObject();
        while (has_more(maker) && fuzz_byte(maker->input) % 4 != 0) {
            const char *key = is_object ? make_text(maker) : NULL;
            cJSON *item = make_json(maker, false, false, levels - 1);
            if (is_list) {
                cJSON_AddItemToArray(json, item);
            } else {
                cJSON_AddItemToObject(json, key, item);
            }
        }
        return json;
    }
    switch (choice) {
    case 0:
        return cJSON_CreateNull();
    case 1:
        return cJSON_CreateBool(fuzz_byte(maker->input) & 1);
    case 2:
        return cJSON_CreateNumber((double)fuzz_byte(maker->input));
    case 3:
        return cJSON_CreateNumber(make_real(maker));
    default:
        return cJSON_CreateString(make_text(maker));
    }
}

static ProtobufCMessage *make_free(struct maker *maker, enum br_shape shape, size_t levels)
{
    cJSON *json = make_json(maker, shape == BR_SHAPE_LIST, shape == BR_SHAPE_STRUCT, levels);
    if (cJSON_IsNull(json)) {
        /* The null of a field is read as its absence. */
        cJSON_Delete(json);
        json = cJSON_CreateTrue();
    }
    ProtobufCMessage *message;
    assert(br_free_json_read(shape, json, maker->arena, &message) == BR_FREE_JSON_OK);
    cJSON_Delete(json);
    return message;
}

/* ---- Messages ---- */

static ProtobufCMessage *make_message(struct maker *maker, const struct br_message_plan *plan, size_t levels);

static union br_value make_value(struct maker *maker, const struct br_field_plan *field, size_t levels)
{
    union br_value value = {0};
    switch (field->kind) {
    case BR_KIND_INT32:
        value.integer = (int32_t)make_natural(maker);
        break;
    case BR_KIND_INT64:
        value.integer = (int64_t)make_natural(maker);
        maker->is_inexact =
            maker->is_inexact || value.integer > MAX_EXACT_INTEGER || value.integer < -MAX_EXACT_INTEGER;
        break;
    case BR_KIND_UINT32:
        value.natural = (uint32_t)make_natural(maker);
        break;
    case BR_KIND_UINT64:
        value.natural = make_natural(maker);
        maker->is_inexact = maker->is_inexact || value.natural > MAX_EXACT_INTEGER;
        break;
    case BR_KIND_FLOAT: {
        uint32_t bits = (uint32_t)fuzz_number(maker->input, 4);
        float real;
        memcpy(&real, &bits, sizeof real);
        value.real = isfinite(real) ? (double)real : 0;
        break;
    }
    case BR_KIND_DOUBLE:
        value.real = make_real(maker);
        break;
    case BR_KIND_BOOL:
        value.truth = fuzz_byte(maker->input) & 1;
        break;
    case BR_KIND_STRING:
        value.text = make_text(maker);
        break;
    case BR_KIND_ENUM:
        return make_literal(maker, field->enumeration);
    case BR_KIND_MESSAGE:
        value.message = make_message(maker, field->message, levels);
        break;
    }
    return value;
}

/* A list, or a map whose keys all differ. */
static void make_elements(struct maker *maker, const struct br_field_plan *field, ProtobufCMessage *message,
                          size_t levels)
{
    size_t count = 1 + fuzz_byte(maker->input) % 8;
    assert(br_field_reserve(message, field, count, maker->arena));
    for (size_t i = 0; i < count; i++) {
        if (field->label == BR_LABEL_REPEATED) {
            br_field_append(message, field, make_value(maker, field, levels - 1));
            continue;
        }
        const struct br_field_plan *sides = field->message->fields;
        union br_value entry = {.message = br_message_new(field->message->descriptor, maker->arena)};
        union br_value key = {.text = make_text(maker)};
        assert(entry.message != NULL);
        bool is_new = true;
        for (size_t k = 0; k < br_field_count(message, field); k++) {
            const ProtobufCMessage *other = br_field_get(message, field, k).message;
            is_new = is_new && strcmp(br_field_get(other, &sides[0], 0).text, key.text) != 0;
        }
        if (is_new) {
            br_field_set(entry.message, &sides[0], key);
            br_field_set(entry.message, &sides[1], make_value(maker, &sides[1], levels - 1));
            br_field_append(message, field, entry);
        }
    }
}

/* The levels of JSON that a field takes at least. */
static size_t levels_of(const struct br_field_plan *field)
{
    size_t levels = field->label != BR_LABEL_SINGULAR;
    const struct br_field_plan *value = field->label == BR_LABEL_MAP ? &field->message->fields[1] : field;
    return levels + (value->kind == BR_KIND_MESSAGE);
}

/* Fields are named byte by byte, until a zero. */
static ProtobufCMessage *make_message(struct maker *maker, const struct br_message_plan *plan, size_t levels)
{
    if (plan->shape != BR_SHAPE_FIELDS) {
        return make_free(maker, plan->shape, levels);
    }
    ProtobufCMessage *message = br_message_new(plan->descriptor, maker->arena);
    assert(message != NULL);
    uint8_t choice;
    while (plan->field_count > 0 && (choice = fuzz_byte(maker->input)) != 0) {
        const struct br_field_plan *field = &plan->fields[(choice - 1U) % plan->field_count];
        bool is_mask = field->kind == BR_KIND_MESSAGE && field->message->shape == BR_SHAPE_FIELD_MASK;
        if (is_mask || br_field_has(message, field) || levels_of(field) >= levels) {
            continue;
        }
        if (field->label == BR_LABEL_SINGULAR) {
            br_field_set(message, field, make_value(maker, field, levels - 1));
        } else {
            make_elements(maker, field, message, levels - 1);
        }
    }
    return message;
}

/* ---- There and back ---- */

static uint8_t *pack(const ProtobufCMessage *message, size_t *len)
{
    *len = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = malloc(*len + 1);
    assert(packed != NULL);
    (void)protobuf_c_message_pack(message, packed);
    return packed;
}

static void check_same(const ProtobufCMessage *message, const ProtobufCMessage *again, const char *text)
{
    size_t len;
    size_t again_len;
    uint8_t *packed = pack(message, &len);
    uint8_t *again_packed = pack(again, &again_len);
    if (len != again_len || memcmp(packed, again_packed, len) != 0) {
        fprintf(stderr, "another message came back from: %s\n", text);
        abort();
    }
    free(again_packed);
    free(packed);
}

static void check_json(const struct maker *maker, const struct br_message_plan *plan,
                       const ProtobufCMessage *message)
{
    struct br_json_reader reader = {.code = BR_INTERNAL, .reason = "REFUSED", .arena = maker->arena};
    struct br_status st;
    char *text;
    size_t len;
    cJSON *json;
    ProtobufCMessage *again;
    if (!br_json_write(plan, message, NULL, &text, &len, &st) ||
        !br_json_parse(&reader, text, len, &json, &st)) {
        fprintf(stderr, "%s\n", st.msg);
        abort();
    }
    if (br_json_read(&reader, plan, json, &again, &st)) {
        check_same(message, again, text);
    } else if (!maker->is_inexact || strstr(st.msg, "more digits than are read exactly") == NULL) {
        fprintf(stderr, "%s\n%s\n", st.msg, text);
        abort();
    }
    cJSON_Delete(json);
    free(text);
}

/* What was made passes the wire check, and unpacks to the same. */
static void check_bytes(const struct br_message_plan *plan, const ProtobufCMessage *message,
                        const uint8_t *packed, size_t len, struct br_arena *arena)
{
    struct br_violations violations;
    struct br_status st;
    br_violations_init(&violations, arena);
    if (!br_wire_check(plan, packed, len, BR_MAX_ANSWER_ELEMENTS, &violations, &st)) {
        fprintf(stderr, "%s\n", st.msg);
        abort();
    }
    const ProtobufCMessage *unpacked = br_message_unpack(plan->descriptor, packed, len, arena);
    assert(unpacked != NULL);
    check_same(message, unpacked, "bytes");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {.at = data, .end = data + size};
    const struct br_method *method = fuzz_method(&input, NULL);
    bool is_request = fuzz_byte(&input) & 1;
    const struct br_message_plan *plan = is_request ? method->input : method->output;
    struct br_arena arena;
    br_arena_init(&arena, FUZZ_ARENA_BYTES);
    struct maker maker = {.input = &input, .arena = &arena};
    const ProtobufCMessage *message = make_message(&maker, plan, BR_MAX_DEPTH);
    check_json(&maker, plan, message);
    size_t len;
    uint8_t *packed = pack(message, &len);
    check_bytes(plan, message, packed, len, &arena);
    if (is_request) {
        (void)fuzz_check_request(method, true, FUZZ_ARENA_BYTES, packed, len);
    }
    free(packed);
    br_arena_finish(&arena);
    return 0;
}
