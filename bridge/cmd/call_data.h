/*
 * `call`: which method a person means, and their JSON as its packed request.
 *
 * The JSON has the shape of ModelArts' documents: REST keys and REST literals, with the fields of the URL
 * (service_id) as keys too. Unlike an answer of ModelArts it must hold nothing that the schema does not know.
 *
 * Pure. Threads: any.
 */
#ifndef BR_CMD_CALL_DATA_H
#define BR_CMD_CALL_DATA_H

#include "base/arena.h"
#include "contract/contract.h"

/*
 * Finds the method that |name| means among |methods|, which are |count|: its full name, with or without the leading
 * slash, or its last part where only one method has it.
 * |name|  borrowed.
 * |out|   one of |methods|; written on success only.
 * Errors: INVALID_ARGUMENT/BAD_SETTING no such method, with those there are; several; one without a REST form
 */
bool br_call_method(const struct br_method *methods, size_t count, const char *name,
                    const struct br_method **out, struct br_status *st) BR_MUST_CHECK;

/*
 * |json| as the packed request of |method|. A field mask is a text that separates its names with commas.
 * |json|   borrowed; |len| bytes.
 * |packed| in |arena|, |packed_len| bytes; written on success only.
 * Errors:  INVALID_ARGUMENT/BAD_SETTING not one JSON object; a value that its field cannot hold, which is named;
 *              unknown keys and literals, all of them, with what is accepted; a null outside free JSON, which
 *              nothing is sent for; an empty list or map without a field mask, which alone could send it
 *          RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_call_data(const struct br_method *method, const char *json, size_t len, struct br_arena *arena,
                  const uint8_t **packed, size_t *packed_len, struct br_status *st) BR_MUST_CHECK;

#endif
