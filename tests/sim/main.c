/*
 * modelarts-sim: a stand-in for ModelArts and IAM that keeps state, for tests and for trying things out.
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
    const char *iam_user;
    const char *iam_password;
    const char *iam_domain;
    const char *iam_project;
    int64_t token_lifetime_ms;
    uint64_t token_bytes;
    int expired_form;
    const char *access_key;
    const char *secret_key;
    const char *security_token;
    int64_t aksk_lock_ms;
    int64_t clock_ahead_ms;
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
     .help = "Where to listen: localhost or a numeric address, and a port; port 0 picks a free one."},
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
    {.flag = "iam-user",
     .kind = BR_SETTING_TEXT,
     .offset = offsetof(struct config, iam_user),
     .initial = "demo-user",
     .metavar = "NAME",
     .help = "The user whose password IAM turns into a token."},
    {.flag = "iam-password",
     .kind = BR_SETTING_TEXT,
     .offset = offsetof(struct config, iam_password),
     .initial = "demo-password",
     .metavar = "PASSWORD",
     .help = "That user's password, and that of users who ask for a fault."},
    {.flag = "iam-domain",
     .kind = BR_SETTING_TEXT,
     .offset = offsetof(struct config, iam_domain),
     .initial = "demo-domain",
     .metavar = "NAME",
     .help = "The domain (account) of the users."},
    {.flag = "iam-project",
     .kind = BR_SETTING_TEXT,
     .offset = offsetof(struct config, iam_project),
     .initial = "demo-project-name",
     .metavar = "NAME",
     .help = "The name of the project whose id is --project-id."},
    {.flag = "token-lifetime",
     .kind = BR_SETTING_DURATION,
     .offset = offsetof(struct config, token_lifetime_ms),
     .initial = "24h",
     .metavar = "DURATION",
     .min = 1,
     .max = INT32_MAX,
     .help = "How long a token of IAM is good, such as 5s or 24h."},
    {.flag = "token-bytes",
     .kind = BR_SETTING_SIZE,
     .offset = offsetof(struct config, token_bytes),
     .initial = "200B",
     .metavar = "SIZE",
     .min = SIM_TOKEN_MIN_BYTES,
     .max = SIM_TOKEN_MAX_BYTES,
     .help = "How long a token of IAM is in bytes, 32B to 32KiB."},
    {.flag = "expired-form",
     .kind = BR_SETTING_CHOICE,
     .offset = offsetof(struct config, expired_form),
     .initial = "modelarts-0203",
     .metavar = "FORM",
     .choices = sim_expired_form_names,
     .help = "What an expired token of IAM is answered with: modelarts-0202, modelarts-0203, apig-0301 or "
             "apig-0307."},
    {.flag = "access-key",
     .kind = BR_SETTING_TEXT,
     .offset = offsetof(struct config, access_key),
     .initial = "demo-access-key",
     .metavar = "KEY",
     .help = "The access key (AK) that requests may be signed with."},
    {.flag = "secret-key",
     .kind = BR_SETTING_TEXT,
     .offset = offsetof(struct config, secret_key),
     .initial = "demo-secret-key",
     .metavar = "KEY",
     .help = "The secret key (SK) of the access key."},
    {.flag = "security-token",
     .kind = BR_SETTING_TEXT,
     .offset = offsetof(struct config, security_token),
     .metavar = "TOKEN",
     .help = "If given, signed requests must have it as X-Security-Token."},
    {.flag = "aksk-lock",
     .kind = BR_SETTING_DURATION,
     .offset = offsetof(struct config, aksk_lock_ms),
     .initial = "5m",
     .metavar = "DURATION",
     .min = 0,
     .max = INT32_MAX,
     .help = "How long the access key is locked after more than 5 failures in a row."},
    {.flag = "clock-ahead",
     .kind = BR_SETTING_DURATION,
     .offset = offsetof(struct config, clock_ahead_ms),
     .initial = "0s",
     .metavar = "DURATION",
     .min = 0,
     .max = INT32_MAX,
     .help = "How far the clock that signatures are checked by is ahead of the real one."},
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

/* Waits for a signal of |signals| that ends the process; SIGUSR1 revokes the tokens instead. */
static void wait_for_end(struct sim_api *api, const sigset_t *signals)
{
    int number;
    while (sigwait(signals, &number) == 0 && number == SIGUSR1) {
        sim_api_revoke_tokens(api);
        BR_LOG(BR_LOG_INFO, "tokens_revoked", br_log_number("signal", number));
    }
    BR_LOG(BR_LOG_INFO, "stopping", br_log_number("signal", number));
}

/* A clock that is ahead of the real one. */
struct ahead_clock {
    struct br_clock clock; /* first */
    int64_t ahead_s;
};

static int64_t ahead_now_us(const struct br_clock *self)
{
    (void)self;
    return br_clock_system()->now_us(br_clock_system());
}

static int64_t ahead_unix_s(const struct br_clock *self)
{
    return br_clock_system()->unix_s(br_clock_system()) + ((const struct ahead_clock *)self)->ahead_s;
}

/* Serves until a signal of |signals| ends it. */
static bool serve(const struct config *config, const sigset_t *signals, struct br_status *st)
{
    struct sim_http *http = NULL;
    struct ahead_clock clock = {.clock = {.now_us = ahead_now_us, .unix_s = ahead_unix_s},
                                .ahead_s = config->clock_ahead_ms / 1000};
    struct sim_api api = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .tokens = &config->tokens,
        .project = config->project,
        .iam =
            {
                .user = config->iam_user,
                .password = config->iam_password,
                .domain = config->iam_domain,
                .project = config->iam_project,
                .project_id = config->project,
                .token_lifetime_ms = config->token_lifetime_ms,
                .token_bytes = (size_t)config->token_bytes,
                .expired_form = (enum sim_expired_form)config->expired_form,
            },
        .aksk =
            {
                .clock = &clock.clock,
                .access_key = config->access_key,
                .secret_key = config->secret_key,
                .security_token = config->security_token,
                .lock_ms = config->aksk_lock_ms,
            },
    };
    sim_store_init(&api.store, br_clock_system(), now_epoch_ms(), config->settle_ms);
    api.iam.epoch_offset_ms = api.store.epoch_offset_ms;
    bool ok =
        sim_journal_open(&api.journal, config->journal, st) &&
        sim_http_start(&api, config->listen, &http, st) &&
        (config->port_file == NULL || sim_listener_write_port(config->port_file, sim_http_port(http), st));
    if (ok) {
        printf("modelarts-sim listening on %s:%u\n", sim_http_host(http), sim_http_port(http));
        fflush(stdout);
        wait_for_end(&api, signals);
    }
    sim_http_stop(http);
    sim_journal_close(&api.journal);
    sim_store_finish(&api.store);
    sim_iam_finish(&api.iam);
    return ok;
}

static bool run(const struct config *config, struct br_status *st)
{
    if (config->help) {
        printf("modelarts-sim: a stand-in for ModelArts and IAM that keeps state.\n\n");
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
    sigaddset(&signals, SIGUSR1);
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
