#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "upstream/http_poll.h"

/* A wait that is to end by itself; nothing here takes as long. */
#define LONG_MS 60000
#define SHORT_MS 20

static size_t ctl_count;
static size_t wait_count;

int __real_epoll_ctl(int epoll_fd, int how, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int how, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int how, int fd, struct epoll_event *event)
{
    ctl_count++;
    return __real_epoll_ctl(epoll_fd, how, fd, event);
}

int __real_epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms);
int __wrap_epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms);
int __wrap_epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms)
{
    wait_count++;
    return __real_epoll_wait(epoll_fd, events, max, timeout_ms);
}

struct fixture {
    struct br_http_poll poll;
    int wake_fd;
    int pair[2]; /* the watched end, and its peer */
    int ready_fd;
    bool readable, writable;
};

static void on_ready(void *arg, int fd, bool readable, bool writable)
{
    struct fixture *f = arg;
    f->ready_fd = fd;
    f->readable = readable;
    f->writable = writable;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    struct br_status st;
    f->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(br_http_poll_init(&f->poll, f->wake_fd, &st));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, f->pair), 0);
    ctl_count = 0;
    wait_count = 0;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    br_http_poll_finish(&f->poll);
    for (size_t i = 0; i < 2; i++) {
        if (f->pair[i] >= 0)
            assert_int_equal(close(f->pair[i]), 0);
    }
    assert_int_equal(close(f->wake_fd), 0);
    free(f);
    return 0;
}

/* The descriptor that was ready; -1: none until the time was over. */
static int wait_ready(struct fixture *f, int64_t timeout_ms)
{
    f->ready_fd = -1;
    br_http_poll_wait(&f->poll, br_clock_now_ms(br_clock_system()) + timeout_ms, on_ready, f);
    return f->ready_fd;
}

static void say(struct fixture *f)
{
    assert_int_equal(write(f->pair[1], "x", 1), 1);
}

static void hear(struct fixture *f)
{
    char byte;
    assert_int_equal(read(f->pair[0], &byte, 1), 1);
}

static void test_watch_tells_what_is_asked_for_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    assert_true(br_http_poll_watch(&f->poll, f->pair[0], true, false));
    assert_int_equal(wait_ready(f, SHORT_MS), -1);
    assert_true(br_http_poll_watch(&f->poll, f->pair[0], false, true));
    assert_int_equal(wait_ready(f, LONG_MS), f->pair[0]);
    assert_true(f->writable && !f->readable);
    assert_true(br_http_poll_watch(&f->poll, f->pair[0], true, false));
    say(f);
    assert_int_equal(wait_ready(f, LONG_MS), f->pair[0]);
    assert_true(f->readable && !f->writable);
    br_http_poll_forget(&f->poll, f->pair[0]);
    assert_int_equal(wait_ready(f, SHORT_MS), -1);
}

static void test_kept_socket_costs_one_call_of_the_system_for_many_requests(void **state)
{
    struct fixture *f = *state;
    br_http_poll_opened(&f->poll, f->pair[0]);
    for (int i = 0; i < 10; i++) {
        assert_true(br_http_poll_watch(&f->poll, f->pair[0], true, false));
        say(f);
        assert_int_equal(wait_ready(f, LONG_MS), f->pair[0]);
        hear(f);
        br_http_poll_forget(&f->poll, f->pair[0]);
    }
    assert_int_equal(ctl_count, 1);
}

static void test_kept_socket_that_is_not_wanted_is_not_told_and_does_not_spin(void **state)
{
    struct fixture *f = *state;
    br_http_poll_opened(&f->poll, f->pair[0]);
    assert_true(br_http_poll_watch(&f->poll, f->pair[0], true, false));
    br_http_poll_forget(&f->poll, f->pair[0]);
    assert_int_equal(close(f->pair[1]), 0);
    f->pair[1] = -1;
    /* One wait finds it, the next ones sleep. */
    assert_int_equal(wait_ready(f, LONG_MS), -1);
    assert_int_equal(wait_ready(f, SHORT_MS), -1);
    assert_int_equal(wait_count, 2);
    /* Who wants it again is told. */
    assert_true(br_http_poll_watch(&f->poll, f->pair[0], true, false));
    assert_int_equal(wait_ready(f, LONG_MS), f->pair[0]);
}

static void test_socket_of_others_is_taken_back_at_once(void **state)
{
    struct fixture *f = *state;
    assert_true(br_http_poll_watch(&f->poll, f->pair[0], true, false));
    br_http_poll_forget(&f->poll, f->pair[0]);
    assert_int_equal(ctl_count, 2);
    assert_true(br_http_poll_watch(&f->poll, f->pair[0], true, false));
    assert_int_equal(ctl_count, 3);
    say(f);
    assert_int_equal(wait_ready(f, LONG_MS), f->pair[0]);
}

/* The next socket often gets the number of the last one. */
static void test_number_of_a_closed_socket_is_a_new_socket(void **state)
{
    struct fixture *f = *state;
    br_http_poll_opened(&f->poll, f->pair[0]);
    assert_true(br_http_poll_watch(&f->poll, f->pair[0], true, false));
    int number = f->pair[0];
    br_http_poll_closed(&f->poll, number);
    assert_int_equal(close(number), 0);
    assert_int_equal(close(f->pair[1]), 0);
    int fresh[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fresh), 0);
    f->pair[0] = fresh[0];
    f->pair[1] = fresh[1];
    assert_int_equal(fresh[0], number);
    br_http_poll_opened(&f->poll, number);
    assert_true(br_http_poll_watch(&f->poll, number, true, false));
    say(f);
    assert_int_equal(wait_ready(f, LONG_MS), number);
}

static void test_watch_of_a_high_number_works(void **state)
{
    struct fixture *f = *state;
    int high = dup2(f->pair[0], 900);
    assert_int_equal(high, 900);
    assert_true(br_http_poll_watch(&f->poll, high, true, false));
    say(f);
    assert_int_equal(wait_ready(f, LONG_MS), high);
    br_http_poll_forget(&f->poll, high);
    assert_int_equal(close(high), 0);
}

static void test_watch_of_no_socket_fails(void **state)
{
    struct fixture *f = *state;
    assert_false(br_http_poll_watch(&f->poll, 901, true, false));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_watch_tells_what_is_asked_for_and_nothing_else),
        TEST(test_kept_socket_costs_one_call_of_the_system_for_many_requests),
        TEST(test_kept_socket_that_is_not_wanted_is_not_told_and_does_not_spin),
        TEST(test_socket_of_others_is_taken_back_at_once),
        TEST(test_number_of_a_closed_socket_is_a_new_socket),
        TEST(test_watch_of_a_high_number_works),
        TEST(test_watch_of_no_socket_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
