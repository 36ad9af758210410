/*
 * The API: one request in, one answer out, the state changed and the journal written in between.
 *
 * Threads: sim_api_handle() and sim_api_revoke_tokens() from any; one lock covers store, credentials and
 * journal, so the journal's order is the order in which things were done.
 */
#ifndef SIM_API_H
#define SIM_API_H

#include "aksk.h"
#include "iam.h"
#include "journal.h"
#include "message.h"
#include "store.h"

#include "base/settings.h"

#include <pthread.h>

/* Limits of the gateway. Source: API Gateway reference, "Error Codes", the rows of APIG.0201. */
#define SIM_BODY_MAX_BYTES (12 * 1024 * 1024)
#define SIM_TARGET_MAX_BYTES (32 * 1024)
#define SIM_HEADER_MAX_BYTES (32 * 1024)
#define SIM_HEADERS_MAX_BYTES (128 * 1024)

struct sim_api {
    pthread_mutex_t lock;
    struct sim_store store;
    struct sim_journal journal;
    struct sim_iam iam;
    struct sim_aksk aksk;
    const struct br_texts *tokens; /* kept, borrowed */
    const char *project;           /* kept, borrowed */
};

/*
 * Answers |request|, borrowed. |answer| is initialised here; release with sim_answer_finish().
 */
void sim_api_handle(struct sim_api *api, const struct sim_request *request, struct sim_answer *answer);

/* Lets every token that IAM has handed out expire now. */
void sim_api_revoke_tokens(struct sim_api *api);

#endif
