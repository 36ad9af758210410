#include "cmd/status_details.h"

#include "cmd/terminal.h"
#include "translate/json_write.h"

#include <google/protobuf/any.pb-c.h>
#include <google/protobuf/duration.pb-c.h>
#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>

#include <string.h>

/* Where the lines go; the first failure to append is kept, and nothing is appended after it. */
struct lines {
    struct br_buf *out;
    enum br_buf_result result;
};

/* Text of our own. */
static void put(struct lines *lines, const char *text)
{
    if (lines->result == BR_BUF_OK) {
        lines->result = br_buf_puts(lines->out, text);
    }
}

/* Text of the server; NULL is "". */
static void put_foreign(struct lines *lines, const char *text)
{
    if (lines->result == BR_BUF_OK && text != NULL) {
        lines->result = br_terminal_text(lines->out, text, strlen(text));
    }
}

static bool is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* |before| and |text|; nothing when there is no text. */
static void put_after(struct lines *lines, const char *before, const char *text)
{
    if (!is_given(text)) {
        return;
    }
    put(lines, before);
    put_foreign(lines, text);
}

static void put_error_info(struct lines *lines, const ProtobufCMessage *message)
{
    const Google__Rpc__ErrorInfo *info = (const Google__Rpc__ErrorInfo *)message;
    put(lines, "reason: ");
    put_foreign(lines, info->reason);
    if (is_given(info->domain)) {
        put_after(lines, " (", info->domain);
        put(lines, ")");
    }
    put(lines, "\n");
    for (size_t i = 0; i < info->n_metadata; i++) {
        put_foreign(lines, info->metadata[i]->key);
        put(lines, ": ");
        put_foreign(lines, info->metadata[i]->value);
        put(lines, "\n");
    }
}

static void put_request_info(struct lines *lines, const ProtobufCMessage *message)
{
    const Google__Rpc__RequestInfo *info = (const Google__Rpc__RequestInfo *)message;
    put(lines, "request id: ");
    put_foreign(lines, info->request_id);
    put(lines, "\n");
}

static void put_retry_info(struct lines *lines, const ProtobufCMessage *message)
{
    const Google__Protobuf__Duration *delay = ((const Google__Rpc__RetryInfo *)message)->retry_delay;
    if (delay == NULL || lines->result != BR_BUF_OK) {
        return;
    }
    char seconds[BR_JSON_NUMBER_CAP];
    br_json_number_text((double)delay->seconds + delay->nanos / 1e9, seconds);
    lines->result = br_buf_printf(lines->out, "retry after: %ss\n", seconds);
}

static void put_bad_request(struct lines *lines, const ProtobufCMessage *message)
{
    const Google__Rpc__BadRequest *bad = (const Google__Rpc__BadRequest *)message;
    for (size_t i = 0; i < bad->n_field_violations; i++) {
        const Google__Rpc__BadRequest__FieldViolation *violation = bad->field_violations[i];
        if (is_given(violation->field)) {
            put_after(lines, "field ", violation->field);
        } else {
            put(lines, "request");
        }
        put(lines, ": ");
        put_foreign(lines, violation->description);
        put(lines, "\n");
    }
}

static void put_quota_failure(struct lines *lines, const ProtobufCMessage *message)
{
    const Google__Rpc__QuotaFailure *failure = (const Google__Rpc__QuotaFailure *)message;
    for (size_t i = 0; i < failure->n_violations; i++) {
        put(lines, "quota");
        put_after(lines, " ", failure->violations[i]->subject);
        put(lines, ": ");
        put_foreign(lines, failure->violations[i]->description);
        put(lines, "\n");
    }
}

static void put_precondition_failure(struct lines *lines, const ProtobufCMessage *message)
{
    const Google__Rpc__PreconditionFailure *failure = (const Google__Rpc__PreconditionFailure *)message;
    for (size_t i = 0; i < failure->n_violations; i++) {
        put(lines, "precondition");
        put_after(lines, " ", failure->violations[i]->type);
        put_after(lines, " ", failure->violations[i]->subject);
        put(lines, ": ");
        put_foreign(lines, failure->violations[i]->description);
        put(lines, "\n");
    }
}

static void put_resource_info(struct lines *lines, const ProtobufCMessage *message)
{
    const Google__Rpc__ResourceInfo *info = (const Google__Rpc__ResourceInfo *)message;
    put(lines, "resource");
    put_after(lines, " ", info->resource_type);
    put_after(lines, " ", info->resource_name);
    put_after(lines, " of ", info->owner);
    put_after(lines, ": ", info->description);
    put(lines, "\n");
}

static void put_help(struct lines *lines, const ProtobufCMessage *message)
{
    const Google__Rpc__Help *help = (const Google__Rpc__Help *)message;
    for (size_t i = 0; i < help->n_links; i++) {
        put(lines, "help:");
        put_after(lines, " ", help->links[i]->description);
        put_after(lines, " ", help->links[i]->url);
        put(lines, "\n");
    }
}

static const struct {
    const ProtobufCMessageDescriptor *descriptor;
    void (*put)(struct lines *lines, const ProtobufCMessage *message);
} known[] = {
    {&google__rpc__error_info__descriptor, put_error_info},
    {&google__rpc__request_info__descriptor, put_request_info},
    {&google__rpc__retry_info__descriptor, put_retry_info},
    {&google__rpc__bad_request__descriptor, put_bad_request},
    {&google__rpc__quota_failure__descriptor, put_quota_failure},
    {&google__rpc__precondition_failure__descriptor, put_precondition_failure},
    {&google__rpc__resource_info__descriptor, put_resource_info},
    {&google__rpc__help__descriptor, put_help},
};

/* A type URL ends with a slash and the full name. Returns false when the detail is not known or not readable. */
static bool put_known(struct lines *lines, const Google__Protobuf__Any *any)
{
    const char *slash = any->type_url != NULL ? strrchr(any->type_url, '/') : NULL;
    if (slash == NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(slash + 1, known[i].descriptor->name) != 0) {
            continue;
        }
        ProtobufCMessage *message =
            protobuf_c_message_unpack(known[i].descriptor, NULL, any->value.len, any->value.data);
        if (message == NULL) {
            return false;
        }
        known[i].put(lines, message);
        protobuf_c_message_free_unpacked(message, NULL);
        return true;
    }
    return false;
}

enum br_buf_result br_status_details_text(struct br_buf *out, const uint8_t *bytes, size_t len)
{
    /* None of these types nests into itself, so the depth that unpacking reaches is bounded by the schema. */
    Google__Rpc__Status *status = google__rpc__status__unpack(NULL, len, bytes);
    if (status == NULL) {
        return br_buf_printf(out, "details: %zu bytes that are no google.rpc.Status\n", len);
    }

    struct lines lines = {.out = out, .result = BR_BUF_OK};
    for (size_t i = 0; i < status->n_details; i++) {
        const Google__Protobuf__Any *any = status->details[i];
        if (put_known(&lines, any)) {
            continue;
        }
        put(&lines, "detail: ");
        put_foreign(&lines, any->type_url);
        if (lines.result == BR_BUF_OK) {
            lines.result = br_buf_printf(out, " (%zu bytes)\n", any->value.len);
        }
    }
    google__rpc__status__free_unpacked(status, NULL);
    return lines.result;
}
