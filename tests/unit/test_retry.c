#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "upstream/retry.h"

static struct br_http_exchange answered(int status)
{
    return (struct br_http_exchange){.answered = true, .answer = {.status = status}};
}

static struct br_http_exchange failed(enum br_transport_failure failure)
{
    return (struct br_http_exchange){.failure = failure};
}

static struct br_retry_question question(const struct br_http_exchange *exchange, bool idempotent)
{
    return (struct br_retry_question){.exchange = exchange,
                                      .idempotent = idempotent,
                                      .attempt = 1,
                                      .max_attempts = 3,
                                      .retry_after_ms = -1,
                                      .remaining_ms = 100000,
                                      .random = 0};
}

static bool tries_again(const struct br_http_exchange *exchange, bool idempotent)
{
    struct br_retry_budget budget;
    br_retry_budget_init(&budget);
    struct br_retry_question asked = question(exchange, idempotent);
    return br_retry_delay_ms(&budget, &asked) >= 0;
}

static void test_delay_of_what_was_not_sent_is_for_any_method(void **state)
{
    (void)state;
    const struct br_http_exchange unreachable = failed(BR_TRANSPORT_UNREACHABLE);
    const struct br_http_exchange timed_out = failed(BR_TRANSPORT_CONNECT_TIMEOUT);
    assert_true(tries_again(&unreachable, false));
    assert_true(tries_again(&unreachable, true));
    assert_true(tries_again(&timed_out, false));
}

static void test_delay_of_what_may_have_run_is_for_idempotent_methods(void **state)
{
    (void)state;
    static const int passing[] = {429, 502, 503, 504};
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) {
        const struct br_http_exchange exchange = answered(passing[i]);
        assert_false(tries_again(&exchange, false));
        assert_true(tries_again(&exchange, true));
    }
    const struct br_http_exchange broken = failed(BR_TRANSPORT_BROKEN);
    assert_false(tries_again(&broken, false));
    assert_true(tries_again(&broken, true));
}

static void test_delay_of_what_will_not_pass_is_never(void **state)
{
    (void)state;
    static const int final[] = {301, 400, 401, 403, 404, 405, 408, 409, 413, 500, 501, 505};
    for (size_t i = 0; i < sizeof final / sizeof final[0]; i++) {
        const struct br_http_exchange exchange = answered(final[i]);
        assert_false(tries_again(&exchange, true));
    }
    static const enum br_transport_failure lost[] = {BR_TRANSPORT_CANCELLED, BR_TRANSPORT_DEADLINE,
                                                     BR_TRANSPORT_UNTRUSTED, BR_TRANSPORT_TOO_LARGE,
                                                     BR_TRANSPORT_NO_MEMORY, BR_TRANSPORT_FAILED};
    for (size_t i = 0; i < sizeof lost / sizeof lost[0]; i++) {
        const struct br_http_exchange exchange = failed(lost[i]);
        assert_false(tries_again(&exchange, true));
    }
}

static void test_delay_ends_with_the_attempts(void **state)
{
    (void)state;
    struct br_retry_budget budget;
    br_retry_budget_init(&budget);
    const struct br_http_exchange exchange = answered(503);
    struct br_retry_question asked = question(&exchange, true);
    asked.attempt = 2;
    assert_true(br_retry_delay_ms(&budget, &asked) >= 0);
    asked.attempt = 3;
    assert_int_equal(br_retry_delay_ms(&budget, &asked), -1);
    asked.attempt = asked.max_attempts = 1;
    assert_int_equal(br_retry_delay_ms(&budget, &asked), -1);
}

static void test_delay_is_full_jitter_under_a_ceiling(void **state)
{
    (void)state;
    const struct br_http_exchange exchange = answered(503);
    static const int64_t ceilings_ms[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000};
    for (int attempt = 1; attempt <= 8; attempt++) {
        struct br_retry_budget budget;
        br_retry_budget_init(&budget);
        struct br_retry_question asked = question(&exchange, true);
        asked.attempt = attempt;
        asked.max_attempts = 10;
        asked.random = 0;
        assert_int_equal(br_retry_delay_ms(&budget, &asked), 0);
        asked.random = (uint32_t)ceilings_ms[attempt - 1];
        assert_int_equal(br_retry_delay_ms(&budget, &asked), ceilings_ms[attempt - 1]);
        asked.random++;
        assert_int_equal(br_retry_delay_ms(&budget, &asked), 0);
        asked.random = UINT32_MAX;
        assert_in_range(br_retry_delay_ms(&budget, &asked), 0, ceilings_ms[attempt - 1]);
    }
}

static void test_delay_honours_retry_after(void **state)
{
    (void)state;
    struct br_retry_budget budget;
    br_retry_budget_init(&budget);
    const struct br_http_exchange exchange = answered(429);
    struct br_retry_question asked = question(&exchange, true);
    asked.retry_after_ms = 2000;
    asked.random = 7;
    assert_int_equal(br_retry_delay_ms(&budget, &asked), 2007);
    asked.remaining_ms = 2007;
    assert_int_equal(br_retry_delay_ms(&budget, &asked), -1);
    asked.remaining_ms = 2008;
    assert_int_equal(br_retry_delay_ms(&budget, &asked), 2007);
}

static void test_budget_is_a_fifth_of_the_calls(void **state)
{
    (void)state;
    struct br_retry_budget budget;
    br_retry_budget_init(&budget);
    const struct br_http_exchange exchange = failed(BR_TRANSPORT_UNREACHABLE);
    struct br_retry_question asked = question(&exchange, false);
    for (int i = 0; i < BR_RETRY_RESERVE; i++) {
        assert_int_equal(br_retry_delay_ms(&budget, &asked), 0);
    }
    assert_int_equal(br_retry_delay_ms(&budget, &asked), -1);
    for (int i = 0; i < 4; i++) {
        br_retry_budget_earn(&budget);
        assert_int_equal(br_retry_delay_ms(&budget, &asked), -1);
    }
    br_retry_budget_earn(&budget);
    assert_int_equal(br_retry_delay_ms(&budget, &asked), 0);
    assert_int_equal(br_retry_delay_ms(&budget, &asked), -1);
}

static void test_budget_does_not_grow_without_end(void **state)
{
    (void)state;
    struct br_retry_budget budget;
    br_retry_budget_init(&budget);
    for (int i = 0; i < 1000000; i++) {
        br_retry_budget_earn(&budget);
    }
    const struct br_http_exchange exchange = failed(BR_TRANSPORT_UNREACHABLE);
    struct br_retry_question asked = question(&exchange, false);
    int granted = 0;
    while (br_retry_delay_ms(&budget, &asked) == 0) {
        granted++;
    }
    assert_int_equal(granted, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delay_of_what_was_not_sent_is_for_any_method),
        cmocka_unit_test(test_delay_of_what_may_have_run_is_for_idempotent_methods),
        cmocka_unit_test(test_delay_of_what_will_not_pass_is_never),
        cmocka_unit_test(test_delay_ends_with_the_attempts),
        cmocka_unit_test(test_delay_is_full_jitter_under_a_ceiling),
        cmocka_unit_test(test_delay_honours_retry_after),
        cmocka_unit_test(test_budget_is_a_fifth_of_the_calls),
        cmocka_unit_test(test_budget_does_not_grow_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
