#define _GNU_SOURCE

#include "auth_token_check.h"

#define NEW_TOKEN "newer-" SECRET
#define RENEW_FIRST_MS (DAY_MS * 70 / 100)
#define RENEW_LAST_MS (DAY_MS * 85 / 100)

/* ---- The first token ---- */

static void test_apply_first_call_asks_iam(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(f->iam.fetch_count, 0);
    expect_pending(&f->calls[0]);
    const struct br_http_exchange *fetch = f->iam.fetch;
    assert_non_null(fetch);
    assert_string_equal(fetch->verb, "POST");
    assert_string_equal(fetch->url, IAM_URL "/v3/auth/tokens?nocatalog=true");
    assert_string_equal(br_headers_find(&fetch->headers, "content-type"), "application/json;charset=utf8");
    assert_int_equal(fetch->deadline_ms, START_MS + TIMEOUT_MS);
    assert_true(fetch->max_body_bytes > 0);
    assert_string_equal(
        f->iam.body,
        "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":{\"name\":\"me\","
        "\"password\":\"" SECRET "\",\"domain\":{\"name\":\"dom\"}}}},"
        "\"scope\":{\"project\":{\"name\":\"eu-de\"}}}}");
    assert_int_equal(f->calls[0].ready_count, 0);
}

static void test_apply_after_fetch_grants(void **state)
{
    struct fixture *f = *state;
    fetch_first(f);
    expect_granted(&f->calls[1], TOKEN);
    assert_int_equal(f->iam.fetch_count, 1);
    assert_int_equal(test_output_count(&f->output, "token_fetched"), 1);
    assert_non_null(strstr(test_output_text(&f->output), "\"expires_in_s\":86400"));
    assert_non_null(strstr(test_output_text(&f->output), "req-1"));
}

static void test_apply_many_calls_share_one_fetch(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < CALLS_MAX; i++)
        expect_pending(&f->calls[i]);
    assert_int_equal(f->iam.fetch_count, 1);
    fake_iam_give(&f->iam, TOKEN, DAY_LATER);
    for (size_t i = 0; i < CALLS_MAX; i++) {
        assert_int_equal(f->calls[i].ready_count, 1);
        expect_granted(&f->calls[i], TOKEN);
        assert_int_equal(f->calls[i].ready_count, 1);
    }
    assert_int_equal(f->iam.fetch_count, 1);
}

