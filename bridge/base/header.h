/*
 * HTTP header fields and gRPC metadata entries: a name and a value, both text.
 *
 * Threads: any.
 * Owns:    nothing.
 */
#ifndef BR_BASE_HEADER_H
#define BR_BASE_HEADER_H

#include <stddef.h>

struct br_header {
    const char *name;  /* lower case in gRPC metadata; any case in HTTP */
    const char *value; /* printable ASCII, no CR or LF */
};

/* A list of them; who owns it is said where it is used. */
struct br_headers {
    struct br_header *items;
    size_t count;
};

/* The value of the first entry whose name equals |name|, ASCII case ignored; NULL when there is none. */
const char *br_headers_find(const struct br_headers *headers, const char *name);

#endif
