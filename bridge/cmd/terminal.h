/*
 * Text of a server on its way to a terminal: what would steer the terminal is escaped.
 *
 * Pure. Threads: any.
 */
#ifndef BR_CMD_TERMINAL_H
#define BR_CMD_TERMINAL_H

#include "base/buf.h"

/*
 * Appends |len| bytes of |text|. Control characters (C0, DEL, C1) become \n, \t or \u00XX, a backslash becomes
 * two, a byte that is not UTF-8 becomes \xXX.
 */
enum br_buf_result br_terminal_text(struct br_buf *out, const char *text, size_t len) BR_MUST_CHECK;

/*
 * Appends JSON, indented by two spaces a level. Numbers and strings stay as they are, but for DEL and C1 in a
 * string, which become \u00XX.
 * |json| as br_json_write() makes it: valid and without spaces between tokens.
 */
enum br_buf_result br_terminal_json(struct br_buf *out, const char *json, size_t len) BR_MUST_CHECK;

#endif
