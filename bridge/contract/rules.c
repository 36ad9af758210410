#include "contract/compile.h"
#include "contract/field.h"
#include "contract/options.h"

#include <buf/validate/validate.pb-c.h>
#include <modelarts/rest/v1/rest.pb-c.h>
#include <string.h>

/* One field or message whose rules are being compiled. */
struct target {
    struct br_contract *contract;
    const char *where;
    const struct br_field_plan *field; /* NULL: a message as a whole */
};

/* A constraint that the subset in proto/buf/validate does not have would be skipped in silence: refuse it. */
static bool known(const struct target *target, const ProtobufCMessage *rules, struct br_status *st)
{
    if (rules->n_unknown_fields == 0) {
        return true;
    }
    return br_contract_invalid(st, target->where,
                               "%s has constraint number %u, which the bridge does not know",
                               rules->descriptor->name, rules->unknown_fields[0].tag);
}

static struct br_rules *new_rules(struct br_contract *contract)
{
    struct br_rules *rules = br_arena_alloc(&contract->arena, sizeof *rules);
    if (rules != NULL) {
        rules->max_len = UINT64_MAX;
        rules->max_items = UINT64_MAX;
    }
    return rules;
}

static br_rule_fn find_function(const struct br_contract *contract, const char *id)
{
    for (size_t i = 0; i < contract->function_count; i++) {
        if (strcmp(contract->functions[i].id, id) == 0) {
            return contract->functions[i].holds;
        }
    }
    return NULL;
}

static bool add_named(const struct target *target, struct br_rules *rules, const char *id,
                      const char *message, bool warning, struct br_status *st)
{
    struct br_arena *arena = &target->contract->arena;
    if (id == NULL || message == NULL) {
        return br_contract_invalid(st, target->where, "a named rule needs an id and a message");
    }
    br_rule_fn holds = find_function(target->contract, id);
    if (holds == NULL) {
        return br_contract_invalid(st, target->where, "the rule \"%s\" has no function in the bridge", id);
    }
    struct br_named_rule *named = br_arena_alloc(arena, (rules->named_count + 1) * sizeof *named);
    if (named == NULL) {
        return br_arena_fail(arena, st);
    }
    if (rules->named_count > 0) {
        memcpy(named, rules->named, rules->named_count * sizeof *named);
    }
    named[rules->named_count++] =
        (struct br_named_rule){.id = id, .message = message, .warning = warning, .holds = holds};
    rules->named = named;
    return true;
}

static bool add_cel(const struct target *target, struct br_rules *rules, size_t count,
                    Buf__Validate__Rule **cel, struct br_status *st)
{
    for (size_t i = 0; i < count; i++) {
        if (!known(target, &cel[i]->base, st) ||
            !add_named(target, rules, cel[i]->id, cel[i]->message, false, st)) {
            return false;
        }
    }
    return true;
}

/*
 * Why |pattern| could mean one thing here and another to the validators of other languages, which take it for
 * RE2; NULL when it cannot.
 */
static const char *pattern_problem(const char *pattern)
{
    if (strchr(pattern, '\\') != NULL) {
        return "holds a backslash, which POSIX and RE2 do not read alike; \"[.]\" stands for a dot";
    }
    for (; *pattern != '\0'; pattern++) {
        if ((unsigned char)*pattern >= 0x80) {
            return "is not ASCII; it is matched byte by byte";
        }
    }
    return NULL;
}

