#include "cmd/cmd.h"

#include <stdio.h>
#include <string.h>

bool br_cmd_wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

int br_cmd_read(const char *usage, const struct br_settings *settings, int argc, char **argv, void *config,
                struct br_texts *positional)
{
    if (br_cmd_wants_help(argc, argv)) {
        (void)printf("%s\nSettings:\n", usage);
        br_settings_print_help(settings);
        return BR_EXIT_OK;
    }
    struct br_status st;
    if (!br_settings_read(settings, argc, argv, config, positional, &st)) {
        return br_cmd_fail(BR_EXIT_USAGE, &st);
    }
    return -1;
}

int br_cmd_fail(int exit_code, const struct br_status *st)
{
    (void)fprintf(stderr, "modelarts-bridge: %s\n", st->msg);
    return exit_code;
}
