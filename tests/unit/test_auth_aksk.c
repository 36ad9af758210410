#define _GNU_SOURCE

#include "alloc_fault.h"
#include "auth_check.h"

#include "upstream/auth_aksk.h"

/* A published vector: huaweicloud-sdk-python-v3, test_signer1. */
#define VECTOR_URL "https://service.endpoint.myhuaweicloud.com/resources?size=1"
#define VECTOR_S INT64_C(1591583940)
#define VECTOR_DATE "20200608T023900Z"
#define VECTOR_AUTHORIZATION                                            \
    "SDK-HMAC-SHA256 Access=AccessKey, SignedHeaders=host;x-sdk-date, " \
    "Signature=cfb4171acec81de07d50e53d57eb77edd537414d66ddb1d7d780f128e12cd842"

struct fixture {
    struct test_clock clock;
    struct test_folder folder;
    struct test_output output;
    struct br_credentials *credentials;
    struct br_auth_aksk_config config;
    struct br_auth *auth;
    struct br_auth_waiter waiter;
    struct br_auth_request request;
    struct br_arena arena;
    struct br_headers headers;
    struct br_error error;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct br_status st;
    assert_non_null(f);
    f->clock = test_clock_at(1000, VECTOR_S);
    f->folder = test_folder_make();
    test_folder_write(&f->folder, "access-key", "AccessKey\n");
    test_folder_write(&f->folder, "secret-key", "SecretKey\n");
    test_output_begin(&f->output);
    br_arena_init(&f->arena, (size_t)1 << 20);
    assert_true(br_credentials_create(f->folder.path, br_auth_aksk_files, BR_AUTH_AKSK_FILE_COUNT,
                                      &f->clock.clock, &f->credentials, &st));
    f->config = (struct br_auth_aksk_config){.credentials = f->credentials, .clock = &f->clock.clock};
    f->request = (struct br_auth_request){.verb = "GET", .url = VECTOR_URL};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    br_auth_aksk_destroy(f->auth);
    /* Aborts if a set was not given back. */
    br_credentials_destroy(f->credentials);
    test_output_end(&f->output);
    br_arena_finish(&f->arena);
    test_folder_remove(&f->folder);
    free(f);
    return 0;
}

static void create(struct fixture *f)
{
    struct br_status st;
    assert_true(br_auth_aksk_create(&f->config, &f->auth, &st));
}

static enum br_auth_result apply(struct fixture *f)
{
    return f->auth->apply(f->auth, &f->request, &f->waiter, &f->arena, &f->headers, &f->error);
}

static const char *header(const struct fixture *f, const char *name)
{
    return br_headers_find(&f->headers, name);
}

static void test_apply_signs_published_vector(void **state)
{
    struct fixture *f = *state;
    create(f);
    assert_int_equal(apply(f), BR_AUTH_GRANTED);
    assert_int_equal(f->headers.count, 2);
    assert_string_equal(header(f, "X-Sdk-Date"), VECTOR_DATE);
    assert_string_equal(header(f, "Authorization"), VECTOR_AUTHORIZATION);
}

static void test_apply_credential_dialect_names_region_and_service(void **state)
{
    struct fixture *f = *state;
    static const char *const names[][2] = {{"eu-de", "modelarts"}, {NULL, NULL}};
    static const char *const starts[] = {
        "SDK-HMAC-SHA256 Credential=AccessKey/20200608/eu-de/modelarts/sdk_request,",
        "SDK-HMAC-SHA256 Credential=AccessKey/20200608///sdk_request,"};
    f->config.dialect = BR_SIGN_CREDENTIAL;
    for (size_t i = 0; i < 2; i++) {
        f->config.region = names[i][0];
        f->config.service = names[i][1];
        create(f);
        assert_int_equal(apply(f), BR_AUTH_GRANTED);
        assert_memory_equal(header(f, "Authorization"), starts[i], strlen(starts[i]));
        br_auth_aksk_destroy(f->auth);
        f->auth = NULL;
    }
}

static void test_apply_project_is_sent_where_there_is_one(void **state)
{
    struct fixture *f = *state;
    f->config.project_id = "p1";
    create(f);
    assert_int_equal(apply(f), BR_AUTH_GRANTED);
    assert_string_equal(header(f, "X-Project-Id"), "p1");
    assert_null(header(f, "X-Security-Token"));
}

