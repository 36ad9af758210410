/*
 * Makes unary calls with a fixed number in flight and measures how long each takes.
 *
 *   bench-client -a ADDRESS -m METHOD-PATH -r REQUEST-FILE [-f IN-FLIGHT] [-c CONNECTIONS]
 *                [-n CALLS | -t MILLISECONDS] [-d DEADLINE-MS]
 *
 * IN-FLIGHT calls go before the measured ones, so that every connection is there. Ends after CALLS calls, or starts none
 * after MILLISECONDS. Without -d calls have no deadline. Prints one line of JSON: the times, the answers by code, the
 * version of gRPC.
 */
#include "common.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CODES 17
#define CONNECTIONS_MAX 64

struct client {
    const char *address;
    const char *method_path;
    const char *request_path;
    long in_flight;
    long connection_count;
    long call_count;
    long duration_ms;
    long deadline_ms; /* 0: none */

    grpc_channel *channels[CONNECTIONS_MAX];
    grpc_completion_queue *queue;
    grpc_slice method;
    grpc_slice request;
    grpc_metadata token;
    long started_count;
    struct bench_times times;
    long codes[CODES];
};

struct one_call {
    grpc_call *core;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_byte_buffer *answer;
    grpc_status_code code;
    grpc_slice message;
    int64_t start_us;
};

static void start_call(struct client *client)
{
    struct one_call *call = bench_need(calloc(1, sizeof *call));
    gpr_timespec deadline = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    if (client->deadline_ms > 0) {
        deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                gpr_time_from_millis(client->deadline_ms, GPR_TIMESPAN));
    }
    call->start_us = bench_now_us();
    grpc_channel *channel = client->channels[client->started_count++ % client->connection_count];
    call->core = grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, client->queue,
                                          client->method, NULL, deadline, NULL);
    grpc_metadata_array_init(&call->initial);
    grpc_metadata_array_init(&call->trailing);
    grpc_op ops[6];
    memset(ops, 0, sizeof ops);
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[0].data.send_initial_metadata.metadata = &client->token;
    ops[0].data.send_initial_metadata.count = 1;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    grpc_byte_buffer *request = grpc_raw_byte_buffer_create(&client->request, 1);
    ops[1].data.send_message.send_message = request;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &call->initial;
    ops[4].op = GRPC_OP_RECV_MESSAGE;
    ops[4].data.recv_message.recv_message = &call->answer;
    ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[5].data.recv_status_on_client.status = &call->code;
    ops[5].data.recv_status_on_client.status_details = &call->message;
    ops[5].data.recv_status_on_client.trailing_metadata = &call->trailing;
    if (grpc_call_start_batch(call->core, ops, 6, call, NULL) != GRPC_CALL_OK) {
        bench_fail("core refuses a call");
    }
    grpc_byte_buffer_destroy(request);
}

static void end_call(struct client *client, struct one_call *call)
{
    bench_times_add(&client->times, bench_now_us() - call->start_us);
    client->codes[call->code < CODES ? call->code : GRPC_STATUS_UNKNOWN]++;
    grpc_metadata_array_destroy(&call->initial);
    grpc_metadata_array_destroy(&call->trailing);
    grpc_byte_buffer_destroy(call->answer);
    grpc_slice_unref(call->message);
    grpc_call_unref(call->core);
    free(call);
}

/* Makes |calls| calls, or as many as begin before |end_us|. */
static void run(struct client *client, long calls, int64_t end_us)
{
    long started = 0;
    long ended = 0;
    for (;;) {
        while (started < calls && started - ended < client->in_flight && bench_now_us() < end_us) {
            start_call(client);
            started++;
        }
        if (ended == started) {
            return;
        }
        grpc_event event =
            grpc_completion_queue_next(client->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        end_call(client, event.tag);
        ended++;
    }
}

static void read_options(struct client *client, int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "a:m:r:f:c:n:t:d:")) != -1) {
        switch (option) {
        case 'a':
            client->address = optarg;
            break;
        case 'm':
            client->method_path = optarg;
            break;
        case 'r':
            client->request_path = optarg;
            break;
        case 'f':
            client->in_flight = bench_number(optarg);
            break;
        case 'c':
            client->connection_count = bench_number(optarg);
            break;
        case 'n':
            client->call_count = bench_number(optarg);
            break;
        case 't':
            client->duration_ms = bench_number(optarg);
            break;
        case 'd':
            client->deadline_ms = bench_number(optarg);
            break;
        default:
            client->address = NULL;
            return;
        }
    }
}

static void connect(struct client *client)
{
    size_t len;
    char *bytes = bench_read_file(client->request_path, &len);
    client->request = grpc_slice_from_copied_buffer(bytes, len);
    free(bytes);
    client->method = grpc_slice_from_copied_string(client->method_path);
    client->token.key = grpc_slice_from_static_string("x-auth-token");
    client->token.value = grpc_slice_from_static_string("bench-token");
    client->queue = grpc_completion_queue_create_for_next(NULL);
    /* Else channels to one address share a connection. */
    grpc_arg own_pool = {
        .type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, .value.integer = 1};
    grpc_channel_args args = {.num_args = 1, .args = &own_pool};
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    for (long i = 0; i < client->connection_count; i++) {
        client->channels[i] = grpc_channel_create(client->address, credentials, &args);
    }
    grpc_channel_credentials_release(credentials);
}

static void disconnect(struct client *client)
{
    for (long i = 0; i < client->connection_count; i++) {
        grpc_channel_destroy(client->channels[i]);
    }
    grpc_completion_queue_shutdown(client->queue);
    while (grpc_completion_queue_next(client->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
           GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(client->queue);
    grpc_slice_unref(client->method);
    grpc_slice_unref(client->request);
}

static void print_codes(const struct client *client)
{
    const char *comma = "";
    printf(",\"codes\":{");
    for (int code = 0; code < CODES; code++) {
        if (client->codes[code] > 0) {
            printf("%s\"%d\":%ld", comma, code, client->codes[code]);
            comma = ",";
        }
    }
    printf("},\"grpc\":\"%s\"}\n", grpc_version_string());
}

int main(int argc, char **argv)
{
    struct client client = {
        .in_flight = 1, .connection_count = 1, .call_count = LONG_MAX, .duration_ms = 3600000};
    read_options(&client, argc, argv);
    if (client.address == NULL || client.method_path == NULL || client.request_path == NULL ||
        client.in_flight < 1 || client.call_count < 1 || client.connection_count < 1 ||
        client.connection_count > CONNECTIONS_MAX) {
        bench_fail("usage: -a ADDRESS -m METHOD-PATH -r REQUEST-FILE [-f IN-FLIGHT] [-c CONNECTIONS] "
                   "[-n CALLS | -t MILLISECONDS] [-d DEADLINE-MS]");
    }
    grpc_init();
    connect(&client);

    run(&client, client.in_flight, INT64_MAX);
    bench_times_finish(&client.times);
    memset(client.codes, 0, sizeof client.codes);
    int64_t start_us = bench_now_us();
    run(&client, client.call_count, start_us + client.duration_ms * 1000);
    bench_times_print(&client.times, bench_now_us() - start_us);
    print_codes(&client);

    bench_times_finish(&client.times);
    disconnect(&client);
    grpc_shutdown();
    return 0;
}
