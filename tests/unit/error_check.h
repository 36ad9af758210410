/*
 * What the tests of error_map.c share: the methods they call, and what must hold of any error.
 */
#ifndef TESTS_UNIT_ERROR_CHECK_H
#define TESTS_UNIT_ERROR_CHECK_H

#include "translate/error_map.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#define NOW_S 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */

static const struct br_method once = {.name = "Once", .idempotency = BR_IDEMPOTENCY_UNKNOWN};
static const struct br_method repeatable = {.name = "Repeatable", .idempotency = BR_IDEMPOTENT};
static const struct br_method reading = {.name = "Reading", .idempotency = BR_NO_SIDE_EFFECTS};

static inline bool is_reason(const char *text)
{
    size_t len = strlen(text);
    return len >= 3 && len <= 63 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == len &&
           text[0] >= 'A' && text[0] <= 'Z' && text[len - 1] != '_';
}

/* What must hold of any error, whatever was answered. */
static inline void expect_sane(const struct br_error *error)
{
    assert_in_range(error->st.code, 1, 16);
    assert_true(is_reason(error->st.reason));
    assert_true(error->st.msg[0] != '\0');
    assert_int_equal(br_utf8_valid_prefix(error->st.msg, strlen(error->st.msg)), strlen(error->st.msg));
    for (const char *c = error->st.msg; *c != '\0'; c++)
        assert_false((*c > 0 && *c < ' ') || *c == 0x7f);
    assert_non_null(error->domain);
    assert_null(error->violations);
    assert_in_range(error->retry_after_ms + 1, 0, 3600001);
}

static inline const char *metadata(const struct br_error *error, const char *key)
{
    const char *value = NULL;
    for (size_t i = 0; i < error->metadata_count; i++) {
        if (strcmp(error->metadata[i].name, key) == 0) {
            assert_null(value);
            value = error->metadata[i].value;
        }
    }
    return value;
}

static inline void expect_error(const struct br_error *error, enum br_code code, const char *reason,
                                const char *domain)
{
    assert_string_equal(br_code_name(error->st.code), br_code_name(code));
    assert_string_equal(error->st.reason, reason);
    assert_string_equal(error->domain, domain);
}

#endif
