/* The admin port over real sockets on loopback. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "alloc_fault.h"
#include "base/parse.h"
#include "serve/admin.h"

/* More than any answer here. */
#define ANSWER_CAP ((size_t)16384)

struct fixture {
    struct br_admin *admin;
    struct sockaddr_in address;
    char answer[ANSWER_CAP];

    /* What the handlers saw; the answer that was read comes after it. */
    atomic_int act_count;
    atomic_int after_count;
};

static bool answer_text(void *context, const struct br_admin_request *request, struct br_admin_answer *answer,
                        struct br_status *st)
{
    (void)context;
    assert(request->body_len == 0);
    return br_admin_appended(br_buf_puts(&answer->body, "ok\n"), st);
}

static bool answer_empty(void *context, const struct br_admin_request *request,
                         struct br_admin_answer *answer, struct br_status *st)
{
    (void)context;
    (void)request;
    (void)st;
    answer->status = 202;
    return true;
}

static bool answer_query(void *context, const struct br_admin_request *request,
                         struct br_admin_answer *answer, struct br_status *st)
{
    (void)context;
    const char *format = br_admin_query(request, "format");
    const char *accept = br_admin_header(request, "accept");
    answer->type = "application/json";
    return br_admin_appended(br_buf_printf(&answer->body, "%s|%s", format != NULL ? format : "none",
                                           accept != NULL ? accept : "none"),
                             st);
}

static bool answer_failure(void *context, const struct br_admin_request *request,
                           struct br_admin_answer *answer, struct br_status *st)
{
    (void)context;
    (void)request;
    return br_admin_appended(br_buf_puts(&answer->body, "half of it"), st) &&
           br_status_set(st, BR_INTERNAL, "FAILED", "it did not work");
}

/* As many bytes as the query says above the ceiling. */
static bool answer_large(void *context, const struct br_admin_request *request,
                         struct br_admin_answer *answer, struct br_status *st)
{
    static char text[BR_ADMIN_ANSWER_MAX_BYTES + 1];
    (void)context;
    memset(text, 'x', sizeof text);
    size_t len = BR_ADMIN_ANSWER_MAX_BYTES + (br_admin_query(request, "more") != NULL ? 1 : 0);
    return br_admin_appended(br_buf_append(&answer->body, text, len), st);
}

static bool take_body(void *context, const struct br_admin_request *request, struct br_admin_answer *answer,
                      struct br_status *st)
{
    struct fixture *f = context;
    atomic_fetch_add(&f->act_count, 1);
    assert(request->body[request->body_len] == '\0');
    return br_admin_appended(br_buf_printf(&answer->body, "%zu:", request->body_len), st) &&
           br_admin_appended(br_buf_append(&answer->body, request->body, request->body_len), st);
}

static void count_after(void *context)
{
    struct fixture *f = context;
    atomic_fetch_add(&f->after_count, 1);
}

static bool act(void *context, const struct br_admin_request *request, struct br_admin_answer *answer,
                struct br_status *st)
{
    struct fixture *f = context;
    (void)request;
    atomic_fetch_add(&f->act_count, 1);
    answer->after = count_after;
    return br_admin_appended(br_buf_puts(&answer->body, "done\n"), st);
}

static const struct br_admin_route routes[] = {
    {.method = "GET", .path = "/text", .help = "a text", .handle = answer_text},
    {.method = "GET", .path = "/empty", .help = "no text", .handle = answer_empty},
    {.method = "GET", .path = "/query", .help = "the query", .handle = answer_query},
    {.method = "GET", .path = "/failure", .help = "fails", .handle = answer_failure},
    {.method = "GET", .path = "/large", .help = "large", .handle = answer_large},
    {.method = "GET", .path = "/value", .help = "the value", .handle = answer_text},
    {.method = "PUT", .path = "/value", .help = "a value", .body_max_bytes = 16, .handle = take_body},
    {.method = "POST", .path = "/act", .help = "does it", .handle = act},
};

static struct br_admin_config make_config(struct fixture *f, const char *address)
{
    return (struct br_admin_config){.address = address,
                                    .routes = routes,
                                    .route_count = sizeof routes / sizeof routes[0],
                                    .context = f,
                                    .timeout_s = BR_ADMIN_TIMEOUT_S};
}

