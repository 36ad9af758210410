#include "fake_http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void submit(struct br_http *self, struct br_http_exchange *exchange)
{
    struct fake_http *fake = (struct fake_http *)self;
    assert(fake->submitted == NULL);
    fake->submitted = exchange;
    fake->submit_count++;
}

static void cancel(struct br_http *self, struct br_http_exchange *exchange)
{
    (void)exchange;
    ((struct fake_http *)self)->cancel_count++;
}

void fake_http_init(struct fake_http *fake)
{
    *fake = (struct fake_http){.http = {.submit = submit, .cancel = cancel}};
}

static struct br_http_exchange *take(struct fake_http *fake)
{
    struct br_http_exchange *exchange = fake->submitted;
    assert(exchange != NULL);
    fake->submitted = NULL;
    return exchange;
}

void fake_http_answer(struct fake_http *fake, int status, struct br_headers headers, const char *body)
{
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

static int64_t now_ms(const struct br_clock *self)
{
    return ((const struct fake_clock *)self)->now_ms;
}

static int64_t unix_s(const struct br_clock *self)
{
    return ((const struct fake_clock *)self)->unix_s;
}

void fake_clock_init(struct fake_clock *fake)
{
    *fake = (struct fake_clock){
        .clock = {.now_ms = now_ms, .unix_s = unix_s}, .now_ms = 1000, .unix_s = 1700000000};
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
    *fake = (struct fake_host){.host = {.post = post, .reply = reply}};
}

void fake_host_finish(struct fake_host *fake)
{
    free(fake->reply.bytes);
    fake->reply.bytes = NULL;
}
