#include "forms.h"

#include "alloc.h"

#include <stdlib.h>
#include <string.h>

#define FORM_PREFIX "form-"

static const struct {
    const char *name;
    enum sim_form form;
} form_names[SIM_FORM_COUNT] = {
    {"strings", SIM_FORM_STRINGS},
    {"single-resource-id", SIM_FORM_SINGLE_RESOURCE_ID},
    {"empty-object", SIM_FORM_EMPTY_OBJECT},
    {"empty-body", SIM_FORM_EMPTY_BODY},
    {"204", SIM_FORM_204},
    {"nulls", SIM_FORM_NULLS},
    {"unknown-fields", SIM_FORM_UNKNOWN_FIELDS},
    {"duplicate-keys", SIM_FORM_DUPLICATE_KEYS},
    {"no-content-type", SIM_FORM_NO_CONTENT_TYPE},
    {"charset", SIM_FORM_CHARSET},
    {"201", SIM_FORM_201},
    {"failed-update", SIM_FORM_FAILED_UPDATE},
};

unsigned sim_forms_parse(const char *id)
{
    unsigned forms = 0;
    for (const char *at = strstr(id, FORM_PREFIX); at != NULL; at = strstr(at + 1, FORM_PREFIX)) {
        /* "svc-platform-204" is not a form. */
        if (at > id && at[-1] != '-') {
            continue;
        }
        const char *name = at + strlen(FORM_PREFIX);
        for (size_t i = 0; i < SIM_FORM_COUNT; i++) {
            size_t len = strlen(form_names[i].name);
            if (strncmp(name, form_names[i].name, len) == 0 && (name[len] == '\0' || name[len] == '-')) {
                forms |= form_names[i].form;
            }
        }
    }
    return forms;
}

/* Every number in the tree becomes a string of its digits. */
static void numbers_to_strings(cJSON *parent)
{
    for (cJSON *item = parent->child; item != NULL; item = item->next) {
        if (cJSON_IsNumber(item)) {
            char *text = cJSON_PrintUnformatted(item);
            cJSON *string = cJSON_CreateString(text);
            free(text);
            if (item->string != NULL) {
                string->string = sim_strdup(item->string);
            }
            cJSON_ReplaceItemViaPointer(parent, item, string);
            item = string;
        } else {
            numbers_to_strings(item);
        }
    }
}

static void single_resource_id(cJSON *body)
{
    cJSON *ids = cJSON_GetObjectItemCaseSensitive(body, "resource_ids");
    if (cJSON_GetArraySize(ids) > 0) {
        cJSON *first = cJSON_DetachItemFromArray(ids, 0);
        cJSON_ReplaceItemInObjectCaseSensitive(body, "resource_ids", first);
    }
}

static void add_nulls(cJSON *object, const char *const *keys)
{
    for (; *keys != NULL; keys++) {
        if (!cJSON_HasObjectItem(object, *keys)) {
            cJSON_AddNullToObject(object, *keys);
        }
    }
}

static void absent_to_null(enum sim_body_kind kind, cJSON *body)
{
    static const char *const update_keys[] = {"update_time", "resource_ids", NULL};
    static const char *const service_keys[] = {"schedule",   "priority",        "load_balancer_policy",
                                               "cluster_id", "service_secrets", NULL};
    static const char *const log_keys[] = {"success_num", "failed_num",    "result_detail",
                                           "cluster_id",  "extend_config", NULL};
    static const char *const config_keys[] = {"weight", "cluster_id", "pool_name", "affinity", NULL};
    cJSON *config, *element, *log;
    switch (kind) {
    case SIM_BODY_UPDATE:
        add_nulls(body, update_keys);
        break;
    case SIM_BODY_SERVICE:
        add_nulls(body, service_keys);
        config = cJSON_GetObjectItemCaseSensitive(body, "config");
        cJSON_ArrayForEach(element, config)
        {
            add_nulls(element, config_keys);
        }
        break;
    case SIM_BODY_LOGS:
        cJSON_ArrayForEach(log, cJSON_GetObjectItemCaseSensitive(body, "logs"))
        {
            add_nulls(log, log_keys);
            config = cJSON_GetObjectItemCaseSensitive(log, "config");
            cJSON_ArrayForEach(element, config)
            {
                add_nulls(element, config_keys);
            }
        }
        break;
    case SIM_BODY_LIST:
        break;
    }
}

