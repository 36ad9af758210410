/* The admin port over real sockets on loopback. Linked with -Wl,--wrap=calloc. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/parse.h"
#include "serve/admin.h"

/* More than any answer here. */
#define ANSWER_CAP ((size_t)16384)

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

static bool calloc_fails;

void *__wrap_calloc(size_t count, size_t size)
{
    return calloc_fails ? NULL : __real_calloc(count, size);
}

static const struct br_metric_def calls_def = {
    .name = "calls_total", .help = "Calls.", .type = BR_METRIC_COUNTER, .labels = {"method"}, .max_sets = 4};

struct fixture {
    struct br_metrics *metrics;
    struct br_metric_family *calls;
    struct br_admin *admin;
    struct sockaddr_in address;
    char answer[ANSWER_CAP];
};

static int set_up(void **state)
{
    static struct fixture f;
    struct br_status st;
    f.metrics = br_metrics_create();
    assert_non_null(f.metrics);
    f.calls = br_metrics_family(f.metrics, &calls_def);
    assert_non_null(f.calls);
    const struct br_admin_config config = {.address = "127.0.0.1:0", .metrics = f.metrics};
    if (!br_admin_create(&config, &f.admin, &st)) {
        fail_msg("%s", st.msg);
    }
    const char *address = br_admin_address(f.admin);
    assert_memory_equal(address, "127.0.0.1:", 10);
    uint64_t port;
    assert_true(br_parse_uint64(address + 10, strlen(address + 10), &port));
    f.address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    br_admin_destroy(f->admin);
    br_metrics_destroy(f->metrics);
    return 0;
}

/* A connection; its reads end after 5 s, well below the port's own timeout. */
static int open_connection(const struct fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    const struct timeval limit = {.tv_sec = 5};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&f->address, sizeof f->address), 0);
    return fd;
}

