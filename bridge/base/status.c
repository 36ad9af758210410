#include "base/status.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

static const char *const code_names[] = {
    "OK",        "CANCELLED",       "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS",  "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",    "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED",
};

#define CODE_COUNT (sizeof code_names / sizeof code_names[0])

/*
 * Stores a formatted message. The text comes in its own buffer because a caller may pass the old message as
 * an argument of the new one. What is not UTF-8 is dropped with all that follows: it would make grpc-message
 * invalid, and a cut inside a character is the common case.
 */
static void store_message(struct br_status *st, const char *text)
{
    size_t len = br_utf8_valid_prefix(text, strlen(text));
    memcpy(st->msg, text, len);
    st->msg[len] = '\0';
}

bool br_status_vset(struct br_status *st, enum br_code code, const char *reason, const char *format,
                    va_list args)
{
    char text[BR_STATUS_MSG_CAP];
    if (vsnprintf(text, sizeof text, format, args) < 0) {
        text[0] = '\0';
    }
    st->code = code;
    st->reason = reason;
    store_message(st, text);
    return false;
}

bool br_status_set(struct br_status *st, enum br_code code, const char *reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)br_status_vset(st, code, reason, format, args);
    va_end(args);
    return false;
}

void br_status_prefix(struct br_status *st, const char *prefix)
{
    char text[BR_STATUS_MSG_CAP];
    if (snprintf(text, sizeof text, "%s: %s", prefix, st->msg) < 0) {
        return;
    }
    store_message(st, text);
}

const char *br_code_name(enum br_code code)
{
    size_t index = (size_t)code;
    return index < CODE_COUNT ? code_names[index] : code_names[BR_UNKNOWN];
}

bool br_code_parse(const char *name, enum br_code *out)
{
    for (size_t i = 0; i < CODE_COUNT; i++) {
        if (strcmp(name, code_names[i]) == 0) {
            *out = (enum br_code)i;
            return true;
        }
    }
    return false;
}
