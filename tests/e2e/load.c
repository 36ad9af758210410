/*
 * Makes many unary calls with a fixed number in flight and counts the answers by code.
 *
 *   grpc-load ADDRESS METHOD-PATH REQUEST-FILE CALLS IN-FLIGHT
 *
 * Prints one line a code, "CODE COUNT", then "microseconds N". The token is "sim-token". Exit code 1 when the arguments
 * are wrong. For tests and benchmarks: Python is too slow to load the bridge.
 */
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REQUEST_MAX_BYTES 65536
#define CODES 17

struct one_call {
    grpc_call *call;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_byte_buffer *answer;
    grpc_status_code code;
    grpc_slice message;
};

struct load {
    grpc_channel *channel;
    grpc_completion_queue *queue;
    grpc_slice method;
    grpc_slice request;
    grpc_metadata token;
    long codes[CODES];
};

static void start_call(struct load *load)
{
    struct one_call *one = calloc(1, sizeof *one);
    if (one == NULL) {
        abort();
    }
    gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(60, GPR_TIMESPAN));
    one->call = grpc_channel_create_call(load->channel, NULL, GRPC_PROPAGATE_DEFAULTS, load->queue,
                                         load->method, NULL, deadline, NULL);
    grpc_metadata_array_init(&one->initial);
    grpc_metadata_array_init(&one->trailing);
    grpc_op ops[6];
    memset(ops, 0, sizeof ops);
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[0].data.send_initial_metadata.metadata = &load->token;
    ops[0].data.send_initial_metadata.count = 1;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    grpc_byte_buffer *request = grpc_raw_byte_buffer_create(&load->request, 1); /* core empties it */
    ops[1].data.send_message.send_message = request;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &one->initial;
    ops[4].op = GRPC_OP_RECV_MESSAGE;
    ops[4].data.recv_message.recv_message = &one->answer;
    ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[5].data.recv_status_on_client.status = &one->code;
    ops[5].data.recv_status_on_client.status_details = &one->message;
    ops[5].data.recv_status_on_client.trailing_metadata = &one->trailing;
    if (grpc_call_start_batch(one->call, ops, 6, one, NULL) != GRPC_CALL_OK) {
        abort();
    }
    grpc_byte_buffer_destroy(request);
}

static void end_call(struct load *load, struct one_call *one)
{
    load->codes[one->code < CODES ? one->code : 2]++;
    grpc_metadata_array_destroy(&one->initial);
    grpc_metadata_array_destroy(&one->trailing);
    grpc_byte_buffer_destroy(one->answer);
    grpc_slice_unref(one->message);
    grpc_call_unref(one->call);
    free(one);
}

static void run(struct load *load, long calls, long in_flight)
{
    long started = 0;
    for (long ended = 0; ended < calls; ended++) {
        while (started < calls && started - ended < in_flight) {
            start_call(load);
            started++;
        }
        grpc_event event = grpc_completion_queue_next(load->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        end_call(load, event.tag);
    }
}

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool read_request(const char *path, grpc_slice *out)
{
    static char bytes[REQUEST_MAX_BYTES];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    size_t len = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    *out = grpc_slice_from_copied_buffer(bytes, len);
    return true;
}

int main(int argc, char **argv)
{
    struct load load = {0};
    long calls = argc == 6 ? strtol(argv[4], NULL, 10) : 0;     /* a developer's tool: 0 is refused below */
    long in_flight = argc == 6 ? strtol(argv[5], NULL, 10) : 0; /* likewise */
    if (calls < 1 || in_flight < 1 || !read_request(argv[3], &load.request)) {
        fprintf(stderr, "usage: grpc-load ADDRESS METHOD-PATH REQUEST-FILE CALLS IN-FLIGHT\n");
        return 1;
    }
    grpc_init();
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    load.channel = grpc_channel_create(argv[1], credentials, NULL);
    grpc_channel_credentials_release(credentials);
    load.queue = grpc_completion_queue_create_for_next(NULL);
    load.method = grpc_slice_from_static_string(argv[2]);
    load.token.key = grpc_slice_from_static_string("x-auth-token");
    load.token.value = grpc_slice_from_static_string("sim-token");

    int64_t start_us = now_us();
    run(&load, calls, in_flight);
    int64_t took_us = now_us() - start_us;

    for (int code = 0; code < CODES; code++) {
        if (load.codes[code] > 0) {
            printf("%d %ld\n", code, load.codes[code]);
        }
    }
    printf("microseconds %" PRId64 "\n", took_us);
    grpc_slice_unref(load.request);
    grpc_channel_destroy(load.channel);
    grpc_completion_queue_shutdown(load.queue);
    while (grpc_completion_queue_next(load.queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
           GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(load.queue);
    grpc_shutdown();
    return 0;
}
