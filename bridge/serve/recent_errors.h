/*
 * The last calls that did not end OK, for who looks at the status page. No message: it may quote a caller's data.
 *
 * Threads: any; one lock, held for a copy.
 * Owns:    copies of what it is given, but for the method's name.
 */
#ifndef BR_SERVE_RECENT_ERRORS_H
#define BR_SERVE_RECENT_ERRORS_H

#include "serve/trace_context.h"
#include "translate/vendor_body.h"
#include "translate/vendor_code.h"

#include <stdint.h>

/* Further ones push out the oldest. */
#define BR_RECENT_ERRORS_MAX 20

struct br_recent_error {
    int64_t unix_s;     /* when the call got its reply */
    const char *method; /* must live as long as the ring */
    enum br_code code;
    int64_t duration_ms;
    char reason[BR_REASON_CAP];
    char request_id[BR_REQUEST_ID_CAP]; /* upstream's; "": none */
    char trace_id[BR_TRACE_ID_LEN + 1]; /* "": none */
};

struct br_recent_errors;

/* Returned; release with br_recent_errors_destroy(). NULL without memory. */
struct br_recent_errors *br_recent_errors_create(void) BR_MUST_CHECK;

/* Accepts NULL. */
void br_recent_errors_destroy(struct br_recent_errors *errors);

/* |error| copied. |errors| NULL: nobody keeps it. */
void br_recent_errors_add(struct br_recent_errors *errors, const struct br_recent_error *error);

/* Copies what is there, the newest first; returns how many. */
size_t br_recent_errors_copy(struct br_recent_errors *errors,
                             struct br_recent_error out[BR_RECENT_ERRORS_MAX]);

#endif