static void replace_text(cJSON *object, const char *key, const char *text)
{
    if (cJSON_HasObjectItem(object, key)) {
        cJSON_ReplaceItemInObjectCaseSensitive(object, key, cJSON_CreateString(text));
    }
}

static void add_unknown(cJSON *object)
{
    cJSON_AddStringToObject(object, "field_of_tomorrow", "unknown to every client");
    cJSON *nested = cJSON_AddObjectToObject(object, "object_of_tomorrow");
    cJSON_AddItemToObject(nested, "list", cJSON_Parse("[1,{\"a\":null},[true]]"));
}

/* New keys at every level and, where the API has an enum, a literal that no document lists. */
static void add_unknown_fields(enum sim_body_kind kind, cJSON *body)
{
    cJSON *log, *detail;
    add_unknown(body);
    if (kind == SIM_BODY_SERVICE) {
        replace_text(body, "status", "hibernating");
    }
    cJSON_ArrayForEach(log, cJSON_GetObjectItemCaseSensitive(body, "logs"))
    {
        add_unknown(log);
        replace_text(log, "result", "PARTLY");
        cJSON_ArrayForEach(detail, cJSON_GetObjectItemCaseSensitive(log, "result_detail"))
        {
            replace_text(detail, "operation", "relocate");
        }
    }
}

/*
 * Puts a second "update_time", of another value, before each one. A quotation mark inside a JSON string has a
 * backslash before it, so the pattern only meets keys.
 */
static char *duplicate_keys(const char *text)
{
    static const char key[] = "\"update_time\":", extra[] = "\"update_time\":1,";
    size_t count = 0;
    for (const char *at = strstr(text, key); at != NULL; at = strstr(at + 1, key)) {
        count++;
    }
    char *out = sim_alloc(strlen(text) + count * (sizeof extra - 1) + 1);
    char *end = out;
    for (const char *at; (at = strstr(text, key)) != NULL; text = at + sizeof key - 1) {
        memcpy(end, text, (size_t)(at - text));
        end += at - text;
        memcpy(end, extra, sizeof extra - 1);
        end += sizeof extra - 1;
        memcpy(end, key, sizeof key - 1);
        end += sizeof key - 1;
    }
    memcpy(end, text, strlen(text) + 1);
    return out;
}

void sim_forms_render(unsigned forms, enum sim_body_kind kind, cJSON *body, struct sim_answer *answer)
{
    if (forms & SIM_FORM_UNKNOWN_FIELDS) {
        add_unknown_fields(kind, body);
    }
    if (forms & SIM_FORM_NULLS) {
        absent_to_null(kind, body);
    }
    if (forms & SIM_FORM_SINGLE_RESOURCE_ID) {
        single_resource_id(body);
    }
    if (forms & SIM_FORM_STRINGS) {
        numbers_to_strings(body);
    }
    char *text = cJSON_PrintUnformatted(body);
    if (forms & SIM_FORM_DUPLICATE_KEYS) {
        char *doubled = duplicate_keys(text);
        free(text);
        text = doubled;
    }
    const char *content_type = "application/json";
    if (forms & SIM_FORM_CHARSET) {
        content_type = "application/json;charset=UTF-8";
    }
    if (forms & (SIM_FORM_NO_CONTENT_TYPE | SIM_FORM_EMPTY_BODY | SIM_FORM_204)) {
        content_type = NULL;
    }
    sim_answer_take_text(answer, (forms & SIM_FORM_201) ? 201 : 200, content_type, text);
    if (forms & SIM_FORM_EMPTY_OBJECT) {
        sim_answer_set_text(answer, answer->http_status, content_type, "{}");
    }
    if (forms & (SIM_FORM_EMPTY_BODY | SIM_FORM_204)) {
        sim_answer_set_text(answer, (forms & SIM_FORM_204) ? 204 : answer->http_status, NULL, "");
    }
}
