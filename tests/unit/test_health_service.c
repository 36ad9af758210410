#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alloc_fault.h"
#include "serve/health_service.h"
#include "translate/named_rules.h"

#include <grpc/health/v1/health.pb-c.h>
#include <stdlib.h>
#include <string.h>

/* The product's own schema, which has services that the bridge answers itself. */
static struct br_contract *contract;

static int compile_contract(void **state)
{
    (void)state;
    struct br_status st;
    return br_contract_create(&br_schema_linked, br_named_functions, br_named_functions_count, &contract, &st)
               ? 0
               : -1;
}

static int destroy_contract(void **state)
{
    (void)state;
    br_contract_destroy(contract);
    return 0;
}

struct fixture {
    struct br_health *health;
    struct br_local_handler handlers[BR_HEALTH_SERVICE_METHODS];
    const struct br_local_handler *check;
    const struct br_local_handler *watch;
    struct br_status st;
};

static void set_up(struct fixture *f)
{
    *f = (struct fixture){.health = br_health_create(contract)};
    assert_non_null(f->health);
    br_health_set_started(f->health);
    br_health_service_handlers(f->health, f->handlers);
    f->check = &f->handlers[0];
    f->watch = &f->handlers[1];
}

static void tear_down(struct fixture *f)
{
    br_health_destroy(f->health);
}

/* The status in the answer; -1: there is none, but |f->st|. */
static int ask(struct fixture *f, const struct br_local_handler *handler, const void *bytes, size_t len)
{
    struct br_buf reply;
    br_buf_init(&reply, BR_LOCAL_MAX_REPLY_BYTES);
    /* A copy that ends where the bytes do, so that the sanitizer sees a step beyond. */
    uint8_t *copy = malloc(len + 1);
    memcpy(copy + 1, bytes, len);
    int status = -1;
    if (handler->answer(handler->context, copy + 1, len, &reply, &f->st)) {
        Grpc__Health__V1__HealthCheckResponse *response =
            grpc__health__v1__health_check_response__unpack(NULL, reply.len, (const uint8_t *)reply.data);
        assert_non_null(response);
        status = response->status;
        grpc__health__v1__health_check_response__free_unpacked(response, NULL);
    }
    free(copy);
    br_buf_finish(&reply);
    return status;
}

static int ask_for(struct fixture *f, const struct br_local_handler *handler, const char *service)
{
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    request.service = (char *)(uintptr_t)service;
    uint8_t bytes[512];
    size_t len = grpc__health__v1__health_check_request__get_packed_size(&request);
    assert_true(len <= sizeof bytes);
    (void)grpc__health__v1__health_check_request__pack(&request, bytes);
    return ask(f, handler, bytes, len);
}

static void test_handlers_are_the_two_methods(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f);
    assert_string_equal(f.check->method, "grpc.health.v1.Health/Check");
    assert_null(f.check->watched);
    assert_string_equal(f.watch->method, "grpc.health.v1.Health/Watch");
    assert_ptr_equal(f.watch->watched, f.health);
    tear_down(&f);
}

static void test_known_names_have_the_bridges_status(void **state)
{
    (void)state;
    static const char *const names[] = {"", "readiness", "modelarts.v1.ModelArtsService"};
    struct fixture f;
    set_up(&f);
    for (int round = 0; round < 2; round++) {
        int expected = round == 0 ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
                                  : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(ask_for(&f, f.check, names[i]), expected);
            assert_int_equal(ask_for(&f, f.watch, names[i]), expected);
        }
        assert_int_equal(ask_for(&f, f.check, "liveness"), BR_HEALTH_SERVING);
        br_health_set_draining(f.health);
    }
    tear_down(&f);
}

static void test_unknown_name_is_an_error_of_check_and_a_status_of_watch(void **state)
{
    (void)state;
    /* The bridge's own services are not among the names. */
    static const char *const names[] = {"nobody", "grpc.health.v1.Health",
                                        "grpc.reflection.v1.ServerReflection"};
    struct fixture f;
    set_up(&f);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(ask_for(&f, f.check, names[i]), -1);
        assert_int_equal(f.st.code, BR_NOT_FOUND);
        assert_string_equal(f.st.reason, "SERVICE_UNKNOWN");
        assert_int_equal(ask_for(&f, f.watch, names[i]),
                         GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN);
    }
    tear_down(&f);
}

#define ASK(f, literal) ask(f, (f)->check, literal, sizeof(literal) - 1)

static void test_requests_are_read_as_protobuf_reads_them(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f);
    br_health_set_problem(f.health, "none");
    assert_int_equal(ASK(&f, ""), BR_HEALTH_NOT_SERVING);
    assert_int_equal(ASK(&f, "\x0a\x00"), BR_HEALTH_NOT_SERVING);
    assert_int_equal(ASK(&f, "\x0a\x08liveness"), BR_HEALTH_SERVING);
    assert_int_equal(ASK(&f, "\x0a\x03xyz\x0a\x08liveness"), BR_HEALTH_SERVING);
    assert_int_equal(ASK(&f, "\x08\x01\x0a\x08liveness\x12\x02\xff\xff"), BR_HEALTH_SERVING);
    assert_int_equal(ASK(&f, "\x09liveness"), BR_HEALTH_NOT_SERVING); /* a number of 64 bits */
    assert_int_equal(ASK(&f, "\x0a\x09liveness\x00"), -1);
    assert_int_equal(f.st.code, BR_NOT_FOUND);
    tear_down(&f);
}

static void test_hostile_requests_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f);
    static const char whole[] = "\x0a\x08liveness";
    for (size_t len = 1; len < sizeof whole - 1; len++) {
        assert_int_equal(ask(&f, f.watch, whole, len), -1);
        assert_int_equal(f.st.code, BR_INVALID_ARGUMENT);
        assert_string_equal(f.st.reason, "MALFORMED_MESSAGE");
    }
    assert_int_equal(ASK(&f, "\x0a\x02\xff\xff"), -1);
    assert_string_equal(f.st.reason, "MALFORMED_MESSAGE");
    assert_int_equal(ASK(&f, "\x0a\xff\xff\xff\xff\x0f"), -1);
    assert_int_equal(ASK(&f, "\x0b\x0c"), -1);

    size_t len = BR_LOCAL_MAX_REQUEST_BYTES;
    uint8_t *huge = malloc(len);
    memset(huge, 'x', len);
    memcpy(huge, "\x0a\xfd\x7f", 3);
    assert_int_equal(ask(&f, f.check, huge, len), -1);
    assert_int_equal(f.st.code, BR_NOT_FOUND);
    free(huge);
    tear_down(&f);
}

static void test_without_memory_is_told(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f);
    alloc_fault_all_after(1); /* the copy in ask() */
    int status = ask_for(&f, f.check, "");
    (void)alloc_fault_end();
    assert_int_equal(status, -1);
    assert_string_equal(f.st.reason, "OUT_OF_MEMORY");
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handlers_are_the_two_methods),
        cmocka_unit_test(test_known_names_have_the_bridges_status),
        cmocka_unit_test(test_unknown_name_is_an_error_of_check_and_a_status_of_watch),
        cmocka_unit_test(test_requests_are_read_as_protobuf_reads_them),
        cmocka_unit_test(test_hostile_requests_are_refused),
        cmocka_unit_test(test_without_memory_is_told),
    };
    return cmocka_run_group_tests(tests, compile_contract, destroy_contract);
}
