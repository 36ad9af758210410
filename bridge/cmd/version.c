#include "cmd/cmd.h"

#include <stdio.h>

const char *br_version(void)
{
    return BR_VERSION;
}

int br_cmd_version(int argc, char **argv)
{
    static const struct br_settings none = {0};
    if (br_cmd_wants_help(argc, argv)) {
        (void)printf("Usage: modelarts-bridge version\n\nPrints the version.\n");
        return BR_EXIT_OK;
    }
    struct br_status st;
    if (!br_settings_read(&none, argc, argv, NULL, NULL, &st)) {
        return br_cmd_fail(BR_EXIT_USAGE, &st);
    }
    (void)printf("modelarts-bridge %s\n", br_version());
    return BR_EXIT_OK;
}
