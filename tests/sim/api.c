#include "api.h"

#include "bodies.h"
#include "faults.h"
#include "forms.h"
#include "rules.h"
#include "shapes.h"
#include "text.h"

#include "base/log.h"
#include "base/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum operation {
    OPERATION_LIST,
    OPERATION_SHOW,
    OPERATION_UPDATE,
    OPERATION_PROPERTY,
    OPERATION_LOGS,
};

/* |action| is what IAM calls the permission. */
struct route {
    const char *method;
    size_t segment_count;
    const char *tail; /* the last segment, where it is fixed; NULL: it is the service id */
    enum operation operation;
    const char *action;
};

/* "/v1/{project}/services", then what the row says. */
static const struct route routes[] = {
    {"GET", 3, "services", OPERATION_LIST, "modelarts:service:list"},
    {"GET", 4, NULL, OPERATION_SHOW, "modelarts:service:get"},
    {"PUT", 4, NULL, OPERATION_UPDATE, "modelarts:service:update"},
    {"PUT", 5, "property", OPERATION_PROPERTY, "modelarts:service:update"},
    {"GET", 5, "logs", OPERATION_LOGS, "modelarts:service:getLogs"},
};

/* All that is known about one request on its way. */
struct exchange {
    struct sim_api *api;
    const struct sim_request *request;
    struct sim_answer *answer;
    struct sim_target target;
    bool target_ok;
    const struct route *route;
    const char *service_id; /* NULL: none; points into |target| */
    struct sim_fault fault;
    bool has_fault;
    cJSON *body; /* NULL: none, or not JSON */
    struct sim_refusal refusal;
    bool executed;
    bool is_signed;  /* has an Authorization of the AK/SK scheme */
    bool asks_token; /* a request to IAM */
};

static bool refuse_route(struct exchange *x, const char *detail)
{
    return sim_refuse(&x->refusal, 404, "APIG.0101", NULL, NULL, "%s", detail);
}

/* What the gateway refuses before it looks at the path. */
static bool check_sizes(struct exchange *x)
{
    const struct sim_request *request = x->request;
    if (strlen(request->target) > SIM_TARGET_MAX_BYTES) {
        return sim_refuse(&x->refusal, 414, "APIG.0201", NULL, NULL, "the request target is too long");
    }
    if (request->longest_header_bytes > SIM_HEADER_MAX_BYTES ||
        request->header_bytes > SIM_HEADERS_MAX_BYTES) {
        return sim_refuse(&x->refusal, 494, "APIG.0201", NULL, NULL, "the headers are too large");
    }
    if (request->body_too_large) {
        return sim_refuse(&x->refusal, 413, "APIG.0201", NULL, NULL, "the body is larger than %d bytes",
                          SIM_BODY_MAX_BYTES);
    }
    return true;
}

static bool find_route(struct exchange *x)
{
    char *const *segments = x->target.segments;
    size_t count = x->target.segment_count;
    if (!x->target_ok) {
        return sim_refuse(&x->refusal, 400, "APIG.0201", NULL, NULL, "the path cannot be percent-decoded");
    }
    if (count < 3 || count > 5 || strcmp(segments[0], "v1") != 0 || strcmp(segments[2], "services") != 0) {
        return refuse_route(x, "no such path");
    }
    if (segments[1][0] == '\0' || (count > 3 && segments[3][0] == '\0')) {
        return refuse_route(x, "a segment of the path is empty");
    }
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        const struct route *route = &routes[i];
        if (route->segment_count == count && strcmp(route->method, x->request->method) == 0 &&
            (route->tail == NULL || strcmp(route->tail, segments[count - 1]) == 0)) {
            x->route = route;
            x->service_id = count > 3 ? segments[3] : NULL;
            return true;
        }
    }
    return refuse_route(x, "no such path with this method");
}

static int64_t now_ms(const struct sim_api *api)
{
    return br_clock_now_ms(api->store.clock);
}

