/*
 * Credential files, as they are and after a change, and the request for a token that is made of them.
 *
 * Input: the contents of the four files, then what they become; a byte 0x1E between any two. A file whose content begins
 * with 0x1F is missing.
 */
#include "fuzz.h"

#include "base/log.h"
#include "upstream/iam_token.h"

#include <cjson/cJSON.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEPARATOR '\x1E'
#define MISSING '\x1F'

static char folder[] = "/dev/shm/fuzz-credentials-XXXXXX";
static int folder_fd = -1;

static void remove_folder(void)
{
    for (size_t i = 0; i < BR_IAM_TOKEN_FILE_COUNT; i++) {
        (void)unlinkat(folder_fd, br_iam_token_files[i].name, 0);
    }
    (void)close(folder_fd);
    (void)rmdir(folder);
}

static void make_folder(void)
{
    assert(mkdtemp(folder) != NULL);
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert(folder_fd >= 0);
    (void)atexit(remove_folder);
    br_log_set_level(BR_LOG_ERROR);
}

/* What the files hold after they were written: the values that a set of them must have. */
struct contents {
    char *texts[BR_IAM_TOKEN_FILE_COUNT];
    bool are_good;
};

static bool is_good(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            return false;
        }
    }
    return len > 0;
}

static void write_file(const char *name, const char *text, size_t len)
{
    int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert(fd >= 0 && write(fd, text, len) == (ssize_t)len);
    assert(close(fd) == 0);
}

static void write_files(struct fuzz_input *input, struct contents *out)
{
    out->are_good = true;
    for (size_t i = 0; i < BR_IAM_TOKEN_FILE_COUNT; i++) {
        const char *name = br_iam_token_files[i].name;
        size_t len;
        char *text = fuzz_part(input, SEPARATOR, &len);
        bool is_missing = len > 0 && text[0] == MISSING;
        if (is_missing) {
            assert(unlinkat(folder_fd, name, 0) == 0 || errno == ENOENT);
        } else {
            write_file(name, text, len);
        }
        bool is_too_long = len > BR_CREDENTIAL_MAX_BYTES;
        if (len > 0 && text[len - 1] == '\n') {
            text[--len] = '\0';
        }
        out->are_good = out->are_good && !is_missing && !is_too_long && is_good(text, len);
        out->texts[i] = text;
    }
}

static void free_contents(struct contents *contents)
{
    for (size_t i = 0; i < BR_IAM_TOKEN_FILE_COUNT; i++) {
        free(contents->texts[i]);
    }
}

static void check_set(const struct br_credential_set *set, const struct contents *contents)
{
    for (size_t i = 0; i < BR_IAM_TOKEN_FILE_COUNT; i++) {
        assert(strcmp(set->values[i], contents->texts[i]) == 0);
    }
}

/* The JSON holds the values as they are. */
static void check_body(const struct br_credential_set *set)
{
    size_t cap;
    char *body = br_iam_token_write_body(set, &cap);
    assert(body != NULL && strlen(body) < cap);
    fuzz_check_json(body, strlen(body));
    cJSON *json = cJSON_Parse(body);
    const cJSON *auth = cJSON_GetObjectItem(json, "auth");
    const cJSON *user =
        cJSON_GetObjectItem(cJSON_GetObjectItem(cJSON_GetObjectItem(auth, "identity"), "password"), "user");
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(user, "name"));
    const char *password = cJSON_GetStringValue(cJSON_GetObjectItem(user, "password"));
    assert(name != NULL && strcmp(name, set->values[0]) == 0);
    assert(password != NULL && strcmp(password, set->values[1]) == 0);
    cJSON_Delete(json);
    free(body);
}

struct clock {
    struct br_clock base; /* first */
    int64_t now_us;
};

static int64_t now_us(const struct br_clock *self)
{
    return ((const struct clock *)self)->now_us;
}

/* A change is taken as a whole, or not at all. */
static void change(struct br_credentials *credentials, const struct contents *before,
                   const struct contents *after)
{
    const struct br_credential_set *set = br_credentials_take(credentials);
    check_set(set, after->are_good ? after : before);
    check_body(set);
    br_credentials_give_back(credentials, set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {.at = data, .end = data + size};
    struct clock clock = {.base.now_us = now_us};
    struct br_credentials *credentials;
    struct br_status st;
    struct contents before;
    if (folder_fd < 0) {
        make_folder();
    }
    write_files(&input, &before);
    if (br_credentials_create(folder, br_iam_token_files, BR_IAM_TOKEN_FILE_COUNT, &clock.base, &credentials,
                              &st)) {
        struct contents after;
        assert(before.are_good);
        write_files(&input, &after);
        clock.now_us = BR_CREDENTIALS_CHECK_MS * 1000;
        change(credentials, &before, &after);
        free_contents(&after);
        br_credentials_destroy(credentials);
    } else {
        assert(!before.are_good);
        fuzz_check_status(&st);
    }
    free_contents(&before);
    return 0;
}
