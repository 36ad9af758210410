/*
 * A TLS server on loopback with a self-signed certificate for "localhost" alone, run by the openssl command.
 * It answers any GET with 200.
 */
#ifndef TLS_SERVER_H
#define TLS_SERVER_H

#include <sys/types.h>

struct tls_server {
    char dir[32];
    char cert[64]; /* PEM files */
    char key[64];
    pid_t pid;
    int output;
    int port;
};

/* Fails the running test when there is no openssl. */
struct tls_server *tls_server_start(void);

/* Accepts NULL. */
void tls_server_stop(struct tls_server *server);

#endif
