/* memmem(). */
#define _GNU_SOURCE

#include "upstream/auth.h"

#include <string.h>

/* Headers whose value is a secret, or holds one. */
static const char *const secret_names[] = {"X-Auth-Token", "Authorization", "X-Security-Token"};

/* A shorter part of a secret says nothing: "SDK-HMAC-SHA256" has 15 characters. */
#define PART_MIN_LEN 16

static bool is_in_secret(const char *word, size_t len, const struct br_headers *headers)
{
    for (size_t i = 0; i < sizeof secret_names / sizeof secret_names[0]; i++) {
        const char *value = br_headers_find(headers, secret_names[i]);
        if (value == NULL) {
            continue;
        }
        bool whole = strlen(value) == len && memcmp(value, word, len) == 0;
        if (whole || (len >= PART_MIN_LEN && memmem(value, strlen(value), word, len) != NULL)) {
            return true;
        }
    }
    return false;
}

void br_auth_hide(char *text, const struct br_headers *headers)
{
    static const char between[] = " \t\r\n\"',;:=()[]{}<>";
    char *to = text;
    while (*text != '\0') {
        size_t len = strcspn(text, between);
        if (len == 0) {
            *to++ = *text++;
            continue;
        }
        bool hide = is_in_secret(text, len, headers);
        size_t shown = hide ? (len < 3 ? len : 3) : len;
        memmove(to, hide ? "***" : text, shown);
        to += shown;
        text += len;
    }
    *to = '\0';
}
