/*
 * Protobuf's wire format, record by record: for bytes that are looked at before, or without, protobuf-c.
 *
 * Pure. Threads: any.
 * Source: https://protobuf.dev/programming-guides/encoding/
 */
#ifndef BR_BASE_WIRE_H
#define BR_BASE_WIRE_H

#include "base/buf.h"

#include <stdint.h>

enum br_wire_type {
    BR_WIRE_VARINT = 0,
    BR_WIRE_64BIT = 1,
    BR_WIRE_LENGTH = 2,
    BR_WIRE_GROUP_START = 3,
    BR_WIRE_GROUP_END = 4,
    BR_WIRE_32BIT = 5,
};

struct br_wire_record {
    uint32_t number;
    unsigned wire_type;
    const uint8_t *payload; /* a length-prefixed one without its length */
    size_t len;
};

/*
 * Reads the record at |at|, which is before |end|; the next one begins at payload + len.
 * |out| points into the bytes.
 * Returns NULL, or what is wrong; |out->number| is 0 when that is the tag.
 */
const char *br_wire_read(const uint8_t *at, const uint8_t *end, struct br_wire_record *out) BR_MUST_CHECK;

/*
 * Reads a varint, such as the payload of a record of that type. Returns the bytes it takes; 0 when it does not end
 * before |end|, or does not fit in 64 bits.
 */
size_t br_wire_read_varint(const uint8_t *at, const uint8_t *end, uint64_t *out) BR_MUST_CHECK;

/* Bytes of a length-prefixed record whose payload has |len|. */
size_t br_wire_size(uint32_t number, size_t len);

/*
 * Append to |buf|: a record with a number; a length-prefixed one; the same without its |len| bytes, which the caller
 * appends.
 */
enum br_buf_result br_wire_put_varint(struct br_buf *buf, uint32_t number, uint64_t value) BR_MUST_CHECK;
enum br_buf_result br_wire_put_bytes(struct br_buf *buf, uint32_t number, const void *bytes,
                                     size_t len) BR_MUST_CHECK;
enum br_buf_result br_wire_put_length(struct br_buf *buf, uint32_t number, size_t len) BR_MUST_CHECK;

#endif
