/*
 * Reads custom options: protobuf-c keeps them as unknown fields of the options message.
 *
 * Threads: start-up.
 * Source:  bridge_conventions.md section 8; the numbers are those of the .proto files named at each constant.
 */
#ifndef BR_CONTRACT_OPTIONS_H
#define BR_CONTRACT_OPTIONS_H

#include "base/arena.h"

#include <protobuf-c/protobuf-c.h>

#define BR_OPTION_HTTP 72295728 /* google/api/annotations.proto: MethodOptions.http */
#define BR_OPTION_VALIDATE 1159 /* buf/validate/validate.proto: message, oneof, field */
#define BR_OPTION_LITERAL 50701 /* modelarts/rest/v1/rest.proto: EnumValueOptions.literal */
#define BR_OPTION_KEY 50702     /* modelarts/rest/v1/rest.proto: FieldOptions.key */
#define BR_OPTION_WARNING 50703 /* modelarts/rest/v1/rest.proto: MessageOptions.warning */

/* The bytes of one occurrence of an option; borrowed from the options message. */
struct br_option {
    const uint8_t *bytes;
    size_t len;
};

/*
 * The next occurrence of the length-delimited option |number| in |options| (NULL: none), from |*cursor| on, which
 * starts at 0. An option that is set in several statements occurs several times; together they are its value.
 * |out|   written on success only; points into |options|.
 * Returns false when there is no further one.
 */
bool br_option_next(const ProtobufCMessage *options, uint32_t number, size_t *cursor, struct br_option *out);

/* The string option |number|, in |arena|; NULL when it is not set, or, with arena->exhausted set, without memory. */
const char *br_option_text(const ProtobufCMessage *options, uint32_t number, struct br_arena *arena);

#endif
