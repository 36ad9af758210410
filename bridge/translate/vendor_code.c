#include "translate/vendor_code.h"

#include <stdio.h>
#include <string.h>

#define HTTP_STATUS_DIGITS 3

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

void br_vendor_code_key(const char *code, char key[BR_VENDOR_CODE_CAP])
{
    static const char public_cloud[] = "APIGW.";
    if (strncmp(code, public_cloud, sizeof public_cloud - 1) == 0) {
        (void)snprintf(key, BR_VENDOR_CODE_CAP, "APIG.%s", code + sizeof public_cloud - 1);
    } else {
        (void)snprintf(key, BR_VENDOR_CODE_CAP, "%s", code);
    }
}

/* Not toupper(): codes are ASCII whatever the locale. */
static char reason_char(char c)
{
    if (c >= 'a' && c <= 'z') {
        return (char)(c - 'a' + 'A');
    }
    return is_upper(c) || is_digit(c) ? c : '_';
}

bool br_vendor_code_reason(const char *code, char reason[BR_REASON_CAP])
{
    char key[BR_VENDOR_CODE_CAP];
    br_vendor_code_key(code, key);

    const char *prefix = "";
    if (strspn(key, "0123456789") == strlen(key)) {
        prefix = strlen(key) <= HTTP_STATUS_DIGITS ? "IAM_" : "IAM_LEGACY_";
    }
    char text[sizeof "IAM_LEGACY_" - 1 + BR_VENDOR_CODE_CAP];
    (void)snprintf(text, sizeof text, "%s%s", prefix, key);

    size_t len = strlen(text);
    if (len > BR_REASON_CAP - 1) {
        len = BR_REASON_CAP - 1;
    }
    for (size_t i = 0; i < len; i++) {
        text[i] = reason_char(text[i]);
    }
    while (len > 0 && text[len - 1] == '_') {
        len--;
    }
    text[len] = '\0';

    if (len < 3 || !is_upper(text[0])) {
        return false;
    }
    memcpy(reason, text, len + 1);
    return true;
}
