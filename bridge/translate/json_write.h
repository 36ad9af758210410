/*
 * Message -> JSON, by plan: exactly what is set, keys in schema order, numbers exact.
 *
 * Pure. Threads: those of the message's owner.
 * Source: DESIGN.md section 5; RFC 8259.
 */
#ifndef BR_TRANSLATE_JSON_WRITE_H
#define BR_TRANSLATE_JSON_WRITE_H

#include "contract/contract.h"
#include "translate/field_mask.h"

/* What is left out of the top-level object, and what is sent though empty. */
struct br_json_filter {
    const enum br_role *roles; /* NULL: every field; else those whose role is |role| */
    enum br_role role;
    const struct br_mask *mask; /* NULL: what is set */
};

/*
 * |message| as JSON text without spaces.
 * |filter| borrowed; NULL: everything that is set.
 * |text|   returned, NUL-terminated, |len| bytes; release with free().
 * An enum number that has no literal is left out: validation refuses it before.
 * Errors:  RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 *          INVALID_ARGUMENT/VALIDATION_FAILED a number that JSON cannot say (NaN, infinity)
 */
bool br_json_write(const struct br_message_plan *plan, const ProtobufCMessage *message,
                   const struct br_json_filter *filter, char **text, size_t *len,
                   struct br_status *st) BR_MUST_CHECK;

/*
 * The value of one field as JSON text, for a body that is a single field; "null" when it is unset.
 * Otherwise as br_json_write().
 */
bool br_json_write_field(const struct br_field_plan *field, const ProtobufCMessage *message,
                         const struct br_mask *mask, char **text, size_t *len,
                         struct br_status *st) BR_MUST_CHECK;

/* Bytes that the longest number takes, the NUL included. */
#define BR_JSON_NUMBER_CAP 32

/*
 * |value| in the shortest decimal form that reads back the same; a whole number below 2^53 without point or exponent.
 */
void br_json_number_text(double value, char text[BR_JSON_NUMBER_CAP]);

#endif