static bool check_token(struct exchange *x)
{
    const char *token = x->request->headers[SIM_HEADER_AUTH_TOKEN];
    if (token == NULL || token[0] == '\0') {
        return sim_refuse_identity(&x->refusal, "APIGW.0301", "x-auth-token not found", "no X-Auth-Token");
    }
    if (strcmp(token, "expired-token") == 0) {
        return sim_refuse(&x->refusal, 401, "ModelArts.0202", NULL, NULL, "the token has expired");
    }
    if (strcmp(token, "forbidden-token") == 0) {
        return sim_refuse(&x->refusal, 403, "ModelArts.0108", x->route->action, NULL,
                          "the token has no permission");
    }
    for (size_t i = 0; i < x->api->tokens->count; i++) {
        if (strcmp(x->api->tokens->items[i], token) == 0) {
            return true;
        }
    }
    return sim_iam_check_token(&x->api->iam, token, now_ms(x->api), &x->refusal);
}

static bool check_credentials(struct exchange *x)
{
    return x->is_signed ? sim_aksk_check(&x->api->aksk, x->request, &x->target, &x->refusal) : check_token(x);
}

static bool check_project(struct exchange *x)
{
    if (strcmp(x->target.segments[1], x->api->project) != 0) {
        return sim_refuse(&x->refusal, 403, "ModelArts.0210", NULL, NULL, "the path names another project");
    }
    const char *header = x->request->headers[SIM_HEADER_PROJECT_ID];
    if (x->is_signed && header != NULL && strcmp(header, x->target.segments[1]) != 0) {
        return sim_refuse(&x->refusal, 403, "ModelArts.0210", NULL, NULL,
                          "X-Project-Id and the path name different projects");
    }
    return true;
}

static bool find_service(struct exchange *x, struct sim_service **service)
{
    bool full;
    *service = sim_store_find(&x->api->store, x->service_id, &full);
    if (*service != NULL) {
        return true;
    }
    if (full) {
        return sim_refuse(&x->refusal, 400, "ModelArts.3520", "10000", "real-time",
                          "there are %d services already", SIM_SERVICES_MAX);
    }
    bool typo = sim_fault_is_named(x->service_id);
    return sim_refuse(&x->refusal, 404, "ModelArts.3502", x->service_id, NULL,
                      typo ? "there is no such fault" : "there is no such service");
}

/* The number in ?update_time=; |present| says whether there is one. */
static bool read_update_time(struct exchange *x, int64_t *update_time, bool *present)
{
    char *text = sim_target_query_value(&x->target, "update_time", present);
    if (!*present) {
        return true;
    }
    bool ok = text != NULL && br_parse_int64(text, strlen(text), update_time) && *update_time >= 0;
    if (!ok) {
        sim_refuse(&x->refusal, 400, "ModelArts.0107", "update_time", text != NULL ? text : "",
                   "update_time is not a whole number");
    }
    free(text);
    return ok;
}

static bool need_object(struct exchange *x)
{
    if (!cJSON_IsObject(x->body)) {
        return sim_refuse(&x->refusal, 400, "ModelArts.0104", NULL, NULL, "the body is not a JSON object");
    }
    return true;
}

/* A copy of |config| with each weight as a number, which is how ModelArts shows it. */
static cJSON *copy_config(const cJSON *config)
{
    cJSON *copy = cJSON_Duplicate(config, true);
    cJSON *element;
    cJSON_ArrayForEach(element, copy)
    {
        int64_t weight;
        cJSON *given = cJSON_GetObjectItemCaseSensitive(element, "weight");
        if (cJSON_IsString(given) && sim_shape_whole(given, true, &weight)) {
            cJSON_ReplaceItemInObjectCaseSensitive(element, "weight", cJSON_CreateNumber((double)weight));
        }
    }
    return copy;
}

/* Members of additional_properties that the request does not name keep their value. */
static void merge_properties(struct exchange *x, struct sim_service *service, const cJSON *given)
{
    cJSON *merged =
        cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(service->attributes, "additional_properties"), true);
    const cJSON *item;
    cJSON_ArrayForEach(item, given)
    {
        cJSON_DeleteItemFromObjectCaseSensitive(merged, item->string);
        cJSON_AddItemToObject(merged, item->string, cJSON_Duplicate(item, true));
    }
    sim_store_set_attribute(&x->api->store, service, "additional_properties", merged);
    cJSON_Delete(merged);
}

