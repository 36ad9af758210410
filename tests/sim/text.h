/*
 * Checks on text from outside: strict JSON (RFC 8259) and UTF-8 (RFC 3629).
 *
 * cJSON forgives much (leading zeros, raw control characters, bytes that are no UTF-8). A stand-in that is
 * meant to find what its caller gets wrong may not, so a body passes here before cJSON sees it.
 *
 * Threads: any; no state.
 */
#ifndef SIM_TEXT_H
#define SIM_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Levels of arrays and objects that a request body may have. */
#define SIM_JSON_DEPTH_MAX 200

/* Whether |text| is exactly one JSON value, white space around it allowed, at most |max_depth| levels deep.
 */
bool sim_text_is_json(const char *text, size_t len, size_t max_depth);

/* The length of the UTF-8 character at |text|, 1..4; 0 when there is none in its |len| bytes. */
size_t sim_text_utf8_char(const char *text, size_t len);

/*
 * A copy of |text| in which each byte that is not UTF-8, and each NUL, is U+FFFD.
 * Returned; release with free().
 */
char *sim_text_clean(const char *text, size_t len);

/* The number of characters of |text|, which must be UTF-8. */
size_t sim_text_char_count(const char *text);

#endif
