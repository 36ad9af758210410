/*
 * The journal: one JSON line for each request that was received whole and answered.
 *
 * Threads: the caller holds a lock around sim_journal_write().
 * Owns:    the open file.
 */
#ifndef SIM_JOURNAL_H
#define SIM_JOURNAL_H

#include "message.h"
#include "target.h"

#include "base/status.h"

#include <stdint.h>
#include <stdio.h>

struct sim_journal {
    FILE *file; /* NULL: no journal is kept */
    uint64_t seq;
};

/* Whether a token was handed out. */
enum sim_issued {
    SIM_ISSUED_NOT_ASKED, /* not a request for a token */
    SIM_ISSUED_NO,
    SIM_ISSUED_YES,
};

struct sim_journal_entry {
    const struct sim_request *request;
    const struct sim_target *target;
    const struct sim_answer *answer;
    const char *service_id; /* NULL: the path names none */
    const char *fault;      /* NULL: none */
    const char *detail;     /* why it was refused; "": it was not */
    bool executed;          /* the service was changed */
    const char *auth;       /* "token", "aksk" or "none" */
    enum sim_issued issued;
    bool hides_body; /* the body may hold a secret: of its texts only names, ids and methods are shown */
};

/*
 * Opens |path| for appending; NULL: no journal.
 * Errors: FAILED_PRECONDITION/JOURNAL the file cannot be opened
 */
bool sim_journal_open(struct sim_journal *journal, const char *path, struct br_status *st) BR_MUST_CHECK;

/*
 * Writes |entry| (borrowed) and flushes it. A journal that misses a line is worse than none, so the process
 * ends when the file cannot be written.
 */
void sim_journal_write(struct sim_journal *journal, const struct sim_journal_entry *entry);

/* Accepts a zeroed journal. */
void sim_journal_close(struct sim_journal *journal);

#endif
