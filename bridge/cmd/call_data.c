#include "cmd/call_data.h"

#include "contract/field.h"
#include "translate/json_read.h"
#include "translate/violation.h"

#include <string.h>

static const char bad_setting[] = "BAD_SETTING";

/*
 * A sentence that is put together from pieces. What does not fit in a status's message is left out, which is
 * what becomes of a longer one anyway.
 */
struct sentence {
    char text[BR_STATUS_MSG_CAP];
    size_t len;
};

static void add(struct sentence *sentence, const char *before, const char *text)
{
    const char *parts[] = {before, text};
    for (size_t i = 0; i < 2; i++) {
        size_t room = sizeof sentence->text - 1 - sentence->len;
        size_t len = strlen(parts[i]);
        if (len > room) {
            len = room;
        }
        memcpy(sentence->text + sentence->len, parts[i], len);
        sentence->len += len;
        sentence->text[sentence->len] = '\0';
    }
}

/* "package.Service/Method" -> "Method" */
static const char *last_part(const struct br_method *method)
{
    return strrchr(method->path, '/') + 1;
}

bool br_call_method(const struct br_method *methods, size_t count, const char *name,
                    const struct br_method **out, struct br_status *st)
{
    const char *wanted = name[0] == '/' ? name + 1 : name;
    const struct br_method *found = NULL;
    struct sentence same = {0};
    size_t same_count = 0;
    struct sentence all = {0};
    for (size_t i = 0; i < count; i++) {
        const struct br_method *method = &methods[i];
        if (strcmp(method->name, wanted) == 0) {
            found = method;
            same_count = 1;
            break;
        }
        if (strcmp(last_part(method), wanted) == 0) {
            add(&same, same_count > 0 ? ", " : "", method->name);
            same_count++;
            found = method;
        }
        if (method->verb != NULL) {
            add(&all, all.len > 0 ? ", " : "", method->name);
        }
    }
    char quoted[BR_QUOTE_CAP];
    if (found == NULL) {
        return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting, "%s: no such method; there are: %s",
                             br_violation_quote(name, quoted), all.text);
    }
    if (same_count > 1) {
        return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting, "%s: several methods have this name: %s",
                             br_violation_quote(name, quoted), same.text);
    }
    if (found->verb == NULL) {
        return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting,
                             "%s is answered by the bridge itself and cannot be called from here",
                             found->name);
    }
    *out = found;
    return true;
}

/* Unknown keys and literals are remembered up to this many; further ones are counted. */
#define UNKNOWN_MAX 8

struct unknown {
    enum br_drift drift;
    const char *where;
    char what[BR_QUOTE_CAP];
};

struct collector {
    struct br_drift_observer observer; /* first: the observer is the collector */
    struct unknown items[UNKNOWN_MAX];
    size_t count; /* seen */
};

static void collect(struct br_drift_observer *self, enum br_drift drift, const char *where, const char *what)
{
    struct collector *collector = (struct collector *)self;
    if (collector->count < UNKNOWN_MAX) {
        struct unknown *item = &collector->items[collector->count];
        item->drift = drift;
        item->where = where;
        (void)br_violation_quote(what, item->what);
    }
    collector->count++;
}

/* The plans below a message, each once: a schema may nest a message into itself. */
#define PLANS_MAX 256
struct plans {
    const struct br_message_plan *items[PLANS_MAX];
    size_t count;
};

static void gather_plans(const struct br_message_plan *plan, struct plans *plans)
{
    for (size_t i = 0; i < plans->count; i++) {
        if (plans->items[i] == plan) {
            return;
        }
    }
    if (plans->count == PLANS_MAX) {
        return;
    }
    plans->items[plans->count++] = plan;
    for (size_t i = 0; i < plan->field_count; i++) {
        if (plan->fields[i].kind == BR_KIND_MESSAGE) {
            gather_plans(plan->fields[i].message, plans);
        }
    }
}

