#include "cmd/check_call.h"

#include "contract/field.h"

#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a request that has nothing but its path's values. */
#define REQUEST_MAX_BYTES ((size_t)64 << 10)

/* ---- The request ---- */

static bool has_text_variables(const struct br_method *method)
{
    for (size_t i = 0; i < method->part_count; i++) {
        const struct br_field_plan *variable = method->parts[i].variable;
        if (variable != NULL && variable->kind != BR_KIND_STRING) {
            return false;
        }
    }
    return true;
}

const struct br_method *br_check_method(const struct br_method *methods, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct br_method *method = &methods[i];
        if (method->verb != NULL && method->idempotency == BR_NO_SIDE_EFFECTS && has_text_variables(method)) {
            return method;
        }
    }
    return NULL;
}

bool br_check_pack(const struct br_method *method, const struct br_headers *defaults, struct br_arena *arena,
                   uint8_t **out, size_t *len)
{
    ProtobufCMessage *message = br_message_new(method->input->descriptor, arena);
    if (message == NULL) {
        return false;
    }
    for (size_t i = 0; i < method->part_count; i++) {
        const struct br_field_plan *variable = method->parts[i].variable;
        if (variable != NULL && br_headers_find(defaults, variable->name) == NULL) {
            br_field_set(message, variable, (union br_value){.text = BR_CHECK_PATH_VALUE});
        }
    }
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = br_arena_alloc(arena, size);
    if (bytes == NULL) {
        return false;
    }
    *len = protobuf_c_message_pack(message, bytes);
    *out = bytes;
    return true;
}

/* ---- The credential ---- */

/* A credential seam that may have none. */
struct optional_auth {
    struct br_auth base;   /* first */
    struct br_auth *inner; /* NULL: calls go without */
    struct br_header none; /* where a list without entries begins */
};

static enum br_auth_result apply(struct br_auth *self, const struct br_auth_request *request,
                                 struct br_auth_waiter *waiter, struct br_arena *arena,
                                 struct br_headers *out, struct br_error *error)
{
    struct optional_auth *optional = (struct optional_auth *)self;
    if (optional->inner == NULL) {
        *out = (struct br_headers){.items = &optional->none, .count = 0};
        return BR_AUTH_GRANTED;
    }
    return optional->inner->apply(optional->inner, request, waiter, arena, out, error);
}

static void cancel(struct br_auth *self, struct br_auth_waiter *waiter)
{
    struct br_auth *inner = ((struct optional_auth *)self)->inner;
    assert(inner != NULL); /* without it no call has waited */
    inner->cancel(inner, waiter);
}

static bool rejected(struct br_auth *self, const struct br_auth_waiter *waiter, const struct br_error *error)
{
    struct br_auth *inner = ((struct optional_auth *)self)->inner;
    return inner != NULL && inner->rejected(inner, waiter, error);
}

/* ---- The host ---- */

struct waiting_host {
    struct br_call_host base; /* first */
    pthread_mutex_t lock;
    pthread_cond_t posted;
    size_t post_count; /* under |lock|: resumes that are due */
    bool replied;
    struct br_check_outcome outcome;
};

static void expect(struct br_call_host *self, struct br_call *call)
{
    (void)self;
    (void)call;
}

static void post(struct br_call_host *self, struct br_call *call)
{
    (void)call;
    struct waiting_host *host = (struct waiting_host *)self;
    pthread_mutex_lock(&host->lock);
    host->post_count++;
    pthread_cond_signal(&host->posted);
    pthread_mutex_unlock(&host->lock);
}

static void wait_for_post(struct waiting_host *host)
{
    pthread_mutex_lock(&host->lock);
    while (host->post_count == 0) {
        pthread_cond_wait(&host->posted, &host->lock);
    }
    host->post_count--;
    pthread_mutex_unlock(&host->lock);
}

/* The name of the transport's failure, in the details of |reply|; "" where there is none. */
static void read_transport_error(const struct br_reply *reply, char *out, size_t cap)
{
    out[0] = '\0';
    for (size_t i = 0; i < reply->trailer_count; i++) {
        if (strcmp(reply->trailers[i].key, "grpc-status-details-bin") != 0) {
            continue;
        }
        Google__Rpc__Status *status =
            google__rpc__status__unpack(NULL, reply->trailers[i].len, reply->trailers[i].value);
        for (size_t j = 0; status != NULL && j < status->n_details; j++) {
            const Google__Protobuf__Any *any = status->details[j];
            const char *slash = strrchr(any->type_url, '/');
            if (slash == NULL || strcmp(slash + 1, google__rpc__error_info__descriptor.name) != 0) {
                continue;
            }
            Google__Rpc__ErrorInfo *info =
                google__rpc__error_info__unpack(NULL, any->value.len, any->value.data);
            for (size_t k = 0; info != NULL && k < info->n_metadata; k++) {
                if (strcmp(info->metadata[k]->key, "transport_error") == 0) {
                    (void)snprintf(out, cap, "%s", info->metadata[k]->value);
                }
            }
            if (info != NULL) {
                google__rpc__error_info__free_unpacked(info, NULL);
            }
        }
        if (status != NULL) {
            google__rpc__status__free_unpacked(status, NULL);
        }
    }
}

static void reply(struct br_call_host *self, struct br_call *call, const struct br_reply *got)
{
    (void)call;
    struct waiting_host *host = (struct waiting_host *)self;
    struct br_check_outcome *out = &host->outcome;
    free(got->bytes);
    out->code = got->code;
    out->was_tried = got->attempt_count > 0;
    (void)snprintf(out->reason, sizeof out->reason, "%s", got->reason);
    (void)snprintf(out->message, sizeof out->message, "%s", got->message);
    read_transport_error(got, out->transport_error, sizeof out->transport_error);
    host->replied = true;
}

bool br_check_call(const struct br_call_config *config, const struct br_method *method, const char *token,
                   struct br_check_outcome *out, struct br_status *st)
{
    struct optional_auth auth = {.base = {.apply = apply, .cancel = cancel, .rejected = rejected},
                                 .inner = config->auth};
    struct br_call_config own = *config;
    own.auth = &auth.base;
    struct waiting_host host = {.base = {.expect = expect, .post = post, .reply = reply},
                                .lock = PTHREAD_MUTEX_INITIALIZER,
                                .posted = PTHREAD_COND_INITIALIZER};
    const struct br_metadatum metadata = {.key = BR_AUTH_TOKEN_KEY,
                                          .key_len = strlen(BR_AUTH_TOKEN_KEY),
                                          .value = token,
                                          .value_len = token != NULL ? strlen(token) : 0};
    struct br_call_request request = {
        .method = method, .metadata = &metadata, .metadata_count = token != NULL ? 1 : 0, .timeout_ms = -1};
    struct br_arena arena;
    br_arena_init(&arena, REQUEST_MAX_BYTES);
    struct br_call *call = NULL;
    uint8_t *bytes;
    bool ok = br_check_pack(method, &config->rest.defaults, &arena, &bytes, &request.len) &&
              (call = br_call_create(&own, &host.base)) != NULL;
    if (ok) {
        request.bytes = bytes;
        br_call_start(call, &request);
        while (!host.replied) {
            wait_for_post(&host);
            br_call_resume(call);
        }
        br_call_replied(call);
        *out = host.outcome;
    } else {
        (void)br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "out of memory for a call");
    }
    br_call_destroy(call);
    br_arena_finish(&arena);
    return ok;
}