static bool add_pattern(const struct target *target, struct br_rules *rules, const char *pattern,
                        struct br_status *st)
{
    struct br_arena *arena = &target->contract->arena;
    const char *problem = rules->pattern != NULL ? "is one of two" : pattern_problem(pattern);
    if (problem != NULL) {
        return br_contract_invalid(st, target->where, "the pattern \"%s\" %s", pattern, problem);
    }
    struct br_regex_node *node = br_arena_alloc(arena, sizeof *node);
    if (node == NULL) {
        return br_arena_fail(arena, st);
    }
    int error = regcomp(&rules->regex, pattern, REG_EXTENDED | REG_NOSUB);
    if (error == REG_ESPACE) {
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "%s: no memory for its pattern",
                             target->where);
    }
    if (error != 0) {
        char why[128];
        regerror(error, &rules->regex, why, sizeof why);
        return br_contract_invalid(st, target->where,
                                   "the pattern \"%s\" is no POSIX extended expression: %s", pattern, why);
    }
    rules->pattern = pattern;
    node->regex = &rules->regex;
    node->next = target->contract->regexes;
    target->contract->regexes = node;
    return true;
}

static void set_bound(struct br_bound *bound, enum br_bound_type type, int64_t integer, double real)
{
    *bound = (struct br_bound){.type = type, .integer = integer, .real = real};
}

/* protovalidate turns such a range inside out: outside of it is fine. No rule here needs that. */
static bool check_order(const struct target *target, const struct br_rules *rules, struct br_status *st)
{
    if (rules->min.type == BR_BOUND_NONE || rules->max.type == BR_BOUND_NONE ||
        (rules->min.integer <= rules->max.integer && rules->min.real <= rules->max.real)) {
        return true;
    }
    return br_contract_invalid(st, target->where, "its lower bound is above its upper bound");
}

/* Adds the numbers of a protobuf-c list, which are |size| bytes each, as int64_t. */
static bool add_numbers(const struct target *target, const void *items, size_t count, size_t size,
                        struct br_value_list *list, struct br_status *st)
{
    struct br_arena *arena = &target->contract->arena;
    if (count == 0) {
        return true;
    }
    int64_t *numbers = br_arena_alloc(arena, (list->count + count) * sizeof *numbers);
    if (numbers == NULL) {
        return br_arena_fail(arena, st);
    }
    for (size_t i = 0; i < list->count; i++) {
        numbers[i] = list->numbers[i];
    }
    for (size_t i = 0; i < count; i++) {
        numbers[list->count + i] = size == 4 ? ((const int32_t *)items)[i] : ((const int64_t *)items)[i];
    }
    *list = (struct br_value_list){.numbers = numbers, .count = list->count + count};
    return true;
}

static bool add_texts(const struct target *target, char **items, size_t count, struct br_value_list *list,
                      struct br_status *st)
{
    struct br_arena *arena = &target->contract->arena;
    if (count == 0) {
        return true;
    }
    const char **texts = br_arena_alloc(arena, (list->count + count) * sizeof *texts);
    if (texts == NULL) {
        return br_arena_fail(arena, st);
    }
    for (size_t i = 0; i < list->count; i++) {
        texts[i] = list->texts[i];
    }
    for (size_t i = 0; i < count; i++) {
        texts[list->count + i] = items[i];
    }
    *list = (struct br_value_list){.texts = texts, .count = list->count + count};
    return true;
}

/*
 * protobuf-c gives each numeric type rules of its own, with the same members. |as_integer| and |as_real| make
 * the half of a bound that counts for the type.
 */
#define ADD_BOUNDS(from, as_integer, as_real)                                                                \
    do {                                                                                                     \
        if ((from)->has_lt) {                                                                                \
            set_bound(&rules->max, BR_BOUND_EXCLUSIVE, as_integer((from)->lt), as_real((from)->lt));         \
        }                                                                                                    \
        if ((from)->has_lte) {                                                                               \
            set_bound(&rules->max, BR_BOUND_INCLUSIVE, as_integer((from)->lte), as_real((from)->lte));       \
        }                                                                                                    \
        if ((from)->has_gt) {                                                                                \
            set_bound(&rules->min, BR_BOUND_EXCLUSIVE, as_integer((from)->gt), as_real((from)->gt));         \
        }                                                                                                    \
        if ((from)->has_gte) {                                                                               \
            set_bound(&rules->min, BR_BOUND_INCLUSIVE, as_integer((from)->gte), as_real((from)->gte));       \
        }                                                                                                    \
        if ((from)->has_const_) {                                                                            \
            set_bound(&rules->min, BR_BOUND_INCLUSIVE, as_integer((from)->const_), as_real((from)->const_)); \
            rules->max = rules->min;                                                                         \
        }                                                                                                    \
    } while (0)
