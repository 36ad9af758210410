/*
 * Server reflection: tells clients the schema, so that they need no .proto files. v1 and v1alpha have the same
 * messages, and one implementation.
 *
 * Pure. Threads: any.
 * Source:  grpc/reflection/v1/reflection.proto.
 */
#ifndef BR_SERVE_REFLECTION_H
#define BR_SERVE_REFLECTION_H

#include "contract/file_index.h"
#include "serve/local.h"

/* ServerReflectionInfo of v1 and of v1alpha. */
#define BR_REFLECTION_METHODS 2

struct br_reflection {
    const struct br_schema *schema; /* its services are those that are listed */
    const struct br_file_index *files;
};

/*
 * Answers one ServerReflectionRequest with a ServerReflectionResponse: an answer, or what is not there. As
 * br_local_handler's |answer|; |reflection| is a const struct br_reflection.
 * Errors: INVALID_ARGUMENT/MALFORMED_MESSAGE    not such a request, or a text that is not UTF-8
 *         RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_reflection_answer(void *reflection, const uint8_t *bytes, size_t len, struct br_buf *reply,
                          struct br_status *st) BR_MUST_CHECK;

/* |reflection| kept as long as the handlers. */
void br_reflection_handlers(struct br_reflection *reflection,
                            struct br_local_handler out[BR_REFLECTION_METHODS]);

#endif