static void test_apply_without_room_in_arena_refuses(void **state)
{
    struct fixture *f = *state;
    fetch_first(f);
    br_arena_init(&f->calls[1].arena, sizeof(struct br_header) + 8);
    expect_refused(&f->calls[1], BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", -1);
}

static void test_apply_without_memory_refuses_and_starts_nothing(void **state)
{
    struct fixture *f = *state;
    alloc_fault_once_after(0);
    expect_refused(&f->calls[0], BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", -1);
    assert_int_equal(f->iam.fetch_count, 0);
    fetch_first(f);
}

static void test_create_without_memory_fails(void **state)
{
    struct fixture *f = *state;
    struct br_auth_token_config config = {.iam_url = IAM_URL, .clock = &f->clock.clock};
    struct br_auth *auth = NULL;
    struct br_status st;
    for (size_t i = 0; i < 2; i++) {
        alloc_fault_once_after(i);
        assert_false(br_auth_token_create(&config, &auth, &st));
        assert_string_equal(st.reason, "OUT_OF_MEMORY");
        assert_null(auth);
    }
    br_auth_token_destroy(NULL);
}

/* ---- The end of a token ---- */

static void test_apply_long_token_is_granted_until_30_s_before_its_end(void **state)
{
    struct fixture *f = *state;
    fetch_first(f);
    f->clock.now_ms = START_MS + DAY_MS - 30001;
    expect_granted(&f->calls[1], TOKEN);
    /* That was late enough to start a renewal. */
    fake_iam_fail(&f->iam.fetch, BR_TRANSPORT_UNREACHABLE, "");
    f->clock.now_ms++;
    expect_pending(&f->calls[2]);
}

static void test_apply_short_token_is_granted_until_5_percent_before_its_end(void **state)
{
    struct fixture *f = *state;
    expect_pending(&f->calls[0]);
    fake_iam_give(&f->iam, TOKEN, "2023-11-14T22:15:00Z"); /* 100 s */
    f->clock.now_ms = START_MS + 94999;
    expect_granted(&f->calls[1], TOKEN);
    fake_iam_fail(&f->iam.fetch, BR_TRANSPORT_UNREACHABLE, "");
    f->clock.now_ms++;
    expect_pending(&f->calls[2]);
}

static void test_apply_wall_clock_jump_changes_nothing(void **state)
{
    struct fixture *f = *state;
    fetch_first(f);
    static const int64_t jumps_s[] = {-1000000, 1000000, 0};
    for (size_t i = 0; i < 3; i++) {
        f->clock.unix_s = START_S + jumps_s[i];
        f->clock.now_ms = START_MS + 1000 * (int64_t)i;
        expect_granted(&f->calls[1], TOKEN);
        assert_int_equal(f->iam.fetch_count, 1);
    }
    f->clock.unix_s = START_S - 1000000;
    f->clock.now_ms = START_MS + DAY_MS - 30000;
    expect_pending(&f->calls[2]);
}

/* ---- Renewal ---- */

static void expect_renewal_at(struct fixture *f, int64_t age_ms)
{
    fetch_first(f);
    f->clock.now_ms = START_MS + age_ms - 1;
    expect_granted(&f->calls[1], TOKEN);
    assert_int_equal(f->iam.fetch_count, 1);
    f->clock.now_ms = START_MS + age_ms;
    expect_granted(&f->calls[1], TOKEN);
    assert_int_equal(f->iam.fetch_count, 2);
    /* The old one serves until the new one is there. */
    expect_granted(&f->calls[2], TOKEN);
    assert_int_equal(f->iam.fetch_count, 2);
    f->clock.unix_s += age_ms / 1000;
    fake_iam_give(&f->iam, NEW_TOKEN, "2023-11-16T22:13:20Z");
    expect_granted(&f->calls[3], NEW_TOKEN);
    assert_int_equal(f->iam.fetch_count, 2);
    assert_int_equal(test_output_count(&f->output, "token_fetched"), 2);
}

static void test_apply_renews_at_70_percent_at_the_earliest(void **state)
{
    next_random = 0;
    expect_renewal_at(*state, RENEW_FIRST_MS);
}

static void test_apply_renews_at_85_percent_at_the_latest(void **state)
{
    struct fixture *f = *state;
    next_random = UINT32_MAX;
    fetch_first(f);
    f->clock.now_ms = START_MS + RENEW_LAST_MS - 10;
    expect_granted(&f->calls[1], TOKEN);
    assert_int_equal(f->iam.fetch_count, 1);
    f->clock.now_ms = START_MS + RENEW_LAST_MS;
    expect_granted(&f->calls[1], TOKEN);
    assert_int_equal(f->iam.fetch_count, 2);
}

static void test_apply_renews_between_by_chance(void **state)
{
    next_random = UINT32_C(1) << 31;
    expect_renewal_at(*state, (RENEW_FIRST_MS + RENEW_LAST_MS) / 2);
}

static void test_apply_failed_renewal_goes_on_with_old_token(void **state)
{
    struct fixture *f = *state;
    fetch_first(f);
    f->clock.now_ms = START_MS + RENEW_FIRST_MS;
    expect_granted(&f->calls[1], TOKEN);
    next_random = 700;
    fake_iam_answer(&f->iam, 503, "", "");
    expect_granted(&f->calls[1], TOKEN);
    f->clock.now_ms += 699;
    expect_granted(&f->calls[1], TOKEN);
    assert_int_equal(f->iam.fetch_count, 2);
    f->clock.now_ms += 1;
    expect_granted(&f->calls[1], TOKEN);
    assert_int_equal(f->iam.fetch_count, 3);
}

static void test_apply_token_that_ends_during_renewal_waits_for_it(void **state)
{
    struct fixture *f = *state;
    fetch_first(f);
    f->clock.now_ms = START_MS + DAY_MS - 30001;
    expect_granted(&f->calls[1], TOKEN);
    f->clock.now_ms++;
    f->clock.unix_s += DAY_MS / 1000 - 30;
    expect_pending(&f->calls[2]);
    assert_int_equal(f->iam.fetch_count, 2);
    fake_iam_give(&f->iam, NEW_TOKEN, "2023-11-16T22:13:20Z");
    assert_int_equal(f->calls[2].ready_count, 1);
    expect_granted(&f->calls[2], NEW_TOKEN);
}

static void test_apply_without_memory_for_renewal_grants(void **state)
{
    struct fixture *f = *state;
    fetch_first(f);
    f->clock.now_ms = START_MS + RENEW_FIRST_MS;
    /* Neither the arena's first block nor the look at the files is what fails. */
    assert_non_null(br_arena_alloc(&f->calls[1].arena, 0));
    br_credentials_give_back(f->credentials, br_credentials_take(f->credentials));
    alloc_fault_once_after(0);
    expect_granted(&f->calls[1], TOKEN);
    assert_int_equal(f->iam.fetch_count, 1);
    expect_granted(&f->calls[1], TOKEN);
    assert_int_equal(f->iam.fetch_count, 2);
}

static void test_apply_changed_credentials_renew(void **state)
{
    struct fixture *f = *state;
    fetch_first(f);
    write_credentials(f, SECRET "\"\\");
    f->clock.now_ms += BR_CREDENTIALS_CHECK_MS;
    expect_granted(&f->calls[1], TOKEN);
    assert_int_equal(f->iam.fetch_count, 2);
    assert_non_null(strstr(f->iam.body, "\"password\":\"" SECRET "\\\"\\\\\""));
    fake_iam_give(&f->iam, NEW_TOKEN, DAY_LATER);
    expect_granted(&f->calls[1], NEW_TOKEN);
    assert_int_equal(f->iam.fetch_count, 2);
}

/* ---- Cancel ---- */

static void test_cancel_waiter_gets_ready_before_fetch_ends(void **state)
{
    struct fixture *f = *state;
    expect_pending(&f->calls[0]);
    expect_pending(&f->calls[1]);
    test_call_cancel(&f->calls[0]);
    assert_int_equal(f->calls[0].ready_count, 0);
    assert_int_equal(f->iam.pause_count, 1);
    assert_true(f->iam.pause->deadline_ms <= f->clock.now_ms);
    fake_iam_fail(&f->iam.pause, BR_TRANSPORT_DEADLINE, "");
    assert_int_equal(f->calls[0].ready_count, 1);
    assert_int_equal(f->calls[1].ready_count, 0);
    fake_iam_give(&f->iam, TOKEN, DAY_LATER);
    assert_int_equal(f->calls[0].ready_count, 1);
    assert_int_equal(f->calls[1].ready_count, 1);
}

static void test_cancel_several_share_one_pause(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 5; i++)
        expect_pending(&f->calls[i]);
    /* Neighbours, the ends, and one of them twice. */
    static const size_t order[] = {3, 2, 0, 4, 2};
    for (size_t i = 0; i < 5; i++)
        test_call_cancel(&f->calls[order[i]]);
    assert_int_equal(f->iam.pause_count, 1);
    fake_iam_give(&f->iam, TOKEN, DAY_LATER);
    fake_iam_fail(&f->iam.pause, BR_TRANSPORT_DEADLINE, "");
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(f->calls[i].ready_count, 1);
}

static void test_cancel_again_later_takes_another_pause(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 2; i++) {
        expect_pending(&f->calls[0]);
        test_call_cancel(&f->calls[0]);
        fake_iam_fail(&f->iam.pause, BR_TRANSPORT_DEADLINE, "");
        assert_int_equal(f->calls[0].ready_count, 1);
        assert_int_equal(f->iam.pause_count, i + 1);
    }
    assert_int_equal(f->iam.fetch_count, 1);
}

