/*
 * What /statusz shows: one snapshot of the process as a JSON object.
 *
 * It holds no secret: those are in files, URLs with a user name are refused at start, and of a failed call there is no
 * message, which may quote a caller's data. A key tells the unit of its value by its end: _s, _ms, _bytes.
 *
 * Threads: any, for what is documented as such in what it reads.
 */
#ifndef BR_CMD_STATUSZ_H
#define BR_CMD_STATUSZ_H

#include "base/clock.h"
#include "base/metrics.h"
#include "base/settings.h"
#include "contract/contract.h"
#include "serve/health.h"
#include "serve/recent_errors.h"
#include "serve/server.h"

#include <cjson/cJSON.h>
#include <stdatomic.h>

/* What is shown; all of it outlives the admin port. */
struct br_statusz {
    const struct br_settings *table;
    const void *settings; /* what |table| reads into */
    int argc;             /* the arguments that |settings| come from */
    char **argv;
    const struct br_contract *contract;
    const struct br_metrics *metrics; /* with the families of br_call_metrics_create() */
    struct br_recent_errors *errors;
    struct br_health *health;
    struct br_auth *token; /* --auth=token; NULL otherwise */
    const struct br_clock *clock;
    int64_t started_unix_s;
    int64_t started_ms;                       /* of |clock| */
    _Atomic(const struct br_server *) server; /* NULL until it listens */
};

/*
 * |out|   returned; release with cJSON_Delete().
 * Errors: RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_statusz_snapshot(const struct br_statusz *source, cJSON **out, struct br_status *st) BR_MUST_CHECK;

#endif
