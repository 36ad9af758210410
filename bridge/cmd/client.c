#include "cmd/client.h"

#include "base/address.h"
#include "cmd/cmd.h"
#include "serve/pem.h"
#include "translate/violation.h"

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>

#include <stdio.h>
#include <string.h>

/*
 * The address as a gRPC target: a URI that names its resolver, so that no host is taken for a scheme. What a
 * URI's path cannot hold (the brackets of an IPv6 address, a space in a file name) is percent-encoded.
 */
static const char *make_target(const char *address, struct br_arena *arena, struct br_status *st)
{
    static const char as_is[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~/:";
    if (!br_address_is_valid(address, 1)) {
        char quoted[BR_QUOTE_CAP];
        (void)br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                            "--address: %s is neither HOST:PORT nor unix:PATH",
                            br_violation_quote(address, quoted));
        return NULL;
    }
    const char *path = br_address_unix_path(address);
    const char *scheme = path != NULL ? "unix:" : "dns:///";
    const char *rest = path != NULL ? path : address;

    size_t scheme_len = strlen(scheme);
    char *target = br_arena_alloc(arena, scheme_len + 3 * strlen(rest) + 1);
    if (target == NULL) {
        (void)br_arena_fail(arena, st);
        return NULL;
    }
    memcpy(target, scheme, scheme_len);
    char *to = target + scheme_len;
    for (; *rest != '\0'; rest++) {
        if (strchr(as_is, *rest) != NULL) {
            *to++ = *rest;
        } else {
            to += snprintf(to, 4, "%%%02X", (unsigned char)*rest);
        }
    }
    return target;
}

/* NULL, with |st| set, where a file cannot be used. */
static grpc_channel_credentials *make_credentials(const struct br_client_tls *tls, struct br_status *st)
{
    if (tls == NULL) {
        return grpc_insecure_credentials_create();
    }
    char *ca = NULL;
    char *cert = NULL;
    char *key = NULL;
    grpc_channel_credentials *credentials = NULL;
    if ((tls->ca_file == NULL || br_pem_read("--ca-file", tls->ca_file, BR_PEM_CERTIFICATES, &ca, st)) &&
        (tls->cert_file == NULL ||
         (br_pem_read("--tls-cert", tls->cert_file, BR_PEM_CERTIFICATES, &cert, st) &&
          br_pem_read("--tls-key", tls->key_file, BR_PEM_PRIVATE_KEY, &key, st)))) {
        grpc_ssl_pem_key_cert_pair pair = {.private_key = key, .cert_chain = cert};
        credentials = grpc_ssl_credentials_create_ex(ca, cert != NULL ? &pair : NULL, NULL, NULL);
    }
    br_pem_free(ca);
    br_pem_free(cert);
    br_pem_free(key);
    return credentials;
}

static grpc_channel *open_channel(const char *target, const struct br_client_tls *tls, struct br_status *st)
{
    char user_agent[64];
    (void)snprintf(user_agent, sizeof user_agent, "modelarts-bridge-call/%s", br_version());
    /* The bridge is a neighbour: no proxy of the environment and no service config from DNS gets between. */
    grpc_arg args[] = {
        {.type = GRPC_ARG_STRING,
         .key = (char *)GRPC_ARG_PRIMARY_USER_AGENT_STRING,
         .value = {.string = user_agent}},
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_ENABLE_HTTP_PROXY, .value = {.integer = 0}},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION,
         .value = {.integer = 1}},
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_ENABLE_RETRIES, .value = {.integer = 0}},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
         .value = {.integer = (int)BR_CLIENT_MAX_RESPONSE_BYTES}},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_MAX_METADATA_SIZE,
         .value = {.integer = BR_CLIENT_MAX_METADATA_BYTES}},
        {.type = GRPC_ARG_STRING, .key = (char *)GRPC_SSL_TARGET_NAME_OVERRIDE_ARG},
    };
    grpc_channel_args list = {.num_args = sizeof args / sizeof args[0], .args = args};
    if (tls != NULL && tls->server_name != NULL) {
        args[list.num_args - 1].value.string = (char *)(uintptr_t)tls->server_name;
    } else {
        list.num_args--;
    }
    grpc_channel_credentials *credentials = make_credentials(tls, st);
    if (credentials == NULL) {
        return NULL;
    }
    grpc_channel *channel = grpc_channel_create(target, credentials, &list);
    grpc_channel_credentials_release(credentials);
    return channel;
}

