/*
 * The floor of HTTP: the bridge's own curl client, sending one fixed request again and again with no gRPC and no
 * translation around it.
 *
 *   bench-http URL BODY-FILE IN-FLIGHT MILLISECONDS
 *
 * Prints one line of JSON: the times of the requests, and cpu_us, the CPU time of this whole process.
 */
#include "common.h"

#include "base/clock.h"
#include "upstream/http_curl.h"

#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define ANSWER_MAX_BYTES ((size_t)1 << 20)
#define LONG_MS 60000

/* Everything but |idle| belongs to the client's thread while requests are under way. */
struct run {
    struct br_http *http;
    int64_t end_us;
    struct bench_times times;
    sem_t idle; /* posted by each request that is not followed by another */
};

struct sender {
    struct br_http_exchange exchange; /* first: the sender is the exchange */
    struct run *run;
    int64_t sent_us;
};

static void send_request(struct sender *sender)
{
    const struct br_clock *clock = br_clock_system();
    br_http_exchange_finish(&sender->exchange);
    sender->exchange.deadline_ms = br_clock_now_ms(clock) + LONG_MS;
    sender->sent_us = bench_now_us();
    sender->run->http->submit(sender->run->http, &sender->exchange);
}

static void on_done(struct br_http_exchange *exchange)
{
    struct sender *sender = (struct sender *)exchange;
    struct run *run = sender->run;
    if (!exchange->answered || exchange->answer.status != 200) {
        bench_fail("a request was not answered with 200");
    }
    int64_t now_us = bench_now_us();
    bench_times_add(&run->times, now_us - sender->sent_us);
    if (now_us < run->end_us) {
        send_request(sender);
    } else {
        (void)sem_post(&run->idle);
    }
}

static int64_t cpu_us(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * (int64_t)1000000 + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

int main(int argc, char **argv)
{
    long in_flight = argc == 5 ? bench_number(argv[3]) : 0;
    if (in_flight < 1) {
        bench_fail("usage: bench-http URL BODY-FILE IN-FLIGHT MILLISECONDS");
    }
    size_t body_len;
    char *body = bench_read_file(argv[2], &body_len);
    /* The headers that the bridge sends with an update. */
    struct br_header headers[] = {{.name = "Accept", .value = "application/json"},
                                  {.name = "Content-Type", .value = "application/json;charset=UTF-8"},
                                  {.name = "X-Auth-Token", .value = "bench-token"}};
    const struct br_http_curl_config config = {
        .connect_timeout_ms = LONG_MS, .max_connections = 128, .user_agent = "bench-http"};
    struct br_status st;
    struct run run = {0};
    if (!br_http_curl_global_init(&st) || !br_http_curl_create(&config, &run.http, &st)) {
        bench_fail(st.msg);
    }
    (void)sem_init(&run.idle, 0, 0);
    int64_t start_us = bench_now_us();
    run.end_us = start_us + bench_number(argv[4]) * 1000;
    struct sender *senders = bench_need(calloc((size_t)in_flight, sizeof *senders));
    for (long i = 0; i < in_flight; i++) {
        senders[i].run = &run;
        senders[i].exchange = (struct br_http_exchange){
            .verb = "PUT",
            .url = argv[1],
            .headers = {.items = headers, .count = sizeof headers / sizeof headers[0]},
            .body = body,
            .body_len = body_len,
            .max_body_bytes = ANSWER_MAX_BYTES,
            .done = on_done,
        };
        send_request(&senders[i]);
    }
    for (long i = 0; i < in_flight; i++) {
        (void)sem_wait(&run.idle);
    }
    bench_times_print(&run.times, bench_now_us() - start_us);
    printf(",\"cpu_us\":%" PRId64 "}\n", cpu_us());

    br_http_curl_destroy(run.http);
    for (long i = 0; i < in_flight; i++) {
        br_http_exchange_finish(&senders[i].exchange);
    }
    free(senders);
    free(body);
    bench_times_finish(&run.times);
    (void)sem_destroy(&run.idle);
    return 0;
}
