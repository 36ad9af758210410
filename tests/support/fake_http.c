#include "fake_http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void submit(struct br_http *self, struct br_http_exchange *exchange)
{
    struct fake_http *fake = (struct fake_http *)self;
    assert(fake->submitted == NULL);
    fake->submitted = exchange;
    exchange->sent_us = 0;
    if (exchange->verb != NULL) {
        fake->submit_count++;
    } else {
        fake->pause_count++;
    }
}

static void cancel(struct br_http *self, struct br_http_exchange *exchange)
{
    (void)exchange;
    ((struct fake_http *)self)->cancel_count++;
}

void fake_http_init(struct fake_http *fake, const struct br_clock *clock)
{
    *fake = (struct fake_http){.http = {.submit = submit, .cancel = cancel}, .clock = clock};
}

void fake_http_send(struct fake_http *fake)
{
    fake->submitted->sent_us = fake->clock->now_us(fake->clock);
}

static struct br_http_exchange *take(struct fake_http *fake)
{
    struct br_http_exchange *exchange = fake->submitted;
    assert(exchange != NULL);
    fake->submitted = NULL;
    exchange->ended_us = fake->clock->now_us(fake->clock);
    return exchange;
}

void fake_http_answer(struct fake_http *fake, int status, struct br_headers headers, const char *body)
{
    if (fake->submitted->sent_us == 0) {
        fake_http_send(fake);
    }
    struct br_http_exchange *exchange = take(fake);
    exchange->answered = true;
    exchange->answer =
        (struct br_http_answer){.status = status, .headers = headers, .body = body, .body_len = strlen(body)};
    exchange->done(exchange);
}

void fake_http_fail(struct fake_http *fake, enum br_transport_failure failure)
{
    struct br_http_exchange *exchange = take(fake);
    exchange->answered = false;
    exchange->failure = failure;
    exchange->failure_name = "FAKE";
    exchange->done(exchange);
}

static int64_t now_us(const struct br_clock *self)
{
    return ((const struct fake_clock *)self)->now_us;
}

static int64_t unix_s(const struct br_clock *self)
{
    return ((const struct fake_clock *)self)->unix_s;
}

void fake_clock_init(struct fake_clock *fake)
{
    *fake = (struct fake_clock){
        .clock = {.now_us = now_us, .unix_s = unix_s}, .now_us = 1000000, .unix_s = 1700000000};
}

void fake_random(void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)bytes)[i] = (uint8_t)(i + 1);
    }
}

static enum br_auth_result apply(struct br_auth *self, const struct br_auth_request *request,
                                 struct br_auth_waiter *waiter, struct br_arena *arena,
                                 struct br_headers *out, struct br_error *error)
{
    (void)request;
    (void)arena;
    static struct br_header header = {"Authorization", "fake"};
    struct fake_auth *fake = (struct fake_auth *)self;
    fake->waiter = waiter;
    *out = (struct br_headers){&header, 1};
    br_error_init(error);
    (void)br_status_set(&error->st, BR_UNAUTHENTICATED, "FAKE_REFUSAL", "refused by the test");
    return fake->result;
}

static void cancel_waiter(struct br_auth *self, struct br_auth_waiter *waiter)
{
    struct fake_auth *fake = (struct fake_auth *)self;
    assert(waiter == fake->waiter);
    fake->cancel_count++;
}

static bool rejected(struct br_auth *self, const struct br_auth_waiter *waiter, const struct br_error *error)
{
    struct fake_auth *fake = (struct fake_auth *)self;
    assert(waiter == fake->waiter && error->st.code != BR_OK);
    return fake->can_replace;
}

void fake_auth_init(struct fake_auth *fake)
{
    *fake = (struct fake_auth){.auth = {.apply = apply, .cancel = cancel_waiter, .rejected = rejected}};
}

void fake_auth_ready(struct fake_auth *fake)
{
    fake->waiter->ready(fake->waiter);
}

static void expect(struct br_call_host *self, struct br_call *call)
{
    (void)call;
    ((struct fake_host *)self)->expect_count++;
}

static void post(struct br_call_host *self, struct br_call *call)
{
    (void)call;
    ((struct fake_host *)self)->post_count++;
}

static void reply(struct br_call_host *self, struct br_call *call, const struct br_reply *got)
{
    (void)call;
    struct fake_host *fake = (struct fake_host *)self;
    fake->reply_count++;
    fake->reply = *got;
}

void fake_host_init(struct fake_host *fake)
{
    *fake = (struct fake_host){.host = {.expect = expect, .post = post, .reply = reply}};
}

void fake_host_finish(struct fake_host *fake)
{
    free(fake->reply.bytes);
    fake->reply.bytes = NULL;
}
