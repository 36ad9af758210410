#include "translate/violation.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#define ARENA_BYTES ((size_t)1 << 20)

static struct br_arena arena;
static struct br_violations violations;

static int set_up(void **state)
{
    (void)state;
    br_arena_init(&arena, ARENA_BYTES);
    br_violations_init(&violations, &arena);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    br_arena_finish(&arena);
    return 0;
}

static void test_place_text_top_level_is_empty(void **state)
{
    (void)state;
    assert_string_equal(br_place_text(NULL, &arena), "");
}

static void test_place_text_nested_names_indexes_and_keys(void **state)
{
    (void)state;
    struct br_place config = {.name = "config", .index = 0};
    struct br_place envs = {.parent = &config, .name = "envs", .index = BR_PLACE_NO_INDEX};
    struct br_place key = {.parent = &envs, .name = "A", .is_key = true};
    struct br_place below = {.parent = &key, .name = "size", .index = 12};
    assert_string_equal(br_place_text(&config, &arena), "config[0]");
    assert_string_equal(br_place_text(&envs, &arena), "config[0].envs");
    assert_string_equal(br_place_text(&key, &arena), "config[0].envs[\"A\"]");
    assert_string_equal(br_place_text(&below, &arena), "config[0].envs[\"A\"].size[12]");
}

static void test_place_text_free_list_element_is_an_index_alone(void **state)
{
    (void)state;
    struct br_place rule = {.name = "rule", .index = BR_PLACE_NO_INDEX};
    struct br_place key = {.parent = &rule, .name = "k", .is_key = true};
    struct br_place element = {.parent = &key, .name = "", .index = 3};
    assert_string_equal(br_place_text(&element, &arena), "rule[\"k\"][3]");
}

static void test_place_text_hostile_key_is_cut_and_escaped(void **state)
{
    (void)state;
    char key[200];
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    key[0] = '\n';
    key[1] = '"';
    struct br_place labels = {.name = "labels", .index = BR_PLACE_NO_INDEX};
    struct br_place place = {.parent = &labels, .name = key, .is_key = true};
    const char *text = br_place_text(&place, &arena);
    assert_int_equal(strlen(text), strlen("labels[\"\\u000A\\\"\"...]") + BR_QUOTE_MAX_BYTES - 2);
    assert_memory_equal(text, "labels[\"\\u000A\\\"kkk", 18);
    assert_string_equal(text + strlen(text) - 6, "k\"...]");
}

static void test_place_text_arena_exhausted_returns_null(void **state)
{
    (void)state;
    struct br_arena empty;
    br_arena_init(&empty, 0);
    struct br_place place = {.name = "config", .index = 0};
    assert_null(br_place_text(&place, &empty));
    br_arena_finish(&empty);
}

static void test_quote_length_at_limit_is_whole_and_past_it_cut(void **state)
{
    (void)state;
    char text[BR_QUOTE_MAX_BYTES + 2];
    char out[BR_QUOTE_CAP];
    memset(text, 'x', sizeof text);
    text[BR_QUOTE_MAX_BYTES] = '\0';
    assert_int_equal(strlen(br_violation_quote(text, out)), BR_QUOTE_MAX_BYTES + 2);
    text[BR_QUOTE_MAX_BYTES] = 'x';
    text[BR_QUOTE_MAX_BYTES + 1] = '\0';
    assert_int_equal(strlen(br_violation_quote(text, out)), BR_QUOTE_MAX_BYTES + 5);
    assert_string_equal(out + BR_QUOTE_MAX_BYTES, "x\"...");
}

static void test_quote_cut_inside_a_character_leaves_it_out(void **state)
{
    (void)state;
    char text[BR_QUOTE_MAX_BYTES + 3];
    char out[BR_QUOTE_CAP];
    memset(text, 'x', BR_QUOTE_MAX_BYTES - 1);
    memcpy(text + BR_QUOTE_MAX_BYTES - 1, "\xE4\xB8\xAD", 4);
    br_violation_quote(text, out);
    assert_string_equal(out + BR_QUOTE_MAX_BYTES - 1, "x\"...");
}

