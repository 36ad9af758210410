/*
 * grpc.health.v1: what health-checking clients and probes ask, answered from the process's health.
 *
 * Threads: any.
 * Source:  grpc/health/v1/health.proto.
 */
#ifndef BR_SERVE_HEALTH_SERVICE_H
#define BR_SERVE_HEALTH_SERVICE_H

#include "serve/local.h"

/* Check and Watch. */
#define BR_HEALTH_SERVICE_METHODS 2

/* |health| kept as long as the handlers. */
void br_health_service_handlers(struct br_health *health,
                                struct br_local_handler out[BR_HEALTH_SERVICE_METHODS]);

#endif
