#include "contract/compile.h"
#include "contract/field.h"
#include "contract/options.h"
#include "contract/path_template.h"

#include <google/api/http.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Far above any schema: the set of the ModelArts API takes well below 1 MiB. */
#define CONTRACT_MAX_BYTES ((size_t)64 << 20)

bool br_contract_invalid(struct br_status *st, const char *where, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)br_status_vset(st, BR_INTERNAL, "CONTRACT_INVALID", format, args);
    va_end(args);
    br_status_prefix(st, where);
    return false;
}

/* The single google.api.http option of a method; |rule| stays NULL when there is none. */
static bool read_http_rule(struct br_contract *contract, const ProtobufCMessage *options, const char *where,
                           const Google__Api__HttpRule **rule, struct br_status *st)
{
    struct br_option option;
    for (size_t cursor = 0; br_option_next(options, BR_OPTION_HTTP, &cursor, &option);) {
        if (*rule != NULL) {
            return br_contract_invalid(st, where, "google.api.http must be set in one statement");
        }
        *rule = (const Google__Api__HttpRule *)br_message_unpack(&google__api__http_rule__descriptor,
                                                                 option.bytes, option.len, &contract->arena);
        if (contract->arena.exhausted) {
            return br_arena_fail(&contract->arena, st);
        }
        if (*rule == NULL) {
            return br_contract_invalid(st, where, "google.api.http cannot be read");
        }
    }
    return true;
}

static bool read_verb(const Google__Api__HttpRule *rule, struct br_method *method)
{
    switch (rule->pattern_case) {
    case GOOGLE__API__HTTP_RULE__PATTERN_GET:
        method->verb = "GET";
        method->path_template = rule->get;
        return true;
    case GOOGLE__API__HTTP_RULE__PATTERN_PUT:
        method->verb = "PUT";
        method->path_template = rule->put;
        return true;
    case GOOGLE__API__HTTP_RULE__PATTERN_POST:
        method->verb = "POST";
        method->path_template = rule->post;
        return true;
    case GOOGLE__API__HTTP_RULE__PATTERN_DELETE:
        method->verb = "DELETE";
        method->path_template = rule->delete_;
        return true;
    case GOOGLE__API__HTTP_RULE__PATTERN_PATCH:
        method->verb = "PATCH";
        method->path_template = rule->patch;
        return true;
    default:
        return false;
    }
}

static bool is_path_variable(const struct br_method *method, const struct br_field_plan *field)
{
    for (size_t i = 0; i < method->part_count; i++) {
        if (method->parts[i].variable == field) {
            return true;
        }
    }
    return false;
}

static bool is_mask(const struct br_field_plan *field)
{
    return field->kind == BR_KIND_MESSAGE && field->message->shape == BR_SHAPE_FIELD_MASK;
}

/*
 * Decides where each field of the request goes: path, query or body.
 * |body|  NULL or empty, "*", or a field's name.
 * Source: google/api/http.proto.
 */
static bool assign_roles(struct br_contract *contract, const char *body, struct br_method *method,
                         struct br_status *st)
{
    const struct br_message_plan *input = method->input;
    enum br_role *roles = br_arena_alloc(&contract->arena, input->field_count * sizeof *roles);
    if (roles == NULL) {
        return br_arena_fail(&contract->arena, st);
    }
    method->has_body = body != NULL && body[0] != '\0';
    bool all = method->has_body && strcmp(body, "*") == 0;
    const struct br_field_plan *whole = NULL;
    if (method->has_body && !all) {
        whole = br_plan_field_by_name(input, body, strlen(body));
        if (whole == NULL || is_path_variable(method, whole) || is_mask(whole)) {
            return br_contract_invalid(st, method->name, "its body \"%s\" names no field that can be one",
                                       body);
        }
    }
    for (size_t i = 0; i < input->field_count; i++) {
        const struct br_field_plan *field = &input->fields[i];
        if (is_path_variable(method, field)) {
            roles[i] = BR_ROLE_PATH;
        } else if (is_mask(field)) {
            roles[i] = BR_ROLE_MASK;
            if (method->mask != NULL || field->label != BR_LABEL_SINGULAR) {
                return br_contract_invalid(st, method->name, "has more than one field mask");
            }
            method->mask = field;
        } else if (all) {
            roles[i] = BR_ROLE_BODY;
        } else if (field == whole) {
            roles[i] = BR_ROLE_WHOLE_BODY;
        } else {
            roles[i] = BR_ROLE_QUERY;
            if (field->kind == BR_KIND_MESSAGE) {
                return br_contract_invalid(st, method->name,
                                           "%s is a message and cannot be a query parameter", field->name);
            }
        }
    }
    method->roles = roles;
    return true;
}