#define ITSELF(x) (x)
#define NOTHING(x) 0

/* |finite| needs nothing: a number that JSON cannot say is always refused. */
static bool add_double(const struct target *target, const Buf__Validate__DoubleRules *from,
                       struct br_rules *rules, struct br_status *st)
{
    if (from->n_in + from->n_not_in > 0) {
        return br_contract_invalid(st, target->where, "in and not_in are not supported for fractions");
    }
    ADD_BOUNDS(from, NOTHING, ITSELF);
    return known(target, &from->base, st) && check_order(target, rules, st);
}

static bool add_int32(const struct target *target, const Buf__Validate__Int32Rules *from,
                      struct br_rules *rules, struct br_status *st)
{
    ADD_BOUNDS(from, ITSELF, NOTHING);
    return known(target, &from->base, st) && check_order(target, rules, st) &&
           add_numbers(target, from->in, from->n_in, sizeof *from->in, &rules->in, st) &&
           add_numbers(target, from->not_in, from->n_not_in, sizeof *from->not_in, &rules->not_in, st);
}

static bool add_int64(const struct target *target, const Buf__Validate__Int64Rules *from,
                      struct br_rules *rules, struct br_status *st)
{
    ADD_BOUNDS(from, ITSELF, NOTHING);
    return known(target, &from->base, st) && check_order(target, rules, st) &&
           add_numbers(target, from->in, from->n_in, sizeof *from->in, &rules->in, st) &&
           add_numbers(target, from->not_in, from->n_not_in, sizeof *from->not_in, &rules->not_in, st);
}

static bool add_enum(const struct target *target, const Buf__Validate__EnumRules *from,
                     struct br_rules *rules, struct br_status *st)
{
    rules->defined_only = from->has_defined_only ? from->defined_only != 0 : rules->defined_only;
    if (from->has_const_) {
        set_bound(&rules->min, BR_BOUND_INCLUSIVE, from->const_, 0);
        rules->max = rules->min;
    }
    return known(target, &from->base, st) &&
           add_numbers(target, from->in, from->n_in, sizeof *from->in, &rules->in, st) &&
           add_numbers(target, from->not_in, from->n_not_in, sizeof *from->in, &rules->not_in, st);
}

static bool add_string(const struct target *target, const Buf__Validate__StringRules *from,
                       struct br_rules *rules, struct br_status *st)
{
    if (!known(target, &from->base, st)) {
        return false;
    }
    if (from->const_ != NULL) {
        return br_contract_invalid(st, target->where, "const is not supported for strings; use in");
    }
    if (from->has_len) {
        rules->min_len = from->len;
        rules->max_len = from->len;
    }
    rules->min_len = from->has_min_len ? from->min_len : rules->min_len;
    rules->max_len = from->has_max_len ? from->max_len : rules->max_len;
    rules->prefix = from->prefix != NULL ? from->prefix : rules->prefix;
    rules->suffix = from->suffix != NULL ? from->suffix : rules->suffix;
    rules->contains = from->contains != NULL ? from->contains : rules->contains;
    rules->not_contains = from->not_contains != NULL ? from->not_contains : rules->not_contains;
    return add_texts(target, from->in, from->n_in, &rules->in, st) &&
           add_texts(target, from->not_in, from->n_not_in, &rules->not_in, st) &&
           (from->pattern == NULL || add_pattern(target, rules, from->pattern, st));
}

static bool add_typed(const struct target *target, const Buf__Validate__FieldRules *from,
                      struct br_rules *rules, struct br_status *st);

