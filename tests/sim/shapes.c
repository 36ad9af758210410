#include "shapes.h"

#include "base/parse.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define PATH_CAP 160
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define SHAPE_OF(rows)                            \
    {                                             \
        .fields = (rows), .count = COUNT_OF(rows) \
    }
/* The smallest double above 0: an inclusive bound that means "greater than 0". */
#define ABOVE_ZERO DBL_MIN
#define NO_LIMIT DBL_MAX

static const char *const status_literals[] = {"running", "stopped", NULL};
static const char *const policy_literals[] = {"ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", NULL};
static const char *const time_unit_literals[] = {"DAYS", "HOURS", "MINUTES", NULL};
static const char *const schedule_type_literals[] = {"stop", NULL};
static const char *const mapping_type_literals[] = {"file", "csv", NULL};
static const char *const affinity_mode_literals[] = {"required", "preferred", NULL};
static const char *const pipeline_type_literals[] = {"LTS", NULL};

static const struct sim_shape_field schedule_fields[] = {
    {.key = "duration", .kind = SIM_SHAPE_WHOLE, .required = true, .min = 0, .max = NO_LIMIT},
    {.key = "time_unit", .kind = SIM_SHAPE_TEXT, .required = true, .literals = time_unit_literals},
    {.key = "type", .kind = SIM_SHAPE_TEXT, .required = true, .literals = schedule_type_literals},
};
static const struct sim_shape schedule_shape = SHAPE_OF(schedule_fields);

static const struct sim_shape_field custom_spec_fields[] = {
    {.key = "gpu_p4", .kind = SIM_SHAPE_NUMBER, .min = 0, .max = NO_LIMIT},
    {.key = "memory", .kind = SIM_SHAPE_WHOLE, .required = true, .min = 0, .max = NO_LIMIT},
    {.key = "cpu", .kind = SIM_SHAPE_NUMBER, .required = true, .min = 0.01, .max = NO_LIMIT},
};
static const struct sim_shape custom_spec_shape = SHAPE_OF(custom_spec_fields);

static const struct sim_shape_field log_volume_fields[] = {
    {.key = "host_path", .kind = SIM_SHAPE_TEXT, .required = true},
    {.key = "mount_path", .kind = SIM_SHAPE_TEXT, .required = true},
};
static const struct sim_shape log_volume_shape = SHAPE_OF(log_volume_fields);

static const struct sim_shape_field persistent_volume_fields[] = {
    {.key = "name", .kind = SIM_SHAPE_TEXT},
    {.key = "mount_path", .kind = SIM_SHAPE_TEXT, .required = true},
    {.key = "storage_type", .kind = SIM_SHAPE_TEXT},
    {.key = "source_address", .kind = SIM_SHAPE_TEXT},
};
static const struct sim_shape persistent_volume_shape = SHAPE_OF(persistent_volume_fields);

/* max_unavailable: the text says "greater than 0", its default is 0, and 0 is what it means to switch it off.
 */
static const struct sim_shape_field model_properties_fields[] = {
    {.key = "log_volume", .kind = SIM_SHAPE_OBJECTS, .shape = &log_volume_shape},
    {.key = "max_surge", .kind = SIM_SHAPE_NUMBER, .min = ABOVE_ZERO, .max = NO_LIMIT},
    {.key = "max_unavailable", .kind = SIM_SHAPE_NUMBER, .min = 0, .max = NO_LIMIT},
    {.key = "termination_grace_period_seconds", .kind = SIM_SHAPE_WHOLE, .min = 0, .max = NO_LIMIT},
    {.key = "persistent_volumes", .kind = SIM_SHAPE_OBJECTS, .shape = &persistent_volume_shape},
};
static const struct sim_shape model_properties_shape = SHAPE_OF(model_properties_fields);

static const struct sim_shape_field affinity_node_fields[] = {
    {.key = "name", .kind = SIM_SHAPE_TEXT, .required = true},
};
static const struct sim_shape affinity_node_shape = SHAPE_OF(affinity_node_fields);

