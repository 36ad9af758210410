#include "translate/violation.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

void br_violations_init(struct br_violations *violations, struct br_arena *arena)
{
    violations->arena = arena;
    violations->count = 0;
    violations->total_count = 0;
}

void br_violations_add(struct br_violations *violations, const struct br_place *place, const char *format,
                       ...)
{
    violations->total_count++;
    if (violations->count == BR_VIOLATIONS_MAX) {
        return;
    }

    va_list args;
    va_start(args, format);
    const char *description = br_arena_vprintf(violations->arena, format, args);
    va_end(args);
    const char *field = br_place_text(place, violations->arena);
    if (description == NULL || field == NULL) {
        return;
    }
    violations->items[violations->count++] =
        (struct br_violation){.field = field, .description = description};
}

bool br_violations_none(const struct br_violations *violations, struct br_status *st)
{
    if (violations->total_count == 0) {
        return violations->arena->exhausted ? br_arena_fail(violations->arena, st) : true;
    }

    const char *field = "";
    const char *description = "the request is not valid; memory ran out before the details";
    if (violations->count > 0) {
        field = violations->items[0].field;
        description = violations->items[0].description;
    }
    char more[48] = "";
    if (violations->total_count > 1) {
        (void)snprintf(more, sizeof more, " (and %zu more)", violations->total_count - 1);
    }
    return br_status_set(st, BR_INVALID_ARGUMENT, "VALIDATION_FAILED", "%s%s%s%s", field,
                         field[0] == '\0' ? "" : ": ", description, more);
}

/* Writes the text of |place| alone so that it ends before |end|, unless that is NULL; returns its length. */
static size_t put_segment(const struct br_place *place, char *end)
{
    char text[BR_QUOTE_CAP];
    const char *parts[3];
    if (place->is_key) {
        parts[0] = "[";
        parts[1] = br_violation_quote(place->name, text);
        parts[2] = "]";
    } else {
        parts[0] = place->parent != NULL && place->name[0] != '\0' ? "." : "";
        parts[1] = place->name;
        parts[2] = text;
        text[0] = '\0';
        if (place->index != BR_PLACE_NO_INDEX) {
            (void)snprintf(text, sizeof text, "[%zu]", place->index);
        }
    }

    size_t len = 0;
    for (size_t i = 3; i-- > 0;) {
        size_t part_len = strlen(parts[i]);
        len += part_len;
        if (end != NULL) {
            memcpy(end - len, parts[i], part_len);
        }
    }
    return len;
}

const char *br_place_text(const struct br_place *place, struct br_arena *arena)
{
    size_t len = 0;
    for (const struct br_place *p = place; p != NULL; p = p->parent) {
        len += put_segment(p, NULL);
    }

    char *text = br_arena_alloc(arena, len + 1);
    if (text == NULL) {
        return NULL;
    }
    char *end = text + len;
    for (const struct br_place *p = place; p != NULL; p = p->parent) {
        end -= put_segment(p, end);
    }
    return text;
}

const char *br_violation_quote(const char *text, char out[BR_QUOTE_CAP])
{
    size_t len = strlen(text);
    size_t cut = br_utf8_cut(text, len, BR_QUOTE_MAX_BYTES);
    size_t used = 0;

    out[used++] = '"';
    for (size_t i = 0; i < cut; i++) {
        unsigned char byte = (unsigned char)text[i];
        unsigned char next = (unsigned char)text[i + 1];
        /* C2 80 to C2 9F are the control characters U+0080 to U+009F, which steer a terminal as well. */
        bool is_c1 = byte == 0xC2 && next >= 0x80 && next <= 0x9F && i + 1 < cut;
        if (byte < 0x20 || byte == 0x7F || is_c1) {
            unsigned code = is_c1 ? next : byte;
            used += (size_t)snprintf(out + used, BR_QUOTE_CAP - used, "\\u%04X", code);
            i += is_c1;
            continue;
        }
        if (byte == '"' || byte == '\\') {
            out[used++] = '\\';
        }
        out[used++] = (char)byte;
    }
    out[used++] = '"';
    if (cut < len) {
        memcpy(out + used, "...", 3);
        used += 3;
    }
    out[used] = '\0';
    return out;
}

void br_choices_add(struct br_choices *choices, const char *text)
{
    static const char ellipsis[] = ", ...";
    size_t text_len = strlen(text);
    bool cut = choices->count > BR_CHOICES_MAX;
    choices->count++;
    if (cut) {
        return;
    }

    /* Two bytes for the comma; the dots must always fit after it. */
    if (choices->count > BR_CHOICES_MAX ||
        text_len + 2 > sizeof choices->text - sizeof ellipsis - choices->len) {
        const char *dots = choices->len == 0 ? ellipsis + 2 : ellipsis;
        memcpy(choices->text + choices->len, dots, strlen(dots) + 1);
        choices->count = BR_CHOICES_MAX + 1;
        return;
    }
    if (choices->len > 0) {
        memcpy(choices->text + choices->len, ", ", 2);
        choices->len += 2;
    }
    memcpy(choices->text + choices->len, text, text_len + 1);
    choices->len += text_len;
}
