/*
 * A unix socket's place in the file system: put there with its mode, never over somebody else's file.
 *
 * gRPC core unlinks the path that it binds, whoever listens there, and unlinks it again at its end. So core
 * binds inside a folder that only this process can enter, and the finished socket is linked to its place, which
 * fails if anything is there.
 *
 * Threads: one at a time.
 * Owns:    the socket's file, from br_unix_socket_place() to br_unix_socket_finish().
 * Source:  unix(7), link(2); bridge_conventions.md section 11.
 */
#ifndef BR_SERVE_UNIX_SOCKET_H
#define BR_SERVE_UNIX_SOCKET_H

#include "base/status.h"

#include <sys/types.h>

/* Bytes of the path, the folder's and that of a private folder in it: sun_path holds 108 with the NUL. */
#define BR_UNIX_PATH_MAX_BYTES 107
#define BR_UNIX_FOLDER_MAX_BYTES 94

struct br_unix_socket {
    char *path;   /* NULL: nothing to finish */
    char *folder; /* private, beside |path|; NULL once |path| is in place */
    bool is_placed;
    dev_t dev; /* of the socket, once placed */
    ino_t ino;
};

/*
 * Makes the private folder. |out| zeroed; finish with br_unix_socket_finish(), also after a failure.
 * |bind_path| receives where to bind, in the private folder: returned; release with free().
 * Errors:  INVALID_ARGUMENT/BAD_SETTING the path is too long, or its folder cannot be written to
 *          RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_unix_socket_prepare(struct br_unix_socket *out, const char *path, char **bind_path,
                            struct br_status *st) BR_MUST_CHECK;

/*
 * Puts the socket, which listens at its |bind_path| by now, in its place with |mode|. A socket file there that
 * nobody listens on is removed; anything else is left alone and an error.
 * Errors:  INVALID_ARGUMENT/BAD_SETTING what is in the way, named
 */
bool br_unix_socket_place(struct br_unix_socket *socket, mode_t mode, struct br_status *st) BR_MUST_CHECK;

/* Removes the socket's file, unless another one has taken its place, and the private folder. */
void br_unix_socket_finish(struct br_unix_socket *socket);

#endif
