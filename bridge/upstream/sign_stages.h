/*
 * The stages of br_sign(), one function each, for sign.c and for the tests: published vectors give the result
 * of every stage.
 *
 * Results are in |arena|; parameters are borrowed; out-parameters are written on success only; errors are those of
 * br_sign(), which says what each one means.
 *
 * Pure. Threads: any.
 */
#ifndef BR_UPSTREAM_SIGN_STAGES_H
#define BR_UPSTREAM_SIGN_STAGES_H

#include "upstream/sign.h"

#define BR_SIGN_HASH_BYTES 32
#define BR_SIGN_HEX_CAP (2 * BR_SIGN_HASH_BYTES + 1)
#define BR_SIGN_DATE_CAP sizeof("20060102T150405Z")
#define BR_SIGN_DAY_LEN 8 /* the day is the beginning of the date */

struct br_sign_canonical {
    const char *text;
    const char *signed_names; /* "host;x-sdk-date" */
};

/* |unix_s| in UTC, as X-Sdk-Date has it. */
bool br_sign_format_date(int64_t unix_s, char out[BR_SIGN_DATE_CAP], struct br_status *st) BR_MUST_CHECK;

/*
 * The canonical request.
 * |signed_headers| the headers to sign, names in lower case and sorted.
 */
bool br_sign_build_canonical(enum br_sign_dialect dialect, const struct br_sign_request *request,
                             const struct br_headers *signed_headers, struct br_arena *arena,
                             struct br_sign_canonical *out, struct br_status *st) BR_MUST_CHECK;

/*
 * What is signed.
 * |scope| "day/region/service/sdk_request", a line of its own; NULL in the Access dialect, which has none.
 */
bool br_sign_build_string(const char *date, const char *scope, const char *canonical, struct br_arena *arena,
                          const char **out, struct br_status *st) BR_MUST_CHECK;

/* The signing key of the Credential dialect. The caller wipes |out|. */
bool br_sign_derive_key(const char *secret_key, const char *date, const char *region, const char *service,
                        struct br_arena *arena, unsigned char out[BR_SIGN_HASH_BYTES],
                        struct br_status *st) BR_MUST_CHECK;

/* The signature, in lower-case hexadecimal. */
bool br_sign_compute(const void *key, size_t key_len, const char *string_to_sign, char out[BR_SIGN_HEX_CAP],
                     struct br_status *st) BR_MUST_CHECK;

#endif