static void test_cancel_after_ready_does_nothing(void **state)
{
    struct fixture *f = *state;
    fetch_first(f);
    test_call_cancel(&f->calls[0]); /* was ready */
    test_call_cancel(&f->calls[1]); /* never waited */
    assert_int_equal(f->iam.pause_count, 0);
    assert_int_equal(f->calls[0].ready_count, 1);
    assert_int_equal(f->calls[1].ready_count, 0);
}

/* ---- Rejected ---- */

struct verdict {
    const char *http;
    const char *code;
    const char *message;
    bool renew;
};

static struct br_error error_of(const struct verdict *verdict)
{
    struct br_error error;
    br_error_init(&error);
    (void)br_status_set(&error.st, BR_UNAUTHENTICATED, "WHATEVER_A_TABLE_SAYS", "%s", verdict->message);
    error.domain = BR_DOMAIN_MODELARTS;
    br_error_add_metadata(&error, "http_status", verdict->http);
    br_error_add_metadata(&error, "error_code", verdict->code);
    return error;
}

static const struct verdict token_expired = {"401", "ModelArts.0202", "expired", true};

static bool reject(struct test_call *call, const struct verdict *verdict)
{
    struct br_error error = error_of(verdict);
    return call->auth->rejected(call->auth, &call->waiter, &error);
}

