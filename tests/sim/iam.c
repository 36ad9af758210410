#include "iam.h"

#include "alloc.h"
#include "faults.h"
#include "shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* "2026-01-04T09:05:22.701000Z" and its NUL, with room for years to come. */
#define TIME_CAP 48
#define JSON_TYPE "application/json"

const char *const sim_expired_form_names[] = {"modelarts-0202", "modelarts-0203", "apig-0301", "apig-0307",
                                              NULL};

void sim_iam_finish(struct sim_iam *iam)
{
    sim_tokens_finish(&iam->tokens);
    for (size_t i = 0; i < iam->user_count; i++) {
        free(iam->users[i].name);
    }
    free(iam->users);
    iam->users = NULL;
    iam->user_count = 0;
}

bool sim_iam_is_token_request(const struct sim_request *request, const struct sim_target *target)
{
    return strcmp(request->method, "POST") == 0 && strcmp(target->path, "/v3/auth/tokens") == 0;
}

static bool refuse(struct sim_refusal *refusal, int http_status, const char *message, const char *detail)
{
    *refusal = (struct sim_refusal){.http_status = http_status};
    snprintf(refusal->message, sizeof refusal->message, "%s", message);
    snprintf(refusal->detail, sizeof refusal->detail, "%s", detail);
    return false;
}

static bool refuse_request(struct sim_refusal *refusal, const char *detail)
{
    return refuse(refusal, 400, "The request body is invalid", detail);
}

static bool refuse_user(struct sim_refusal *refusal, const char *detail)
{
    return refuse(refusal, 401, "The username or password is wrong.", detail);
}

/* "application/json", with or without parameters. */
static bool is_json_type(const char *content_type)
{
    size_t len = strlen(JSON_TYPE);
    return content_type != NULL && strncasecmp(content_type, JSON_TYPE, len) == 0 &&
           strchr("; \t", content_type[len]) != NULL;
}

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static bool check_shape(const struct sim_request *request, const cJSON *body, struct sim_refusal *refusal)
{
    struct sim_refusal shape;
    if (!is_json_type(request->headers[SIM_HEADER_CONTENT_TYPE])) {
        return refuse_request(refusal, "Content-Type is not application/json");
    }
    if (!cJSON_IsObject(body)) {
        return refuse_request(refusal, "the body is not a JSON object");
    }
    if (!sim_shape_check(&sim_shape_token, body, "", &shape)) {
        return refuse_request(refusal, shape.detail);
    }
    const cJSON *methods = member(member(member(body, "auth"), "identity"), "methods");
    if (cJSON_GetArraySize(methods) != 1 || strcmp(methods->child->valuestring, "password") != 0) {
        return refuse_request(refusal, "auth.identity.methods is not [\"password\"]");
    }
    return true;
}

static bool check_user(const struct sim_iam *iam, const cJSON *user, struct sim_refusal *refusal)
{
    struct sim_fault fault;
    const char *name = member(user, "name")->valuestring;
    if (strcmp(name, iam->user) != 0 && !sim_fault_parse_user(name, &fault)) {
        return refuse_user(refusal,
                           sim_fault_is_user(name) ? "there is no such fault" : "there is no such user");
    }
    if (strcmp(member(user, "password")->valuestring, iam->password) != 0) {
        return refuse_user(refusal, "the password is wrong");
    }
    if (strcmp(member(member(user, "domain"), "name")->valuestring, iam->domain) != 0) {
        return refuse_user(refusal, "there is no such domain");
    }
    return true;
}

static bool check_project(const struct sim_iam *iam, const cJSON *project, struct sim_refusal *refusal)
{
    const cJSON *id = member(project, "id");
    const cJSON *name = member(project, "name");
    if (id == NULL && name == NULL) {
        return refuse_request(refusal, "auth.scope.project has neither name nor id");
    }
    if ((id != NULL && strcmp(id->valuestring, iam->project_id) != 0) ||
        (name != NULL && strcmp(name->valuestring, iam->project) != 0)) {
        return refuse(refusal, 404, "Could not find project.", "there is no such project");
    }
    return true;
}

bool sim_iam_check(const struct sim_iam *iam, const struct sim_request *request, const cJSON *body,
                   const char **user, struct sim_refusal *refusal)
{
    if (!check_shape(request, body, refusal)) {
        return false;
    }
    const cJSON *auth = member(body, "auth");
    const cJSON *given = member(member(member(auth, "identity"), "password"), "user");
    if (!check_user(iam, given, refusal) ||
        !check_project(iam, member(member(auth, "scope"), "project"), refusal)) {
        return false;
    }
    *user = member(given, "name")->valuestring;
    return true;
}

static void write_time(int64_t epoch_ms, char *out)
{
    time_t when = (time_t)(epoch_ms / 1000);
    struct tm parts;
    char seconds[TIME_CAP / 2];
    gmtime_r(&when, &parts);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out, TIME_CAP, "%s.%03d000Z", seconds, (int)(epoch_ms % 1000));
}

