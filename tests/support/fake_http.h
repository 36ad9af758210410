/*
 * Fakes behind the HTTP and credential seams and a host for calls: the whole life of a call without a socket or a sleep.
 *
 * Nothing happens by itself: the test decides when an exchange ends and when the host resumes its call.
 */
#ifndef FAKE_HTTP_H
#define FAKE_HTTP_H

#include "serve/call.h"

struct fake_http {
    struct br_http http;                /* first */
    const struct br_clock *clock;       /* of the times in exchanges */
    struct br_http_exchange *submitted; /* the request or pause that is under way; NULL: none */
    size_t submit_count;                /* requests */
    size_t pause_count;
    size_t cancel_count;
};

/* |clock| kept. */
void fake_http_init(struct fake_http *fake, const struct br_clock *clock);

/* The request goes out now. */
void fake_http_send(struct fake_http *fake);

/* Ends the exchange with an answer, sending it first if need be; |headers| and |body| are borrowed until the call is destroyed. */
void fake_http_answer(struct fake_http *fake, int status, struct br_headers headers, const char *body);

/* Ends the exchange with a failure. */
void fake_http_fail(struct fake_http *fake, enum br_transport_failure failure);

/* A clock that stands still until the test moves it. */
struct fake_clock {
    struct br_clock clock; /* first */
    int64_t now_us;
    int64_t unix_s;
};

void fake_clock_init(struct fake_clock *fake);

/* What is random is 01 02 03 ... each time, so span ids are 0102030405060708. */
void fake_random(void *bytes, size_t len);

/* A credential seam that gives, refuses or lets wait as |result| says. */
struct fake_auth {
    struct br_auth auth; /* first */
    enum br_auth_result result;
    struct br_auth_waiter *waiter; /* the one that was last told to wait */
    size_t cancel_count;
    bool can_replace; /* what |rejected| says */
};

void fake_auth_init(struct fake_auth *fake);

/* Tells the waiter to ask again. */
void fake_auth_ready(struct fake_auth *fake);

/* What the host saw of its call. */
struct fake_host {
    struct br_call_host host; /* first */
    size_t expect_count;
    size_t post_count;
    size_t reply_count;
    struct br_reply reply; /* the last; |bytes| is released by fake_host_finish() */
};

void fake_host_init(struct fake_host *fake);
void fake_host_finish(struct fake_host *fake);

#endif
