#include "faults.h"

#include "base/parse.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define FAULT_PREFIX "fault-"
#define USER_PREFIX "iam-fault-"
#define MIB (1024 * 1024)

bool sim_fault_is_named(const char *id)
{
    return strncmp(id, FAULT_PREFIX, strlen(FAULT_PREFIX)) == 0;
}

bool sim_fault_is_user(const char *name)
{
    return strncmp(name, USER_PREFIX, strlen(USER_PREFIX)) == 0;
}

/* Moves |*at| past |prefix| if it stands there. */
static bool skip(const char **at, const char *prefix)
{
    size_t len = strlen(prefix);
    if (strncmp(*at, prefix, len) != 0) {
        return false;
    }
    *at += len;
    return true;
}

/* Decimal digits with no leading zero (but "0" itself), min..max; moves |*at| past them. */
static bool skip_number(const char **at, int64_t min, int64_t max, int64_t *out)
{
    size_t len = strspn(*at, "0123456789");
    int64_t number;
    if (len == 0 || (len > 1 && **at == '0') || !br_parse_int64(*at, len, &number) || number < min ||
        number > max) {
        return false;
    }
    *at += len;
    *out = number;
    return true;
}

static bool skip_status(const char **at, int64_t min, int *out)
{
    int64_t number;
    if (!skip_number(at, min, 599, &number)) {
        return false;
    }
    *out = (int)number;
    return true;
}

/* "<n><unit>" to the end of the text. */
static bool read_amount(const char *at, int64_t min, int64_t max, const char *unit, int64_t *out)
{
    return skip_number(&at, min, max, out) && strcmp(at, unit) == 0;
}

static bool read_status_fault(const char *at, struct sim_fault *fault)
{
    fault->kind = SIM_FAULT_STATUS;
    if (!skip_status(&at, 400, &fault->http_status)) {
        return false;
    }
    if (skip(&at, "-retry-after-")) {
        if (strcmp(at, "date") == 0) {
            fault->retry_after = SIM_RETRY_AFTER_DATE;
            return true;
        }
        fault->retry_after = SIM_RETRY_AFTER_SECONDS;
        return read_amount(at, 0, INT32_MAX, "", &fault->retry_after_s);
    }
    return *at == '\0';
}

static bool read_code_fault(const char *at, struct sim_fault *fault)
{
    fault->kind = SIM_FAULT_CODE;
    if (!skip_status(&at, 200, &fault->http_status) || !skip(&at, "-") || !sim_code_is_valid(at)) {
        return false;
    }
    snprintf(fault->code, sizeof fault->code, "%s", at);
    return true;
}

static bool read_flaky_fault(const char *at, struct sim_fault *fault)
{
    fault->kind = SIM_FAULT_STATUS;
    return skip_number(&at, 1, INT32_MAX, &fault->first_count) && skip(&at, "-") &&
           skip_status(&at, 400, &fault->http_status) && *at == '\0';
}

/* Faults that are one fixed word. */
static const struct {
    const char *word;
    enum sim_fault_kind kind;
} word_faults[] = {
    {"not-json", SIM_FAULT_NOT_JSON}, {"truncated-json", SIM_FAULT_TRUNCATED_JSON},
    {"redirect", SIM_FAULT_REDIRECT}, {"reset", SIM_FAULT_RESET},
    {"close", SIM_FAULT_CLOSE},       {"truncated", SIM_FAULT_TRUNCATED},
};

/* Faults that are a word and a status. */
static const struct {
    const char *word;
    enum sim_fault_kind kind;
    int64_t min;
} status_faults[] = {
    {"html-", SIM_FAULT_HTML, 200},
    {"text-", SIM_FAULT_TEXT, 200},
    {"empty-", SIM_FAULT_EMPTY, 200},
    {"iam-", SIM_FAULT_IAM, 400},
};

