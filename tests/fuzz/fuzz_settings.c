/*
 * The settings of `serve`: command line and environment, through the table that the program has.
 *
 * Input: arguments, a NUL between any two. One that begins with MODELARTS_BRIDGE_ and names a setting is a variable of
 * the environment instead.
 */
#include "fuzz.h"

#include "base/settings_row.h"
#include "cmd/serve_settings.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 64
#define ROWS_MAX 64

static const struct br_settings *const table = &br_serve_settings_table;

/* Whether |text| is a variable of the table's, which it then sets. */
static bool set_variable(const char *text)
{
    char name[BR_SETTINGS_NAME_CAP];
    const char *equals = strchr(text, '=');
    for (size_t i = 0; equals != NULL && i < table->row_count; i++) {
        br_settings_variable(table, &table->rows[i], name);
        if (strlen(name) == (size_t)(equals - text) && memcmp(text, name, strlen(name)) == 0) {
            assert(setenv(name, equals + 1, 1) == 0);
            return true;
        }
    }
    return false;
}

static void clear_variables(void)
{
    char name[BR_SETTINGS_NAME_CAP];
    for (size_t i = 0; i < table->row_count; i++) {
        br_settings_variable(table, &table->rows[i], name);
        assert(unsetenv(name) == 0);
    }
}

/* An operator reads it on one line of a terminal. */
static void check_refusal(const struct br_status *st)
{
    fuzz_check_status(st);
    assert(st->code == BR_INVALID_ARGUMENT && strcmp(st->reason, "BAD_SETTING") == 0);
    for (const unsigned char *c = (const unsigned char *)st->msg; *c != '\0'; c++) {
        assert(*c >= ' ' && *c != 0x7F);
    }
}

static void check_range(const struct br_setting *row, const struct br_serve_settings *config)
{
    const char *field = (const char *)config + row->offset;
    int64_t quantity;
    int choice;
    switch (row->kind) {
    case BR_SETTING_DURATION:
    case BR_SETTING_COUNT:
    case BR_SETTING_SIZE:
        memcpy(&quantity, field, sizeof quantity);
        assert(quantity >= row->min && quantity <= row->max);
        break;
    case BR_SETTING_CHOICE:
        memcpy(&choice, field, sizeof choice);
        for (int i = 0; i <= choice; i++) {
            assert(row->choices[i] != NULL);
        }
        break;
    case BR_SETTING_TEXT:
    case BR_SETTING_TEXTS:
    case BR_SETTING_FILE:
    case BR_SETTING_SWITCH:
        break;
    }
}

static char *print_value(const struct br_setting *row, const struct br_serve_settings *config)
{
    struct br_buf buf;
    br_buf_init(&buf, (size_t)1 << 20);
    assert(br_buf_puts(&buf, "") == BR_BUF_OK && br_settings_value(row, config, &buf) == BR_BUF_OK);
    return buf.data;
}

/* What was given, given again as it is printed, means the same; but for lists, whose entries may hold commas. */
static void check_printed(const struct br_serve_settings *config, const bool is_given[ROWS_MAX])
{
    struct br_serve_settings again = {0};
    struct br_status st;
    struct br_buf arguments[ROWS_MAX];
    char *argv[ROWS_MAX];
    int argc = 0;
    for (size_t i = 0; i < table->row_count; i++) {
        if (is_given[i] && table->rows[i].kind != BR_SETTING_TEXTS) {
            struct br_buf *argument = &arguments[argc];
            char *value = print_value(&table->rows[i], config);
            br_buf_init(argument, (size_t)1 << 20);
            assert(br_buf_printf(argument, "--%s=%s", table->rows[i].flag, value) == BR_BUF_OK);
            argv[argc++] = argument->data;
            free(value);
        }
    }
    assert(br_settings_read(table, argc, argv, &again, NULL, &st));
    for (size_t i = 0; i < table->row_count; i++) {
        if (table->rows[i].kind != BR_SETTING_TEXTS) {
            char *value = print_value(&table->rows[i], config);
            char *value_again = print_value(&table->rows[i], &again);
            assert(strcmp(value, value_again) == 0);
            free(value_again);
            free(value);
        }
    }
    br_settings_finish(table, &again);
    while (argc > 0) {
        br_buf_finish(&arguments[--argc]);
    }
}

static void check_config(struct br_serve_settings *config, int argc, char **argv)
{
    bool is_given[ROWS_MAX];
    assert(table->row_count <= ROWS_MAX);
    for (size_t i = 0; i < table->row_count; i++) {
        const char *source = br_settings_source(table, &table->rows[i], argc, argv);
        is_given[i] = strcmp(source, "default") != 0;
        assert(!is_given[i] || strcmp(source, "flag") == 0 || strcmp(source, "environment") == 0);
        check_range(&table->rows[i], config);
    }
    clear_variables();
    check_printed(config, is_given);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {.at = data, .end = data + size};
    char *arguments[ARGUMENTS_MAX + 1] = {NULL};
    int argc = 0;
    while (input.at < input.end && argc < ARGUMENTS_MAX) {
        char *text = fuzz_part(&input, '\0', NULL);
        if (set_variable(text)) {
            free(text);
        } else {
            arguments[argc++] = text;
        }
    }

    struct br_serve_settings config = {0};
    struct br_texts positional = {0};
    struct br_status st;
    if (!br_settings_read(table, argc, arguments, &config, &positional, &st)) {
        check_refusal(&st);
    } else {
        struct br_serve_settings checked = config;
        if (!br_serve_settings_check(&checked, &st)) {
            check_refusal(&st);
        }
        check_config(&config, argc, arguments);
    }
    clear_variables();
    br_settings_finish(table, &config);
    free(positional.items);
    for (int i = 0; i < argc; i++) {
        free(arguments[i]);
    }
    return 0;
}
