#include "contract/options.h"

/* protobuf-c keeps a length-delimited unknown field with its length before it. */
static bool skip_length(struct br_option *option)
{
    size_t i = 0;
    while (i < option->len && i < 10) {
        if ((option->bytes[i++] & 0x80) == 0) {
            option->bytes += i;
            option->len -= i;
            return true;
        }
    }
    return false;
}

bool br_option_next(const ProtobufCMessage *options, uint32_t number, size_t *cursor, struct br_option *out)
{
    if (options == NULL) {
        return false;
    }
    while (*cursor < options->n_unknown_fields) {
        const ProtobufCMessageUnknownField *field = &options->unknown_fields[(*cursor)++];
        if (field->tag == number && field->wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
            *out = (struct br_option){.bytes = field->data, .len = field->len};
            return skip_length(out);
        }
    }
    return false;
}

const char *br_option_text(const ProtobufCMessage *options, uint32_t number, struct br_arena *arena)
{
    struct br_option option;
    const char *text = NULL;
    for (size_t cursor = 0; br_option_next(options, number, &cursor, &option);) {
        text = br_arena_strndup(arena, (const char *)option.bytes, option.len);
    }
    return text;
}
