/*
 * A JSON object as a page for people. The page knows nothing of what it shows: an object becomes a table of names and
 * values, an object of objects or a list of objects a table with a column for each key. No script, nothing loaded.
 *
 * Pure. Threads: any.
 */
#ifndef BR_CMD_STATUSZ_HTML_H
#define BR_CMD_STATUSZ_HTML_H

#include "base/buf.h"

#include <cjson/cJSON.h>

/*
 * Appends an HTML document. Every text is escaped; a byte that is not UTF-8 becomes U+FFFD. A key that ends in _s, _ms or
 * _bytes gives its value the unit. Rows have the keys of the first.
 * |title| borrowed.
 * |root|  an object; borrowed.
 */
enum br_buf_result br_statusz_html(const char *title, const cJSON *root, struct br_buf *out) BR_MUST_CHECK;

#endif
