#include "cmd/statusz.h"

#include "base/log.h"
#include "cmd/cmd.h"
#include "upstream/auth_token.h"

#include <stdio.h>
#include <time.h>

/* "2026-01-02T03:04:05Z" */
#define TIME_CAP 24

/* Bytes of one setting's value: more than the kernel takes of all arguments together. */
#define VALUE_MAX_BYTES ((size_t)4 << 20)

/* A tree that grows until something fails; what is added to a part that is missing is dropped. */
struct builder {
    bool failed;
};

/* |item| taken. Returns it, or NULL. |key| NULL: |parent| is a list. */
static cJSON *add(struct builder *builder, cJSON *parent, const char *key, cJSON *item)
{
    if (item != NULL &&
        (key != NULL ? cJSON_AddItemToObject(parent, key, item) : cJSON_AddItemToArray(parent, item))) {
        return item;
    }
    cJSON_Delete(item);
    builder->failed = true;
    return NULL;
}

static void add_text(struct builder *builder, cJSON *parent, const char *key, const char *text)
{
    (void)add(builder, parent, key, text[0] != '\0' ? cJSON_CreateString(text) : cJSON_CreateNull());
}

static void add_number(struct builder *builder, cJSON *parent, const char *key, int64_t number)
{
    (void)add(builder, parent, key, cJSON_CreateNumber((double)number));
}

static void add_bool(struct builder *builder, cJSON *parent, const char *key, bool value)
{
    (void)add(builder, parent, key, cJSON_CreateBool(value));
}

