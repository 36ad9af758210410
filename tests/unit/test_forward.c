#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/forward.h"

#include <string.h>

static const char *const own_keys[] = {"x-tenant", "x-colour"};
static const struct br_forward forward = {
    .metadata = {.items = (const char **)(uintptr_t)own_keys, .count = 2}};

static struct br_metadatum metadatum(const char *key, const char *value, size_t value_len)
{
    return (struct br_metadatum){.key = key, .key_len = strlen(key), .value = value, .value_len = value_len};
}

static void test_metadata_by_allow_list(void **state)
{
    (void)state;
    const struct br_metadatum metadata[] = {
        metadatum("cookie", "a=b", 3),       metadatum("x-request-id", "1", 1),
        metadatum("X-Tenant", "upper", 5),   metadatum("x-tenant", "blue", 4),
        metadatum("x-tenant", "red", 3),     metadatum("x-tenant2", "no", 2),
        metadatum("x-auth-token", "t", 1),   metadatum("x-tena", "no", 2),
        metadatum("authorization", "no", 2), metadatum("traceparent", "", 0),
    };
    struct br_arena arena;
    br_arena_init(&arena, 4096);
    struct br_headers out;
    struct br_status st;
    assert_true(
        br_forward_metadata(&forward, metadata, sizeof metadata / sizeof metadata[0], &arena, &out, &st));
    assert_int_equal(out.count, 4);
    assert_string_equal(br_headers_find(&out, "x-request-id"), "1");
    assert_string_equal(br_headers_find(&out, "x-tenant"), "blue");
    assert_string_equal(br_headers_find(&out, "x-auth-token"), "t");
    assert_string_equal(br_headers_find(&out, "traceparent"), "");
    br_arena_finish(&arena);
}

static void test_tracestate_in_pieces_is_joined_in_order(void **state)
{
    (void)state;
    const struct br_metadatum metadata[] = {
        metadatum("tracestate", "a=1", 3),     metadatum("traceparent", "first", 5),
        metadatum("tracestate", "b=2,c=3", 7), metadatum("traceparent", "second", 6),
        metadatum("tracestate", "", 0),
    };
    struct br_arena arena;
    br_arena_init(&arena, 4096);
    struct br_headers out;
    struct br_status st;
    assert_true(br_forward_metadata(&forward, metadata, 5, &arena, &out, &st));
    assert_int_equal(out.count, 2);
    assert_string_equal(br_headers_find(&out, "tracestate"), "a=1,b=2,c=3,");
    assert_string_equal(br_headers_find(&out, "traceparent"), "first");
    br_arena_finish(&arena);
}

static void test_metadata_that_could_be_a_header_of_its_own_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
    } values[] = {{"a\r\nb", 4}, {"a\nb", 3}, {"a\0b", 3}, {"\x7f", 1}, {"\x1f", 1}, {"\x80", 1}};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const struct br_metadatum metadata = metadatum("x-colour", values[i].text, values[i].len);
        struct br_arena arena;
        br_arena_init(&arena, 4096);
        struct br_headers out;
        struct br_status st;
        assert_false(br_forward_metadata(&forward, &metadata, 1, &arena, &out, &st));
        assert_int_equal(st.code, BR_INVALID_ARGUMENT);
        assert_string_equal(st.reason, "METADATA_INVALID");
        assert_non_null(strstr(st.msg, "x-colour"));
        br_arena_finish(&arena);
    }
}

static void test_metadata_without_memory_fails(void **state)
{
    (void)state;
    const struct br_metadatum metadata[] = {metadatum("tracestate", "a=1", 3),
                                            metadatum("tracestate", "b=2", 3)};
    size_t granted_count = 0;
    for (size_t limit = 0; limit < 200; limit += 16) {
        struct br_arena arena;
        br_arena_init(&arena, limit);
        struct br_headers out;
        struct br_status st;
        if (!br_forward_metadata(&forward, metadata, 2, &arena, &out, &st)) {
            assert_int_equal(st.code, BR_RESOURCE_EXHAUSTED);
        } else {
            assert_true(limit > 0);
            granted_count++;
        }
        br_arena_finish(&arena);
    }
    assert_true(granted_count > 0);
}

static void test_names_that_may_be_added(void **state)
{
    (void)state;
    static const char *const good[] = {"x-tenant", "a", "a.b_c-1", "x-modelarts-user-id"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_null(br_forward_name_problem(good[i]));
    }
    static const char *const bad[] = {
        "",
        "X-Tenant",
        "a b",
        "a:b",
        "caf\xc3\xa9",
        "x-bin",
        "grpc-timeout",
        "host",
        "authorization",
        "cookie",
        "set-cookie",
        "x-auth-token",
        "x-subject-token",
        "x-security-token",
        "te",
        "transfer-encoding",
        "connection",
        "x-sdk-date",
        "proxy-authorization",
        "content-length",
        "x-request-id",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_non_null(br_forward_name_problem(bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metadata_by_allow_list),
        cmocka_unit_test(test_tracestate_in_pieces_is_joined_in_order),
        cmocka_unit_test(test_metadata_that_could_be_a_header_of_its_own_is_refused),
        cmocka_unit_test(test_metadata_without_memory_fails),
        cmocka_unit_test(test_names_that_may_be_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
