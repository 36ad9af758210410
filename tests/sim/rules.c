#include "rules.h"

#include "shapes.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

#define DESCRIPTION_CHARS_MAX 100
/* Elements of one config list. Ours: the search for duplicates takes its square. */
#define CONFIGS_MAX 1000

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

cJSON *sim_rules_find_model(const cJSON *config, const char *model_id)
{
    cJSON *element;
    cJSON_ArrayForEach(element, config)
    {
        const cJSON *id = member(element, "model_id");
        if (cJSON_IsString(id) && strcmp(id->valuestring, model_id) == 0) {
            return element;
        }
    }
    return NULL;
}

static bool check_length(const cJSON *list, const char *key, struct sim_refusal *refusal)
{
    int len = cJSON_GetArraySize(list);
    if (len == 0) {
        return sim_refuse(refusal, 400, "ModelArts.0101", NULL, NULL, "%s is missing or empty", key);
    }
    if (len > CONFIGS_MAX) {
        return sim_refuse(refusal, 400, "ModelArts.0104", NULL, NULL, "%s has more than %d elements", key,
                          CONFIGS_MAX);
    }
    return true;
}

static bool check_description(const cJSON *description, struct sim_refusal *refusal)
{
    if (description == NULL) {
        return true;
    }
    const char *text = description->valuestring;
    if (sim_text_char_count(text) > DESCRIPTION_CHARS_MAX || strpbrk(text, "<>=&\"'") != NULL) {
        return sim_refuse(refusal, 400, "ModelArts.0107", "description", text,
                          "description has more than %d characters or one of <>=&\"'", DESCRIPTION_CHARS_MAX);
    }
    return true;
}

/* Keys that only some types of service know. */
static bool check_type(const struct sim_service *service, const cJSON *body, struct sim_refusal *refusal)
{
    static const char *const real_time_keys[] = {"schedule", "load_balancer_policy"};
    for (size_t i = 0; i < sizeof real_time_keys / sizeof real_time_keys[0]; i++) {
        if (member(body, real_time_keys[i]) != NULL && service->infer_type != SIM_REAL_TIME) {
            return sim_refuse(refusal, 400, "ModelArts.0101", NULL, NULL, "%s is for real-time services only",
                              real_time_keys[i]);
        }
    }
    if (member(body, "priority") != NULL && service->infer_type == SIM_EDGE) {
        return sim_refuse(refusal, 400, "ModelArts.0101", NULL, NULL, "priority is not for edge services");
    }
    return true;
}

/* LTS and WebSocket stay as they are once they are on. */
static bool check_latches(const struct sim_service *service, const cJSON *properties,
                          struct sim_refusal *refusal)
{
    const cJSON *current = member(service->attributes, "additional_properties");
    const cJSON *channels = member(properties, "log_report_channels");
    const cJSON *current_channels = member(current, "log_report_channels");
    if (channels != NULL && cJSON_GetArraySize(current_channels) > 0 &&
        !cJSON_Compare(channels, current_channels, true)) {
        return sim_refuse(refusal, 400, "ModelArts.0107", "log_report_channels", "changed",
                          "log_report_channels cannot be changed once LTS is on");
    }
    if (cJSON_IsFalse(member(properties, "websocket_upgrade")) &&
        cJSON_IsTrue(member(current, "websocket_upgrade"))) {
        return sim_refuse(refusal, 400, "ModelArts.0107", "websocket_upgrade", "false",
                          "websocket_upgrade cannot be switched off again");
    }
    return true;
}

static bool check_weights(const cJSON *config, struct sim_refusal *refusal)
{
    int64_t sum = 0;
    const cJSON *element;
    cJSON_ArrayForEach(element, config)
    {
        int64_t weight = 0;
        if (!sim_shape_whole(member(element, "weight"), true, &weight)) {
            return sim_refuse(refusal, 400, "ModelArts.0101", NULL, NULL,
                              "weight is missing, which a real-time service needs");
        }
        sum += weight;
    }
    if (sum != 100) {
        char text[32];
        snprintf(text, sizeof text, "%lld", (long long)sum);
        return sim_refuse(refusal, 400, "ModelArts.0107", "weight", text, "the weights' sum is %s, not 100",
                          text);
    }
    return true;
}