static const struct sim_shape_field affinity_pool_fields[] = {
    {.key = "pool_name", .kind = SIM_SHAPE_TEXT, .required = true},
    {.key = "nodes", .kind = SIM_SHAPE_OBJECTS, .required = true, .shape = &affinity_node_shape},
};
static const struct sim_shape affinity_pool_shape = SHAPE_OF(affinity_pool_fields);

static const struct sim_shape_field node_affinity_fields[] = {
    {.key = "mode", .kind = SIM_SHAPE_TEXT, .required = true, .literals = affinity_mode_literals},
    {.key = "pool_infos", .kind = SIM_SHAPE_OBJECTS, .shape = &affinity_pool_shape},
};
static const struct sim_shape node_affinity_shape = SHAPE_OF(node_affinity_fields);

static const struct sim_shape_field affinity_fields[] = {
    {.key = "node_affinity", .kind = SIM_SHAPE_OBJECT, .shape = &node_affinity_shape},
};
static const struct sim_shape affinity_shape = SHAPE_OF(affinity_fields);

static const struct sim_shape_field config_fields[] = {
    {.key = "custom_spec", .kind = SIM_SHAPE_OBJECT, .shape = &custom_spec_shape},
    {.key = "envs", .kind = SIM_SHAPE_TEXT_MAP},
    {.key = "specification", .kind = SIM_SHAPE_TEXT, .required = true},
    {.key = "weight", .kind = SIM_SHAPE_WHOLE_OR_TEXT, .min = 0, .max = 100},
    {.key = "deploy_timeout_in_seconds", .kind = SIM_SHAPE_WHOLE, .min = 0, .max = NO_LIMIT},
    {.key = "model_id", .kind = SIM_SHAPE_TEXT, .required = true},
    {.key = "src_path", .kind = SIM_SHAPE_TEXT},
    {.key = "req_uri", .kind = SIM_SHAPE_TEXT},
    {.key = "mapping_type", .kind = SIM_SHAPE_TEXT, .literals = mapping_type_literals},
    {.key = "cluster_id", .kind = SIM_SHAPE_TEXT},
    {.key = "pool_name", .kind = SIM_SHAPE_TEXT},
    {.key = "nodes", .kind = SIM_SHAPE_TEXTS},
    {.key = "mapping_rule", .kind = SIM_SHAPE_OBJECT},
    {.key = "src_type", .kind = SIM_SHAPE_TEXT},
    {.key = "dest_path", .kind = SIM_SHAPE_TEXT},
    {.key = "instance_count", .kind = SIM_SHAPE_WHOLE, .required = true, .min = 0, .max = INT32_MAX},
    {.key = "additional_properties", .kind = SIM_SHAPE_OBJECT, .shape = &model_properties_shape},
    {.key = "affinity", .kind = SIM_SHAPE_OBJECT, .shape = &affinity_shape},
};
static const struct sim_shape config_shape = SHAPE_OF(config_fields);

static const struct sim_shape_field smn_fields[] = {
    {.key = "topic_urn", .kind = SIM_SHAPE_TEXT, .required = true},
    {.key = "events", .kind = SIM_SHAPE_WHOLES, .required = true},
};
static const struct sim_shape smn_shape = SHAPE_OF(smn_fields);

static const struct sim_shape_field lts_fields[] = {
    {.key = "log_group_id", .kind = SIM_SHAPE_TEXT, .required = true},
    {.key = "log_stream_id", .kind = SIM_SHAPE_TEXT, .required = true},
};
static const struct sim_shape lts_shape = SHAPE_OF(lts_fields);

static const struct sim_shape_field pipeline_fields[] = {
    {.key = "type", .kind = SIM_SHAPE_TEXT, .required = true, .literals = pipeline_type_literals},
    {.key = "configuration", .kind = SIM_SHAPE_OBJECT, .shape = &lts_shape},
};
static const struct sim_shape pipeline_shape = SHAPE_OF(pipeline_fields);

