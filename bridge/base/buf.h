/*
 * A growing byte buffer with a ceiling. It always holds a NUL after its last byte, so |data| is a C string too.
 *
 * Threads: one at a time.
 * Owns:    |data|, from malloc.
 */
#ifndef BR_BASE_BUF_H
#define BR_BASE_BUF_H

#include "base/status.h"

struct br_buf {
    char *data;         /* NULL while nothing was appended */
    size_t len;         /* bytes, the NUL excluded */
    size_t cap;         /* bytes allocated */
    size_t limit_bytes; /* ceiling on len */
};

enum br_buf_result {
    BR_BUF_OK,
    BR_BUF_FULL,      /* the ceiling; the buffer is as before */
    BR_BUF_NO_MEMORY, /* malloc failed; the buffer is as before */
};

/* |buf| becomes empty with the ceiling |limit_bytes|; nothing is allocated yet. */
void br_buf_init(struct br_buf *buf, size_t limit_bytes);

/* Releases the memory and empties |buf|, the ceiling included. Accepts NULL and a zeroed buffer. */
void br_buf_finish(struct br_buf *buf);

/* Appends |len| bytes, all or none. */
enum br_buf_result br_buf_append(struct br_buf *buf, const void *bytes, size_t len) BR_MUST_CHECK;

/* Appends a C string. */
enum br_buf_result br_buf_puts(struct br_buf *buf, const char *text) BR_MUST_CHECK;

/* Appends formatted text. */
enum br_buf_result br_buf_printf(struct br_buf *buf, const char *format, ...) BR_MUST_CHECK BR_PRINTF(2, 3);

#endif
