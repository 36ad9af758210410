/*
 * UTF-8 checks on byte ranges; no locale, no allocation.
 *
 * Threads: any.
 * Source:  RFC 3629 (no surrogates, no overlong forms, nothing above U+10FFFF).
 */
#ifndef BR_BASE_UTF8_H
#define BR_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the longest prefix of |text| that is well-formed UTF-8: equal to |len| when all of it is. */
size_t br_utf8_valid_prefix(const char *text, size_t len);

/* The greatest length <= |max_len| at which |text| (well-formed, |len| bytes) can be cut between characters. */
size_t br_utf8_cut(const char *text, size_t len, size_t max_len);

/* The number of characters (code points) in |text|, which is well-formed and |len| bytes long. */
size_t br_utf8_count(const char *text, size_t len);

#endif
