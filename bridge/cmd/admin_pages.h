/*
 * The routes of the admin port: probes, metrics, status, drain, log level.
 *
 * Threads: the handlers run on the admin port's; what they read is for any thread.
 */
#ifndef BR_CMD_ADMIN_PAGES_H
#define BR_CMD_ADMIN_PAGES_H

#include "cmd/statusz.h"
#include "serve/admin.h"

/* The context of the routes. */
struct br_admin_pages {
    struct br_statusz status;
    bool drain_allowed; /* --admin-drain */
};

extern const struct br_admin_route br_admin_routes[];
extern const size_t br_admin_route_count;

#endif