/* The rules of a list's elements, or of a map's keys or values: those of a field of |kind|. */
static bool add_nested(const struct target *parent, enum br_kind kind, const Buf__Validate__FieldRules *from,
                       const struct br_rules **out, struct br_status *st)
{
    if (from == NULL) {
        return true;
    }
    if (from->has_required || from->n_cel > 0) {
        return br_contract_invalid(st, parent->where, "required and cel are not supported for elements");
    }
    if (!known(parent, &from->base, st)) {
        return false;
    }
    /* An earlier statement may have made them here. */
    struct br_rules *rules = *out != NULL ? (struct br_rules *)(uintptr_t)*out : new_rules(parent->contract);
    if (rules == NULL) {
        return br_arena_fail(&parent->contract->arena, st);
    }
    *out = rules;
    struct br_field_plan element = {.kind = kind, .label = BR_LABEL_SINGULAR};
    struct target target = {.contract = parent->contract, .where = parent->where, .field = &element};
    return add_typed(&target, from, rules, st);
}

static bool add_repeated(const struct target *target, const Buf__Validate__RepeatedRules *from,
                         struct br_rules *rules, struct br_status *st)
{
    enum br_kind kind = target->field->kind;
    rules->min_items = from->has_min_items ? from->min_items : rules->min_items;
    rules->max_items = from->has_max_items ? from->max_items : rules->max_items;
    rules->unique = from->has_unique ? from->unique != 0 : rules->unique;
    if (rules->unique && kind == BR_KIND_MESSAGE) {
        return br_contract_invalid(st, target->where, "unique is not supported for messages");
    }
    return known(target, &from->base, st) && add_nested(target, kind, from->items, &rules->items, st);
}

static bool add_map(const struct target *target, const Buf__Validate__MapRules *from, struct br_rules *rules,
                    struct br_status *st)
{
    const struct br_field_plan *entry = target->field->message->fields;
    rules->min_items = from->has_min_pairs ? from->min_pairs : rules->min_items;
    rules->max_items = from->has_max_pairs ? from->max_pairs : rules->max_items;
    return known(target, &from->base, st) &&
           add_nested(target, entry[0].kind, from->keys, &rules->keys, st) &&
           add_nested(target, entry[1].kind, from->values, &rules->items, st);
}

/* The type of the rules that fit a field; NOT_SET: the bridge knows none for it. */
static Buf__Validate__FieldRules__TypeCase fitting_type(const struct br_field_plan *field)
{
    if (field->label == BR_LABEL_REPEATED) {
        return BUF__VALIDATE__FIELD_RULES__TYPE_REPEATED;
    }
    if (field->label == BR_LABEL_MAP) {
        return BUF__VALIDATE__FIELD_RULES__TYPE_MAP;
    }
    switch (field->kind) {
    case BR_KIND_INT32:
        return BUF__VALIDATE__FIELD_RULES__TYPE_INT32;
    case BR_KIND_INT64:
        return BUF__VALIDATE__FIELD_RULES__TYPE_INT64;
    case BR_KIND_DOUBLE:
        return BUF__VALIDATE__FIELD_RULES__TYPE_DOUBLE;
    case BR_KIND_STRING:
        return BUF__VALIDATE__FIELD_RULES__TYPE_STRING;
    case BR_KIND_ENUM:
        return BUF__VALIDATE__FIELD_RULES__TYPE_ENUM;
    case BR_KIND_UINT32:
    case BR_KIND_UINT64:
    case BR_KIND_FLOAT:
    case BR_KIND_BOOL:
    case BR_KIND_MESSAGE:
        break;
    }
    return BUF__VALIDATE__FIELD_RULES__TYPE__NOT_SET;
}

