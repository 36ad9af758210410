#include "translate/validate.h"

#include "base/utf8.h"
#include "contract/field.h"
#include "translate/json_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
    struct br_violations *violations;
    struct br_warnings *warnings;
};

/* For elements without rules; the checks that need none are made all the same. */
static const struct br_rules no_rules = {.max_len = UINT64_MAX, .max_items = UINT64_MAX};

static void check_message(struct walk *walk, const struct br_message_plan *plan,
                          const ProtobufCMessage *message, const enum br_role *roles,
                          const struct br_mask *mask, const struct br_place *parent);

/* The contract has bounds and lists for integers, enums and doubles alone. */
static void number_text(enum br_kind kind, union br_value value, char text[BR_JSON_NUMBER_CAP])
{
    if (kind == BR_KIND_DOUBLE) {
        br_json_number_text(value.real, text);
    } else {
        (void)snprintf(text, BR_JSON_NUMBER_CAP, "%" PRId64, value.integer);
    }
}

/* Below, at or above |bound|: negative, 0, positive. */
static int compare_with(enum br_kind kind, union br_value value, const struct br_bound *bound)
{
    if (kind == BR_KIND_DOUBLE) {
        return (value.real > bound->real) - (value.real < bound->real);
    }
    return (value.integer > bound->integer) - (value.integer < bound->integer);
}

static bool is_within(enum br_kind kind, union br_value value, const struct br_rules *rules)
{
    if (rules->min.type != BR_BOUND_NONE) {
        int order = compare_with(kind, value, &rules->min);
        if (order < 0 || (order == 0 && rules->min.type == BR_BOUND_EXCLUSIVE)) {
            return false;
        }
    }
    if (rules->max.type != BR_BOUND_NONE) {
        int order = compare_with(kind, value, &rules->max);
        if (order > 0 || (order == 0 && rules->max.type == BR_BOUND_EXCLUSIVE)) {
            return false;
        }
    }
    return true;
}

static bool has_number(const struct br_value_list *list, int64_t number)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->numbers[i] == number) {
            return true;
        }
    }
    return false;
}

