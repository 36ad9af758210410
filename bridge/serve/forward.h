/*
 * Which of a caller's metadata go upstream: an allow-list, so that nothing else of a caller's does.
 *
 * Pure. Threads: any.
 * Source: bridge_conventions.md section 6.
 */
#ifndef BR_SERVE_FORWARD_H
#define BR_SERVE_FORWARD_H

#include "base/arena.h"
#include "base/header.h"

/* One metadata entry as gRPC has it: bytes, not strings. */
struct br_metadatum {
    const char *key; /* lower case */
    size_t key_len;
    const char *value;
    size_t value_len;
};

/*
 * Copies the entries that may go upstream, the caller's token among them; of a key that comes twice, the first counts.
 * |metadata| borrowed.
 * |out|      in |arena|.
 * Errors:    INVALID_ARGUMENT/METADATA_INVALID a value that is not printable ASCII: it could be a header of its own
 *            RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_forward_metadata(const struct br_metadatum *metadata, size_t count, struct br_arena *arena,
                         struct br_headers *out, struct br_status *st) BR_MUST_CHECK;

#endif