static void test_apply_body_and_content_type_are_signed(void **state)
{
    struct fixture *f = *state;
    struct br_header content_type = {"Content-Type", "application/json"};
    char signatures[3][256];
    create(f);
    for (size_t i = 0; i < 3; i++) {
        f->request.body = i == 0 ? NULL : "{}x";
        f->request.body_len = i; /* none, "{", "{}" */
        f->request.headers = (struct br_headers){.items = &content_type, .count = 1};
        assert_int_equal(apply(f), BR_AUTH_GRANTED);
        (void)snprintf(signatures[i], sizeof signatures[i], "%s", header(f, "Authorization"));
        assert_non_null(strstr(signatures[i], "SignedHeaders=content-type;host;x-sdk-date"));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(signatures[i], signatures[j]);
    }
}

static void test_apply_changed_files_are_used_and_headers_outlive_them(void **state)
{
    struct fixture *f = *state;
    create(f);
    assert_int_equal(apply(f), BR_AUTH_GRANTED);
    struct br_headers old = f->headers;
    test_folder_write(&f->folder, "access-key", "NewKey");
    test_folder_write(&f->folder, "secret-key", SECRET);
    test_folder_write(&f->folder, "security-token", "sts");
    f->clock.now_ms += BR_CREDENTIALS_CHECK_MS;
    assert_int_equal(apply(f), BR_AUTH_GRANTED);
    assert_non_null(strstr(header(f, "Authorization"), "Access=NewKey,"));
    assert_string_equal(header(f, "X-Security-Token"), "sts");
    assert_string_equal(br_headers_find(&old, "Authorization"), VECTOR_AUTHORIZATION);
    old = f->headers;

    test_folder_unlink(&f->folder, "security-token");
    f->clock.now_ms += BR_CREDENTIALS_CHECK_MS;
    assert_int_equal(apply(f), BR_AUTH_GRANTED);
    assert_null(header(f, "X-Security-Token"));
    assert_string_equal(br_headers_find(&old, "X-Security-Token"), "sts");
    for (size_t i = 0; i < f->headers.count; i++)
        assert_null(strstr(f->headers.items[i].value, SECRET));
}

static void test_apply_without_room_in_arena_refuses(void **state)
{
    struct fixture *f = *state;
    create(f);
    br_arena_init(&f->arena, 16);
    assert_int_equal(apply(f), BR_AUTH_REFUSED);
    assert_int_equal(f->error.st.code, BR_RESOURCE_EXHAUSTED);
    assert_string_equal(f->error.st.reason, "OUT_OF_MEMORY");
    assert_string_equal(f->error.domain, BR_DOMAIN_BRIDGE);
    assert_int_equal(f->error.retry_after_ms, -1);
}

static void test_apply_time_that_cannot_be_written_refuses(void **state)
{
    struct fixture *f = *state;
    create(f);
    f->clock.unix_s = -1;
    assert_int_equal(apply(f), BR_AUTH_REFUSED);
    assert_string_equal(f->error.st.reason, "SIGNING_FAILED");
}

static void test_rejected_is_never_worth_another_try(void **state)
{
    struct fixture *f = *state;
    static const char *const codes[] = {"APIG.0301", "APIG.0303", "APIG.0307", "ModelArts.0203"};
    create(f);
    assert_int_equal(apply(f), BR_AUTH_GRANTED);
    for (size_t i = 0; i < 4; i++) {
        br_error_init(&f->error);
        (void)br_status_set(&f->error.st, BR_UNAUTHENTICATED, "ANY",
                            "token expires; verify aksk signature fail");
        br_error_add_metadata(&f->error, "http_status", "401");
        br_error_add_metadata(&f->error, "error_code", codes[i]);
        assert_false(f->auth->rejected(f->auth, &f->waiter, &f->error));
    }
    f->auth->cancel(f->auth, &f->waiter);
}

static void test_create_without_memory_fails(void **state)
{
    struct fixture *f = *state;
    struct br_status st;
    alloc_fault_all_after(0);
    assert_false(br_auth_aksk_create(&f->config, &f->auth, &st));
    (void)alloc_fault_end();
    assert_string_equal(st.reason, "OUT_OF_MEMORY");
    assert_null(f->auth);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_apply_signs_published_vector),
        TEST(test_apply_credential_dialect_names_region_and_service),
        TEST(test_apply_project_is_sent_where_there_is_one),
        TEST(test_apply_body_and_content_type_are_signed),
        TEST(test_apply_changed_files_are_used_and_headers_outlive_them),
        TEST(test_apply_without_room_in_arena_refuses),
        TEST(test_apply_time_that_cannot_be_written_refuses),
        TEST(test_rejected_is_never_worth_another_try),
        TEST(test_create_without_memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
