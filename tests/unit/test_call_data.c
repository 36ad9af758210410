#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <testapi/v1/everything.pb-c.h>

#include "cmd/call_data.h"
#include "test_contract.h"

static void assert_refused(const struct br_status *st, const char *part)
{
    assert_int_equal(st->code, BR_INVALID_ARGUMENT);
    assert_string_equal(st->reason, "BAD_SETTING");
    if (strstr(st->msg, part) == NULL)
        fail_msg("\"%s\" does not hold \"%s\"", st->msg, part);
    assert_null(strchr(st->msg, '\n'));
}

static void check_method(const char *name, const char *expected)
{
    size_t count;
    const struct br_method *methods = br_contract_methods(test_contract(), &count);
    const struct br_method *found;
    struct br_status st;
    if (!br_call_method(methods, count, name, &found, &st))
        fail_msg("%s", st.msg);
    assert_string_equal(found->name, expected);
}

static void test_method_every_form_of_its_name_is_found(void **state)
{
    (void)state;
    static const char full[] = "testapi.v1.EverythingService/UpdateThing";
    check_method(full, full);
    check_method("/testapi.v1.EverythingService/UpdateThing", full);
    check_method("UpdateThing", full);
    check_method("/UpdateThing", full);
}

static void test_method_that_is_unknown_lists_the_known_ones(void **state)
{
    (void)state;
    static const char *const names[] = {
        "Update", "updatething", "", "/", "EverythingService/UpdateThing", "UpdateThing/"};
    size_t count;
    const struct br_method *methods = br_contract_methods(test_contract(), &count);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct br_method *found;
        struct br_status st;
        assert_false(br_call_method(methods, count, names[i], &found, &st));
        assert_refused(&st, "there are: testapi.v1.EverythingService/UpdateThing, "
                            "testapi.v1.EverythingService/ListThings");
        assert_null(strstr(st.msg, "LocalCall"));
    }
}

static void test_method_without_a_rest_form_is_refused(void **state)
{
    (void)state;
    size_t count;
    const struct br_method *methods = br_contract_methods(test_contract(), &count);
    const struct br_method *found;
    struct br_status st;
    assert_false(br_call_method(methods, count, "LocalCall", &found, &st));
    assert_refused(&st, "answered by the bridge itself");
}

static void test_method_name_that_two_services_have_needs_the_full_one(void **state)
{
    (void)state;
    static const struct br_method methods[] = {
        {.path = "/a.A/Get", .name = "a.A/Get", .verb = "GET"},
        {.path = "/b.B/Get", .name = "b.B/Get", .verb = "GET"},
    };
    const struct br_method *found;
    struct br_status st;
    assert_false(br_call_method(methods, 2, "Get", &found, &st));
    assert_refused(&st, "several methods have this name: a.A/Get, b.B/Get");
    assert_true(br_call_method(methods, 2, "b.B/Get", &found, &st));
    assert_ptr_equal(found, &methods[1]);
}

/* Packs |json| for UpdateThing; the message is NULL when that is refused, with |st| set. */
static Testapi__V1__UpdateThingRequest *read_update(struct br_arena *arena, const char *json,
                                                    struct br_status *st)
{
    const uint8_t *packed;
    size_t len;
    br_arena_init(arena, 1 << 20);
    if (!br_call_data(test_method("UpdateThing"), json, strlen(json), arena, &packed, &len, st))
        return NULL;
    Testapi__V1__UpdateThingRequest *request = testapi__v1__update_thing_request__unpack(NULL, len, packed);
    assert_non_null(request);
    return request;
}

static void check_refused(const char *json, const char *part)
{
    struct br_arena arena;
    struct br_status st;
    assert_null(read_update(&arena, json, &st));
    assert_refused(&st, part);
    assert_refused(&st, "--data: ");
    br_arena_finish(&arena);
}

static void test_data_keys_literals_and_path_fields_are_packed(void **state)
{
    (void)state;
    struct br_arena arena;
    struct br_status st;
    Testapi__V1__UpdateThingRequest *request =
        read_update(&arena,
                    "{\"thing_id\":\"t\",\"colour\":\"deep-blue\",\"thing\":{\"oddName\":\"o\",\"small\":0},"
                    "\"labels\":{\"a\":\"b\"},\"update_mask\":\"colour,thing.odd_name\"}",
                    &st);
    assert_non_null(request);
    assert_string_equal(request->thing_id, "t");
    assert_null(request->project_id);
    assert_int_equal(request->colour, TESTAPI__V1__COLOUR__COLOUR_DEEP_BLUE);
    assert_string_equal(request->thing->odd_name, "o");
    assert_true(request->thing->has_small);
    assert_int_equal(request->n_labels, 1);
    assert_int_equal(request->update_mask->n_paths, 2);
    assert_string_equal(request->update_mask->paths[1], "thing.odd_name");
    testapi__v1__update_thing_request__free_unpacked(request, NULL);
    br_arena_finish(&arena);
}