static void test_quote_control_characters_are_escaped(void **state)
{
    (void)state;
    char out[BR_QUOTE_CAP];
    assert_string_equal(br_violation_quote("a\x1b[0m\x7f\\\"", out), "\"a\\u001B[0m\\u007F\\\\\\\"\"");
    /* U+009B steers terminals like ESC [; U+00A0, with the same lead byte, does not. */
    assert_string_equal(br_violation_quote("\xC2\x9B\xC2\xA0", out), "\"\\u009B\xC2\xA0\"");
    assert_string_equal(br_violation_quote("", out), "\"\"");
}

static void test_quote_worst_text_fits(void **state)
{
    (void)state;
    char text[BR_QUOTE_MAX_BYTES + 2];
    char out[BR_QUOTE_CAP];
    memset(text, '\x01', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(strlen(br_violation_quote(text, out)), BR_QUOTE_CAP - 1);
}

static void test_quote_broken_utf8_stays_inside_the_buffer(void **state)
{
    (void)state;
    char text[BR_QUOTE_MAX_BYTES + 2];
    char out[BR_QUOTE_CAP];
    memset(text, '\x80', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_string_equal(br_violation_quote(text, out), "\"\"...");
    assert_string_equal(br_violation_quote("\xC2", out), "\"\xC2\"");
}

static void test_choices_add_ten_are_all_shown(void **state)
{
    (void)state;
    struct br_choices choices = {0};
    for (size_t i = 0; i < BR_CHOICES_MAX; i++)
        br_choices_add(&choices, "a");
    assert_string_equal(choices.text, "a, a, a, a, a, a, a, a, a, a");
    br_choices_add(&choices, "b");
    assert_string_equal(choices.text, "a, a, a, a, a, a, a, a, a, a, ...");
    br_choices_add(&choices, "c");
    assert_string_equal(choices.text, "a, a, a, a, a, a, a, a, a, a, ...");
}

static void test_choices_add_long_texts_stay_inside_the_buffer(void **state)
{
    (void)state;
    char text[sizeof((struct br_choices *)0)->text + 100];
    memset(text, 'x', sizeof text);
    for (size_t len = 0; len < sizeof text; len++) {
        struct br_choices choices = {0};
        text[len] = '\0';
        br_choices_add(&choices, text);
        br_choices_add(&choices, text);
        br_choices_add(&choices, "y");
        assert_true(strlen(choices.text) < sizeof choices.text);
        if (len > sizeof choices.text)
            assert_string_equal(choices.text, "...");
        text[len] = 'x';
    }
}

static void test_none_without_violation_returns_true(void **state)
{
    (void)state;
    struct br_status st = {0};
    assert_true(br_violations_none(&violations, &st));
    assert_int_equal(st.code, BR_OK);
}

static void test_none_one_violation_quotes_it(void **state)
{
    (void)state;
    struct br_status st;
    struct br_place place = {.name = "service_id", .index = BR_PLACE_NO_INDEX};
    br_violations_add(&violations, &place, "must not be %s", "empty");
    assert_false(br_violations_none(&violations, &st));
    assert_int_equal(st.code, BR_INVALID_ARGUMENT);
    assert_string_equal(st.reason, "VALIDATION_FAILED");
    assert_string_equal(st.msg, "service_id: must not be empty");
    assert_string_equal(violations.items[0].field, "service_id");
    assert_string_equal(violations.items[0].description, "must not be empty");
}

static void test_none_several_violations_counts_the_rest(void **state)
{
    (void)state;
    struct br_status st;
    struct br_place place = {.name = "service_id", .index = BR_PLACE_NO_INDEX};
    br_violations_add(&violations, &place, "must not be empty");
    for (size_t i = 0; i < 3; i++)
        br_violations_add(&violations, NULL, "other");
    assert_false(br_violations_none(&violations, &st));
    assert_string_equal(st.msg, "service_id: must not be empty (and 3 more)");
}

static void test_none_request_as_a_whole_has_no_place(void **state)
{
    (void)state;
    struct br_status st;
    br_violations_add(&violations, NULL, "is wrong");
    assert_false(br_violations_none(&violations, &st));
    assert_string_equal(st.msg, "is wrong");
    assert_string_equal(violations.items[0].field, "");
}

static void test_add_past_the_limit_is_counted_only(void **state)
{
    (void)state;
    struct br_status st;
    for (size_t i = 0; i < BR_VIOLATIONS_MAX; i++)
        br_violations_add(&violations, NULL, "number %zu", i);
    assert_int_equal(violations.count, BR_VIOLATIONS_MAX);
    assert_int_equal(violations.total_count, BR_VIOLATIONS_MAX);
    size_t used_bytes = arena.used_bytes;
    br_violations_add(&violations, NULL, "one more");
    assert_int_equal(violations.count, BR_VIOLATIONS_MAX);
    assert_int_equal(violations.total_count, BR_VIOLATIONS_MAX + 1);
    assert_int_equal(arena.used_bytes, used_bytes);
    assert_false(br_violations_none(&violations, &st));
    assert_string_equal(st.msg, "number 0 (and 64 more)");
}

static void test_add_without_memory_still_refuses(void **state)
{
    (void)state;
    struct br_status st;
    struct br_arena small;
    /* Room for nothing, then for the description but not for the place. */
    for (size_t limit = 0; limit <= 16; limit += 16) {
        br_arena_init(&small, limit);
        br_violations_init(&violations, &small);
        struct br_place place = {.name = "config", .index = 0};
        br_violations_add(&violations, &place, "is wrong");
        assert_int_equal(violations.count, 0);
        assert_int_equal(violations.total_count, 1);
        assert_false(br_violations_none(&violations, &st));
        assert_int_equal(st.code, BR_INVALID_ARGUMENT);
        assert_string_equal(st.msg, "the request is not valid; memory ran out before the details");
        br_arena_finish(&small);
    }
}

static void test_none_memory_ran_out_without_violation_is_not_valid(void **state)
{
    (void)state;
    struct br_status st;
    struct br_arena small;
    br_arena_init(&small, 0);
    br_violations_init(&violations, &small);
    assert_null(br_arena_alloc(&small, 1));
    assert_false(br_violations_none(&violations, &st));
    assert_int_equal(st.code, BR_RESOURCE_EXHAUSTED);
    assert_string_equal(st.reason, "OUT_OF_MEMORY");
    br_arena_finish(&small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_place_text_top_level_is_empty),
        TEST(test_place_text_nested_names_indexes_and_keys),
        TEST(test_place_text_free_list_element_is_an_index_alone),
        TEST(test_place_text_hostile_key_is_cut_and_escaped),
        TEST(test_place_text_arena_exhausted_returns_null),
        TEST(test_quote_length_at_limit_is_whole_and_past_it_cut),
        TEST(test_quote_cut_inside_a_character_leaves_it_out),
        TEST(test_quote_control_characters_are_escaped),
        TEST(test_quote_worst_text_fits),
        TEST(test_quote_broken_utf8_stays_inside_the_buffer),
        TEST(test_choices_add_ten_are_all_shown),
        TEST(test_choices_add_long_texts_stay_inside_the_buffer),
        TEST(test_none_without_violation_returns_true),
        TEST(test_none_one_violation_quotes_it),
        TEST(test_none_several_violations_counts_the_rest),
        TEST(test_none_request_as_a_whole_has_no_place),
        TEST(test_add_past_the_limit_is_counted_only),
        TEST(test_add_without_memory_still_refuses),
        TEST(test_none_memory_ran_out_without_violation_is_not_valid),
    };
    return cmocka_run_group_tests_name("violation", tests, NULL, NULL);
}
