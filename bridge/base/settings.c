#include "base/settings.h"

#include "base/parse.h"
#include "base/settings_row.h"
#include "base/utf8.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char bad_setting[] = "BAD_SETTING";

/* A value as an error shows it: enough of a path to recognise it, and room left for the rest of the sentence. */
#define QUOTED_CAP 256

void br_settings_variable(const struct br_settings *settings, const struct br_setting *row,
                          char out[BR_SETTINGS_NAME_CAP])
{
    out[0] = '\0';
    if (settings->env_prefix == NULL) {
        return;
    }
    size_t prefix_len = strlen(settings->env_prefix);
    size_t flag_len = strlen(row->flag);
    assert(prefix_len + flag_len < BR_SETTINGS_NAME_CAP);
    memcpy(out, settings->env_prefix, prefix_len);
    memcpy(out + prefix_len, row->flag, flag_len + 1);
    for (char *c = out + prefix_len; *c != '\0'; c++) {
        if (*c == '-') {
            *c = '_';
        } else if (*c >= 'a' && *c <= 'z') {
            *c = (char)(*c - 'a' + 'A');
        }
    }
}

/*
 * A copy of |len| bytes of |value| that keeps an error one line of UTF-8 whatever the operator gave: control
 * characters and bytes that are not UTF-8 become '?', a long value is cut.
 */
static const char *quote_bytes(const char *value, size_t len, char out[QUOTED_CAP])
{
    static const char dots[] = "...";
    size_t room = QUOTED_CAP - sizeof dots;
    size_t used = 0;
    while (used < len && used < room) {
        size_t valid = br_utf8_valid_prefix(value + used, len - used);
        if (valid == 0) {
            out[used++] = '?';
            continue;
        }
        valid = br_utf8_cut(value + used, valid, room - used);
        if (valid == 0) {
            break;
        }
        for (size_t i = 0; i < valid; i++, used++) {
            unsigned char c = (unsigned char)value[used];
            out[used] = c < 0x20 || c == 0x7F ? '?' : (char)c;
        }
    }
    if (used < len) {
        memcpy(out + used, dots, sizeof dots - 1);
        used += sizeof dots - 1;
    }
    out[used] = '\0';
    return out;
}

static const char *quote(const char *value, char out[QUOTED_CAP])
{
    return quote_bytes(value, strlen(value), out);
}

/* One argument of the command line, as the cursor meets it. */
struct argument {
    const struct br_setting *row; /* NULL: not a flag */
    const char *value;            /* NULL: a switch that stands alone */
};

struct cursor {
    const struct br_settings *settings;
    int argc;
    char **argv;
    int next;
    bool flags_ended; /* a "--" was met */
};

static const struct br_setting *find_row(const struct br_settings *settings, const char *name, size_t len)
{
    for (size_t i = 0; i < settings->row_count; i++) {
        const struct br_setting *row = &settings->rows[i];
        if (strlen(row->flag) == len && memcmp(row->flag, name, len) == 0) {
            return row;
        }
    }
    return NULL;
}

/* The insertions, deletions and replacements between two names; |b_len| is below BR_SETTINGS_NAME_CAP. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t row[BR_SETTINGS_NAME_CAP];
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) {
                best = row[j] + 1;
            }
            if (row[j - 1] + 1 < best) {
                best = row[j - 1] + 1;
            }
            row[j] = best;
        }
    }
    return row[b_len];
}

static bool refuse_unknown(const struct br_settings *settings, const char *name, size_t len,
                           struct br_status *st)
{
    const struct br_setting *closest = NULL;
    size_t closest_distance = 3;
    for (size_t i = 0; i < settings->row_count; i++) {
        const char *flag = settings->rows[i].flag;
        size_t flag_len = strlen(flag);
        assert(flag_len < BR_SETTINGS_NAME_CAP);
        size_t distance = edit_distance(name, len, flag, flag_len);
        /* A name that shares no character with the flag is not a slip of the hand. */
        if (distance < closest_distance && distance < flag_len && distance < len) {
            closest = &settings->rows[i];
            closest_distance = distance;
        }
    }

    char shown[QUOTED_CAP];
    (void)quote_bytes(name, len, shown);
    if (closest != NULL) {
        return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting,
                             "--%s: no such setting; did you mean --%s? (see --help)", shown, closest->flag);
    }
    return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting, "--%s: no such setting; see --help", shown);
}

