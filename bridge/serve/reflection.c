#include "serve/reflection.h"

#include "base/utf8.h"
#include "base/wire.h"
#include "translate/violation.h"

#include <stdio.h>
#include <string.h>

/* Source: grpc/reflection/v1/reflection.proto */
enum {
    REQUEST_HOST = 1,
    REQUEST_FILE_BY_FILENAME = 3,
    REQUEST_FILE_CONTAINING_SYMBOL = 4,
    REQUEST_FILE_CONTAINING_EXTENSION = 5,
    REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE = 6,
    REQUEST_LIST_SERVICES = 7,
    EXTENSION_CONTAINING_TYPE = 1,
    EXTENSION_NUMBER = 2,
    RESPONSE_VALID_HOST = 1,
    RESPONSE_ORIGINAL_REQUEST = 2,
    RESPONSE_FILE_DESCRIPTOR = 4,
    RESPONSE_EXTENSION_NUMBERS = 5,
    RESPONSE_LIST_SERVICES = 6,
    RESPONSE_ERROR = 7,
    FILE_DESCRIPTOR_PROTO = 1,
    EXTENSION_NUMBERS_TYPE = 1,
    EXTENSION_NUMBERS_NUMBER = 2,
    LIST_SERVICE = 1,
    SERVICE_NAME = 1,
    ERROR_CODE = 1,
    ERROR_MESSAGE = 2,
};

struct text {
    const char *start;
    size_t len;
};

struct request {
    struct text host;
    uint32_t kind;    /* the field that was set last; 0: none that is known here */
    struct text name; /* the file, the symbol or the type */
    int32_t extension_number;
};

/* An answer being written; nothing is, once it has failed. */
struct writer {
    struct br_buf *buf;
    bool failed;
};

static void put_bytes(struct writer *writer, uint32_t number, const void *bytes, size_t len)
{
    writer->failed = writer->failed || br_wire_put_bytes(writer->buf, number, bytes, len) != BR_BUF_OK;
}

static void put_length(struct writer *writer, uint32_t number, size_t len)
{
    writer->failed = writer->failed || br_wire_put_length(writer->buf, number, len) != BR_BUF_OK;
}

static void put_varint(struct writer *writer, uint32_t number, uint64_t value)
{
    writer->failed = writer->failed || br_wire_put_varint(writer->buf, number, value) != BR_BUF_OK;
}

/* Ends a message that was written by itself, as a field of |writer|'s. */
static void put_message(struct writer *writer, uint32_t number, struct writer *message)
{
    writer->failed = writer->failed || message->failed;
    put_bytes(writer, number, message->buf->data, message->buf->len);
    br_buf_finish(message->buf);
}

/* ---- The request ---- */

static bool refuse(const char *fault, struct br_status *st)
{
    return br_status_set(st, BR_INVALID_ARGUMENT, "MALFORMED_MESSAGE", "the message is not valid: %s", fault);
}

static bool read_text(const struct br_wire_record *record, struct text *out, struct br_status *st)
{
    *out = (struct text){.start = (const char *)record->payload, .len = record->len};
    return br_utf8_valid_prefix(out->start, out->len) == out->len || refuse("a text that is not UTF-8", st);
}

static bool read_extension(const uint8_t *at, const uint8_t *end, struct request *out, struct br_status *st)
{
    while (at < end) {
        struct br_wire_record record;
        const char *fault = br_wire_read(at, end, &record);
        if (fault != NULL) {
            return refuse(fault, st);
        }
        uint64_t value;
        if (record.number == EXTENSION_CONTAINING_TYPE && record.wire_type == BR_WIRE_LENGTH) {
            if (!read_text(&record, &out->name, st)) {
                return false;
            }
        } else if (record.number == EXTENSION_NUMBER && record.wire_type == BR_WIRE_VARINT &&
                   br_wire_read_varint(record.payload, end, &value) > 0) {
            out->extension_number = (int32_t)value;
        }
        at = record.payload + record.len;
    }
    return true;
}

static bool read_field(const struct br_wire_record *record, struct request *out, struct br_status *st)
{
    if (record->wire_type != BR_WIRE_LENGTH) {
        return true;
    }
    switch (record->number) {
    case REQUEST_HOST:
        return read_text(record, &out->host, st);
    case REQUEST_FILE_BY_FILENAME:
    case REQUEST_FILE_CONTAINING_SYMBOL:
    case REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
    case REQUEST_LIST_SERVICES:
        out->kind = record->number;
        return read_text(record, &out->name, st);
    case REQUEST_FILE_CONTAINING_EXTENSION:
        out->kind = record->number;
        out->name = (struct text){.start = ""};
        out->extension_number = 0;
        return read_extension(record->payload, record->payload + record->len, out, st);
    default:
        return true;
    }
}

static bool read_request(const uint8_t *at, const uint8_t *end, struct request *out, struct br_status *st)
{
    while (at < end) {
        struct br_wire_record record;
        const char *fault = br_wire_read(at, end, &record);
        if (fault != NULL) {
            return refuse(fault, st);
        }
        if (!read_field(&record, out, st)) {
            return false;
        }
        at = record.payload + record.len;
    }
    return true;
}

/* ---- The answers ---- */

static void put_error(struct writer *writer, enum br_code code, const char *message)
{
    struct br_buf buf;
    struct writer error = {.buf = &buf};
    br_buf_init(&buf, BR_STATUS_MSG_CAP);
    put_varint(&error, ERROR_CODE, code);
    put_bytes(&error, ERROR_MESSAGE, message, strlen(message));
    put_message(writer, RESPONSE_ERROR, &error);
}

