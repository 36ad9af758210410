#include "translate/named_rules.h"

#include <modelarts/v1/modelarts_service.pb-c.h>
#include <modelarts/v1/service_config.pb-c.h>

#include <assert.h>
#include <string.h>

/*
 * The casts below are right only while a rule stays on its message in the schema. Each is behind an assert,
 * so that a rule that moves stops the program instead of reading foreign memory.
 */

static const Modelarts__V1__UpdateServiceRequest *as_update(const ProtobufCMessage *message)
{
    assert(message->descriptor == &modelarts__v1__update_service_request__descriptor);
    return (const Modelarts__V1__UpdateServiceRequest *)message;
}

static const Modelarts__V1__ServiceConfig *as_config(const ProtobufCMessage *message)
{
    assert(message->descriptor == &modelarts__v1__service_config__descriptor);
    return (const Modelarts__V1__ServiceConfig *)message;
}

/* Weights of edge and batch services are unset everywhere, so a list without any passes. */
static bool weights_sum_100(const ProtobufCMessage *message)
{
    const Modelarts__V1__UpdateServiceRequest *request = as_update(message);
    bool has_weight = false;
    int64_t sum = 0;
    for (size_t i = 0; i < request->n_config; i++) {
        if (request->config[i]->has_weight) {
            has_weight = true;
            sum += request->config[i]->weight;
        }
    }
    return !has_weight || sum == 100;
}

static bool status_wins(const ProtobufCMessage *message)
{
    const Modelarts__V1__UpdateServiceRequest *request = as_update(message);
    return !request->has_status || request->n_config == 0;
}

static bool custom_spec_required(const ProtobufCMessage *message)
{
    const Modelarts__V1__ServiceConfig *config = as_config(message);
    bool is_custom = config->specification != NULL && strcmp(config->specification, "custom") == 0;
    return !is_custom || config->custom_spec != NULL;
}

static bool mapping_rule_required(const ProtobufCMessage *message)
{
    const Modelarts__V1__ServiceConfig *config = as_config(message);
    bool is_csv =
        config->has_mapping_type && config->mapping_type == MODELARTS__V1__MAPPING_TYPE__MAPPING_TYPE_CSV;
    return !is_csv || config->mapping_rule != NULL;
}

const struct br_named_function br_named_functions[] = {
    {"config.weights_sum_100", weights_sum_100},
    {"update_service.status_wins", status_wins},
    {"service_config.custom_spec_required", custom_spec_required},
    {"service_config.mapping_rule_required", mapping_rule_required},
};
const size_t br_named_functions_count = sizeof br_named_functions / sizeof br_named_functions[0];
