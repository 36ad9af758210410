#include "serve/unix_socket.h"

#include "base/log.h"
#include "translate/violation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* In the private folder: the socket, and a stale one on its way out. */
static const char socket_name[] = "s";
static const char stale_name[] = "o";
static const char folder_template[] = ".br-XXXXXX";

_Static_assert(sizeof((struct sockaddr_un *)0)->sun_path == BR_UNIX_PATH_MAX_BYTES + 1, "sun_path");
_Static_assert(BR_UNIX_FOLDER_MAX_BYTES + sizeof "/.br-XXXXXX/s" - 1 <= BR_UNIX_PATH_MAX_BYTES,
               "the private folder's socket fits");

/* Times that the place is tried: others may come and go there at the same time. */
#define PLACE_ATTEMPTS 8

/* Room for a path in the private folder. */
#define INNER_CAP (BR_UNIX_PATH_MAX_BYTES + 1)

static bool fail(struct br_status *st, const char *path, const char *problem)
{
    char quoted[BR_QUOTE_CAP];
    return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                         "--listen: cannot listen on the unix socket %s: %s",
                         br_violation_quote(path, quoted), problem);
}

static void inner_path(const struct br_unix_socket *socket, const char *name, char out[INNER_CAP])
{
    (void)snprintf(out, INNER_CAP, "%s/%s", socket->folder, name);
}

bool br_unix_socket_prepare(struct br_unix_socket *out, const char *path, char **bind_path,
                            struct br_status *st)
{
    const char *slash = strrchr(path, '/');
    size_t folder_len = slash != NULL ? (size_t)(slash - path) + 1 : 0; /* the slash included */
    if (strlen(path) > BR_UNIX_PATH_MAX_BYTES || folder_len > BR_UNIX_FOLDER_MAX_BYTES + 1) {
        char problem[128];
        (void)snprintf(problem, sizeof problem,
                       "the path is too long: %d bytes are accepted, %d of them for the folder",
                       BR_UNIX_PATH_MAX_BYTES, BR_UNIX_FOLDER_MAX_BYTES);
        return fail(st, path, problem);
    }
    out->path = strdup(path);
    char *folder = malloc(folder_len + sizeof folder_template);
    char *bound = malloc(INNER_CAP);
    if (out->path == NULL || folder == NULL || bound == NULL) {
        free(folder);
        free(bound);
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for a listener");
    }
    memcpy(folder, path, folder_len);
    memcpy(folder + folder_len, folder_template, sizeof folder_template);
    if (mkdtemp(folder) == NULL) {
        char problem[128];
        (void)snprintf(problem, sizeof problem, "nothing can be made in its folder: %s", strerror(errno));
        free(folder);
        free(bound);
        return fail(st, path, problem);
    }
    out->folder = folder;
    inner_path(out, socket_name, bound);
    *bind_path = bound;
    return true;
}

/* Whether somebody listens at |path|: 0 nobody, EADDRINUSE somebody, or why it cannot be told. */
static int probe(const char *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return errno;
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    int error = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    (void)close(fd);
    /* EAGAIN: the listener has no room for further connections; EPROTOTYPE: its socket is of another type. */
    if (error == 0 || error == EAGAIN || error == EPROTOTYPE) {
        return EADDRINUSE;
    }
    return error == ECONNREFUSED ? 0 : error;
}

static const char *type_name(mode_t mode)
{
    return S_ISREG(mode)   ? "a regular file is there, which is not removed"
           : S_ISDIR(mode) ? "it is a folder"
                           : "something that is no socket is there, which is not removed";
}

/*
 * Takes the stale socket out, whose identity is |seen|. Between the look at it and its removal another process
 * may have done the same and be listening there: then that one is put back.
 */
static int take_out(const struct br_unix_socket *socket, const struct stat *seen)
{
    char stale[INNER_CAP];
    inner_path(socket, stale_name, stale);
    if (rename(socket->path, stale) != 0) {
        return errno == ENOENT ? 0 : errno;
    }
    struct stat taken;
    int error = 0;
    if (lstat(stale, &taken) != 0) {
        error = errno;
    } else if (taken.st_dev == seen->st_dev && taken.st_ino == seen->st_ino) {
        BR_LOG(BR_LOG_INFO, "stale_socket_removed", br_log_text("path", socket->path));
    } else if (link(stale, socket->path) != 0) {
        error = errno;
    }
    (void)unlink(stale);
    return error;
}

/* Makes way at the path if only a stale socket is in it. */
static bool clear_path(const struct br_unix_socket *socket, struct br_status *st)
{
    struct stat seen;
    int error = 0;
    if (lstat(socket->path, &seen) != 0) {
        error = errno;
    } else if (!S_ISSOCK(seen.st_mode)) {
        return fail(st, socket->path, type_name(seen.st_mode));
    } else {
        error = probe(socket->path);
    }
    if (error == 0) {
        error = take_out(socket, &seen);
    }
    if (error == 0 || error == ENOENT) {
        return true;
    }
    return fail(st, socket->path, error == EADDRINUSE ? "it is in use by another process" : strerror(error));
}

static void remove_folder(struct br_unix_socket *socket)
{
    char bound[INNER_CAP];
    inner_path(socket, socket_name, bound);
    (void)unlink(bound);
    if (rmdir(socket->folder) != 0) {
        BR_LOG(BR_LOG_WARN, "folder_not_removed", br_log_text("path", socket->folder),
               br_log_text("cause", strerror(errno)));
    }
    free(socket->folder);
    socket->folder = NULL;
}

bool br_unix_socket_place(struct br_unix_socket *socket, mode_t mode, struct br_status *st)
{
    char bound[INNER_CAP];
    inner_path(socket, socket_name, bound);
    struct stat info;
    if (chmod(bound, mode) != 0 || lstat(bound, &info) != 0) {
        return fail(st, socket->path, strerror(errno));
    }
    for (int attempt = 0; link(bound, socket->path) != 0; attempt++) {
        if (errno != EEXIST || attempt == PLACE_ATTEMPTS) {
            return fail(st, socket->path, strerror(errno));
        }
        if (!clear_path(socket, st)) {
            return false;
        }
    }
    socket->is_placed = true;
    socket->dev = info.st_dev;
    socket->ino = info.st_ino;
    remove_folder(socket);
    return true;
}

void br_unix_socket_finish(struct br_unix_socket *socket)
{
    struct stat info;
    if (socket->is_placed && lstat(socket->path, &info) == 0 && info.st_dev == socket->dev &&
        info.st_ino == socket->ino) {
        (void)unlink(socket->path);
    }
    if (socket->folder != NULL) {
        remove_folder(socket);
    }
    free(socket->path);
    *socket = (struct br_unix_socket){0};
}
