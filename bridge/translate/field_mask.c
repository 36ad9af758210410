#include "translate/field_mask.h"

#include "contract/field.h"
#include "translate/wire_check.h"

#include <string.h>

const struct br_mask *br_mask_child(const struct br_mask *mask, const struct br_field_plan *field)
{
    if (mask == NULL) {
        return NULL;
    }
    for (const struct br_mask *child = mask->children; child != NULL; child = child->next) {
        if (child->field == field) {
            return child;
        }
    }
    return NULL;
}

bool br_mask_is_whole(const struct br_mask *mask)
{
    return mask == NULL || mask->whole;
}

static bool is_body(enum br_role role)
{
    return role == BR_ROLE_BODY || role == BR_ROLE_WHOLE_BODY;
}

/* Whether a path may go on below |field|. */
static bool can_pass(const struct br_field_plan *field)
{
    return field->kind == BR_KIND_MESSAGE && field->label != BR_LABEL_MAP &&
           field->message->shape == BR_SHAPE_FIELDS;
}

/* Whether naming |field| without a value says nothing: there is no empty number, bool, enum or message. */
static bool needs_value(const struct br_field_plan *field)
{
    return field->label == BR_LABEL_SINGULAR && field->kind != BR_KIND_STRING;
}

/* Adds why |name| (|len| bytes), a part of |path|, cannot be a field of |plan|; |roles| NULL below the top. */
static void refuse_name(struct br_violations *violations, const struct br_place *place, const char *path,
                        const char *name, size_t len, const struct br_message_plan *plan,
                        const enum br_role *roles)
{
    char quoted[BR_QUOTE_CAP];
    br_violation_quote(path, quoted);
    if (strcmp(path, "*") == 0) {
        br_violations_add(violations, place,
                          "%s is not a field; without a mask everything that is set is sent", quoted);
        return;
    }

    struct br_choices accepted = {0};
    for (size_t i = 0; i < plan->field_count; i++) {
        if (roles == NULL || is_body(roles[i])) {
            br_choices_add(&accepted, plan->fields[i].name);
        }
    }
    const struct br_field_plan *field = br_plan_field_by_name(plan, name, len);
    if (field != NULL && roles != NULL) {
        const char *why = roles[field - plan->fields] == BR_ROLE_MASK ? "is never sent itself"
                                                                      : "is in the URL and always sent";
        br_violations_add(violations, place, "%s %s; accepted: %s", quoted, why, accepted.text);
    } else if (len == 0) {
        br_violations_add(violations, place, "%s has an empty part; %s has: %s", quoted, plan->full_name,
                          accepted.text);
    } else {
        br_violations_add(violations, place, "%s is not a field; %s has: %s", quoted, plan->full_name,
                          accepted.text);
    }
}

/* Follows |path| through the plans; returns how many |steps| it takes, 0 with a violation if it cannot be. */
static size_t resolve_path(const struct br_method *method, const char *path, struct br_violations *violations,
                           const struct br_place *place, const struct br_field_plan *steps[BR_MAX_DEPTH])
{
    const struct br_message_plan *plan = method->input;
    const enum br_role *roles = method->roles;
    const char *name = path;

    for (size_t count = 0; count < BR_MAX_DEPTH;) {
        size_t len = strcspn(name, ".");
        const struct br_field_plan *field = br_plan_field_by_name(plan, name, len);
        if (field == NULL || (roles != NULL && !is_body(roles[field - plan->fields]))) {
            refuse_name(violations, place, path, name, len, plan, roles);
            return 0;
        }
        steps[count++] = field;
        if (name[len] == '\0') {
            return count;
        }
        if (!can_pass(field)) {
            char quoted[BR_QUOTE_CAP];
            br_violations_add(violations, place, "%s goes on below %s, which can only be named as a whole",
                              br_violation_quote(path, quoted), field->name);
            return 0;
        }
        plan = field->message;
        roles = NULL;
        name += len + 1;
    }
    char quoted[BR_QUOTE_CAP];
    br_violations_add(violations, place, "%s has more than %d names", br_violation_quote(path, quoted),
                      BR_MAX_DEPTH);
    return 0;
}

/* The node of |field| below |parent|, made if it is missing; NULL when |arena| is exhausted. */
static struct br_mask *need_child(struct br_mask *parent, const struct br_field_plan *field,
                                  struct br_arena *arena)
{
    struct br_mask **link = &parent->children;
    while (*link != NULL && (*link)->field != field) {
        link = &(*link)->next;
    }
    if (*link == NULL) {
        *link = br_arena_alloc(arena, sizeof **link);
        if (*link != NULL) {
            (*link)->field = field;
        }
    }
    return *link;
}

static bool add_path(struct br_mask *root, const struct br_field_plan *const *steps, size_t step_count,
                     struct br_arena *arena)
{
    struct br_mask *node = root;
    for (size_t i = 0; i < step_count; i++) {
        node = need_child(node, steps[i], arena);
        if (node == NULL) {
            return false;
        }
    }
    node->named = true;
    return true;
}