static void test_rejected_knows_what_a_token_can_help(void **state)
{
    struct fixture *f = *state;
    static const struct verdict verdicts[] = {
        {"401", "ModelArts.0202", "", true},
        {"401", "ModelArts.0203", "", true},
        {"401", "APIG.0307", "", true},
        {"401", "APIGW.0307", "", true},
        {"401", "APIGW.0301", "Incorrect IAM authentication information: Token Expires, expires_at: x", true},
        {"401", "APIG.0301", "Incorrect IAM authentication information: decrypt token fail", true},
        {"401", "APIG.0301", "Incorrect IAM authentication information: x-auth-token not found", true},
        {"401", "APIG.0301", "Incorrect IAM authentication information: verify aksk signature fail", false},
        {"401", "APIG.0301", "Incorrect IAM authentication information", false},
        {"401", "APIG.0303", "token expires", false},
        {"401", "ModelArts.0204", "", false},
        {"401", "ModelArts.02020", "", false},
        {"403", "ModelArts.0203", "Invalid token.", false},
        {"403", "APIG.0307", "", false},
        {"401", NULL, "token expires", false},
        {NULL, "ModelArts.0203", "", false},
        {"401", "ModelArts.0203.0203.0203.0203.0203.0203.0203.0203.0203.0203.0203.0203.0203", "", false},
    };
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        if (test_call_apply(&f->calls[0]) == BR_AUTH_PENDING) {
            fake_iam_give(&f->iam, TOKEN, DAY_LATER);
            expect_granted(&f->calls[0], TOKEN);
        }
        f->clock.now_ms += BR_AUTH_TOKEN_TRUSTED_MS; /* so that it matters only what is said */
        assert_int_equal(reject(&f->calls[0], &verdicts[i]), verdicts[i].renew);
        assert_int_equal(test_call_apply(&f->calls[0]) == BR_AUTH_PENDING, verdicts[i].renew);
        if (verdicts[i].renew) {
            fake_iam_give(&f->iam, TOKEN, DAY_LATER);
            expect_granted(&f->calls[0], TOKEN);
        }
    }
}

static void test_rejected_drops_token_of_its_generation_only(void **state)
{
    struct fixture *f = *state;
    fetch_first(f);
    expect_granted(&f->calls[1], TOKEN);
    expect_granted(&f->calls[2], TOKEN);
    assert_true(reject(&f->calls[0], &token_expired));
    /* Gone already: another one will come. */
    assert_true(reject(&f->calls[1], &token_expired));
    expect_pending(&f->calls[0]);
    assert_int_equal(f->iam.fetch_count, 2);
    fake_iam_give(&f->iam, NEW_TOKEN, DAY_LATER);
    expect_granted(&f->calls[0], NEW_TOKEN);
    /* It used the old one: the new one is still good. */
    assert_true(reject(&f->calls[2], &token_expired));
    expect_granted(&f->calls[2], NEW_TOKEN);
    assert_int_equal(f->iam.fetch_count, 2);
}

static void test_rejected_again_and_again_asks_iam_ever_less(void **state)
{
    struct fixture *f = *state;
    fetch_first(f);
    assert_true(reject(&f->calls[0], &token_expired));
    int64_t pause_ms = BR_AUTH_TOKEN_PAUSE_BASE_MS;
    for (size_t i = 0; i < 9; i++) {
        expect_pending(&f->calls[0]);
        fake_iam_give(&f->iam, TOKEN, DAY_LATER);
        expect_granted(&f->calls[0], TOKEN);
        f->clock.now_ms +=
            (pause_ms < BR_AUTH_TOKEN_PAUSE_MAX_MS ? pause_ms : BR_AUTH_TOKEN_PAUSE_MAX_MS) - 1;
        assert_false(reject(&f->calls[0], &token_expired));
        f->clock.now_ms++;
        assert_true(reject(&f->calls[0], &token_expired));
        pause_ms *= 2;
    }
    /* One that was good for long starts this over. */
    for (size_t i = 0; i < 2; i++) {
        expect_pending(&f->calls[0]);
        fake_iam_give(&f->iam, TOKEN, DAY_LATER);
        expect_granted(&f->calls[0], TOKEN);
        f->clock.now_ms += i == 0 ? BR_AUTH_TOKEN_TRUSTED_MS : BR_AUTH_TOKEN_PAUSE_BASE_MS;
        assert_true(reject(&f->calls[0], &token_expired));
    }
}

