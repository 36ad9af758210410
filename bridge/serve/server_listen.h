/*
 * Where the server takes calls: TCP, with TLS if certificates are configured, and unix sockets.
 *
 * Threads: the server's owner.
 * Owns:    the listeners' credentials and the files of unix sockets.
 * Source:  DESIGN.md section 7; bridge_conventions.md section 11.
 */
#ifndef BR_SERVE_SERVER_LISTEN_H
#define BR_SERVE_SERVER_LISTEN_H

#include "base/settings.h"

#include <sys/types.h>

/* All texts are kept as long as the server lives. */
struct br_listen_config {
    struct br_texts addresses;          /* "HOST:PORT" (port 0: any free one) or "unix:PATH"; one or more */
    const char *cert_file;              /* TLS on the TCP listeners; NULL: plaintext */
    const char *key_file;               /* the certificate's; NULL with it */
    const char *client_ca_file;         /* callers over TCP need a certificate of it; NULL: they need none */
    struct br_texts allowed_callers;    /* names in their certificates; none: each verified caller may call */
    mode_t unix_mode;                   /* of unix sockets */
    bool holds_credential;              /* calls are made with the bridge's credential, not the caller's */
    bool allow_unauthenticated_callers; /* even so, anybody who gets through may call */
};

/*
 * Whether only processes of this host reach |address|: a unix socket, a loopback address, or "localhost". Other
 * names are not looked up, and count as reachable by others. Pure.
 */
bool br_listen_is_private(const char *address);

/*
 * A bridge that holds a credential lends it to whoever can call: refuses a listener beyond this host where
 * callers are not authenticated and the operator has not said that this is meant. Pure.
 * Errors: INVALID_ARGUMENT/BAD_SETTING, with the address
 */
bool br_listen_check(const struct br_listen_config *config, struct br_status *st) BR_MUST_CHECK;

struct grpc_server;
struct br_listeners;

/*
 * Checks |config| and binds every address on |core|, which is not started yet.
 * |out|    returned; release with br_listeners_destroy() once |core| is destroyed.
 * Errors:  INVALID_ARGUMENT/BAD_SETTING an address that cannot be listened on, or a file that cannot be used,
 *          named with the cause; |core| may have bound other addresses, and is to be destroyed
 *          RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_listeners_create(struct grpc_server *core, const struct br_listen_config *config,
                         struct br_listeners **out, struct br_status *st) BR_MUST_CHECK;

/* The address that listener |index| got; NULL past the last. Borrowed. */
const char *br_listeners_address(const struct br_listeners *listeners, size_t index);

/*
 * The end of the certificate that new connections get, in seconds since 1970: of several listeners, the earliest. 0:
 * there is no TLS, or no certificate that can be read. Any thread.
 */
int64_t br_listeners_certificate_expiry_s(const struct br_listeners *listeners);

/* Removes the files of unix sockets. Accepts NULL. */
void br_listeners_destroy(struct br_listeners *listeners);

#endif
