#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alloc_fault.h"
#include "test_contract.h"
#include "translate/rest_response.h"

#include <stdlib.h>
#include <string.h>
#include <testapi/v1/everything.pb-c.h>

static int all_memory(void **state)
{
    (void)state;
    (void)alloc_fault_end();
    return 0;
}

/* What one call gave; |packed| is NULL where it failed. */
struct answer {
    uint8_t *packed;
    size_t len;
    struct br_status st;
};

static struct answer read_body(const char *method, const char *body, size_t len, size_t limit_bytes)
{
    struct answer answer = {.len = 99};
    struct br_arena arena;
    br_arena_init(&arena, limit_bytes);
    bool ok = br_rest_response_read(test_method(method), body, len, &arena, NULL, &answer.packed, &answer.len,
                                    &answer.st);
    br_arena_finish(&arena);
    assert_int_equal(ok, answer.packed != NULL);
    if (!ok)
        assert_int_equal(answer.len, 99);
    return answer;
}

static void assert_packed(const char *method, const char *body, const void *expected)
{
    struct answer answer = read_body(method, body, strlen(body), 1 << 20);
    if (answer.packed == NULL)
        fail_msg("%s", answer.st.msg);
    size_t len = protobuf_c_message_get_packed_size(expected);
    assert_int_equal(answer.len, len);
    uint8_t *bytes = malloc(len + 1);
    assert_non_null(bytes);
    protobuf_c_message_pack(expected, bytes);
    assert_memory_equal(answer.packed, bytes, len);
    free(bytes);
    free(answer.packed);
}

static void assert_malformed(const char *body, size_t len)
{
    /* No byte behind it may be read. */
    char *copy = malloc(len + (len == 0));
    assert_non_null(copy);
    memcpy(copy, body, len);
    struct answer answer = read_body("ListThings", copy, len, 1 << 20);
    free(copy);
    if (answer.packed != NULL) {
        free(answer.packed);
        fail_msg("read: %.*s", (int)len, body);
    }
    assert_int_equal(answer.st.code, BR_INTERNAL);
    assert_string_equal(answer.st.reason, "UPSTREAM_MALFORMED_RESPONSE");
    static const char prefix[] = "the request was executed, but the answer of ModelArts is malformed: ";
    assert_int_equal(strncmp(answer.st.msg, prefix, strlen(prefix)), 0);
    assert_true(strlen(answer.st.msg) > strlen(prefix));
}

/* The generated structs want char *, though packing only reads. */
static char *lit(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void test_no_body_and_no_fields_are_the_empty_message(void **state)
{
    (void)state;
    Testapi__V1__ListThingsResponse empty = TESTAPI__V1__LIST_THINGS_RESPONSE__INIT;
    assert_packed("ListThings", "", &empty);
    assert_packed("ListThings", "{}", &empty);
    assert_packed("ListThings", " { } \r\n", &empty);
    struct answer answer = read_body("ListThings", NULL, 0, 1 << 20);
    assert_non_null(answer.packed);
    assert_int_equal(answer.len, 0);
    free(answer.packed);
}

static void test_body_becomes_the_bytes_of_the_message(void **state)
{
    (void)state;
    Testapi__V1__Part part = TESTAPI__V1__PART__INIT;
    part.name = lit("n");
    part.has_size = true;
    Testapi__V1__Thing first = TESTAPI__V1__THING__INIT;
    first.text = lit("\xE6\x96\x87");
    first.has_large = true;
    first.large = 1586250930708;
    first.odd_name = lit("o");
    first.part = &part;
    first.has_colour = true;
    first.colour = TESTAPI__V1__COLOUR__COLOUR_DEEP_BLUE;
    first.numbers = (int32_t[]){1, -2};
    first.n_numbers = 2;
    Testapi__V1__Thing second = TESTAPI__V1__THING__INIT;
    Testapi__V1__ListThingsResponse response = TESTAPI__V1__LIST_THINGS_RESPONSE__INIT;
    response.things = (Testapi__V1__Thing *[]){&first, &second};
    response.n_things = 2;
    response.has_total_count = true;
    response.total_count = 9007199254740991;
    assert_packed("ListThings",
                  "{\"total_count\":9007199254740991,\"things\":[{\"text\":\"\xE6\x96\x87\",\"large\":"
                  "1586250930708,\"oddName\":\"o\",\"part\":{\"name\":\"n\",\"size\":0},\"colour\":"
                  "\"deep-blue\",\"numbers\":[1,-2]},{}]}",
                  &response);
}

static void test_unknown_keys_are_skipped_without_an_observer(void **state)
{
    (void)state;
    Testapi__V1__ListThingsResponse response = TESTAPI__V1__LIST_THINGS_RESPONSE__INIT;
    response.has_total_count = true;
    response.total_count = 3;
    assert_packed("ListThings", "{\"new\":[{\"x\":1}],\"total_count\":3,\"things\":null}", &response);
}

struct counter {
    struct br_drift_observer base;
    int count;
};

static void count_drift(struct br_drift_observer *self, enum br_drift drift, const char *where,
                        const char *what)
{
    assert_int_equal(drift, BR_DRIFT_KEY);
    assert_string_equal(where, "testapi.v1.ListThingsResponse");
    assert_string_equal(what, "new");
    ((struct counter *)self)->count++;
}

static void test_unknown_keys_are_reported_to_the_observer(void **state)
{
    (void)state;
    static const char body[] = "{\"new\":1}";
    struct counter counter = {.base = {.seen = count_drift}};
    struct br_arena arena;
    struct br_status st;
    uint8_t *packed;
    size_t len;
    br_arena_init(&arena, 1 << 16);
    assert_true(br_rest_response_read(test_method("ListThings"), body, sizeof body - 1, &arena, &counter.base,
                                      &packed, &len, &st));
    assert_int_equal(counter.count, 1);
    assert_int_equal(len, 0);
    free(packed);
    br_arena_finish(&arena);
}

static void test_malformed_body_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        " ",
        "<html>",
        "OK",
        "[]",
        "[{}]",
        "\"text\"",
        "7",
        "true",
        "{",
        "{}}",
        "{} x",
        "{\"total_count\":}",
        "{\"total_count\":1.5}",
        "{\"total_count\":\"x\"}",
        "{\"total_count\":9223372036854775808}",
        "{\"things\":7}",
        "{\"things\":[{\"text\":\"\xFF\"}]}",
        "{\"things\":[{\"text\":\"\\u0000\"}]}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        assert_malformed(bodies[i], strlen(bodies[i]));
    assert_malformed("{}\0", 3);
    assert_malformed("\0", 1);
}

