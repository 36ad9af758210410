/*
 * One case of the conformance kit (README.md): its files, its messages as text and as bytes, and what is said
 * when something is not as expected.
 *
 * Threads: one.
 * Owns:    all texts of a case live in its arena. A test that runs out of memory ends at once.
 */
#ifndef GOLDEN_CASE_H
#define GOLDEN_CASE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/header.h"
#include "contract/contract.h"

/* Bytes that one case may take. */
#define GOLDEN_BYTES ((size_t)64 << 20)

/* "key: value" lines of one file. */
#define GOLDEN_PAIRS_MAX 16

/* Bytes with a NUL after them; |data| is NULL where there is no such file. */
struct text {
    char *data;
    size_t len;
};

struct kit {
    const char *folder;
    const char *protoc;
    const char *sets; /* for protoc's --descriptor_set_in */
    struct br_contract *contract;
    size_t case_count;
    size_t failed_count;
};

struct golden {
    struct kit *kit;
    const struct br_method *method;
    const char *name; /* "UpdateService/start" */
    struct br_arena arena;
    bool failed;
};

/* Says what is wrong with the case, which has then failed. */
void golden_fail(struct golden *golden, const char *format, ...) BR_PRINTF(2, 3);

/* |memory|, which must not be NULL. */
void *golden_need(void *memory);

/* Appends to |buf|. */
void golden_append(struct br_buf *buf, const char *bytes, size_t len);
void golden_append_text(struct br_buf *buf, const char *text);

/* A copy in the arena. */
struct text golden_copy(struct golden *golden, const char *bytes, size_t len);

/* The content of |buf| as a copy; |buf| is finished. */
struct text golden_take(struct golden *golden, struct br_buf *buf);

/* The file |name| of the case. */
struct text golden_read_file(struct golden *golden, const char *name);

/* The line at |*at|, which moves behind it; NULL at |end|. A copy without its line end. */
const char *golden_next_line(struct golden *golden, const char **at, const char *end);

/* Reads "key: value" lines up to an empty line, which |*at| moves behind, or |end|. |name| is for complaints.
 */
struct br_headers golden_read_pairs(struct golden *golden, const char *name, const char **at,
                                    const char *end);

/* The same for a whole file, or for |fallback| where there is none. */
struct br_headers golden_read_pairs_file(struct golden *golden, const char *name, const char *fallback);

/* The bytes of request.txtpb or request.hex; false when the case has failed for want of them. */
bool golden_read_request(struct golden *golden, struct text *bytes) BR_MUST_CHECK;

bool golden_is_equal(struct text a, struct text b);

/* Fails the case and shows the lines that differ unless both are equal. */
void golden_expect_text(struct golden *golden, const char *what, struct text expected, struct text actual);

/* Shows |text|, which nobody expected. */
void golden_print_unexpected(struct text text);

/* The message in the text |source| of the file |name|, which must say that it is a |message|. */
bool golden_encode(struct golden *golden, const char *name, const char *message, struct text source,
                   struct text *bytes) BR_MUST_CHECK;

/* The message |bytes| as text; the details of a google.rpc.Status are shown as in status.txtpb. */
struct text golden_decode(struct golden *golden, const char *message, struct text bytes);

#endif
