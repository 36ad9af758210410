#include "target.h"

#include "alloc.h"

#include <stdlib.h>
#include <string.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

char *sim_target_decode(const char *text, size_t len)
{
    char *out = sim_alloc(len + 1);
    size_t out_len = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            bool whole = len - i > 2;
            int high = whole ? hex_value(text[i + 1]) : -1;
            int low = whole ? hex_value(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                free(out);
                return NULL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0') {
            free(out);
            return NULL;
        }
        out[out_len++] = c;
    }
    return out;
}

bool sim_target_parse(const char *raw, struct sim_target *out)
{
    *out = (struct sim_target){0};
    const char *question = strchr(raw, '?');
    size_t path_len = question != NULL ? (size_t)(question - raw) : strlen(raw);
    out->path = sim_memdup(raw, path_len);
    if (question != NULL) {
        out->query = sim_strdup(question + 1);
    }
    if (path_len == 0 || raw[0] != '/') {
        return true;
    }
    bool ok = true;
    const char *at = out->path;
    while (*at == '/') {
        at++;
        size_t len = strcspn(at, "/");
        if (out->segment_count < SIM_TARGET_SEGMENTS_MAX) {
            char *segment = sim_target_decode(at, len);
            ok = ok && segment != NULL;
            out->segments[out->segment_count] = segment != NULL ? segment : sim_strdup("");
        }
        out->segment_count++;
        at += len;
    }
    return ok;
}

void sim_target_finish(struct sim_target *target)
{
    free(target->path);
    free(target->query);
    for (size_t i = 0; i < SIM_TARGET_SEGMENTS_MAX; i++) {
        free(target->segments[i]);
    }
    *target = (struct sim_target){0};
}

char *sim_target_query_value(const struct sim_target *target, const char *key, bool *found)
{
    char *value = NULL;
    *found = false;
    const char *at = target->query != NULL ? target->query : "";
    while (*at != '\0') {
        size_t len = strcspn(at, "&");
        const char *equals = memchr(at, '=', len);
        size_t key_len = equals != NULL ? (size_t)(equals - at) : len;
        char *name = sim_target_decode(at, key_len);
        if (name != NULL && strcmp(name, key) == 0) {
            free(value);
            *found = true;
            value = equals != NULL ? sim_target_decode(equals + 1, len - key_len - 1) : sim_strdup("");
        }
        free(name);
        at += len;
        if (*at == '&') {
            at++;
        }
    }
    return value;
}