/* Steps over one argument. False with |st| set for a malformed one; false with |*end| set after the last one. */
static bool next_argument(struct cursor *cursor, struct argument *out, bool *end, struct br_status *st)
{
    *end = false;
    if (!cursor->flags_ended && cursor->next < cursor->argc &&
        strcmp(cursor->argv[cursor->next], "--") == 0) {
        cursor->flags_ended = true;
        cursor->next++;
    }
    if (cursor->next >= cursor->argc) {
        *end = true;
        return false;
    }

    const char *text = cursor->argv[cursor->next++];
    if (cursor->flags_ended || text[0] != '-' || text[1] == '\0') {
        *out = (struct argument){.row = NULL, .value = text};
        return true;
    }
    char shown[QUOTED_CAP];
    if (text[1] != '-') {
        return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting,
                             "%s: no such setting; a flag begins with two dashes, see --help",
                             quote(text, shown));
    }

    const char *name = text + 2;
    size_t len = strcspn(name, "=");
    const struct br_setting *row = find_row(cursor->settings, name, len);
    if (row == NULL) {
        return refuse_unknown(cursor->settings, name, len, st);
    }

    const char *value = NULL;
    if (name[len] == '=') {
        value = name + len + 1;
    } else if (row->kind != BR_SETTING_SWITCH) {
        if (cursor->next >= cursor->argc) {
            return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting,
                                 "--%s: the value is missing; write --%s=%s", row->flag, row->flag,
                                 row->metavar);
        }
        value = cursor->argv[cursor->next];
        if (strncmp(value, "--", 2) == 0) {
            return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting,
                                 "--%s: \"%s\" looks like a flag; write --%s=VALUE if it is the value",
                                 row->flag, quote(value, shown), row->flag);
        }
        cursor->next++;
    }
    *out = (struct argument){.row = row, .value = value};
    return true;
}

static bool fail_memory(struct br_status *st)
{
    return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                         "out of memory while reading the settings");
}

/* Checks the form of every argument and collects those that are not flags. */
static bool read_positional(struct cursor cursor, struct br_texts *positional, struct br_status *st)
{
    struct br_texts found = {0};
    if (positional != NULL && cursor.argc > 0) {
        found.items = malloc((size_t)cursor.argc * sizeof *found.items);
        if (found.items == NULL) {
            return fail_memory(st);
        }
    }

    struct argument argument;
    bool end;
    while (next_argument(&cursor, &argument, &end, st)) {
        if (argument.row != NULL) {
            continue;
        }
        if (positional == NULL) {
            char shown[QUOTED_CAP];
            return br_status_set(
                st, BR_INVALID_ARGUMENT, bad_setting,
                "\"%s\": no argument is expected here; a flag begins with two dashes, see --help",
                quote(argument.value, shown));
        }
        found.items[found.count++] = argument.value;
    }
    if (!end) {
        free(found.items);
        return false;
    }
    if (positional != NULL) {
        if (found.count == 0) {
            free(found.items);
            found.items = NULL;
        }
        *positional = found;
    }
    return true;
}

/* The range of |row| in words: "from 1ms to 1h". */
struct range {
    char low[BR_SETTINGS_QUANTITY_CAP];
    char high[BR_SETTINGS_QUANTITY_CAP];
};

static struct range format_range(const struct br_setting *row)
{
    struct range range;
    br_settings_quantity(row, row->min, range.low);
    br_settings_quantity(row, row->max, range.high);
    return range;
}

/* Reads |text| as the number that |row| wants, whatever its range. */
static bool parse_quantity(const struct br_setting *row, const char *text, int64_t *out)
{
    uint64_t bytes;
    switch (row->kind) {
    case BR_SETTING_DURATION:
        return br_parse_duration_ms(text, out);
    case BR_SETTING_SIZE:
        if (!br_parse_size_bytes(text, &bytes)) {
            return false;
        }
        *out = (int64_t)bytes;
        return true;
    default:
        return br_parse_int64(text, strlen(text), out);
    }
}

/* Whether |text| has the form that |row| wants but a number too big for the parser: it is well-formed with 0. */
static bool is_too_big(const struct br_setting *row, const char *text)
{
    if (row->kind == BR_SETTING_COUNT && text[0] == '-') {
        text++;
    }
    size_t digits = strspn(text, "0123456789");
    char with_zero[8];
    int len = snprintf(with_zero, sizeof with_zero, "0%s", text + digits);
    int64_t ignored;
    return digits > 0 && len > 0 && (size_t)len < sizeof with_zero &&
           parse_quantity(row, with_zero, &ignored);
}

static bool store_quantity(const struct br_setting *row, const char *source, const char *text, void *field,
                           struct br_status *st)
{
    int64_t value;
    char shown[QUOTED_CAP];
    struct range range = format_range(row);
    bool parsed = parse_quantity(row, text, &value);
    if (parsed && value >= row->min && value <= row->max) {
        if (row->kind == BR_SETTING_SIZE) {
            *(uint64_t *)field = (uint64_t)value;
        } else {
            *(int64_t *)field = value;
        }
        return true;
    }

