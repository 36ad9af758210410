#include "journal.h"

#include "alloc.h"
#include "text.h"

#include "base/log.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool sim_journal_open(struct sim_journal *journal, const char *path, struct br_status *st)
{
    struct sim_journal opened = {0};
    if (path != NULL) {
        opened.file = fopen(path, "ae");
        if (opened.file == NULL) {
            return br_status_set(st, BR_FAILED_PRECONDITION, "JOURNAL", "cannot open the journal %s: %s",
                                 path, strerror(errno));
        }
    }
    *journal = opened;
    return true;
}

void sim_journal_close(struct sim_journal *journal)
{
    if (journal->file != NULL) {
        fclose(journal->file);
    }
    *journal = (struct sim_journal){0};
}

static void add_bytes(cJSON *object, const char *key, const char *bytes, size_t len)
{
    if (bytes == NULL) {
        cJSON_AddNullToObject(object, key);
        return;
    }
    char *text = sim_text_clean(bytes, len);
    cJSON_AddStringToObject(object, key, text);
    free(text);
}

static void add_text(cJSON *object, const char *key, const char *text)
{
    add_bytes(object, key, text, text != NULL ? strlen(text) : 0);
}

static void add_headers(cJSON *line, const struct sim_request *request)
{
    cJSON *headers = cJSON_AddObjectToObject(line, "headers");
    for (int i = 0; i < SIM_HEADER_COUNT; i++) {
        if (i == SIM_HEADER_AUTH_TOKEN) {
            /* The token is a secret. That it was sent twice is a fault worth seeing. */
            const char *seen = request->auth_token_count == 0 ? "absent" : "present";
            cJSON_AddStringToObject(headers, sim_header_names[i],
                                    request->auth_token_count > 1 ? "repeated" : seen);
        } else if (request->headers[i] != NULL) {
            add_text(headers, sim_header_names[i], request->headers[i]);
        }
    }
}

/* Whether a text under |key| can be no secret in a request for a token. */
static bool is_shown(const char *key)
{
    static const char *const shown[] = {"methods", "name", "id"};
    for (size_t i = 0; key != NULL && i < sizeof shown / sizeof shown[0]; i++) {
        if (strcmp(key, shown[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* |value| without what may be a secret. |key| is the one it stands under; NULL: none. */
static cJSON *hide(const cJSON *value, const char *key)
{
    if (!cJSON_IsObject(value) && !cJSON_IsArray(value)) {
        return is_shown(key) ? cJSON_Duplicate(value, false) : cJSON_CreateString("present");
    }
    bool is_object = cJSON_IsObject(value);
    cJSON *copy = is_object ? cJSON_CreateObject() : cJSON_CreateArray();
    for (const cJSON *item = value->child; item != NULL; item = item->next) {
        if (is_object) {
            cJSON_AddItemToObject(copy, item->string, hide(item, item->string));
        } else {
            cJSON_AddItemToArray(copy, hide(item, key));
        }
    }
    return copy;
}

static void add_hidden_body(cJSON *line, const struct sim_request *request)
{
    if (request->body_len == 0) {
        cJSON_AddNullToObject(line, "body");
    } else if (sim_text_is_json(request->body, request->body_len, SIM_JSON_DEPTH_MAX)) {
        cJSON *body = cJSON_ParseWithLength(request->body, request->body_len);
        cJSON_AddItemToObject(line, "body", hide(body, NULL));
        cJSON_Delete(body);
    } else {
        cJSON_AddStringToObject(line, "body", "present");
    }
}

/* The body's own bytes where they are JSON, so that a reader sees 100 and 100.0, and a key given twice, as
 * sent. */
static void add_body(cJSON *line, const struct sim_request *request)
{
    if (request->body != NULL && sim_text_is_json(request->body, request->body_len, SIM_JSON_DEPTH_MAX)) {
        char *copy = sim_memdup(request->body, request->body_len);
        cJSON_Minify(copy);
        cJSON_AddRawToObject(line, "body", copy);
        free(copy);
    } else {
        add_bytes(line, "body", request->body, request->body_len);
    }
}

void sim_journal_write(struct sim_journal *journal, const struct sim_journal_entry *entry)
{
    journal->seq++;
    if (journal->file == NULL) {
        return;
    }
    cJSON *line = cJSON_CreateObject();
    cJSON_AddNumberToObject(line, "seq", (double)journal->seq);
    add_text(line, "method", entry->request->method);
    add_text(line, "path", entry->target->path);
    add_text(line, "query", entry->target->query);
    add_headers(line, entry->request);
    cJSON_AddStringToObject(line, "auth", entry->auth);
    if (entry->hides_body) {
        add_hidden_body(line, entry->request);
    } else {
        add_body(line, entry->request);
    }
    if (entry->answer->delivery == SIM_DELIVERY_NORMAL) {
        cJSON_AddNumberToObject(line, "status", entry->answer->http_status);
    } else {
        cJSON_AddNullToObject(line, "status");
    }
    add_text(line, "service_id", entry->service_id);
    add_text(line, "fault", entry->fault);
    cJSON_AddBoolToObject(line, "executed", entry->executed);
    if (entry->issued == SIM_ISSUED_NOT_ASKED) {
        cJSON_AddNullToObject(line, "issued");
    } else {
        cJSON_AddBoolToObject(line, "issued", entry->issued == SIM_ISSUED_YES);
    }
    cJSON_AddStringToObject(line, "request_id", entry->answer->request_id);
    add_text(line, "detail", entry->detail[0] != '\0' ? entry->detail : NULL);
    char *text = cJSON_PrintUnformatted(line);
    cJSON_Delete(line);
    bool ok =
        fputs(text, journal->file) != EOF && fputc('\n', journal->file) != EOF && fflush(journal->file) == 0;
    free(text);
    if (!ok) {
        BR_LOG(BR_LOG_ERROR, "journal_failed", br_log_text("error", strerror(errno)));
        _exit(1);
    }
}
