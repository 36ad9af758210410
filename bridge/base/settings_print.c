#include "base/settings_row.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

#define LINE_WIDTH 100
#define INDENT 2
#define GAP 2
/* A flag wider than this stands on a line of its own, so that one long name does not push every sentence right. */
#define FLAG_WIDTH_MAX 34

static int width_of(const char *text, size_t len)
{
    return (int)br_utf8_count(text, len);
}

/* What stands behind the flag: " ADDRESS", or nothing for a switch. */
static const char *value_of(const struct br_setting *row)
{
    return row->kind == BR_SETTING_SWITCH ? "" : row->metavar;
}

/* The width of "--listen ADDRESS". */
static int flag_width(const struct br_setting *row)
{
    const char *value = value_of(row);
    int width = 2 + width_of(row->flag, strlen(row->flag));
    return value[0] == '\0' ? width : width + 1 + width_of(value, strlen(value));
}

static const char *default_of(const struct br_setting *row)
{
    if (row->initial != NULL) {
        return row->initial;
    }
    return row->kind == BR_SETTING_SWITCH ? "false" : NULL;
}

/* Where the next chunk of the right column goes. */
struct place {
    int left;   /* the column that each line begins at */
    int column; /* where the line is now */
};

/* Prints |before|, |len| bytes of |text| and |after| as one piece, on a new line where this one has no room. */
static void print_chunk(struct place *place, const char *before, const char *text, size_t len,
                        const char *after)
{
    int width = width_of(before, strlen(before)) + width_of(text, len) + width_of(after, strlen(after));
    if (place->column > place->left) {
        if (place->column + 1 + width > LINE_WIDTH) {
            (void)printf("\n%*s", place->left, "");
            place->column = place->left;
        } else {
            (void)putchar(' ');
            place->column++;
        }
    }
    (void)printf("%s%.*s%s", before, (int)len, text, after);
    place->column += width;
}

static void print_help_row(const struct br_settings *settings, const struct br_setting *row, int flag_column)
{
    struct place place = {.left = INDENT + flag_column + GAP};
    const char *value = value_of(row);
    int width = flag_width(row);
    (void)printf("%*s--%s%s%s", INDENT, "", row->flag, value[0] == '\0' ? "" : " ", value);
    if (width > flag_column) {
        (void)printf("\n%*s", place.left, "");
    } else {
        (void)printf("%*s", flag_column - width + GAP, "");
    }

    place.column = place.left;
    const char *word = row->help;
    while (*word != '\0') {
        size_t len = strcspn(word, " ");
        print_chunk(&place, "", word, len, "");
        word += len;
        word += strspn(word, " ");
    }
    (void)putchar('\n');

    char variable[BR_SETTINGS_NAME_CAP];
    br_settings_variable(settings, row, variable);
    const char *initial = default_of(row);
    bool repeats = row->kind == BR_SETTING_TEXTS;
    if (initial == NULL && !row->required && !repeats && variable[0] == '\0') {
        return;
    }
    (void)printf("%*s", place.left, "");
    place.column = place.left;
    if (initial != NULL) {
        print_chunk(&place, "[default: ", initial, strlen(initial), "]");
    } else if (row->required) {
        print_chunk(&place, "[required]", "", 0, "");
    }
    if (repeats) {
        print_chunk(&place, "[may be repeated]", "", 0, "");
    }
    if (variable[0] != '\0') {
        print_chunk(&place, "[env: ", variable, strlen(variable), repeats ? ", comma-separated]" : "]");
    }
    (void)putchar('\n');
}

void br_settings_print_help(const struct br_settings *settings)
{
    int flag_column = 0;
    for (size_t i = 0; i < settings->row_count; i++) {
        int width = flag_width(&settings->rows[i]);
        if (width > flag_column && width <= FLAG_WIDTH_MAX) {
            flag_column = width;
        }
    }
    for (size_t i = 0; i < settings->row_count; i++) {
        print_help_row(settings, &settings->rows[i], flag_column);
    }
}

/* A '|' would end the table's cell, inside a code span too. */
static void print_cell(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            (void)putchar('\\');
        }
        (void)putchar(*text);
    }
}

static void print_code(const char *text)
{
    (void)putchar('`');
    print_cell(text);
    (void)putchar('`');
}

void br_settings_print_markdown(const struct br_settings *settings)
{
    (void)printf("| Flag | Variable | Default | Meaning |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < settings->row_count; i++) {
        const struct br_setting *row = &settings->rows[i];
        char variable[BR_SETTINGS_NAME_CAP];
        br_settings_variable(settings, row, variable);
        const char *value = value_of(row);
        const char *initial = default_of(row);

        (void)printf("| `--%s%s", row->flag, value[0] == '\0' ? "" : " ");
        print_cell(value);
        (void)printf("` | ");
        if (variable[0] != '\0') {
            print_code(variable);
        } else {
            (void)putchar('-');
        }
        (void)printf(" | ");
        if (initial != NULL) {
            print_code(initial);
        } else {
            (void)printf("%s", row->required ? "required" : "-");
        }
        (void)printf(" | ");
        print_cell(row->help);
        (void)printf(" |\n");
    }
}
