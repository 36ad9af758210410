#include "translate/error.h"

#include "base/utf8.h"

#include <google/protobuf/any.pb-c.h>
#include <google/protobuf/duration.pb-c.h>
#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>

#include <string.h>

/* Bytes kept free for the trailers that are not about the error: grpc-status, ids, names. */
#define OTHER_TRAILERS_BYTES 512

/* ErrorInfo, BadRequest, the one of the row, RequestInfo and RetryInfo. */
#define DETAILS_MAX 5

/* A code with its message fits whatever the message is, so that there is always something left to send. */
_Static_assert(3 * BR_STATUS_MSG_CAP + 4 * (BR_STATUS_MSG_CAP + 32) / 3 + OTHER_TRAILERS_BYTES <
                   BR_TRAILER_BUDGET_BYTES,
               "the budget holds the longest message");

void br_error_init(struct br_error *error)
{
    *error = (struct br_error){.domain = BR_DOMAIN_BRIDGE, .retry_after_ms = -1};
}

void br_error_add_metadata(struct br_error *error, const char *key, const char *value)
{
    if (value == NULL || error->metadata_count == BR_ERROR_METADATA_MAX) {
        return;
    }
    error->metadata[error->metadata_count++] = (struct br_header){.name = key, .value = value};
}

/* How much of an error is carried. */
struct selection {
    size_t violation_count;
    enum br_error_detail detail;
    bool request_info;
    bool retry_info;
    size_t metadata_count;
    bool error_info;
};

/* Gives up the next thing of the fixed order; false when nothing is left. */
static bool drop_next(struct selection *selection)
{
    if (selection->violation_count > 0) {
        selection->violation_count--;
    } else if (selection->detail != BR_DETAIL_NONE) {
        selection->detail = BR_DETAIL_NONE;
    } else if (selection->request_info) {
        selection->request_info = false;
    } else if (selection->retry_info) {
        selection->retry_info = false;
    } else if (selection->metadata_count > 0) {
        selection->metadata_count--;
    } else if (selection->error_info) {
        selection->error_info = false;
    } else {
        return false;
    }
    return true;
}

/* The message tree of one google.rpc.Status. */
struct tree {
    Google__Rpc__BadRequest__FieldViolation violations[BR_VIOLATIONS_MAX];
    Google__Rpc__BadRequest__FieldViolation *violation_list[BR_VIOLATIONS_MAX];
    Google__Rpc__BadRequest bad_request;
    Google__Rpc__QuotaFailure__Violation quota;
    Google__Rpc__QuotaFailure__Violation *quota_list[1];
    Google__Rpc__QuotaFailure quota_failure;
    Google__Rpc__PreconditionFailure__Violation precondition;
    Google__Rpc__PreconditionFailure__Violation *precondition_list[1];
    Google__Rpc__PreconditionFailure precondition_failure;
    Google__Rpc__ResourceInfo resource_info;
    Google__Rpc__RequestInfo request_info;
    Google__Protobuf__Duration retry_delay;
    Google__Rpc__RetryInfo retry_info;
    Google__Rpc__ErrorInfo__MetadataEntry metadata[BR_ERROR_METADATA_MAX];
    Google__Rpc__ErrorInfo__MetadataEntry *metadata_list[BR_ERROR_METADATA_MAX];
    Google__Rpc__ErrorInfo error_info;

    const ProtobufCMessage *details[DETAILS_MAX]; /* what each of |any| holds */
    Google__Protobuf__Any any[DETAILS_MAX];
    Google__Protobuf__Any *any_list[DETAILS_MAX];
    Google__Rpc__Status status;
};

/*
 * |text| as protobuf demands it: UTF-8, since some clients refuse the whole status otherwise. "" where there
 * is none, or no memory to cut it.
 */
static char *utf8_text(struct br_arena *arena, const char *text)
{
    if (text == NULL) {
        return (char *)"";
    }
    size_t len = strlen(text);
    size_t valid = br_utf8_valid_prefix(text, len);
    const char *copy = valid == len ? text : br_arena_strndup(arena, text, valid);
    return (char *)(copy != NULL ? copy : "");
}

