/* Linked with -Wl,--wrap=malloc. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/arena.h"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

static int malloc_calls;
static int malloc_fails_at; /* the call that fails, from 1; 0: none */
static size_t malloc_last_size;

void *__wrap_malloc(size_t size)
{
    malloc_calls++;
    malloc_last_size = size;
    if (malloc_calls == malloc_fails_at)
        return NULL;
    return __real_malloc(size);
}

static int reset(void **state)
{
    (void)state;
    malloc_calls = 0;
    malloc_fails_at = 0;
    return 0;
}

static void test_alloc_gives_zeroed_aligned_memory(void **state)
{
    (void)state;
    struct br_arena arena;
    br_arena_init(&arena, 1 << 20);
    unsigned char *last = NULL;
    for (size_t size = 1; size <= 300; size++) {
        unsigned char *bytes = br_arena_alloc(&arena, size);
        assert_non_null(bytes);
        assert_ptr_not_equal(bytes, last);
        assert_int_equal((uintptr_t)bytes % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(bytes[i], 0);
        memset(bytes, 0xFF, size);
        last = bytes;
    }
    br_arena_finish(&arena);
}

static void test_alloc_first_block_is_1_kib(void **state)
{
    (void)state;
    struct br_arena arena;
    br_arena_init(&arena, 1 << 20);
    assert_int_equal(malloc_calls, 0);
    assert_non_null(br_arena_alloc(&arena, 1));
    assert_int_equal(malloc_last_size, 1024);
    for (int i = 0; i < 50; i++)
        assert_non_null(br_arena_alloc(&arena, 16));
    assert_int_equal(malloc_calls, 1);
    br_arena_finish(&arena);
}

static void test_alloc_many_small_ones_take_few_growing_blocks(void **state)
{
    (void)state;
    struct br_arena arena;
    br_arena_init(&arena, 1 << 20);
    while (arena.used_bytes < 1 << 20)
        assert_non_null(br_arena_alloc(&arena, 64));
    assert_in_range(malloc_calls, 16, 24);
    assert_int_equal(malloc_last_size, 65536);
    br_arena_finish(&arena);
}

static void test_alloc_big_one_keeps_the_room_of_the_small_block(void **state)
{
    (void)state;
    struct br_arena arena;
    br_arena_init(&arena, 1 << 20);
    assert_non_null(br_arena_alloc(&arena, 16));
    char *big = br_arena_alloc(&arena, 200000);
    assert_non_null(big);
    assert_int_equal(malloc_calls, 2);
    memset(big, 1, 200000);
    assert_non_null(br_arena_alloc(&arena, 16));
    assert_int_equal(malloc_calls, 2);
    br_arena_finish(&arena);
}

static void test_alloc_big_one_first_works(void **state)
{
    (void)state;
    struct br_arena arena;
    br_arena_init(&arena, 1 << 20);
    assert_non_null(br_arena_alloc(&arena, 200000));
    assert_non_null(br_arena_alloc(&arena, 16));
    assert_non_null(br_arena_alloc(&arena, 16));
    assert_int_equal(malloc_calls, 2);
    br_arena_finish(&arena);
}

static void test_alloc_ceiling_is_exact(void **state)
{
    (void)state;
    struct br_arena arena;
    br_arena_init(&arena, 64);
    assert_non_null(br_arena_alloc(&arena, 48));
    assert_non_null(br_arena_alloc(&arena, 1));
    assert_int_equal(arena.used_bytes, 64);
    assert_false(arena.exhausted);
    assert_null(br_arena_alloc(&arena, 1));
    assert_true(arena.exhausted);
    assert_int_equal(arena.used_bytes, 64);
    br_arena_finish(&arena);

    /* The rounding counts: 63 bytes hold no 49. */
    br_arena_init(&arena, 63);
    assert_null(br_arena_alloc(&arena, 49));
    assert_non_null(br_arena_alloc(&arena, 48));
    assert_null(br_arena_alloc(&arena, 15));
    br_arena_finish(&arena);
}

static void test_alloc_size_0_gives_a_pointer_for_nothing(void **state)
{
    (void)state;
    struct br_arena arena;
    br_arena_init(&arena, 0);
    assert_non_null(br_arena_alloc(&arena, 0));
    assert_int_equal(arena.used_bytes, 0);
    assert_null(br_arena_alloc(&arena, 1));
    br_arena_finish(&arena);
}

static void test_alloc_enormous_sizes_fail_cleanly(void **state)
{
    (void)state;
    /* Each would wrap around: rounded up, or with the block's own header. */
    static const size_t wrapping[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 15, SIZE_MAX - 16, SIZE_MAX - 31};
    struct br_arena arena;
    for (size_t i = 0; i < sizeof wrapping / sizeof wrapping[0]; i++) {
        br_arena_init(&arena, SIZE_MAX);
        assert_null(br_arena_alloc(&arena, wrapping[i]));
        assert_true(arena.exhausted);
        assert_int_equal(arena.used_bytes, 0);
        br_arena_finish(&arena);
    }
    assert_int_equal(malloc_calls, 0);

    br_arena_init(&arena, SIZE_MAX);
    malloc_fails_at = 1;
    assert_null(br_arena_alloc(&arena, SIZE_MAX / 2));
    assert_true(arena.exhausted);
    br_arena_finish(&arena);
}

static void test_alloc_malloc_failure_is_reported(void **state)
{
    (void)state;
    struct br_arena arena;
    br_arena_init(&arena, 1 << 20);
    malloc_fails_at = 2;
    assert_non_null(br_arena_alloc(&arena, 16));
    assert_null(br_arena_alloc(&arena, 100000));
    assert_true(arena.exhausted);
    assert_int_equal(arena.used_bytes, 16);

    struct br_status st;
    assert_false(br_arena_fail(&arena, &st));
    assert_int_equal(st.code, BR_RESOURCE_EXHAUSTED);
    assert_string_equal(st.reason, "OUT_OF_MEMORY");
    assert_string_equal(st.msg, "out of memory: 16 bytes are in use, at most 1048576 are allowed");
    br_arena_finish(&arena);
}

static void test_finish_accepts_null_zeroed_and_again(void **state)
{
    (void)state;
    struct br_arena arena = {0};
    br_arena_finish(NULL);
    br_arena_finish(&arena);
    br_arena_init(&arena, 100);
    assert_non_null(br_arena_alloc(&arena, 10));
    br_arena_finish(&arena);
    br_arena_finish(&arena);
    assert_null(arena.blocks);
    assert_int_equal(arena.used_bytes, 0);
    br_arena_init(&arena, 100);
    assert_non_null(br_arena_alloc(&arena, 100 - 4));
    br_arena_finish(&arena);
}

static void test_strndup_copies_len_bytes(void **state)
{
    (void)state;
    struct br_arena arena;
    br_arena_init(&arena, 32);
    char *text = br_arena_strndup(&arena, "abcdef", 3);
    assert_non_null(text);
    assert_string_equal(text, "abc");
    assert_string_equal(br_arena_strndup(&arena, NULL, 0), "");
    assert_null(br_arena_strndup(&arena, "abc", 3));
    assert_true(arena.exhausted);
    br_arena_finish(&arena);

    br_arena_init(&arena, SIZE_MAX);
    assert_null(br_arena_strndup(&arena, "abc", SIZE_MAX));
    assert_true(arena.exhausted);
    br_arena_finish(&arena);
}

static void test_printf_formats(void **state)
{
    (void)state;
    struct br_arena arena;
    br_arena_init(&arena, 32);
    assert_string_equal(br_arena_printf(&arena, "%s-%d", "a", 42), "a-42");
    assert_int_equal(arena.used_bytes, 16);
    assert_null(br_arena_printf(&arena, "%s", "seventeen bytes!!"));
    assert_true(arena.exhausted);
    /* Fifteen characters and the NUL fill the rest. */
    assert_string_equal(br_arena_printf(&arena, "%015d", 7), "000000000000007");
    br_arena_finish(&arena);
}

static void test_printf_failure_is_exhausted(void **state)
{
    (void)state;
    struct br_arena arena;
    br_arena_init(&arena, SIZE_MAX);
    /* The C locale has no form for this character, so that printf itself fails. */
    assert_null(br_arena_printf(&arena, "%ls", L"\u6587"));
    assert_true(arena.exhausted);
    assert_int_equal(malloc_calls, 0);
    br_arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_alloc_gives_zeroed_aligned_memory, reset),
        cmocka_unit_test_setup(test_alloc_first_block_is_1_kib, reset),
        cmocka_unit_test_setup(test_alloc_many_small_ones_take_few_growing_blocks, reset),
        cmocka_unit_test_setup(test_alloc_big_one_keeps_the_room_of_the_small_block, reset),
        cmocka_unit_test_setup(test_alloc_big_one_first_works, reset),
        cmocka_unit_test_setup(test_alloc_ceiling_is_exact, reset),
        cmocka_unit_test_setup(test_alloc_size_0_gives_a_pointer_for_nothing, reset),
        cmocka_unit_test_setup(test_alloc_enormous_sizes_fail_cleanly, reset),
        cmocka_unit_test_setup(test_alloc_malloc_failure_is_reported, reset),
        cmocka_unit_test_setup(test_finish_accepts_null_zeroed_and_again, reset),
        cmocka_unit_test_setup(test_strndup_copies_len_bytes, reset),
        cmocka_unit_test_setup(test_printf_formats, reset),
        cmocka_unit_test_setup(test_printf_failure_is_exhausted, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
