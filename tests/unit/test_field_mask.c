#include "translate/field_mask.h"

#include "test_contract.h"
#include "translate/wire_check.h"

#include <testapi/v1/everything.pb-c.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#define ARENA_BYTES ((size_t)1 << 20)
#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define TEXT(literal) ((char *)(uintptr_t)(literal))

/* A request with a value in each body field but |level|, and all that it points at. */
struct fixture {
    Testapi__V1__UpdateThingRequest request;
    Google__Protobuf__FieldMask mask;
    Testapi__V1__Thing thing;
    Testapi__V1__Part thing_part;
    Testapi__V1__Part part[2];
    Testapi__V1__Part *parts[2];
    char *tags[2];
    char *paths[128];
    struct br_arena arena;
    struct br_violations violations;
    const struct br_mask *tree;
    struct br_status st;
};

static struct fixture f;

static int set_up(void **state)
{
    (void)state;
    f = (struct fixture){
        .request = TESTAPI__V1__UPDATE_THING_REQUEST__INIT,
        .mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT,
        .thing = TESTAPI__V1__THING__INIT,
        .thing_part = TESTAPI__V1__PART__INIT,
        .part = {TESTAPI__V1__PART__INIT, TESTAPI__V1__PART__INIT},
    };
    f.part[0].name = TEXT("first");
    f.part[0].has_size = true;
    f.part[0].size = 40;
    f.part[1].name = TEXT("second");
    f.part[1].has_size = true;
    f.part[1].size = 60;
    f.parts[0] = &f.part[0];
    f.parts[1] = &f.part[1];
    f.tags[0] = TEXT("t-a");
    f.tags[1] = TEXT("t-b");
    f.thing_part.name = TEXT("inner");
    f.thing.text = TEXT("text");
    f.thing.has_flag = true;
    f.thing.part = &f.thing_part;
    f.request.project_id = TEXT("p1");
    f.request.thing_id = TEXT("t1");
    f.request.thing = &f.thing;
    f.request.description = TEXT("words");
    f.request.n_parts = 2;
    f.request.parts = f.parts;
    f.request.has_colour = true;
    f.request.colour = TESTAPI__V1__COLOUR__COLOUR_RED;
    f.request.n_tags = 2;
    f.request.tags = f.tags;
    f.mask.paths = f.paths;
    f.request.update_mask = &f.mask;
    br_arena_init(&f.arena, ARENA_BYTES);
    br_violations_init(&f.violations, &f.arena);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    br_arena_finish(&f.arena);
    return 0;
}

static void add_path(const char *path)
{
    assert_true(f.mask.n_paths < COUNT(f.paths));
    f.paths[f.mask.n_paths++] = TEXT(path);
}

static void apply(void)
{
    assert_true(br_mask_apply(test_method("UpdateThing"), &f.request.base, &f.violations, &f.tree, &f.st));
}

static const struct br_field_plan *plan_field(const struct br_message_plan *plan, const char *name)
{
    const struct br_field_plan *field = br_plan_field_by_name(plan, name, strlen(name));
    assert_non_null(field);
    return field;
}

/* The node of a body field of the request. */
static const struct br_mask *top_node(const char *name)
{
    return br_mask_child(f.tree, plan_field(test_method("UpdateThing")->input, name));
}

static void assert_one_violation(const char *field, const char *description)
{
    assert_int_equal(f.violations.total_count, 1);
    assert_string_equal(f.violations.items[0].field, field);
    assert_string_equal(f.violations.items[0].description, description);
}

static void test_apply_mask_unset_or_empty_leaves_everything(void **state)
{
    (void)state;
    apply();
    assert_null(f.tree);
    f.request.update_mask = NULL;
    apply();
    assert_null(f.tree);
    assert_true(br_mask_is_whole(f.tree));
    assert_string_equal(f.request.description, "words");
    assert_int_equal(f.request.n_parts, 2);
    assert_int_equal(f.violations.total_count, 0);
}

static void test_apply_method_without_mask_has_no_tree(void **state)
{
    (void)state;
    Testapi__V1__PatchThingRequest request = TESTAPI__V1__PATCH_THING_REQUEST__INIT;
    request.n_operations = 2;
    request.operations = f.parts;
    assert_true(br_mask_apply(test_method("PatchThing"), &request.base, &f.violations, &f.tree, &f.st));
    assert_null(f.tree);
    assert_int_equal(request.n_operations, 2);
}

