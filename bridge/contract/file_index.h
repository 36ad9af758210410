/*
 * The .proto files of the embedded schema, found by name, by what they declare and by what they extend: what server
 * reflection tells. The bytes of a file are those that protoc wrote.
 *
 * Threads: br_file_index_create() and br_file_index_destroy() at start and end; between them all is constant.
 * Owns:    everything below, until br_file_index_destroy(); the bytes are the schema's.
 * Source:  google/protobuf/descriptor.proto.
 */
#ifndef BR_CONTRACT_FILE_INDEX_H
#define BR_CONTRACT_FILE_INDEX_H

#include "base/status.h"
#include "contract/schema.h"

struct br_file {
    const char *name;     /* "modelarts/v1/modelarts_service.proto" */
    const uint8_t *bytes; /* a serialized google.protobuf.FileDescriptorProto */
    size_t len;
    const struct br_file *const
        *with_imports; /* itself, then each file that it imports, directly or not, once */
    size_t with_imports_count;
};

struct br_extension {
    const char *type; /* of the message that is extended, without a leading dot */
    int32_t number;
    const struct br_file *file; /* that declares it */
};

struct br_file_index;

/*
 * |schema| kept until br_file_index_destroy().
 * |out|    returned; release with br_file_index_destroy().
 * Errors:  INTERNAL/CONTRACT_INVALID           the set cannot be read, or a file comes before one that it imports
 *          RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_file_index_create(const struct br_schema *schema, struct br_file_index **out,
                          struct br_status *st) BR_MUST_CHECK;

/* Accepts NULL. */
void br_file_index_destroy(struct br_file_index *index);

/* The file called |name|, borrowed, |len| bytes of any kind; NULL: there is none. */
const struct br_file *br_file_index_by_name(const struct br_file_index *index, const char *name, size_t len);

/*
 * The file that declares the message, field, oneof, enum, enum value, extension, service or method of this full name
 * ("package.Message.field"), borrowed, |len| bytes of any kind. NULL: there is none.
 * |is_message| whether it is a message.
 */
const struct br_file *br_file_index_by_symbol(const struct br_file_index *index, const char *name, size_t len,
                                              bool *is_message);

/* All extensions; |count| written. Those of one message stand together, by number. */
const struct br_extension *br_file_index_extensions(const struct br_file_index *index, size_t *count);

#endif
