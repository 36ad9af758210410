#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/wire.h"
#include "serve/server.h"
#include "translate/named_rules.h"

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CHECK "grpc.health.v1.Health/Check"
#define WATCH "grpc.health.v1.Health/Watch"
#define TALK "grpc.reflection.v1.ServerReflection/ServerReflectionInfo"

/* ---- The server, with handlers of the test's own ---- */

struct fixture {
    struct br_contract *contract;
    struct br_health *health;
    struct br_server *server;
    struct br_local_handler handlers[4];
    atomic_uint version; /* what a watch answers */
    grpc_channel *channel;
    grpc_completion_queue *queue;
};

/* The version, so that each answer can be told from all others. */
static bool answer_version(void *context, const uint8_t *bytes, size_t len, struct br_buf *reply,
                           struct br_status *st)
{
    (void)bytes;
    (void)len;
    (void)st;
    struct fixture *f = context;
    return br_wire_put_varint(reply, 1, atomic_load(&f->version)) == BR_BUF_OK;
}

/* The request itself; "fail" is refused. */
static bool answer_echo(void *context, const uint8_t *bytes, size_t len, struct br_buf *reply,
                        struct br_status *st)
{
    (void)context;
    if (len == 4 && memcmp(bytes, "fail", 4) == 0) {
        return br_status_set(st, BR_ABORTED, "VALIDATION_FAILED", "as asked");
    }
    return len == 0 || br_buf_append(reply, bytes, len) == BR_BUF_OK;
}

static struct br_server_config config_of(struct fixture *f)
{
    static const char *addresses[] = {"127.0.0.1:0"};
    return (struct br_server_config){
        .listen = {.addresses = {.items = addresses, .count = 1}},
        .shards = 2,
        .max_in_flight = 1,
        .max_request_bytes = 1 << 20,
        .http = {.connect_timeout_ms = 1000, .max_connections = 1, .user_agent = "test"},
        .call = {.clock = br_clock_system(), .default_timeout_ms = 60000, .max_timeout_ms = 60000},
        .handlers = f->handlers,
        .handler_count = 4,
    };
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct br_status st;
    assert_true(br_http_curl_global_init(&st));
    assert_true(br_contract_create(&br_schema_linked, br_named_functions, br_named_functions_count,
                                   &f->contract, &st));
    f->health = br_health_create(f->contract);
    br_health_set_started(f->health);
    const struct br_local_handler handlers[] = {
        {.method = CHECK, .answer = answer_echo},
        {.method = WATCH, .context = f, .answer = answer_version, .watched = f->health},
        {.method = TALK, .answer = answer_echo},
        {.method = "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", .answer = answer_echo},
    };
    memcpy(f->handlers, handlers, sizeof handlers);
    const struct br_server_config config = config_of(f);
    if (!br_server_create(f->contract, &config, &f->server, &st)) {
        fail_msg("%s", st.msg);
    }

    grpc_init();
    /* A window of 1 KiB that does not grow: what is sent and not read fills it. */
    grpc_arg args[] = {
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_HTTP2_BDP_PROBE, .value = {.integer = 0}},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES,
         .value = {.integer = 1024}},
    };
    grpc_channel_args list = {.num_args = 2, .args = args};
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    f->channel = grpc_channel_create(br_server_address(f->server, 0), credentials, &list);
    grpc_channel_credentials_release(credentials);
    f->queue = grpc_completion_queue_create_for_pluck(NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    grpc_channel_destroy(f->channel);
    grpc_completion_queue_shutdown(f->queue);
    grpc_completion_queue_destroy(f->queue);
    grpc_shutdown();
    br_server_destroy(f->server);
    br_health_destroy(f->health);
    br_contract_destroy(f->contract);
    free(f);
    return 0;
}

/* ---- A client of one stream ---- */

struct client {
    struct fixture *f;
    grpc_call *call;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_status_code code;
    grpc_slice text;
    int first_tag, status_tag; /* their addresses are the tags */
};

/* Starts |ops| and waits for them; the call's own deadline ends the wait. */
static void run(struct client *client, const grpc_op *ops, size_t count)
{
    assert_int_equal(grpc_call_start_batch(client->call, ops, count, client, NULL), GRPC_CALL_OK);
    (void)grpc_completion_queue_pluck(client->f->queue, client, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
}

static void open_call(struct client *client, struct fixture *f, const char *path)
{
    *client = (struct client){.f = f, .text = grpc_empty_slice()};
    gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(60, GPR_TIMESPAN));
    client->call = grpc_channel_create_call(f->channel, NULL, GRPC_PROPAGATE_DEFAULTS, f->queue,
                                            grpc_slice_from_static_string(path), NULL, deadline, NULL);
    grpc_metadata_array_init(&client->initial);
    grpc_metadata_array_init(&client->trailing);
    const grpc_op first[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &client->initial},
    };
    const grpc_op status = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                            .data.recv_status_on_client = {.trailing_metadata = &client->trailing,
                                                           .status = &client->code,
                                                           .status_details = &client->text}};
    assert_int_equal(grpc_call_start_batch(client->call, first, 2, &client->first_tag, NULL), GRPC_CALL_OK);
    assert_int_equal(grpc_call_start_batch(client->call, &status, 1, &client->status_tag, NULL),
                     GRPC_CALL_OK);
}

static void send_text(struct client *client, const char *text)
{
    grpc_slice slice = grpc_slice_from_copied_string(text);
    grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
    const grpc_op op = {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = message};
    run(client, &op, 1);
    grpc_byte_buffer_destroy(message);
    grpc_slice_unref(slice);
}

static void half_close(struct client *client)
{
    const grpc_op op = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    run(client, &op, 1);
}