static void test_apply_named_fields_stay_and_others_are_cleared(void **state)
{
    (void)state;
    add_path("description");
    add_path("tags");
    apply();
    assert_int_equal(f.violations.total_count, 0);
    assert_string_equal(f.request.description, "words");
    assert_int_equal(f.request.n_tags, 2);
    assert_null(f.request.thing);
    assert_int_equal(f.request.n_parts, 0);
    assert_false(f.request.has_colour);
    /* Fields of the URL and the mask itself are not the mask's matter. */
    assert_string_equal(f.request.project_id, "p1");
    assert_string_equal(f.request.thing_id, "t1");
    assert_ptr_equal(f.request.update_mask, &f.mask);
    assert_true(top_node("description")->named);
    assert_null(top_node("thing"));
    assert_false(br_mask_is_whole(f.tree));
}

static void test_apply_path_through_repeated_means_every_element(void **state)
{
    (void)state;
    add_path("parts.name");
    apply();
    assert_int_equal(f.violations.total_count, 0);
    assert_int_equal(f.request.n_parts, 2);
    assert_string_equal(f.part[0].name, "first");
    assert_string_equal(f.part[1].name, "second");
    assert_false(f.part[0].has_size);
    assert_false(f.part[1].has_size);
    assert_false(top_node("parts")->named);
    assert_false(br_mask_is_whole(top_node("parts")));
}

static void test_apply_path_through_message_keeps_its_children_only(void **state)
{
    (void)state;
    add_path("thing.part.name");
    apply();
    assert_int_equal(f.violations.total_count, 0);
    assert_ptr_equal(f.request.thing, &f.thing);
    assert_ptr_equal(f.thing.part, &f.thing_part);
    assert_string_equal(f.thing_part.name, "inner");
    assert_null(f.thing.text);
    assert_false(f.thing.has_flag);
}

static void test_apply_named_message_keeps_all_below(void **state)
{
    (void)state;
    add_path("thing");
    apply();
    assert_int_equal(f.violations.total_count, 0);
    assert_string_equal(f.thing.text, "text");
    assert_true(f.thing.has_flag);
    assert_true(br_mask_is_whole(top_node("thing")));
}

static void check_overlap(void)
{
    apply();
    assert_int_equal(f.violations.total_count, 0);
    assert_true(f.part[0].has_size);
    const struct br_mask *parts = top_node("parts");
    assert_true(parts->named);
    assert_null(parts->next);
    const struct br_mask *name = br_mask_child(parts, plan_field(test_plan("Part"), "name"));
    assert_non_null(name);
    assert_true(name->named);
    assert_null(name->next);
}

static void test_apply_overlapping_paths_coalesce_in_any_order(void **state)
{
    (void)state;
    add_path("parts");
    add_path("parts.name");
    add_path("parts.name");
    add_path("parts");
    check_overlap();
    f.mask.n_paths = 0;
    add_path("parts.name");
    add_path("parts");
    check_overlap();
}

static void test_apply_path_below_a_named_message_is_whole(void **state)
{
    (void)state;
    add_path("thing.part.name");
    add_path("thing");
    apply();
    const struct br_mask *part = br_mask_child(top_node("thing"), plan_field(test_plan("Thing"), "part"));
    assert_non_null(part);
    assert_false(part->named);
    assert_true(br_mask_is_whole(part));
    assert_true(f.thing.has_flag);
}

static void test_apply_empty_string_list_and_map_may_be_named(void **state)
{
    (void)state;
    f.request.description = NULL;
    f.request.n_tags = 0;
    add_path("description");
    add_path("tags");
    add_path("labels");
    apply();
    assert_int_equal(f.violations.total_count, 0);
    assert_true(top_node("labels")->named);
}

static void test_apply_value_missing_is_a_violation(void **state)
{
    (void)state;
    static const char *const paths[] = {"level", "colour", "share", "thing"};
    f.request.has_colour = false;
    f.request.thing = NULL;
    for (size_t i = 0; i < COUNT(paths); i++) {
        br_violations_init(&f.violations, &f.arena);
        f.mask.n_paths = 0;
        add_path(paths[i]);
        apply();
        assert_one_violation(paths[i], "named in update_mask but has no value");
    }
}