static void fill_violations(const struct br_violations *violations, struct br_arena *arena, struct tree *tree)
{
    for (size_t i = 0; i < violations->count; i++) {
        Google__Rpc__BadRequest__FieldViolation *violation = &tree->violations[i];
        google__rpc__bad_request__field_violation__init(violation);
        violation->field = utf8_text(arena, violations->items[i].field);
        violation->description = utf8_text(arena, violations->items[i].description);
        tree->violation_list[i] = violation;
    }
}

static void fill_error_info(const struct br_error *error, struct br_arena *arena, struct tree *tree)
{
    google__rpc__error_info__init(&tree->error_info);
    tree->error_info.reason = utf8_text(arena, error->st.reason);
    tree->error_info.domain = utf8_text(arena, error->domain);
    tree->error_info.metadata = tree->metadata_list;
    for (size_t i = 0; i < error->metadata_count; i++) {
        Google__Rpc__ErrorInfo__MetadataEntry *entry = &tree->metadata[i];
        google__rpc__error_info__metadata_entry__init(entry);
        entry->key = utf8_text(arena, error->metadata[i].name);
        entry->value = utf8_text(arena, error->metadata[i].value);
        tree->metadata_list[i] = entry;
    }
}

static void fill_retry_info(int64_t retry_after_ms, struct tree *tree)
{
    google__protobuf__duration__init(&tree->retry_delay);
    tree->retry_delay.has_seconds = true;
    tree->retry_delay.seconds = retry_after_ms / 1000;
    tree->retry_delay.has_nanos = true;
    tree->retry_delay.nanos = (int32_t)(retry_after_ms % 1000) * 1000000;
    google__rpc__retry_info__init(&tree->retry_info);
    tree->retry_info.retry_delay = &tree->retry_delay;
}

/* All three kinds; the selection says which of them counts. */
static void fill_row_detail(const struct br_error *error, struct br_arena *arena, struct tree *tree)
{
    google__rpc__quota_failure__violation__init(&tree->quota);
    tree->quota.description = utf8_text(arena, error->st.msg);
    tree->quota_list[0] = &tree->quota;
    google__rpc__quota_failure__init(&tree->quota_failure);
    tree->quota_failure.n_violations = 1;
    tree->quota_failure.violations = tree->quota_list;

    google__rpc__precondition_failure__violation__init(&tree->precondition);
    tree->precondition.type = utf8_text(arena, error->st.reason);
    tree->precondition.description = tree->quota.description;
    tree->precondition_list[0] = &tree->precondition;
    google__rpc__precondition_failure__init(&tree->precondition_failure);
    tree->precondition_failure.n_violations = 1;
    tree->precondition_failure.violations = tree->precondition_list;

    google__rpc__resource_info__init(&tree->resource_info);
    tree->resource_info.resource_type = utf8_text(arena, error->resource_type);
}

static void fill_tree(const struct br_error *error, struct br_arena *arena, struct tree *tree)
{
    google__rpc__bad_request__init(&tree->bad_request);
    tree->bad_request.field_violations = tree->violation_list;
    if (error->violations != NULL) {
        fill_violations(error->violations, arena, tree);
    }
    fill_row_detail(error, arena, tree);

    google__rpc__request_info__init(&tree->request_info);
    if (error->request_id != NULL) {
        tree->request_info.request_id = utf8_text(arena, error->request_id);
    }

    fill_retry_info(error->retry_after_ms, tree);
    fill_error_info(error, arena, tree);

    google__rpc__status__init(&tree->status);
    tree->status.has_code = true;
    tree->status.code = (int32_t)error->st.code;
    tree->status.message = utf8_text(arena, error->st.msg);
    tree->status.details = tree->any_list;
}