static void send_text(int fd, const char *text)
{
    /* A port that refuses what is too long may close before all of it is sent. */
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* What comes until the port closes the connection; fails when it does not. */
static const char *read_answer(struct fixture *f, int fd)
{
    size_t len = 0;
    ssize_t got;
    while ((got = recv(fd, f->answer + len, ANSWER_CAP - 1 - len, 0)) > 0) {
        len += (size_t)got;
    }
    f->answer[len] = '\0';
    /* A reset is an end too: it follows where the port did not read everything. */
    assert_true(got == 0 || errno == ECONNRESET);
    (void)close(fd);
    return f->answer;
}

static const char *ask(struct fixture *f, const char *request)
{
    int fd = open_connection(f);
    send_text(fd, request);
    return read_answer(f, fd);
}

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static void assert_status(const char *answer, int status)
{
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
    if (strncmp(answer, line, strlen(line)) != 0) {
        fail_msg("not %d: %s", status, answer);
    }
}

static void test_livez_is_ok(void **state)
{
    const char *answer = ask(*state, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_status(answer, 200);
    assert_non_null(strstr(answer, "\r\nContent-Type: text/plain; charset=utf-8\r\n"));
    assert_string_equal(body_of(answer), "ok\n");
}

static void test_metrics_is_the_registry_now(void **state)
{
    struct fixture *f = *state;
    const char *method = "a\"b";
    for (int i = 1; i <= 2; i++) {
        br_metric_add(br_metric_child(f->calls, &method), 1);
        const char *answer = ask(f, "GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_status(answer, 200);
        assert_non_null(strstr(answer, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
        char line[64];
        snprintf(line, sizeof line, "\ncalls_total{method=\"a\\\"b\"} %d\n", i);
        assert_non_null(strstr(body_of(answer), line));
    }
}

static void test_metrics_above_the_ceiling_is_an_error(void **state)
{
    struct fixture *f = *state;
    static char help[BR_ADMIN_METRICS_MAX_BYTES + 1];
    memset(help, 'h', sizeof help - 1);
    static const struct br_metric_def def = {.name = "large", .help = help, .type = BR_METRIC_GAUGE};
    assert_non_null(br_metrics_family(f->metrics, &def));
    const char *answer = ask(f, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_status(answer, 500);
    assert_string_equal(body_of(answer), "the metrics are more than 4194304 bytes");
    assert_status(ask(f, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
}

static void test_other_path_is_not_found(void **state)
{
    static const char *const targets[] = {"/", "/metrics/", "/livezz", "//livez", "/../livez", "*"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        char request[128];
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", targets[i]);
        assert_status(ask(*state, request), 404);
    }
    assert_status(ask(*state, "POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"), 404);
}

static void test_other_method_is_not_allowed(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "HEAD", "OPTIONS", "get", "FROBNICATE"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char request[128];
        snprintf(request, sizeof request, "%s /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
                 methods[i]);
        const char *answer = ask(*state, request);
        assert_status(answer, 405);
        assert_non_null(strstr(answer, "\r\nAllow: GET\r\n"));
    }
}

/* Whatever follows the headers is neither read nor answered as a request. */
static void test_body_is_refused_and_is_no_request(void **state)
{
    static const char *const requests[] = {
        "GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 26\r\n\r\nGET /livez HTTP/1.0\r\n\r\n123",
        "GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        const char *answer = ask(*state, requests[i]);
        assert_status(answer, 413);
        assert_string_equal(body_of(answer), "no request body is accepted\n");
    }
    assert_status(ask(*state, "POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\nabc"), 405);
}

static void test_connection_carries_one_request(void **state)
{
    static const char one[] = "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
    char two[2 * sizeof one];
    snprintf(two, sizeof two, "%s%s", one, one);
    const char *answer = ask(*state, two);
    assert_status(answer, 200);
    assert_string_equal(body_of(answer), "ok\n");
}

/* |filler| bytes in a header, or in the request line. */
static const char *ask_long(struct fixture *f, const char *before, size_t filler, const char *after)
{
    char *request = malloc(strlen(before) + filler + strlen(after) + 1);
    assert_non_null(request);
    char *end = stpcpy(request, before);
    memset(end, 'a', filler);
    (void)stpcpy(end + filler, after);
    const char *answer = ask(f, request);
    free(request);
    return answer;
}

static void test_request_above_the_ceiling_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_status(ask_long(f, "GET /livez HTTP/1.1\r\nHost: a\r\nX: ", 4096, "\r\n\r\n"), 200);
    assert_status(
        ask_long(f, "GET /livez HTTP/1.1\r\nHost: a\r\nX: ", BR_ADMIN_REQUEST_MAX_BYTES, "\r\n\r\n"), 431);
    assert_status(ask_long(f, "GET /livez?", BR_ADMIN_REQUEST_MAX_BYTES, " HTTP/1.1\r\nHost: a\r\n\r\n"),
                  414);
    (void)ask_long(f, "", 200000, "");
    (void)ask_long(f, "GET /livez HTTP/1.1\r\nHost: a\r\nX: ", 200000, "\r\n\r\n");
    assert_status(ask(f, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
}

static void test_garbage_does_no_harm(void **state)
{
    struct fixture *f = *state;
    static const char *const requests[] = {"\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n",
                                           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                                           "GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"};
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        int fd = open_connection(f);
        send_text(fd, requests[i]);
        (void)shutdown(fd, SHUT_WR);
        (void)read_answer(f, fd);
    }
    assert_status(ask(f, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
}

static void test_slow_clients_block_no_other(void **state)
{
    struct fixture *f = *state;
    int slow[BR_ADMIN_CONNECTIONS_MAX - 1];
    for (size_t i = 0; i < BR_ADMIN_CONNECTIONS_MAX - 1; i++) {
        slow[i] = open_connection(f);
        send_text(slow[i], "GET /livez HTTP/1.1\r\nHo");
    }
    assert_status(ask(f, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    assert_status(ask(f, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    /* The slow ones get theirs, too. */
    for (size_t i = 0; i < BR_ADMIN_CONNECTIONS_MAX - 1; i++) {
        send_text(slow[i], "st: a\r\n\r\n");
        assert_status(read_answer(f, slow[i]), 200);
    }
}

/* One more waits for its turn, and is answered when another has gone. */
static void test_connection_above_the_limit_waits(void **state)
{
    struct fixture *f = *state;
    int held[BR_ADMIN_CONNECTIONS_MAX];
    for (size_t i = 0; i < BR_ADMIN_CONNECTIONS_MAX; i++) {
        held[i] = open_connection(f);
        send_text(held[i], "GET /livez HTTP/1.1\r\nHo");
    }
    int waiting = open_connection(f);
    send_text(waiting, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    for (size_t i = 0; i < BR_ADMIN_CONNECTIONS_MAX; i++) {
        (void)close(held[i]);
    }
    assert_status(read_answer(f, waiting), 200);
}

static void test_destroy_ends_open_connections(void **state)
{
    struct fixture *f = *state;
    int fd = open_connection(f);
    send_text(fd, "GET /livez HTTP/1.1\r\n");
    br_admin_destroy(f->admin);
    f->admin = NULL;
    assert_string_equal(read_answer(f, fd), "");
    br_admin_destroy(NULL);
}

static void assert_refused(struct fixture *f, const char *address, const char *message)
{
    struct br_admin *admin = NULL;
    struct br_status st;
    const struct br_admin_config config = {.address = address, .metrics = f->metrics};
    assert_false(br_admin_create(&config, &admin, &st));
    assert_null(admin);
    assert_int_equal(st.code, BR_INVALID_ARGUMENT);
    assert_string_equal(st.reason, "BAD_SETTING");
    if (strncmp(st.msg, message, strlen(message)) != 0) {
        fail_msg("%s", st.msg);
    }
}

static void test_create_on_an_address_in_use_tells_why(void **state)
{
    struct fixture *f = *state;
    char message[128];
    snprintf(message, sizeof message, "--admin-listen: cannot listen on \"%s\": Address already in use",
             br_admin_address(f->admin));
    assert_refused(f, br_admin_address(f->admin), message);
    assert_status(ask(f, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
}

static void test_create_with_a_wrong_address_tells_why(void **state)
{
    static const char *const addresses[] = {
        "",         "localhost",    "127.0.0.1:", "127.0.0.1:65536", ":9090",
        "::1:9090", "127.0.0.1:-1", "[]:9090",    "127.0.0.1:http"};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        char message[160];
        snprintf(message, sizeof message,
                 "--admin-listen: cannot listen on \"%s\": it is not HOST:PORT with a port from 0 to 65535",
                 addresses[i]);
        assert_refused(*state, addresses[i], message);
    }
    /* 192.0.2.0/24 belongs to nobody (RFC 5737). */
    assert_refused(*state, "192.0.2.1:0",
                   "--admin-listen: cannot listen on \"192.0.2.1:0\": Cannot assign requested address");
    assert_refused(*state, "999.0.0.1:1", "--admin-listen: cannot listen on \"999.0.0.1:1\": ");
}

static void test_create_without_memory_fails(void **state)
{
    struct fixture *f = *state;
    struct br_admin *admin = NULL;
    struct br_status st;
    const struct br_admin_config config = {.address = "127.0.0.1:0", .metrics = f->metrics};
    calloc_fails = true;
    bool created = br_admin_create(&config, &admin, &st);
    calloc_fails = false;
    assert_false(created);
    assert_null(admin);
    assert_int_equal(st.code, BR_RESOURCE_EXHAUSTED);
    assert_string_equal(st.reason, "OUT_OF_MEMORY");
}

static void test_create_listens_on_both_families(void **state)
{
    struct fixture *f = *state;
    static const char *const addresses[] = {"[::1]:0", "127.0.0.1:0"};
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    const struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool has_ipv6 = probe >= 0 && bind(probe, (const struct sockaddr *)&loopback, sizeof loopback) == 0;
    (void)close(probe);
    for (size_t i = has_ipv6 ? 0 : 1; i < 2; i++) {
        struct br_admin *admin;
        struct br_status st;
        const struct br_admin_config config = {.address = addresses[i], .metrics = f->metrics};
        assert_true(br_admin_create(&config, &admin, &st));
        /* As given, but for the port. */
        assert_int_equal(strncmp(br_admin_address(admin), addresses[i], strlen(addresses[i]) - 1), 0);
        assert_int_not_equal(br_admin_address(admin)[strlen(addresses[i]) - 1], '0');
        br_admin_destroy(admin);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_livez_is_ok, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_metrics_is_the_registry_now, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_metrics_above_the_ceiling_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_path_is_not_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_method_is_not_allowed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_body_is_refused_and_is_no_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_connection_carries_one_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_request_above_the_ceiling_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_garbage_does_no_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_clients_block_no_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_connection_above_the_limit_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_destroy_ends_open_connections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_create_on_an_address_in_use_tells_why, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_create_with_a_wrong_address_tells_why, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_create_without_memory_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_create_listens_on_both_families, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