    if (parsed || is_too_big(row, text)) {
        return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting,
                             "%s: \"%s\" is out of range; give a value from %s to %s", source,
                             quote(text, shown), range.low, range.high);
    }
    if (row->kind == BR_SETTING_COUNT) {
        return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting,
                             "%s: \"%s\" is not a whole number; give one from %s to %s", source,
                             quote(text, shown), range.low, range.high);
    }
    bool is_duration = row->kind == BR_SETTING_DURATION;
    return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting,
                         "%s: \"%s\" is not a %s; give a whole number and a unit, such as %s (from %s to %s)",
                         source, quote(text, shown), is_duration ? "duration" : "size",
                         is_duration ? "500ms, 30s, 5m" : "512B, 64KiB, 4MiB", range.low, range.high);
}

static bool store_choice(const struct br_setting *row, const char *source, const char *text, void *field,
                         struct br_status *st)
{
    char list[BR_STATUS_MSG_CAP / 2] = "";
    size_t len = 0;
    for (int i = 0; row->choices[i] != NULL; i++) {
        if (strcmp(row->choices[i], text) == 0) {
            *(int *)field = i;
            return true;
        }
        if (len < sizeof list) {
            len +=
                (size_t)snprintf(list + len, sizeof list - len, "%s%s", i > 0 ? ", " : "", row->choices[i]);
        }
    }
    char shown[QUOTED_CAP];
    return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting, "%s: no such choice \"%s\"; give one of: %s",
                         source, quote(text, shown), list);
}

static bool store_switch(const char *source, const char *text, void *field, struct br_status *st)
{
    if (strcmp(text, "true") == 0) {
        *(bool *)field = true;
        return true;
    }
    if (strcmp(text, "false") == 0) {
        *(bool *)field = false;
        return true;
    }
    char shown[QUOTED_CAP];
    return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting, "%s: \"%s\" is neither true nor false", source,
                         quote(text, shown));
}

static bool check_text(const struct br_setting *row, const char *source, const char *text,
                       struct br_status *st)
{
    if (text[0] == '\0') {
        return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting, "%s: the value is empty", source);
    }
    const char *problem = row->problem != NULL ? row->problem(text) : NULL;
    char quoted[QUOTED_CAP];
    return problem == NULL || br_status_set(st, BR_INVALID_ARGUMENT, bad_setting, "%s: \"%s\" %s", source,
                                            quote(text, quoted), problem);
}

/* Looks without opening: to open and close a FIFO would take its writer's reader away. */
static bool check_readable(const char *source, const char *path, struct br_status *st)
{
    struct stat info;
    int error = 0;
    if (stat(path, &info) != 0) {
        error = errno;
    } else if (S_ISDIR(info.st_mode)) {
        error = EISDIR;
    } else if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0) {
        error = errno;
    }
    if (error == 0) {
        return true;
    }
    char shown[QUOTED_CAP];
    return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting, "%s: cannot read \"%s\": %s", source,
                         quote(path, shown), strerror(error));
}

/* Parses one value that is not a list into |field|; |source| is how the operator knows the setting. */
static bool store_value(const struct br_setting *row, const char *source, const char *text, void *field,
                        struct br_status *st)
{
    switch (row->kind) {
    case BR_SETTING_TEXT:
    case BR_SETTING_FILE:
        if (!check_text(row, source, text, st)) {
            return false;
        }
        if (row->kind == BR_SETTING_FILE && !check_readable(source, text, st)) {
            return false;
        }
        *(const char **)field = text;
        return true;
    case BR_SETTING_DURATION:
    case BR_SETTING_SIZE:
    case BR_SETTING_COUNT:
        return store_quantity(row, source, text, field, st);
    case BR_SETTING_CHOICE:
        return store_choice(row, source, text, field, st);
    case BR_SETTING_SWITCH:
        return store_switch(source, text, field, st);
    case BR_SETTING_TEXTS:
        break;
    }
    /* A list never comes here: read_row() has its own way for it. */
    abort();
}

/* Splits |text| at its commas. The pieces live behind the pointers, in the same allocation. */
static bool split_texts(const struct br_setting *row, const char *source, const char *text,
                        struct br_texts *out, struct br_status *st)
{
    size_t len = strlen(text);
    size_t count = 1;
    for (size_t i = 0; i < len; i++) {
        count += text[i] == ',';
    }
    const char **items = malloc(count * sizeof *items + len + 1);
    if (items == NULL) {
        return fail_memory(st);
    }
    char *piece = (char *)(items + count);
    memcpy(piece, text, len + 1);
    for (size_t i = 0; i < count; i++) {
        size_t piece_len = strcspn(piece, ",");
        if (piece_len == 0) {
            free(items);
            char shown[QUOTED_CAP];
            return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting,
                                 "%s: \"%s\" has an empty entry; separate the entries with one comma", source,
                                 quote(text, shown));
        }
        items[i] = piece;
        piece[piece_len] = '\0';
        if (!check_text(row, source, piece, st)) {
            free(items);
            return false;
        }
        piece += piece_len + 1;
    }
    *out = (struct br_texts){.items = items, .count = count};
    return true;
}

