/*
 * A listening socket that survives a shortage of file descriptors.
 *
 * gRPC core 1.51 stops listening on a port, for good and with nothing but a line in its log, when accept4() fails with
 * anything but EAGAIN or EINTR: when the process, or the host, is out of descriptors, or a connection ended before it was
 * taken. So this file defines accept4() itself, which then stands before libc's. It never says anything else than EAGAIN
 * or EINTR: what is transient is tried again, and where there is no descriptor, one that was kept in reserve takes the
 * connections and closes them, so that callers are told at once, and the port goes on.
 *
 * Threads: any.
 * Source:  on_read() in src/core/lib/iomgr/tcp_server_posix.cc of gRPC 1.51.1; "Error handling" in accept(2).
 */
#ifndef BR_SERVE_SERVER_ACCEPT_H
#define BR_SERVE_SERVER_ACCEPT_H

/* Opens the descriptor in reserve, if it is not open. It stays until the process ends. */
void br_accept_init(void);

#endif
