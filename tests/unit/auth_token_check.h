/*
 * What the tests of auth_token.c share: IAM behind the HTTP seam, calls that wait, and the fixture around them.
 */
#ifndef TESTS_UNIT_AUTH_TOKEN_CHECK_H
#define TESTS_UNIT_AUTH_TOKEN_CHECK_H

#include "alloc_fault.h"
#include "auth_check.h"

#include "upstream/auth_token.h"
#include "upstream/http_collect.h"

#define IAM_URL "https://iam.example"
#define START_MS INT64_C(1000000)
#define START_S INT64_C(1700000000) /* 2023-11-14T22:13:20Z */
#define TIMEOUT_MS 10000
#define DAY_MS INT64_C(86400000)
#define DAY_LATER "2023-11-15T22:13:20.000000Z"
#define TOKEN "token-" SECRET
#define CALLS_MAX 100

/* ---- IAM: answers when the test says so ---- */

struct fake_iam {
    struct br_http http;            /* first */
    struct br_http_exchange *fetch; /* under way; NULL: none */
    struct br_http_exchange *pause; /* likewise */
    size_t fetch_count;
    size_t pause_count;
    char body[1024]; /* of the last fetch */
};

static inline void fake_iam_submit(struct br_http *self, struct br_http_exchange *exchange)
{
    struct fake_iam *iam = (struct fake_iam *)self;
    struct br_http_exchange **place = exchange->verb != NULL ? &iam->fetch : &iam->pause;
    assert_null(*place);
    *place = exchange;
    if (exchange->verb == NULL) {
        iam->pause_count++;
        return;
    }
    iam->fetch_count++;
    (void)snprintf(iam->body, sizeof iam->body, "%s", exchange->body);
    assert_int_equal(exchange->body_len, strlen(exchange->body));
}

static inline void fake_iam_cancel(struct br_http *self, struct br_http_exchange *exchange)
{
    (void)self;
    (void)exchange;
    fail_msg("nobody cancels a fetch: others may wait for it");
}

static inline struct br_http_exchange *fake_iam_take(struct br_http_exchange **place)
{
    struct br_http_exchange *exchange = *place;
    assert_non_null(exchange);
    *place = NULL;
    return exchange;
}

/* |lines|: header lines, each ended by "\n". */
static inline void fake_iam_collect(struct br_http_exchange *exchange, int status, const char *lines,
                                    const char *body)
{
    struct br_http_collect collect;
    char line[64];
    br_http_collect_begin(&collect, exchange);
    (void)snprintf(line, sizeof line, "HTTP/1.1 %d X\r\n", status);
    assert_int_equal(br_http_collect_header(&collect, line, strlen(line)), BR_HTTP_COLLECT_OK);
    while (*lines != '\0') {
        size_t len = strcspn(lines, "\n") + 1;
        assert_int_equal(br_http_collect_header(&collect, lines, len), BR_HTTP_COLLECT_OK);
        lines += len;
    }
    assert_int_equal(br_http_collect_header(&collect, "\r\n", 2), BR_HTTP_COLLECT_OK);
    assert_int_equal(br_http_collect_body(&collect, body, strlen(body)), BR_HTTP_COLLECT_OK);
    assert_true(br_http_collect_end(&collect));
}

static inline void fake_iam_answer(struct fake_iam *iam, int status, const char *lines, const char *body)
{
    struct br_http_exchange *exchange = fake_iam_take(&iam->fetch);
    fake_iam_collect(exchange, status, lines, body);
    exchange->done(exchange);
}

static inline void fake_iam_give(struct fake_iam *iam, const char *token, const char *expires_at)
{
    char lines[256];
    char body[256];
    (void)snprintf(lines, sizeof lines, "X-Request-Id: req-1\nX-Subject-Token: %s\n", token);
    (void)snprintf(body, sizeof body,
                   "{\"token\":{\"expires_at\":\"%s\",\"user\":{\"name\":\"" SECRET "\"}}}", expires_at);
    fake_iam_answer(iam, 201, lines, body);
}

static inline void fake_iam_fail(struct br_http_exchange **place, enum br_transport_failure failure,
                                 const char *text)
{
    struct br_http_exchange *exchange = fake_iam_take(place);
    exchange->answered = false;
    exchange->failure = failure;
    exchange->failure_name = "FAKE_FAILURE";
    (void)snprintf(exchange->failure_text, sizeof exchange->failure_text, "%s", text);
    exchange->done(exchange);
}

/* ---- A call ---- */

struct test_call {
    struct br_auth_waiter waiter; /* first */
    struct br_auth *auth;
    size_t ready_count;
    bool in_seam; /* apply or cancel runs */
    struct br_arena arena;
    struct br_headers headers;
    struct br_error error;
};

static inline void test_call_ready(struct br_auth_waiter *waiter)
{
    struct test_call *call = (struct test_call *)waiter;
    struct br_auth_token_state token;
    assert_false(call->in_seam);
    /* Ends only if no lock is held. */
    br_auth_token_state(call->auth, &token);
    call->ready_count++;
    /* It is the caller's own again. */
    waiter->next = (struct br_auth_waiter *)0x1;
    waiter->previous = (struct br_auth_waiter *)0x1;
}