/* Faults that are a word, an amount and a unit. "huge-error-" stands before "huge-", which it starts with. */
static const struct {
    const char *word;
    enum sim_fault_kind kind;
    const char *unit;
    int64_t max;
} amount_faults[] = {
    {"slow-", SIM_FAULT_SLOW, "ms", SIM_FAULT_DELAY_MAX_MS},
    {"drip-", SIM_FAULT_DRIP, "ms", SIM_FAULT_DELAY_MAX_MS},
    {"huge-error-", SIM_FAULT_HUGE_ERROR, "MiB", SIM_FAULT_HUGE_MAX_MIB},
    {"huge-", SIM_FAULT_HUGE, "MiB", SIM_FAULT_HUGE_MAX_MIB},
    {"deep-", SIM_FAULT_DEEP, "", SIM_FAULT_DEEP_MAX},
};

static bool read_fault(const char *at, struct sim_fault *fault)
{
    for (size_t i = 0; i < sizeof word_faults / sizeof word_faults[0]; i++) {
        if (strcmp(at, word_faults[i].word) == 0) {
            fault->kind = word_faults[i].kind;
            return true;
        }
    }
    if (fault->of_iam && strcmp(at, "no-token-header") == 0) {
        fault->kind = SIM_FAULT_NO_TOKEN_HEADER;
        return true;
    }
    for (size_t i = 0; i < sizeof status_faults / sizeof status_faults[0]; i++) {
        if (skip(&at, status_faults[i].word)) {
            fault->kind = status_faults[i].kind;
            return skip_status(&at, status_faults[i].min, &fault->http_status) && *at == '\0';
        }
    }
    for (size_t i = 0; i < sizeof amount_faults / sizeof amount_faults[0]; i++) {
        if (skip(&at, amount_faults[i].word)) {
            fault->kind = amount_faults[i].kind;
            return read_amount(at, 1, amount_faults[i].max, amount_faults[i].unit, &fault->amount);
        }
    }
    if (skip(&at, "code-")) {
        return read_code_fault(at, fault);
    }
    if (skip(&at, "flaky-")) {
        return read_flaky_fault(at, fault);
    }
    return read_status_fault(at, fault);
}

bool sim_fault_is_passing(const struct sim_fault *fault)
{
    return fault->kind == SIM_FAULT_SLOW || fault->kind == SIM_FAULT_DRIP ||
           fault->kind == SIM_FAULT_TRUNCATED || fault->kind == SIM_FAULT_NO_TOKEN_HEADER;
}

/* |id| starts with |prefix|. */
static bool parse(const char *id, const char *prefix, bool of_iam, struct sim_fault *out)
{
    struct sim_fault fault = {.of_iam = of_iam};
    const char *suffix = strstr(id, "--");
    size_t len = suffix != NULL ? (size_t)(suffix - id) : strlen(id);
    if (len >= sizeof fault.name) {
        return false;
    }
    memcpy(fault.name, id, len);
    const char *at = fault.name + strlen(prefix);
    fault.executes = skip(&at, "executed-");
    if (!read_fault(at, &fault)) {
        return false;
    }
    fault.executes = fault.executes || sim_fault_is_passing(&fault);
    *out = fault;
    return true;
}

bool sim_fault_parse(const char *id, struct sim_fault *out)
{
    return sim_fault_is_named(id) && parse(id, FAULT_PREFIX, false, out);
}

bool sim_fault_parse_user(const char *name, struct sim_fault *out)
{
    return sim_fault_is_user(name) && strlen(name) <= SIM_FAULT_USER_MAX &&
           parse(name, USER_PREFIX, true, out);
}

