/*
 * What the fuzz targets share: how they take an input apart, and what must hold of whatever the bridge makes of it.
 *
 * A check that fails is an assert(), which ends the program as libFuzzer and the replay want it.
 *
 * Threads: one.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "translate/error.h"
#include "translate/rest_request.h"
#include "upstream/http.h"

/* What libFuzzer, or replay_main.c, calls with each input; always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- The input ---- */

/* What is left of an input. */
struct fuzz_input {
    const uint8_t *at;
    const uint8_t *end;
};

/* The next byte; 0 after the last one. */
uint8_t fuzz_byte(struct fuzz_input *input);

/* The next |size| <= 8 bytes as a number. */
uint64_t fuzz_number(struct fuzz_input *input, size_t size);

/*
 * The bytes up to |separator|, which is stepped over, or to the end, with a NUL after them. |len| NULL: nobody asks.
 * The caller frees.
 */
char *fuzz_part(struct fuzz_input *input, char separator, size_t *len);

/*
 * A REST method, chosen by the next byte, so that '0' is the first: one of the product's, or of testapi.v1.
 * |arena_bytes| how much its message may take: FUZZ_ARENA_BYTES in the first round of the methods, later so little that
 *               it may run out. NULL: nobody asks.
 */
const struct br_method *fuzz_method(struct fuzz_input *input, size_t *arena_bytes);

/*
 * The rest of the input as an HTTP answer, in the form of tests/golden's http_response.txt, through the collector that
 * libcurl feeds. |exchange| zeroed; release with br_http_exchange_finish(). False: the bytes are no whole answer.
 */
bool fuzz_answer(struct fuzz_input *input, struct br_http_exchange *exchange);

/* Seconds since 1970 at which the clock stands, as in tests/golden. */
#define FUZZ_NOW_S 1700000000

/* ---- The contract: the product's methods, and those of testapi.v1, which has every kind of field ---- */

/* Compiled on first use; lives until the program ends. */
const struct br_contract *fuzz_contract(void);

/* The REST method with this name, such as "UpdateThing". */
const struct br_method *fuzz_method_named(const char *name);

/* ---- What must hold ---- */

/* Bytes that an arena has, as in a call. */
#define FUZZ_ARENA_BYTES ((size_t)64 << 20)

/* A status of a failure has a code, a reason of the right form, and a message that is UTF-8 and not empty. */
void fuzz_check_status(const struct br_status *st);

/* So has an error; what it says besides is UTF-8 as well, its details fit the trailers, and can be read. */
void fuzz_check_error(const struct br_error *error, struct br_arena *arena);

/* |text| is one JSON value. */
void fuzz_check_json(const char *text, size_t len);

/*
 * Builds the REST request of |bytes| in |arena_bytes|. Made: the URL has the template's literals, nothing that a value brought in
 * steers it, and the body is JSON; returns true. Refused: the error is one that a caller can use.
 */
bool fuzz_check_request(const struct br_method *method, bool with_defaults, size_t arena_bytes,
                        const uint8_t *bytes, size_t len);

#endif