/* Fills |out|, zeroed and as long as |metadata|; released with release_metadata(), also after a failure. */
static bool make_metadata(const struct br_headers *metadata, grpc_metadata *out, struct br_status *st)
{
    for (size_t i = 0; i < metadata->count; i++) {
        const struct br_header *item = &metadata->items[i];
        size_t len = strlen(item->name);
        out[i].key = grpc_slice_from_copied_buffer(item->name, len);
        out[i].value = grpc_slice_from_copied_string(item->value);

        uint8_t *key = GRPC_SLICE_START_PTR(out[i].key);
        for (size_t at = 0; at < len; at++) {
            if (key[at] >= 'A' && key[at] <= 'Z') {
                key[at] = (uint8_t)(key[at] - 'A' + 'a');
            }
        }
        char quoted[BR_QUOTE_CAP];
        (void)br_violation_quote(item->name, quoted);
        bool reserved = len >= 5 && memcmp(key, "grpc-", 5) == 0;
        if (reserved || !grpc_header_key_is_legal(out[i].key)) {
            return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                                 "--metadata: %s cannot be a key: letters, digits, \"-\", \"_\" and "
                                 "\".\" are accepted, \"grpc-\" at its start is not",
                                 quoted);
        }
        if (len >= 4 && memcmp(key + len - 4, "-bin", 4) == 0) {
            return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                                 "--metadata: %s is a key for binary values, which cannot be given here",
                                 quoted);
        }
        /* The value may be a credential: it is not quoted. */
        if (!grpc_header_nonbin_value_is_legal(out[i].value)) {
            return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                                 "--metadata: the value of %s is not printable ASCII", quoted);
        }
    }
    return true;
}

static void release_metadata(grpc_metadata *metadata, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        grpc_slice_unref(metadata[i].key);
        grpc_slice_unref(metadata[i].value);
    }
}

/* A copy with a NUL behind it; NULL when the arena is exhausted. */
static const char *copy_slice(struct br_arena *arena, grpc_slice slice)
{
    return br_arena_strndup(arena, (const char *)GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice));
}

/* What the receiving operations fill. */
struct reception {
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_byte_buffer *message;
    grpc_status_code code;
    grpc_slice text;
};

static bool copy_trailers(const grpc_metadata_array *trailing, struct br_arena *arena,
                          struct br_client_answer *out, struct br_status *st)
{
    out->trailers = br_arena_alloc(arena, trailing->count * sizeof *out->trailers);
    if (out->trailers == NULL) {
        return br_arena_fail(arena, st);
    }
    for (size_t i = 0; i < trailing->count; i++) {
        struct br_client_trailer *trailer = &out->trailers[i];
        trailer->key = copy_slice(arena, trailing->metadata[i].key);
        trailer->value = (const uint8_t *)copy_slice(arena, trailing->metadata[i].value);
        trailer->len = GRPC_SLICE_LENGTH(trailing->metadata[i].value);
        if (trailer->key == NULL || trailer->value == NULL) {
            return br_arena_fail(arena, st);
        }
    }
    out->trailer_count = trailing->count;
    return true;
}

static bool copy_message(grpc_byte_buffer *message, struct br_arena *arena, struct br_client_answer *out,
                         struct br_status *st)
{
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, message)) {
        return br_status_set(st, BR_INTERNAL, "GRPC_FAILED", "the answer's message cannot be decompressed");
    }
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    out->bytes = (const uint8_t *)copy_slice(arena, all);
    out->len = GRPC_SLICE_LENGTH(all);
    grpc_slice_unref(all);
    grpc_byte_buffer_reader_destroy(&reader);
    return out->bytes != NULL || br_arena_fail(arena, st);
}

