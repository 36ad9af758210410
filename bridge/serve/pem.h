/*
 * Reads PEM files: certificates and private keys, for TLS towards callers.
 *
 * Threads: any.
 * Owns:    nothing; texts are returned.
 * Source:  RFC 7468, textual encodings.
 */
#ifndef BR_SERVE_PEM_H
#define BR_SERVE_PEM_H

#include "base/status.h"

/* Bytes of one file; a bundle of the public certificate authorities has about 250 KiB. */
#define BR_PEM_MAX_BYTES ((size_t)1 << 20)

enum br_pem_kind {
    BR_PEM_CERTIFICATES, /* one or more */
    BR_PEM_PRIVATE_KEY,
};

/*
 * What is wrong with |text| (|len| bytes, a NUL behind them) as a PEM file of |kind|; NULL when it looks
 * right. Only the frame is looked at: a file that was written half ends inside a block. Pure.
 * Returns a text that lives as long as the process and holds nothing of the file.
 */
const char *br_pem_problem(const char *text, size_t len, enum br_pem_kind kind);

/*
 * Reads |path| and checks its frame.
 * |flag|  borrowed; the setting that names the file, for the message: "--tls-cert".
 * |out|   returned; release with br_pem_free(). Written on success only.
 * Errors: INVALID_ARGUMENT/BAD_SETTING the file cannot be read, is no regular file, or is not such a file
 */
bool br_pem_read(const char *flag, const char *path, enum br_pem_kind kind, char **out,
                 struct br_status *st) BR_MUST_CHECK;

/* Overwrites and releases |text|, which may be a key. Accepts NULL. */
void br_pem_free(char *text);

#endif