/* The table calls smn_notification mandatory; clients that leave it out are known to work. */
static const struct sim_shape_field service_properties_fields[] = {
    {.key = "smn_notification", .kind = SIM_SHAPE_OBJECT, .shape = &smn_shape},
    {.key = "log_report_channels", .kind = SIM_SHAPE_OBJECTS, .shape = &pipeline_shape},
    {.key = "websocket_upgrade", .kind = SIM_SHAPE_SWITCH},
};
static const struct sim_shape service_properties_shape = SHAPE_OF(service_properties_fields);

static const struct sim_shape_field secret_fields[] = {
    {.key = "secretId", .kind = SIM_SHAPE_TEXT, .required = true},
    {.key = "mouthPath", .kind = SIM_SHAPE_TEXT, .required = true},
};
static const struct sim_shape secret_shape = SHAPE_OF(secret_fields);

static const struct sim_shape_field update_fields[] = {
    {.key = "schedule", .kind = SIM_SHAPE_OBJECTS, .shape = &schedule_shape},
    {.key = "description", .kind = SIM_SHAPE_TEXT},
    {.key = "config", .kind = SIM_SHAPE_OBJECTS, .shape = &config_shape},
    {.key = "status", .kind = SIM_SHAPE_TEXT, .literals = status_literals},
    {.key = "additional_properties", .kind = SIM_SHAPE_OBJECT, .shape = &service_properties_shape},
    {.key = "load_balancer_policy", .kind = SIM_SHAPE_TEXT, .literals = policy_literals},
    {.key = "service_secrets", .kind = SIM_SHAPE_OBJECTS, .shape = &secret_shape},
    {.key = "priority", .kind = SIM_SHAPE_WHOLE, .min = 1, .max = 3},
};
const struct sim_shape sim_shape_update = SHAPE_OF(update_fields);

static const struct sim_shape_field property_config_fields[] = {
    {.key = "changed_value", .kind = SIM_SHAPE_WHOLE_OR_TEXT, .required = true, .min = 0, .max = INT32_MAX},
    {.key = "model_id", .kind = SIM_SHAPE_TEXT, .required = true},
};
static const struct sim_shape property_config_shape = SHAPE_OF(property_config_fields);

static const struct sim_shape_field property_fields[] = {
    {.key = "changed_property", .kind = SIM_SHAPE_TEXT, .required = true},
    {.key = "configs", .kind = SIM_SHAPE_OBJECTS, .shape = &property_config_shape},
};
const struct sim_shape sim_shape_property = SHAPE_OF(property_fields);

/* IAM knows the user by the domain's name and the user's own. */
static const struct sim_shape_field token_domain_fields[] = {
    {.key = "name", .kind = SIM_SHAPE_TEXT, .required = true},
};
static const struct sim_shape token_domain_shape = SHAPE_OF(token_domain_fields);

static const struct sim_shape_field token_user_fields[] = {
    {.key = "name", .kind = SIM_SHAPE_TEXT, .required = true},
    {.key = "password", .kind = SIM_SHAPE_TEXT, .required = true},
    {.key = "domain", .kind = SIM_SHAPE_OBJECT, .required = true, .shape = &token_domain_shape},
};
static const struct sim_shape token_user_shape = SHAPE_OF(token_user_fields);

static const struct sim_shape_field token_password_fields[] = {
    {.key = "user", .kind = SIM_SHAPE_OBJECT, .required = true, .shape = &token_user_shape},
};
static const struct sim_shape token_password_shape = SHAPE_OF(token_password_fields);

static const struct sim_shape_field token_identity_fields[] = {
    {.key = "methods", .kind = SIM_SHAPE_TEXTS, .required = true},
    {.key = "password", .kind = SIM_SHAPE_OBJECT, .required = true, .shape = &token_password_shape},
};
static const struct sim_shape token_identity_shape = SHAPE_OF(token_identity_fields);

/* One of the two; the caller checks that. */
static const struct sim_shape_field token_project_fields[] = {
    {.key = "id", .kind = SIM_SHAPE_TEXT},
    {.key = "name", .kind = SIM_SHAPE_TEXT},
};
static const struct sim_shape token_project_shape = SHAPE_OF(token_project_fields);

