#include "base/clock.h"
#include "base/wire.h"
#include "cmd/client_settings.h"
#include "cmd/cmd.h"
#include "cmd/terminal.h"
#include "serve/health.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Between two questions of "wait". */
#define PAUSE_MS 100

/* How long "wait" gives one question: a bridge that hangs may be started anew meanwhile. */
#define QUESTION_MS 5000

/* What one question may take in memory. */
#define ARENA_MAX_BYTES ((size_t)1 << 20)

/* Source: grpc/health/v1/health.proto */
#define METHOD "/grpc.health.v1.Health/Check"
#define REQUEST_SERVICE 1
#define RESPONSE_STATUS 1

struct health_settings {
    struct br_client_settings client; /* first */
    const char *service;
    int64_t timeout_ms;
};

#define SERVICE_ROW                                                                                      \
    {                                                                                                    \
        .flag = "service", .kind = BR_SETTING_TEXT, .offset = offsetof(struct health_settings, service), \
        .initial = "readiness", .metavar = "NAME",                                                       \
        .help = "What to ask for: readiness, liveness, or the full name of a service."                   \
    }

#define MAX_TIMEOUT_MS ((int64_t)24 * 3600 * 1000)

static const char health_usage[] =
    "Usage: modelarts-bridge health [SETTINGS]\n\n"
    "Asks a running bridge once whether it is ready, and prints the answer, such as SERVING: for probes "
    "that\n"
    "run a command.\n\n"
    "Exit codes: 0 SERVING; 1 another status, or no answer (one line tells); 2 wrong arguments.\n";

static const struct br_setting health_rows[] = {
    BR_CLIENT_SETTING_ROWS,
    SERVICE_ROW,
    {.flag = "timeout",
     .kind = BR_SETTING_DURATION,
     .offset = offsetof(struct health_settings, timeout_ms),
     .initial = "1s",
     .metavar = "DURATION",
     .min = 1,
     .max = MAX_TIMEOUT_MS,
     .help = "How long to wait for the answer (ms, s, m, h)."},
};

static const char wait_usage[] =
    "Usage: modelarts-bridge wait [SETTINGS]\n\n"
    "Waits until a bridge is ready, which may not have been started yet: for scripts, and for what has to\n"
    "start after it.\n\n"
    "Exit codes: 0 SERVING, which is printed; 1 not before --timeout (one line tells what it saw last);\n"
    "2 wrong arguments.\n";

static const struct br_setting wait_rows[] = {
    BR_CLIENT_SETTING_ROWS,
    SERVICE_ROW,
    {.flag = "timeout",
     .kind = BR_SETTING_DURATION,
     .offset = offsetof(struct health_settings, timeout_ms),
     .initial = "60s",
     .metavar = "DURATION",
     .min = 1,
     .max = MAX_TIMEOUT_MS,
     .help = "How long to wait until the bridge is ready (ms, s, m, h)."},
};

static const struct br_settings health_table = {.rows = health_rows,
                                                .row_count = sizeof health_rows / sizeof health_rows[0]};
static const struct br_settings wait_table = {.rows = wait_rows,
                                              .row_count = sizeof wait_rows / sizeof wait_rows[0]};

static const char serving[] = "SERVING";

/* The name of a status; NULL for a number that has none. */
static const char *status_name(uint64_t status)
{
    switch (status) {
    case BR_HEALTH_UNKNOWN:
        return "UNKNOWN";
    case BR_HEALTH_SERVING:
        return serving;
    case BR_HEALTH_NOT_SERVING:
        return "NOT_SERVING";
    case BR_HEALTH_SERVICE_UNKNOWN:
        return "SERVICE_UNKNOWN";
    default:
        return NULL;
    }
}

/* The status in a HealthCheckResponse; NULL when the bytes are none. */
static const char *read_status(const uint8_t *at, size_t len)
{
    uint64_t status = BR_HEALTH_UNKNOWN;
    for (const uint8_t *end = at + len; at < end;) {
        struct br_wire_record record;
        if (br_wire_read(at, end, &record) != NULL ||
            (record.number == RESPONSE_STATUS && record.wire_type == BR_WIRE_VARINT &&
             br_wire_read_varint(record.payload, end, &status) == 0)) {
            return NULL;
        }
        at = record.payload + record.len;
    }
    return status_name(status);
}

static bool no_memory(struct br_status *st)
{
    return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "out of memory");
}

/* Fills |st| with the server's error, as one line for a terminal; returns false. */
static bool fail_answer(const struct br_client_answer *answer, struct br_status *st)
{
    struct br_buf text;
    br_buf_init(&text, BR_STATUS_MSG_CAP);
    /* What does not fit is left out. */
    enum br_buf_result result = br_terminal_text(&text, answer->message, strlen(answer->message));
    /* INVALID_ARGUMENT is for our own arguments. */
    enum br_code code = answer->code == BR_INVALID_ARGUMENT ? BR_UNKNOWN : (enum br_code)answer->code;
    (void)br_status_set(st, code, "GRPC_FAILED", "%s: %s", br_code_name((enum br_code)answer->code),
                        result == BR_BUF_OK && text.data != NULL ? text.data : "no message");
    br_buf_finish(&text);
    return false;
}