static bool compile_route(struct br_contract *contract, const Google__Api__HttpRule *rule,
                          struct br_method *method, struct br_status *st)
{
    if (!read_verb(rule, method)) {
        return br_contract_invalid(st, method->name, "needs one of get, put, post, delete, patch");
    }
    if (rule->n_additional_bindings > 0) {
        return br_contract_invalid(st, method->name, "additional_bindings would give it two routes");
    }
    if (rule->response_body != NULL && rule->response_body[0] != '\0') {
        return br_contract_invalid(st, method->name, "response_body is not supported");
    }
    if (strcmp(method->verb, "GET") == 0 && rule->body != NULL && rule->body[0] != '\0') {
        return br_contract_invalid(st, method->name, "a GET request has no body");
    }
    if (!br_path_template_compile(method->path_template, method->input, &contract->arena, &method->parts,
                                  &method->part_count, st)) {
        br_status_prefix(st, method->name);
        return false;
    }
    for (const struct br_method *other = contract->methods; other < method; other++) {
        if (other->verb != NULL && strcmp(other->verb, method->verb) == 0 &&
            br_path_template_same(other, method)) {
            return br_contract_invalid(st, method->name, "has the same route as %s: %s %s", other->name,
                                       method->verb, method->path_template);
        }
    }
    return assign_roles(contract, rule->body, method, st);
}

static enum br_idempotency idempotency_of(const Google__Protobuf__MethodOptions *options)
{
    if (options == NULL || !options->has_idempotency_level) {
        return BR_IDEMPOTENCY_UNKNOWN;
    }
    switch (options->idempotency_level) {
    case GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__IDEMPOTENT:
        return BR_IDEMPOTENT;
    case GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__NO_SIDE_EFFECTS:
        return BR_NO_SIDE_EFFECTS;
    default:
        return BR_IDEMPOTENCY_UNKNOWN;
    }
}

static bool compile_method(struct br_contract *contract, const ProtobufCServiceDescriptor *service,
                           size_t index, const Google__Protobuf__MethodDescriptorProto *proto,
                           struct br_status *st)
{
    const ProtobufCMethodDescriptor *descriptor = &service->methods[index];
    struct br_method *method = &contract->methods[contract->method_count];
    /* Both are in the order of their declaration. */
    if (proto->name == NULL || strcmp(proto->name, descriptor->name) != 0) {
        return br_contract_invalid(st, service->name, BR_OTHER_SCHEMA);
    }
    method->path = br_arena_printf(&contract->arena, "/%s/%s", service->name, descriptor->name);
    if (method->path == NULL) {
        return br_arena_fail(&contract->arena, st);
    }
    method->name = method->path + 1;
    method->idempotency = idempotency_of(proto->options);
    const Google__Api__HttpRule *rule = NULL;
    const ProtobufCMessage *options = proto->options != NULL ? &proto->options->base : NULL;
    if (!read_http_rule(contract, options, method->name, &rule, st)) {
        return false;
    }
    method->client_streaming = proto->client_streaming;
    method->server_streaming = proto->server_streaming;
    if (rule != NULL) {
        if (method->client_streaming || method->server_streaming) {
            return br_contract_invalid(st, method->name, "a method with google.api.http cannot stream");
        }
        if (!br_plan_message(contract, descriptor->input, &method->input, st) ||
            !br_plan_message(contract, descriptor->output, &method->output, st) ||
            !compile_route(contract, rule, method, st)) {
            return false;
        }
    }
    contract->method_count++;
    return true;
}

