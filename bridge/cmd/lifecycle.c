#include "cmd/lifecycle.h"

#include "upstream/auth_token.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

/* How often a token is looked after while no call does it; and while there is none, since health waits for it. */
#define TOKEN_CHECK_MS 1000
#define TOKEN_MISSING_CHECK_MS 100

/* How long a signal may go unnoticed while calls finish. */
#define SIGNAL_CHECK_MS 50

/* How long core may go on once the last call is over: clients need it to read the last replies. */
#define IDLE_CHECKS_MAX 20

static void signals_taken(sigset_t *out)
{
    (void)sigemptyset(out);
    (void)sigaddset(out, SIGTERM);
    (void)sigaddset(out, SIGINT);
    (void)sigaddset(out, SIGUSR1);
}

void br_lifecycle_block_signals(void)
{
    sigset_t taken;
    signals_taken(&taken);
    int error = pthread_sigmask(SIG_BLOCK, &taken, NULL);
    assert(error == 0);
    (void)error;

    /* A peer that closes its end is an error code of the write, not the end of the process. */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

static int64_t now_ms(void)
{
    return br_clock_now_ms(br_clock_system());
}

static void toggle_log_level(enum br_log_level set)
{
    enum br_log_level level = br_log_level() == BR_LOG_DEBUG ? set : BR_LOG_DEBUG;
    br_log_set_level(level);
    BR_LOG(level, "log_level", br_log_text("is", br_log_level_name(level)));
}

/* The signal that ends the bridge, when one comes before |until_ms|; 0: none came. */
static int wait_signal(const struct br_lifecycle *lifecycle, int64_t until_ms)
{
    sigset_t taken;
    signals_taken(&taken);
    int64_t left_ms;
    do {
        left_ms = until_ms - now_ms();
        left_ms = left_ms > 0 ? left_ms : 0;
        const struct timespec timeout = {.tv_sec = left_ms / 1000, .tv_nsec = left_ms % 1000 * 1000000};
        int number = sigtimedwait(&taken, NULL, &timeout);
        if (number == SIGUSR1) {
            toggle_log_level(lifecycle->log_level);
        } else if (number > 0) {
            return number;
        }
    } while (left_ms > 0);
    return 0;
}

static const char *signal_name(int number)
{
    return number == SIGINT ? "SIGINT" : "SIGTERM";
}

/*
 * A bridge that gets no calls would else never fetch its token, or try again after a failure. Returns when to look
 * again.
 */
static int64_t check_token(const struct br_lifecycle *lifecycle)
{
    struct br_auth_token_state state;
    br_auth_token_prefetch(lifecycle->token);
    br_auth_token_state(lifecycle->token, &state);
    const char *problem = NULL;
    if (!state.at_hand && state.last_failure.code != BR_OK) {
        br_status_prefix(&state.last_failure, "no token of IAM");
        problem = state.last_failure.msg;
    } else if (!state.at_hand) {
        problem = "no token of IAM yet";
    }
    br_health_set_problem(lifecycle->health, problem);
    return now_ms() + (state.at_hand ? TOKEN_CHECK_MS : TOKEN_MISSING_CHECK_MS);
}

static int serve(const struct br_lifecycle *lifecycle)
{
    int64_t until_ms = lifecycle->token != NULL ? check_token(lifecycle) : INT64_MAX;
    br_health_set_started(lifecycle->health);
    int number;
    while ((number = wait_signal(lifecycle, until_ms)) == 0) {
        until_ms = check_token(lifecycle);
    }
    return number;
}

static void cancel(const struct br_lifecycle *lifecycle, const char *cause)
{
    BR_LOG(BR_LOG_WARN, "cancelling", br_log_text("cause", cause));
    br_server_cancel_all(lifecycle->server);
}

/* Returns the second signal, where one came meanwhile; 0: none. */
static int wait_min_delay(const struct br_lifecycle *lifecycle, int64_t signal_ms)
{
    return lifecycle->drain_min_delay_ms > 0
               ? wait_signal(lifecycle, signal_ms + lifecycle->drain_min_delay_ms)
               : 0;
}

/* The wait is on the drain, which ends at once with the last call; the signals are looked at between slices of it. */
static void wait_drained(const struct br_lifecycle *lifecycle, int64_t signal_ms, bool cancelled)
{
    int idle_checks = 0;
    while (!br_server_wait_drained(lifecycle->server, SIGNAL_CHECK_MS)) {
        /*
         * A call that reaches core while it begins to stop can stay there, neither handed out nor refused, until its
         * caller's deadline; and a client that answers no ping holds its connection for 20 s. Neither call was taken.
         */
        idle_checks = br_server_is_idle(lifecycle->server) ? idle_checks + 1 : 0;
        if (idle_checks == IDLE_CHECKS_MAX) {
            br_server_cancel_all(lifecycle->server);
        }
        if (cancelled) {
            continue;
        }
        int number = wait_signal(lifecycle, 0);
        if (number != 0 || now_ms() - signal_ms >= lifecycle->drain_max_delay_ms) {
            cancel(lifecycle, number != 0 ? signal_name(number) : "--drain-max-delay");
            cancelled = true;
        }
    }
}

void br_lifecycle_run(const struct br_lifecycle *lifecycle)
{
    int number = serve(lifecycle);
    int64_t signal_ms = now_ms();
    br_health_set_draining(lifecycle->health);
    BR_LOG(BR_LOG_INFO, "draining", br_log_text("signal", signal_name(number)),
           br_log_number("min_delay_ms", lifecycle->drain_min_delay_ms),
           br_log_number("max_delay_ms", lifecycle->drain_max_delay_ms));

    number = wait_min_delay(lifecycle, signal_ms);
    br_server_drain(lifecycle->server);
    if (number != 0) {
        cancel(lifecycle, signal_name(number));
    }
    wait_drained(lifecycle, signal_ms, number != 0);
}