/* What is accepted in place of |unknown|: the keys of its message, or the literals of its enum. */
static void add_accepted(struct sentence *sentence, const struct plans *plans, const struct unknown *unknown)
{
    for (size_t i = 0; i < plans->count; i++) {
        const struct br_message_plan *plan = plans->items[i];
        bool is_message = unknown->drift == BR_DRIFT_KEY && strcmp(plan->full_name, unknown->where) == 0;
        for (size_t j = 0; j < plan->field_count; j++) {
            const struct br_enum_plan *enumeration = plan->fields[j].enumeration;
            if (is_message) {
                add(sentence, j > 0 ? ", " : "", plan->fields[j].key);
            } else if (unknown->drift == BR_DRIFT_LITERAL && enumeration != NULL &&
                       strcmp(enumeration->full_name, unknown->where) == 0) {
                const char *separator = "";
                for (size_t k = 0; k < enumeration->value_count; k++) {
                    if (enumeration->values[k].literal == NULL) {
                        continue;
                    }
                    add(sentence, separator, enumeration->values[k].literal);
                    separator = ", ";
                }
                return;
            }
        }
        if (is_message) {
            return;
        }
    }
}

/* Every unknown key and literal is named; what is accepted is told for each place once. */
static bool refuse_unknown(const struct br_method *method, const struct collector *collector,
                           struct br_status *st)
{
    struct plans plans = {0};
    gather_plans(method->input, &plans);
    struct sentence sentence = {0};
    size_t shown = collector->count < UNKNOWN_MAX ? collector->count : UNKNOWN_MAX;
    for (size_t i = 0; i < shown; i++) {
        const struct unknown *unknown = &collector->items[i];
        add(&sentence, i > 0 ? "; " : "", unknown->drift == BR_DRIFT_KEY ? "unknown key " : "unknown value ");
        add(&sentence, unknown->what, "");
        bool told = false;
        for (size_t j = 0; j < i && !told; j++) {
            told = strcmp(collector->items[j].where, unknown->where) == 0;
        }
        if (told) {
            continue;
        }
        add(&sentence, ", accepted in ", unknown->where);
        add(&sentence, ": ", "");
        add_accepted(&sentence, &plans, unknown);
    }
    if (shown < collector->count) {
        add(&sentence, "; and more", "");
    }
    return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting, "--data: %s", sentence.text);
}

static const struct br_field_plan *field_by_key(const struct br_message_plan *plan, const char *key)
{
    for (size_t i = 0; i < plan->field_count; i++) {
        if (strcmp(plan->fields[i].key, key) == 0) {
            return &plan->fields[i];
        }
    }
    return NULL;
}

/*
 * Whether |json| gives an empty list or map somewhere below |parent|, which protobuf cannot tell from an unset one.
 * |path| then becomes its name as a field mask has it, NULL without memory. The nesting is bounded by br_json_parse().
 */
static bool find_empty(const struct br_message_plan *plan, const cJSON *json, const struct br_place *parent,
                       struct br_arena *arena, const char **path)
{
    for (const cJSON *member = json->child; member != NULL; member = member->next) {
        const struct br_field_plan *field = field_by_key(plan, member->string);
        if (field == NULL) {
            continue;
        }
        struct br_place place = {.parent = parent, .name = field->name, .index = BR_PLACE_NO_INDEX};
        bool is_container = cJSON_IsArray(member) || cJSON_IsObject(member);
        if (field->label != BR_LABEL_SINGULAR && is_container && member->child == NULL) {
            *path = br_place_text(&place, arena);
            return true;
        }
        if (field->label == BR_LABEL_MAP || field->kind != BR_KIND_MESSAGE ||
            field->message->shape != BR_SHAPE_FIELDS) {
            continue;
        }
        if (cJSON_IsObject(member) && find_empty(field->message, member, &place, arena, path)) {
            return true;
        }
        if (!cJSON_IsArray(member)) {
            continue;
        }
        for (const cJSON *item = member->child; item != NULL; item = item->next) {
            if (cJSON_IsObject(item) && find_empty(field->message, item, &place, arena, path)) {
                return true;
            }
        }
    }
    return false;
}

/* An empty list has a meaning to ModelArts, and only a mask can carry it: it is not dropped in silence. */
static bool check_no_empty(const struct br_method *method, const cJSON *json, const ProtobufCMessage *request,
                           struct br_arena *arena, struct br_status *st)
{
    const char *path;
    if (method->mask == NULL || br_field_has(request, method->mask) ||
        !find_empty(method->input, json, NULL, arena, &path)) {
        return true;
    }
    if (path == NULL) {
        return br_arena_fail(arena, st);
    }
    return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting,
                         "--data: %s is empty, and is sent as such only when %s names it, such as "
                         "\"%s\":\"%s\", together with everything else that is to be sent",
                         path, method->mask->key, method->mask->key, path);
}