static void test_apply_value_missing_in_one_element_names_it(void **state)
{
    (void)state;
    f.part[1].has_size = false;
    add_path("parts.size");
    apply();
    assert_one_violation("parts[1].size", "named in update_mask but has no value");
}

static void test_apply_zero_is_a_value(void **state)
{
    (void)state;
    f.part[0].size = 0;
    f.part[1].size = 0;
    f.request.has_level = true;
    add_path("parts.size");
    add_path("level");
    apply();
    assert_int_equal(f.violations.total_count, 0);
    assert_true(f.part[0].has_size);
    assert_true(f.request.has_level);
}

static void test_apply_path_through_empty_repeated_is_a_violation(void **state)
{
    (void)state;
    f.request.n_parts = 0;
    add_path("parts.name");
    add_path("parts.size");
    apply();
    assert_one_violation("parts", "parts is empty, so parts.name names nothing");
}

static void test_apply_path_through_empty_repeated_that_is_named_is_a_violation(void **state)
{
    (void)state;
    f.request.n_parts = 0;
    add_path("parts");
    add_path("parts.name");
    apply();
    assert_one_violation("parts", "parts is empty, so parts.name names nothing");
}

static void test_apply_path_through_empty_repeated_below_names_it(void **state)
{
    (void)state;
    add_path("thing.parts.name");
    apply();
    assert_one_violation("thing.parts", "parts is empty, so parts.name names nothing");
}

static void test_apply_path_through_unset_message_needs_an_empty_leaf(void **state)
{
    (void)state;
    f.request.thing = NULL;
    add_path("thing.text");
    add_path("thing.tags");
    add_path("thing.labels");
    add_path("thing.parts");
    add_path("thing.child.part.name");
    apply();
    assert_int_equal(f.violations.total_count, 0);
    assert_null(f.request.thing);

    add_path("thing.child.small");
    add_path("thing.parts.size");
    add_path("thing.free");
    apply();
    assert_int_equal(f.violations.total_count, 3);
    assert_string_equal(f.violations.items[0].field, "thing.parts");
    assert_string_equal(f.violations.items[1].field, "thing.child.small");
    assert_string_equal(f.violations.items[2].field, "thing.free");
}

static void test_apply_named_unset_message_is_one_violation(void **state)
{
    (void)state;
    f.request.thing = NULL;
    add_path("thing");
    add_path("thing.small");
    apply();
    assert_one_violation("thing", "named in update_mask but has no value");
}

static void test_apply_member_of_oneof_keeps_the_set_one(void **state)
{
    (void)state;
    f.thing.choice_case = TESTAPI__V1__THING__CHOICE_CHOICE_NUMBER;
    f.thing.choice_number = 7;
    add_path("thing.choice_number");
    apply();
    assert_int_equal(f.violations.total_count, 0);
    assert_int_equal(f.thing.choice_number, 7);
    f.mask.n_paths = 0;
    add_path("thing.choice_text");
    apply();
    assert_int_equal(f.violations.total_count, 0);
    assert_int_equal(f.thing.choice_case, TESTAPI__V1__THING__CHOICE__NOT_SET);
}

#define TOP_FIELDS "thing, description, parts, colour, share, rank, labels, tags, level"

