#include "serve/health_service.h"

#include "base/utf8.h"
#include "base/wire.h"

/* Source: grpc/health/v1/health.proto */
enum {
    REQUEST_SERVICE = 1,
    RESPONSE_STATUS = 1,
};

static bool refuse(const char *fault, struct br_status *st)
{
    return br_status_set(st, BR_INVALID_ARGUMENT, "MALFORMED_MESSAGE", "the message is not valid: %s", fault);
}

/* Points |service| at the name in the request; "" where it has none. */
static bool read_service(const uint8_t *bytes, size_t len, const char **service, size_t *service_len,
                         struct br_status *st)
{
    *service = "";
    *service_len = 0;
    for (const uint8_t *end = bytes + len; bytes < end;) {
        struct br_wire_record record;
        const char *fault = br_wire_read(bytes, end, &record);
        if (fault != NULL) {
            return refuse(fault, st);
        }
        if (record.number == REQUEST_SERVICE && record.wire_type == BR_WIRE_LENGTH) {
            *service = (const char *)record.payload;
            *service_len = record.len;
        }
        bytes = record.payload + record.len;
    }
    return br_utf8_valid_prefix(*service, *service_len) == *service_len || refuse("service is not UTF-8", st);
}

static bool put_status(enum br_health_status status, struct br_buf *reply, struct br_status *st)
{
    if (br_wire_put_varint(reply, RESPONSE_STATUS, status) == BR_BUF_OK) {
        return true;
    }
    return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for the answer");
}

static bool answer_check(void *context, const uint8_t *bytes, size_t len, struct br_buf *reply,
                         struct br_status *st)
{
    const char *service;
    size_t service_len;
    if (!read_service(bytes, len, &service, &service_len, st)) {
        return false;
    }
    enum br_health_status status = br_health_check(context, service, service_len);
    if (status == BR_HEALTH_SERVICE_UNKNOWN) {
        return br_status_set(st, BR_NOT_FOUND, "SERVICE_UNKNOWN", "the bridge has no service of this name");
    }
    return put_status(status, reply, st);
}

static bool answer_watch(void *context, const uint8_t *bytes, size_t len, struct br_buf *reply,
                         struct br_status *st)
{
    const char *service;
    size_t service_len;
    return read_service(bytes, len, &service, &service_len, st) &&
           put_status(br_health_check(context, service, service_len), reply, st);
}

void br_health_service_handlers(struct br_health *health,
                                struct br_local_handler out[BR_HEALTH_SERVICE_METHODS])
{
    out[0] = (struct br_local_handler){
        .method = "grpc.health.v1.Health/Check", .context = health, .answer = answer_check};
    out[1] = (struct br_local_handler){.method = "grpc.health.v1.Health/Watch",
                                       .context = health,
                                       .answer = answer_watch,
                                       .watched = health};
}
