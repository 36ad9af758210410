/*
 * The floor of gRPC itself: a server of the C core that answers every unary call with the same message and does
 * nothing else. What the bridge costs beyond it is the bridge's.
 *
 *   bench-echo PORT-FILE ANSWER-FILE THREADS
 *
 * Each thread has a completion queue, as each shard of the bridge has. Listens on a free port of 127.0.0.1. SIGTERM
 * ends it; there must be no call then.
 */
#include "common.h"

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 16
#define WAITING_REQUESTS 16

struct server {
    grpc_server *core;
    grpc_slice answer;
};

struct worker {
    struct server *server;
    grpc_completion_queue *queue;
    pthread_t thread;
};

/* A call. Its tags are told apart by |stage|: never is more than one under way. */
struct call {
    grpc_call *core; /* NULL until a call came */
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *request;
    int cancelled;
    enum { ARRIVED, RECEIVED, REPLIED } stage;
};

static void release_call(struct call *call)
{
    if (call->core != NULL) {
        grpc_call_unref(call->core);
    }
    grpc_byte_buffer_destroy(call->request);
    grpc_metadata_array_destroy(&call->metadata);
    grpc_call_details_destroy(&call->details);
    free(call);
}

static void request_call(struct worker *worker)
{
    struct call *call = bench_need(calloc(1, sizeof *call));
    grpc_call_details_init(&call->details);
    grpc_metadata_array_init(&call->metadata);
    if (grpc_server_request_call(worker->server->core, &call->core, &call->details, &call->metadata,
                                 worker->queue, worker->queue, call) != GRPC_CALL_OK) {
        bench_fail("core refuses to wait for a call");
    }
}

static void start_batch(struct call *call, const grpc_op *ops, size_t count)
{
    if (grpc_call_start_batch(call->core, ops, count, call, NULL) != GRPC_CALL_OK) {
        bench_fail("core refuses a batch");
    }
}

static void receive(struct call *call)
{
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &call->request;
    call->stage = RECEIVED;
    start_batch(call, &op, 1);
}

static void reply(struct server *server, struct call *call)
{
    grpc_byte_buffer *payload = grpc_raw_byte_buffer_create(&server->answer, 1);
    grpc_slice message = grpc_empty_slice();
    grpc_op ops[4];
    memset(ops, 0, sizeof ops);
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = payload;
    ops[2].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[2].data.send_status_from_server.status = GRPC_STATUS_OK;
    ops[2].data.send_status_from_server.status_details = &message;
    ops[3].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    ops[3].data.recv_close_on_server.cancelled = &call->cancelled;
    call->stage = REPLIED;
    start_batch(call, ops, 4);
    grpc_byte_buffer_destroy(payload);
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    for (;;) {
        grpc_event event =
            grpc_completion_queue_next(worker->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN) {
            return NULL;
        }
        struct call *call = event.tag;
        if (call == NULL) {
            continue; /* the server has stopped */
        }
        if (call->stage == ARRIVED && event.success != 0) {
            request_call(worker);
            receive(call);
        } else if (call->stage == RECEIVED) {
            reply(worker->server, call);
        } else {
            release_call(call);
        }
    }
}

static void start(struct server *server, struct worker *workers, long count, const char *port_file)
{
    for (long i = 0; i < count; i++) {
        workers[i] = (struct worker){.server = server, .queue = grpc_completion_queue_create_for_next(NULL)};
        grpc_server_register_completion_queue(server->core, workers[i].queue, NULL);
    }
    grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
    int port = grpc_server_add_http2_port(server->core, "127.0.0.1:0", credentials);
    grpc_server_credentials_release(credentials);
    if (port == 0) {
        bench_fail("cannot listen on 127.0.0.1");
    }
    grpc_server_start(server->core);
    for (long i = 0; i < count; i++) {
        for (int waiting = 0; waiting < WAITING_REQUESTS; waiting++) {
            request_call(&workers[i]);
        }
        if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0) {
            bench_fail("cannot start a thread");
        }
    }
    bench_write_port(port_file, port);
}

static void stop(struct server *server, struct worker *workers, long count)
{
    grpc_completion_queue *last = grpc_completion_queue_create_for_pluck(NULL);
    grpc_server_shutdown_and_notify(server->core, last, NULL);
    (void)grpc_completion_queue_pluck(last, NULL, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    grpc_completion_queue_shutdown(last);
    grpc_completion_queue_destroy(last);
    for (long i = 0; i < count; i++) {
        grpc_completion_queue_shutdown(workers[i].queue);
        (void)pthread_join(workers[i].thread, NULL);
    }
    grpc_server_destroy(server->core);
    for (long i = 0; i < count; i++) {
        grpc_completion_queue_destroy(workers[i].queue);
    }
}

int main(int argc, char **argv)
{
    long count = argc == 4 ? bench_number(argv[3]) : 0;
    if (count < 1 || count > THREADS_MAX) {
        bench_fail("usage: bench-echo PORT-FILE ANSWER-FILE THREADS");
    }
    sigset_t ending;
    (void)sigemptyset(&ending);
    (void)sigaddset(&ending, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &ending, NULL);

    size_t len;
    char *bytes = bench_read_file(argv[2], &len);
    grpc_init();
    struct server server = {.core = grpc_server_create(NULL, NULL),
                            .answer = grpc_slice_from_copied_buffer(bytes, len)};
    free(bytes);
    struct worker workers[THREADS_MAX];
    start(&server, workers, count, argv[1]);
    int number;
    (void)sigwait(&ending, &number);
    stop(&server, workers, count);
    grpc_slice_unref(server.answer);
    grpc_shutdown();
    return 0;
}
