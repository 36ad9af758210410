/* Linked with -Wl,--wrap=regcomp. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alloc_fault.h"
#include "test_contract.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

int __real_regcomp(regex_t *regex, const char *pattern, int flags);
int __wrap_regcomp(regex_t *regex, const char *pattern, int flags);

int __wrap_regcomp(regex_t *regex, const char *pattern, int flags)
{
    return alloc_fault_hits() ? REG_ESPACE : __real_regcomp(regex, pattern, flags);
}

/* Compiles |set|, and reads what came of it: the sanitizers judge. */
static bool try_set(const uint8_t *set, size_t len)
{
    struct br_schema schema = br_schema_linked;
    schema.set = set;
    schema.set_len = len;
    struct br_status st = {0};
    struct br_contract *contract = NULL;
    if (!br_contract_create(&schema, test_functions, test_functions_count, &contract, &st)) {
        assert_null(contract);
        assert_int_equal(st.code, BR_INTERNAL);
        assert_string_equal(st.reason, "CONTRACT_INVALID");
        assert_true(st.msg[0] != '\0');
        return false;
    }
    size_t count;
    const struct br_method *methods = br_contract_methods(contract, &count);
    for (size_t i = 0; i < count; i++)
        assert_ptr_equal(br_contract_find(contract, methods[i].path, strlen(methods[i].path)), &methods[i]);
    br_contract_destroy(contract);
    return true;
}

/* A copy of its own, so that a read past its end is seen. */
static bool try_prefix(size_t len)
{
    uint8_t *copy = malloc(len + (len == 0));
    assert_non_null(copy);
    memcpy(copy, br_schema_linked.set, len);
    bool compiled = try_set(copy, len);
    free(copy);
    return compiled;
}

static void test_create_set_cut_anywhere_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len < br_schema_linked.set_len; len += 7)
        assert_false(try_prefix(len));
    for (size_t len = br_schema_linked.set_len - 64; len < br_schema_linked.set_len; len++)
        assert_false(try_prefix(len));
    assert_true(try_prefix(br_schema_linked.set_len));
}

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static void test_create_set_with_random_bytes_never_crashes(void **state)
{
    (void)state;
    size_t len = br_schema_linked.set_len;
    uint8_t *copy = malloc(len);
    assert_non_null(copy);
    uint32_t seed = 20240101;
    size_t compiled = 0;
    for (int round = 0; round < 4000; round++) {
        memcpy(copy, br_schema_linked.set, len);
        /* The last third is the test API itself; the rest is what it imports. */
        size_t from = round % 4 == 0 ? 0 : len - len / 3;
        uint32_t changes = 1 + next_random(&seed) % 4;
        for (uint32_t i = 0; i < changes; i++) {
            uint8_t *byte = &copy[from + next_random(&seed) % (len - from)];
            /* A neighbour keeps more of the structure alive than any byte does. */
            uint32_t random = next_random(&seed);
            *byte = (uint8_t)(round % 2 == 0 ? random : *byte ^ 1U << random % 8);
        }
        compiled += try_set(copy, len);
    }
    free(copy);
    /* Names and comments of no one change nothing; else the mutations would only test the decoder. */
    assert_true(compiled > 10);
    assert_true(compiled < 3900);
}

static void test_create_each_failed_allocation_is_resource_exhausted(void **state)
{
    (void)state;
    struct br_contract *contract = NULL;
    size_t failures = 0;
    for (bool created = false; !created; failures++) {
        struct br_status st = {0};
        alloc_fault_once_after(failures);
        created = br_contract_create(&br_schema_linked, test_functions, test_functions_count, &contract, &st);
        (void)alloc_fault_end();
        if (!created) {
            assert_null(contract);
            assert_int_equal(st.code, BR_RESOURCE_EXHAUSTED);
            assert_string_equal(st.reason, "OUT_OF_MEMORY");
        }
        assert_true(failures < 10000);
    }
    /* The contract itself, blocks of its arena, and a pattern. */
    assert_true(failures > 4);
    br_contract_destroy(contract);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_set_cut_anywhere_refused),
        cmocka_unit_test(test_create_set_with_random_bytes_never_crashes),
        cmocka_unit_test(test_create_each_failed_allocation_is_resource_exhausted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
