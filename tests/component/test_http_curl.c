/*
 * The curl client against real sockets on loopback: what goes out, and what comes back. How exchanges end
 * before their answer is in test_http_curl_ends.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http_probe.h"
#include "tls_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A limit that a test waits for. */
#define SOON_MS 150

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
#define OK OK_HEAD "\r\n{}"
#define TEN "0123456789"

static char huge_headers[256 * 1024];
static char long_line[160 * 1024];
static char body_at_limit[HTTP_PROBE_BODY_MAX + 256];
static char body_over_limit[HTTP_PROBE_BODY_MAX + 256];
static char error_at_limit[HTTP_PROBE_BODY_MAX + 256];
static char error_over_limit[HTTP_PROBE_BODY_MAX + 256];
static char value_at_limit[48 * 1024];
static char value_over_limit[48 * 1024];
static char headers_at_limit[160 * 1024];
static char headers_over_limit[160 * 1024];

static const struct http_server_rule rules[] = {
    {.path = "/ok", .bytes = OK},
    {.path = "/ok/..", .bytes = OK},
    {.path = "/split", .bytes = OK, .by_bytes = true},
    {.path = "/head", .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"},
    {.path = "/headers",
     .bytes = "HTTP/1.1 503 Busy\r\ncOnTeNt-TyPe:  text/html \r\nRETRY-AFTER:7\r\nX-Request-ID: abc\r\n"
              "X-Subject-Token: tok\r\nSet-Cookie: a=b\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n"},
    {.path = "/odd-headers",
     .bytes = "HTTP/1.1 200 OK\r\nContent-Type: caf\xc3\xa9\r\nRetry-After:\r\nX-Request-Id: a\tb\r\n"
              "X-Subject-Token : space\r\nContent-Length: 0\r\n\r\n"},
    {.path = "/interim",
     .bytes = "HTTP/1.1 103 Early Hints\r\nRetry-After: 5\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" OK},
    {.path = "/empty", .bytes = "HTTP/1.1 204 No Content\r\n\r\n"},
    {.path = "/chunked",
     .bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: retry-after\r\n\r\n"
              "5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nretry-after: 3\r\n\r\n"},
    {.path = "/until-close", .bytes = "HTTP/1.1 200 OK\r\n\r\n" TEN, .then = HTTP_SERVER_CLOSE},
    {.path = "/gzip", .bytes = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"},
    {.path = "/redirect", .bytes = "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n"},
    {.path = "/error", .bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n{\"a\":"},

    {.path = "/status-600", .bytes = "HTTP/1.1 600 What\r\nContent-Length: 0\r\n\r\n"},
    {.path = "/not-http", .bytes = "220 smtp.example ready\r\n", .then = HTTP_SERVER_CLOSE},
    {.path = "/truncated",
     .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" TEN,
     .then = HTTP_SERVER_CLOSE},
    {.path = "/truncated-error",
     .bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 20\r\n\r\n" TEN,
     .then = HTTP_SERVER_CLOSE},
    {.path = "/truncated-chunk",
     .bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
     .then = HTTP_SERVER_CLOSE},
    {.path = "/truncated-headers", .bytes = "HTTP/1.1 200 OK\r\nConte", .then = HTTP_SERVER_CLOSE},
    {.path = "/interim-only", .bytes = "HTTP/1.1 100 Continue\r\n\r\n", .then = HTTP_SERVER_CLOSE},
    {.path = "/switching",
     .bytes = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
     .then = HTTP_SERVER_CLOSE},
    {.path = "/close", .then = HTTP_SERVER_CLOSE},
    {.path = "/reset", .then = HTTP_SERVER_RESET},
    {.path = "/reset-in-body",
     .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" TEN,
     .then = HTTP_SERVER_RESET},

    {.path = "/body-at-limit", .bytes = body_at_limit},
    {.path = "/body-over-limit", .bytes = body_over_limit, .then = HTTP_SERVER_CLOSE},
    {.path = "/error-at-limit", .bytes = error_at_limit},
    {.path = "/error-over-limit", .bytes = error_over_limit, .then = HTTP_SERVER_CLOSE},
    {.path = "/value-at-limit", .bytes = value_at_limit},
    {.path = "/value-over-limit", .bytes = value_over_limit, .then = HTTP_SERVER_CLOSE},
    {.path = "/headers-at-limit", .bytes = headers_at_limit},
    {.path = "/headers-over-limit", .bytes = headers_over_limit, .then = HTTP_SERVER_CLOSE},
    {.path = "/huge-headers", .bytes = huge_headers, .then = HTTP_SERVER_CLOSE},
    {.path = "/long-line", .bytes = long_line, .then = HTTP_SERVER_CLOSE},
};

static void append_fill(char *text, size_t cap, const char *before, size_t count, const char *after)
{
    size_t len = strlen(text);
    assert_true(len + strlen(before) + count + strlen(after) < cap);
    len += (size_t)snprintf(text + len, cap - len, "%s", before);
    memset(text + len, 'x', count);
    (void)snprintf(text + len + count, cap - len - count, "%s", after);
}

static void fill_body(char *text, size_t cap, const char *status, size_t body_len)
{
    char head[128];
    (void)snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", status, body_len);
    append_fill(text, cap, head, body_len, "");
}

/* A head of exactly |total| bytes in lines of about 30 KiB. */
static void fill_head(char *text, size_t cap, size_t total)
{
    const char *last = "Content-Length: 0\r\n\r\n";
    append_fill(text, cap, "HTTP/1.1 200 OK\r\n", 0, "");
    while (strlen(text) + strlen(last) + 31000 < total)
        append_fill(text, cap, "X-Fill: ", 30000, "\r\n");
    append_fill(text, cap, "X-Last: ", total - strlen(text) - strlen(last) - strlen("X-Last: \r\n"), "\r\n");
    append_fill(text, cap, last, 0, "");
    assert_int_equal(strlen(text), total);
}

static void fill_texts(void)
{
    fill_body(body_at_limit, sizeof body_at_limit, "200 OK", HTTP_PROBE_BODY_MAX);
    fill_body(body_over_limit, sizeof body_over_limit, "200 OK", HTTP_PROBE_BODY_MAX + 1);
    fill_body(error_at_limit, sizeof error_at_limit, "500 Error", HTTP_PROBE_BODY_MAX);
    fill_body(error_over_limit, sizeof error_over_limit, "500 Error", HTTP_PROBE_BODY_MAX + 1);
    const char *token = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nX-Subject-Token: ";
    append_fill(value_at_limit, sizeof value_at_limit, token, 40 * 1024, "\r\n\r\n");
    append_fill(value_over_limit, sizeof value_over_limit, token, 40 * 1024 + 1, "\r\n\r\n");
    fill_head(headers_at_limit, sizeof headers_at_limit, 128 * 1024);
    fill_head(headers_over_limit, sizeof headers_over_limit, 128 * 1024 + 1);
    fill_head(huge_headers, sizeof huge_headers, 250 * 1024);
    append_fill(long_line, sizeof long_line, "HTTP/1.1 200 OK\r\nX-Long: ", 120 * 1024, "\r\n\r\n");
}

static int set_up(void **state)
{
    *state = http_fixture_create(rules, sizeof rules / sizeof rules[0]);
    return 0;
}

static const char *header(const struct br_http_exchange *exchange, const char *name)
{
    return br_headers_find(&exchange->answer.headers, name);
}

/* ---- Requests ---- */

static void test_submit_get_sends_no_body_and_is_answered(void **state)
{
    struct http_fixture *f = *state;
    struct http_probe *probe = http_fixture_request(f, "GET", "/ok");
    http_probe_assert_answered(http_fixture_run(f, probe), 200, "{}");
    assert_false(pthread_equal(probe->done_thread, pthread_self()));

    char request[1024];
    http_server_last_request(f->server, request, sizeof request);
    assert_memory_equal(request, "GET /ok HTTP/1.1\r\nHost: 127.0.0.1:", 34);
    assert_non_null(strstr(request, "\r\nUser-Agent: test/1\r\n"));
    assert_null(strstr(request, "Content-"));
    assert_null(strstr(request, "Accept-Encoding"));
    assert_null(strstr(request, "Expect"));
    assert_null(strstr(request, "Cookie"));
}

static void test_submit_each_verb_sends_it_with_its_body(void **state)
{
    static const struct {
        const char *verb;
        const char *body;
        const char *length; /* NULL: no Content-Length */
    } cases[] = {
        {"PUT", "{\"a\":1}", "\r\nContent-Length: 7\r\n"},
        {"POST", "[]", "\r\nContent-Length: 2\r\n"},
        {"PATCH", "x", "\r\nContent-Length: 1\r\n"},
        {"DELETE", "yy", "\r\nContent-Length: 2\r\n"},
        {"PUT", "", "\r\nContent-Length: 0\r\n"},
        {"PUT", NULL, "\r\nContent-Length: 0\r\n"},
        {"POST", NULL, "\r\nContent-Length: 0\r\n"},
        {"PATCH", NULL, "\r\nContent-Length: 0\r\n"},
        {"DELETE", NULL, NULL},
        {"OPTIONS", NULL, NULL},
        {"GET", NULL, NULL},
    };
    struct http_fixture *f = *state;
    /* One after the other, so that each handle is used again after another verb. */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_probe *probe = http_fixture_request(f, cases[i].verb, "/ok");
        probe->exchange.body = cases[i].body;
        probe->exchange.body_len = cases[i].body != NULL ? strlen(cases[i].body) : 0;
        http_probe_assert_answered(http_fixture_run(f, probe), 200, "{}");

        char request[1024];
        char line[64];
        http_server_last_request(f->server, request, sizeof request);
        (void)snprintf(line, sizeof line, "%s /ok HTTP/1.1\r\n", cases[i].verb);
        assert_memory_equal(request, line, strlen(line));
        if (cases[i].length != NULL)
            assert_non_null(strstr(request, cases[i].length));
        else
            assert_null(strstr(request, "Content-Length"));
        assert_null(strstr(request, "Content-Type"));
        assert_string_equal(strstr(request, "\r\n\r\n") + 4, cases[i].body != NULL ? cases[i].body : "");
    }
    assert_int_equal(http_server_connection_count(f->server), 1);
}

static void test_submit_head_waits_for_no_body(void **state)
{
    struct http_fixture *f = *state;
    http_probe_assert_answered(http_fixture_run(f, http_fixture_request(f, "HEAD", "/head")), 200, "");
    http_probe_assert_answered(http_fixture_get(f, "/ok"), 200, "{}");
}

static void test_submit_headers_are_sent_as_given(void **state)
{
    struct http_fixture *f = *state;
    struct http_probe *probe = http_fixture_request(f, "PUT", "/ok");
    probe->headers[0] = (struct br_header){"Content-Type", "application/json;charset=UTF-8"};
    probe->headers[1] = (struct br_header){"X-Auth-Token", "t: k;n"};
    probe->headers[2] = (struct br_header){"X-Empty", ""};
    probe->exchange.headers.count = 3;
    probe->exchange.body = "{}";
    probe->exchange.body_len = 2;
    http_probe_assert_answered(http_fixture_run(f, probe), 200, "{}");

    char request[1024];
    http_server_last_request(f->server, request, sizeof request);
    assert_non_null(strstr(request, "\r\nContent-Type: application/json;charset=UTF-8\r\n"));
    assert_non_null(strstr(request, "\r\nX-Auth-Token: t: k;n\r\n"));
    assert_non_null(strstr(request, "\r\nX-Empty:\r\n"));
}

static void test_submit_header_with_line_break_fails_and_sends_nothing(void **state)
{
    struct http_fixture *f = *state;
    const struct br_header bad[] = {{"X-A", "b\r\nX-Evil: 1"}, {"X-A\nX-Evil", "b"}};
    for (size_t i = 0; i < 2; i++) {
        struct http_probe *probe = http_fixture_request(f, "GET", "/ok");
        probe->headers[0] = bad[i];
        probe->exchange.headers.count = 1;
        http_probe_assert_failed(http_fixture_run(f, probe), BR_TRANSPORT_FAILED, "BAD_FUNCTION_ARGUMENT");
    }
    assert_int_equal(http_server_request_count(f->server), 0);
}

static void test_submit_large_body_is_sent_without_waiting_for_100(void **state)
{
    struct http_fixture *f = *state;
    size_t len = (size_t)3 * 1024 * 1024;
    char *body = malloc(len);
    memset(body, 'b', len);
    struct http_probe *probe = http_fixture_request(f, "PUT", "/ok");
    probe->exchange.body = body;
    probe->exchange.body_len = len;
    http_probe_assert_answered(http_fixture_run(f, probe), 200, "{}");
    char request[1024];
    http_server_last_request(f->server, request, sizeof request);
    assert_non_null(strstr(request, "\r\nContent-Length: 3145728\r\n"));
    assert_null(strstr(request, "Expect"));
    free(body);
}

static void test_submit_path_goes_out_as_it_is(void **state)
{
    struct http_fixture *f = *state;
    http_probe_assert_answered(http_fixture_get(f, "/ok/.."), 200, "{}");
}

/* ---- Answers ---- */

static void test_answer_keeps_four_headers_of_the_final_answer(void **state)
{
    struct http_fixture *f = *state;
    struct br_http_exchange *exchange = http_fixture_get(f, "/headers");
    http_probe_assert_answered(exchange, 503, "");
    assert_string_equal(header(exchange, "content-type"), "text/html");
    assert_string_equal(header(exchange, "retry-after"), "7");
    assert_string_equal(header(exchange, "x-request-id"), "abc");
    assert_string_equal(header(exchange, "x-subject-token"), "tok");
    assert_int_equal(exchange->answer.headers.count, 4);

    exchange = http_fixture_get(f, "/interim");
    http_probe_assert_answered(exchange, 200, "{}");
    assert_string_equal(header(exchange, "content-type"), "application/json");
    assert_null(header(exchange, "retry-after"));
}

static void test_answer_header_that_is_no_text_is_not_kept(void **state)
{
    struct http_fixture *f = *state;
    struct br_http_exchange *exchange = http_fixture_get(f, "/odd-headers");
    http_probe_assert_answered(exchange, 200, "");
    assert_int_equal(exchange->answer.headers.count, 1);
    assert_string_equal(header(exchange, "retry-after"), "");
}

static void test_answer_in_each_framing_is_whole(void **state)
{
    struct http_fixture *f = *state;
    http_probe_assert_answered(http_fixture_get(f, "/split"), 200, "{}");
    http_probe_assert_answered(http_fixture_get(f, "/empty"), 204, "");
    http_probe_assert_answered(http_fixture_get(f, "/until-close"), 200, TEN);
    http_probe_assert_answered(http_fixture_get(f, "/error"), 404, "{\"a\":");
    http_probe_assert_answered(http_fixture_get(f, "/gzip"), 200, "abc");
    struct br_http_exchange *exchange = http_fixture_get(f, "/chunked");
    http_probe_assert_answered(exchange, 200, "hello, world");
    assert_null(header(exchange, "retry-after"));
}

static void test_answer_redirect_is_not_followed(void **state)
{
    struct http_fixture *f = *state;
    http_probe_assert_answered(http_fixture_get(f, "/redirect"), 302, "");
    assert_int_equal(http_server_request_count(f->server), 1);
}

static void test_answer_body_at_and_over_its_ceiling(void **state)
{
    struct http_fixture *f = *state;
    struct br_http_exchange *exchange = http_fixture_get(f, "/body-at-limit");
    assert_true(exchange->answered);
    assert_int_equal(exchange->answer.body_len, HTTP_PROBE_BODY_MAX);
    assert_false(exchange->answer.body_cut);
    http_probe_assert_failed(http_fixture_get(f, "/body-over-limit"), BR_TRANSPORT_TOO_LARGE,
                             "FILESIZE_EXCEEDED");

    exchange = http_fixture_get(f, "/error-at-limit");
    assert_int_equal(exchange->answer.body_len, HTTP_PROBE_BODY_MAX);
    assert_false(exchange->answer.body_cut);
    exchange = http_fixture_get(f, "/error-over-limit");
    assert_true(exchange->answered);
    assert_int_equal(exchange->answer.status, 500);
    assert_int_equal(exchange->answer.body_len, HTTP_PROBE_BODY_MAX);
    assert_true(exchange->answer.body_cut);
}

static void test_answer_headers_at_and_over_their_ceilings(void **state)
{
    struct http_fixture *f = *state;
    struct br_http_exchange *exchange = http_fixture_get(f, "/value-at-limit");
    http_probe_assert_answered(exchange, 201, "");
    assert_int_equal(strlen(header(exchange, "x-subject-token")), 40 * 1024);
    http_probe_assert_failed(http_fixture_get(f, "/value-over-limit"), BR_TRANSPORT_FAILED,
                             "WEIRD_SERVER_REPLY");

    http_probe_assert_answered(http_fixture_get(f, "/headers-at-limit"), 200, "");
    http_probe_assert_failed(http_fixture_get(f, "/headers-over-limit"), BR_TRANSPORT_FAILED,
                             "WEIRD_SERVER_REPLY");
    http_probe_assert_failed(http_fixture_get(f, "/huge-headers"), BR_TRANSPORT_FAILED, "WEIRD_SERVER_REPLY");
    http_probe_assert_failed(http_fixture_get(f, "/long-line"), BR_TRANSPORT_FAILED, "WEIRD_SERVER_REPLY");
}

static void test_answer_that_is_no_answer_fails(void **state)
{
    struct http_fixture *f = *state;
    http_probe_assert_failed(http_fixture_get(f, "/status-600"), BR_TRANSPORT_FAILED, "WEIRD_SERVER_REPLY");
    http_probe_assert_failed(http_fixture_get(f, "/not-http"), BR_TRANSPORT_FAILED, "UNSUPPORTED_PROTOCOL");
}

static void test_answer_that_breaks_off_is_broken(void **state)
{
    struct http_fixture *f = *state;
    http_probe_assert_failed(http_fixture_get(f, "/truncated"), BR_TRANSPORT_BROKEN, "PARTIAL_FILE");
    http_probe_assert_failed(http_fixture_get(f, "/truncated-error"), BR_TRANSPORT_BROKEN, "PARTIAL_FILE");
    http_probe_assert_failed(http_fixture_get(f, "/truncated-chunk"), BR_TRANSPORT_BROKEN, "PARTIAL_FILE");
    http_probe_assert_failed(http_fixture_get(f, "/truncated-headers"), BR_TRANSPORT_BROKEN, "PARTIAL_FILE");
    http_probe_assert_failed(http_fixture_get(f, "/interim-only"), BR_TRANSPORT_BROKEN, "GOT_NOTHING");
    http_probe_assert_failed(http_fixture_get(f, "/switching"), BR_TRANSPORT_BROKEN, "GOT_NOTHING");
    http_probe_assert_failed(http_fixture_get(f, "/close"), BR_TRANSPORT_BROKEN, "GOT_NOTHING");
    http_probe_assert_failed(http_fixture_get(f, "/reset"), BR_TRANSPORT_BROKEN, "RECV_ERROR");
    http_probe_assert_failed(http_fixture_get(f, "/reset-in-body"), BR_TRANSPORT_BROKEN, "RECV_ERROR");
    assert_true(strlen(f->probes->exchange.failure_text) > 0);
}

/* ---- Connections ---- */

static void test_connection_is_reused_and_said_so(void **state)
{
    struct http_fixture *f = *state;
    assert_false(http_fixture_get(f, "/ok")->reused_connection);
    assert_true(http_fixture_get(f, "/ok")->reused_connection);
    assert_int_equal(http_server_connection_count(f->server), 1);
}

static void test_new_connection_is_made_where_one_is_wanted(void **state)
{
    struct http_fixture *f = *state;
    http_probe_assert_answered(http_fixture_get(f, "/ok"), 200, "{}");
    struct http_probe *probe = http_fixture_request(f, "GET", "/ok");
    probe->exchange.wants_new_connection = true;
    assert_false(http_fixture_run(f, probe)->reused_connection);
    assert_int_equal(http_server_connection_count(f->server), 2);
    /* The next one is content with a kept one again. */
    assert_true(http_fixture_get(f, "/ok")->reused_connection);
    assert_int_equal(http_server_connection_count(f->server), 2);
}

static void test_kept_connection_that_ends_without_answer_is_not_repeated(void **state)
{
    struct http_fixture *f = *state;
    const char *paths[] = {"/close", "/reset"};
    for (int i = 0; i < 2; i++) {
        int before = http_server_request_count(f->server);
        http_probe_assert_answered(http_fixture_get(f, "/ok"), 200, "{}");
        struct br_http_exchange *exchange = http_fixture_run(f, http_fixture_request(f, "PUT", paths[i]));
        http_probe_assert_failed(exchange, BR_TRANSPORT_BROKEN, "GOT_NOTHING");
        assert_true(exchange->reused_connection);
        assert_int_equal(http_server_request_count(f->server), before + 2);
    }
}

static void test_connection_refused_is_unreachable(void **state)
{
    struct http_fixture *f = *state;
    /* Nobody listens on the port of a stopped server. */
    struct http_server *stopped = http_server_start(rules, 0);
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/ok", http_server_port(stopped));
    http_server_stop(stopped);
    struct br_http_exchange *exchange = http_fixture_run(f, http_fixture_probe(f, "GET", url));
    http_probe_assert_failed(exchange, BR_TRANSPORT_UNREACHABLE, "COULDNT_CONNECT");
    assert_false(exchange->reused_connection);
}

static void test_url_of_another_scheme_fails(void **state)
{
    struct http_fixture *f = *state;
    http_probe_assert_failed(http_fixture_run(f, http_fixture_probe(f, "GET", "file:///etc/hostname")),
                             BR_TRANSPORT_FAILED, "UNSUPPORTED_PROTOCOL");
    http_probe_assert_failed(http_fixture_run(f, http_fixture_probe(f, "GET", "http://a b/")),
                             BR_TRANSPORT_FAILED, "URL_MALFORMAT");
}

static struct br_http_exchange *get_tls(struct http_fixture *f, const struct tls_server *server,
                                        const char *host)
{
    char url[64];
    (void)snprintf(url, sizeof url, "https://%s:%d/", host, server->port);
    struct http_probe *probe = http_fixture_probe(f, "GET", url);
    probe->exchange.max_body_bytes = 65536;
    return http_fixture_run(f, probe);
}

static void test_tls_only_a_verified_certificate_is_answered(void **state)
{
    struct http_fixture *f = *state;
    struct tls_server *server = tls_server_start();
    f->tls = server;

    /* Not signed by one of the system's. */
    http_probe_assert_failed(get_tls(f, server, "localhost"), BR_TRANSPORT_UNTRUSTED,
                             "PEER_FAILED_VERIFICATION");

    /* The server speaks no ALPN, so an offer of HTTP/2 ends in HTTP/1.1. */
    f->config.http2 = true;
    f->config.ca_file = server->cert;
    http_fixture_restart(f);
    struct br_http_exchange *exchange = get_tls(f, server, "localhost");
    assert_true(exchange->answered);
    assert_int_equal(exchange->answer.status, 200);
    /* Its name is not in the certificate. */
    http_probe_assert_failed(get_tls(f, server, "127.0.0.1"), BR_TRANSPORT_UNTRUSTED,
                             "PEER_FAILED_VERIFICATION");

    f->config.ca_file = server->key;
    http_fixture_restart(f);
    http_probe_assert_failed(get_tls(f, server, "localhost"), BR_TRANSPORT_UNTRUSTED, "SSL_CACERT_BADFILE");
    f->config.ca_file = "/nonexistent/ca.pem";
    http_fixture_restart(f);
    http_probe_assert_failed(get_tls(f, server, "localhost"), BR_TRANSPORT_UNTRUSTED, "SSL_CACERT_BADFILE");
}

static void test_tls_with_a_server_that_speaks_none_is_unreachable(void **state)
{
    struct http_fixture *f = *state;
    /* The server waits for the end of a request line that never comes. */
    f->config.http2 = true;
    f->config.connect_timeout_ms = SOON_MS;
    http_fixture_restart(f);
    char url[64];
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%d/", http_server_port(f->server));
    http_probe_assert_failed(http_fixture_run(f, http_fixture_probe(f, "GET", url)),
                             BR_TRANSPORT_CONNECT_TIMEOUT, "OPERATION_TIMEDOUT");
}

int main(void)
{
    http_fixture_global_init();
    fill_texts();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, http_fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_submit_get_sends_no_body_and_is_answered),
        TEST(test_submit_each_verb_sends_it_with_its_body),
        TEST(test_submit_head_waits_for_no_body),
        TEST(test_submit_headers_are_sent_as_given),
        TEST(test_submit_header_with_line_break_fails_and_sends_nothing),
        TEST(test_submit_large_body_is_sent_without_waiting_for_100),
        TEST(test_submit_path_goes_out_as_it_is),
        TEST(test_answer_keeps_four_headers_of_the_final_answer),
        TEST(test_answer_header_that_is_no_text_is_not_kept),
        TEST(test_answer_in_each_framing_is_whole),
        TEST(test_answer_redirect_is_not_followed),
        TEST(test_answer_body_at_and_over_its_ceiling),
        TEST(test_answer_headers_at_and_over_their_ceilings),
        TEST(test_answer_that_is_no_answer_fails),
        TEST(test_answer_that_breaks_off_is_broken),
        TEST(test_connection_is_reused_and_said_so),
        TEST(test_new_connection_is_made_where_one_is_wanted),
        TEST(test_kept_connection_that_ends_without_answer_is_not_repeated),
        TEST(test_connection_refused_is_unreachable),
        TEST(test_url_of_another_scheme_fails),
        TEST(test_tls_only_a_verified_certificate_is_answered),
        TEST(test_tls_with_a_server_that_speaks_none_is_unreachable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