static bool compile_service(struct br_contract *contract, const ProtobufCServiceDescriptor *service,
                            struct br_status *st)
{
    const Google__Protobuf__ServiceDescriptorProto *proto = br_lookup_service(contract, service->name);
    if (proto == NULL || proto->n_method != service->n_methods) {
        return br_contract_invalid(st, service->name, BR_OTHER_SCHEMA);
    }
    for (size_t i = 0; i < service->n_methods; i++) {
        if (!compile_method(contract, service, i, proto->method[i], st)) {
            return false;
        }
    }
    return true;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp((*(const struct br_method *const *)a)->path, (*(const struct br_method *const *)b)->path);
}

static bool compile(struct br_contract *contract, struct br_status *st)
{
    const struct br_schema *schema = contract->schema;
    struct br_arena *arena = &contract->arena;
    contract->set = (const Google__Protobuf__FileDescriptorSet *)br_message_unpack(
        &google__protobuf__file_descriptor_set__descriptor, schema->set, schema->set_len, arena);
    if (arena->exhausted) {
        return br_arena_fail(arena, st);
    }
    if (contract->set == NULL) {
        return br_contract_invalid(st, "descriptor set", "cannot be read");
    }
    size_t count = 0;
    for (size_t i = 0; i < schema->service_count; i++) {
        count += schema->services[i]->n_methods;
    }
    contract->methods = br_arena_alloc(arena, count * sizeof *contract->methods);
    contract->by_path = br_arena_alloc(arena, count * sizeof *contract->by_path);
    if (contract->methods == NULL || contract->by_path == NULL) {
        return br_arena_fail(arena, st);
    }
    for (size_t i = 0; i < schema->service_count; i++) {
        if (!compile_service(contract, schema->services[i], st)) {
            return false;
        }
    }
    for (size_t i = 0; i < contract->method_count; i++) {
        contract->by_path[i] = &contract->methods[i];
    }
    qsort(contract->by_path, contract->method_count, sizeof *contract->by_path, compare_paths);
    return true;
}

bool br_contract_create(const struct br_schema *schema, const struct br_named_function *functions,
                        size_t function_count, struct br_contract **out, struct br_status *st)
{
    struct br_contract *contract = calloc(1, sizeof *contract);
    if (contract == NULL) {
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for the contract");
    }
    br_arena_init(&contract->arena, CONTRACT_MAX_BYTES);
    contract->schema = schema;
    contract->functions = functions;
    contract->function_count = function_count;
    if (!compile(contract, st)) {
        br_contract_destroy(contract);
        return false;
    }
    *out = contract;
    return true;
}

void br_contract_destroy(struct br_contract *contract)
{
    if (contract == NULL) {
        return;
    }
    for (struct br_regex_node *node = contract->regexes; node != NULL; node = node->next) {
        regfree(node->regex);
    }
    br_arena_finish(&contract->arena);
    free(contract);
}

const struct br_method *br_contract_find(const struct br_contract *contract, const char *path, size_t len)
{
    size_t low = 0;
    size_t high = contract->method_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *candidate = contract->by_path[middle]->path;
        size_t candidate_len = strlen(candidate);
        /* Not strncmp(): a caller's path may hold a NUL. */
        int order = memcmp(candidate, path, candidate_len < len ? candidate_len : len);
        if (order == 0) {
            order = (candidate_len > len) - (candidate_len < len);
        }
        if (order == 0) {
            return contract->by_path[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const struct br_method *br_contract_methods(const struct br_contract *contract, size_t *count)
{
    *count = contract->method_count;
    return contract->methods;
}
