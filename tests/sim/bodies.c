#include "bodies.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* Copies what |from| has and |to| lacks. */
static void add_missing(cJSON *to, const cJSON *from)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, from)
    {
        if (member(to, item->string) == NULL) {
            cJSON_AddItemToObject(to, item->string, cJSON_Duplicate(item, true));
        }
    }
}

/* A config element as the service shows it: what the client gave, and what ModelArts adds to it. */
static cJSON *complete_config(const cJSON *given)
{
    cJSON *config = cJSON_CreateObject();
    const cJSON *model_id = member(given, "model_id");
    cJSON_AddStringToObject(config, "model_id", model_id->valuestring);
    if (member(given, "model_name") == NULL) {
        cJSON_AddStringToObject(config, "model_name", model_id->valuestring);
    }
    if (member(given, "model_version") == NULL) {
        cJSON_AddStringToObject(config, "model_version", "0.0.1");
    }
    add_missing(config, given);
    if (member(config, "custom_spec") == NULL) {
        cJSON_AddObjectToObject(config, "custom_spec");
    }
    if (member(config, "envs") == NULL) {
        cJSON_AddObjectToObject(config, "envs");
    }
    if (member(config, "scaling") == NULL) {
        cJSON_AddFalseToObject(config, "scaling");
    }
    return config;
}

static void add_configs(cJSON *parent, const cJSON *configs, const char *status)
{
    cJSON *list = cJSON_AddArrayToObject(parent, "config");
    const cJSON *given;
    cJSON_ArrayForEach(given, configs)
    {
        cJSON *config = complete_config(given);
        if (status != NULL) {
            cJSON_AddStringToObject(config, "status", status);
            cJSON_AddFalseToObject(config, "support_debug");
            if (member(config, "additional_properties") == NULL) {
                cJSON_AddObjectToObject(config, "additional_properties");
            }
        }
        cJSON_AddItemToArray(list, config);
    }
}

/* What ShowService and ListServices have in common. */
static cJSON *summary(const struct sim_store *store, const struct sim_service *service, const char *project)
{
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "service_id", service->id);
    cJSON_AddStringToObject(body, "service_name", service->name);
    cJSON_AddStringToObject(body, "tenant", "sim-tenant");
    cJSON_AddStringToObject(body, "project", project);
    cJSON_AddStringToObject(body, "owner", "sim-owner");
    cJSON_AddNumberToObject(body, "publish_at", (double)service->created_ms);
    cJSON_AddStringToObject(body, "infer_type", sim_infer_type_names[service->infer_type]);
    cJSON_AddStringToObject(body, "status", sim_status_names[sim_store_status(store, service)]);
    cJSON_AddStringToObject(body, "workspace_id", "0");
    cJSON_AddFalseToObject(body, "is_shared");
    cJSON_AddNumberToObject(body, "invocation_times", 0);
    cJSON_AddNumberToObject(body, "failed_times", 0);
    cJSON_AddNumberToObject(body, "shared_count", 0);
    return body;
}

cJSON *sim_body_service(const struct sim_store *store, const struct sim_service *service, const char *project)
{
    enum sim_status status = sim_store_status(store, service);
    cJSON *body = summary(store, service, project);
    char address[SIM_SERVICE_ID_MAX + 64];
    snprintf(address, sizeof address, "https://infer.example.com/v1/infers/%s", service->id);
    cJSON_AddNumberToObject(body, "update_time", (double)service->updated_ms);
    cJSON_AddNumberToObject(body, "operation_time", (double)service->updated_ms);
    cJSON_AddNumberToObject(body, "transition_at", (double)service->updated_ms);
    cJSON_AddNumberToObject(body, "progress", status == SIM_DEPLOYING ? 50 : 100);
    cJSON_AddStringToObject(body, "access_address", address);
    cJSON_AddFalseToObject(body, "is_free");
    add_missing(body, service->attributes);
    add_configs(body, service->config, status == SIM_RUNNING ? "ready" : "notReady");
    return body;
}

