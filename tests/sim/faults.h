/*
 * Faults: what a service id that starts with "fault-" or an IAM user whose name starts with "iam-fault-" asks
 * for, and the answer that it gets.
 *
 * The part before "--" is the fault; what follows makes the id or the name unique. README.md has the tables.
 *
 * Threads: any; no state.
 */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "message.h"

enum sim_fault_kind {
    SIM_FAULT_STATUS,         /* <status>, flaky-<k>-<status>: a ModelArts error body */
    SIM_FAULT_CODE,           /* code-<status>-<code> */
    SIM_FAULT_IAM,            /* iam-<status>: the nested error object */
    SIM_FAULT_HTML,           /* html-<status> */
    SIM_FAULT_TEXT,           /* text-<status> */
    SIM_FAULT_EMPTY,          /* empty-<status> */
    SIM_FAULT_NOT_JSON,       /* 200, text that is no JSON */
    SIM_FAULT_TRUNCATED_JSON, /* 200, JSON that stops in the middle */
    SIM_FAULT_HUGE,           /* huge-<n>MiB: 200, JSON */
    SIM_FAULT_HUGE_ERROR,     /* huge-error-<n>MiB: 500, JSON */
    SIM_FAULT_DEEP,           /* deep-<n>: 200, JSON */
    SIM_FAULT_REDIRECT,       /* 302 to another origin */
    SIM_FAULT_RESET,
    SIM_FAULT_CLOSE,
    SIM_FAULT_SLOW,            /* slow-<n>ms: the normal answer, late */
    SIM_FAULT_DRIP,            /* drip-<n>ms: the normal answer, a byte at a time */
    SIM_FAULT_TRUNCATED,       /* the normal answer, cut: Content-Length is larger than what is sent */
    SIM_FAULT_NO_TOKEN_HEADER, /* IAM only: the normal answer without X-Subject-Token */
    SIM_FAULT_KIND_COUNT,
};

enum sim_retry_after {
    SIM_RETRY_AFTER_NONE,
    SIM_RETRY_AFTER_SECONDS,
    SIM_RETRY_AFTER_DATE,
};

#define SIM_FAULT_NAME_CAP 96
/* Bytes of a user's name that asks for a fault. */
#define SIM_FAULT_USER_MAX 128
#define SIM_FAULT_DELAY_MAX_MS 600000
#define SIM_FAULT_HUGE_MAX_MIB 4096
#define SIM_FAULT_DEEP_MAX 10000000
/* How far in the future an HTTP-date in Retry-After lies. */
#define SIM_FAULT_DATE_AHEAD_S 2

struct sim_fault {
    enum sim_fault_kind kind;
    bool of_iam;                   /* a user asked for it: errors are IAM's, a success is a 201 */
    char name[SIM_FAULT_NAME_CAP]; /* the id or user up to "--" */
    int http_status;               /* kinds that name one */
    char code[SIM_CODE_CAP];       /* CODE */
    int64_t amount;                /* milliseconds, MiB or levels */
    enum sim_retry_after retry_after;
    int64_t retry_after_s;
    int64_t first_count; /* flaky: only so many first requests fail; 0: all */
    bool executes;       /* the request is carried out, whatever the answer says */
};

/* Whether |id| is in the namespace of faults, known or not. */
bool sim_fault_is_named(const char *id);

/* Reads the fault that |id| names. Returns false, |out| untouched, when it names none that exists. */
bool sim_fault_parse(const char *id, struct sim_fault *out);

/* Whether the IAM user |name| is in the namespace of faults, known or not. */
bool sim_fault_is_user(const char *name);

/* Reads the fault that the IAM user |name| asks for. Returns false, |out| untouched, when there is none. */
bool sim_fault_parse_user(const char *name, struct sim_fault *out);

/*
 * Whether |fault| lets the normal answer through, altered on its way, instead of putting another in its
 * place.
 */
bool sim_fault_is_passing(const struct sim_fault *fault);

/*
 * Alters |answer|: a passing fault leaves its body and sets how it is sent; any other replaces it.
 * |answer| initialised; for a passing fault it already holds the normal answer.
 */
void sim_fault_apply(const struct sim_fault *fault, struct sim_answer *answer);

#endif