static void test_rejected_old_token_is_believed_at_once(void **state)
{
    struct fixture *f = *state;
    fetch_first(f);
    for (size_t i = 0; i < 4; i++) {
        assert_true(reject(&f->calls[0], &token_expired));
        expect_pending(&f->calls[0]);
        fake_iam_give(&f->iam, TOKEN, DAY_LATER);
        expect_granted(&f->calls[0], TOKEN);
        f->clock.now_ms += BR_AUTH_TOKEN_TRUSTED_MS;
    }
}

/* ---- Prefetch and state ---- */

static void expect_state(struct fixture *f, bool at_hand, int64_t expires_in_s, const char *reason)
{
    struct br_auth_token_state token;
    br_auth_token_state(f->auth, &token);
    assert_int_equal(token.at_hand, at_hand);
    assert_int_equal(token.expires_in_s, expires_in_s);
    assert_int_equal(token.last_failure.code != BR_OK, reason != NULL);
    if (reason != NULL)
        assert_string_equal(token.last_failure.reason, reason);
}

static void test_prefetch_starts_what_a_call_would(void **state)
{
    struct fixture *f = *state;
    expect_state(f, false, 0, NULL);
    br_auth_token_prefetch(f->auth);
    br_auth_token_prefetch(f->auth);
    assert_int_equal(f->iam.fetch_count, 1);
    next_random = 500;
    fake_iam_answer(&f->iam, 500, "", "");
    expect_state(f, false, 0, "TOKEN_UNAVAILABLE");
    f->clock.now_ms += 499;
    br_auth_token_prefetch(f->auth);
    assert_int_equal(f->iam.fetch_count, 1);
    f->clock.now_ms += 1;
    br_auth_token_prefetch(f->auth);
    assert_int_equal(f->iam.fetch_count, 2);
    next_random = 0;
    fake_iam_give(&f->iam, TOKEN, DAY_LATER);
    expect_state(f, true, 86400, NULL);
    br_auth_token_prefetch(f->auth);
    assert_int_equal(f->iam.fetch_count, 2);
    expect_granted(&f->calls[0], TOKEN);
    f->clock.now_ms += RENEW_FIRST_MS;
    br_auth_token_prefetch(f->auth);
    assert_int_equal(f->iam.fetch_count, 3);
    expect_state(f, true, 86400 * 30 / 100, NULL);
    f->clock.now_ms += DAY_MS;
    expect_state(f, false, 0, NULL);
}

static void expect_age(struct fixture *f, int64_t age_us, int64_t expires_unix_s)
{
    struct br_auth_token_state token;
    br_auth_token_state(f->auth, &token);
    assert_int_equal(token.age_us, age_us);
    assert_int_equal(token.expires_unix_s, expires_unix_s);
}

static void test_state_tells_age_and_end(void **state)
{
    struct fixture *f = *state;
    expect_age(f, 0, 0);
    fetch_first(f);
    expect_age(f, 0, START_S + 86400);
    f->clock.now_ms += 1500;
    f->clock.unix_s += 1;
    expect_age(f, 1500000, START_S + 86400);
    f->clock.now_ms += DAY_MS; /* it stays until the next is there */
    expect_age(f, 86401500000, START_S + 86400);
    f->clock.unix_s += 86400;
    expect_pending(&f->calls[0]);
    fake_iam_give(&f->iam, "second", "2023-11-15T22:14:21.000000Z");
    expect_age(f, 0, START_S + 86461);
    expect_granted(&f->calls[0], "second");
    f->clock.now_ms += 5;
    expect_age(f, 5000, START_S + 86461);
    assert_true(reject(&f->calls[0], &token_expired));
    expect_age(f, 0, 0);
}

