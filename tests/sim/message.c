#include "message.h"

#include "alloc.h"
#include "random.h"

#include <cjson/cJSON.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const sim_header_names[SIM_HEADER_COUNT] = {
    [SIM_HEADER_CONTENT_TYPE] = "content-type", [SIM_HEADER_AUTH_TOKEN] = "x-auth-token",
    [SIM_HEADER_REQUEST_ID] = "x-request-id",   [SIM_HEADER_TRACEPARENT] = "traceparent",
    [SIM_HEADER_USER_AGENT] = "user-agent",     [SIM_HEADER_ACCEPT] = "accept",
    [SIM_HEADER_PROJECT_ID] = "x-project-id",   [SIM_HEADER_TRACESTATE] = "tracestate",
};

const char *sim_request_header(const struct sim_request *request, const char *name, size_t *count)
{
    const char *value = NULL;
    *count = 0;
    for (size_t i = 0; i < request->all_header_count; i++) {
        if (strcasecmp(request->all_headers[i].name, name) == 0) {
            value = *count == 0 ? request->all_headers[i].value : value;
            ++*count;
        }
    }
    return value;
}

void sim_answer_init(struct sim_answer *answer)
{
    *answer = (struct sim_answer){0};
    unsigned char bytes[16];
    sim_random_fill(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        snprintf(answer->request_id + 2 * i, 3, "%02x", bytes[i]);
    }
}

void sim_answer_drop_body(struct sim_answer *answer)
{
    free(answer->text);
    answer->text = NULL;
    answer->text_len = 0;
    answer->run_count = 0;
}

void sim_answer_set_token(struct sim_answer *answer, const char *token)
{
    sim_answer_drop_token(answer);
    answer->subject_token = sim_strdup(token);
}

void sim_answer_drop_token(struct sim_answer *answer)
{
    free(answer->subject_token);
    answer->subject_token = NULL;
}

void sim_answer_finish(struct sim_answer *answer)
{
    sim_answer_drop_body(answer);
    sim_answer_drop_token(answer);
}

void sim_answer_take_text(struct sim_answer *answer, int http_status, const char *content_type, char *text)
{
    sim_answer_drop_body(answer);
    answer->http_status = http_status;
    answer->content_type = content_type;
    answer->text = text;
    answer->text_len = strlen(text);
}

void sim_answer_set_text(struct sim_answer *answer, int http_status, const char *content_type,
                         const char *text)
{
    sim_answer_take_text(answer, http_status, content_type, sim_strdup(text));
}

void sim_answer_add_run(struct sim_answer *answer, const char *text, uint64_t count)
{
    assert(answer->run_count < SIM_RUNS_MAX);
    answer->runs[answer->run_count++] = (struct sim_run){.text = text, .len = strlen(text), .count = count};
}

static const char *title_of(int http_status)
{
    static const struct {
        int http_status;
        const char *title;
    } titles[] = {
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {409, "Conflict"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++) {
        if (titles[i].http_status == http_status) {
            return titles[i].title;
        }
    }
    return "Error";
}

void sim_answer_set_error(struct sim_answer *answer, int http_status, const char *code, const char *message)
{
    cJSON *body = cJSON_CreateObject();
    /* Each layer has its own order and its own keys, as captured from the live services. */
    if (code[0] == '\0') {
        cJSON *error = cJSON_AddObjectToObject(body, "error");
        cJSON_AddNumberToObject(error, "code", http_status);
        cJSON_AddStringToObject(error, "message", message);
        cJSON_AddStringToObject(error, "title", title_of(http_status));
    } else if (strncmp(code, "ModelArts.", strlen("ModelArts.")) == 0) {
        cJSON_AddStringToObject(body, "error_code", code);
        cJSON_AddStringToObject(body, "error_msg", message);
    } else {
        cJSON_AddStringToObject(body, "error_msg", message);
        cJSON_AddStringToObject(body, "error_code", code);
        if (strncmp(code, "APIG", strlen("APIG")) == 0) {
            cJSON_AddStringToObject(body, "request_id", answer->request_id);
        }
    }
    sim_answer_take_text(answer, http_status, "application/json", cJSON_PrintUnformatted(body));
    cJSON_Delete(body);
}

uint64_t sim_answer_body_len(const struct sim_answer *answer)
{
    uint64_t len = answer->text_len;
    for (size_t i = 0; i < answer->run_count; i++) {
        len += answer->runs[i].len * answer->runs[i].count;
    }
    return len;
}

static size_t read_run(const struct sim_run *run, uint64_t offset, char *out, size_t cap)
{
    uint64_t left = run->len * run->count - offset;
    size_t len = left < cap ? (size_t)left : cap;
    if (run->len == 1) {
        memset(out, run->text[0], len);
        return len;
    }
    for (size_t i = 0; i < len; i++) {
        out[i] = run->text[(offset + i) % run->len];
    }
    return len;
}

size_t sim_answer_read(const struct sim_answer *answer, uint64_t offset, char *out, size_t cap)
{
    if (answer->text != NULL) {
        if (offset >= answer->text_len) {
            return 0;
        }
        size_t left = answer->text_len - (size_t)offset;
        size_t len = left < cap ? left : cap;
        memcpy(out, answer->text + offset, len);
        return len;
    }
    size_t done = 0;
    for (size_t i = 0; i < answer->run_count && done < cap; i++) {
        uint64_t run_len = answer->runs[i].len * answer->runs[i].count;
        if (offset < run_len) {
            done += read_run(&answer->runs[i], offset, out + done, cap - done);
            offset = 0;
        } else {
            offset -= run_len;
        }
    }
    return done;
}
