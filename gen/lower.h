/*
 * Rewrites proto3 files as proto2 files with the same wire format, because protoc-c 1.4.1 refuses `optional` in proto3.
 *
 * Threads: any; the set belongs to its caller.
 * Owns:    nothing.
 * Source:  google/protobuf/descriptor.proto, comments on proto3_optional, packed and syntax.
 */
#ifndef GEN_LOWER_H
#define GEN_LOWER_H

#include <stdbool.h>
#include <stddef.h>

#include <google/protobuf/descriptor.pb-c.h>

/*
 * Lowers every proto3 file of |set| in place: drops `syntax` and `proto3_optional`, drops the oneofs that
 * protoc made up for optional fields and renumbers those that remain, and writes out the packed encoding that
 * proto3 implies. Everything else stays as it is, unknown fields (custom options) included. Files in proto2
 * are not touched.
 * |set|   modified; unpacked with protobuf-c's default allocator. On failure it may be half lowered and is only good
 *         for being released.
 * |error| written on failure: one sentence without a newline, cut to |error_cap|.
 * Returns false when a file is neither proto2 nor proto3, a oneof_index points nowhere, an optional field shares its
 * oneof or has none, a repeated field has no type, or memory ran out.
 */
bool br_lower_set(Google__Protobuf__FileDescriptorSet *set, char *error, size_t error_cap)
    __attribute__((warn_unused_result));

#endif
