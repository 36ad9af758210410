#include "base/wire.h"

/* protobuf-c reads no more of a tag and of a length. */
#define MAX_TAG_BYTES 5
#define MAX_VARINT_BYTES 10
#define MAX_FIELD_NUMBER ((UINT32_C(1) << 29) - 1)

/* Reads a varint of at most |max_bytes|. */
static size_t read_varint(const uint8_t *at, const uint8_t *end, size_t max_bytes, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < max_bytes && at + i < end; i++) {
        if (i == MAX_VARINT_BYTES - 1 && at[i] > 1) {
            return 0;
        }
        value |= (uint64_t)(at[i] & 0x7F) << (7 * i);
        if ((at[i] & 0x80) == 0) {
            *out = value;
            return i + 1;
        }
    }
    return 0;
}

size_t br_wire_read_varint(const uint8_t *at, const uint8_t *end, uint64_t *out)
{
    return read_varint(at, end, MAX_VARINT_BYTES, out);
}

const char *br_wire_read(const uint8_t *at, const uint8_t *end, struct br_wire_record *out)
{
    *out = (struct br_wire_record){0};
    uint64_t tag;
    size_t used = read_varint(at, end, MAX_TAG_BYTES, &tag);
    if (used == 0) {
        return "a tag that does not end or is too long";
    }
    if (tag >> 3 == 0 || tag >> 3 > MAX_FIELD_NUMBER) {
        return "a field number outside 1 to 536870911";
    }
    out->number = (uint32_t)(tag >> 3);
    out->wire_type = (unsigned)(tag & 7);
    at += used;
    size_t left = (size_t)(end - at);
    uint64_t len = 0;

    switch (out->wire_type) {
    case BR_WIRE_VARINT: {
        uint64_t value;
        len = br_wire_read_varint(at, end, &value);
        if (len == 0) {
            return "a number that does not end or is longer than 64 bits";
        }
        break;
    }
    case BR_WIRE_64BIT:
        len = 8;
        break;
    case BR_WIRE_32BIT:
        len = 4;
        break;
    case BR_WIRE_LENGTH:
        used = read_varint(at, end, MAX_TAG_BYTES, &len);
        if (used == 0) {
            return "a length that does not end or is too long";
        }
        at += used;
        left -= used;
        break;
    case BR_WIRE_GROUP_START:
    case BR_WIRE_GROUP_END:
        /* protobuf-c unpacks no message that holds one. */
        return "a group, which is not supported";
    default:
        return "a wire type that does not exist";
    }
    if (len > left) {
        return "a value that goes past the end of its message";
    }
    out->payload = at;
    out->len = (size_t)len;
    return NULL;
}

/* Writes |value| to |out|; returns its bytes. */
static size_t write_varint(uint64_t value, uint8_t out[MAX_VARINT_BYTES])
{
    size_t len = 0;
    for (; value > 0x7F; value >>= 7) {
        out[len++] = (uint8_t)(value | 0x80);
    }
    out[len++] = (uint8_t)value;
    return len;
}

static uint64_t tag_of(uint32_t number, enum br_wire_type wire_type)
{
    return (uint64_t)number << 3 | wire_type;
}

size_t br_wire_size(uint32_t number, size_t len)
{
    uint8_t bytes[MAX_VARINT_BYTES];
    return write_varint(tag_of(number, BR_WIRE_LENGTH), bytes) + write_varint(len, bytes) + len;
}

/* A tag and the number that follows it: the value, or the length. */
static enum br_buf_result put_head(struct br_buf *buf, uint64_t tag, uint64_t value)
{
    uint8_t bytes[2 * MAX_VARINT_BYTES];
    size_t len = write_varint(tag, bytes);
    len += write_varint(value, bytes + len);
    return br_buf_append(buf, bytes, len);
}

enum br_buf_result br_wire_put_varint(struct br_buf *buf, uint32_t number, uint64_t value)
{
    return put_head(buf, tag_of(number, BR_WIRE_VARINT), value);
}

enum br_buf_result br_wire_put_length(struct br_buf *buf, uint32_t number, size_t len)
{
    return put_head(buf, tag_of(number, BR_WIRE_LENGTH), len);
}

enum br_buf_result br_wire_put_bytes(struct br_buf *buf, uint32_t number, const void *bytes, size_t len)
{
    enum br_buf_result result = br_wire_put_length(buf, number, len);
    return result == BR_BUF_OK ? br_buf_append(buf, bytes, len) : result;
}
