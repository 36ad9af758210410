/*
 * Checks the bytes of a protobuf message before they are unpacked, since protobuf-c checks neither nesting nor text.
 *
 * Pure. Threads: any.
 * Source: bridge_conventions.md section 8; https://protobuf.dev/programming-guides/encoding/
 */
#ifndef BR_TRANSLATE_WIRE_CHECK_H
#define BR_TRANSLATE_WIRE_CHECK_H

#include "contract/contract.h"
#include "translate/json_read.h"
#include "translate/violation.h"

/*
 * Levels of objects and lists, the message itself included; free JSON (google.protobuf.Struct) counts its own. In bytes
 * a list of messages is no level beside its messages, so the JSON of a request that nests such lists has more.
 */
#define BR_MAX_DEPTH 64

/* Elements (fields on the wire, packed numbers included) of one message: bounds what a small one can unfold into. */
#define BR_MAX_WIRE_ELEMENTS 100000

/*
 * The same for an answer, which a bridge has made from JSON: a member of free JSON becomes four elements, the
 * entry, its key, its value and the kind of that.
 */
#define BR_MAX_ANSWER_ELEMENTS (4 * BR_MAX_JSON_VALUES)

/*
 * Walks |bytes| by |plan|: well-formed records, nesting up to BR_MAX_DEPTH, at most |max_elements| elements, every
 * string UTF-8 without NUL. Unknown fields are skipped, groups included.
 * |plan|       borrowed.
 * |bytes|      borrowed; |len| bytes, whatever was received.
 * |violations| initialised; gets one entry that names the field, where there is one.
 * Errors:      INVALID_ARGUMENT/MALFORMED_MESSAGE    not a protobuf message, a truncated one, or nested too deep
 *              INVALID_ARGUMENT/VALIDATION_FAILED    a string that is not UTF-8 or holds a NUL
 *              RESOURCE_EXHAUSTED/MESSAGE_TOO_LARGE  too many elements
 */
bool br_wire_check(const struct br_message_plan *plan, const uint8_t *bytes, size_t len, size_t max_elements,
                   struct br_violations *violations, struct br_status *st) BR_MUST_CHECK;

#endif
