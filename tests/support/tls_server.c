#define _GNU_SOURCE /* pipe2 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tls_server.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void run_openssl(const char *const argv[], pid_t *pid, int *output)
{
    int pipe_fds[2];
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    char *env[] = {NULL};
    assert_int_equal(posix_spawnp(pid, argv[0], &actions, NULL, (char *const *)argv, env), 0);
    posix_spawn_file_actions_destroy(&actions);
    (void)close(pipe_fds[1]);
    *output = pipe_fds[0];
}

struct tls_server *tls_server_start(void)
{
    struct tls_server *server = calloc(1, sizeof *server);
    assert_non_null(server);
    (void)snprintf(server->dir, sizeof server->dir, "/tmp/br-tls-XXXXXX");
    assert_non_null(mkdtemp(server->dir));
    (void)snprintf(server->cert, sizeof server->cert, "%s/cert.pem", server->dir);
    (void)snprintf(server->key, sizeof server->key, "%s/key.pem", server->dir);
    /* clang-format off */
    const char *make[] = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                          "-nodes", "-days", "2", "-subj", "/CN=test", "-addext",
                          "subjectAltName=DNS:localhost", "-keyout", server->key, "-out", server->cert, NULL};
    /* clang-format on */
    pid_t pid;
    int output;
    int status;
    run_openssl(make, &pid, &output);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)close(output);

    const char *serve[] = {"openssl", "s_server",  "-accept",  "127.0.0.1:0", "-cert", server->cert,
                           "-key",    server->key, "-naccept", "10",          "-www",  NULL};
    run_openssl(serve, &server->pid, &server->output);
    /* It says "ACCEPT 127.0.0.1:<port>" once it listens. */
    char text[512];
    size_t len = 0;
    const char *line;
    for (;;) {
        assert_true(len < sizeof text - 1);
        ssize_t n = read(server->output, text + len, sizeof text - 1 - len);
        assert_true(n > 0);
        len += (size_t)n;
        text[len] = '\0';
        line = strstr(text, "ACCEPT ");
        if (line != NULL && strchr(line, '\n') != NULL)
            break;
    }
    const char *colon = strchr(line, ':');
    assert_non_null(colon);
    server->port = (int)strtoul(colon + 1, NULL, 10);
    return server;
}

void tls_server_stop(struct tls_server *server)
{
    if (server == NULL)
        return;
    (void)kill(server->pid, SIGKILL);
    (void)waitpid(server->pid, NULL, 0);
    (void)close(server->output);
    (void)unlink(server->cert);
    (void)unlink(server->key);
    (void)rmdir(server->dir);
    free(server);
}
