#include "base/process.h"
#include "cmd/cmd.h"
#include "translate/violation.h"

#include <stdio.h>
#include <string.h>

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};

/* The first is what runs when none is named. */
static const struct command commands[] = {
    {"serve", br_cmd_serve, "run the bridge (the default)"},
    {"call", br_cmd_call, "make one call, JSON in and out"},
    {"health", br_cmd_health, "ask a bridge whether it is ready"},
    {"wait", br_cmd_wait, "wait until a bridge is ready"},
    {"routes", br_cmd_routes, "print the methods and where each goes"},
    {"check", br_cmd_check, "tell whether ModelArts takes calls with these settings"},
    {"version", br_cmd_version, "print the version"},
};
static const size_t command_count = sizeof commands / sizeof commands[0];

static void print_help(void)
{
    (void)printf("Usage: modelarts-bridge [COMMAND] [SETTINGS]\n\n"
                 "Takes gRPC calls for ModelArts and makes the REST requests that ModelArts expects.\n\n"
                 "Commands:\n");
    for (size_t i = 0; i < command_count; i++)
        (void)printf("  %-9s %s\n", commands[i].name, commands[i].summary);
    (void)printf("\n\"modelarts-bridge COMMAND --help\" describes a command and its settings.\n");
}

/* NULL: there is none of this name. */
static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < command_count; i++) {
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    }
    return NULL;
}

static int refuse(const char *name)
{
    struct br_status st;
    char quoted[BR_QUOTE_CAP];
    char known[256] = "";
    size_t len = 0;
    for (size_t i = 0; i < command_count && len < sizeof known; i++)
        len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", i > 0 ? ", " : "", commands[i].name);
    (void)br_status_set(&st, BR_INVALID_ARGUMENT, "BAD_SETTING", "%s: no such command; the commands are: %s",
                        br_violation_quote(name, quoted), known);
    return br_cmd_fail(BR_EXIT_USAGE, &st);
}

/* What "NAME --help" does. */
static int run_help(const char *name)
{
    char flag[] = "--help";
    char *arguments[] = {flag, NULL};
    const struct command *command = find_command(name);
    return command != NULL ? command->run(1, arguments) : refuse(name);
}

static int run(int argc, char **argv)
{
    if (argc == 0)
        return commands[0].run(0, argv);
    const char *first = argv[0];
    bool is_help = strcmp(first, "help") == 0;
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || (is_help && argc == 1)) {
        print_help();
        return BR_EXIT_OK;
    }
    if (is_help)
        return run_help(argv[1]);
    if (strcmp(first, "--version") == 0)
        return br_cmd_version(argc - 1, argv + 1);
    if (strncmp(first, "--", 2) == 0)
        return commands[0].run(argc, argv);
    const struct command *command = find_command(first);
    return command != NULL ? command->run(argc - 1, argv + 1) : refuse(first);
}

int main(int argc, char **argv)
{
    br_process_protect();
    /* A process may be started without even its name. */
    int code = argc > 0 ? run(argc - 1, argv + 1) : run(0, argv);
    /* An answer that did not reach its reader is not a success. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("modelarts-bridge: cannot write to standard output");
        if (code == BR_EXIT_OK)
            code = BR_EXIT_FAILED;
    }
    return code;
}
