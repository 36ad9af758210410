/*
 * The request target as it came: split first, decoded after.
 *
 * The path is cut at each '/' of the raw bytes and only then are the pieces percent-decoded, so an encoded
 * slash stays inside its piece and ".." is a piece like any other. Nothing is normalised.
 *
 * Threads: any; no state.
 * Source:  RFC 3986 section 2.4.
 */
#ifndef SIM_TARGET_H
#define SIM_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#define SIM_TARGET_SEGMENTS_MAX 8

struct sim_target {
    char *path;                              /* raw, up to the '?'; owned */
    char *query;                             /* raw, after the '?'; NULL: the target has none; owned */
    char *segments[SIM_TARGET_SEGMENTS_MAX]; /* decoded; owned */
    size_t segment_count; /* more than SIM_TARGET_SEGMENTS_MAX: only the first ones are kept */
};

/*
 * Reads |raw|, borrowed, into |out|.
 * |out| always holds path and query afterwards; release with sim_target_finish().
 * Returns false when a segment cannot be decoded: a '%' without two hex digits, or a NUL.
 */
bool sim_target_parse(const char *raw, struct sim_target *out);

/* Accepts a zeroed target. */
void sim_target_finish(struct sim_target *target);

/*
 * |len| bytes of a path or a query, percent-decoded; a '+' stays one.
 * Returned, release with free(); NULL: a '%' without two hex digits, or a NUL.
 */
char *sim_target_decode(const char *text, size_t len);

/*
 * The decoded value of the last |key| in the query; "" for a key without a value.
 * |found| says whether the key is there. Returned, release with free(); NULL when it is absent or not
 * decodable.
 */
char *sim_target_query_value(const struct sim_target *target, const char *key, bool *found);

#endif
