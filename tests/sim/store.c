#include "store.h"

#include "alloc.h"
#include "faults.h"
#include "forms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const sim_status_names[SIM_STATUS_COUNT] = {
    [SIM_RUNNING] = "running",   [SIM_DEPLOYING] = "deploying", [SIM_CONCERNING] = "concerning",
    [SIM_FAILED] = "failed",     [SIM_STOPPED] = "stopped",     [SIM_FINISHED] = "finished",
    [SIM_STOPPING] = "stopping", [SIM_DELETING] = "deleting",   [SIM_PENDING] = "pending",
    [SIM_WAITING] = "waiting",
};

const char *const sim_infer_type_names[] = {
    [SIM_REAL_TIME] = "real-time",
    [SIM_BATCH] = "batch",
    [SIM_EDGE] = "edge",
};

/* What exists from the start. |config| is what the service was made with. */
static const struct {
    const char *id;
    enum sim_infer_type infer_type;
    enum sim_status status;
    const char *config;
} seeds[] = {
    {"demo-service", SIM_REAL_TIME, SIM_RUNNING,
     "[{\"model_id\":\"demo-model\",\"weight\":100,\"specification\":\"modelarts.vm.cpu.2u\","
     "\"instance_count\":1}]"},
    {"demo-stopped", SIM_REAL_TIME, SIM_STOPPED,
     "[{\"model_id\":\"demo-model\",\"weight\":100,\"specification\":\"modelarts.vm.cpu.2u\","
     "\"instance_count\":1}]"},
    {"demo-edge", SIM_EDGE, SIM_RUNNING,
     "[{\"model_id\":\"demo-model\",\"specification\":\"custom\",\"instance_count\":1,"
     "\"custom_spec\":{\"cpu\":1.5,\"memory\":7500},"
     "\"nodes\":[\"2r8c4fb9-t497-40u3-89yf-skui77db0472\"]}]"},
    {"demo-batch", SIM_BATCH, SIM_RUNNING,
     "[{\"model_id\":\"demo-model\",\"specification\":\"modelarts.vm.cpu.2u\",\"instance_count\":1,"
     "\"src_path\":\"https://infers-data.obs.example.com/input/\","
     "\"dest_path\":\"https://infers-data.obs.example.com/output/\",\"req_uri\":\"/\","
     "\"mapping_type\":\"file\"}]"},
    {"demo-deploying", SIM_REAL_TIME, SIM_DEPLOYING,
     "[{\"model_id\":\"demo-model\",\"weight\":100,\"specification\":\"modelarts.vm.cpu.2u\","
     "\"instance_count\":1}]"},
};

static int64_t clock_ms(const struct sim_store *store)
{
    return br_clock_now_ms(store->clock);
}

static int64_t epoch_ms(const struct sim_store *store)
{
    return clock_ms(store) + store->epoch_offset_ms;
}

static struct sim_service *add_service(struct sim_store *store, const char *id,
                                       enum sim_infer_type infer_type, enum sim_status status,
                                       const char *config)
{
    if (store->count == store->cap) {
        store->cap = store->cap > 0 ? store->cap * 2 : 16;
        store->services = sim_realloc(store->services, store->cap * sizeof store->services[0]);
    }
    struct sim_service *service = sim_alloc(sizeof *service);
    service->id = sim_strdup(id);
    service->name = sim_strdup(id);
    service->infer_type = infer_type;
    service->settled = status;
    service->transit = status;
    service->settles_at_ms = clock_ms(store);
    service->created_ms = epoch_ms(store);
    service->updated_ms = service->created_ms;
    service->config = cJSON_Parse(config);
    service->attributes = cJSON_CreateObject();
    cJSON_AddStringToObject(service->attributes, "description", "");
    cJSON_AddObjectToObject(service->attributes, "additional_properties");
    store->services[store->count++] = service;
    return service;
}

static int64_t next_update_time(struct sim_store *store)
{
    int64_t now = epoch_ms(store);
    int64_t next = now > store->last_update_time_ms ? now : store->last_update_time_ms + 1;
    store->last_update_time_ms = next;
    return next;
}

static int64_t add_record(struct sim_store *store, struct sim_service *service, int64_t settles_at_ms)
{
    if (service->record_count == SIM_RECORDS_MAX) {
        cJSON_Delete(service->records[0].config);
        service->record_count--;
        memmove(service->records, service->records + 1, service->record_count * sizeof service->records[0]);
    }
    service->records =
        sim_realloc(service->records, (service->record_count + 1) * sizeof service->records[0]);
    int64_t update_time = next_update_time(store);
    service->records[service->record_count++] = (struct sim_record){
        .update_time_ms = update_time,
        .settles_at_ms = settles_at_ms,
        .fails = (sim_forms_parse(service->id) & SIM_FORM_FAILED_UPDATE) != 0,
        .config = cJSON_Duplicate(service->config, true),
    };
    return update_time;
}

