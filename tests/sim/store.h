/*
 * The services: what they are, what was done to them, and what state they are in at this moment.
 *
 * Nothing runs in the background. A change notes when it will have settled, and a reader compares that with
 * the clock.
 *
 * Threads: the store has no lock; its user (api.c) holds one around every call and every use of a service.
 * Owns:    all services and what they hold.
 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include "base/clock.h"

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values of a service's "status", in the order of sim_status_names. */
enum sim_status {
    SIM_RUNNING,
    SIM_DEPLOYING,
    SIM_CONCERNING,
    SIM_FAILED,
    SIM_STOPPED,
    SIM_FINISHED,
    SIM_STOPPING,
    SIM_DELETING,
    SIM_PENDING,
    SIM_WAITING,
    SIM_STATUS_COUNT,
};

extern const char *const sim_status_names[SIM_STATUS_COUNT];

enum sim_infer_type {
    SIM_REAL_TIME,
    SIM_BATCH,
    SIM_EDGE,
};

extern const char *const sim_infer_type_names[];

/* Services that may exist at once; the ids of clients make new ones. */
#define SIM_SERVICES_MAX 10000
/* Update records kept for one service; the oldest goes first. */
#define SIM_RECORDS_MAX 200
/* Bytes of a service id. Source: PatchServiceV2, path parameters (maxLength 128). */
#define SIM_SERVICE_ID_MAX 128

struct sim_record {
    int64_t update_time_ms; /* since 1970; strictly increasing over all services */
    int64_t settles_at_ms;  /* on the store's clock */
    bool fails;
    cJSON *config; /* as it was after the update; owned */
};

struct sim_service {
    char *id;
    char *name;
    enum sim_infer_type infer_type;
    enum sim_status settled; /* the status from |settles_at_ms| on */
    enum sim_status transit; /* the status before */
    int64_t settles_at_ms;
    int64_t created_ms, updated_ms; /* since 1970 */
    cJSON *config;                  /* array; owned */
    cJSON *attributes;              /* description, schedule, ... as they came; owned */
    struct sim_record *records;     /* oldest first */
    size_t record_count;
    int64_t fault_count; /* requests that a "flaky" fault has failed */
};

struct sim_store {
    const struct br_clock *clock; /* kept */
    int64_t settle_ms;
    int64_t epoch_offset_ms; /* since 1970 = clock + this */
    int64_t last_update_time_ms;
    struct sim_service **services;
    size_t count, cap;
    size_t limit; /* on |count|: SIM_SERVICES_MAX */
};

/*
 * Makes the seeded services. |clock| kept. |epoch_ms| is the time since 1970 at this moment.
 * Release with sim_store_finish().
 */
void sim_store_init(struct sim_store *store, const struct br_clock *clock, int64_t epoch_ms,
                    int64_t settle_ms);

/* Accepts a zeroed store. */
void sim_store_finish(struct sim_store *store);

/*
 * The service |id|; one in a namespace that is free for all ("svc-", "form-", a "fault-" that exists) is made
 * on first use. NULL: there is none; |full| then says whether that is for want of room. Borrowed; lives as
 * long as the store.
 */
struct sim_service *sim_store_find(struct sim_store *store, const char *id, bool *full);

/* The service's status at this moment. */
enum sim_status sim_store_status(const struct sim_store *store, const struct sim_service *service);

/* The name, in the API, of the record's result at this moment: RUNNING, SUCCESS or FAIL. */
const char *sim_store_result(const struct sim_store *store, const struct sim_record *record);

/*
 * Appends an update record over |config|, which becomes the service's (taken), and starts the deployment.
 * Returns the record's update time.
 */
int64_t sim_store_deploy(struct sim_store *store, struct sim_service *service, cJSON *config);

/* Starts or stops the service. */
void sim_store_set_running(struct sim_store *store, struct sim_service *service, bool running);

/* Replaces the attribute |key| by a copy of |value|. */
void sim_store_set_attribute(struct sim_store *store, struct sim_service *service, const char *key,
                             const cJSON *value);

#endif
