#include "translate/rest_request.h"

#include "base/buf.h"
#include "contract/field.h"
#include "translate/json_write.h"
#include "translate/wire_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a URL. API gateway error 0201 with 414: a request URI may take 32 KiB. */
#define URL_MAX_BYTES ((size_t)32 << 10)

struct builder {
    const struct br_method *method;
    const struct br_rest_config *config;
    const ProtobufCMessage *message;
    struct br_violations *violations;
    struct br_buf url;
    enum br_buf_result url_result; /* the first that was not OK */
};

static void append(struct builder *builder, const char *bytes, size_t len)
{
    if (builder->url_result == BR_BUF_OK) {
        builder->url_result = br_buf_append(&builder->url, bytes, len);
    }
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

/* Source: RFC 3986 section 2.3 (unreserved characters stay); google/api/http.proto for single-segment variables. */
static void append_encoded(struct builder *builder, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    while (*text != '\0') {
        size_t plain = 0;
        while (text[plain] != '\0' && is_unreserved(text[plain])) {
            plain++;
        }
        append(builder, text, plain);
        text += plain;
        if (*text != '\0') {
            unsigned char byte = (unsigned char)*text++;
            char encoded[3] = {'%', digits[byte >> 4], digits[byte & 15]};
            append(builder, encoded, sizeof encoded);
        }
    }
}

static bool has_control_character(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7F) {
            return true;
        }
    }
    return false;
}

/*
 * Why |value| may not stand in a path; NULL when it may. Percent-encoding does not help for these: servers
 * decode "%2F" and "%2E%2E" before they route.
 * Source: bridge_conventions.md section 4.
 */
static const char *path_value_problem(const char *value)
{
    if (value[0] == '\0') {
        return "must not be empty: it is part of the URL path";
    }
    if (strcmp(value, ".") == 0 || strcmp(value, "..") == 0) {
        return "must not be \".\" or \"..\": that would change the URL path";
    }
    if (strpbrk(value, "/\\") != NULL) {
        return "must not hold \"/\" or \"\\\": that would change the URL path";
    }
    if (has_control_character(value)) {
        return "must not hold control characters";
    }
    return NULL;
}

/* Whether something is wrong with the top-level field |name| already. */
static bool is_refused(const struct br_violations *violations, const char *name)
{
    for (size_t i = 0; i < violations->count; i++) {
        if (strcmp(violations->items[i].field, name) == 0) {
            return true;
        }
    }
    return false;
}

static void append_path(struct builder *builder)
{
    for (size_t i = 0; i < builder->method->part_count; i++) {
        const struct br_path_part *part = &builder->method->parts[i];
        if (part->literal != NULL) {
            append(builder, part->literal, strlen(part->literal));
            continue;
        }
        const char *value = NULL;
        if (br_field_has(builder->message, part->variable)) {
            value = br_field_get(builder->message, part->variable, 0).text;
        } else {
            value = br_headers_find(&builder->config->defaults, part->variable->name);
        }
        /* Unset and required: the validation has said so. */
        const char *problem = value != NULL ? path_value_problem(value)
                              : part->variable->rules->required
                                  ? NULL
                                  : "must be set: the bridge has no default for it";
        struct br_place place = {.name = part->variable->name, .index = BR_PLACE_NO_INDEX};
        if (problem != NULL) {
            br_violations_add(builder->violations, &place, "%s", problem);
        } else if (value != NULL && strlen(value) > BR_PATH_VALUE_MAX_BYTES) {
            /* The validation may have a shorter limit for it. */
            if (!is_refused(builder->violations, place.name)) {
                br_violations_add(builder->violations, &place, "is too long for a part of the URL path");
            }
        } else if (value != NULL) {
            append_encoded(builder, value);
        }
    }
}

/* The text of a query value; |text| is room for a number. NULL: an enum number without a literal. */
static const char *query_text(const struct br_field_plan *field, union br_value value,
                              char text[BR_JSON_NUMBER_CAP])
{
    switch (field->kind) {
    case BR_KIND_INT32:
    case BR_KIND_INT64:
        snprintf(text, BR_JSON_NUMBER_CAP, "%lld", (long long)value.integer);
        return text;
    case BR_KIND_UINT32:
    case BR_KIND_UINT64:
        snprintf(text, BR_JSON_NUMBER_CAP, "%llu", (unsigned long long)value.natural);
        return text;
    case BR_KIND_FLOAT:
    case BR_KIND_DOUBLE:
        br_json_number_text(value.real, text);
        return text;
    case BR_KIND_BOOL:
        return value.truth ? "true" : "false";
    case BR_KIND_STRING:
        return value.text;
    case BR_KIND_ENUM:
        for (size_t i = 0; i < field->enumeration->value_count; i++) {
            if (field->enumeration->values[i].number == value.integer) {
                return field->enumeration->values[i].literal;
            }
        }
        return NULL;
    case BR_KIND_MESSAGE:
        return NULL; /* not reached: the contract refuses messages in a query */
    }
    return NULL;
}