/*
 * Asks once.
 * |out|   the name of a status; process lifetime.
 * Errors: INVALID_ARGUMENT/BAD_SETTING for what is wrong with the arguments, else any
 */
static bool ask(const struct health_settings *settings, int64_t timeout_ms, struct br_arena *arena,
                const char **out, struct br_status *st)
{
    struct br_client_request request = {
        .address = settings->client.address, .method = METHOD, .timeout_ms = timeout_ms};
    struct br_client_answer answer;
    struct br_buf bytes;
    if (!br_client_settings_tls(&settings->client, &request.tls, st)) {
        return false;
    }
    br_buf_init(&bytes, ARENA_MAX_BYTES);
    bool asked = br_wire_put_bytes(&bytes, REQUEST_SERVICE, settings->service, strlen(settings->service)) ==
                     BR_BUF_OK ||
                 no_memory(st);
    if (asked) {
        request.bytes = (const uint8_t *)bytes.data;
        request.len = bytes.len;
        asked = br_client_call(&request, arena, &answer, st);
    }
    br_buf_finish(&bytes);
    if (!asked) {
        return false;
    }
    if (answer.code != BR_OK) {
        return fail_answer(&answer, st);
    }
    const char *status = read_status(answer.bytes, answer.len);
    if (status == NULL) {
        return br_status_set(st, BR_INTERNAL, "MALFORMED_MESSAGE", "the answer is not one about health");
    }
    *out = status;
    return true;
}

/* The same with an arena of its own. */
static bool ask_once(const struct health_settings *settings, int64_t timeout_ms, const char **out,
                     struct br_status *st)
{
    struct br_arena arena;
    br_arena_init(&arena, ARENA_MAX_BYTES);
    bool asked = ask(settings, timeout_ms, &arena, out, st);
    br_arena_finish(&arena);
    return asked;
}

static int exit_code_of(const struct br_status *st)
{
    return st->code == BR_INVALID_ARGUMENT ? BR_EXIT_USAGE : BR_EXIT_FAILED;
}

static int health(const struct health_settings *settings)
{
    struct br_status st;
    const char *status;
    if (!ask_once(settings, settings->timeout_ms, &status, &st)) {
        return br_cmd_fail(exit_code_of(&st), &st);
    }
    (void)puts(status);
    return status == serving ? BR_EXIT_OK : BR_EXIT_FAILED;
}

static int64_t now_ms(void)
{
    return br_clock_now_ms(br_clock_system());
}

static void pause_ms(int64_t ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

/*
 * Asks once more, within |left_ms|; |last| receives what it saw, unless the end of the wait cut the question off and
 * there is a better one.
 */
static bool ask_again(const struct health_settings *settings, int64_t left_ms, struct br_status *last)
{
    struct br_status st;
    const char *status;
    bool is_cut = left_ms < QUESTION_MS;
    if (ask_once(settings, is_cut ? left_ms : QUESTION_MS, &status, &st)) {
        (void)br_status_set(last, BR_UNAVAILABLE, "GRPC_FAILED", "%s", status);
        return status == serving;
    }
    if (!is_cut || st.code != BR_DEADLINE_EXCEEDED || last->code == BR_OK) {
        *last = st;
    }
    return false;
}

static int wait_for(const struct health_settings *settings)
{
    int64_t end_ms = now_ms() + settings->timeout_ms;
    int64_t left_ms = settings->timeout_ms;
    struct br_status last = {.code = BR_OK};
    do {
        if (ask_again(settings, left_ms, &last)) {
            (void)puts(serving);
            return BR_EXIT_OK;
        }
        if (exit_code_of(&last) == BR_EXIT_USAGE) {
            return br_cmd_fail(BR_EXIT_USAGE, &last);
        }
        left_ms = end_ms - now_ms();
        pause_ms(left_ms < 0 ? 0 : left_ms < PAUSE_MS ? left_ms : PAUSE_MS);
        left_ms = end_ms - now_ms();
    } while (left_ms > 0);
    br_status_prefix(&last, "not ready in time; last");
    return br_cmd_fail(BR_EXIT_FAILED, &last);
}

static int run(const char *usage, const struct br_settings *table, int argc, char **argv,
               int (*command)(const struct health_settings *settings))
{
    struct health_settings settings = {0};
    int code = br_cmd_read(usage, table, argc, argv, &settings, NULL);
    if (code < 0) {
        code = command(&settings);
    }
    br_settings_finish(table, &settings);
    return code;
}

int br_cmd_health(int argc, char **argv)
{
    return run(health_usage, &health_table, argc, argv, health);
}

int br_cmd_wait(int argc, char **argv)
{
    return run(wait_usage, &wait_table, argc, argv, wait_for);
}
