/*
 * What the build generates from proto/: the descriptor set as protoc wrote it, and the C descriptors of its services.
 *
 * Threads: any; constant data.
 * Source:  gen/README.md (how it is made).
 */
#ifndef BR_CONTRACT_SCHEMA_H
#define BR_CONTRACT_SCHEMA_H

#include <protobuf-c/protobuf-c.h>

struct br_schema {
    const uint8_t *set; /* a serialized google.protobuf.FileDescriptorSet, imports included, not lowered */
    size_t set_len;
    const ProtobufCServiceDescriptor *const
        *services; /* in the order of the files, then of the declarations */
    size_t service_count;
};

/*
 * The schema that this program was built with: defined in the generated library it links
 * (bridge_schema(), see gen/Schema.cmake).
 */
extern const struct br_schema br_schema_linked;

#endif
