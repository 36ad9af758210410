/*
 * Who calls: the identity in a verified client certificate, against the list of those who may.
 *
 * Private to bridge/serve/server*.c. Threads: any.
 * Source: RFC 5280 section 4.2.1.6, subject alternative names; grpc/grpc_security.h, authentication context.
 */
#ifndef BR_SERVE_SERVER_CALLER_H
#define BR_SERVE_SERVER_CALLER_H

#include "base/settings.h"

#include <grpc/grpc_security.h>

/* Room for one identity in the log. */
#define BR_CALLER_CAP 256

/*
 * Checks the caller behind |context|, the authentication context of its call.
 * |allowed|  the list; empty: whoever has a verified certificate.
 * |identity| receives the caller's name for the log, cut at its room: its first URI, else its first DNS name,
 *            else its subject; "" for a caller through a unix socket, whom the socket's mode has let in.
 * Errors:    PERMISSION_DENIED/CALLER_NOT_ALLOWED
 */
bool br_caller_check(const grpc_auth_context *context, const struct br_texts *allowed,
                     char identity[BR_CALLER_CAP], struct br_status *st) BR_MUST_CHECK;

#endif