static bool has_text(const struct br_value_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->texts[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static void bound_text(enum br_kind kind, const struct br_bound *bound, char text[BR_JSON_NUMBER_CAP])
{
    union br_value value = {.integer = bound->integer};
    if (kind == BR_KIND_DOUBLE) {
        value.real = bound->real;
    }
    number_text(kind, value, text);
}

static void refuse_bounds(struct walk *walk, enum br_kind kind, const char *given,
                          const struct br_rules *rules, const struct br_place *place)
{
    char min[BR_JSON_NUMBER_CAP];
    char max[BR_JSON_NUMBER_CAP];
    bound_text(kind, &rules->min, min);
    bound_text(kind, &rules->max, max);
    if (rules->min.type == BR_BOUND_INCLUSIVE && rules->max.type == BR_BOUND_INCLUSIVE) {
        br_violations_add(walk->violations, place, "%s is not between %s and %s", given, min, max);
        return;
    }
    if (rules->min.type == BR_BOUND_INCLUSIVE && rules->max.type == BR_BOUND_NONE) {
        br_violations_add(walk->violations, place, "%s is less than %s", given, min);
        return;
    }
    if (rules->max.type == BR_BOUND_INCLUSIVE && rules->min.type == BR_BOUND_NONE) {
        br_violations_add(walk->violations, place, "%s is more than %s", given, max);
        return;
    }
    const char *above = rules->min.type == BR_BOUND_INCLUSIVE ? "at least " : "greater than ";
    const char *below = rules->max.type == BR_BOUND_INCLUSIVE ? "at most " : "less than ";
    bool has_min = rules->min.type != BR_BOUND_NONE;
    bool has_max = rules->max.type != BR_BOUND_NONE;
    br_violations_add(walk->violations, place, "%s is not %s%s%s%s%s", given, has_min ? above : "",
                      has_min ? min : "", has_min && has_max ? " and " : "", has_max ? below : "",
                      has_max ? max : "");
}

static void check_integer(struct walk *walk, enum br_kind kind, union br_value value,
                          const struct br_rules *rules, const struct br_place *place)
{
    char given[BR_JSON_NUMBER_CAP];
    number_text(kind, value, given);
    if (!is_within(kind, value, rules)) {
        refuse_bounds(walk, kind, given, rules, place);
    }
    if (rules->in.count > 0 && !has_number(&rules->in, value.integer)) {
        struct br_choices accepted = {0};
        for (size_t i = 0; i < rules->in.count; i++) {
            char number[BR_JSON_NUMBER_CAP];
            number_text(kind, (union br_value){.integer = rules->in.numbers[i]}, number);
            br_choices_add(&accepted, number);
        }
        br_violations_add(walk->violations, place, "%s is not one of %s", given, accepted.text);
    }
    if (has_number(&rules->not_in, value.integer)) {
        br_violations_add(walk->violations, place, "%s is not accepted", given);
    }
}

static void check_real(struct walk *walk, enum br_kind kind, double real, const struct br_rules *rules,
                       const struct br_place *place)
{
    if (!isfinite(real)) {
        const char *given = isnan(real) ? "NaN" : real > 0 ? "infinity" : "-infinity";
        br_violations_add(walk->violations, place, "%s cannot be sent: JSON has no NaN or infinity", given);
        return;
    }
    union br_value value = {.real = real};
    if (kind == BR_KIND_DOUBLE && !is_within(kind, value, rules)) {
        char given[BR_JSON_NUMBER_CAP];
        number_text(kind, value, given);
        refuse_bounds(walk, kind, given, rules, place);
    }
}

static bool accepts_number(const struct br_rules *rules, int64_t number)
{
    return is_within(BR_KIND_ENUM, (union br_value){.integer = number}, rules) &&
           (rules->in.count == 0 || has_number(&rules->in, number)) && !has_number(&rules->not_in, number);
}

/* A number without a literal cannot be sent, so defined_only holds for every enum, declared or not. */
static void check_enum(struct walk *walk, const struct br_enum_plan *plan, int64_t number,
                       const struct br_rules *rules, const struct br_place *place)
{
    const char *literal = NULL;
    for (size_t i = 0; i < plan->value_count; i++) {
        if (plan->values[i].number == number) {
            literal = plan->values[i].literal;
        }
    }
    if (literal != NULL && accepts_number(rules, number)) {
        return;
    }

    struct br_choices accepted = {0};
    char quoted[BR_QUOTE_CAP];
    for (size_t i = 0; i < plan->value_count; i++) {
        const struct br_enum_value *value = &plan->values[i];
        if (value->literal != NULL && accepts_number(rules, value->number)) {
            br_choices_add(&accepted, br_violation_quote(value->literal, quoted));
        }
    }
    if (literal != NULL) {
        br_violations_add(walk->violations, place, "%s is not one of %s", br_violation_quote(literal, quoted),
                          accepted.text);
    } else {
        br_violations_add(walk->violations, place, "%" PRId64 " is not one of %s", number, accepted.text);
    }
}

/* A text that is being checked. */
struct given {
    struct br_violations *violations;
    const struct br_place *place;
    const char *what; /* "key " for a map's key, "" otherwise */
    const char *text;
};

static void refuse_text(const struct given *given, const char *reason, const char *detail)
{
    char quoted[BR_QUOTE_CAP];
    br_violations_add(given->violations, given->place, "%s%s %s %s", given->what,
                      br_violation_quote(given->text, quoted), reason, detail);
}

static void refuse_length(const struct given *given, const char *reason, uint64_t limit, const char *unit)
{
    char detail[48];
    (void)snprintf(detail, sizeof detail, "%" PRIu64 " %s%s", limit, unit, limit == 1 ? "" : "s");
    refuse_text(given, reason, detail);
}

static void refuse_part(const struct given *given, const char *reason, const char *part)
{
    char quoted[BR_QUOTE_CAP];
    refuse_text(given, reason, br_violation_quote(part, quoted));
}

/*
 * The characters that |pattern| keeps out, of which it says nothing else: "^[^SET]*$". Copied to |set|; false for
 * other patterns, and for sets with ranges and classes, which do not stand for themselves.
 */
static bool read_forbidden(const char *pattern, char set[BR_QUOTE_CAP])
{
    static const char head[] = "^[^";
    if (strncmp(pattern, head, sizeof head - 1) != 0) {
        return false;
    }
    const char *start = pattern + sizeof head - 1;
    size_t len = strcspn(start, "[]-");
    if (len == 0 || len >= BR_QUOTE_CAP || strcmp(start + len, "]*$") != 0) {
        return false;
    }
    memcpy(set, start, len);
    set[len] = '\0';
    return true;
}

static void check_pattern(const struct given *given, size_t len, const struct br_rules *rules)
{
    if (len > BR_PATTERN_MAX_BYTES) {
        refuse_length(given, "is longer than", BR_PATTERN_MAX_BYTES, "byte");
        return;
    }
    char set[BR_QUOTE_CAP];
    int result = regexec(&rules->regex, given->text, 0, NULL, 0);
    if (result == REG_NOMATCH && read_forbidden(rules->pattern, set)) {
        refuse_text(given, "must not hold any of", set);
    } else if (result == REG_NOMATCH) {
        refuse_text(given, "does not match the pattern", rules->pattern);
    } else if (result != 0) {
        given->violations->arena->exhausted = true; /* REG_ESPACE: unchecked must not pass for valid */
    }
}

static void check_lists(const struct given *given, const struct br_rules *rules)
{
    if (rules->in.count > 0 && !has_text(&rules->in, given->text)) {
        struct br_choices accepted = {0};
        for (size_t i = 0; i < rules->in.count; i++) {
            char choice[BR_QUOTE_CAP];
            br_choices_add(&accepted, br_violation_quote(rules->in.texts[i], choice));
        }
        refuse_text(given, "is not one of", accepted.text);
    }
    if (has_text(&rules->not_in, given->text)) {
        refuse_text(given, "is not", "accepted");
    }
}

static void check_text(const struct given *given, const struct br_rules *rules)
{
    const char *text = given->text;
    size_t len = strlen(text);
    bool is_too_long = false;
    if (rules->min_len > 0 || rules->max_len != UINT64_MAX) {
        size_t count = br_utf8_count(text, len);
        is_too_long = count > rules->max_len;
        if (is_too_long) {
            refuse_length(given, "is longer than", rules->max_len, "character");
        }
        if (count < rules->min_len) {
            refuse_length(given, "is shorter than", rules->min_len, "character");
        }
    }
    check_lists(given, rules);
    if (rules->prefix != NULL && strncmp(text, rules->prefix, strlen(rules->prefix)) != 0) {
        refuse_part(given, "does not begin with", rules->prefix);
    }
    if (rules->suffix != NULL) {
        size_t suffix_len = strlen(rules->suffix);
        if (len < suffix_len || strcmp(text + len - suffix_len, rules->suffix) != 0) {
            refuse_part(given, "does not end with", rules->suffix);
        }
    }
    if (rules->contains != NULL && strstr(text, rules->contains) == NULL) {
        refuse_part(given, "does not contain", rules->contains);
    }
    if (rules->not_contains != NULL && strstr(text, rules->not_contains) != NULL) {
        refuse_part(given, "must not contain", rules->not_contains);
    }
    if (rules->pattern != NULL && !is_too_long) {
        check_pattern(given, len, rules);
    }
}

/* The parts of an entry may be missing on the wire; they then have their default. */
static const char *entry_key(const ProtobufCMessage *entry, const struct br_field_plan *map)
{
    const struct br_field_plan *key = &map->message->fields[0];
    return br_field_has(entry, key) ? br_field_get(entry, key, 0).text : "";
}

/* Looks for numbers that JSON cannot say in google.protobuf.Struct, Value and ListValue. */
static void check_free(struct walk *walk, const struct br_message_plan *plan, const ProtobufCMessage *message,
                       const struct br_place *place)
{
    for (size_t i = 0; i < plan->field_count; i++) {
        const struct br_field_plan *field = &plan->fields[i];
        size_t count = br_field_count(message, field);
        for (size_t k = 0; k < count; k++) {
            union br_value value = br_field_get(message, field, k);
            struct br_place below = {.parent = place, .name = "", .index = k};
            if (field->label == BR_LABEL_MAP) {
                const struct br_field_plan *element = &field->message->fields[1];
                below.is_key = true;
                below.name = entry_key(value.message, field);
                if (br_field_has(value.message, element)) {
                    check_free(walk, element->message, br_field_get(value.message, element, 0).message,
                               &below);
                }
            } else if (field->kind == BR_KIND_MESSAGE) {
                bool is_element = field->label == BR_LABEL_REPEATED;
                check_free(walk, field->message, value.message, is_element ? &below : place);
            } else if (field->kind == BR_KIND_DOUBLE) {
                check_real(walk, field->kind, value.real, &no_rules, place);
            }
        }
    }
}

/* Checks one value: of a singular field, or an element of a list or map, which |rules| are then for. */
static void check_value(struct walk *walk, const struct br_field_plan *field, union br_value value,
                        const struct br_rules *rules, const struct br_mask *mask,
                        const struct br_place *place)
{
    switch (field->kind) {
    case BR_KIND_INT32:
    case BR_KIND_INT64:
        check_integer(walk, field->kind, value, rules, place);
        break;
    case BR_KIND_FLOAT:
    case BR_KIND_DOUBLE:
        check_real(walk, field->kind, value.real, rules, place);
        break;
    case BR_KIND_STRING:
        check_text(&(struct given){walk->violations, place, "", value.text}, rules);
        break;
    case BR_KIND_ENUM:
        check_enum(walk, field->enumeration, value.integer, rules, place);
        break;
    case BR_KIND_MESSAGE:
        if (field->message->shape == BR_SHAPE_FIELDS) {
            check_message(walk, field->message, value.message, NULL, mask, place);
        } else if (field->message->shape != BR_SHAPE_FIELD_MASK) {
            check_free(walk, field->message, value.message, place);
        }
        break;
    case BR_KIND_UINT32:
    case BR_KIND_UINT64:
    case BR_KIND_BOOL:
        break; /* the contract accepts no rules for these */
    }
}

struct element {
    enum br_kind kind;
    union br_value value;
    size_t index;
};

static int compare_values(const struct element *a, const struct element *b)
{
    switch (a->kind) {
    case BR_KIND_STRING:
        return strcmp(a->value.text, b->value.text);
    case BR_KIND_FLOAT:
    case BR_KIND_DOUBLE:
        /* NaN comes first: qsort() needs an order of all values. */
        if (isnan(a->value.real) || isnan(b->value.real)) {
            return !!isnan(b->value.real) - !!isnan(a->value.real);
        }
        return (a->value.real > b->value.real) - (a->value.real < b->value.real);
    case BR_KIND_BOOL:
        return a->value.truth - b->value.truth;
    case BR_KIND_UINT32:
    case BR_KIND_UINT64:
        return (a->value.natural > b->value.natural) - (a->value.natural < b->value.natural);
    default:
        return (a->value.integer > b->value.integer) - (a->value.integer < b->value.integer);
    }
}

static int compare_elements(const void *left, const void *right)
{
    const struct element *a = left;
    const struct element *b = right;
    int order = compare_values(a, b);
    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

/* Sorts, since comparing each with each would let one call take minutes. */
static void check_unique(struct walk *walk, const struct br_field_plan *field,
                         const ProtobufCMessage *message, size_t count, const struct br_place *here)
{
    struct element *elements = br_arena_alloc(walk->violations->arena, count * sizeof *elements);
    if (elements == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        elements[i] =
            (struct element){.kind = field->kind, .value = br_field_get(message, field, i), .index = i};
    }
    qsort(elements, count, sizeof *elements, compare_elements);
    size_t first = 0;
    for (size_t i = 1; i < count; i++) {
        if (compare_values(&elements[first], &elements[i]) != 0) {
            first = i;
            continue;
        }
        struct br_place place = *here;
        place.index = elements[i].index;
        br_violations_add(walk->violations, &place, "is the same as %s[%zu]; each may be given once",
                          field->name, elements[first].index);
    }
}

static void check_list(struct walk *walk, const struct br_field_plan *field, const ProtobufCMessage *message,
                       size_t count, const struct br_mask *mask, const struct br_place *here)
{
    const struct br_rules *rules = field->rules;
    const struct br_rules *element_rules = rules->items != NULL ? rules->items : &no_rules;
    if (count > rules->max_items) {
        br_violations_add(walk->violations, here, "has %zu elements, at most %" PRIu64 " are accepted", count,
                          rules->max_items);
    }
    if (count < rules->min_items) {
        br_violations_add(walk->violations, here, "has %zu elements, at least %" PRIu64 " are needed", count,
                          rules->min_items);
    }

    for (size_t i = 0; i < count; i++) {
        union br_value value = br_field_get(message, field, i);
        if (field->label == BR_LABEL_REPEATED) {
            struct br_place place = *here;
            place.index = i;
            check_value(walk, field, value, element_rules, mask, &place);
            continue;
        }
        const struct br_field_plan *element = &field->message->fields[1];
        struct br_place place = {.parent = here, .name = entry_key(value.message, field), .is_key = true};
        if (rules->keys != NULL) {
            check_text(&(struct given){walk->violations, &place, "key ", place.name}, rules->keys);
        }
        union br_value mapped = {0};
        if (br_field_has(value.message, element)) {
            mapped = br_field_get(value.message, element, 0);
        } else if (element->kind == BR_KIND_STRING) {
            mapped.text = "";
        } else if (element->kind == BR_KIND_MESSAGE) {
            mapped.message = br_message_new(element->message->descriptor, walk->violations->arena);
        }
        if (element->kind != BR_KIND_MESSAGE || mapped.message != NULL) {
            check_value(walk, element, mapped, element_rules, NULL, &place);
        }
    }
    if (rules->unique && count > 1) {
        check_unique(walk, field, message, count, here);
    }
}

static void warn(struct br_warnings *warnings, const char *text)
{
    for (size_t i = 0; i < warnings->count; i++) {
        if (warnings->items[i] == text) {
            return;
        }
    }
    if (warnings->count < BR_WARNINGS_MAX) {
        warnings->items[warnings->count++] = text;
    }
}

/* |warnings_only|: the message is sent in part, and the rule may be about the part that is not. */
static void check_named(struct walk *walk, const struct br_rules *rules, const ProtobufCMessage *message,
                        bool warnings_only, const struct br_place *place)
{
    for (size_t i = 0; i < rules->named_count; i++) {
        const struct br_named_rule *rule = &rules->named[i];
        if ((warnings_only && !rule->warning) || rule->holds(message)) {
            continue;
        }
        if (rule->warning) {
            warn(walk->warnings, rule->message);
        } else {
            br_violations_add(walk->violations, place, "%s [%s]", rule->message, rule->id);
        }
    }
}

static void check_field(struct walk *walk, const struct br_field_plan *field, const ProtobufCMessage *message,
                        bool may_require, const struct br_mask *mask, const struct br_place *parent)
{
    struct br_place here = {.parent = parent, .name = field->name, .index = BR_PLACE_NO_INDEX};
    size_t count = br_field_count(message, field);
    if (count == 0 && may_require && field->rules->required) {
        br_violations_add(walk->violations, &here,
                          field->label == BR_LABEL_SINGULAR ? "must be set" : "must not be empty");
        return;
    }
    if (field->label != BR_LABEL_SINGULAR) {
        check_list(walk, field, message, count, mask, &here);
    } else if (count > 0) {
        check_value(walk, field, br_field_get(message, field, 0), field->rules, mask, &here);
    } else if (mask != NULL && mask->named && field->kind == BR_KIND_STRING) {
        check_value(walk, field, (union br_value){.text = ""}, field->rules, mask, &here);
    } else if (mask != NULL && !mask->named && mask->children != NULL) {
        /* Sent as an object of the empty values that the mask names in it. */
        ProtobufCMessage *empty = br_message_new(field->message->descriptor, walk->violations->arena);
        if (empty != NULL) {
            check_value(walk, field, (union br_value){.message = empty}, field->rules, mask, &here);
        }
    } else {
        return;
    }
    check_named(walk, field->rules, message, false, &here);
}

/* |roles| NULL below the top. */
static void check_message(struct walk *walk, const struct br_message_plan *plan,
                          const ProtobufCMessage *message, const enum br_role *roles,
                          const struct br_mask *mask, const struct br_place *parent)
{
    bool is_whole = br_mask_is_whole(mask);
    for (size_t i = 0; i < plan->field_count; i++) {
        const struct br_field_plan *field = &plan->fields[i];
        bool in_url = roles != NULL && (roles[i] == BR_ROLE_PATH || roles[i] == BR_ROLE_QUERY);
        const struct br_mask *child = in_url ? NULL : br_mask_child(mask, field);
        if (in_url || is_whole || child != NULL) {
            check_field(walk, field, message, in_url || is_whole, child, parent);
        }
    }
    check_named(walk, plan->rules, message, !is_whole, parent);
}

void br_validate(const struct br_method *method, const ProtobufCMessage *request, const struct br_mask *mask,
                 struct br_violations *violations, struct br_warnings *warnings)
{
    struct walk walk = {.violations = violations, .warnings = warnings};
    check_message(&walk, method->input, request, method->roles, mask, NULL);
}
