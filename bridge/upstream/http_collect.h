/*
 * Collects an HTTP answer, piece by piece, into its exchange: the status, the few headers that are kept, and
 * the body under its ceiling. What http_curl.c feeds it may come from a hostile server.
 *
 * Pure: no I/O, no clock. Threads: one at a time.
 * Owns: what it stores belongs to the exchange; br_http_exchange_finish() releases it.
 */
#ifndef BR_UPSTREAM_HTTP_COLLECT_H
#define BR_UPSTREAM_HTTP_COLLECT_H

#include "upstream/http.h"

/*
 * Ceilings on what a server may send in front of a body. A token of IAM takes up to 32 KiB, and the gateway
 * refuses more than 32 KiB in one header and 128 KiB in all (wire_facts.md section 3).
 */
#define BR_HTTP_MAX_HEADER_VALUE_BYTES ((size_t)40 * 1024)
#define BR_HTTP_MAX_HEADERS_BYTES ((size_t)128 * 1024)

enum br_http_collect_result {
    BR_HTTP_COLLECT_OK,
    BR_HTTP_COLLECT_HEADERS_SIZE, /* a kept value, or all header lines together, pass their ceiling */
    BR_HTTP_COLLECT_BODY_CUT,  /* not a 2xx: the beginning of the body was stored, the rest is not wanted */
    BR_HTTP_COLLECT_BODY_SIZE, /* a 2xx: the body passes its ceiling */
    BR_HTTP_COLLECT_NO_MEMORY,
};

struct br_http_collect {
    struct br_http_exchange *exchange;
    int status;          /* of the last status line; 0: none, or not a number */
    size_t header_bytes; /* of all lines so far: interim answers and trailers too */
    bool headers_done;   /* the final answer's headers have ended: what follows are trailers */
};

/*
 * Starts over.
 * |exchange| kept; its buffers must be released (br_http_exchange_finish()) or zeroed.
 */
void br_http_collect_begin(struct br_http_collect *collect, struct br_http_exchange *exchange);

/*
 * Takes one header line, its line end included: a status line, a field, or the empty line after them. A
 * status line forgets what an interim (1xx) answer said. Kept are the first content-type, retry-after,
 * x-request-id and x-subject-token whose value is printable ASCII.
 * |line| borrowed; no NUL needed.
 */
enum br_http_collect_result br_http_collect_header(struct br_http_collect *collect, const char *line,
                                                   size_t len) BR_MUST_CHECK;

/* Takes a piece of the body. |bytes| borrowed. */
enum br_http_collect_result br_http_collect_body(struct br_http_collect *collect, const char *bytes,
                                                 size_t len) BR_MUST_CHECK;

/* Fills the headers of the exchange's |answer|, for an answer that breaks off after them; none where they broke off. */
void br_http_collect_end_headers(struct br_http_collect *collect);

/*
 * Fills the exchange's |answer| and sets |answered|.
 * Returns false, both untouched, when there was no final status in 200..599.
 */
bool br_http_collect_end(struct br_http_collect *collect) BR_MUST_CHECK;

#endif