static bool copy_answer(const struct reception *reception, struct br_arena *arena,
                        struct br_client_answer *out, struct br_status *st)
{
    struct br_client_answer answer = {.code = (int)reception->code};
    answer.message = copy_slice(arena, reception->text);
    if (answer.message == NULL) {
        return br_arena_fail(arena, st);
    }
    if (!copy_trailers(&reception->trailing, arena, &answer, st)) {
        return false;
    }
    if (answer.code == GRPC_STATUS_OK) {
        if (reception->message == NULL) {
            return br_status_set(st, BR_INTERNAL, "GRPC_FAILED", "the server said OK without a message");
        }
        if (!copy_message(reception->message, arena, &answer, st)) {
            return false;
        }
    }
    *out = answer;
    return true;
}

/* Runs the one batch of a unary call and waits for it. */
static bool run_call(grpc_call *call, grpc_completion_queue *queue, grpc_metadata *metadata, size_t count,
                     grpc_byte_buffer *request, struct reception *reception, struct br_status *st)
{
    const grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA,
         .data.send_initial_metadata = {.count = count, .metadata = metadata}},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = request},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &reception->initial},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &reception->message},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &reception->trailing,
                                        .status = &reception->code,
                                        .status_details = &reception->text}},
    };
    grpc_call_error error = grpc_call_start_batch(call, ops, sizeof ops / sizeof ops[0], call, NULL);
    if (error != GRPC_CALL_OK) {
        return br_status_set(st, BR_INTERNAL, "GRPC_FAILED", "gRPC refused to start the call: %s",
                             grpc_call_error_to_string(error));
    }
    /* Ends with the call's own deadline; its outcome stands in |reception|, also when it failed. */
    (void)grpc_completion_queue_pluck(queue, call, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    return true;
}

bool br_client_call(const struct br_client_request *request, struct br_arena *arena,
                    struct br_client_answer *out, struct br_status *st)
{
    const char *target = make_target(request->address, arena, st);
    if (target == NULL) {
        return false;
    }
    grpc_metadata *metadata = br_arena_alloc(arena, request->metadata.count * sizeof *metadata);
    if (metadata == NULL) {
        return br_arena_fail(arena, st);
    }

    grpc_init();
    bool ok = make_metadata(&request->metadata, metadata, st);
    grpc_channel *channel = ok ? open_channel(target, request->tls, st) : NULL;
    ok = channel != NULL;
    if (ok) {
        grpc_completion_queue *queue = grpc_completion_queue_create_for_pluck(NULL);
        grpc_slice method = grpc_slice_from_copied_string(request->method);
        gpr_timespec deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                             gpr_time_from_millis(request->timeout_ms, GPR_TIMESPAN));
        grpc_call *call = grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue, method,
                                                   NULL, deadline, NULL);
        grpc_slice bytes = grpc_slice_from_copied_buffer((const char *)request->bytes, request->len);
        grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&bytes, 1);
        struct reception reception = {.text = grpc_empty_slice()};
        grpc_metadata_array_init(&reception.initial);
        grpc_metadata_array_init(&reception.trailing);

        ok = run_call(call, queue, metadata, request->metadata.count, message, &reception, st) &&
             copy_answer(&reception, arena, out, st);

        grpc_metadata_array_destroy(&reception.initial);
        grpc_metadata_array_destroy(&reception.trailing);
        grpc_byte_buffer_destroy(reception.message);
        grpc_slice_unref(reception.text);
        grpc_byte_buffer_destroy(message);
        grpc_slice_unref(bytes);
        grpc_call_unref(call);
        grpc_slice_unref(method);
        grpc_channel_destroy(channel);
        grpc_completion_queue_shutdown(queue);
        grpc_completion_queue_destroy(queue);
    }
    release_metadata(metadata, request->metadata.count);
    grpc_shutdown_blocking();
    return ok;
}