static void test_body_cut_anywhere_refused(void **state)
{
    (void)state;
    static const char body[] =
        "{\"things\":[{\"text\":\"a\\u00e9\",\"amount\":-1.5e3,\"flag\":true,\"labels\":"
        "{\"k\":\"v\"},\"free\":{\"x\":[null,{}]}}],\"total_count\":12}";
    for (size_t len = 1; len < sizeof body - 1; len++)
        assert_malformed(body, len);
    struct answer answer = read_body("ListThings", body, sizeof body - 1, 1 << 20);
    assert_non_null(answer.packed);
    free(answer.packed);
}

static const char rich_body[] =
    "{\"things\":[{\"text\":\"a\",\"tags\":[\"x\",\"y\"],\"labels\":{\"k\":\"v\"},"
    "\"free\":{\"x\":[null,{}]}}],\"total_count\":12}";

static void test_arena_of_any_size_is_resource_exhausted_or_enough(void **state)
{
    (void)state;
    static const char *const bodies[] = {"", "{}", rich_body};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        size_t failures = 0;
        for (size_t limit = 0; failures < 10000; limit += 16) {
            struct answer answer = read_body("ListThings", bodies[i], strlen(bodies[i]), limit);
            if (answer.packed != NULL) {
                free(answer.packed);
                break;
            }
            assert_int_equal(answer.st.code, BR_RESOURCE_EXHAUSTED);
            assert_string_equal(answer.st.reason, "OUT_OF_MEMORY");
            failures++;
        }
        assert_true(failures > 0 && failures < 10000);
    }
}

static void test_failed_allocations_are_resource_exhausted(void **state)
{
    (void)state;
    size_t failures = 0;
    for (bool ok = false; !ok; failures++) {
        alloc_fault_once_after(failures);
        struct answer answer = read_body("ListThings", rich_body, sizeof rich_body - 1, 1 << 20);
        (void)alloc_fault_end();
        ok = answer.packed != NULL;
        if (!ok) {
            assert_int_equal(answer.st.code, BR_RESOURCE_EXHAUSTED);
            assert_string_equal(answer.st.reason, "OUT_OF_MEMORY");
            assert_non_null(strstr(answer.st.msg, "the request was executed, but its answer is lost"));
        }
        free(answer.packed);
        assert_true(failures < 1000);
    }
    /* The arena and the answer itself. */
    assert_true(failures > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_body_and_no_fields_are_the_empty_message),
        cmocka_unit_test(test_body_becomes_the_bytes_of_the_message),
        cmocka_unit_test(test_unknown_keys_are_skipped_without_an_observer),
        cmocka_unit_test(test_unknown_keys_are_reported_to_the_observer),
        cmocka_unit_test(test_malformed_body_refused),
        cmocka_unit_test(test_body_cut_anywhere_refused),
        cmocka_unit_test(test_arena_of_any_size_is_resource_exhausted_or_enough),
        cmocka_unit_test_teardown(test_failed_allocations_are_resource_exhausted, all_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