/* |what| is "file", "symbol" or the like. */
static void put_not_found(struct writer *writer, const char *what, struct text name)
{
    char shown[2 * BR_QUOTE_MAX_BYTES]; /* enough for the quote to see that there is more */
    char quoted[BR_QUOTE_CAP];
    char message[BR_QUOTE_CAP + 64];
    size_t len = br_utf8_cut(name.start, name.len, sizeof shown - 1);
    (void)snprintf(shown, sizeof shown, "%.*s", (int)len, name.start);
    (void)snprintf(message, sizeof message, "the schema has no %s %s", what,
                   br_violation_quote(shown, quoted));
    put_error(writer, BR_NOT_FOUND, message);
}

static void put_file(struct writer *writer, const struct br_file *file)
{
    size_t len = 0;
    for (size_t i = 0; i < file->with_imports_count; i++) {
        len += br_wire_size(FILE_DESCRIPTOR_PROTO, file->with_imports[i]->len);
    }
    put_length(writer, RESPONSE_FILE_DESCRIPTOR, len);
    for (size_t i = 0; i < file->with_imports_count; i++) {
        put_bytes(writer, FILE_DESCRIPTOR_PROTO, file->with_imports[i]->bytes, file->with_imports[i]->len);
    }
}

static bool is_type(const struct br_extension *extension, struct text type)
{
    return strlen(extension->type) == type.len && memcmp(extension->type, type.start, type.len) == 0;
}

static void answer_extension(const struct br_reflection *reflection, const struct request *request,
                             struct writer *writer)
{
    size_t count;
    const struct br_extension *extensions = br_file_index_extensions(reflection->files, &count);
    for (size_t i = 0; i < count; i++) {
        if (extensions[i].number == request->extension_number && is_type(&extensions[i], request->name)) {
            put_file(writer, extensions[i].file);
            return;
        }
    }
    char what[64];
    (void)snprintf(what, sizeof what, "extension %d of", request->extension_number);
    put_not_found(writer, what, request->name);
}

static void answer_extension_numbers(const struct br_reflection *reflection, const struct request *request,
                                     struct writer *writer)
{
    bool is_message = false;
    (void)br_file_index_by_symbol(reflection->files, request->name.start, request->name.len, &is_message);
    if (!is_message) {
        put_not_found(writer, "message", request->name);
        return;
    }
    struct br_buf buf;
    struct writer numbers = {.buf = &buf};
    br_buf_init(&buf, BR_LOCAL_MAX_REPLY_BYTES);
    put_bytes(&numbers, EXTENSION_NUMBERS_TYPE, request->name.start, request->name.len);
    size_t count;
    const struct br_extension *extensions = br_file_index_extensions(reflection->files, &count);
    for (size_t i = 0; i < count; i++) {
        if (is_type(&extensions[i], request->name)) {
            put_varint(&numbers, EXTENSION_NUMBERS_NUMBER, (uint64_t)extensions[i].number);
        }
    }
    put_message(writer, RESPONSE_EXTENSION_NUMBERS, &numbers);
}

static void answer_services(const struct br_reflection *reflection, struct writer *writer)
{
    struct br_buf buf;
    struct writer services = {.buf = &buf};
    br_buf_init(&buf, BR_LOCAL_MAX_REPLY_BYTES);
    for (size_t i = 0; i < reflection->schema->service_count; i++) {
        const char *name = reflection->schema->services[i]->name;
        put_length(&services, LIST_SERVICE, br_wire_size(SERVICE_NAME, strlen(name)));
        put_bytes(&services, SERVICE_NAME, name, strlen(name));
    }
    put_message(writer, RESPONSE_LIST_SERVICES, &services);
}

static void answer(const struct br_reflection *reflection, const struct request *request,
                   struct writer *writer)
{
    const struct br_file *file;
    bool is_message;
    switch (request->kind) {
    case REQUEST_FILE_BY_FILENAME:
        file = br_file_index_by_name(reflection->files, request->name.start, request->name.len);
        if (file != NULL) {
            put_file(writer, file);
        } else {
            put_not_found(writer, "file", request->name);
        }
        break;
    case REQUEST_FILE_CONTAINING_SYMBOL:
        file =
            br_file_index_by_symbol(reflection->files, request->name.start, request->name.len, &is_message);
        if (file != NULL) {
            put_file(writer, file);
        } else {
            put_not_found(writer, "symbol", request->name);
        }
        break;
    case REQUEST_FILE_CONTAINING_EXTENSION:
        answer_extension(reflection, request, writer);
        break;
    case REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
        answer_extension_numbers(reflection, request, writer);
        break;
    case REQUEST_LIST_SERVICES:
        answer_services(reflection, writer);
        break;
    default:
        put_error(writer, BR_INVALID_ARGUMENT, "the request asks for nothing that this server knows");
        break;
    }
}

bool br_reflection_answer(void *reflection, const uint8_t *bytes, size_t len, struct br_buf *reply,
                          struct br_status *st)
{
    struct request request = {.host.start = "", .name.start = ""};
    if (!read_request(bytes, bytes + len, &request, st)) {
        return false;
    }
    struct writer writer = {.buf = reply};
    if (request.host.len > 0) {
        put_bytes(&writer, RESPONSE_VALID_HOST, request.host.start, request.host.len);
    }
    put_bytes(&writer, RESPONSE_ORIGINAL_REQUEST, bytes, len);
    answer(reflection, &request, &writer);
    return !writer.failed ||
           br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for the answer");
}

void br_reflection_handlers(struct br_reflection *reflection,
                            struct br_local_handler out[BR_REFLECTION_METHODS])
{
    static const char *const methods[BR_REFLECTION_METHODS] = {
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    };
    for (size_t i = 0; i < BR_REFLECTION_METHODS; i++) {
        out[i] = (struct br_local_handler){
            .method = methods[i], .context = reflection, .answer = br_reflection_answer};
    }
}