static bool check_config(const struct sim_service *service, const cJSON *config, struct sim_refusal *refusal)
{
    if (!check_length(config, "config", refusal)) {
        return false;
    }
    const cJSON *element;
    cJSON_ArrayForEach(element, config)
    {
        const char *model_id = member(element, "model_id")->valuestring;
        const char *specification = member(element, "specification")->valuestring;
        if (model_id[0] == '\0' || specification[0] == '\0') {
            return sim_refuse(refusal, 400, "ModelArts.0101", NULL, NULL,
                              "model_id or specification is empty");
        }
        if (sim_rules_find_model(config, model_id) != element) {
            return sim_refuse(refusal, 400, "ModelArts.3516", NULL, NULL,
                              "two configs name the same model_id");
        }
        if (strcmp(specification, "custom") == 0 && member(element, "custom_spec") == NULL) {
            return sim_refuse(refusal, 400, "ModelArts.0101", NULL, NULL,
                              "specification is custom and custom_spec is missing");
        }
    }
    return service->infer_type != SIM_REAL_TIME || check_weights(config, refusal);
}

static bool refuse_state(enum sim_status now, const char *what, struct sim_refusal *refusal)
{
    return sim_refuse(refusal, 400, "ModelArts.3519", NULL, NULL, "the service is %s: %s",
                      sim_status_names[now], what);
}

/* A service that is waiting or concerning cannot be started; one in between two states takes no update at
 * all. */
static bool check_state(enum sim_status now, const cJSON *status, struct sim_refusal *refusal)
{
    if (now == SIM_DEPLOYING || now == SIM_STOPPING || now == SIM_DELETING) {
        return refuse_state(now, "no update is possible", refusal);
    }
    if (status == NULL) {
        return true;
    }
    if (strcmp(status->valuestring, sim_status_names[now]) == 0) {
        return refuse_state(now, "it has that status already", refusal);
    }
    if (strcmp(status->valuestring, "running") == 0 && (now == SIM_WAITING || now == SIM_CONCERNING)) {
        return refuse_state(now, "it cannot be started", refusal);
    }
    return true;
}

bool sim_rules_check_update(const struct sim_service *service, enum sim_status now, const cJSON *body,
                            struct sim_refusal *refusal)
{
    if (!sim_shape_check(&sim_shape_update, body, "", refusal)) {
        return false;
    }
    const cJSON *status = member(body, "status");
    const cJSON *config = member(body, "config");
    /* With a status, config is ignored and so not judged. */
    return check_state(now, status, refusal) && check_description(member(body, "description"), refusal) &&
           check_type(service, body, refusal) &&
           check_latches(service, member(body, "additional_properties"), refusal) &&
           (config == NULL || status != NULL || check_config(service, config, refusal));
}

bool sim_rules_check_property(const struct sim_service *service, enum sim_status now, const cJSON *body,
                              struct sim_refusal *refusal)
{
    if (!sim_shape_check(&sim_shape_property, body, "", refusal)) {
        return false;
    }
    const char *property = member(body, "changed_property")->valuestring;
    if (strcmp(property, "instance_count") != 0) {
        return sim_refuse(refusal, 400, "ModelArts.0107", "changed_property", property,
                          "only instance_count can be changed");
    }
    const cJSON *configs = member(body, "configs");
    if (!check_length(configs, "configs", refusal)) {
        return false;
    }
    if (service->infer_type != SIM_REAL_TIME) {
        return sim_refuse(refusal, 400, "ModelArts.0101", NULL, NULL, "the service is not a real-time one");
    }
    if (now != SIM_RUNNING && now != SIM_CONCERNING && now != SIM_FAILED) {
        return refuse_state(now, "its instances cannot be changed", refusal);
    }
    const cJSON *element;
    cJSON_ArrayForEach(element, configs)
    {
        const char *model_id = member(element, "model_id")->valuestring;
        const cJSON *model = sim_rules_find_model(service->config, model_id);
        if (model == NULL) {
            return sim_refuse(refusal, 400, "ModelArts.3529", model_id, service->id,
                              "the service has no model of this model_id");
        }
        int64_t wanted = 0, current = 0;
        if (sim_shape_whole(member(element, "changed_value"), true, &wanted) &&
            sim_shape_whole(member(model, "instance_count"), false, &current) && wanted == current) {
            char text[32];
            snprintf(text, sizeof text, "%lld", (long long)wanted);
            return sim_refuse(refusal, 400, "ModelArts.0107", "changed_value", text,
                              "the model has %s instances already", text);
        }
    }
    return true;
}
