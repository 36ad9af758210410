/*
 * Secrets from the files of one folder, read anew when the files change.
 *
 * A reader takes the newest complete set and gives it back: a set that is in use stays as it is while a newer
 * one takes its place, so no call is lost by a change. A folder that cannot be read for a while, or holds a
 * half-written file, goes on giving the set before, and says so in the log once for each change of the fault.
 *
 * Threads: take and give_back on any.
 * Owns:    the sets; their bytes are wiped when they are released.
 * Source:  DESIGN.md section 7; https://kubernetes.io/docs/concepts/configuration/secret/ (mounted Secrets change by a
 *          swap of a symbolic link).
 */
#ifndef BR_UPSTREAM_CREDENTIALS_H
#define BR_UPSTREAM_CREDENTIALS_H

#include "base/clock.h"
#include "base/status.h"

#include <stdint.h>

/* Bytes of one file; a password or key takes far less. */
#define BR_CREDENTIAL_MAX_BYTES 4096
#define BR_CREDENTIAL_FILES_MAX 8

/* The files are looked at no more often than this. */
#define BR_CREDENTIALS_CHECK_MS 1000

/* One file: its name in the folder. An optional one may be missing; an empty one counts as missing. */
struct br_credential_file {
    const char *name;
    bool required;
};

/* The contents of all files at one moment, in the order of the list; a final newline is not part of a value. */
struct br_credential_set {
    const char *values[BR_CREDENTIAL_FILES_MAX]; /* NULL: an optional file that is missing */
    uint64_t version;                            /* differs from that of every other set */
};

struct br_credentials;

/*
 * Reads the folder for the first time.
 * |files| borrowed for good; |count| <= BR_CREDENTIAL_FILES_MAX.
 * |clock| kept.
 * |out|   returned; release with br_credentials_destroy().
 * Errors: INVALID_ARGUMENT/BAD_SETTING, naming the file and what is wrong with it: it is missing, cannot be read, is
 *         empty, too large, or holds a byte that a header cannot carry. No content is quoted.
 *         RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_credentials_create(const char *folder, const struct br_credential_file *files, size_t count,
                           const struct br_clock *clock, struct br_credentials **out,
                           struct br_status *st) BR_MUST_CHECK;

/* Every set must have been given back. Accepts NULL. */
void br_credentials_destroy(struct br_credentials *credentials);

/* The newest complete set, never NULL; give it back with br_credentials_give_back(). */
const struct br_credential_set *br_credentials_take(struct br_credentials *credentials) BR_MUST_CHECK;

/* Once for each set that was taken; |set| may not be used after. Wiped when nobody has it and a newer one has come. */
void br_credentials_give_back(struct br_credentials *credentials, const struct br_credential_set *set);

#endif