static void start(struct fixture *f, const struct br_admin_config *config)
{
    struct br_status st;
    if (!br_admin_create(config, &f->admin, &st)) {
        fail_msg("%s", st.msg);
    }
    const char *address = br_admin_address(f->admin);
    assert_memory_equal(address, "127.0.0.1:", 10);
    uint64_t port;
    assert_true(br_parse_uint64(address + 10, strlen(address + 10), &port));
    f->address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int set_up(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    const struct br_admin_config config = make_config(&f, "127.0.0.1:0");
    start(&f, &config);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    br_admin_destroy(f->admin);
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

static void assert_header(const char *answer, const char *line)
{
    const char *found = strstr(answer, line);
    if (found == NULL || found > body_of(answer)) {
        fail_msg("no %s in: %s", line, answer);
    }
}

static void test_route_answers_with_safe_headers(void **state)
{
    const char *answer = ask(*state, "GET /text HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_status(answer, 200);
    assert_header(answer, "\r\nContent-Type: text/plain; charset=utf-8\r\n");
    assert_header(answer, "\r\nConnection: close\r\n");
    assert_header(answer, "\r\nCache-Control: no-store\r\n");
    assert_header(answer, "\r\nX-Content-Type-Options: nosniff\r\n");
    assert_header(answer, "\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; ");
    assert_null(strstr(answer, "Access-Control-Allow-Origin"));
    assert_string_equal(body_of(answer), "ok\n");

    answer = ask(*state, "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_status(answer, 202);
    assert_header(answer, "\r\nContent-Length: 0\r\n");
    assert_string_equal(body_of(answer), "");
}

static void test_head_is_get_without_the_body(void **state)
{
    const char *answer = ask(*state, "HEAD /text HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_status(answer, 200);
    assert_header(answer, "\r\nContent-Length: 3\r\n");
    assert_string_equal(body_of(answer), "");
    answer = ask(*state, "HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_status(answer, 404);
    assert_string_equal(body_of(answer), "");
}

static void test_query_and_headers_come_as_they_are(void **state)
{
    const char *answer =
        ask(*state, "GET /query?a=b&format=js%6fn HTTP/1.1\r\nHost: a\r\nACCEPT: x/y\r\n\r\n");
    assert_status(answer, 200);
    assert_header(answer, "\r\nContent-Type: application/json\r\n");
    assert_string_equal(body_of(answer), "js%6fn|x/y");
    assert_string_equal(body_of(ask(*state, "GET /query?format HTTP/1.1\r\nHost: a\r\n\r\n")), "none|none");
    assert_string_equal(body_of(ask(*state, "GET /query? HTTP/1.1\r\nHost: a\r\n\r\n")), "none|none");
}

static void test_handler_that_fails_is_an_error(void **state)
{
    const char *answer = ask(*state, "GET /failure HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_status(answer, 500);
    assert_string_equal(body_of(answer), "it did not work\n");
}

static void test_answer_above_the_ceiling_is_an_error(void **state)
{
    struct fixture *f = *state;
    const char *answer = ask(f, "HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_status(answer, 200);
    assert_header(answer, "\r\nContent-Length: 4194304\r\n");
    answer = ask(f, "GET /large?more=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_status(answer, 500);
    assert_string_equal(body_of(answer), "the answer of the admin port is more than 4194304 bytes\n");
    assert_status(ask(f, "GET /text HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
}

static void test_root_lists_the_routes(void **state)
{
    const char *answer = ask(*state, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_status(answer, 200);
    assert_memory_equal(body_of(answer), "GET  /text       a text\n", 24);
    assert_non_null(strstr(body_of(answer), "\nPUT  /value      a value\nPOST /act        does it\n"));
    assert_status(ask(*state, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    answer = ask(*state, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_status(answer, 405);
    assert_header(answer, "\r\nAllow: GET, HEAD\r\n");
}

static void test_other_path_is_not_found(void **state)
{
    static const char *const targets[] = {"/text/",  "/textz",   "//text",       "/../text", "*",
                                          "/TEXT",   "/%74ext",  "/text%00",     "/text%2f", "/text;a=b",
                                          "/a?text", "/text%3f", "http://a/text"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        char request[128];
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", targets[i]);
        const char *answer = ask(*state, request);
        assert_status(answer, 404);
        assert_memory_equal(body_of(answer), "not found; there are:\nGET  /text ", 33);
    }
    assert_status(ask(*state, "POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"), 404);
}

static void test_other_method_is_not_allowed(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *method, *path, *allow;
    } cases[] = {
        {"POST", "/text", "GET, HEAD"},
        {"PUT", "/text", "GET, HEAD"},
        {"DELETE", "/text", "GET, HEAD"},
        {"OPTIONS", "/text", "GET, HEAD"},
        {"get", "/text", "GET, HEAD"},
        {"FROBNICATE", "/text", "GET, HEAD"},
        {"POST", "/value", "GET, HEAD, PUT"},
        {"PATCH", "/value", "GET, HEAD, PUT"},
        {"GET", "/act", "POST"},
        {"HEAD", "/act", "POST"},
        {"PUT", "/act", "POST"},
        {"post", "/act", "POST"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", cases[i].method,
                 cases[i].path);
        const char *answer = ask(f, text);
        assert_status(answer, 405);
        snprintf(text, sizeof text, "\r\nAllow: %s\r\n", cases[i].allow);
        assert_header(answer, text);
        snprintf(text, sizeof text, "only %s\n", cases[i].allow);
        assert_string_equal(body_of(answer), strcmp(cases[i].method, "HEAD") == 0 ? "" : text);
    }
    assert_int_equal(atomic_load(&f->act_count), 0);
}

/* Whatever follows the headers is neither read nor answered as a request. */
static void test_body_is_refused_and_is_no_request(void **state)
{
    static const char *const requests[] = {
        "GET /text HTTP/1.1\r\nHost: a\r\nContent-Length: 25\r\n\r\nGET /text HTTP/1.0\r\n\r\n123",
        "GET /text HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1",
        "GET /text HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
        "GET /text HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "GET /text HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
        "POST /act HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        const char *answer = ask(*state, requests[i]);
        assert_status(answer, 413);
        assert_string_equal(body_of(answer), "no request body is accepted\n");
    }
    assert_status(ask(*state, "POST /text HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\nabc"), 405);
    assert_int_equal(atomic_load(&((struct fixture *)*state)->act_count), 0);
}

#define PUT "PUT /value HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED PUT "Transfer-Encoding: chunked\r\n\r\n"

static void test_body_reaches_the_handler(void **state)
{
    static const struct {
        const char *request, *body;
    } cases[] = {
        {PUT "Content-Length: 5\r\n\r\ndebug", "5:debug"},
        {PUT "Content-Length: 16\r\n\r\n0123456789abcdef", "16:0123456789abcdef"},
        {PUT "Content-Length: 0\r\n\r\n", "0:"},
        {PUT "\r\n", "0:"},
        {PUT "Content-Length: 3\r\n\r\nabcdefghijklmnop", "3:abc"},
        {CHUNKED "2\r\nde\r\n3\r\nbug\r\n0\r\n\r\n", "5:debug"},
        {CHUNKED "10;a=b\r\n0123456789abcdef\r\n0\r\nTrailer: x\r\n\r\n", "16:0123456789abcdef"},
        {CHUNKED "0\r\n\r\n", "0:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *answer = ask(*state, cases[i].request);
        assert_status(answer, 200);
        assert_string_equal(body_of(answer), cases[i].body);
    }
}

static void test_body_may_come_byte_by_byte(void **state)
{
    struct fixture *f = *state;
    static const char *const requests[] = {PUT "Content-Length: 5\r\n\r\ndebug",
                                           CHUNKED "2\r\nde\r\n3\r\nbug\r\n0\r\n\r\n"};
    for (size_t i = 0; i < 2; i++) {
        int fd = open_connection(f);
        const int yes = 1;
        assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes), 0);
        for (const char *c = requests[i]; *c != '\0'; c++) {
            assert_int_equal(send(fd, c, 1, MSG_NOSIGNAL), 1);
        }
        assert_string_equal(body_of(read_answer(f, fd)), "5:debug");
    }
}

static void test_expected_body_is_asked_for(void **state)
{
    struct fixture *f = *state;
    int fd = open_connection(f);
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char got[sizeof go_on] = "";
    send_text(fd, PUT "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_int_equal(recv(fd, got, sizeof go_on - 1, MSG_WAITALL), sizeof go_on - 1);
    assert_string_equal(got, go_on);
    send_text(fd, "debug");
    assert_string_equal(body_of(read_answer(f, fd)), "5:debug");
}

static void test_body_above_the_ceiling_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const requests[] = {
        PUT "Content-Length: 17\r\n\r\n0123456789abcdefg",
        PUT "Content-Length: 99999999\r\n\r\n",
        PUT "Content-Length: 17\r\nExpect: 100-continue\r\n\r\n",
        CHUNKED "11\r\n0123456789abcdefg\r\n0\r\n\r\n",
        CHUNKED "10\r\n0123456789abcdef\r\n1\r\ng\r\n0\r\n\r\n",
        CHUNKED "10\r\n0123456789abcdef\r\n1\r\ng\r\n1\r\nh\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        const char *answer = ask(f, requests[i]);
        assert_status(answer, 413);
        assert_string_equal(body_of(answer), "a request body of at most 16 bytes is accepted\n");
    }
    assert_int_equal(atomic_load(&f->act_count), 0);
}

/* A chunked body of a megabyte is read to its end, and nothing of it is kept. */
static void test_long_chunked_body_is_refused(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 256, SIZE = 4096 };
    static char request[sizeof CHUNKED + COUNT * (SIZE + 8) + 8];
    char *end = stpcpy(request, CHUNKED);
    for (int i = 0; i < COUNT; i++) {
        end = stpcpy(end, "1000\r\n");
        memset(end, 'a', SIZE);
        end = stpcpy(end + SIZE, "\r\n");
    }
    (void)stpcpy(end, "0\r\n\r\n");
    assert_status(ask(f, request), 413);
    assert_int_equal(atomic_load(&f->act_count), 0);
}

static void test_body_that_is_cut_off_is_not_handled(void **state)
{
    struct fixture *f = *state;
    static const char *const requests[] = {PUT "Content-Length: 5\r\n\r\n",
                                           PUT "Content-Length: 5\r\n\r\ndebu",
                                           CHUNKED "5\r\ndebu",
                                           CHUNKED "5\r\ndebug\r\n",
                                           CHUNKED "z\r\ndebug\r\n0\r\n\r\n",
                                           PUT "Content-Length: 5x\r\n\r\ndebug",
                                           PUT "Content-Length: -5\r\n\r\ndebug"};
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        int fd = open_connection(f);
        send_text(fd, requests[i]);
        (void)shutdown(fd, SHUT_WR);
        const char *answer = read_answer(f, fd);
        if (answer[0] != '\0') {
            assert_memory_equal(answer, "HTTP/1.1 4", 10);
        }
    }
    assert_int_equal(atomic_load(&f->act_count), 0);
    assert_status(ask(f, PUT "Content-Length: 5\r\n\r\ndebug"), 200);
}

static void test_browser_may_read_but_change_nothing(void **state)
{
    struct fixture *f = *state;
    static const char *const headers[] = {"Origin: http://evil.example",   "Origin: null",
                                          "Origin: http://127.0.0.1:9090", "oRIGIN:",
                                          "Sec-Fetch-Site: cross-site",    "Sec-Fetch-Site: same-origin",
                                          "sec-fetch-site: none"};
    char request[256];
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        snprintf(request, sizeof request, "POST /act HTTP/1.1\r\nHost: a\r\n%s\r\nContent-Length: 0\r\n\r\n",
                 headers[i]);
        const char *answer = ask(f, request);
        assert_status(answer, 403);
        assert_string_equal(body_of(answer),
                            "not for browsers: the request has the header Origin or Sec-Fetch-Site\n");
        snprintf(request, sizeof request, PUT "%s\r\nContent-Length: 5\r\n\r\ndebug", headers[i]);
        assert_status(ask(f, request), 403);
        snprintf(request, sizeof request, "GET /text HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", headers[i]);
        assert_status(ask(f, request), 200);
    }
    assert_int_equal(atomic_load(&f->act_count), 0);
}

/* By the time a connection ends, what was to come after the answer has been done, once. */
static void test_after_is_called_once_for_each_answer(void **state)
{
    struct fixture *f = *state;
    for (int i = 1; i <= 3; i++) {
        assert_string_equal(body_of(ask(f, "POST /act HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")),
                            "done\n");
        assert_int_equal(atomic_load(&f->act_count), i);
        assert_int_equal(atomic_load(&f->after_count), i);
    }
}

static void test_request_without_memory_does_no_harm(void **state)
{
    struct fixture *f = *state;
    alloc_fault_all_after(0);
    const char *answer = ask(f, "GET /text HTTP/1.1\r\nHost: a\r\n\r\n");
    (void)alloc_fault_end();
    assert_string_equal(answer, "");
    assert_status(ask(f, "GET /text HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
}

static void test_connection_carries_one_request(void **state)
{
    static const char one[] = "GET /text HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
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
    assert_status(ask_long(f, "GET /text HTTP/1.1\r\nHost: a\r\nX: ", 4096, "\r\n\r\n"), 200);
    assert_status(ask_long(f, "GET /text HTTP/1.1\r\nHost: a\r\nX: ", BR_ADMIN_REQUEST_MAX_BYTES, "\r\n\r\n"),
                  431);
    assert_status(ask_long(f, "GET /text?", BR_ADMIN_REQUEST_MAX_BYTES, " HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
    (void)ask_long(f, "", 200000, "");
    (void)ask_long(f, "GET /text HTTP/1.1\r\nHost: a\r\nX: ", 200000, "\r\n\r\n");
    assert_status(ask(f, "GET /text HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
}

static void test_garbage_does_no_harm(void **state)
{
    struct fixture *f = *state;
    static const char *const requests[] = {"\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n",
                                           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                                           "GET /text HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"};
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        int fd = open_connection(f);
        send_text(fd, requests[i]);
        (void)shutdown(fd, SHUT_WR);
        (void)read_answer(f, fd);
    }
    assert_status(ask(f, "GET /text HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
}

static void test_slow_clients_block_no_other(void **state)
{
    struct fixture *f = *state;
    int slow[BR_ADMIN_CONNECTIONS_MAX - 1];
    for (size_t i = 0; i < BR_ADMIN_CONNECTIONS_MAX - 1; i++) {
        slow[i] = open_connection(f);
        send_text(slow[i], "GET /text HTTP/1.1\r\nHo");
    }
    assert_status(ask(f, "GET /text HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    assert_status(ask(f, "GET /text HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
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
        send_text(held[i], "GET /text HTTP/1.1\r\nHo");
    }
    int waiting = open_connection(f);
    send_text(waiting, "GET /text HTTP/1.1\r\nHost: a\r\n\r\n");
    for (size_t i = 0; i < BR_ADMIN_CONNECTIONS_MAX; i++) {
        (void)close(held[i]);
    }
    assert_status(read_answer(f, waiting), 200);
}

/* One that sends a byte whenever the port might lose patience is ended all the same, and makes room. */
static void test_connection_ends_at_its_age(void **state)
{
    struct fixture *f = *state;
    br_admin_destroy(f->admin);
    struct br_admin_config config = make_config(f, "127.0.0.1:0");
    config.timeout_s = 1;
    start(f, &config);
    static const char *const beginnings[] = {
        "", "G", "GET /text HTTP/1.1\r\nX: ", PUT "Content-Length: 16\r\n\r\n", CHUNKED "ffff\r\n"};
    struct pollfd held[BR_ADMIN_CONNECTIONS_MAX];
    for (size_t i = 0; i < BR_ADMIN_CONNECTIONS_MAX; i++) {
        held[i] = (struct pollfd){.fd = open_connection(f), .events = POLLIN};
        send_text(held[i].fd, beginnings[i % (sizeof beginnings / sizeof beginnings[0])]);
    }
    int waiting = open_connection(f);
    send_text(waiting, "GET /text HTTP/1.1\r\nHost: a\r\n\r\n");
    for (size_t i = 0; i < BR_ADMIN_CONNECTIONS_MAX; i++) {
        int drops = 0;
        while (poll(&held[i], 1, 100) == 0) {
            send_text(held[i].fd, "a");
            assert_true(++drops < 50);
        }
        assert_string_equal(read_answer(f, held[i].fd), "");
    }
    assert_status(read_answer(f, waiting), 200);
}

static void test_destroy_ends_open_connections(void **state)
{
    struct fixture *f = *state;
    int fd = open_connection(f);
    send_text(fd, "GET /text HTTP/1.1\r\n");
    br_admin_destroy(f->admin);
    f->admin = NULL;
    assert_string_equal(read_answer(f, fd), "");
    br_admin_destroy(NULL);
}

static void assert_refused(struct fixture *f, const char *address, const char *message)
{
    struct br_admin *admin = NULL;
    struct br_status st;
    const struct br_admin_config config = make_config(f, address);
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
    assert_status(ask(f, "GET /text HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
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
    const struct br_admin_config config = make_config(f, "127.0.0.1:0");
    alloc_fault_all_after(0);
    bool created = br_admin_create(&config, &admin, &st);
    (void)alloc_fault_end();
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
        const struct br_admin_config config = make_config(f, addresses[i]);
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
        cmocka_unit_test_setup_teardown(test_route_answers_with_safe_headers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_head_is_get_without_the_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_query_and_headers_come_as_they_are, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_handler_that_fails_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_answer_above_the_ceiling_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_root_lists_the_routes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_path_is_not_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_method_is_not_allowed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_body_is_refused_and_is_no_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_body_reaches_the_handler, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_body_may_come_byte_by_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_expected_body_is_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_body_above_the_ceiling_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_chunked_body_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_body_that_is_cut_off_is_not_handled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_browser_may_read_but_change_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_after_is_called_once_for_each_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_request_without_memory_does_no_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_connection_carries_one_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_request_above_the_ceiling_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_garbage_does_no_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_clients_block_no_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_connection_above_the_limit_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_connection_ends_at_its_age, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_destroy_ends_open_connections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_create_on_an_address_in_use_tells_why, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_create_with_a_wrong_address_tells_why, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_create_without_memory_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_create_listens_on_both_families, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
