/*
 * Which of a caller's metadata go upstream and which of upstream's headers come back: two allow-lists, which an
 * operator may extend, but never by a header that carries a credential or steers the connection.
 *
 * Pure. Threads: any.
 * Source: bridge_conventions.md section 6.
 */
#ifndef BR_SERVE_FORWARD_H
#define BR_SERVE_FORWARD_H

#include "base/arena.h"
#include "base/header.h"
#include "base/settings.h"

/* One metadata entry as gRPC has it: bytes, not strings. */
struct br_metadatum {
    const char *key; /* lower case */
    size_t key_len;
    const char *value;
    size_t value_len;
};

/* What an operator adds; lower-case names that br_forward_name_problem() has nothing against. */
struct br_forward {
    struct br_texts metadata; /* keys that go upstream, beside traceparent, tracestate, x-request-id */
    struct br_texts headers;  /* upstream's that come back as trailing metadata, beside x-request-id */
};

/* Why |name| may not be on one of the lists, as the end of a sentence, process lifetime; NULL: it may. */
const char *br_forward_name_problem(const char *name);

/*
 * Copies the entries that may go upstream, the caller's token among them. Of a key that comes twice the
 * first counts; but tracestate is a list, and may come in pieces (W3C Trace Context, section 3.3.1).
 * |forward|  what the operator adds to the list; kept: names in |out| point into it.
 * |metadata| borrowed; |count| entries.
 * |arena|    receives the entries and their values.
 * |out|      in |arena|; written on success only.
 * Errors:    INVALID_ARGUMENT/METADATA_INVALID a value that is not printable ASCII: it could be a header of its own
 *            RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_forward_metadata(const struct br_forward *forward, const struct br_metadatum *metadata, size_t count,
                         struct br_arena *arena, struct br_headers *out, struct br_status *st) BR_MUST_CHECK;

#endif
