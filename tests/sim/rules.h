/*
 * The documented rules of the two update calls.
 *
 * Threads: any; no state.
 * Source:  ModelArts API reference, UpdateService and UpdateServiceByProperty; "Error Codes" for 3516, 3519,
 * 3529.
 */
#ifndef SIM_RULES_H
#define SIM_RULES_H

#include "codes.h"
#include "store.h"

/*
 * Whether UpdateService may do |body| to |service|, which is |now| in that state. Both borrowed, not
 * modified. Refusals: those of sim_shape_check(), and 400 ModelArts.0107 weights, description, and what may
 * not be switched off again 400 ModelArts.3516 a model twice 400 ModelArts.3519 the service's state does not
 * allow it
 */
bool sim_rules_check_update(const struct sim_service *service, enum sim_status now, const cJSON *body,
                            struct sim_refusal *refusal);

/*
 * The same for UpdateServiceByProperty.
 * Refusals: those of sim_shape_check(), and
 *           400 ModelArts.0101 no configs, or the service is not real-time
 *           400 ModelArts.0107 another property, or the count that it has already
 *           400 ModelArts.3519 the service's state does not allow it
 *           400 ModelArts.3529 the service has no such model
 */
bool sim_rules_check_property(const struct sim_service *service, enum sim_status now, const cJSON *body,
                              struct sim_refusal *refusal);

/* The element of |config| with |model_id|; NULL: there is none. Borrowed. */
cJSON *sim_rules_find_model(const cJSON *config, const char *model_id);

#endif
