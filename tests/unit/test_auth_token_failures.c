/* What auth_token.c does while IAM gives no token. */
#define _GNU_SOURCE

#include "auth_token_check.h"

#include <cjson/cJSON.h>

static void expect_unavailable(struct test_call *call, int64_t retry_after_ms)
{
    expect_refused(call, BR_UNAVAILABLE, "TOKEN_UNAVAILABLE", retry_after_ms);
}

static void expect_denied(struct test_call *call)
{
    expect_refused(call, BR_UNAUTHENTICATED, "TOKEN_REFUSED", -1);
}

static void answer_refusal(struct fixture *f)
{
    fake_iam_answer(&f->iam, 401, "X-Request-Id: req-2\nContent-Type: application/json\n",
                    "{\"error\":{\"code\":401,\"message\":\"wrong: " SECRET
                    "\",\"title\":\"Unauthorized\"}}");
}

/* ---- Waiters ---- */

static void test_waiters_of_failed_fetch_are_told_and_start_no_other(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < CALLS_MAX; i++)
        expect_pending(&f->calls[i]);
    /* The pause is 0: any other call could fetch at once. */
    next_random = 0;
    fake_iam_fail(&f->iam.fetch, BR_TRANSPORT_UNREACHABLE, "no route");
    for (size_t i = 0; i < CALLS_MAX; i++) {
        assert_int_equal(f->calls[i].ready_count, 1);
        expect_unavailable(&f->calls[i], 0);
    }
    assert_non_null(strstr(f->calls[0].error.st.msg, "no route"));
    assert_int_equal(f->iam.fetch_count, 1);
    /* Asked anew, it is a new question. */
    expect_pending(&f->calls[0]);
    assert_int_equal(f->iam.fetch_count, 2);
    assert_int_equal(test_output_count(&f->output, "token_fetch_failed"), 1);
}

static void test_waiter_of_failed_fetch_takes_token_of_the_next(void **state)
{
    struct fixture *f = *state;
    expect_pending(&f->calls[0]);
    fake_iam_fail(&f->iam.fetch, BR_TRANSPORT_UNREACHABLE, "");
    expect_pending(&f->calls[1]);
    fake_iam_give(&f->iam, TOKEN, DAY_LATER);
    expect_granted(&f->calls[0], TOKEN);
}

static void test_waiter_of_failed_fetch_does_not_wait_for_the_next(void **state)
{
    struct fixture *f = *state;
    expect_pending(&f->calls[0]);
    fake_iam_fail(&f->iam.fetch, BR_TRANSPORT_UNREACHABLE, "");
    expect_pending(&f->calls[1]);
    expect_unavailable(&f->calls[0], 0);
}

static void test_cancelled_waiter_of_failed_fetch_is_ready_once(void **state)
{
    struct fixture *f = *state;
    expect_pending(&f->calls[0]);
    test_call_cancel(&f->calls[0]);
    fake_iam_fail(&f->iam.fetch, BR_TRANSPORT_UNREACHABLE, "");
    assert_int_equal(f->calls[0].ready_count, 0);
    fake_iam_fail(&f->iam.pause, BR_TRANSPORT_DEADLINE, "");
    assert_int_equal(f->calls[0].ready_count, 1);
}

/* ---- Kinds of failures ---- */

static void test_fetch_statuses_that_refuse(void **state)
{
    struct fixture *f = *state;
    static const int statuses[] = {400, 401, 403, 404};
    for (size_t i = 0; i < 4; i++) {
        expect_pending(&f->calls[0]);
        fake_iam_answer(&f->iam, statuses[i], "", "");
        expect_denied(&f->calls[0]);
        f->clock.now_ms += BR_AUTH_TOKEN_REFUSED_MAX_MS;
    }
}

