#include "contract/path_template.h"

#include <string.h>

/* Source: RFC 3986 section 3.3, pchar without percent-encoding, and "/". A literal is sent as it stands. */
static bool is_literal_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~!$&'()+,;=:@/", c) != NULL);
}

static bool invalid(const char *text, const char *why, struct br_status *st)
{
    return br_status_set(st, BR_INTERNAL, "CONTRACT_INVALID", "the path template \"%s\" %s", text, why);
}

static size_t count_parts(const char *text)
{
    size_t count = 1;
    for (const char *at = text; *at != '\0'; at++) {
        count += *at == '{' ? 2 : 0;
    }
    return count;
}

/* A segment that a client or server would drop or step over on the way. Source: RFC 3986 section 5.2.4. */
static bool has_lost_segment(const char *text)
{
    while (*text == '/') {
        const char *segment = text + 1;
        size_t len = strcspn(segment, "/");
        if (len == 0 || (len == 1 && segment[0] == '.') || (len == 2 && memcmp(segment, "..", 2) == 0)) {
            return true;
        }
        text = segment + len;
    }
    return false;
}

bool br_path_template_compile(const char *text, const struct br_message_plan *input, struct br_arena *arena,
                              const struct br_path_part **parts, size_t *count, struct br_status *st)
{
    if (text[0] != '/') {
        return invalid(text, "does not begin with \"/\"", st);
    }
    if (has_lost_segment(text)) {
        return invalid(text, "has a segment that is empty, \".\" or \"..\"", st);
    }
    struct br_path_part *list = br_arena_alloc(arena, count_parts(text) * sizeof *list);
    if (list == NULL) {
        return br_arena_fail(arena, st);
    }
    size_t used = 0;
    const char *at = text;
    while (*at != '\0') {
        if (*at != '{') {
            size_t len = strcspn(at, "{");
            for (size_t i = 0; i < len; i++) {
                if (!is_literal_byte(at[i])) {
                    return invalid(text, "holds a character that a literal segment may not hold", st);
                }
            }
            list[used].literal = br_arena_strndup(arena, at, len);
            if (list[used++].literal == NULL) {
                return br_arena_fail(arena, st);
            }
            at += len;
            continue;
        }
        const char *name = at + 1;
        size_t len = strcspn(name, "}");
        if (name[len] == '\0') {
            return invalid(text, "has a \"{\" without its \"}\"", st);
        }
        const struct br_field_plan *variable = br_plan_field_by_name(input, name, len);
        if (variable == NULL) {
            return invalid(
                text, "has a variable that is no field of the request (only {field_name} is supported)", st);
        }
        if (variable->kind != BR_KIND_STRING || variable->label != BR_LABEL_SINGULAR) {
            return invalid(text, "has a variable that is not a single string", st);
        }
        for (size_t i = 0; i < used; i++) {
            if (list[i].variable == variable) {
                return invalid(text, "names a variable twice", st);
            }
        }
        at = name + len + 1;
        if (name[-2] != '/' || (*at != '\0' && *at != '/' && *at != ':')) {
            return invalid(text, "has a variable that is not a whole segment", st);
        }
        list[used++].variable = variable;
    }
    *parts = list;
    *count = used;
    return true;
}

bool br_path_template_same(const struct br_method *a, const struct br_method *b)
{
    if (a->part_count != b->part_count) {
        return false;
    }
    for (size_t i = 0; i < a->part_count; i++) {
        /* Literals and variables take turns, so that both are a literal or neither. */
        const char *literal = a->parts[i].literal;
        if (literal != NULL && strcmp(literal, b->parts[i].literal) != 0) {
            return false;
        }
    }
    return true;
}