static inline enum br_auth_result test_call_apply(struct test_call *call)
{
    static const struct br_headers none = {0};
    struct br_auth_request request = {.verb = "GET", .url = "https://up.example/", .metadata = &none};
    call->in_seam = true;
    enum br_auth_result result =
        call->auth->apply(call->auth, &request, &call->waiter, &call->arena, &call->headers, &call->error);
    call->in_seam = false;
    if (result == BR_AUTH_REFUSED) {
        assert_int_not_equal(call->error.st.code, BR_OK);
        assert_null(strstr(call->error.st.msg, SECRET));
        assert_string_equal(call->error.domain, BR_DOMAIN_BRIDGE);
    }
    return result;
}

static inline void test_call_cancel(struct test_call *call)
{
    call->in_seam = true;
    call->auth->cancel(call->auth, &call->waiter);
    call->in_seam = false;
}

/* ---- The fixture ---- */

struct fixture {
    struct test_clock clock;
    struct test_folder folder;
    struct test_output output;
    struct br_credentials *credentials;
    struct fake_iam iam;
    struct br_auth *auth;
    struct test_call calls[CALLS_MAX];
};

static uint32_t next_random;
static bool watching; /* what is released */
static size_t leak_count;

static inline uint32_t test_random(void)
{
    return next_random;
}

void __real_free(void *memory);
void __wrap_free(void *memory);
void __wrap_free(void *memory)
{
    leak_count += watching && test_is_secret(memory);
    __real_free(memory);
}

static inline void write_credentials(struct fixture *f, const char *password)
{
    test_folder_write(&f->folder, "username", "me");
    test_folder_write(&f->folder, "password", password);
    test_folder_write(&f->folder, "domain", "dom");
    test_folder_write(&f->folder, "project", "eu-de");
}

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct br_status st;
    assert_non_null(f);
    f->clock = test_clock_at(START_MS, START_S);
    f->iam.http = (struct br_http){.submit = fake_iam_submit, .cancel = fake_iam_cancel};
    f->folder = test_folder_make();
    write_credentials(f, SECRET);
    test_output_begin(&f->output);
    next_random = 0;
    leak_count = 0;
    watching = true;
    assert_true(br_credentials_create(f->folder.path, br_iam_token_files, BR_IAM_TOKEN_FILE_COUNT,
                                      &f->clock.clock, &f->credentials, &st));
    struct br_auth_token_config config = {
        .iam_url = IAM_URL,
        .credentials = f->credentials,
        .http = &f->iam.http,
        .clock = &f->clock.clock,
        .timeout_ms = TIMEOUT_MS,
        .random32 = test_random,
    };
    assert_true(br_auth_token_create(&config, &f->auth, &st));
    for (size_t i = 0; i < CALLS_MAX; i++) {
        f->calls[i] = (struct test_call){.waiter.ready = test_call_ready, .auth = f->auth};
        br_arena_init(&f->calls[i].arena, (size_t)1 << 20);
    }
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    /* As the bridge ends: the HTTP client first, which ends what is under way. */
    if (f->iam.fetch != NULL)
        fake_iam_fail(&f->iam.fetch, BR_TRANSPORT_CANCELLED, "");
    if (f->iam.pause != NULL)
        fake_iam_fail(&f->iam.pause, BR_TRANSPORT_CANCELLED, "");
    br_auth_token_destroy(f->auth);
    br_credentials_destroy(f->credentials);
    watching = false;
    (void)alloc_fault_end();
    test_output_end(&f->output);
    assert_int_equal(leak_count, 0);
    for (size_t i = 0; i < CALLS_MAX; i++)
        br_arena_finish(&f->calls[i].arena);
    test_folder_remove(&f->folder);
    free(f);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- What the tests say ---- */

static inline void expect_granted(struct test_call *call, const char *token)
{
    assert_int_equal(test_call_apply(call), BR_AUTH_GRANTED);
    assert_int_equal(call->headers.count, 1);
    assert_string_equal(call->headers.items[0].name, "X-Auth-Token");
    assert_string_equal(call->headers.items[0].value, token);
}

static inline void expect_pending(struct test_call *call)
{
    assert_int_equal(test_call_apply(call), BR_AUTH_PENDING);
    call->ready_count = 0;
}

/* |retry_after_ms| -1: none. */
static inline void expect_refused(struct test_call *call, enum br_code code, const char *reason,
                                  int64_t retry_after_ms)
{
    assert_int_equal(test_call_apply(call), BR_AUTH_REFUSED);
    assert_int_equal(call->error.st.code, code);
    assert_string_equal(call->error.st.reason, reason);
    assert_int_equal(call->error.retry_after_ms, retry_after_ms);
}

/* Gets the first token, which lives for a day. */
static inline void fetch_first(struct fixture *f)
{
    expect_pending(&f->calls[0]);
    fake_iam_give(&f->iam, TOKEN, DAY_LATER);
    assert_int_equal(f->calls[0].ready_count, 1);
    expect_granted(&f->calls[0], TOKEN);
}

#endif
