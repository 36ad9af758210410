/*
 * The life of one call, from its bytes to its reply: translated, authorised, sent, tried again, answered.
 *
 *   RECEIVED -> AUTHORIZING -> SENT -> REPLYING -> DONE
 *                     ^          |
 *                     +- BACKOFF-+          (and from each of the first four to REPLYING)
 *
 * A call knows no gRPC and no socket: its host (the server, or a test) hands in bytes and takes the reply, its
 * exchanges go through the HTTP seam. One function moves between states and checks a table of allowed moves.
 *
 * Threads: every function by the call's owner thread, one at a time. The HTTP client's |done| arrives on another
 *          thread and only asks the host to resume the call on its own.
 * Source:  DESIGN.md section 4.
 */
#ifndef BR_SERVE_CALL_H
#define BR_SERVE_CALL_H

#include "base/clock.h"
#include "serve/call_metrics.h"
#include "serve/forward.h"
#include "serve/trace_context.h"
#include "translate/rest_request.h"
#include "translate/rest_response.h"
#include "upstream/auth.h"
#include "upstream/http.h"
#include "upstream/retry.h"

/* Bytes that one call may take for its messages, beside the bodies: what a request at its ceiling unfolds into. */
#define BR_CALL_ARENA_BYTES ((size_t)64 << 20)

enum br_call_state {
    BR_CALL_RECEIVED,
    BR_CALL_AUTHORIZING, /* waits for a credential */
    BR_CALL_SENT,        /* upstream has the request */
    BR_CALL_BACKOFF,     /* waits for the next attempt */
    BR_CALL_REPLYING,
    BR_CALL_DONE,
};

/* Trailing metadata of a reply: details, upstream's request id, number of attempts, warnings, the operator's choice. */
#define BR_CALL_TRAILERS_MAX (3 + BR_WARNINGS_MAX + BR_HTTP_OWN_HEADERS_MAX)

/* Bytes of an upstream header that comes back by the operator's choice; a longer one does not. */
#define BR_CALL_RETURNED_MAX_BYTES 256

struct br_trailer {
    const char *key; /* process lifetime; a "-bin" key has a binary value */
    const void *value;
    size_t len;
};

/*
 * Where the time of a call went, in microseconds, summed over its attempts. Waits for the caller's message, for the
 * owner thread and between attempts are in the total alone.
 */
struct br_call_times {
    int64_t total_us;      /* from br_call_create() to the reply */
    int64_t translate_us;  /* bytes -> checks -> request, and answer -> bytes or error */
    int64_t credential_us; /* until a credential was there, signed with it if need be */
    int64_t queue_us; /* until the request went out: a place, a connection. All of it, where it never did */
    int64_t upstream_us; /* from then on, until the answer was complete or failed */
};

/* What the caller gets. Borrowed from the call until br_call_destroy(), but for |bytes|. */
struct br_reply {
    enum br_code code;
    const char *message; /* grpc-message; "" when OK */
    uint8_t *bytes;      /* the packed response, taken by the host: release with free(); NULL: none */
    size_t len;
    struct br_trailer trailers[BR_CALL_TRAILERS_MAX];
    size_t trailer_count;
    const char *reason;     /* ErrorInfo.reason; "" when OK */
    const char *request_id; /* upstream's; "" when there is none */
    const char *trace_id;   /* the caller's trace; "" when there is none */
    const char *span_id;    /* the bridge's in that trace, the same for all attempts; else "" */
    int attempt_count;      /* requests that went upstream */
    size_t request_bytes;   /* of the caller's message */
    struct br_call_times times;
};

struct br_call;

/* Who runs the call. */
struct br_call_host {
    /* A |post| will come: the call may not be destroyed before. Owner's thread. */
    void (*expect)(struct br_call_host *self, struct br_call *call);
    /* Asks for br_call_resume(call) on the owner's thread. Any thread, once for each |expect|. */
    void (*post)(struct br_call_host *self, struct br_call *call);
    /* Takes the reply: exactly once for each call, on the owner's thread. */
    void (*reply)(struct br_call_host *self, struct br_call *call, const struct br_reply *reply);
};

/* What all calls of a shard share; constant while they live. */
struct br_call_config {
    struct br_rest_config rest;
    struct br_forward forward;
    struct br_auth *auth;
    struct br_http *http;
    struct br_call_metrics *metrics; /* NULL: nobody counts */
    struct br_retry_budget *retries; /* the process's */
    int max_attempts;                /* 1: no retries */
    const struct br_clock *clock;
    br_random_fn *random;                /* for span ids; NULL: arc4random_buf */
    bool strict_drift;                   /* an answer beyond the schema fails the call */
    struct br_drift_observer *drift;     /* NULL: nobody asks */
    const struct br_error_table *errors; /* the operator's rows; NULL: the compiled ones alone */
    int64_t default_timeout_ms;          /* for a caller without a deadline */
    int64_t max_timeout_ms;              /* ceiling on any call */
    size_t max_response_bytes;
};

/* What the caller sent with its request; all borrowed during br_call_start(). */
struct br_call_request {
    const struct br_method *method;
    const struct br_metadatum *metadata; /* those that go upstream are copied, by an allow-list */
    size_t metadata_count;
    int64_t timeout_ms; /* what is left of the caller's deadline; -1: none */
    const uint8_t *bytes;
    size_t len;
};

/*
 * Makes a call.
 * |config| and |host| kept until br_call_destroy().
 * Returns NULL without memory.
 */
struct br_call *br_call_create(const struct br_call_config *config, struct br_call_host *host) BR_MUST_CHECK;

/* Releases the call. It must be DONE, or never started. Accepts NULL. */
void br_call_destroy(struct br_call *call);

/* Starts the call. The reply may come from inside: a refused call is answered at once. */
void br_call_start(struct br_call *call, const struct br_call_request *request);

/* Answers the call with |st|, borrowed, without sending anything: for what the host refuses itself. */
void br_call_refuse(struct br_call *call, const struct br_status *st);

/* Answers the call with |bytes|, taken; NULL: without a message, which ends a stream. For what the host answers itself. */
void br_call_answer(struct br_call *call, uint8_t *bytes, size_t len);

/* What the call waited for has come: the host calls this once for each |post|. */
void br_call_resume(struct br_call *call);

/* The caller left, or its deadline passed: the exchange is aborted; the reply comes all the same. Harmless later. */
void br_call_cancel(struct br_call *call);

/* The reply is on its way and needs the call no more: DONE. */
void br_call_replied(struct br_call *call);

/* Where the call is. */
enum br_call_state br_call_state(const struct br_call *call);

/* The milliseconds since br_call_create(). A reply has the exact times. */
int64_t br_call_duration_ms(const struct br_call *call);

#endif