static bool find_null(const struct br_message_plan *plan, const cJSON *json, const struct br_place *parent,
                      struct br_arena *arena, const char **path);

/* The same for one value: |json| at |place|, of a message of |plan|, or NULL where it is no message. */
static bool find_null_value(const struct br_message_plan *plan, const cJSON *json,
                            const struct br_place *place, struct br_arena *arena, const char **path)
{
    if (cJSON_IsNull(json)) {
        *path = br_place_text(place, arena);
        return true;
    }
    return plan != NULL && plan->shape == BR_SHAPE_FIELDS && cJSON_IsObject(json) &&
           find_null(plan, json, place, arena, path);
}

/*
 * Whether |json| has a null somewhere below |parent| where it would be read as absent; inside free JSON it is a
 * value. |path| then becomes its place, NULL without memory. The nesting is bounded by br_json_parse().
 */
static bool find_null(const struct br_message_plan *plan, const cJSON *json, const struct br_place *parent,
                      struct br_arena *arena, const char **path)
{
    for (const cJSON *member = json->child; member != NULL; member = member->next) {
        const struct br_field_plan *field = field_by_key(plan, member->string);
        if (field == NULL) {
            continue;
        }
        struct br_place place = {.parent = parent, .name = field->name, .index = BR_PLACE_NO_INDEX};
        bool is_list = field->label == BR_LABEL_REPEATED && cJSON_IsArray(member);
        bool is_map = field->label == BR_LABEL_MAP && cJSON_IsObject(member);
        if (!is_list && !is_map) {
            if (find_null_value(field->message, member, &place, arena, path)) {
                return true;
            }
            continue;
        }
        const struct br_message_plan *inner = is_map ? field->message->fields[1].message : field->message;
        struct br_place entry = {.parent = &place, .index = BR_PLACE_NO_INDEX, .is_key = true};
        size_t index = 0;
        for (const cJSON *item = member->child; item != NULL; item = item->next) {
            place.index = is_list ? index++ : BR_PLACE_NO_INDEX;
            entry.name = item->string;
            if (find_null_value(inner, item, is_list ? &place : &entry, arena, path)) {
                return true;
            }
        }
    }
    return false;
}

/* A null would be left out of the request, and nothing that was given is dropped in silence. */
static bool check_no_null(const struct br_method *method, const cJSON *json, struct br_arena *arena,
                          struct br_status *st)
{
    const char *path;
    if (!find_null(method->input, json, NULL, arena, &path)) {
        return true;
    }
    if (path == NULL) {
        return br_arena_fail(arena, st);
    }
    return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting, "--data: %s is null; leave it out", path);
}

/* Packs |message|; the arena's ceiling bounds it. */
static bool pack(const ProtobufCMessage *message, struct br_arena *arena, const uint8_t **packed,
                 size_t *packed_len, struct br_status *st)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = br_arena_alloc(arena, len);
    if (bytes == NULL) {
        return br_arena_fail(arena, st);
    }
    *packed_len = protobuf_c_message_pack(message, bytes);
    *packed = bytes;
    return true;
}

bool br_call_data(const struct br_method *method, const char *json, size_t len, struct br_arena *arena,
                  const uint8_t **packed, size_t *packed_len, struct br_status *st)
{
    struct collector collector = {.observer = {.seen = collect}};
    const struct br_json_reader reader = {.code = BR_INVALID_ARGUMENT,
                                          .reason = bad_setting,
                                          .is_input = true,
                                          .arena = arena,
                                          .observer = &collector.observer};
    cJSON *tree = NULL;
    if (!br_json_parse(&reader, json, len, &tree, st)) {
        br_status_prefix(st, "--data");
        return false;
    }

    bool ok = false;
    ProtobufCMessage *request;
    if (!cJSON_IsObject(tree)) {
        (void)br_status_set(st, BR_INVALID_ARGUMENT, bad_setting,
                            "--data: expected a JSON object, such as {\"service_id\":\"ID\"}");
    } else if (!br_json_read(&reader, method->input, tree, &request, st)) {
        br_status_prefix(st, "--data");
    } else if (collector.count > 0) {
        (void)refuse_unknown(method, &collector, st);
    } else if (check_no_null(method, tree, arena, st) && check_no_empty(method, tree, request, arena, st)) {
        ok = pack(request, arena, packed, packed_len, st);
    }
    cJSON_Delete(tree);
    return ok;
}
