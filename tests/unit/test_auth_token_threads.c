/*
 * auth_token.c under real threads: calls on sixteen, IAM's answers on another, and files that change. Made for a run
 * under the thread sanitizer; without it, it shows that every call that waits is told, once.
 */
#define _GNU_SOURCE

#include "auth_check.h"

#include "upstream/auth_token.h"
#include "upstream/http_collect.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define THREAD_COUNT 16
#define CALLS_OF_ONE 400
#define TOKEN "token-" SECRET
#define SECOND_LATER "2023-11-14T22:13:21Z"
#define START_S INT64_C(1700000000)

/* cmocka's checks belong to the main thread. */
static void check(bool ok, const char *what)
{
    if (!ok) {
        (void)dprintf(STDOUT_FILENO, "%s\n", what);
        abort();
    }
}

/* Each look at the clock is a millisecond, so that tokens and pauses end. */
static atomic_int_least64_t ticks;

static int64_t tick_us(const struct br_clock *self)
{
    (void)self;
    return atomic_fetch_add(&ticks, 1) * 1000;
}

static int64_t same_s(const struct br_clock *self)
{
    (void)self;
    return START_S;
}

static uint32_t few(void)
{
    return (uint32_t)atomic_load(&ticks) % 200;
}

/* ---- IAM, on a thread ---- */

struct iam {
    struct br_http http; /* first */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct br_http_exchange *first; /* what was submitted */
    bool stopping;
    int fetch_count;
    pthread_t thread;
};

static void submit(struct br_http *self, struct br_http_exchange *exchange)
{
    struct iam *iam = (struct iam *)self;
    pthread_mutex_lock(&iam->lock);
    exchange->next = iam->first;
    iam->first = exchange;
    pthread_cond_signal(&iam->changed);
    pthread_mutex_unlock(&iam->lock);
}

static void cancel(struct br_http *self, struct br_http_exchange *exchange)
{
    (void)self;
    (void)exchange;
    check(false, "a fetch was cancelled");
}

static void collect(struct br_http_exchange *exchange, const char *const *lines, size_t count,
                    const char *body)
{
    struct br_http_collect state;
    br_http_collect_begin(&state, exchange);
    bool ok = true;
    for (size_t i = 0; i < count; i++)
        ok = ok && br_http_collect_header(&state, lines[i], strlen(lines[i])) == BR_HTTP_COLLECT_OK;
    ok = ok && br_http_collect_body(&state, body, strlen(body)) == BR_HTTP_COLLECT_OK;
    check(ok && br_http_collect_end(&state), "the answer is not one");
}

static void answer(struct iam *iam, struct br_http_exchange *exchange)
{
    static const char *const good[] = {"HTTP/1.1 201 Created\n", "X-Subject-Token: " TOKEN "\n", "\n"};
    static const char *const bad[] = {"HTTP/1.1 503 Busy\n", "\n"};
    if (exchange->verb == NULL) {
        exchange->failure = BR_TRANSPORT_DEADLINE;
    } else if (iam->fetch_count++ % 3 == 1) {
        collect(exchange, bad, 2, "");
    } else {
        collect(exchange, good, 3, "{\"token\":{\"expires_at\":\"" SECOND_LATER "\"}}");
    }
    exchange->done(exchange);
}

static void *run_iam(void *arg)
{
    struct iam *iam = arg;
    pthread_mutex_lock(&iam->lock);
    for (;;) {
        struct br_http_exchange *exchange = iam->first;
        if (exchange != NULL) {
            iam->first = exchange->next;
            pthread_mutex_unlock(&iam->lock);
            answer(iam, exchange);
            pthread_mutex_lock(&iam->lock);
        } else if (iam->stopping) {
            break;
        } else {
            pthread_cond_wait(&iam->changed, &iam->lock);
        }
    }
    pthread_mutex_unlock(&iam->lock);
    return NULL;
}

static void start_iam(struct iam *iam)
{
    *iam = (struct iam){.http = {.submit = submit, .cancel = cancel}};
    (void)pthread_mutex_init(&iam->lock, NULL);
    (void)pthread_cond_init(&iam->changed, NULL);
    assert_int_equal(pthread_create(&iam->thread, NULL, run_iam, iam), 0);
}

static void stop_iam(struct iam *iam)
{
    pthread_mutex_lock(&iam->lock);
    iam->stopping = true;
    pthread_cond_signal(&iam->changed);
    pthread_mutex_unlock(&iam->lock);
    assert_int_equal(pthread_join(iam->thread, NULL), 0);
    (void)pthread_cond_destroy(&iam->changed);
    (void)pthread_mutex_destroy(&iam->lock);
}

/* ---- Calls ---- */

struct caller {
    struct br_auth_waiter waiter; /* first */
    struct br_auth *auth;
    sem_t ready;
    unsigned seed;
    size_t granted, refused, waited;
    pthread_t thread;
};

static void wake(struct br_auth_waiter *waiter)
{
    (void)sem_post(&((struct caller *)waiter)->ready);
}

