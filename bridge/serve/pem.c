#include "serve/pem.h"

#include "base/file.h"
#include "translate/violation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

const char *br_pem_problem(const char *text, size_t len, enum br_pem_kind kind)
{
    if (len == 0) {
        return "it is empty";
    }
    /* Libraries drop what follows the first block that they cannot read: a chain cut short would go unnoticed. */
    size_t begin_count = count_of(text, "-----BEGIN ");
    size_t end_count = count_of(text, "-----END ");
    if (memchr(text, '\0', len) != NULL || begin_count == 0) {
        return "it is not a PEM file";
    }
    if (begin_count != end_count || count_of(text, "-----") != 2 * (begin_count + end_count)) {
        return "it is incomplete: a block has no end";
    }
    if (kind == BR_PEM_CERTIFICATES) {
        return strstr(text, "-----BEGIN CERTIFICATE-----") != NULL ? NULL : "it holds no certificate";
    }
    if (strstr(text, " PRIVATE KEY-----") == NULL) {
        return "it holds no private key";
    }
    bool is_encrypted = strstr(text, "BEGIN ENCRYPTED ") != NULL || strstr(text, ",ENCRYPTED") != NULL;
    return is_encrypted ? "the key is encrypted, and nobody is asked for its passphrase" : NULL;
}

/* What is wrong with |path|, NULL when nothing is. */
static const char *read_checked(const char *path, enum br_pem_kind kind, struct br_buf *text)
{
    int error = br_file_read(path, text);
    switch (error) {
    case 0:
        return br_pem_problem(text->data != NULL ? text->data : "", text->len, kind);
    case EFBIG:
        return "it has more than 1 MiB";
    case EINVAL:
        return "it is not a regular file";
    default:
        return strerror(error);
    }
}

bool br_pem_read(const char *flag, const char *path, enum br_pem_kind kind, char **out, struct br_status *st)
{
    struct br_buf text;
    br_buf_init(&text, BR_PEM_MAX_BYTES);
    const char *problem = read_checked(path, kind, &text);
    if (problem != NULL) {
        br_pem_free(text.data);
        char quoted[BR_QUOTE_CAP];
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "%s: cannot use %s: %s", flag,
                             br_violation_quote(path, quoted), problem);
    }
    *out = text.data;
    return true;
}

void br_pem_free(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
        free(text);
    }
}
