/*
 * modelarts-sim: a stand-in for ModelArts that keeps state, for tests and for trying things out.
 */
#include "alloc.h"
#include "api.h"
#include "http.h"
#include "listener.h"

#include "base/log.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

struct config {
    const char *listen;
    struct br_texts tokens;
    const char *project;
    int64_t settle_ms;
    const char *journal;
    const char *port_file;
    int log_level;
    bool version;
    bool help;
};

/* In the order of enum br_log_level. */
static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL};

static const struct br_setting rows[] = {
    {.flag = "listen",
     .kind = BR_SETTING_TEXT,
     .offset = offsetof(struct config, listen),
     .initial = "127.0.0.1:8080",
     .metavar = "ADDRESS",
     .help = "Numeric address and port to listen on; port 0 picks a free one."},
    {.flag = "token",
     .kind = BR_SETTING_TEXTS,
     .offset = offsetof(struct config, tokens),
     .initial = "sim-token",
     .metavar = "TOKEN",
     .help = "A value of X-Auth-Token that is accepted; may be repeated."},
    {.flag = "project-id",
     .kind = BR_SETTING_TEXT,
     .offset = offsetof(struct config, project),
     .initial = "demo-project",
     .metavar = "ID",
     .help = "The project that the tokens belong to; another one in a path is refused."},
    {.flag = "settle",
     .kind = BR_SETTING_DURATION,
     .offset = offsetof(struct config, settle_ms),
     .initial = "200ms",
     .metavar = "DURATION",
     .min = 0,
     .max = 3600000,
     .help = "How long a change takes to settle, such as 200ms or 5s."},
    {.flag = "journal",
     .kind = BR_SETTING_TEXT,
     .offset = offsetof(struct config, journal),
     .metavar = "FILE",
     .help = "File that gets one JSON line for each request."},
    {.flag = "port-file",
     .kind = BR_SETTING_TEXT,
     .offset = offsetof(struct config, port_file),
     .metavar = "FILE",
     .help = "File that gets the port once connections are accepted."},
    {.flag = "log-level",
     .kind = BR_SETTING_CHOICE,
     .offset = offsetof(struct config, log_level),
     .initial = "info",
     .metavar = "LEVEL",
     .choices = log_levels,
     .help = "Least important level that is logged: error, warn, info or debug."},
    {.flag = "version",
     .kind = BR_SETTING_SWITCH,
     .offset = offsetof(struct config, version),
     .help = "Print the version and exit."},
    {.flag = "help",
     .kind = BR_SETTING_SWITCH,
     .offset = offsetof(struct config, help),
     .help = "Print this and exit."},
};

static const struct br_settings settings = {
    .env_prefix = "MODELARTS_SIM_",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int64_t now_epoch_ms(void)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    return (int64_t)now.tv_sec * 1000 + now.tv_usec / 1000;
}

/* Serves until a signal of |signals| comes. */
static bool serve(const struct config *config, const sigset_t *signals, struct br_status *st)
{
    struct sim_http *http = NULL;
    struct sim_api api = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .tokens = &config->tokens,
        .project = config->project,
    };
    sim_store_init(&api.store, br_clock_system(), now_epoch_ms(), config->settle_ms);
    bool ok =
        sim_journal_open(&api.journal, config->journal, st) &&
        sim_http_start(&api, config->listen, &http, st) &&
        (config->port_file == NULL || sim_listener_write_port(config->port_file, sim_http_port(http), st));
    if (ok) {
        int signal_number;
        printf("modelarts-sim listening on %s:%u\n", sim_http_host(http), sim_http_port(http));
        fflush(stdout);
        sigwait(signals, &signal_number);
        BR_LOG(BR_LOG_INFO, "stopping", br_log_number("signal", signal_number));
    }
    sim_http_stop(http);
    sim_journal_close(&api.journal);
    sim_store_finish(&api.store);
    return ok;
}

static bool run(const struct config *config, struct br_status *st)
{
    if (config->help) {
        printf("modelarts-sim: a stand-in for ModelArts that keeps state.\n\n");
        br_settings_print_help(&settings);
        return true;
    }
    if (config->version) {
        printf("modelarts-sim %s\n", SIM_VERSION);
        return true;
    }
    br_log_set_level((enum br_log_level)config->log_level);
    /* Blocked here, before any thread starts, so that only sigwait() sees them. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return serve(config, &signals, st);
}

int main(int argc, char **argv)
{
    struct config config = {0};
    struct br_status st = {0};
    sim_alloc_install();
    bool ok = br_settings_read(&settings, argc > 0 ? argc - 1 : 0, argv + 1, &config, NULL, &st) &&
              run(&config, &st);
    br_settings_finish(&settings, &config);
    if (!ok) {
        fprintf(stderr, "modelarts-sim: %s\n", st.msg);
        return st.code == BR_INVALID_ARGUMENT ? 2 : 1;
    }
    return 0;
}
