/*
 * Checks JSON text before cJSON parses it, so that cJSON meets only text that it reads right: a parse that
 * fails after this failed for memory.
 *
 * Pure. Threads: any.
 * Source: RFC 8259; bridge_conventions.md section 9 (cJSON's ways).
 */
#ifndef BR_TRANSLATE_JSON_SCAN_H
#define BR_TRANSLATE_JSON_SCAN_H

#include "base/status.h"

/* Characters of the longest number that cJSON reads to its end. */
#define BR_JSON_NUMBER_MAX_CHARS 63

struct br_json_fault {
    size_t offset;    /* of the first wrong byte, from 0; at the text's length: it ends too early */
    const char *what; /* process lifetime */
};

/*
 * Whether |text| (|len| bytes, no NUL needed) is one JSON value with nothing but white space around it.
 * As RFC 8259, except that control characters other than NUL may stand in strings, as cJSON takes them, and
 * that these are refused: text that is not UTF-8, a NUL, a NUL escape, half a surrogate pair, a number of
 * more than BR_JSON_NUMBER_MAX_CHARS, nesting beyond BR_MAX_DEPTH, more than BR_MAX_JSON_VALUES values (keys
 * do not count).
 * |text|  borrowed.
 * |fault| written when the result is false.
 */
bool br_json_scan(const char *text, size_t len, struct br_json_fault *fault) BR_MUST_CHECK;

#endif
