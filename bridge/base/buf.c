#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP ((size_t)256)

void br_buf_init(struct br_buf *buf, size_t limit_bytes)
{
    *buf = (struct br_buf){.limit_bytes = limit_bytes};
}

void br_buf_finish(struct br_buf *buf)
{
    if (buf == NULL) {
        return;
    }
    free(buf->data);
    *buf = (struct br_buf){0};
}

/* Makes room for |extra| bytes and the NUL. |cap| never passes the ceiling and its NUL. */
static enum br_buf_result reserve(struct br_buf *buf, size_t extra)
{
    /* One less than the type holds, so that the NUL can always be counted. */
    size_t limit = buf->limit_bytes < SIZE_MAX ? buf->limit_bytes : SIZE_MAX - 1;
    if (extra > limit - buf->len) {
        return BR_BUF_FULL;
    }
    size_t need = buf->len + extra + 1;
    if (need <= buf->cap) {
        return BR_BUF_OK;
    }

    size_t cap = buf->cap > SIZE_MAX / 2 ? SIZE_MAX : buf->cap * 2;
    if (cap < FIRST_CAP) {
        cap = FIRST_CAP;
    }
    if (cap < need) {
        cap = need;
    }
    if (cap > limit + 1) {
        cap = limit + 1;
    }
    char *data = realloc(buf->data, cap);
    if (data == NULL) {
        return BR_BUF_NO_MEMORY;
    }
    data[buf->len] = '\0';
    buf->data = data;
    buf->cap = cap;
    return BR_BUF_OK;
}

enum br_buf_result br_buf_append(struct br_buf *buf, const void *bytes, size_t len)
{
    enum br_buf_result result = reserve(buf, len);
    if (result != BR_BUF_OK) {
        return result;
    }
    if (len > 0) {
        memcpy(buf->data + buf->len, bytes, len);
    }
    buf->len += len;
    buf->data[buf->len] = '\0';
    return BR_BUF_OK;
}

enum br_buf_result br_buf_puts(struct br_buf *buf, const char *text)
{
    return br_buf_append(buf, text, strlen(text));
}

enum br_buf_result br_buf_printf(struct br_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        return BR_BUF_FULL; /* printf itself failed: the text would pass INT_MAX bytes */
    }

    enum br_buf_result result = reserve(buf, (size_t)len);
    if (result != BR_BUF_OK) {
        return result;
    }
    va_start(args, format);
    (void)vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
    return BR_BUF_OK;
}