static void call_once(struct caller *caller, const struct br_error *expired)
{
    static const struct br_headers none = {0};
    struct br_auth_request request = {.verb = "GET", .url = "https://up.example/", .metadata = &none};
    struct br_arena arena;
    struct br_headers headers;
    struct br_error error;
    enum br_auth_result result;
    int value;
    br_arena_init(&arena, (size_t)1 << 16);
    while ((result = caller->auth->apply(caller->auth, &request, &caller->waiter, &arena, &headers,
                                         &error)) == BR_AUTH_PENDING) {
        caller->waited++;
        if (rand_r(&caller->seed) % 3 == 0)
            caller->auth->cancel(caller->auth, &caller->waiter);
        while (sem_wait(&caller->ready) != 0)
            check(errno == EINTR, "sem_wait");
        caller->auth->cancel(caller->auth, &caller->waiter); /* too late to do anything */
    }
    check(sem_getvalue(&caller->ready, &value) == 0 && value == 0, "ready came twice");
    if (result == BR_AUTH_GRANTED) {
        caller->granted++;
        check(strcmp(headers.items[0].value, TOKEN) == 0, "not the token");
        if (rand_r(&caller->seed) % 50 == 0)
            (void)caller->auth->rejected(caller->auth, &caller->waiter, expired);
    } else {
        caller->refused++;
        check(strcmp(error.st.reason, "TOKEN_UNAVAILABLE") == 0, "refused for something else");
    }
    br_arena_finish(&arena);
}

static void *run_caller(void *arg)
{
    struct caller *caller = arg;
    struct br_error expired;
    struct br_auth_token_state token;
    br_error_init(&expired);
    (void)br_status_set(&expired.st, BR_UNAUTHENTICATED, "MODELARTS_0203", "Invalid token.");
    br_error_add_metadata(&expired, "http_status", "401");
    br_error_add_metadata(&expired, "error_code", "ModelArts.0203");
    for (size_t i = 0; i < CALLS_OF_ONE; i++) {
        call_once(caller, &expired);
        br_auth_token_prefetch(caller->auth);
        br_auth_token_state(caller->auth, &token);
    }
    return NULL;
}

static void change_password(const struct test_folder *folder, int round)
{
    char text[64];
    char from[TEST_PATH_CAP];
    char to[TEST_PATH_CAP];
    (void)snprintf(text, sizeof text, SECRET "%d", round);
    test_folder_write(folder, "new", text);
    assert_int_equal(rename(test_folder_at(folder, "new", from), test_folder_at(folder, "password", to)), 0);
}

static void test_calls_on_many_threads_are_all_answered(void **state)
{
    (void)state;
    static const struct br_clock clock = {.now_us = tick_us, .unix_s = same_s};
    static struct test_output output;
    struct test_folder folder = test_folder_make();
    for (size_t i = 0; i < BR_IAM_TOKEN_FILE_COUNT; i++)
        test_folder_write(&folder, br_iam_token_files[i].name, SECRET);
    test_output_begin(&output);
    struct br_status st;
    struct br_credentials *credentials;
    assert_true(br_credentials_create(folder.path, br_iam_token_files, BR_IAM_TOKEN_FILE_COUNT, &clock,
                                      &credentials, &st));
    struct iam iam;
    start_iam(&iam);
    struct br_auth_token_config config = {
        .iam_url = "https://iam.example",
        .credentials = credentials,
        .http = &iam.http,
        .clock = &clock,
        .timeout_ms = 1000,
        .random32 = few,
    };
    struct br_auth *auth;
    assert_true(br_auth_token_create(&config, &auth, &st));
    static struct caller callers[THREAD_COUNT];
    for (unsigned i = 0; i < THREAD_COUNT; i++) {
        callers[i] = (struct caller){.waiter.ready = wake, .auth = auth, .seed = i + 1};
        assert_int_equal(sem_init(&callers[i].ready, 0, 0), 0);
        assert_int_equal(pthread_create(&callers[i].thread, NULL, run_caller, &callers[i]), 0);
    }
    for (int round = 0; round < 20; round++)
        change_password(&folder, round);

    size_t granted = 0;
    size_t refused = 0;
    size_t waited = 0;
    for (size_t i = 0; i < THREAD_COUNT; i++) {
        assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
        (void)sem_destroy(&callers[i].ready);
        granted += callers[i].granted;
        refused += callers[i].refused;
        waited += callers[i].waited;
    }
    stop_iam(&iam);
    br_auth_token_destroy(auth);
    br_credentials_destroy(credentials);
    test_output_end(&output);
    test_folder_remove(&folder);
    print_message("%zu granted, %zu refused, %zu waited, %d fetches\n", granted, refused, waited,
                  iam.fetch_count);
    assert_int_equal(granted + refused, THREAD_COUNT * CALLS_OF_ONE);
    assert_true(granted > 0 && waited > 0 && iam.fetch_count > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_on_many_threads_are_all_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
