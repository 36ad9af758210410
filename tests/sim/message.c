#include "message.h"

#include "alloc.h"

#include "base/log.h"

#include <cjson/cJSON.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

const char *const sim_header_names[SIM_HEADER_COUNT] = {
    [SIM_HEADER_CONTENT_TYPE] = "content-type", [SIM_HEADER_AUTH_TOKEN] = "x-auth-token",
    [SIM_HEADER_REQUEST_ID] = "x-request-id",   [SIM_HEADER_TRACEPARENT] = "traceparent",
    [SIM_HEADER_USER_AGENT] = "user-agent",     [SIM_HEADER_ACCEPT] = "accept",
};

void sim_answer_init(struct sim_answer *answer)
{
    *answer = (struct sim_answer){0};
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        BR_LOG(BR_LOG_ERROR, "no_random_bytes", br_log_text("from", "getrandom"));
        _exit(1);
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        snprintf(answer->request_id + 2 * i, 3, "%02x", bytes[i]);
    }
}

static void drop_body(struct sim_answer *answer)
{
    free(answer->text);
    answer->text = NULL;
    answer->text_len = 0;
    answer->run_count = 0;
}

void sim_answer_finish(struct sim_answer *answer)
{
    drop_body(answer);
}

void sim_answer_take_text(struct sim_answer *answer, int http_status, const char *content_type, char *text)
{
    drop_body(answer);
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

void sim_answer_set_error(struct sim_answer *answer, int http_status, const char *code, const char *message)
{
    cJSON *body = cJSON_CreateObject();
    /* Each layer has its own order and its own keys, as captured from the live services. */
    if (strncmp(code, "ModelArts.", strlen("ModelArts.")) == 0) {
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