static void add_time(struct builder *builder, cJSON *parent, const char *key, int64_t unix_s)
{
    char text[TIME_CAP] = "";
    time_t seconds = (time_t)unix_s;
    struct tm utc;
    if (gmtime_r(&seconds, &utc) != NULL) {
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    add_text(builder, parent, key, text);
}

static void add_listening(struct builder *builder, cJSON *root, const struct br_server *server)
{
    cJSON *list = add(builder, root, "listening", cJSON_CreateArray());
    const char *address;
    for (size_t i = 0; server != NULL && (address = br_server_address(server, i)) != NULL; i++) {
        (void)add(builder, list, NULL, cJSON_CreateString(address));
    }
}

/* ---- What the registry counts ---- */

static void take_value(void *context, const char *const *values, int64_t value)
{
    (void)values;
    *(int64_t *)context = value;
}

struct methods {
    struct builder *builder;
    cJSON *object; /* by name */
};

static cJSON *add_method(struct methods *methods, const char *name, const char *route)
{
    cJSON *method = add(methods->builder, methods->object, name, cJSON_CreateObject());
    add_text(methods->builder, method, "route", route);
    add_number(methods->builder, method, "started", 0);
    (void)add(methods->builder, method, "ended", cJSON_CreateObject());
    return method;
}

/* One that the contract does not have was asked for all the same. */
static cJSON *find_method(struct methods *methods, const char *name)
{
    cJSON *method = cJSON_GetObjectItemCaseSensitive(methods->object, name);
    return method != NULL ? method : add_method(methods, name, "");
}

static void take_started(void *context, const char *const *values, int64_t value)
{
    cJSON *started = cJSON_GetObjectItemCaseSensitive(find_method(context, values[0]), "started");
    if (started != NULL) {
        (void)cJSON_SetNumberValue(started, (double)value);
    }
}

static void take_ended(void *context, const char *const *values, int64_t value)
{
    struct methods *methods = context;
    cJSON *ended = cJSON_GetObjectItemCaseSensitive(find_method(methods, values[0]), "ended");
    add_number(methods->builder, ended, values[1], value);
}

static void add_methods(struct builder *builder, cJSON *root, const struct br_statusz *source)
{
    struct methods methods = {.builder = builder,
                              .object = add(builder, root, "methods", cJSON_CreateObject())};
    size_t count;
    const struct br_method *known = br_contract_methods(source->contract, &count);
    for (size_t i = 0; i < count; i++) {
        char route[512] = "";
        if (known[i].verb != NULL) {
            (void)snprintf(route, sizeof route, "%s %s", known[i].verb, known[i].path_template);
        }
        (void)add_method(&methods, known[i].name, route);
    }
    br_metrics_visit(source->metrics, "grpc_server_call_started_total", take_started, &methods);
    br_metrics_visit(source->metrics, "grpc_server_call_duration_seconds", take_ended, &methods);
}

/* ---- The rest ---- */

static void add_upstream(struct builder *builder, cJSON *root, const struct br_server *server)
{
    cJSON *upstream = add(builder, root, "upstream", cJSON_CreateObject());
    if (server == NULL) {
        return;
    }
    struct br_http_curl_stats stats;
    br_server_upstream_stats(server, &stats);
    add_number(builder, upstream, "requests_queued", stats.queued);
    add_number(builder, upstream, "requests_in_flight", stats.in_flight);
    add_number(builder, upstream, "connections", stats.connections);
    add_number(builder, upstream, "connections_max", stats.connections_max);
    add_number(builder, upstream, "connections_opened", stats.connections_opened);
}

static void add_token(struct builder *builder, cJSON *root, const struct br_statusz *source)
{
    if (source->token == NULL) {
        return;
    }
    struct br_auth_token_state state;
    br_auth_token_state(source->token, &state);
    cJSON *token = add(builder, root, "token", cJSON_CreateObject());
    add_bool(builder, token, "at_hand", state.at_hand);
    add_number(builder, token, "age_s", state.age_us / 1000000);
    add_number(builder, token, "expires_in_s", state.expires_in_s);
    add_text(builder, token, "last_failure",
             state.last_failure.code != BR_OK ? state.last_failure.reason : "");
}

static void add_errors(struct builder *builder, cJSON *root, struct br_recent_errors *errors)
{
    struct br_recent_error items[BR_RECENT_ERRORS_MAX];
    size_t count = br_recent_errors_copy(errors, items);
    cJSON *list = add(builder, root, "last_errors", cJSON_CreateArray());
    for (size_t i = 0; i < count; i++) {
        cJSON *error = add(builder, list, NULL, cJSON_CreateObject());
        add_time(builder, error, "time", items[i].unix_s);
        add_text(builder, error, "method", items[i].method);
        add_text(builder, error, "code", br_code_name(items[i].code));
        add_text(builder, error, "reason", items[i].reason);
        add_number(builder, error, "duration_ms", items[i].duration_ms);
        add_text(builder, error, "request_id", items[i].request_id);
        add_text(builder, error, "trace_id", items[i].trace_id);
    }
}

static void add_settings(struct builder *builder, cJSON *root, const struct br_statusz *source)
{
    cJSON *settings = add(builder, root, "settings", cJSON_CreateObject());
    for (size_t i = 0; i < source->table->row_count; i++) {
        const struct br_setting *row = &source->table->rows[i];
        char flag[128];
        (void)snprintf(flag, sizeof flag, "--%s", row->flag);
        struct br_buf value;
        br_buf_init(&value, VALUE_MAX_BYTES);
        if (br_settings_value(row, source->settings, &value) != BR_BUF_OK) {
            builder->failed = true;
        }
        cJSON *setting = add(builder, settings, flag, cJSON_CreateObject());
        add_text(builder, setting, "value", value.data != NULL ? value.data : "");
        add_text(builder, setting, "source",
                 br_settings_source(source->table, row, source->argc, source->argv));
        br_buf_finish(&value);
    }
}

bool br_statusz_snapshot(const struct br_statusz *source, cJSON **out, struct br_status *st)
{
    struct builder builder = {.failed = false};
    char problem[BR_HEALTH_PROBLEM_CAP] = "";
    const struct br_server *server = atomic_load(&source->server);
    bool is_ready = br_health_is_ready(source->health, problem);
    cJSON *root = cJSON_CreateObject();
    add_text(&builder, root, "version", br_version());
    add_bool(&builder, root, "ready", is_ready);
    add_text(&builder, root, "problem", is_ready ? "" : problem);
    add_bool(&builder, root, "draining", br_health_is_draining(source->health));
    add_time(&builder, root, "started", source->started_unix_s);
    add_number(&builder, root, "uptime_s", (br_clock_now_ms(source->clock) - source->started_ms) / 1000);
    add_listening(&builder, root, server);
    add_text(&builder, root, "log_level", br_log_level_name(br_log_level()));
    int64_t in_flight = 0;
    br_metrics_visit(source->metrics, "modelarts_bridge_calls_in_flight", take_value, &in_flight);
    add_number(&builder, root, "calls_in_flight", in_flight);
    add_methods(&builder, root, source);
    add_errors(&builder, root, source->errors);
    add_upstream(&builder, root, server);
    add_token(&builder, root, source);
    add_settings(&builder, root, source);
    if (builder.failed) {
        cJSON_Delete(root);
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for the status");
    }
    *out = root;
    return true;
}