static void test_fetch_statuses_that_do_not_help(void **state)
{
    struct fixture *f = *state;
    static const int statuses[] = {200, 204, 301, 302, 307, 308, 402, 405, 408, 429, 500, 502, 503, 504, 599};
    char text[32];
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        expect_pending(&f->calls[0]);
        /* A token that comes with another status does not count, nor does a place to go to. */
        fake_iam_answer(&f->iam, statuses[i],
                        "Location: https://other.example/v3/auth/tokens\nX-Subject-Token: " TOKEN "\n",
                        "{\"token\":{\"expires_at\":\"" DAY_LATER "\"}}");
        expect_unavailable(&f->calls[0], 0);
        (void)snprintf(text, sizeof text, "HTTP %d", statuses[i]);
        assert_non_null(strstr(f->calls[0].error.st.msg, text));
        assert_int_equal(strstr(f->calls[0].error.st.msg, "redirect") != NULL, statuses[i] / 100 == 3);
        assert_null(f->iam.fetch);
    }
}

static void test_fetch_transport_failures_do_not_help(void **state)
{
    struct fixture *f = *state;
    for (int failure = BR_TRANSPORT_CANCELLED; failure <= BR_TRANSPORT_FAILED; failure++) {
        expect_pending(&f->calls[0]);
        fake_iam_fail(&f->iam.fetch, (enum br_transport_failure)failure, "");
        expect_unavailable(&f->calls[0], 0);
        assert_non_null(strstr(f->calls[0].error.st.msg, "FAKE_FAILURE"));
    }
}

static void test_fetch_without_memory_for_token_does_not_help(void **state)
{
    struct fixture *f = *state;
    expect_pending(&f->calls[0]);
    struct br_http_exchange *fetch = fake_iam_take(&f->iam.fetch);
    fake_iam_collect(fetch, 201, "X-Subject-Token: " TOKEN "\n",
                     "{\"token\":{\"expires_at\":\"" DAY_LATER "\"}}");
    alloc_fault_once_after(0);
    fetch->done(fetch);
    expect_unavailable(&f->calls[0], 0);
}

/* ---- Memory ---- */

/* Each allocation of a call's first look fails in its turn: refused, and nothing is under way. */
static void test_apply_each_failed_allocation_refuses(void **state)
{
    struct fixture *f = *state;
    size_t count = 0;
    for (;; count++) {
        br_arena_finish(&f->calls[0].arena);
        br_arena_init(&f->calls[0].arena, (size_t)1 << 20);
        alloc_fault_once_after(count);
        enum br_auth_result result = test_call_apply(&f->calls[0]);
        if (!alloc_fault_end()) {
            assert_int_equal(result, BR_AUTH_PENDING);
            break;
        }
        assert_int_equal(result, BR_AUTH_REFUSED);
        assert_int_equal(f->calls[0].error.st.code, BR_RESOURCE_EXHAUSTED);
        assert_string_equal(f->calls[0].error.st.reason, "OUT_OF_MEMORY");
        assert_int_equal(f->iam.fetch_count, 0);
    }
    assert_true(count > 0);
    fake_iam_give(&f->iam, TOKEN, DAY_LATER);
    expect_granted(&f->calls[0], TOKEN);
}

/* Each allocation while IAM's answer is read fails in its turn: the next fetch helps. */
static void test_fetch_each_failed_allocation_does_not_help(void **state)
{
    struct fixture *f = *state;
    static const char body[] = "{\"token\":{\"expires_at\":\"" DAY_LATER "\"}}";
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = malloc, .free_fn = free}); /* those that may fail */
    size_t count = 0;
    for (bool failed = true; failed; count++) {
        expect_pending(&f->calls[0]);
        struct br_http_exchange *fetch = fake_iam_take(&f->iam.fetch);
        fake_iam_collect(fetch, 201, "X-Subject-Token: " TOKEN "\n", body);
        alloc_fault_once_after(count);
        fetch->done(fetch);
        failed = alloc_fault_end();
        assert_int_equal(f->calls[0].ready_count, 1);
        if (failed) {
            expect_unavailable(&f->calls[0], 0);
        }
    }
    cJSON_InitHooks(NULL);
    assert_true(count > 2);
    expect_granted(&f->calls[0], TOKEN);
}

/* ---- The pause ---- */