static void add_named(cJSON *object, const char *key, const char *id, const char *name)
{
    cJSON *named = cJSON_AddObjectToObject(object, key);
    cJSON_AddStringToObject(named, "id", id);
    cJSON_AddStringToObject(named, "name", name);
}

/* The catalog is what makes real answers long; one entry stands for it. */
static void add_catalog(cJSON *token)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddItemToArray(cJSON_AddArrayToObject(token, "catalog"), entry);
    cJSON_AddArrayToObject(entry, "endpoints");
    cJSON_AddStringToObject(entry, "id", "demo-catalog-entry");
    cJSON_AddStringToObject(entry, "name", "modelarts");
    cJSON_AddStringToObject(entry, "type", "modelarts");
}

static cJSON *make_body(const struct sim_iam *iam, const char *user, int64_t now_ms, bool with_catalog)
{
    char issued_at[TIME_CAP], expires_at[TIME_CAP];
    write_time(now_ms + iam->epoch_offset_ms, issued_at);
    write_time(now_ms + iam->epoch_offset_ms + iam->token_lifetime_ms, expires_at);
    cJSON *body = cJSON_CreateObject();
    cJSON *token = cJSON_AddObjectToObject(body, "token");
    cJSON_AddStringToObject(token, "expires_at", expires_at);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(token, "methods"), cJSON_CreateString("password"));
    if (with_catalog) {
        add_catalog(token);
    }
    cJSON_AddArrayToObject(token, "roles");
    add_named(token, "project", iam->project_id, iam->project);
    add_named(cJSON_GetObjectItemCaseSensitive(token, "project"), "domain", "demo-domain-id", iam->domain);
    cJSON_AddStringToObject(token, "issued_at", issued_at);
    add_named(token, "user", "demo-user-id", user);
    add_named(cJSON_GetObjectItemCaseSensitive(token, "user"), "domain", "demo-domain-id", iam->domain);
    return body;
}

void sim_iam_issue(struct sim_iam *iam, const struct sim_target *target, const char *user, int64_t now_ms,
                   struct sim_answer *answer)
{
    bool found;
    char *nocatalog = sim_target_query_value(target, "nocatalog", &found);
    cJSON *body = make_body(iam, user, now_ms, nocatalog == NULL || strcmp(nocatalog, "true") != 0);
    free(nocatalog);
    sim_answer_take_text(answer, 201, JSON_TYPE, cJSON_PrintUnformatted(body));
    cJSON_Delete(body);
    sim_answer_set_token(answer,
                         sim_tokens_issue(&iam->tokens, iam->token_bytes, now_ms + iam->token_lifetime_ms));
}

int64_t *sim_iam_fault_count(struct sim_iam *iam, const char *user)
{
    for (size_t i = 0; i < iam->user_count; i++) {
        if (strcmp(iam->users[i].name, user) == 0) {
            return &iam->users[i].fault_count;
        }
    }
    if (iam->user_count == SIM_IAM_USERS_MAX) {
        return NULL;
    }
    iam->users = sim_realloc(iam->users, (iam->user_count + 1) * sizeof *iam->users);
    iam->users[iam->user_count] = (struct sim_iam_user){.name = sim_strdup(user)};
    return &iam->users[iam->user_count++].fault_count;
}

bool sim_iam_check_token(const struct sim_iam *iam, const char *text, int64_t now_ms,
                         struct sim_refusal *refusal)
{
    static const char detail[] = "the token was handed out and has expired";
    char why[TIME_CAP + 32], expired_at[TIME_CAP];
    const struct sim_token *token = sim_tokens_find(&iam->tokens, text);
    if (token == NULL) {
        return sim_refuse(refusal, 401, "ModelArts.0203", NULL, NULL, "the token is none that is accepted");
    }
    if (now_ms < token->expires_at_ms) {
        return true;
    }
    switch (iam->expired_form) {
    case SIM_EXPIRED_MODELARTS_0202:
        return sim_refuse(refusal, 401, "ModelArts.0202", NULL, NULL, "%s", detail);
    case SIM_EXPIRED_MODELARTS_0203:
        return sim_refuse(refusal, 401, "ModelArts.0203", NULL, NULL, "%s", detail);
    case SIM_EXPIRED_APIG_0301:
        write_time(token->expires_at_ms + iam->epoch_offset_ms, expired_at);
        snprintf(why, sizeof why, "token expires, expires_at:%s", expired_at);
        return sim_refuse_identity(refusal, "APIG.0301", why, detail);
    case SIM_EXPIRED_APIG_0307:
        return sim_refuse(refusal, 401, "APIG.0307", NULL, NULL, "%s", detail);
    }
    return false;
}
