/*
 * The subcommands of modelarts-bridge, and what they share.
 *
 * A subcommand gets the arguments after its name and returns the exit code of the process. What is wrong with
 * its use is one line on standard error, and BR_EXIT_USAGE.
 *
 * Threads: the main thread.
 */
#ifndef BR_CMD_CMD_H
#define BR_CMD_CMD_H

#include "base/settings.h"

enum br_exit {
    BR_EXIT_OK = 0,
    BR_EXIT_FAILED = 1,
    BR_EXIT_USAGE = 2,     /* a wrong setting or argument: nothing was started */
    BR_EXIT_CALL_BASE = 64 /* call: the server answered with a gRPC code; the two are added */
};

/* Runs the bridge until SIGTERM or SIGINT. cmd/serve.c */
int br_cmd_serve(int argc, char **argv);

/* Makes one call, JSON in and out. cmd/call.c */
int br_cmd_call(int argc, char **argv);

/* Asks a bridge whether it is ready: once, or until it is. cmd/health.c */
int br_cmd_health(int argc, char **argv);
int br_cmd_wait(int argc, char **argv);

/* Prints the method table, the error table or the settings. cmd/routes.c */
int br_cmd_routes(int argc, char **argv);

/* Tells what is wrong with the settings, or outside. cmd/check.c */
int br_cmd_check(int argc, char **argv);

/* Prints the version. cmd/version.c */
int br_cmd_version(int argc, char **argv);

/* The version of this build ("0.1.0"); process lifetime. */
const char *br_version(void);

/* Whether the arguments ask for help: --help or -h among them, before any "--". */
bool br_cmd_wants_help(int argc, char **argv);

/*
 * Reads the arguments of a subcommand that has no positional ones, or only --help.
 * |usage|  what --help prints before the table of settings.
 * |config| zeroed by the caller; released with br_settings_finish(), whatever comes back.
 * Returns -1 when the subcommand goes on, else the exit code of the process: help was printed, or an error.
 */
int br_cmd_read(const char *usage, const struct br_settings *settings, int argc, char **argv, void *config,
                struct br_texts *positional) BR_MUST_CHECK;

/* Writes "modelarts-bridge: " and |st|'s message to standard error; returns |exit_code|. */
int br_cmd_fail(int exit_code, const struct br_status *st);

#endif