static bool add_typed(const struct target *target, const Buf__Validate__FieldRules *from,
                      struct br_rules *rules, struct br_status *st)
{
    if (from->type_case == BUF__VALIDATE__FIELD_RULES__TYPE__NOT_SET) {
        return true;
    }
    if (from->type_case != fitting_type(target->field)) {
        return br_contract_invalid(st, target->where, "its rules are not supported for a field of its type");
    }
    switch (from->type_case) {
    case BUF__VALIDATE__FIELD_RULES__TYPE_DOUBLE:
        return add_double(target, from->double_, rules, st);
    case BUF__VALIDATE__FIELD_RULES__TYPE_INT32:
        return add_int32(target, from->int32, rules, st);
    case BUF__VALIDATE__FIELD_RULES__TYPE_INT64:
        return add_int64(target, from->int64, rules, st);
    case BUF__VALIDATE__FIELD_RULES__TYPE_STRING:
        return add_string(target, from->string, rules, st);
    case BUF__VALIDATE__FIELD_RULES__TYPE_ENUM:
        return add_enum(target, from->enum_, rules, st);
    case BUF__VALIDATE__FIELD_RULES__TYPE_REPEATED:
        return add_repeated(target, from->repeated, rules, st);
    case BUF__VALIDATE__FIELD_RULES__TYPE_MAP:
        return add_map(target, from->map, rules, st);
    default:
        return true; /* not reached: fitting_type() gives no other */
    }
}

static bool unreadable(const struct target *target, struct br_status *st)
{
    if (target->contract->arena.exhausted) {
        return br_arena_fail(&target->contract->arena, st);
    }
    return br_contract_invalid(st, target->where, "its options cannot be read");
}

bool br_rules_of_field(struct br_contract *contract, const ProtobufCMessage *options,
                       const struct br_field_plan *field, const char *where, const struct br_rules **out,
                       struct br_status *st)
{
    struct target target = {.contract = contract, .where = where, .field = field};
    struct br_rules *rules = new_rules(contract);
    if (rules == NULL) {
        return br_arena_fail(&contract->arena, st);
    }
    struct br_option option;
    for (size_t cursor = 0; br_option_next(options, BR_OPTION_VALIDATE, &cursor, &option);) {
        Buf__Validate__FieldRules *from = (Buf__Validate__FieldRules *)br_message_unpack(
            &buf__validate__field_rules__descriptor, option.bytes, option.len, &contract->arena);
        if (from == NULL) {
            return unreadable(&target, st);
        }
        rules->required = from->has_required ? from->required != 0 : rules->required;
        if (!known(&target, &from->base, st) || !add_typed(&target, from, rules, st) ||
            !add_cel(&target, rules, from->n_cel, from->cel, st)) {
            return false;
        }
    }
    *out = rules;
    return true;
}

bool br_rules_of_message(struct br_contract *contract, const ProtobufCMessage *options, const char *where,
                         const struct br_rules **out, struct br_status *st)
{
    struct target target = {.contract = contract, .where = where};
    struct br_rules *rules = new_rules(contract);
    if (rules == NULL) {
        return br_arena_fail(&contract->arena, st);
    }
    struct br_option option;
    for (size_t cursor = 0; br_option_next(options, BR_OPTION_VALIDATE, &cursor, &option);) {
        Buf__Validate__MessageRules *from = (Buf__Validate__MessageRules *)br_message_unpack(
            &buf__validate__message_rules__descriptor, option.bytes, option.len, &contract->arena);
        if (from == NULL) {
            return unreadable(&target, st);
        }
        if (!known(&target, &from->base, st) || !add_cel(&target, rules, from->n_cel, from->cel, st)) {
            return false;
        }
    }
    for (size_t cursor = 0; br_option_next(options, BR_OPTION_WARNING, &cursor, &option);) {
        Modelarts__Rest__V1__Warning *from = (Modelarts__Rest__V1__Warning *)br_message_unpack(
            &modelarts__rest__v1__warning__descriptor, option.bytes, option.len, &contract->arena);
        if (from == NULL) {
            return unreadable(&target, st);
        }
        if (!known(&target, &from->base, st) ||
            !add_named(&target, rules, from->id, from->message, true, st)) {
            return false;
        }
    }
    *out = rules;
    return true;
}