static void test_pause_doubles_up_to_its_ceiling_and_starts_over_after_success(void **state)
{
    struct fixture *f = *state;
    for (size_t round = 0; round < 2; round++) {
        int64_t most_ms = BR_AUTH_TOKEN_PAUSE_BASE_MS;
        for (size_t i = 0; i < 9; i++) {
            expect_pending(&f->calls[0]);
            next_random = (uint32_t)most_ms; /* the longest pause there is; one more would be 0 */
            fake_iam_answer(&f->iam, 503, "", "");
            expect_unavailable(&f->calls[1], most_ms);
            f->clock.now_ms += most_ms - 1;
            expect_unavailable(&f->calls[1], 1);
            f->clock.now_ms++;
            most_ms = 2 * most_ms < BR_AUTH_TOKEN_PAUSE_MAX_MS ? 2 * most_ms : BR_AUTH_TOKEN_PAUSE_MAX_MS;
            f->calls[0].waiter.generation = 0; /* another call */
        }
        expect_pending(&f->calls[0]);
        fake_iam_give(&f->iam, TOKEN, DAY_LATER);
        f->clock.now_ms += DAY_MS;
    }
    expect_pending(&f->calls[0]);
    next_random = BR_AUTH_TOKEN_PAUSE_BASE_MS + 1;
    fake_iam_answer(&f->iam, 503, "", "");
    expect_unavailable(&f->calls[0], 0);
}

static void test_pause_is_drawn_from_zero(void **state)
{
    struct fixture *f = *state;
    expect_pending(&f->calls[0]);
    next_random = BR_AUTH_TOKEN_PAUSE_BASE_MS + 1;
    fake_iam_answer(&f->iam, 503, "", "");
    expect_pending(&f->calls[1]);
}

static void test_pause_is_what_iam_asks_for_and_some_more(void **state)
{
    struct fixture *f = *state;
    expect_pending(&f->calls[0]);
    next_random = 250;
    fake_iam_answer(&f->iam, 429, "Retry-After: 90\n", "");
    expect_unavailable(&f->calls[1], 90250);
    f->clock.now_ms += 90249;
    expect_unavailable(&f->calls[1], 1);
    f->clock.now_ms++;
    expect_pending(&f->calls[1]);
}

static void test_pause_after_refusals_lets_no_user_be_locked(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 64, WINDOW_MS = 15 * 60 * 1000, WRONG_PASSWORDS_MAX = 5 };
    int64_t times[MANY];
    size_t count = 0;
    next_random = 0; /* the shortest pauses */
    for (size_t second = 0; second < 4 * 3600; second++) {
        f->calls[0].waiter.generation = 0; /* another call each second */
        if (test_call_apply(&f->calls[0]) == BR_AUTH_PENDING) {
            assert_true(count < MANY);
            times[count++] = f->clock.now_ms;
            answer_refusal(f);
        }
        f->clock.now_ms += 1000;
    }
    assert_in_range(count, 4 * 4, MANY);
    for (size_t i = WRONG_PASSWORDS_MAX - 1; i < count; i++)
        assert_true(times[i] - times[i - (WRONG_PASSWORDS_MAX - 1)] >= WINDOW_MS);
}

static void test_pause_after_refusal_is_up_to_a_quarter_longer(void **state)
{
    struct fixture *f = *state;
    expect_pending(&f->calls[0]);
    next_random = BR_AUTH_TOKEN_REFUSED_BASE_MS / 4; /* the longest; one more would be 0 */
    answer_refusal(f);
    f->clock.now_ms += BR_AUTH_TOKEN_REFUSED_BASE_MS * 5 / 4 - 1;
    expect_denied(&f->calls[1]);
    f->clock.now_ms++;
    expect_pending(&f->calls[1]);
}

static void test_pause_after_refusal_ends_with_new_credentials(void **state)
{
    struct fixture *f = *state;
    expect_pending(&f->calls[0]);
    answer_refusal(f);
    expect_denied(&f->calls[0]);
    write_credentials(f, SECRET " new");
    f->clock.now_ms += BR_CREDENTIALS_CHECK_MS - 1;
    expect_denied(&f->calls[1]);
    f->clock.now_ms++;
    expect_pending(&f->calls[1]);
    assert_non_null(strstr(f->iam.body, "\"" SECRET " new\""));
    /* Not right either: the next pause is the second one. */
    answer_refusal(f);
    f->clock.now_ms += 2 * BR_AUTH_TOKEN_REFUSED_BASE_MS - 1;
    expect_denied(&f->calls[1]);
    f->clock.now_ms++;
    expect_pending(&f->calls[1]);
}