static cJSON *do_update(struct exchange *x, struct sim_service *service)
{
    static const char *const kept[] = {"description", "schedule", "load_balancer_policy", "service_secrets",
                                       "priority"};
    struct sim_store *store = &x->api->store;
    if (!need_object(x) ||
        !sim_rules_check_update(service, sim_store_status(store, service), x->body, &x->refusal)) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(x->body, kept[i]);
        if (value != NULL) {
            sim_store_set_attribute(store, service, kept[i], value);
        }
    }
    const cJSON *properties = cJSON_GetObjectItemCaseSensitive(x->body, "additional_properties");
    if (properties != NULL) {
        merge_properties(x, service, properties);
    }
    x->executed = true;
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(x->body, "status");
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(x->body, "config");
    if (status != NULL) {
        sim_store_set_running(store, service, strcmp(status->valuestring, "running") == 0);
    } else if (config != NULL) {
        int64_t update_time = sim_store_deploy(store, service, copy_config(config));
        return sim_body_update(service, &update_time);
    }
    return sim_body_update(service, NULL);
}

static cJSON *do_property(struct exchange *x, struct sim_service *service)
{
    struct sim_store *store = &x->api->store;
    if (!need_object(x) ||
        !sim_rules_check_property(service, sim_store_status(store, service), x->body, &x->refusal)) {
        return NULL;
    }
    cJSON *config = cJSON_Duplicate(service->config, true);
    const cJSON *change;
    cJSON_ArrayForEach(change, cJSON_GetObjectItemCaseSensitive(x->body, "configs"))
    {
        int64_t count = 0;
        const cJSON *model_id = cJSON_GetObjectItemCaseSensitive(change, "model_id");
        cJSON *model = sim_rules_find_model(config, model_id->valuestring);
        if (sim_shape_whole(cJSON_GetObjectItemCaseSensitive(change, "changed_value"), true, &count)) {
            cJSON_ReplaceItemInObjectCaseSensitive(model, "instance_count",
                                                   cJSON_CreateNumber((double)count));
        }
    }
    x->executed = true;
    int64_t update_time = sim_store_deploy(store, service, config);
    return sim_body_update(service, &update_time);
}

/* Does what the route says. Returns the answer's body; NULL: refused. */
static cJSON *do_operation(struct exchange *x, struct sim_service *service, enum sim_body_kind *kind)
{
    int64_t update_time = 0;
    bool filtered = false;
    switch (x->route->operation) {
    case OPERATION_LIST:
        *kind = SIM_BODY_LIST;
        return sim_body_list(&x->api->store, x->api->project);
    case OPERATION_SHOW:
        *kind = SIM_BODY_SERVICE;
        return sim_body_service(&x->api->store, service, x->api->project);
    case OPERATION_UPDATE:
        *kind = SIM_BODY_UPDATE;
        return do_update(x, service);
    case OPERATION_PROPERTY:
        *kind = SIM_BODY_UPDATE;
        return do_property(x, service);
    case OPERATION_LOGS:
        *kind = SIM_BODY_LOGS;
        if (!read_update_time(x, &update_time, &filtered)) {
            return NULL;
        }
        return sim_body_logs(&x->api->store, service, filtered ? &update_time : NULL);
    }
    return NULL;
}

static bool run(struct exchange *x, struct sim_service *service)
{
    enum sim_body_kind kind = SIM_BODY_UPDATE;
    cJSON *body = do_operation(x, service, &kind);
    if (body == NULL) {
        return false;
    }
    unsigned forms = x->service_id != NULL ? sim_forms_parse(x->service_id) : 0;
    sim_forms_render(forms, kind, body, x->answer);
    cJSON_Delete(body);
    return true;
}

/* Whether the fault strikes this request: a flaky one only the first few. |count| NULL: no room to count. */
static bool strikes(const struct sim_fault *fault, int64_t *count)
{
    if (fault->first_count == 0 || count == NULL) {
        return true;
    }
    if (*count >= fault->first_count) {
        return false;
    }
    ++*count;
    return true;
}

/* Under the lock, for a request to IAM that has passed the gateway. */
static bool issue_token(struct exchange *x)
{
    struct sim_iam *iam = &x->api->iam;
    const char *user;
    if (!sim_iam_check(iam, x->request, x->body, &user, &x->refusal)) {
        return false;
    }
    sim_iam_issue(iam, &x->target, user, now_ms(x->api), x->answer);
    x->has_fault = sim_fault_parse_user(user, &x->fault) &&
                   (x->fault.first_count == 0 || strikes(&x->fault, sim_iam_fault_count(iam, user)));
    return true;
}

