#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema_edit.h"
#include "serve/local.h"
#include "test_contract.h"

#include <stdio.h>
#include <string.h>

#define SERVICE "testapi.v1.EverythingService/"

static bool answer(void *context, const uint8_t *bytes, size_t len, struct br_buf *reply,
                   struct br_status *st)
{
    (void)context;
    (void)bytes;
    (void)len;
    (void)reply;
    (void)st;
    return true;
}

struct fixture {
    struct edit edit;
    struct br_health *health;
    struct br_local_handler handlers[4];
    size_t count;
    struct br_status st;
};

/* The contract with LocalUpload, which streams in the one way that no handler has, streaming nothing. */
static void set_up(struct fixture *f, bool upload_streams)
{
    *f = (struct fixture){0};
    edit_open(&f->edit);
    edit_method(&f->edit, "LocalUpload")->client_streaming = upload_streams;
    if (!edit_compile(&f->edit)) {
        fail_msg("%s", f->edit.st.msg);
    }
    f->health = br_health_create(f->edit.contract);
    const struct br_local_handler handlers[] = {
        {.method = SERVICE "LocalCall", .answer = answer},
        {.method = SERVICE "LocalWatch", .answer = answer, .watched = f->health},
        {.method = SERVICE "LocalUpload", .answer = answer},
        {.method = SERVICE "LocalTalk", .answer = answer},
    };
    memcpy(f->handlers, handlers, sizeof handlers);
    f->count = 4;
}

static void tear_down(struct fixture *f)
{
    br_health_destroy(f->health);
    edit_close(&f->edit);
}

static void assert_refused(struct fixture *f, const char *message)
{
    assert_false(br_local_check(f->edit.contract, f->handlers, f->count, &f->st));
    assert_int_equal(f->st.code, BR_INTERNAL);
    assert_string_equal(f->st.reason, "CONTRACT_INVALID");
    assert_string_equal(f->st.msg, message);
}

static void test_check_every_method_has_its_handler(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, false);
    assert_true(br_local_check(f.edit.contract, f.handlers, f.count, &f.st));
    tear_down(&f);
}

static void test_check_method_without_handler_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, false);
    f.count = 3;
    assert_refused(&f, SERVICE "LocalTalk: has neither google.api.http nor a handler in the bridge");
    f.count = 0;
    assert_refused(&f, SERVICE "LocalCall: has neither google.api.http nor a handler in the bridge");
    tear_down(&f);
}

static void test_check_handler_without_method_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *message;
    } cases[] = {
        {SERVICE "LocalCal", SERVICE "LocalCal: has a handler in the bridge, but is no method of the schema"},
        {"", ": has a handler in the bridge, but is no method of the schema"},
        {SERVICE "ListThings", SERVICE "ListThings: has a handler in the bridge, but google.api.http too"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        set_up(&f, false);
        f.handlers[0].method = cases[i].method;
        assert_refused(&f, cases[i].message);
        tear_down(&f);
    }
}

static void test_check_method_that_streams_otherwise_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"LocalCall", "LocalWatch", "LocalUpload", "LocalTalk"};
    for (size_t i = 0; i < 4; i++) {
        struct fixture f;
        char message[128];
        set_up(&f, false);
        f.handlers[i].watched = f.handlers[i].watched == NULL ? f.health : NULL;
        (void)snprintf(message, sizeof message,
                       SERVICE "%s: streams in another way than its handler in the bridge", names[i]);
        assert_refused(&f, message);
        tear_down(&f);
    }
    struct fixture f;
    set_up(&f, true);
    assert_refused(&f, SERVICE "LocalUpload: streams in another way than its handler in the bridge");
    tear_down(&f);
}

static void test_find_gives_the_methods_own_handler(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, false);
    assert_ptr_equal(br_local_find(f.handlers, 4, test_method("LocalCall")), &f.handlers[0]);
    assert_ptr_equal(br_local_find(f.handlers, 4, test_method("LocalTalk")), &f.handlers[3]);
    assert_null(br_local_find(f.handlers, 3, test_method("LocalTalk")));
    assert_null(br_local_find(f.handlers, 4, test_method("UpdateThing")));
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_every_method_has_its_handler),
        cmocka_unit_test(test_check_method_without_handler_is_refused),
        cmocka_unit_test(test_check_handler_without_method_is_refused),
        cmocka_unit_test(test_check_method_that_streams_otherwise_is_refused),
        cmocka_unit_test(test_find_gives_the_methods_own_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