/* Announces |detail| with its size; its bytes come when it is known that they fit. */
static void add_detail(struct tree *tree, const char *type_url, const ProtobufCMessage *detail)
{
    size_t index = tree->status.n_details++;
    Google__Protobuf__Any *any = &tree->any[index];
    google__protobuf__any__init(any);
    any->type_url = (char *)type_url;
    any->has_value = true;
    any->value.len = protobuf_c_message_get_packed_size(detail);
    tree->details[index] = detail;
    tree->any_list[index] = any;
}

static void add_row_detail(struct tree *tree, enum br_error_detail detail)
{
    switch (detail) {
    case BR_DETAIL_NONE:
        return;
    case BR_DETAIL_QUOTA:
        add_detail(tree, "type.googleapis.com/google.rpc.QuotaFailure", &tree->quota_failure.base);
        return;
    case BR_DETAIL_PRECONDITION:
        add_detail(tree, "type.googleapis.com/google.rpc.PreconditionFailure",
                   &tree->precondition_failure.base);
        return;
    case BR_DETAIL_RESOURCE:
        add_detail(tree, "type.googleapis.com/google.rpc.ResourceInfo", &tree->resource_info.base);
        return;
    }
}

static void apply_selection(const struct selection *selection, struct tree *tree)
{
    tree->bad_request.n_field_violations = selection->violation_count;
    tree->error_info.n_metadata = selection->metadata_count;
    tree->status.n_details = 0;
    if (selection->error_info) {
        add_detail(tree, "type.googleapis.com/google.rpc.ErrorInfo", &tree->error_info.base);
    }
    if (selection->violation_count > 0) {
        add_detail(tree, "type.googleapis.com/google.rpc.BadRequest", &tree->bad_request.base);
    }
    add_row_detail(tree, selection->detail);
    if (selection->request_info) {
        add_detail(tree, "type.googleapis.com/google.rpc.RequestInfo", &tree->request_info.base);
    }
    if (selection->retry_info) {
        add_detail(tree, "type.googleapis.com/google.rpc.RetryInfo", &tree->retry_info.base);
    }
}

/* Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Percent-Encoded". */
static size_t percent_encoded_bytes(const char *text)
{
    size_t size = 0;
    for (; *text != '\0'; text++) {
        size += *text < ' ' || *text > '~' || *text == '%' ? 3 : 1;
    }
    return size;
}

static bool fits(const struct tree *tree)
{
    size_t status_bytes = google__rpc__status__get_packed_size(&tree->status);
    size_t base64_bytes = (status_bytes + 2) / 3 * 4;
    return percent_encoded_bytes(tree->status.message) + base64_bytes + OTHER_TRAILERS_BYTES <=
           BR_TRAILER_BUDGET_BYTES;
}

static bool pack_details(struct tree *tree, struct br_arena *arena)
{
    for (size_t i = 0; i < tree->status.n_details; i++) {
        ProtobufCBinaryData *value = &tree->any[i].value;
        value->data = br_arena_alloc(arena, value->len);
        if (value->data == NULL) {
            return false;
        }
        (void)protobuf_c_message_pack(tree->details[i], value->data);
    }
    return true;
}

bool br_error_encode(const struct br_error *error, struct br_arena *arena, uint8_t **out, size_t *len,
                     bool *cut)
{
    struct tree tree;
    fill_tree(error, arena, &tree);

    struct selection selection = {
        .violation_count = error->violations != NULL ? error->violations->count : 0,
        .detail = error->detail,
        .request_info = error->request_id != NULL,
        .retry_info = error->retry_after_ms >= 0,
        .metadata_count = error->metadata_count,
        .error_info = true,
    };
    bool dropped = false;
    apply_selection(&selection, &tree);
    while (!fits(&tree) && drop_next(&selection)) {
        dropped = true;
        apply_selection(&selection, &tree);
    }

    size_t packed_len = google__rpc__status__get_packed_size(&tree.status);
    uint8_t *packed = br_arena_alloc(arena, packed_len);
    if (packed == NULL || !pack_details(&tree, arena)) {
        return false;
    }
    (void)google__rpc__status__pack(&tree.status, packed);
    *out = packed;
    *len = packed_len;
    *cut = dropped;
    return true;
}
