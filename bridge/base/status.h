/*
 * The outcome of a fallible function: a gRPC code, a stable reason and a sentence for people.
 *
 * Threads: a br_status belongs to its caller; nothing here is shared.
 * Owns:    nothing; |reason| points at a string that lives as long as the process.
 * Source:  gRPC status codes, https://grpc.github.io/grpc/core/md_doc_statuscodes.html
 */
#ifndef BR_BASE_STATUS_H
#define BR_BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Marks a result that a caller may not ignore. */
#define BR_MUST_CHECK __attribute__((warn_unused_result))
/* Lets the compiler check a printf-style format. */
#define BR_PRINTF(format_index, args_index) __attribute__((format(printf, format_index, args_index)))

/* The numbers are gRPC's own, so a code goes on the wire as it is. */
enum br_code {
    BR_OK = 0,
    BR_CANCELLED = 1,
    BR_UNKNOWN = 2,
    BR_INVALID_ARGUMENT = 3,
    BR_DEADLINE_EXCEEDED = 4,
    BR_NOT_FOUND = 5,
    BR_ALREADY_EXISTS = 6,
    BR_PERMISSION_DENIED = 7,
    BR_RESOURCE_EXHAUSTED = 8,
    BR_FAILED_PRECONDITION = 9,
    BR_ABORTED = 10,
    BR_OUT_OF_RANGE = 11,
    BR_UNIMPLEMENTED = 12,
    BR_INTERNAL = 13,
    BR_UNAVAILABLE = 14,
    BR_DATA_LOSS = 15,
    BR_UNAUTHENTICATED = 16,
};

/* Bytes of a status message, the NUL included. bridge_conventions.md section 3: messages stay near 1 KiB. */
#define BR_STATUS_MSG_CAP 1024

struct br_status {
    enum br_code code;
    const char *reason; /* [A-Z][A-Z0-9_]+, process lifetime; NULL while code is BR_OK */
    char msg[BR_STATUS_MSG_CAP];
};

/*
 * Fills |st| and returns false, so that a failing function can end with `return br_status_set(...)`.
 * |st|     written.
 * |reason| kept; must live as long as the process.
 * |format| the message; cut at BR_STATUS_MSG_CAP - 1 bytes, on a UTF-8 character boundary.
 */
bool br_status_set(struct br_status *st, enum br_code code, const char *reason, const char *format, ...)
    BR_PRINTF(4, 5);
bool br_status_vset(struct br_status *st, enum br_code code, const char *reason, const char *format,
                    va_list args) BR_PRINTF(4, 0);

/* Puts "|prefix|: " before the message, keeping code and reason. For callers that add where it happened. */
void br_status_prefix(struct br_status *st, const char *prefix);

/* The name of |code| as gRPC spells it ("INVALID_ARGUMENT"); "UNKNOWN" for a number outside 0..16. */
const char *br_code_name(enum br_code code);

/*
 * The code whose name is |name| (exact, upper case).
 * Returns false, |out| untouched, when there is none.
 */
bool br_code_parse(const char *name, enum br_code *out) BR_MUST_CHECK;

#endif