static void test_state_counts_how_fetches_ended(void **state)
{
    struct fixture *f = *state;
    struct br_auth_token_state token;
    static const int statuses[] = {500, 401, 503, 403, 429};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        expect_pending(&f->calls[0]);
        fake_iam_answer(&f->iam, statuses[i], "", "");
        f->clock.now_ms += BR_AUTH_TOKEN_REFUSED_MAX_MS;
        assert_int_equal(test_call_apply(&f->calls[0]), BR_AUTH_REFUSED); /* it waited in vain */
    }
    expect_pending(&f->calls[0]);
    fake_iam_fail(&f->iam.fetch, BR_TRANSPORT_BROKEN, "");
    assert_int_equal(test_call_apply(&f->calls[0]), BR_AUTH_REFUSED);
    expect_pending(&f->calls[0]);
    fake_iam_fail(&f->iam.fetch, BR_TRANSPORT_CANCELLED, ""); /* the bridge ends: no fetch failed */
    f->clock.now_ms += BR_AUTH_TOKEN_REFUSED_MAX_MS;
    assert_int_equal(test_call_apply(&f->calls[0]), BR_AUTH_REFUSED);
    fetch_first(f);
    br_auth_token_state(f->auth, &token);
    assert_int_equal(token.fetch_counts[BR_AUTH_TOKEN_OK], 1);
    assert_int_equal(token.fetch_counts[BR_AUTH_TOKEN_REFUSED], 2);
    assert_int_equal(token.fetch_counts[BR_AUTH_TOKEN_FAILED], 4);
}

static void test_state_dropped_token_is_not_at_hand(void **state)
{
    struct fixture *f = *state;
    fetch_first(f);
    expect_state(f, true, 86400, NULL);
    assert_true(reject(&f->calls[0], &token_expired));
    expect_state(f, false, 0, NULL);
}

/* ---- The end ---- */

static void test_destroy_during_fetch_is_quiet(void **state)
{
    struct fixture *f = *state;
    expect_pending(&f->calls[0]);
    expect_pending(&f->calls[1]);
    test_call_cancel(&f->calls[1]);
    fake_iam_fail(&f->iam.fetch, BR_TRANSPORT_CANCELLED, "");
    fake_iam_fail(&f->iam.pause, BR_TRANSPORT_CANCELLED, "");
    assert_int_equal(f->calls[0].ready_count, 1);
    assert_int_equal(f->calls[1].ready_count, 1);
    /* It does not submit to a client that is gone. */
    expect_refused(&f->calls[0], BR_UNAVAILABLE, "TOKEN_UNAVAILABLE", 0);
    assert_int_equal(f->iam.fetch_count, 1);
    assert_string_equal(test_output_text(&f->output), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_apply_first_call_asks_iam),
        TEST(test_apply_after_fetch_grants),
        TEST(test_apply_many_calls_share_one_fetch),
        TEST(test_apply_without_room_in_arena_refuses),
        TEST(test_apply_without_memory_refuses_and_starts_nothing),
        TEST(test_create_without_memory_fails),
        TEST(test_apply_long_token_is_granted_until_30_s_before_its_end),
        TEST(test_apply_short_token_is_granted_until_5_percent_before_its_end),
        TEST(test_apply_wall_clock_jump_changes_nothing),
        TEST(test_apply_renews_at_70_percent_at_the_earliest),
        TEST(test_apply_renews_at_85_percent_at_the_latest),
        TEST(test_apply_renews_between_by_chance),
        TEST(test_apply_failed_renewal_goes_on_with_old_token),
        TEST(test_apply_token_that_ends_during_renewal_waits_for_it),
        TEST(test_apply_without_memory_for_renewal_grants),
        TEST(test_apply_changed_credentials_renew),
        TEST(test_cancel_waiter_gets_ready_before_fetch_ends),
        TEST(test_cancel_several_share_one_pause),
        TEST(test_cancel_again_later_takes_another_pause),
        TEST(test_cancel_after_ready_does_nothing),
        TEST(test_rejected_knows_what_a_token_can_help),
        TEST(test_rejected_drops_token_of_its_generation_only),
        TEST(test_rejected_again_and_again_asks_iam_ever_less),
        TEST(test_rejected_old_token_is_believed_at_once),
        TEST(test_prefetch_starts_what_a_call_would),
        TEST(test_state_tells_age_and_end),
        TEST(test_state_counts_how_fetches_ended),
        TEST(test_state_dropped_token_is_not_at_hand),
        TEST(test_destroy_during_fetch_is_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