void sim_store_init(struct sim_store *store, const struct br_clock *clock, int64_t now_epoch_ms,
                    int64_t settle_ms)
{
    *store = (struct sim_store){.clock = clock, .settle_ms = settle_ms, .limit = SIM_SERVICES_MAX};
    store->epoch_offset_ms = now_epoch_ms - clock_ms(store);
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        struct sim_service *service =
            add_service(store, seeds[i].id, seeds[i].infer_type, seeds[i].status, seeds[i].config);
        add_record(store, service, seeds[i].status == SIM_DEPLOYING ? INT64_MAX : clock_ms(store));
    }
}

void sim_store_finish(struct sim_store *store)
{
    for (size_t i = 0; i < store->count; i++) {
        struct sim_service *service = store->services[i];
        for (size_t k = 0; k < service->record_count; k++) {
            cJSON_Delete(service->records[k].config);
        }
        free(service->records);
        cJSON_Delete(service->config);
        cJSON_Delete(service->attributes);
        free(service->id);
        free(service->name);
        free(service);
    }
    free(store->services);
    *store = (struct sim_store){0};
}

/* "svc-state-stopped--7" starts its life stopped. */
static enum sim_status initial_status(const char *id)
{
    static const char marker[] = "-state-";
    const char *at = strstr(id, marker);
    if (at != NULL) {
        at += sizeof marker - 1;
        size_t len = strcspn(at, "-");
        for (int i = 0; i < SIM_STATUS_COUNT; i++) {
            if (strlen(sim_status_names[i]) == len && strncmp(at, sim_status_names[i], len) == 0) {
                return (enum sim_status)i;
            }
        }
    }
    return SIM_RUNNING;
}

static bool may_spring(const char *id)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    if (strlen(id) > SIM_SERVICE_ID_MAX || id[strspn(id, allowed)] != '\0') {
        return false;
    }
    if (sim_fault_is_named(id)) {
        struct sim_fault fault;
        return sim_fault_parse(id, &fault);
    }
    if (strncmp(id, "form-", 5) == 0) {
        return sim_forms_parse(id) != 0;
    }
    return strncmp(id, "svc-", 4) == 0;
}

struct sim_service *sim_store_find(struct sim_store *store, const char *id, bool *full)
{
    *full = false;
    for (size_t i = 0; i < store->count; i++) {
        if (strcmp(store->services[i]->id, id) == 0) {
            return store->services[i];
        }
    }
    if (!may_spring(id)) {
        return NULL;
    }
    if (store->count >= store->limit) {
        *full = true;
        return NULL;
    }
    return add_service(store, id, SIM_REAL_TIME, initial_status(id), seeds[0].config);
}

enum sim_status sim_store_status(const struct sim_store *store, const struct sim_service *service)
{
    return clock_ms(store) < service->settles_at_ms ? service->transit : service->settled;
}

const char *sim_store_result(const struct sim_store *store, const struct sim_record *record)
{
    if (clock_ms(store) < record->settles_at_ms) {
        return "RUNNING";
    }
    return record->fails ? "FAIL" : "SUCCESS";
}

static void start_change(struct sim_store *store, struct sim_service *service, enum sim_status transit,
                         enum sim_status settled)
{
    service->transit = transit;
    service->settled = settled;
    service->settles_at_ms = clock_ms(store) + store->settle_ms;
    service->updated_ms = epoch_ms(store);
}

int64_t sim_store_deploy(struct sim_store *store, struct sim_service *service, cJSON *config)
{
    cJSON_Delete(service->config);
    service->config = config;
    bool fails = (sim_forms_parse(service->id) & SIM_FORM_FAILED_UPDATE) != 0;
    start_change(store, service, SIM_DEPLOYING, fails ? SIM_FAILED : SIM_RUNNING);
    return add_record(store, service, service->settles_at_ms);
}

void sim_store_set_running(struct sim_store *store, struct sim_service *service, bool running)
{
    start_change(store, service, running ? SIM_DEPLOYING : SIM_STOPPING, running ? SIM_RUNNING : SIM_STOPPED);
}

void sim_store_set_attribute(struct sim_store *store, struct sim_service *service, const char *key,
                             const cJSON *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(service->attributes, key);
    cJSON_AddItemToObject(service->attributes, key, cJSON_Duplicate(value, true));
    service->updated_ms = epoch_ms(store);
}