static void set_retry_after(const struct sim_fault *fault, struct sim_answer *answer)
{
    if (fault->retry_after == SIM_RETRY_AFTER_SECONDS) {
        snprintf(answer->retry_after, sizeof answer->retry_after, "%lld", (long long)fault->retry_after_s);
    } else if (fault->retry_after == SIM_RETRY_AFTER_DATE) {
        time_t when = time(NULL) + SIM_FAULT_DATE_AHEAD_S;
        struct tm parts;
        gmtime_r(&when, &parts);
        strftime(answer->retry_after, sizeof answer->retry_after, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    }
}

static void set_iam_error(const struct sim_fault *fault, struct sim_answer *answer)
{
    const char *message = "The request cannot be carried out.";
    if (fault->http_status == 400) {
        message = "The request body is invalid";
    } else if (fault->http_status == 401) {
        message = "The username or password is wrong.";
    }
    sim_answer_set_error(answer, fault->http_status, "", message);
}

/* A body of exactly |total| bytes: |head|, a filling, |tail|. */
static void set_filled(struct sim_answer *answer, int http_status, const char *head, const char *tail,
                       uint64_t total)
{
    answer->http_status = http_status;
    answer->content_type = "application/json";
    sim_answer_add_run(answer, head, 1);
    sim_answer_add_run(answer, "x", total - strlen(head) - strlen(tail));
    sim_answer_add_run(answer, tail, 1);
}

/* The object itself is one level; |levels| - 1 arrays stand in it. */
static void set_deep(struct sim_answer *answer, int http_status, int64_t levels)
{
    answer->http_status = http_status;
    answer->content_type = "application/json";
    sim_answer_add_run(answer, "{\"deep\":", 1);
    sim_answer_add_run(answer, "[", (uint64_t)levels - 1);
    sim_answer_add_run(answer, "0", 1);
    sim_answer_add_run(answer, "]", (uint64_t)levels - 1);
    sim_answer_add_run(answer, "}", 1);
}

void sim_fault_apply(const struct sim_fault *fault, struct sim_answer *answer)
{
    const char *code;
    char message[SIM_MESSAGE_CAP];
    const int success = fault->of_iam ? 201 : 200;
    if (!sim_fault_is_passing(fault)) {
        sim_answer_drop_body(answer);
    }
    switch (fault->kind) {
    case SIM_FAULT_STATUS:
        if (fault->of_iam) {
            set_iam_error(fault, answer);
        } else {
            code = sim_code_for_status(fault->http_status);
            sim_code_example(fault->http_status, code, message);
            sim_answer_set_error(answer, fault->http_status, code, message);
        }
        set_retry_after(fault, answer);
        break;
    case SIM_FAULT_CODE:
        sim_code_example(fault->http_status, fault->code, message);
        sim_answer_set_error(answer, fault->http_status, fault->code, message);
        break;
    case SIM_FAULT_IAM:
        set_iam_error(fault, answer);
        break;
    case SIM_FAULT_HTML:
        sim_answer_set_text(answer, fault->http_status, "text/html",
                            "<html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1>"
                            "<hr>nginx</body></html>\n");
        break;
    case SIM_FAULT_TEXT:
        sim_answer_set_text(answer, fault->http_status, "text/plain", "upstream connect error\n");
        break;
    case SIM_FAULT_EMPTY:
        sim_answer_set_text(answer, fault->http_status, NULL, "");
        break;
    case SIM_FAULT_NOT_JSON:
        sim_answer_set_text(answer, success, "application/json", "this is not JSON\n");
        break;
    case SIM_FAULT_TRUNCATED_JSON:
        sim_answer_set_text(answer, success, "application/json",
                            "{\"update_time\":1712026426703,\"resource_ids\":[\"IN");
        break;
    case SIM_FAULT_HUGE:
        set_filled(answer, success, "{\"update_time\":1712026426703,\"padding\":\"", "\"}",
                   (uint64_t)fault->amount * MIB);
        break;
    case SIM_FAULT_HUGE_ERROR:
        set_filled(answer, 500, "{\"error_code\":\"ModelArts.0010\",\"error_msg\":\"", "\"}",
                   (uint64_t)fault->amount * MIB);
        break;
    case SIM_FAULT_DEEP:
        set_deep(answer, success, fault->amount);
        break;
    case SIM_FAULT_REDIRECT:
        sim_answer_set_text(answer, 302, NULL, "");
        answer->location = "http://127.0.0.1:1/";
        break;
    case SIM_FAULT_RESET:
        answer->delivery = SIM_DELIVERY_RESET;
        break;
    case SIM_FAULT_CLOSE:
        answer->delivery = SIM_DELIVERY_CLOSE;
        break;
    case SIM_FAULT_SLOW:
        answer->delay_ms = fault->amount;
        break;
    case SIM_FAULT_DRIP:
        answer->drip_ms = fault->amount;
        break;
    case SIM_FAULT_TRUNCATED:
        answer->missing_bytes = 64;
        break;
    case SIM_FAULT_NO_TOKEN_HEADER:
        sim_answer_drop_token(answer);
        break;
    case SIM_FAULT_KIND_COUNT:
        break;
    }
}
