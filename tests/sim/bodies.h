/*
 * The bodies of successful answers, before a form alters them.
 *
 * Threads: under the store's lock.
 * Source:  ModelArts API reference, examples of ShowService, ListServices, ShowServiceUpdateLogs,
 * UpdateService.
 */
#ifndef SIM_BODIES_H
#define SIM_BODIES_H

#include "store.h"

/* The list holds no more than this; the documented default of "limit". */
#define SIM_LIST_MAX 1000

/* Each is returned; release with cJSON_Delete(). */
cJSON *sim_body_service(const struct sim_store *store, const struct sim_service *service,
                        const char *project);
cJSON *sim_body_list(const struct sim_store *store, const char *project);

/* |update_time| NULL: all records, newest first; else the one that has it, if any. */
cJSON *sim_body_logs(const struct sim_store *store, const struct sim_service *service,
                     const int64_t *update_time);

/* |update_time| NULL: no deployment was started, so the object is empty. */
cJSON *sim_body_update(const struct sim_service *service, const int64_t *update_time);

#endif
