/*
 * Strict parsers: the whole text must be the value, with no space, sign or suffix that is not named here.
 *
 * Each returns false and leaves |out| untouched when the text is not such a value or out of range.
 *
 * Threads: any.
 */
#ifndef BR_BASE_PARSE_H
#define BR_BASE_PARSE_H

#include "base/status.h"

#include <stdint.h>

/* Decimal, an optional '-', no leading '+'. |len| bytes; a NUL is not needed and not accepted. */
bool br_parse_int64(const char *text, size_t len, int64_t *out) BR_MUST_CHECK;
bool br_parse_uint64(const char *text, size_t len, uint64_t *out) BR_MUST_CHECK;

/* The grammar of a JSON number (RFC 8259 section 6); finite. */
bool br_parse_double(const char *text, size_t len, double *out) BR_MUST_CHECK;

/* A whole number and a unit: ms, s, m, h ("500ms", "30s"). |out| in milliseconds, 0..INT32_MAX. */
bool br_parse_duration_ms(const char *text, int64_t *out) BR_MUST_CHECK;

/* A whole number and a unit: B, KiB, MiB, GiB ("4MiB"). |out| in bytes, 0..2^40. */
bool br_parse_size_bytes(const char *text, uint64_t *out) BR_MUST_CHECK;

#endif