static const struct sim_shape_field token_scope_fields[] = {
    {.key = "project", .kind = SIM_SHAPE_OBJECT, .required = true, .shape = &token_project_shape},
};
static const struct sim_shape token_scope_shape = SHAPE_OF(token_scope_fields);

static const struct sim_shape_field token_auth_fields[] = {
    {.key = "identity", .kind = SIM_SHAPE_OBJECT, .required = true, .shape = &token_identity_shape},
    {.key = "scope", .kind = SIM_SHAPE_OBJECT, .required = true, .shape = &token_scope_shape},
};
static const struct sim_shape token_auth_shape = SHAPE_OF(token_auth_fields);

static const struct sim_shape_field token_fields[] = {
    {.key = "auth", .kind = SIM_SHAPE_OBJECT, .required = true, .shape = &token_auth_shape},
};
const struct sim_shape sim_shape_token = SHAPE_OF(token_fields);

bool sim_shape_whole(const cJSON *value, bool text_too, int64_t *out)
{
    const double limit = 9007199254740992.0;
    if (cJSON_IsNumber(value) && value->valuedouble >= -limit && value->valuedouble <= limit &&
        value->valuedouble == floor(value->valuedouble)) {
        *out = (int64_t)value->valuedouble;
        return true;
    }
    if (text_too && cJSON_IsString(value)) {
        const char *digits = value->valuestring;
        return strspn(digits, "0123456789") == strlen(digits) && br_parse_int64(digits, strlen(digits), out);
    }
    return false;
}

static bool refuse_type(struct sim_refusal *refusal, const char *path)
{
    return sim_refuse(refusal, 400, "ModelArts.0104", NULL, NULL, "%s has the wrong type", path);
}

static bool check_range(const struct sim_shape_field *field, const char *path, double number,
                        struct sim_refusal *refusal)
{
    bool has_range = field->min < 0 || field->max > 0;
    if (has_range && (number < field->min || number > field->max)) {
        char text[32];
        snprintf(text, sizeof text, "%.15g", number);
        return sim_refuse(refusal, 400, "ModelArts.0107", field->key, text, "%s is out of range: %s", path,
                          text);
    }
    return true;
}

static bool check_text(const struct sim_shape_field *field, const cJSON *value, const char *path,
                       struct sim_refusal *refusal)
{
    if (!cJSON_IsString(value)) {
        return refuse_type(refusal, path);
    }
    if (field->literals == NULL) {
        return true;
    }
    for (size_t i = 0; field->literals[i] != NULL; i++) {
        if (strcmp(field->literals[i], value->valuestring) == 0) {
            return true;
        }
    }
    return sim_refuse(refusal, 400, "ModelArts.0107", field->key, value->valuestring,
                      "%s is none of its literals", path);
}

static bool is_element_ok(enum sim_shape_kind kind, const cJSON *element)
{
    int64_t number;
    return kind == SIM_SHAPE_WHOLES ? sim_shape_whole(element, false, &number) : cJSON_IsString(element);
}

static bool check_elements(const struct sim_shape_field *field, const cJSON *value, const char *path,
                           struct sim_refusal *refusal)
{
    bool container = field->kind == SIM_SHAPE_TEXT_MAP ? cJSON_IsObject(value) : cJSON_IsArray(value);
    if (!container) {
        return refuse_type(refusal, path);
    }
    size_t index = 0;
    for (const cJSON *element = value->child; element != NULL; element = element->next, index++) {
        char element_path[PATH_CAP];
        snprintf(element_path, sizeof element_path, "%.120s[%zu]", path, index);
        if (field->kind == SIM_SHAPE_OBJECTS) {
            if (!cJSON_IsObject(element)) {
                return refuse_type(refusal, element_path);
            }
            if (field->shape != NULL && !sim_shape_check(field->shape, element, element_path, refusal)) {
                return false;
            }
        } else if (!is_element_ok(field->kind, element)) {
            return refuse_type(refusal, element_path);
        }
    }
    return true;
}

