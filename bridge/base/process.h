/*
 * This process: what it takes of the machine, and what it keeps from others.
 *
 * Threads: any, but for br_process_protect().
 * Source:  proc(5); getrusage(2), getrlimit(2); prctl(2), PR_SET_DUMPABLE.
 */
#ifndef BR_BASE_PROCESS_H
#define BR_BASE_PROCESS_H

#include <stdint.h>

/* What could not be read is 0. */
struct br_process_usage {
    int64_t cpu_us; /* in user mode and in the kernel, since the start */
    int64_t resident_bytes;
    int64_t open_fds;
    int64_t max_fds; /* INT64_MAX: no limit */
};

/* |out| written. */
void br_process_usage(struct br_process_usage *out);

/* When the process started, in microseconds since 1970; 0: it could not be read. */
int64_t br_process_start_us(void);

/*
 * Keeps what is in memory from other processes of the same user and from core dumps, and libraries from writing secrets
 * down because a variable of the environment says so: SSLKEYLOGFILE (libcurl: keys of TLS connections), GRPC_TRACE (gRPC:
 * metadata, tokens included).
 * Thread: the only one, before a library is used.
 */
void br_process_protect(void);

#endif