static void test_apply_wrong_path_says_what_is_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *description;
    } cases[] = {
        {"*", "\"*\" is not a field; without a mask everything that is set is sent"},
        {"", "\"\" has an empty part; testapi.v1.UpdateThingRequest has: " TOP_FIELDS},
        {".", "\".\" has an empty part; testapi.v1.UpdateThingRequest has: " TOP_FIELDS},
        {"parts.", "\"parts.\" has an empty part; testapi.v1.Part has: name, size"},
        {"parts..name", "\"parts..name\" has an empty part; testapi.v1.Part has: name, size"},
        {"nothing", "\"nothing\" is not a field; testapi.v1.UpdateThingRequest has: " TOP_FIELDS},
        {"Description", "\"Description\" is not a field; testapi.v1.UpdateThingRequest has: " TOP_FIELDS},
        {"descriptio", "\"descriptio\" is not a field; testapi.v1.UpdateThingRequest has: " TOP_FIELDS},
        {"description ", "\"description \" is not a field; testapi.v1.UpdateThingRequest has: " TOP_FIELDS},
        {"parts[0].name", "\"parts[0].name\" is not a field; testapi.v1.UpdateThingRequest has: " TOP_FIELDS},
        {"parts.*", "\"parts.*\" is not a field; testapi.v1.Part has: name, size"},
        {"parts.colour", "\"parts.colour\" is not a field; testapi.v1.Part has: name, size"},
        {"thing.oddName",
         "\"thing.oddName\" is not a field; testapi.v1.Thing has: text, small, large, count, "
         "total, ratio, amount, flag, colour, zigzag, ..."},
        {"thing_id", "\"thing_id\" is in the URL and always sent; accepted: " TOP_FIELDS},
        {"update_mask", "\"update_mask\" is never sent itself; accepted: " TOP_FIELDS},
        {"update_mask.paths", "\"update_mask.paths\" is never sent itself; accepted: " TOP_FIELDS},
        {"description.x", "\"description.x\" goes on below description, which can only be named as a whole"},
        {"tags.x", "\"tags.x\" goes on below tags, which can only be named as a whole"},
        {"labels.key", "\"labels.key\" goes on below labels, which can only be named as a whole"},
        {"colour.x", "\"colour.x\" goes on below colour, which can only be named as a whole"},
        {"thing.parts_by_name.value",
         "\"thing.parts_by_name.value\" goes on below parts_by_name, which can only be named as a whole"},
        {"thing.free.fields", "\"thing.free.fields\" goes on below free, which can only be named as a whole"},
        {"thing.any_value.struct_value",
         "\"thing.any_value.struct_value\" goes on below any_value, which can only be named as a whole"},
        {"thing.any_list.values",
         "\"thing.any_list.values\" goes on below any_list, which can only be named as a whole"},
        {"a\nb", "\"a\\u000Ab\" is not a field; testapi.v1.UpdateThingRequest has: " TOP_FIELDS},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        br_violations_init(&f.violations, &f.arena);
        f.mask.n_paths = 0;
        add_path("tags");
        add_path(cases[i].path);
        f.request.n_tags = 2;
        apply();
        assert_one_violation("update_mask.paths[1]", cases[i].description);
    }
}

static void test_apply_every_wrong_path_is_reported(void **state)
{
    (void)state;
    add_path("x");
    add_path("description");
    add_path("y");
    apply();
    assert_int_equal(f.violations.total_count, 2);
    assert_string_equal(f.violations.items[0].field, "update_mask.paths[0]");
    assert_string_equal(f.violations.items[1].field, "update_mask.paths[2]");
}

static void test_apply_path_of_any_length_is_bounded(void **state)
{
    (void)state;
    static char path[70000];
    /* BR_MAX_DEPTH names are the most. */
    size_t len = 0;
    for (size_t i = 1; i < BR_MAX_DEPTH; i++) {
        memcpy(path + len, i == 1 ? "thing." : "child.", 6);
        len += 6;
    }
    memcpy(path + len, "text", 5);
    add_path(path);
    apply();
    assert_int_equal(f.violations.total_count, 0);

    f.mask.n_paths = 0;
    memcpy(path + len, "child.text", 11);
    add_path(path);
    apply();
    assert_int_equal(f.violations.total_count, 1);
    assert_non_null(strstr(f.violations.items[0].description, " has more than 64 names"));

    for (len = 6; len + 7 < sizeof path; len += 6)
        memcpy(path + len, "child.", 6);
    path[len - 1] = '\0';
    apply();
    assert_int_equal(f.violations.total_count, 2);
    assert_true(strlen(f.violations.items[1].description) < 100);
}

