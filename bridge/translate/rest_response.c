#include "translate/rest_response.h"

#include "contract/field.h"

#include <stdlib.h>

#define MALFORMED "UPSTREAM_MALFORMED_RESPONSE"

static bool read_message(const struct br_method *method, const char *body, size_t len,
                         struct br_json_reader *reader, ProtobufCMessage **out, struct br_status *st)
{
    if (len == 0) {
        *out = br_message_new(method->output->descriptor, reader->arena);
        return *out != NULL || br_arena_fail(reader->arena, st);
    }
    cJSON *json;
    if (!br_json_parse(reader, body, len, &json, st)) {
        return false;
    }
    bool read = br_json_read(reader, method->output, json, out, st);
    cJSON_Delete(json);
    return read;
}

bool br_rest_response_read(const struct br_method *method, const char *body, size_t len,
                           struct br_arena *arena, struct br_drift_observer *observer, uint8_t **packed,
                           size_t *packed_len, struct br_status *st)
{
    struct br_json_reader reader = {
        .code = BR_INTERNAL, .reason = MALFORMED, .arena = arena, .observer = observer};
    ProtobufCMessage *message;
    if (!read_message(method, body, len, &reader, &message, st)) {
        br_status_prefix(st, st->code == reader.code
                                 ? "the request was executed, but the answer of ModelArts is malformed"
                                 : "the request was executed, but its answer is lost");
        return false;
    }
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    if (bytes == NULL) {
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                             "the request was executed, but its answer is lost: no memory for it");
    }
    protobuf_c_message_pack(message, bytes);
    *packed = bytes;
    *packed_len = size;
    return true;
}