/* What the command line says about one row. */
struct flag_use {
    size_t count;
    const char *value; /* of the last use */
};

/* Walks the arguments, already checked, for |row|; |items| receives each value unless NULL. */
static struct flag_use find_uses(struct cursor cursor, const struct br_setting *row, const char **items)
{
    struct flag_use use = {0};
    struct argument argument;
    struct br_status unused;
    bool end;
    while (next_argument(&cursor, &argument, &end, &unused)) {
        if (argument.row != row) {
            continue;
        }
        use.value = argument.value != NULL ? argument.value : "true";
        if (items != NULL) {
            items[use.count] = use.value;
        }
        use.count++;
    }
    assert(end);
    return use;
}

/* A list from its flags, which replace the environment and the default. */
static bool store_flag_texts(struct cursor cursor, const struct br_setting *row, const char *source,
                             size_t count, struct br_texts *out, struct br_status *st)
{
    const char **items = malloc(count * sizeof *items);
    if (items == NULL) {
        return fail_memory(st);
    }
    (void)find_uses(cursor, row, items);
    for (size_t i = 0; i < count; i++) {
        if (!check_text(row, source, items[i], st)) {
            free(items);
            return false;
        }
    }
    *out = (struct br_texts){.items = items, .count = count};
    return true;
}

static bool read_row(struct cursor cursor, const struct br_setting *row, void *config, struct br_status *st)
{
    char flag[BR_SETTINGS_NAME_CAP];
    char variable[BR_SETTINGS_NAME_CAP];
    (void)snprintf(flag, sizeof flag, "--%s", row->flag);
    br_settings_variable(cursor.settings, row, variable);
    void *field = (char *)config + row->offset;

    struct flag_use use = find_uses(cursor, row, NULL);
    if (use.count > 0 && row->kind == BR_SETTING_TEXTS) {
        return store_flag_texts(cursor, row, flag, use.count, field, st);
    }
    if (use.count > 1) {
        return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting, "%s: given %zu times; give it once", flag,
                             use.count);
    }

    const char *source = flag;
    const char *text = use.value;
    if (text == NULL && variable[0] != '\0') {
        text = getenv(variable);
        if (text != NULL) {
            source = variable;
        }
    }
    if (text == NULL) {
        text = row->initial;
    }
    if (text == NULL) {
        if (!row->required) {
            return true;
        }
        if (variable[0] == '\0') {
            return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting, "%s: required, but not given", flag);
        }
        return br_status_set(st, BR_INVALID_ARGUMENT, bad_setting,
                             "%s: required, but not given; give the flag or set %s", flag, variable);
    }
    if (row->kind == BR_SETTING_TEXTS) {
        return split_texts(row, source, text, field, st);
    }
    return store_value(row, source, text, field, st);
}

bool br_settings_read(const struct br_settings *settings, int argc, char **argv, void *config,
                      struct br_texts *positional, struct br_status *st)
{
    struct cursor cursor = {.settings = settings, .argc = argc, .argv = argv};
    struct br_texts found = {0};
    if (!read_positional(cursor, positional != NULL ? &found : NULL, st)) {
        return false;
    }
    for (size_t i = 0; i < settings->row_count; i++) {
        if (!read_row(cursor, &settings->rows[i], config, st)) {
            free(found.items);
            return false;
        }
    }
    if (positional != NULL) {
        *positional = found;
    }
    return true;
}

const char *br_settings_source(const struct br_settings *settings, const struct br_setting *row, int argc,
                               char **argv)
{
    struct cursor cursor = {.settings = settings, .argc = argc, .argv = argv};
    char variable[BR_SETTINGS_NAME_CAP];
    br_settings_variable(settings, row, variable);
    if (find_uses(cursor, row, NULL).count > 0) {
        return "flag";
    }
    return variable[0] != '\0' && getenv(variable) != NULL ? "environment" : "default";
}

void br_settings_finish(const struct br_settings *settings, void *config)
{
    for (size_t i = 0; i < settings->row_count; i++) {
        if (settings->rows[i].kind != BR_SETTING_TEXTS) {
            continue;
        }
        struct br_texts *texts = (struct br_texts *)(void *)((char *)config + settings->rows[i].offset);
        free(texts->items);
        *texts = (struct br_texts){0};
    }
}