static bool check_value(const struct sim_shape_field *field, const cJSON *value, const char *path,
                        struct sim_refusal *refusal)
{
    int64_t whole;
    switch (field->kind) {
    case SIM_SHAPE_TEXT:
        return check_text(field, value, path, refusal);
    case SIM_SHAPE_WHOLE:
    case SIM_SHAPE_WHOLE_OR_TEXT:
        if (!sim_shape_whole(value, field->kind == SIM_SHAPE_WHOLE_OR_TEXT, &whole)) {
            return refuse_type(refusal, path);
        }
        return check_range(field, path, (double)whole, refusal);
    case SIM_SHAPE_NUMBER:
        return cJSON_IsNumber(value) ? check_range(field, path, value->valuedouble, refusal)
                                     : refuse_type(refusal, path);
    case SIM_SHAPE_SWITCH:
        return cJSON_IsBool(value) ? true : refuse_type(refusal, path);
    case SIM_SHAPE_OBJECT:
        if (!cJSON_IsObject(value)) {
            return refuse_type(refusal, path);
        }
        return field->shape == NULL || sim_shape_check(field->shape, value, path, refusal);
    case SIM_SHAPE_OBJECTS:
    case SIM_SHAPE_TEXTS:
    case SIM_SHAPE_WHOLES:
    case SIM_SHAPE_TEXT_MAP:
        return check_elements(field, value, path, refusal);
    }
    return refuse_type(refusal, path);
}

/*
 * The tables print some objects as Map<String, X> that are plain objects on the wire. A client that believes
 * them wraps the object once more: {"any": {"smn_notification": ...}}.
 */
static bool is_wrapped(const struct sim_shape *shape, const cJSON *value)
{
    for (size_t i = 0; i < shape->count; i++) {
        if (cJSON_IsObject(value) && cJSON_GetObjectItemCaseSensitive(value, shape->fields[i].key) != NULL) {
            return true;
        }
    }
    return false;
}

static bool is_documented_as_map(const struct sim_shape *shape)
{
    return shape == &service_properties_shape || shape == &model_properties_shape || shape == &smn_shape;
}

static const struct sim_shape_field *find_field(const struct sim_shape *shape, const char *key, size_t *index)
{
    for (*index = 0; *index < shape->count; ++*index) {
        if (strcmp(shape->fields[*index].key, key) == 0) {
            return &shape->fields[*index];
        }
    }
    return NULL;
}

bool sim_shape_check(const struct sim_shape *shape, const cJSON *object, const char *path,
                     struct sim_refusal *refusal)
{
    uint32_t seen = 0;
    const char *dot = path[0] != '\0' ? "." : "";
    char field_path[PATH_CAP];
    for (const cJSON *value = object->child; value != NULL; value = value->next) {
        size_t index;
        const struct sim_shape_field *field = find_field(shape, value->string, &index);
        snprintf(field_path, sizeof field_path, "%.80s%s%.70s", path, dot, value->string);
        if (field == NULL) {
            if (is_documented_as_map(shape) && is_wrapped(shape, value)) {
                return sim_refuse(refusal, 400, "ModelArts.0104", NULL, NULL,
                                  "%s wraps an object that must stand there itself", field_path);
            }
            continue;
        }
        if (seen & (UINT32_C(1) << index)) {
            return sim_refuse(refusal, 400, "ModelArts.0104", NULL, NULL, "%s is given twice", field_path);
        }
        seen |= UINT32_C(1) << index;
        if (!check_value(field, value, field_path, refusal)) {
            return false;
        }
    }
    for (size_t i = 0; i < shape->count; i++) {
        if (shape->fields[i].required && !(seen & (UINT32_C(1) << i))) {
            return sim_refuse(refusal, 400, "ModelArts.0101", NULL, NULL, "%s%s%s is missing", path, dot,
                              shape->fields[i].key);
        }
    }
    return true;
}