static void test_apply_too_many_empty_fields_refused(void **state)
{
    (void)state;
    static Testapi__V1__Part *parts[BR_MAX_WIRE_ELEMENTS];
    Testapi__V1__Part part = TESTAPI__V1__PART__INIT;
    for (size_t i = 0; i < COUNT(parts); i++) {
        parts[i] = &part;
    }
    f.request.parts = parts;
    f.request.n_parts = COUNT(parts);
    add_path("parts.name");
    apply();
    assert_int_equal(f.violations.total_count, 0);

    f.request.description = NULL;
    add_path("description");
    assert_false(br_mask_apply(test_method("UpdateThing"), &f.request.base, &f.violations, &f.tree, &f.st));
    assert_int_equal(f.st.code, BR_RESOURCE_EXHAUSTED);
    assert_string_equal(f.st.reason, "MESSAGE_TOO_LARGE");
    assert_string_equal(f.st.msg,
                        "update_mask names more than 100000 empty fields, over all elements of lists");
}

static void test_apply_whole_body_field_may_be_named(void **state)
{
    (void)state;
    struct br_method method = *test_method("UpdateThing");
    enum br_role roles[32];
    assert_true(method.input->field_count <= COUNT(roles));
    for (size_t i = 0; i < method.input->field_count; i++) {
        roles[i] = method.roles[i] == BR_ROLE_BODY ? BR_ROLE_QUERY : method.roles[i];
        if (strcmp(method.input->fields[i].name, "parts") == 0)
            roles[i] = BR_ROLE_WHOLE_BODY;
    }
    method.roles = roles;
    add_path("parts.name");
    add_path("description");
    assert_true(br_mask_apply(&method, &f.request.base, &f.violations, &f.tree, &f.st));
    assert_one_violation("update_mask.paths[1]",
                         "\"description\" is in the URL and always sent; accepted: parts");
    assert_false(f.part[0].has_size);
    assert_string_equal(f.request.description, "words");
}

static void test_apply_memory_runs_out_fails_or_counts(void **state)
{
    (void)state;
    bool failed = false;
    bool succeeded = false;
    for (size_t limit = 0; limit < 2048; limit += 16) {
        br_arena_finish(&f.arena);
        set_up(NULL);
        f.arena.limit_bytes = limit;
        add_path("thing.part.name");
        add_path("parts.size");
        add_path("thing.parts.name");
        add_path("nothing");
        f.tree = (const struct br_mask *)&f;
        if (br_mask_apply(test_method("UpdateThing"), &f.request.base, &f.violations, &f.tree, &f.st)) {
            succeeded = true;
            assert_int_equal(f.violations.total_count, 2);
            assert_true(top_node("parts") != NULL);
        } else {
            failed = true;
            assert_int_equal(f.st.code, BR_RESOURCE_EXHAUSTED);
            assert_ptr_equal(f.tree, &f);
        }
    }
    assert_true(failed && succeeded);
}

/* A small generator of our own, so that every run tries the same paths. */
static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void mutate(char path[64], uint32_t *seed)
{
    static const char bytes[] = "..*aeinprst_[]0\"\x01\xC3\xA4";
    static const char *const names[] = {"thing", "part",   "parts", "name", "size",
                                        "child", "labels", "free",  ""};
    size_t len = strlen(path);
    size_t at = next_random(seed) % (len + 1);
    switch (next_random(seed) % 4) {
    case 0: /* a byte less */
        if (at < len)
            memmove(path + at, path + at + 1, len - at);
        break;
    case 1: /* another byte */
        if (at < len)
            path[at] = bytes[next_random(seed) % (sizeof bytes - 1)];
        break;
    case 2: /* a byte more */
        if (len + 1 < 64) {
            memmove(path + at + 1, path + at, len - at + 1);
            path[at] = bytes[next_random(seed) % (sizeof bytes - 1)];
        }
        break;
    default: { /* another step at the end */
        const char *name = names[next_random(seed) % COUNT(names)];
        if (len + 1 + strlen(name) < 64) {
            path[len] = '.';
            memcpy(path + len + 1, name, strlen(name) + 1);
        }
        break;
    }
    }
}

/* Whether the tree has a named node at |path|, found name by name without the parser under test. */
static bool tree_names(const struct br_mask *node, const char *path)
{
    size_t len = strcspn(path, ".");
    for (const struct br_mask *child = node->children; child != NULL; child = child->next) {
        const char *name = child->field->name;
        if (strlen(name) == len && memcmp(name, path, len) == 0)
            return path[len] == '\0' ? child->named : tree_names(child, path + len + 1);
    }
    return false;
}

