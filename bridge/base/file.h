/*
 * Reads files whole, under a ceiling.
 *
 * Threads: any.
 */
#ifndef BR_BASE_FILE_H
#define BR_BASE_FILE_H

#include "base/buf.h"

/*
 * Appends what |fd| gives until its end to |out|, whose ceiling counts.
 * Returns 0, or an errno: EFBIG past the ceiling, ENOMEM; |out| then holds what was read so far.
 */
int br_file_read_all(int fd, struct br_buf *out) BR_MUST_CHECK;

/*
 * br_file_read_all() of the regular file |path|. Never waits, not even for a FIFO: that is no regular file.
 * Returns 0, or an errno; EISDIR or EINVAL for what is no regular file.
 */
int br_file_read(const char *path, struct br_buf *out) BR_MUST_CHECK;

#endif
