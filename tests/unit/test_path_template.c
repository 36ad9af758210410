#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/path_template.h"
#include "test_contract.h"

#include <string.h>

static struct br_arena arena;

static int open_arena(void **state)
{
    (void)state;
    br_arena_init(&arena, 1 << 16);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    br_arena_finish(&arena);
    return 0;
}

static const struct br_message_plan *input(void)
{
    return test_method("UpdateThing")->input;
}

/* Compiles |text| and writes the parts back, variables as {name}. */
static void assert_parts(const char *text, size_t expected_count)
{
    struct br_status st;
    const struct br_path_part *parts;
    size_t count;
    if (!br_path_template_compile(text, input(), &arena, &parts, &count, &st))
        fail_msg("%s", st.msg);
    assert_int_equal(count, expected_count);
    const char *back = "";
    for (size_t i = 0; i < count; i++) {
        assert_true((parts[i].literal == NULL) != (parts[i].variable == NULL));
        back = parts[i].literal != NULL ? br_arena_printf(&arena, "%s%s", back, parts[i].literal)
                                        : br_arena_printf(&arena, "%s{%s}", back, parts[i].variable->name);
        assert_non_null(back);
    }
    assert_string_equal(back, text);
}

static void assert_refused(const char *text, const char *why)
{
    struct br_status st = {0};
    const struct br_path_part *parts = NULL;
    size_t count = 99;
    if (br_path_template_compile(text, input(), &arena, &parts, &count, &st))
        fail_msg("\"%s\" compiles", text);
    assert_int_equal(st.code, BR_INTERNAL);
    assert_string_equal(st.reason, "CONTRACT_INVALID");
    assert_string_equal(st.msg, br_arena_printf(&arena, "the path template \"%s\" %s", text, why));
    assert_null(parts);
    assert_int_equal(count, 99);
}

static void test_compile_good_templates_give_literals_and_variables_in_turn(void **state)
{
    (void)state;
    assert_parts("/v1", 1);
    assert_parts("/v1/{project_id}", 2);
    assert_parts("/{project_id}", 2);
    assert_parts("/{project_id}/{thing_id}", 4);
    assert_parts("/v1/{project_id}/things/{thing_id}/property", 5);
    assert_parts("/v1/{project_id}/things/{thing_id}:patch", 5);
    assert_parts("/aZ09-._~!$&'()+,;=:@/...", 1);
}

static void test_compile_not_from_the_root_refused(void **state)
{
    (void)state;
    assert_refused("", "does not begin with \"/\"");
    assert_refused("v1/{project_id}", "does not begin with \"/\"");
    assert_refused("{project_id}", "does not begin with \"/\"");
}

static void test_compile_lost_segment_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "/",     "//",      "/v1/",   "/v1//{project_id}", "/v1/{project_id}/",
        "/v1/.", "/v1/./x", "/v1/..", "/v1/../x",          "/../{project_id}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_refused(texts[i], "has a segment that is empty, \".\" or \"..\"");
}

static void test_compile_bad_literal_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "/v1?x=1",      "/v1#x", "/v 1", "/v1/*",           "/**",     "/%41", "/v1\n", "/v1\x7f",
        "/caf\xc3\xa9", "/a\\b", "/v1}", "/{project_id}/}", "/\"v1\"",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_refused(texts[i], "holds a character that a literal segment may not hold");
}

static void test_compile_open_brace_refused(void **state)
{
    (void)state;
    assert_refused("/v1/{", "has a \"{\" without its \"}\"");
    assert_refused("/v1/{project_id", "has a \"{\" without its \"}\"");
    assert_refused("/v1/{project_id}/{thing_id/x", "has a \"{\" without its \"}\"");
}

static void test_compile_unknown_variable_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "/{}",           "/{nothing}",      "/{project_i}", "/{project_id_}",  "/{projectId}",
        "/{thing.text}", "/{project_id=*}", "/{*}",         "/{{project_id}}", "/{ project_id}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_refused(texts[i], "has a variable that is no field of the request (only {field_name} is "
                                 "supported)");
}

static void test_compile_variable_that_is_no_single_string_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"/{level}", "/{tags}", "/{labels}", "/{thing}", "/{update_mask}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_refused(texts[i], "has a variable that is not a single string");
}

static void test_compile_variable_twice_refused(void **state)
{
    (void)state;
    assert_refused("/{project_id}/{project_id}", "names a variable twice");
}

static void test_compile_variable_within_a_segment_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "/v{project_id}",
        "/{project_id}x",
        "/{project_id}{thing_id}",
        "/{project_id}:{thing_id}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_refused(texts[i], "has a variable that is not a whole segment");
}

static void test_compile_without_memory_is_resource_exhausted(void **state)
{
    (void)state;
    const char *text = "/v1/{project_id}/things";
    size_t limit = 0;
    for (bool compiled = false; !compiled; limit += 16) {
        struct br_arena small;
        struct br_status st = {0};
        const struct br_path_part *parts;
        size_t count;
        br_arena_init(&small, limit);
        compiled = br_path_template_compile(text, input(), &small, &parts, &count, &st);
        if (!compiled) {
            assert_int_equal(st.code, BR_RESOURCE_EXHAUSTED);
            assert_string_equal(st.reason, "OUT_OF_MEMORY");
        }
        br_arena_finish(&small);
    }
    assert_true(limit > 32);
}

static bool same(const char *a, const char *b)
{
    struct br_status st;
    struct br_method methods[2] = {0};
    const char *texts[] = {a, b};
    for (size_t i = 0; i < 2; i++) {
        assert_true(br_path_template_compile(texts[i], input(), &arena, &methods[i].parts,
                                             &methods[i].part_count, &st));
    }
    assert_int_equal(br_path_template_same(&methods[0], &methods[1]),
                     br_path_template_same(&methods[1], &methods[0]));
    return br_path_template_same(&methods[0], &methods[1]);
}

static void test_same_ignores_the_names_of_variables_alone(void **state)
{
    (void)state;
    assert_true(same("/v1/x", "/v1/x"));
    assert_true(same("/v1/{project_id}/x", "/v1/{thing_id}/x"));
    assert_true(same("/{project_id}/{thing_id}", "/{thing_id}/{project_id}"));
    assert_false(same("/v1/x", "/v1/y"));
    assert_false(same("/v1/x", "/v1/x/y"));
    assert_false(same("/v1/{project_id}", "/v1/project"));
    assert_false(same("/v1/{project_id}", "/v1/{project_id}/x"));
    assert_false(same("/v1/{project_id}", "/v1/{project_id}:x"));
    assert_false(same("/v1/{project_id}/x", "/v1/{project_id}/y"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compile_good_templates_give_literals_and_variables_in_turn),
        cmocka_unit_test(test_compile_not_from_the_root_refused),
        cmocka_unit_test(test_compile_lost_segment_refused),
        cmocka_unit_test(test_compile_bad_literal_refused),
        cmocka_unit_test(test_compile_open_brace_refused),
        cmocka_unit_test(test_compile_unknown_variable_refused),
        cmocka_unit_test(test_compile_variable_that_is_no_single_string_refused),
        cmocka_unit_test(test_compile_variable_twice_refused),
        cmocka_unit_test(test_compile_variable_within_a_segment_refused),
        cmocka_unit_test(test_compile_without_memory_is_resource_exhausted),
        cmocka_unit_test(test_same_ignores_the_names_of_variables_alone),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
