/*
 * Reads and writes the fields of protobuf-c messages by plan: the only code that touches raw message offsets.
 *
 * Messages and everything in them live in one arena, so nothing is freed field by field.
 *
 * Threads: those of the message's owner.
 * Source:  protobuf-c/protobuf-c.h (quantifier_offset, offset, labels); bridge_conventions.md section 8.
 */
#ifndef BR_CONTRACT_FIELD_H
#define BR_CONTRACT_FIELD_H

#include "base/arena.h"
#include "contract/contract.h"

/* One value of a field; which member counts is told by the plan's kind. */
union br_value {
    int64_t integer;           /* INT32, INT64, ENUM (its number) */
    uint64_t natural;          /* UINT32, UINT64 */
    double real;               /* FLOAT, DOUBLE */
    bool truth;                /* BOOL */
    const char *text;          /* STRING; never NULL */
    ProtobufCMessage *message; /* MESSAGE; never NULL */
};

/* Whether a singular field is set; whether a repeated or map field has an element. */
bool br_field_has(const ProtobufCMessage *message, const struct br_field_plan *field);

/* How many elements a repeated or map field has; 1 or 0 for a singular one. */
size_t br_field_count(const ProtobufCMessage *message, const struct br_field_plan *field);

/* The element |index| < br_field_count(); 0 for a singular field that is set. What it points at is borrowed. */
union br_value br_field_get(const ProtobufCMessage *message, const struct br_field_plan *field, size_t index);

/* Sets a singular field; a member of a oneof replaces the other. |value|'s text or message is kept. */
void br_field_set(ProtobufCMessage *message, const struct br_field_plan *field, union br_value value);

/*
 * Empties a repeated or map field and makes room for |capacity| elements.
 * Returns false when the arena is exhausted; the field is then empty.
 */
bool br_field_reserve(ProtobufCMessage *message, const struct br_field_plan *field, size_t capacity,
                      struct br_arena *arena) BR_MUST_CHECK;

/* Adds an element where br_field_reserve() made room. |value|'s text or message is kept. */
void br_field_append(ProtobufCMessage *message, const struct br_field_plan *field, union br_value value);

/* Makes a field unset or empty. */
void br_field_clear(ProtobufCMessage *message, const struct br_field_plan *field);

/* An empty message in |arena|; NULL when that is exhausted. */
ProtobufCMessage *br_message_new(const ProtobufCMessageDescriptor *descriptor,
                                 struct br_arena *arena) BR_MUST_CHECK;

/*
 * Unpacks |bytes| into |arena|. The caller has checked nesting and text with br_wire_check().
 * Returns NULL when the bytes are no such message, or, with arena->exhausted set, when memory ran out.
 */
ProtobufCMessage *br_message_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
                                    size_t len, struct br_arena *arena) BR_MUST_CHECK;

#endif
