#include "translate/vendor_body.h"

#include "base/utf8.h"
#include "translate/json_read.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_KEYS_MAX 2

/* One spelling of an error. */
struct spelling {
    const char *code;
    const char *messages[MESSAGE_KEYS_MAX]; /* the first that is there counts; NULL: no more */
};

static const struct spelling spellings[] = {
    {"error_code", {"error_msg", "error_message"}},
    {"errorCode", {"errorMsg", NULL}},
    {"code", {"message", NULL}},
};

#define SPELLING_COUNT (sizeof spellings / sizeof spellings[0])

/* 2^53: above it a double skips whole numbers. */
#define MAX_NUMBER 9007199254740992.0

static bool is_text(const cJSON *item)
{
    return cJSON_IsString(item) && item->valuestring[0] != '\0';
}

static bool is_code(const cJSON *item)
{
    if (!cJSON_IsNumber(item)) {
        return is_text(item);
    }
    double number = item->valuedouble;
    return number >= 0 && number < MAX_NUMBER && floor(number) == number;
}

static const cJSON *find_code(const cJSON *object, const struct spelling *spelling)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, spelling->code);
    return is_code(item) ? item : NULL;
}

static const cJSON *find_message(const cJSON *object, const struct spelling *spelling)
{
    for (size_t i = 0; i < MESSAGE_KEYS_MAX && spelling->messages[i] != NULL; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, spelling->messages[i]);
        if (is_text(item)) {
            return item;
        }
    }
    return NULL;
}

typedef const cJSON *(*find_fn)(const cJSON *object, const struct spelling *spelling);

/* What was found, and where. */
struct found {
    const cJSON *item; /* NULL: nothing */
    const cJSON *object;
    const struct spelling *spelling;
};

/* Searches |node| and all below it; br_json_parse() has bounded how deep that is. */
static struct found search(const cJSON *node, find_fn find)
{
    if (cJSON_IsObject(node)) {
        for (size_t i = 0; i < SPELLING_COUNT; i++) {
            const cJSON *item = find(node, &spellings[i]);
            if (item != NULL) {
                return (struct found){.item = item, .object = node, .spelling = &spellings[i]};
            }
        }
    }
    const cJSON *child;
    cJSON_ArrayForEach(child, node)
    {
        struct found found = search(child, find);
        if (found.item != NULL) {
            return found;
        }
    }
    return (struct found){.item = NULL};
}

/* Copies |text| cut between characters. */
static void copy_text(const char *text, char *out, size_t cap)
{
    size_t len = strnlen(text, cap - 1);
    len = br_utf8_valid_prefix(text, len);
    memcpy(out, text, len);
    out[len] = '\0';
}

static void copy_code(const cJSON *item, char out[BR_VENDOR_CODE_CAP])
{
    if (cJSON_IsNumber(item)) {
        (void)snprintf(out, BR_VENDOR_CODE_CAP, "%.0f", item->valuedouble);
    } else {
        copy_text(item->valuestring, out, BR_VENDOR_CODE_CAP);
    }
}

void br_request_id_copy(const char *text, char out[BR_REQUEST_ID_CAP])
{
    size_t len = 0;
    while (text[len] >= ' ' && text[len] <= '~') {
        len++;
    }
    if (text[len] != '\0') {
        len = 0;
    }
    if (len > BR_REQUEST_ID_CAP - 1) {
        len = BR_REQUEST_ID_CAP - 1;
    }
    memcpy(out, text, len);
    out[len] = '\0';
}

static void read_request_id(const cJSON *object, char out[BR_REQUEST_ID_CAP])
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, "request_id");
    if (is_text(item)) {
        br_request_id_copy(item->valuestring, out);
    }
}

static void read_tree(const cJSON *root, struct br_vendor_body *out)
{
    struct found code = search(root, find_code);
    const cJSON *message = NULL;
    if (code.item != NULL) {
        copy_code(code.item, out->code);
        message = find_message(code.object, code.spelling);
        read_request_id(code.object, out->request_id);
    }
    if (message == NULL) {
        message = search(root, find_message).item;
    }
    if (message != NULL) {
        copy_text(message->valuestring, out->message, sizeof out->message);
    }
    if (out->request_id[0] == '\0') {
        read_request_id(root, out->request_id);
    }
}

void br_vendor_body_read(const char *body, size_t len, struct br_vendor_body *out)
{
    out->is_json = false;
    out->no_memory = false;
    out->code[0] = '\0';
    out->message[0] = '\0';
    out->request_id[0] = '\0';
    if (len == 0) {
        return;
    }

    const struct br_json_reader reader = {.code = BR_INTERNAL, .reason = "UPSTREAM_MALFORMED_RESPONSE"};
    struct br_status st;
    cJSON *root;
    if (!br_json_parse(&reader, body, len, &root, &st)) {
        out->no_memory = st.code != reader.code;
        return;
    }
    out->is_json = true;
    read_tree(root, out);
    cJSON_Delete(root);
}
