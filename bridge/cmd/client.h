/*
 * A gRPC client for one unary call at a time.
 *
 * Threads: the caller's; br_client_call() blocks until the call is over.
 * Owns:    nothing between calls; results live in the caller's arena.
 */
#ifndef BR_CMD_CLIENT_H
#define BR_CMD_CLIENT_H

#include "base/arena.h"
#include "base/header.h"

#include <stdint.h>

/* Ceiling on one answer's message. */
#define BR_CLIENT_MAX_RESPONSE_BYTES ((size_t)256 << 20)

/* Ceiling on the trailers and headers of one answer together. */
#define BR_CLIENT_MAX_METADATA_BYTES 65536

/* How the server is verified, and what it is shown. */
struct br_client_tls {
    const char *ca_file;     /* NULL: the system's */
    const char *cert_file;   /* with |key_file|; NULL: no certificate of the client */
    const char *key_file;    /* NULL with it */
    const char *server_name; /* to be in the server's certificate; NULL: the host of the address */
};

struct br_client_request {
    const char *address;             /* "HOST:PORT" or "unix:PATH" */
    const char *method;              /* "/package.Service/Method" */
    const struct br_client_tls *tls; /* NULL: plaintext */
    struct br_headers metadata;      /* names in any case; no "-bin" */
    int64_t timeout_ms;              /* 1 or more */
    const uint8_t *bytes;            /* the packed request */
    size_t len;
};

struct br_client_trailer {
    const char *key;
    const uint8_t *value; /* a NUL follows, beyond |len| */
    size_t len;
};

/* In the arena. What the server chose is not checked: it may hold any byte. */
struct br_client_answer {
    int code;            /* gRPC's number, as it came; 0: OK */
    const char *message; /* grpc-message; a NUL in it ends it */
    const uint8_t *bytes;
    size_t len; /* of the packed response; 0 unless OK */
    struct br_client_trailer *trailers;
    size_t trailer_count;
};

/*
 * Makes one call and waits for its end: an answer, or the deadline. It is never repeated.
 * |request| borrowed.
 * |arena|   receives what |out| points at.
 * |out|     in |arena|; written on success only, which includes calls that ended with an error code.
 * Errors:   INVALID_ARGUMENT/BAD_SETTING an address or a metadata entry that gRPC cannot send, or a file of TLS that
 *           cannot be used
 *           RESOURCE_EXHAUSTED/OUT_OF_MEMORY, INTERNAL/GRPC_FAILED
 */
bool br_client_call(const struct br_client_request *request, struct br_arena *arena,
                    struct br_client_answer *out, struct br_status *st) BR_MUST_CHECK;

#endif
