/*
 * The trace that a call belongs to: the caller's traceparent is read, the bridge's own span is put into it.
 *
 * The trace id and the flags stay, so that the spans of all services belong together; the bridge does not begin a trace.
 *
 * Pure. Threads: any.
 * Source: W3C Trace Context, https://www.w3.org/TR/trace-context/, sections 3.2 and 3.3; its level 2,
 *         https://www.w3.org/TR/trace-context-2/, for the second flag.
 */
#ifndef BR_SERVE_TRACE_CONTEXT_H
#define BR_SERVE_TRACE_CONTEXT_H

#include "base/header.h"

#define BR_TRACE_ID_LEN 32
#define BR_SPAN_ID_LEN 16
#define BR_TRACEPARENT_LEN 55 /* of version 00 */

/* Fills |bytes|, as arc4random_buf() does. */
typedef void br_random_fn(void *bytes, size_t len);

/* Hexadecimal digits in lower case. */
struct br_trace_context {
    char trace_id[BR_TRACE_ID_LEN + 1];
    char span_id[BR_SPAN_ID_LEN + 1];         /* the bridge's */
    char traceparent[BR_TRACEPARENT_LEN + 1]; /* what goes upstream */
};

/*
 * Puts the bridge's span into the headers that go upstream: version 00, the same trace id and flags. A traceparent of a
 * later version is read as far as 00 goes. One that is malformed is taken out, and so is tracestate without a good one.
 * |headers| names in lower case; its traceparent points into |out| afterwards.
 * |fill|    makes the span id, where there is a trace; all zeros are no id, and are changed.
 * |out|     written in any case; all "" when there is no trace.
 */
void br_trace_context_continue(struct br_headers *headers, br_random_fn *fill, struct br_trace_context *out);

#endif