/* Reads one message into |out|; false when there is none any more. */
static bool read_message(struct client *client, char *out, size_t cap, size_t *len)
{
    grpc_byte_buffer *message = NULL;
    const grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &message};
    run(client, &op, 1);
    if (message == NULL) {
        return false;
    }
    grpc_byte_buffer_reader reader;
    assert_true(grpc_byte_buffer_reader_init(&reader, message));
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    *len = GRPC_SLICE_LENGTH(all);
    assert_true(*len <= cap);
    memcpy(out, GRPC_SLICE_START_PTR(all), *len);
    grpc_slice_unref(all);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(message);
    return true;
}

static void assert_text(struct client *client, const char *text)
{
    char bytes[64];
    size_t len;
    assert_true(read_message(client, bytes, sizeof bytes, &len));
    assert_int_equal(len, strlen(text));
    assert_memory_equal(bytes, text, len);
}

/* Waits for the end of the call, and releases it. */
static grpc_status_code end_call(struct client *client)
{
    grpc_completion_queue *queue = client->f->queue;
    gpr_timespec never = gpr_inf_future(GPR_CLOCK_REALTIME);
    (void)grpc_completion_queue_pluck(queue, &client->status_tag, never, NULL);
    (void)grpc_completion_queue_pluck(queue, &client->first_tag, never, NULL);
    grpc_metadata_array_destroy(&client->initial);
    grpc_metadata_array_destroy(&client->trailing);
    grpc_slice_unref(client->text);
    grpc_call_unref(client->call);
    return client->code;
}

/* ---- Tests ---- */

static unsigned read_version(struct client *client)
{
    char bytes[16];
    size_t len;
    uint64_t value;
    struct br_wire_record record;
    assert_true(read_message(client, bytes, sizeof bytes, &len));
    const uint8_t *at = (const uint8_t *)bytes;
    assert_null(br_wire_read(at, at + len, &record));
    assert_int_equal(br_wire_read_varint(record.payload, at + len, &value), record.len);
    return (unsigned)value;
}

static void change(struct fixture *f)
{
    unsigned version = atomic_fetch_add(&f->version, 1) + 1;
    br_health_set_problem(f->health, version % 2 == 0 ? NULL : "a problem");
}

#define CHANGES 20000

/* Else each change would wait in the bridge for a caller that does not read. */
static void test_watch_slow_reader_gets_the_newest(void **state)
{
    struct fixture *f = *state;
    struct client client;
    open_call(&client, f, "/" WATCH);
    send_text(&client, "");
    half_close(&client);
    assert_int_equal(read_version(&client), 0);
    for (int i = 0; i < CHANGES; i++) {
        change(f);
    }
    unsigned last = 0;
    int count = 0;
    while (last != CHANGES) {
        unsigned version = read_version(&client);
        assert_true(version > last);
        last = version;
        count++;
    }
    /* What fits the window, and what was being sent. */
    assert_in_range(count, 1, 1000);
    assert_int_equal(grpc_call_cancel(client.call, NULL), GRPC_CALL_OK);
    assert_int_equal(end_call(&client), GRPC_STATUS_CANCELLED);
}

static void test_watch_each_change_reaches_a_caller_that_reads(void **state)
{
    struct fixture *f = *state;
    struct client clients[3];
    for (size_t i = 0; i < 3; i++) {
        open_call(&clients[i], f, "/" WATCH);
        send_text(&clients[i], "");
        assert_int_equal(read_version(&clients[i]), 0);
    }
    for (unsigned version = 1; version < 50; version++) {
        change(f);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(read_version(&clients[i]), version);
        }
    }
    br_server_drain(f->server);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(end_call(&clients[i]), GRPC_STATUS_UNAVAILABLE);
    }
    assert_true(br_server_wait_drained(f->server, 60000));
}

static void test_talk_error_comes_after_the_replies_before_it(void **state)
{
    struct fixture *f = *state;
    struct client client;
    open_call(&client, f, "/" TALK);
    send_text(&client, "one");
    send_text(&client, "");
    send_text(&client, "fail");
    assert_text(&client, "one");
    assert_text(&client, "");
    char bytes[1];
    size_t len;
    assert_false(read_message(&client, bytes, sizeof bytes, &len));
    assert_int_equal(end_call(&client), GRPC_STATUS_ABORTED);
}

static void test_talk_ends_with_its_caller(void **state)
{
    struct fixture *f = *state;
    struct client client;
    open_call(&client, f, "/" TALK);
    send_text(&client, "one");
    half_close(&client);
    assert_text(&client, "one");
    assert_int_equal(end_call(&client), GRPC_STATUS_OK);
}

static void test_unary_replies_also_with_an_empty_message(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {"text", ""};
    for (size_t i = 0; i < 2; i++) {
        struct client client;
        open_call(&client, f, "/" CHECK);
        send_text(&client, texts[i]);
        half_close(&client);
        assert_text(&client, texts[i]);
        assert_int_equal(end_call(&client), GRPC_STATUS_OK);
    }
}

static void test_create_without_the_handlers_is_refused(void **state)
{
    struct fixture *f = *state;
    struct br_server_config config = config_of(f);
    struct br_server *server = NULL;
    struct br_status st;
    config.handler_count = 3;
    assert_false(br_server_create(f->contract, &config, &server, &st));
    assert_null(server);
    assert_string_equal(st.reason, "CONTRACT_INVALID");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_watch_slow_reader_gets_the_newest),
        TEST(test_watch_each_change_reaches_a_caller_that_reads),
        TEST(test_talk_error_comes_after_the_replies_before_it),
        TEST(test_talk_ends_with_its_caller),
        TEST(test_unary_replies_also_with_an_empty_message),
        TEST(test_create_without_the_handlers_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
