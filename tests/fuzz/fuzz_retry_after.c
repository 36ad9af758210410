/*
 * Retry-After: seconds, or one of the three forms of an HTTP date.
 *
 * Input: the value.
 */
/* strptime(). */
#define _GNU_SOURCE

#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Whether |text| is just what the preferred form of RFC 9110 makes of a time, which it then is. */
static bool is_date(const char *text, int64_t *date_s)
{
    static const char form[] = "%a, %d %b %Y %H:%M:%S GMT";
    char again[64];
    struct tm tm = {.tm_sec = 0};
    const char *end = strptime(text, form, &tm);
    if (end == NULL || *end != '\0') {
        return false;
    }
    *date_s = timegm(&tm);
    return strftime(again, sizeof again, form, &tm) > 0 && strcmp(again, text) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t nows_s[] = {0, FUZZ_NOW_S, FUZZ_NOW_S + 3599, 253402300799};
    struct fuzz_input input = {.at = data, .end = data + size};
    char *text = fuzz_part(&input, '\0', NULL);
    bool is_number = text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
    int64_t before_ms = 3600000;
    for (size_t i = 0; i < sizeof nows_s / sizeof nows_s[0]; i++) {
        int64_t date_s;
        int64_t wait_ms = br_retry_after_ms(text, nows_s[i]);
        assert(wait_ms >= -1 && wait_ms <= 3600000 && (wait_ms == -1 || wait_ms % 1000 == 0));
        assert(!is_number || wait_ms >= 0);
        if (!is_number && is_date(text, &date_s)) {
            int64_t want_s = date_s - nows_s[i];
            want_s = want_s < 0 ? 0 : want_s > 3600 ? 3600 : want_s;
            assert(wait_ms == want_s * 1000);
        }
        /* The same text is a value at any time, and asks for no longer wait later. */
        assert(i == 0 || (wait_ms <= before_ms && (wait_ms == -1) == (before_ms == -1)));
        before_ms = wait_ms;
    }
    free(text);
    return 0;
}
