#include "set_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tag and length of a field are at most five bytes each: 32 bits, seven a byte. */
#define MAX_VARINT32_BYTES 5
#define MAX_VARINT64_BYTES 10

/* Numbers of the fields that lead from a set to its messages, in google/protobuf/descriptor.proto. */
enum {
    SET_FILE = 1,
    FILE_MESSAGE_TYPE = 4,
    MESSAGE_NESTED_TYPE = 3,
};

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static bool read_varint(struct cursor *in, size_t max_bytes, uint64_t *out)
{
    uint64_t value = 0;

    for (size_t i = 0; i < max_bytes && in->at < in->end; i++) {
        uint8_t byte = *in->at++;

        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool skip_bytes(struct cursor *in, uint64_t count)
{
    if (count > (size_t)(in->end - in->at)) {
        return false;
    }
    in->at += count;
    return true;
}

/*
 * protobuf_c_message_unpack() follows nested messages as deep as the stack goes, and DescriptorProto is the one
 * type of descriptor.proto that holds itself. So the depth is measured on the bytes before they are unpacked.
 * Whatever this function does not understand is refused, so that it never sees less nesting than protobuf-c would.
 */
static bool nesting_fits(struct cursor in, uint32_t field, unsigned depth)
{
    uint32_t next = field == SET_FILE ? FILE_MESSAGE_TYPE : MESSAGE_NESTED_TYPE;
    uint64_t key, value;

    /* The set and the file are two levels above the outermost message. */
    if (depth > BR_SET_FILE_MAX_NESTING + 1) {
        return false;
    }
    while (in.at < in.end) {
        if (!read_varint(&in, MAX_VARINT32_BYTES, &key)) {
            return false;
        }
        switch (key & 7) {
        case PROTOBUF_C_WIRE_TYPE_VARINT:
            if (!read_varint(&in, MAX_VARINT64_BYTES, &value)) {
                return false;
            }
            break;
        case PROTOBUF_C_WIRE_TYPE_64BIT:
            if (!skip_bytes(&in, 8)) {
                return false;
            }
            break;
        case PROTOBUF_C_WIRE_TYPE_32BIT:
            if (!skip_bytes(&in, 4)) {
                return false;
            }
            break;
        case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED: {
            const uint8_t *start;

            if (!read_varint(&in, MAX_VARINT32_BYTES, &value)) {
                return false;
            }
            start = in.at;
            if (!skip_bytes(&in, value)) {
                return false;
            }
            if (key >> 3 == field && !nesting_fits((struct cursor){start, in.at}, next, depth + 1)) {
                return false;
            }
            break;
        }
        default:
            return false;
        }
    }
    return true;
}

bool br_set_file_read(const char *path, uint8_t **bytes, size_t *len, char *error, size_t error_cap)
{
    size_t cap = 64 * 1024, used = 0;
    uint8_t *buf = NULL;
    bool ok = false;
    FILE *file = fopen(path, "rb");

    if (!file) {
        snprintf(error, error_cap, "%s: %s", path, strerror(errno));
        return false;
    }
    for (;;) {
        uint8_t *grown = realloc(buf, cap);

        if (!grown) {
            snprintf(error, error_cap, "%s: out of memory", path);
            goto done;
        }
        buf = grown;
        used += fread(buf + used, 1, cap - used, file);
        if (used < cap || used > BR_SET_FILE_MAX_BYTES) {
            break;
        }
        cap *= 2;
    }
    if (ferror(file)) {
        snprintf(error, error_cap, "%s: cannot be read", path);
        goto done;
    }
    if (used > BR_SET_FILE_MAX_BYTES) {
        snprintf(error, error_cap, "%s: larger than %zu bytes", path, BR_SET_FILE_MAX_BYTES);
        goto done;
    }
    *bytes = buf;
    *len = used;
    buf = NULL;
    ok = true;
done:
    free(buf);
    fclose(file);
    return ok;
}

Google__Protobuf__FileDescriptorSet *br_set_file_parse(const char *name, const uint8_t *bytes, size_t len,
                                                       char *error, size_t error_cap)
{
    Google__Protobuf__FileDescriptorSet *set = NULL;

    if (nesting_fits((struct cursor){bytes, bytes + len}, SET_FILE, 0)) {
        set = google__protobuf__file_descriptor_set__unpack(NULL, len, bytes);
    }
    if (!set) {
        snprintf(error, error_cap, "%s: not a descriptor set, or nested more than %d deep", name,
                 BR_SET_FILE_MAX_NESTING);
    }
    return set;
}