static void append_query(struct builder *builder)
{
    const struct br_message_plan *input = builder->method->input;
    char separator = '?';
    for (size_t i = 0; i < input->field_count; i++) {
        const struct br_field_plan *field = &input->fields[i];
        if (builder->method->roles[i] != BR_ROLE_QUERY) {
            continue;
        }
        size_t count = br_field_count(builder->message, field);
        for (size_t k = 0; k < count; k++) {
            char number[BR_JSON_NUMBER_CAP];
            const char *text = query_text(field, br_field_get(builder->message, field, k), number);
            if (text != NULL) {
                append(builder, &separator, 1);
                append_encoded(builder, field->key);
                append(builder, "=", 1);
                append_encoded(builder, text);
                separator = '&';
            }
        }
    }
}

static bool build_url(struct builder *builder, struct br_arena *arena, const char **url, struct br_status *st)
{
    append(builder, builder->config->base_url, strlen(builder->config->base_url));
    append_path(builder);
    append_query(builder);
    if (!br_violations_none(builder->violations, st)) {
        return false;
    }
    if (builder->url_result == BR_BUF_FULL) {
        return br_status_set(st, BR_INVALID_ARGUMENT, "URL_TOO_LONG",
                             "the request makes a URL of over %zu bytes", URL_MAX_BYTES);
    }
    *url = builder->url_result == BR_BUF_OK ? br_arena_strndup(arena, builder->url.data, builder->url.len)
                                            : NULL;
    return *url != NULL || br_arena_fail(arena, st);
}

static const struct br_field_plan *whole_body_field(const struct br_method *method)
{
    for (size_t i = 0; i < method->input->field_count; i++) {
        if (method->roles[i] == BR_ROLE_WHOLE_BODY) {
            return &method->input->fields[i];
        }
    }
    return NULL;
}

static bool build_body(const struct br_method *method, const ProtobufCMessage *message,
                       const struct br_mask *mask, struct br_rest_request *out, struct br_status *st)
{
    if (!method->has_body) {
        return true;
    }
    const struct br_field_plan *whole = whole_body_field(method);
    if (whole != NULL) {
        return br_json_write_field(whole, message, br_mask_child(mask, whole), &out->body, &out->body_len,
                                   st);
    }
    struct br_json_filter filter = {.roles = method->roles, .role = BR_ROLE_BODY, .mask = mask};
    return br_json_write(method->input, message, &filter, &out->body, &out->body_len, st);
}

/* |message| and what points into it are gone when this returns: of a large request that is most of its memory. */
static bool build_from(const struct br_method *method, const struct br_rest_config *config,
                       ProtobufCMessage *message, struct br_violations *violations,
                       struct br_warnings *warnings, struct br_rest_request *out, struct br_status *st)
{
    const struct br_mask *mask = NULL;
    if (!br_mask_apply(method, message, violations, &mask, st)) {
        return false;
    }
    br_validate(method, message, mask, violations, warnings);

    struct builder builder = {
        .method = method, .config = config, .message = message, .violations = violations};
    br_buf_init(&builder.url, URL_MAX_BYTES);
    struct br_rest_request request = {.verb = method->verb};
    bool built = build_url(&builder, violations->arena, &request.url, st) &&
                 build_body(method, message, mask, &request, st);
    br_buf_finish(&builder.url);
    if (built) {
        *out = request;
    }
    return built;
}

bool br_rest_request_build(const struct br_method *method, const struct br_rest_config *config,
                           const uint8_t *bytes, size_t len, struct br_violations *violations,
                           struct br_warnings *warnings, struct br_rest_request *out, struct br_status *st)
{
    if (!br_wire_check(method->input, bytes, len, BR_MAX_WIRE_ELEMENTS, violations, st)) {
        return false;
    }
    struct br_arena unpacked;
    br_arena_init(&unpacked, violations->arena->limit_bytes);
    ProtobufCMessage *message = br_message_unpack(method->input->descriptor, bytes, len, &unpacked);
    bool built = false;
    if (message != NULL) {
        built = build_from(method, config, message, violations, warnings, out, st);
    } else if (unpacked.exhausted) {
        (void)br_arena_fail(&unpacked, st);
    } else {
        (void)br_status_set(st, BR_INVALID_ARGUMENT, "MALFORMED_MESSAGE", "the request is not a %s message",
                            method->input->full_name);
    }
    br_arena_finish(&unpacked);
    return built;
}

void br_rest_request_finish(struct br_rest_request *request)
{
    free(request->body);
    request->body = NULL;
}
