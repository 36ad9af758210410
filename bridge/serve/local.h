/*
 * Methods that are answered in the process: a handler for each, registered under the method's full name.
 *
 * A handler makes a reply from a request and knows neither gRPC nor threads. How its method streams is the schema's:
 *
 *   unary               one request, one reply
 *   both ways           a reply for each request, in order
 *   replies alone       a reply for the one request; after each change of |watched| the request is answered anew, and
 *                       the reply sent where it differs from the last. It ends with the caller, or with the bridge.
 *
 * Threads: those of all shards, at the same time; a handler does not block.
 * Source:  DESIGN.md section 2.
 */
#ifndef BR_SERVE_LOCAL_H
#define BR_SERVE_LOCAL_H

#include "base/buf.h"
#include "contract/contract.h"
#include "serve/health.h"

/* Calls of local methods at a time, which --max-in-flight does not count: a probe must get through an overload. */
#define BR_LOCAL_MAX_CALLS 1024

/* Bytes of one request: names and numbers. */
#define BR_LOCAL_MAX_REQUEST_BYTES (16 << 10)

/* Bytes of one reply: what clients take unless told otherwise. */
#define BR_LOCAL_MAX_REPLY_BYTES (4 << 20)

struct br_local_handler {
    const char *method; /* "grpc.health.v1.Health/Check"; process lifetime */
    void *context;
    /*
     * Answers one request.
     * |bytes| borrowed; |len| bytes, at most BR_LOCAL_MAX_REQUEST_BYTES, whatever was received.
     * |reply| empty, with the ceiling BR_LOCAL_MAX_REPLY_BYTES; receives the packed response.
     * Errors: any code and reason; the call ends with it.
     */
    bool (*answer)(void *context, const uint8_t *bytes, size_t len, struct br_buf *reply,
                   struct br_status *st) BR_MUST_CHECK;
    struct br_health *watched; /* of a method that streams replies alone; NULL otherwise */
};

/*
 * Whether each method of |contract| without a REST route has a handler, and each handler such a method.
 * Errors: INTERNAL/CONTRACT_INVALID, naming the method
 */
bool br_local_check(const struct br_contract *contract, const struct br_local_handler *handlers, size_t count,
                    struct br_status *st) BR_MUST_CHECK;

/* The handler of |method|, which br_local_check() has seen; NULL for a method with a REST route. */
const struct br_local_handler *br_local_find(const struct br_local_handler *handlers, size_t count,
                                             const struct br_method *method);

#endif