static void test_data_empty_object_is_the_empty_message(void **state)
{
    (void)state;
    struct br_arena arena;
    struct br_status st;
    const uint8_t *packed;
    size_t len = 1;
    br_arena_init(&arena, 1 << 20);
    assert_true(br_call_data(test_method("ListThings"), "{}", 2, &arena, &packed, &len, &st));
    assert_int_equal(len, 0);
    assert_non_null(packed);
    br_arena_finish(&arena);
}

static void test_data_that_is_not_one_object_is_refused(void **state)
{
    (void)state;
    check_refused("", "not valid JSON: the text is empty");
    check_refused("{'a':1}", "not valid JSON: a key in double quotes is expected, at byte 2");
    check_refused("{", "not valid JSON");
    check_refused("{} x", "not valid JSON");
    check_refused("[]", "expected a JSON object");
    check_refused("null", "expected a JSON object");
    check_refused("\"{}\"", "expected a JSON object");
}

static void test_data_unknown_keys_are_refused_with_the_known_ones(void **state)
{
    (void)state;
    check_refused("{\"thing_idd\":1}",
                  "unknown key \"thing_idd\", accepted in testapi.v1.UpdateThingRequest: "
                  "project_id, thing_id, thing, description,");
    /* A field whose REST key differs goes by that key. */
    check_refused("{\"thing\":{\"odd_name\":\"x\"}}", "accepted in testapi.v1.Thing: ");
    check_refused("{\"thing\":{\"odd_name\":\"x\"}}", ", oddName, ");
    check_refused("{\"Colour\":\"red\"}", "unknown key \"Colour\"");
    check_refused("{\"a\\u001b[31m\\n\":1}", "unknown key \"a\\u001B[31m\\u000A\"");
}

static void test_data_unknown_literals_are_refused_with_the_known_ones(void **state)
{
    (void)state;
    check_refused("{\"colour\":\"green\"}",
                  "unknown value \"green\", accepted in testapi.v1.Colour: red, deep-blue");
    check_refused("{\"thing\":{\"colours\":[\"red\",\"RED\"]}}",
                  "unknown value \"RED\", accepted in testapi.v1.Colour: red, deep-blue");
}

static void test_data_all_that_is_unknown_is_named(void **state)
{
    (void)state;
    check_refused("{\"x\":1,\"y\":2,\"colour\":\"green\"}",
                  "update_mask; unknown key \"y\"; unknown value \"green\"");
    check_refused("{\"1\":1,\"2\":1,\"3\":1,\"4\":1,\"5\":1,\"6\":1,\"7\":1,\"8\":1,\"9\":1}",
                  "; unknown key \"8\"; and more");
    /* The message has a ceiling, which long names reach. */
    char json[BR_STATUS_MSG_CAP];
    size_t len = 0;
    for (int i = 0; i < 8; i++)
        len += (size_t)snprintf(json + len, sizeof json - len, "%s\"%064d\":1", i == 0 ? "{" : ",", i);
    json[len++] = '}';
    json[len] = '\0';
    check_refused(json, "000007");
}

static void test_data_bad_values_name_their_field(void **state)
{
    (void)state;
    check_refused("{\"level\":\"x\"}", "level");
    check_refused("{\"level\":4294967296}", "level");
    check_refused("{\"parts\":[{\"size\":1},{\"size\":{}}]}", "parts[1].size");
    check_refused("{\"update_mask\":1}", "update_mask: 1 is not accepted; give the names as one text: \"");
    check_refused("{\"update_mask\":[\"tags\"]}",
                  "update_mask: a list is not accepted; give the names as one");
    check_refused("{\"rank\":9007199254740993}",
                  "rank: 9007199254740992 has more digits than are read exactly; give it as text");
    check_refused("{\"rank\":\"1e17\"}", "rank: \"1e17\" has more digits than are read exactly");
}

