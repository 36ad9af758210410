/* accept4(). */
#define _GNU_SOURCE

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/server_accept.h"

/* A socket that listens and does not wait, as gRPC core has it. */
struct fixture {
    int fd;
    struct sockaddr_in address;
};

static int set_up(void **state)
{
    static struct fixture f;
    socklen_t len = sizeof f.address;
    f.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    f.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(f.fd, (struct sockaddr *)&f.address, sizeof f.address), 0);
    assert_int_equal(listen(f.fd, 8), 0);
    assert_int_equal(getsockname(f.fd, (struct sockaddr *)&f.address, &len), 0);
    br_accept_init();
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    const struct fixture *f = *state;
    return close(f->fd);
}

static int connect_to(const struct fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&f->address, sizeof f->address), 0);
    return fd;
}

/* Lets no descriptor from |end| on be opened; returns the limit that there was. */
static struct rlimit limit_descriptors(int end)
{
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit limit = {.rlim_cur = (rlim_t)end, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

static void test_accept4_takes_a_connection(void **state)
{
    const struct fixture *f = *state;
    struct sockaddr_in peer = {.sin_family = 0};
    socklen_t len = sizeof peer;
    int client = connect_to(f);
    int taken = accept4(f->fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
    assert_true(taken >= 0);
    assert_int_equal(peer.sin_family, AF_INET);
    assert_int_equal(fcntl(taken, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(taken);
    close(client);
}

static void test_accept4_without_a_connection_says_so(void **state)
{
    const struct fixture *f = *state;
    assert_int_equal(accept4(f->fd, NULL, NULL, 0), -1);
    assert_int_equal(errno, EAGAIN);
}

static void test_accept4_without_descriptors_closes_all_that_wait(void **state)
{
    const struct fixture *f = *state;
    int clients[3];
    char byte;
    for (int i = 0; i < 3; i++)
        clients[i] = connect_to(f);
    /* The last one was the lowest that was free, so that all below are taken. */
    struct rlimit before = limit_descriptors(clients[2] + 1);
    int result = accept4(f->fd, NULL, NULL, 0);
    int error = errno;
    (void)setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(result, -1);
    assert_int_equal(error, EAGAIN);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read(clients[i], &byte, 1), 0);
        close(clients[i]);
    }
    /* And the next one is taken. */
    int client = connect_to(f);
    int taken = accept4(f->fd, NULL, NULL, 0);
    assert_true(taken >= 0);
    close(taken);
    close(client);
}

static void test_accept4_without_even_the_reserve_says_that_nothing_waits(void **state)
{
    const struct fixture *f = *state;
    int client = connect_to(f);
    struct rlimit before = limit_descriptors(0);
    int result = accept4(f->fd, NULL, NULL, 0);
    int error = errno;
    (void)setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(result, -1);
    assert_int_equal(error, EAGAIN);
    int taken = accept4(f->fd, NULL, NULL, 0);
    assert_true(taken >= 0);
    close(taken);
    close(client);
    /* Which also brought back the reserve. */
    test_accept4_without_descriptors_closes_all_that_wait(state);
}

static void test_accept4_on_what_is_no_socket_fails(void **state)
{
    (void)state;
    assert_int_equal(accept4(-1, NULL, NULL, 0), -1);
    assert_int_equal(errno, EBADF);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_accept4_takes_a_connection),
        TEST(test_accept4_without_a_connection_says_so),
        TEST(test_accept4_without_descriptors_closes_all_that_wait),
        TEST(test_accept4_without_even_the_reserve_says_that_nothing_waits),
        TEST(test_accept4_on_what_is_no_socket_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