/*
 * Under the lock, for a request that has passed the gateway and its credentials. A refused request gets its
 * refusal, late or cut where the fault is about how an answer is sent.
 */
static bool dispatch(struct exchange *x)
{
    struct sim_service *service = NULL;
    if (x->service_id != NULL && !find_service(x, &service)) {
        return false;
    }
    if (x->service_id == NULL || !sim_fault_parse(x->service_id, &x->fault) ||
        !strikes(&x->fault, &service->fault_count)) {
        return run(x, service);
    }
    bool done = !x->fault.executes || run(x, service);
    x->has_fault = done || sim_fault_is_passing(&x->fault);
    return done;
}

/* Under the lock, for a request to ModelArts. */
static bool serve(struct exchange *x)
{
    return find_route(x) && check_credentials(x) && check_project(x) && dispatch(x);
}

static const char *auth_of(const struct exchange *x)
{
    const char *token = x->request->headers[SIM_HEADER_AUTH_TOKEN];
    if (x->is_signed) {
        return "aksk";
    }
    return token != NULL && token[0] != '\0' ? "token" : "none";
}

static enum sim_issued issued_of(const struct exchange *x)
{
    if (!x->asks_token) {
        return SIM_ISSUED_NOT_ASKED;
    }
    return x->answer->subject_token != NULL ? SIM_ISSUED_YES : SIM_ISSUED_NO;
}

static void write_journal(struct exchange *x, bool refused)
{
    const struct sim_journal_entry entry = {
        .request = x->request,
        .target = &x->target,
        .answer = x->answer,
        .service_id = x->service_id,
        .fault = x->has_fault ? x->fault.name : NULL,
        .detail = refused ? x->refusal.detail : "",
        .executed = x->executed,
        .auth = auth_of(x),
        .issued = issued_of(x),
        /* What came to an address that there is not may be a request for a token. */
        .hides_body = x->route == NULL,
    };
    sim_journal_write(&x->api->journal, &entry);
    if (refused) {
        BR_LOG(BR_LOG_INFO, "refused", br_log_text("method", x->request->method),
               br_log_text("path", x->target.path), br_log_number("status", x->answer->http_status),
               br_log_text("code", x->refusal.code), br_log_text("detail", x->refusal.detail));
    } else {
        BR_LOG(BR_LOG_DEBUG, "answered", br_log_text("method", x->request->method),
               br_log_text("path", x->target.path), br_log_number("status", x->answer->http_status));
    }
}

void sim_api_handle(struct sim_api *api, const struct sim_request *request, struct sim_answer *answer)
{
    struct exchange x = {.api = api, .request = request, .answer = answer};
    sim_answer_init(answer);
    x.target_ok = sim_target_parse(request->target, &x.target);
    if (sim_text_is_json(request->body, request->body_len, SIM_JSON_DEPTH_MAX)) {
        x.body = cJSON_ParseWithLength(request->body, request->body_len);
    }
    x.is_signed = sim_aksk_is_signed(request);
    x.asks_token = sim_iam_is_token_request(request, &x.target);
    pthread_mutex_lock(&api->lock);
    bool done = check_sizes(&x) && (x.asks_token ? issue_token(&x) : serve(&x));
    if (!done) {
        sim_answer_set_error(answer, x.refusal.http_status, x.refusal.code, x.refusal.message);
    }
    if (x.has_fault) {
        sim_fault_apply(&x.fault, answer);
    }
    if (answer->delivery != SIM_DELIVERY_NORMAL || answer->http_status / 100 != 2) {
        sim_answer_drop_token(answer);
    }
    write_journal(&x, !done);
    pthread_mutex_unlock(&api->lock);
    cJSON_Delete(x.body);
    sim_target_finish(&x.target);
}

void sim_api_revoke_tokens(struct sim_api *api)
{
    pthread_mutex_lock(&api->lock);
    sim_tokens_revoke(&api->iam.tokens, now_ms(api));
    pthread_mutex_unlock(&api->lock);
}
