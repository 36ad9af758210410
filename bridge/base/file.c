#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int br_file_read_all(int fd, struct br_buf *out)
{
    char chunk[16384];
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno;
        }
        if (got == 0) {
            return 0;
        }
        switch (br_buf_append(out, chunk, (size_t)got)) {
        case BR_BUF_OK:
            break;
        case BR_BUF_FULL:
            return EFBIG;
        case BR_BUF_NO_MEMORY:
            return ENOMEM;
        }
    }
}

/* Whether |fd| is a regular file: 0, or an errno. */
static int check_regular(int fd)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return errno;
    }
    if (S_ISDIR(info.st_mode)) {
        return EISDIR;
    }
    return S_ISREG(info.st_mode) ? 0 : EINVAL;
}

int br_file_read(const char *path, struct br_buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return errno;
    }
    int error = check_regular(fd);
    if (error == 0) {
        error = br_file_read_all(fd, out);
    }
    (void)close(fd);
    return error;
}
