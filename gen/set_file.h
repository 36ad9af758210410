/*
 * Reads a descriptor set, as protoc --descriptor_set_out writes it, for the build's tools.
 *
 * Threads: any; no shared state.
 * Owns:    nothing.
 * Source:  google/protobuf/descriptor.proto.
 */
#ifndef GEN_SET_FILE_H
#define GEN_SET_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <google/protobuf/descriptor.pb-c.h>

/* Bytes of a descriptor set; this project's own set is some 100 KB. */
#define BR_SET_FILE_MAX_BYTES ((size_t)16 << 20)
/* Messages declared inside messages; protoc itself stops reading a set at about this depth. */
#define BR_SET_FILE_MAX_NESTING 100

/*
 * Reads the whole of |path|.
 * |bytes|, |len| written on success only; release |bytes| with free().
 * |error|        written on failure: one sentence without a newline, cut to |error_cap|.
 * Returns false when the file cannot be read or is larger than BR_SET_FILE_MAX_BYTES.
 */
bool br_set_file_read(const char *path, uint8_t **bytes, size_t *len, char *error, size_t error_cap)
    __attribute__((warn_unused_result));

/*
 * Unpacks a descriptor set. Any input is safe, also one that is cut short or nested without end.
 * |name|  borrowed; what |error| calls the input.
 * |bytes| borrowed.
 * |error| written on failure: one sentence without a newline, cut to |error_cap|.
 * Returns the set; the caller releases it with google__protobuf__file_descriptor_set__free_unpacked(set, NULL).
 * Returns NULL when the bytes are no descriptor set, a message is declared more than BR_SET_FILE_MAX_NESTING deep, or
 * memory ran out.
 */
Google__Protobuf__FileDescriptorSet *br_set_file_parse(const char *name, const uint8_t *bytes, size_t len,
                                                       char *error, size_t error_cap)
    __attribute__((warn_unused_result));

#endif
