/*
 * The TLS credentials of one listener: certificate, key and client CA from files, read again when they change.
 *
 * Core asks for news before each handshake: connections that are open keep what they have, new ones get the
 * new files. Files that cannot be used leave the listener with those before, and are told in one log line.
 *
 * Private to bridge/serve/server*.c.
 * Threads: create and destroy by the server's owner; core calls back on threads of its own.
 * Owns:    the credentials; the files' texts only while core takes them.
 * Source:  grpc/grpc_security.h, certificate config fetcher: TLS 1.2 is core's own minimum.
 */
#ifndef BR_SERVE_SERVER_TLS_H
#define BR_SERVE_SERVER_TLS_H

#include "serve/server_listen.h"

#include <grpc/grpc_security.h>

struct br_tls;

/*
 * Reads the files of |config| and makes the credentials of one listener: core tells a change of the files to
 * one listener only, so each has its own.
 * |config| its texts are kept until br_tls_destroy().
 * |out|    returned.
 * Errors:  INVALID_ARGUMENT/BAD_SETTING a file that cannot be used, named
 *          RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_tls_create(const struct br_listen_config *config, struct br_tls **out,
                   struct br_status *st) BR_MUST_CHECK;

/* The listener is bound to |address|, kept as long: from now on the log tells what is wrong with the files. */
void br_tls_listens(struct br_tls *tls, const char *address);

/* Borrowed until br_tls_destroy(). */
grpc_server_credentials *br_tls_credentials(const struct br_tls *tls);

/* The end of the certificate that new connections get, in seconds since 1970; 0: it cannot be read. Any thread. */
int64_t br_tls_expiry_s(const struct br_tls *tls);

/* After the server's end: core calls no more. Accepts NULL. */
void br_tls_destroy(struct br_tls *tls);

/*
 * Takes note of an error line of core's: the only way in which core tells that it does not accept a
 * certificate, and why. To be called for each.
 */
void br_tls_core_error(const char *message);

/* Why core has refused the files that this thread offered last; NULL: it has not. Borrowed until the next. */
const char *br_tls_refusal(void);

#endif