static size_t count_named(const struct br_mask *node)
{
    size_t count = node->named;
    for (const struct br_mask *child = node->children; child != NULL; child = child->next)
        count += count_named(child);
    return count;
}

static size_t count_mask_violations(void)
{
    size_t count = 0;
    for (size_t i = 0; i < f.violations.count; i++)
        count += strncmp(f.violations.items[i].field, "update_mask.", strlen("update_mask.")) == 0;
    return count;
}

static void test_apply_mutated_paths_are_in_the_tree_or_refused(void **state)
{
    (void)state;
    static const char *const seeds[] = {"thing",       "thing.part.name",    "parts.size",
                                        "description", "thing.free",         "thing.child.tags",
                                        "labels",      "thing.parts_by_name"};
    uint32_t seed = 20240229;
    size_t accepted = 0;
    size_t refused = 0;
    for (size_t round = 0; round < 20000; round++) {
        char path[3][64];
        br_arena_finish(&f.arena);
        set_up(NULL);
        for (size_t i = 0; i < COUNT(path); i++) {
            memset(path[i], 0, sizeof path[i]);
            const char *start = seeds[next_random(&seed) % COUNT(seeds)];
            memcpy(path[i], start, strlen(start));
            for (uint32_t step = next_random(&seed) % 4; step > 0; step--)
                mutate(path[i], &seed);
            add_path(path[i]);
        }
        apply();
        size_t found = 0;
        size_t distinct = 0;
        for (size_t i = 0; i < COUNT(path); i++) {
            if (!tree_names(f.tree, path[i]))
                continue;
            found++;
            bool is_repeated = false;
            for (size_t k = 0; k < i; k++)
                is_repeated = is_repeated || strcmp(path[k], path[i]) == 0;
            distinct += !is_repeated;
        }
        assert_int_equal(count_mask_violations(), COUNT(path) - found);
        assert_int_equal(count_named(f.tree), distinct);
        accepted += found;
        refused += COUNT(path) - found;
        /* What nothing mentions is gone. */
        assert_int_equal(f.request.n_tags, tree_names(f.tree, "tags") ? 2 : 0);
        if (top_node("thing") == NULL)
            assert_null(f.request.thing);
        assert_string_equal(f.request.thing_id, "t1");
    }
    assert_true(accepted > 10000 && refused > 10000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_apply_mask_unset_or_empty_leaves_everything),
        TEST(test_apply_method_without_mask_has_no_tree),
        TEST(test_apply_named_fields_stay_and_others_are_cleared),
        TEST(test_apply_path_through_repeated_means_every_element),
        TEST(test_apply_path_through_message_keeps_its_children_only),
        TEST(test_apply_named_message_keeps_all_below),
        TEST(test_apply_overlapping_paths_coalesce_in_any_order),
        TEST(test_apply_path_below_a_named_message_is_whole),
        TEST(test_apply_empty_string_list_and_map_may_be_named),
        TEST(test_apply_value_missing_is_a_violation),
        TEST(test_apply_value_missing_in_one_element_names_it),
        TEST(test_apply_zero_is_a_value),
        TEST(test_apply_path_through_empty_repeated_is_a_violation),
        TEST(test_apply_path_through_empty_repeated_that_is_named_is_a_violation),
        TEST(test_apply_path_through_empty_repeated_below_names_it),
        TEST(test_apply_path_through_unset_message_needs_an_empty_leaf),
        TEST(test_apply_named_unset_message_is_one_violation),
        TEST(test_apply_member_of_oneof_keeps_the_set_one),
        TEST(test_apply_wrong_path_says_what_is_accepted),
        TEST(test_apply_every_wrong_path_is_reported),
        TEST(test_apply_path_of_any_length_is_bounded),
        TEST(test_apply_too_many_empty_fields_refused),
        TEST(test_apply_whole_body_field_may_be_named),
        TEST(test_apply_memory_runs_out_fails_or_counts),
        TEST(test_apply_mutated_paths_are_in_the_tree_or_refused),
    };
    return cmocka_run_group_tests_name("field_mask", tests, NULL, NULL);
}