cJSON *sim_body_list(const struct sim_store *store, const char *project)
{
    size_t count = store->count < SIM_LIST_MAX ? store->count : SIM_LIST_MAX;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddNumberToObject(body, "total_count", (double)store->count);
    cJSON_AddNumberToObject(body, "count", (double)count);
    cJSON *services = cJSON_AddArrayToObject(body, "services");
    for (size_t i = 0; i < count; i++) {
        cJSON *service = summary(store, store->services[i], project);
        const cJSON *description = member(store->services[i]->attributes, "description");
        cJSON_AddItemToObject(service, "description", cJSON_Duplicate(description, true));
        cJSON_AddItemToArray(services, service);
    }
    return body;
}

/* What only edge services report: one result for each node that the record's configs name. */
static void add_edge_results(cJSON *log, const struct sim_record *record, const char *result)
{
    bool done = strcmp(result, "RUNNING") != 0;
    bool failed = strcmp(result, "FAIL") == 0;
    int count = 0;
    cJSON *details = cJSON_CreateArray();
    const cJSON *config, *node;
    cJSON_ArrayForEach(config, record->config)
    {
        cJSON_ArrayForEach(node, member(config, "nodes"))
        {
            if (!done) {
                continue;
            }
            cJSON *detail = cJSON_CreateObject();
            cJSON_AddBoolToObject(detail, "result", !failed);
            cJSON_AddStringToObject(detail, "node_id", node->valuestring);
            cJSON_AddStringToObject(detail, "node_name", "edge-node");
            cJSON_AddStringToObject(detail, "operation", "deploy");
            cJSON_AddItemToArray(details, detail);
            count++;
        }
    }
    cJSON_AddNumberToObject(log, "success_num", failed ? 0 : count);
    cJSON_AddNumberToObject(log, "failed_num", failed ? count : 0);
    cJSON_AddItemToObject(log, "result_detail", details);
}

cJSON *sim_body_logs(const struct sim_store *store, const struct sim_service *service,
                     const int64_t *update_time)
{
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "service_id", service->id);
    cJSON_AddStringToObject(body, "service_name", service->name);
    cJSON *logs = cJSON_AddArrayToObject(body, "logs");
    for (size_t i = service->record_count; i-- > 0;) {
        const struct sim_record *record = &service->records[i];
        if (update_time != NULL && record->update_time_ms != *update_time) {
            continue;
        }
        const char *result = sim_store_result(store, record);
        cJSON *log = cJSON_CreateObject();
        add_configs(log, record->config, NULL);
        cJSON_AddArrayToObject(log, "extend_config");
        cJSON_AddNumberToObject(log, "update_time", (double)record->update_time_ms);
        cJSON_AddStringToObject(log, "result", result);
        const cJSON *cluster = member(record->config->child, "cluster_id");
        if (cluster != NULL) {
            cJSON_AddItemToObject(log, "cluster_id", cJSON_Duplicate(cluster, true));
        }
        if (service->infer_type == SIM_EDGE) {
            add_edge_results(log, record, result);
        }
        cJSON_AddItemToArray(logs, log);
    }
    return body;
}

/* FNV-1a, 64 bits: an id that looks random and is the same in each run. */
static uint64_t hash_text(const char *text, uint64_t seed)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ seed;
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    }
    return hash;
}

cJSON *sim_body_update(const struct sim_service *service, const int64_t *update_time)
{
    cJSON *body = cJSON_CreateObject();
    if (update_time == NULL) {
        return body;
    }
    cJSON_AddNumberToObject(body, "update_time", (double)*update_time);
    cJSON *ids = cJSON_AddArrayToObject(body, "resource_ids");
    int count = cJSON_GetArraySize(service->config);
    for (int i = 0; i < count; i++) {
        char id[64];
        snprintf(id, sizeof id, "INF-%016" PRIx64 "-%" PRId64, hash_text(service->id, (uint64_t)i),
                 *update_time);
        cJSON_AddItemToArray(ids, cJSON_CreateString(id));
    }
    return body;
}