static void spread_whole(struct br_mask *node, bool whole)
{
    node->whole = whole || node->named;
    for (struct br_mask *child = node->children; child != NULL; child = child->next) {
        spread_whole(child, node->whole);
    }
}

/* What pruning needs everywhere. */
struct pruner {
    struct br_violations *violations;
    const char *mask_name; /* of the request's mask field */
    size_t empty_count;    /* fields that are sent though they are empty */
};

/* Adds that |node|'s repeated field is empty though a path goes on below it. One path stands for all. */
static void refuse_empty(const struct pruner *pruner, const struct br_place *place,
                         const struct br_mask *node)
{
    struct br_place steps[BR_MAX_DEPTH];
    size_t count = 0;
    for (const struct br_mask *step = node; step != NULL; step = step->children) {
        struct br_place *parent = count > 0 ? &steps[count - 1] : NULL;
        steps[count++] =
            (struct br_place){.parent = parent, .name = step->field->name, .index = BR_PLACE_NO_INDEX};
        if (count > 1 && step->named) {
            break;
        }
    }
    struct br_violations *violations = pruner->violations;
    const char *path = "";
    if (violations->count < BR_VIOLATIONS_MAX) {
        path = br_place_text(&steps[count - 1], violations->arena);
    }
    br_violations_add(violations, place, "%s is empty, so %s names nothing", node->field->name,
                      path == NULL ? pruner->mask_name : path);
}

/*
 * Clears what |node| leaves out of |message|, and checks that what it names has a value.
 * |message| NULL: the message is unset, and so is everything below it. |roles| NULL below the top.
 * The depth of the recursion is that of a path, which BR_MAX_DEPTH bounds.
 */
static void prune(struct pruner *pruner, const struct br_message_plan *plan, ProtobufCMessage *message,
                  const struct br_mask *node, const enum br_role *roles, const struct br_place *parent)
{
    for (size_t i = 0; message != NULL && !node->whole && i < plan->field_count; i++) {
        const struct br_field_plan *field = &plan->fields[i];
        if ((roles == NULL || is_body(roles[i])) && br_mask_child(node, field) == NULL) {
            br_field_clear(message, field);
        }
    }

    for (const struct br_mask *child = node->children; child != NULL; child = child->next) {
        const struct br_field_plan *field = child->field;
        struct br_place place = {.parent = parent, .name = field->name, .index = BR_PLACE_NO_INDEX};
        size_t count = message == NULL ? 0 : br_field_count(message, field);
        pruner->empty_count += count == 0 && child->named;
        if (count == 0 && child->named && needs_value(field)) {
            br_violations_add(pruner->violations, &place, "named in %s but has no value", pruner->mask_name);
        } else if (child->children == NULL) {
            continue; /* scalars, maps, and what is sent as it is */
        } else if (field->label == BR_LABEL_SINGULAR) {
            ProtobufCMessage *below = count == 0 ? NULL : br_field_get(message, field, 0).message;
            prune(pruner, field->message, below, child, NULL, &place);
        } else if (count == 0) {
            refuse_empty(pruner, &place, child);
        } else {
            for (place.index = 0; place.index < count; place.index++) {
                ProtobufCMessage *element = br_field_get(message, field, place.index).message;
                prune(pruner, field->message, element, child, NULL, &place);
            }
        }
    }
}

bool br_mask_apply(const struct br_method *method, ProtobufCMessage *request,
                   struct br_violations *violations, const struct br_mask **out, struct br_status *st)
{
    const struct br_field_plan *field = method->mask;
    size_t path_count = 0;
    ProtobufCMessage *mask = NULL;
    const struct br_field_plan *paths = NULL;
    if (field != NULL && br_field_has(request, field)) {
        mask = br_field_get(request, field, 0).message;
        paths = br_plan_field_by_name(field->message, "paths", strlen("paths"));
        path_count = br_field_count(mask, paths);
    }
    if (path_count == 0) {
        *out = NULL;
        return true;
    }

    struct br_arena *arena = violations->arena;
    struct br_mask *root = br_arena_alloc(arena, sizeof *root);
    if (root == NULL) {
        return br_arena_fail(arena, st);
    }
    struct br_place mask_place = {.name = field->name, .index = BR_PLACE_NO_INDEX};
    for (size_t i = 0; i < path_count; i++) {
        const struct br_field_plan *steps[BR_MAX_DEPTH];
        struct br_place place = {.parent = &mask_place, .name = paths->name, .index = i};
        size_t step_count =
            resolve_path(method, br_field_get(mask, paths, i).text, violations, &place, steps);
        if (step_count > 0 && !add_path(root, steps, step_count, arena)) {
            return br_arena_fail(arena, st);
        }
    }
    spread_whole(root, false);
    struct pruner pruner = {.violations = violations, .mask_name = field->name};
    prune(&pruner, method->input, request, root, method->roles, NULL);
    /* In each element of a list a path may name a field, so few bytes could make a body of hundreds of MiB. */
    if (pruner.empty_count > BR_MAX_WIRE_ELEMENTS) {
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE",
                             "%s names more than %d empty fields, over all elements of lists", field->name,
                             BR_MAX_WIRE_ELEMENTS);
    }
    *out = root;
    return true;
}