static void test_data_null_is_refused_where_it_would_be_left_out(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *path;
    } cases[] = {
        {"{\"description\":null}", "description"},
        {"{\"description\":null,\"description\":\"x\"}", "description"},
        {"{\"update_mask\":null}", "update_mask"},
        {"{\"tags\":null}", "tags"},
        {"{\"tags\":[\"a\",null]}", "tags[1]"},
        {"{\"labels\":null}", "labels"},
        {"{\"labels\":{\"a\":\"b\",\"c\":null}}", "labels[\"c\"]"},
        {"{\"thing\":null}", "thing"},
        {"{\"thing\":{\"child\":{\"small\":null}}}", "thing.child.small"},
        {"{\"thing\":{\"any_value\":null}}", "thing.any_value"},
        {"{\"thing\":{\"parts_by_name\":{\"x\":{\"size\":null}}}}", "thing.parts_by_name[\"x\"].size"},
        {"{\"parts\":[{},{\"name\":null}]}", "parts[1].name"},
        /* One value may stand for a list of one. */
        {"{\"parts\":{\"name\":null}}", "parts.name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char part[128];
        (void)snprintf(part, sizeof part, "--data: %s is null; leave it out", cases[i].path);
        check_refused(cases[i].json, part);
    }
    struct br_arena arena;
    struct br_status st;
    Testapi__V1__UpdateThingRequest *request = read_update(
        &arena, "{\"thing\":{\"free\":{\"a\":null,\"b\":[null]},\"any_value\":[null],\"any_list\":[null]}}",
        &st);
    assert_non_null(request);
    assert_int_equal(request->thing->free->n_fields, 2);
    assert_int_equal(request->thing->any_list->n_values, 1);
    testapi__v1__update_thing_request__free_unpacked(request, NULL);
    br_arena_finish(&arena);
}

static void test_data_empty_list_without_a_mask_is_refused(void **state)
{
    (void)state;
    check_refused("{\"tags\":[]}",
                  "tags is empty, and is sent as such only when update_mask names it, such as "
                  "\"update_mask\":\"tags\", together with everything else that is to be sent");
    check_refused("{\"labels\":{}}", "labels is empty");
    check_refused("{\"thing\":{\"parts\":[{}],\"tags\":[]}}", "thing.tags is empty");
    check_refused("{\"thing\":{\"child\":{\"numbers\":[]}}}", "thing.child.numbers is empty");
}

static void test_data_empty_list_that_a_mask_can_send_is_accepted(void **state)
{
    (void)state;
    static const char *const accepted[] = {
        "{\"tags\":[],\"update_mask\":\"tags\"}",
        "{\"thing\":{}}",
        "{\"thing\":{\"free\":{\"a\":[],\"b\":{}}}}",
        "{\"parts\":[{}]}",
    };
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        struct br_arena arena;
        struct br_status st;
        Testapi__V1__UpdateThingRequest *request = read_update(&arena, accepted[i], &st);
        if (request == NULL)
            fail_msg("%s: %s", accepted[i], st.msg);
        testapi__v1__update_thing_request__free_unpacked(request, NULL);
        br_arena_finish(&arena);
    }
    struct br_arena arena;
    struct br_status st;
    const uint8_t *packed;
    size_t len;
    br_arena_init(&arena, 1 << 20);
    assert_true(
        br_call_data(test_method("PatchThing"), "{\"operations\":[]}", 17, &arena, &packed, &len, &st));
    br_arena_finish(&arena);
}

static void test_data_without_memory_says_so(void **state)
{
    (void)state;
    static const char json[] = "{\"thing_id\":\"t\",\"thing\":{\"tags\":[\"a\"]}}";
    bool ok = false;
    for (size_t limit = 0; !ok; limit += 16) {
        struct br_arena arena;
        struct br_status st;
        const uint8_t *packed;
        size_t len;
        br_arena_init(&arena, limit);
        ok = br_call_data(test_method("UpdateThing"), json, sizeof json - 1, &arena, &packed, &len, &st);
        if (!ok)
            assert_string_equal(st.reason, "OUT_OF_MEMORY");
        assert_true(limit < 1 << 16);
        br_arena_finish(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_method_every_form_of_its_name_is_found),
        cmocka_unit_test(test_method_that_is_unknown_lists_the_known_ones),
        cmocka_unit_test(test_method_without_a_rest_form_is_refused),
        cmocka_unit_test(test_method_name_that_two_services_have_needs_the_full_one),
        cmocka_unit_test(test_data_keys_literals_and_path_fields_are_packed),
        cmocka_unit_test(test_data_empty_object_is_the_empty_message),
        cmocka_unit_test(test_data_that_is_not_one_object_is_refused),
        cmocka_unit_test(test_data_unknown_keys_are_refused_with_the_known_ones),
        cmocka_unit_test(test_data_unknown_literals_are_refused_with_the_known_ones),
        cmocka_unit_test(test_data_all_that_is_unknown_is_named),
        cmocka_unit_test(test_data_bad_values_name_their_field),
        cmocka_unit_test(test_data_null_is_refused_where_it_would_be_left_out),
        cmocka_unit_test(test_data_empty_list_without_a_mask_is_refused),
        cmocka_unit_test(test_data_empty_list_that_a_mask_can_send_is_accepted),
        cmocka_unit_test(test_data_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
