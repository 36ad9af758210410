/*
 * Free JSON: google.protobuf.Struct, Value and ListValue <-> cJSON.
 *
 * Recursion follows the nesting, which br_wire_check() and br_json_parse() have bounded.
 *
 * Pure. Threads: those of the message's owner.
 * Source: google/protobuf/struct.proto; https://protobuf.dev/programming-guides/json/
 */
#ifndef BR_TRANSLATE_FREE_JSON_H
#define BR_TRANSLATE_FREE_JSON_H

#include "base/arena.h"
#include "contract/contract.h"

#include <cjson/cJSON.h>

enum br_free_json {
    BR_FREE_JSON_OK,
    BR_FREE_JSON_NO_MEMORY,
    BR_FREE_JSON_NOT_FINITE, /* a number is NaN or infinite, or too large for a double */
};

/*
 * |message|, of a shape that is free JSON, as a cJSON tree; NULL as what an unset one of that shape stands
 * for: {}, [] or null. A Value with no kind set is null; of map entries with one key the last counts.
 * |message| borrowed; |out| refers to its texts.
 * |out|     returned, written on success only; release with cJSON_Delete().
 */
enum br_free_json br_free_json_write(enum br_shape shape, const ProtobufCMessage *message,
                                     cJSON **out) BR_MUST_CHECK;

/*
 * |json| as a message of |shape|; of members with one key the last counts, null included.
 * |json| borrowed; an object for BR_SHAPE_STRUCT; for BR_SHAPE_LIST what is no list is a list of one.
 * |out|  in |arena|, texts copied; written on success only.
 */
enum br_free_json br_free_json_read(enum br_shape shape, const cJSON *json, struct br_arena *arena,
                                    ProtobufCMessage **out) BR_MUST_CHECK;

#endif