static void test_pause_after_outage_stays_with_new_credentials(void **state)
{
    struct fixture *f = *state;
    expect_pending(&f->calls[0]);
    fake_iam_answer(&f->iam, 503, "Retry-After: 60\n", "");
    write_credentials(f, SECRET " new");
    f->clock.now_ms += 2 * BR_CREDENTIALS_CHECK_MS;
    expect_unavailable(&f->calls[1], 58000);
}

/* ---- The log ---- */

static void test_log_has_one_line_for_each_failure_and_one_for_the_end(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 2; i++) {
        expect_pending(&f->calls[0]);
        fake_iam_answer(&f->iam, 503, "X-Request-Id: req-9\n", "");
        expect_unavailable(&f->calls[0], 0);
        assert_int_equal(test_output_count(&f->output, "token_fetch_failed"), i + 1);
    }
    assert_non_null(strstr(test_output_text(&f->output), "\"http_status\":503"));
    assert_non_null(strstr(test_output_text(&f->output), "\"request_id\":\"req-9\""));
    expect_pending(&f->calls[0]);
    fake_iam_give(&f->iam, TOKEN, DAY_LATER);
    expect_granted(&f->calls[0], TOKEN);
    assert_int_equal(test_output_count(&f->output, "token_fetch_failed"), 2);
    assert_int_equal(test_output_count(&f->output, "token_fetched"), 1);
}

static void test_log_has_nothing_that_iam_wrote_but_its_code(void **state)
{
    struct fixture *f = *state;
    expect_pending(&f->calls[0]);
    answer_refusal(f);
    expect_denied(&f->calls[0]);
    assert_non_null(strstr(f->calls[0].error.st.msg, "HTTP 401 (IAM_401)"));
    assert_non_null(strstr(test_output_text(&f->output), "IAM_401"));
    f->clock.now_ms += BR_AUTH_TOKEN_REFUSED_BASE_MS;
    expect_pending(&f->calls[0]);
    fake_iam_answer(&f->iam, 400, "Content-Type: application/json\n",
                    "{\"error_code\":\"HUSH.HUSH\",\"error_msg\":\"" SECRET "\"}");
    expect_denied(&f->calls[0]);
    assert_null(strstr(f->calls[0].error.st.msg, "HUSH"));
    assert_null(strstr(test_output_text(&f->output), "HUSH"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: after five lines of one event the log of a process leaves out what repeats. */
        TEST(test_log_has_one_line_for_each_failure_and_one_for_the_end),
        TEST(test_log_has_nothing_that_iam_wrote_but_its_code),
        TEST(test_waiters_of_failed_fetch_are_told_and_start_no_other),
        TEST(test_waiter_of_failed_fetch_takes_token_of_the_next),
        TEST(test_waiter_of_failed_fetch_does_not_wait_for_the_next),
        TEST(test_cancelled_waiter_of_failed_fetch_is_ready_once),
        TEST(test_fetch_statuses_that_refuse),
        TEST(test_fetch_statuses_that_do_not_help),
        TEST(test_fetch_transport_failures_do_not_help),
        TEST(test_fetch_without_memory_for_token_does_not_help),
        TEST(test_apply_each_failed_allocation_refuses),
        TEST(test_fetch_each_failed_allocation_does_not_help),
        TEST(test_pause_doubles_up_to_its_ceiling_and_starts_over_after_success),
        TEST(test_pause_is_drawn_from_zero),
        TEST(test_pause_is_what_iam_asks_for_and_some_more),
        TEST(test_pause_after_refusals_lets_no_user_be_locked),
        TEST(test_pause_after_refusal_is_up_to_a_quarter_longer),
        TEST(test_pause_after_refusal_ends_with_new_credentials),
        TEST(test_pause_after_outage_stays_with_new_credentials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
