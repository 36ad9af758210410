/*
 * Settings as one table: each row is a flag, its environment variable, its default, and its line of --help.
 *
 * A row's value is taken from the flag, else from the environment, else from the default; all three pass the
 * same parser. The variable's name is the prefix, then the flag in upper case with '-' as '_':
 * --listen and MODELARTS_BRIDGE_LISTEN.
 *
 * Threads: start-up only, but for what says otherwise.
 * Owns:    the lists it stores, with the texts that it split from the environment, until br_settings_finish(). Other
 *          strings point into argv, the environment or the table.
 */
#ifndef BR_BASE_SETTINGS_H
#define BR_BASE_SETTINGS_H

#include "base/buf.h"

#include <stdint.h>

enum br_setting_kind {
    BR_SETTING_TEXT,     /* const char *: any text, not empty */
    BR_SETTING_TEXTS,    /* struct br_texts: the flag may be repeated; commas separate in the environment */
    BR_SETTING_DURATION, /* int64_t, milliseconds */
    BR_SETTING_SIZE,     /* uint64_t, bytes */
    BR_SETTING_COUNT,    /* int64_t */
    BR_SETTING_CHOICE,   /* int: the index in |choices| */
    BR_SETTING_FILE,     /* const char *: a file that this process can read */
    BR_SETTING_SWITCH,   /* bool: a flag without a value; "true" or "false" in the environment */
};

/* A list of texts; |items| from malloc, the texts borrowed. */
struct br_texts {
    const char **items;
    size_t count;
};

struct br_setting {
    const char *flag; /* without the dashes: "listen" */
    enum br_setting_kind kind;
    size_t offset;              /* of the field in the configuration struct */
    const char *initial;        /* the default, as an operator would write it; NULL: unset (NULL, 0, empty) */
    const char *metavar;        /* what --help shows for the value: "ADDRESS" */
    int64_t min, max;           /* inclusive; DURATION in ms, SIZE in bytes, COUNT */
    const char *const *choices; /* CHOICE: NULL-terminated */
    /*
     * TEXT, TEXTS: why a value is refused, as the end of a sentence that begins with it; gives NULL when it is not.
     * NULL: no value is refused.
     */
    const char *(*problem)(const char *text);
    bool required;
    const char *help; /* one sentence, units and accepted forms included */
};

struct br_settings {
    const char *env_prefix; /* "MODELARTS_BRIDGE_"; NULL: no environment */
    const struct br_setting *rows;
    size_t row_count;
};

/*
 * Reads |argv| (flags only: "--flag value", "--flag=value"; a "--" ends them), the environment and the
 * defaults into |config|.
 * |settings|   borrowed.
 * |argv|       kept: the strings in |config| point into it.
 * |config|     zeroed by the caller; release with br_settings_finish(), also after a failure.
 * |positional| receives the arguments that are not flags, in order; NULL: such an argument is an error.
 * Errors:      INVALID_ARGUMENT/BAD_SETTING one line that names the setting, what was given and what is accepted
 *              RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_settings_read(const struct br_settings *settings, int argc, char **argv, void *config,
                      struct br_texts *positional, struct br_status *st) BR_MUST_CHECK;

/* Releases the lists in |config|. */
void br_settings_finish(const struct br_settings *settings, void *config);

/*
 * Appends |row|'s value as an operator would write it: "30s", "4MiB", "true"; commas between the entries of a list;
 * nothing where it is unset.
 * |config| as br_settings_read() has filled it; borrowed.
 */
enum br_buf_result br_settings_value(const struct br_setting *row, const void *config,
                                     struct br_buf *out) BR_MUST_CHECK;

/*
 * Where br_settings_read(), with the same arguments and environment, took |row|'s value from: "flag", "environment" or
 * "default". Thread: any, as long as nobody changes the environment.
 */
const char *br_settings_source(const struct br_settings *settings, const struct br_setting *row, int argc,
                               char **argv);

/* Writes the table as --help shows it: flag, value, default, variable, meaning. To standard output. */
void br_settings_print_help(const struct br_settings *settings);

/*
 * Writes the table as rows of a Markdown table: flag, variable, default, meaning. The README's table is
 * checked against it.
 */
void br_settings_print_markdown(const struct br_settings *settings);

#endif
