/*
 * The metrics that are looked up when somebody reads them: the pool of connections, the token, the TLS certificate,
 * readiness, the log, the process and the build.
 *
 * Threads: create, watch and destroy by the owner; what they read is read by whoever makes a text of the registry.
 * Source:  https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics for the names of process_*.
 */
#ifndef BR_CMD_SERVE_METRICS_H
#define BR_CMD_SERVE_METRICS_H

#include "base/metrics.h"
#include "serve/health.h"
#include "serve/server.h"
#include "upstream/auth.h"

struct br_serve_metrics_config {
    struct br_health *health;
    struct br_auth *token; /* --auth=token; NULL: there are no metrics of tokens */
    bool has_certificate;  /* --tls-cert; else there is no metric of it */
};

struct br_serve_metrics;

/* All that can be declared, |count| of them; process lifetime. */
const struct br_metric_def *br_serve_metrics_defs(size_t *count);

/*
 * Declares the families in |registry|, of which no text may be made any more after br_serve_metrics_destroy().
 * |config| copied; what it points at is kept as long.
 * Returned; NULL without memory.
 */
struct br_serve_metrics *br_serve_metrics_create(struct br_metrics *registry,
                                                 const struct br_serve_metrics_config *config) BR_MUST_CHECK;

/* The numbers are those of |server| from now on; kept until the destroy. Texts may be made meanwhile. */
void br_serve_metrics_watch(struct br_serve_metrics *metrics, const struct br_server *server);

/* Accepts NULL. */
void br_serve_metrics_destroy(struct br_serve_metrics *metrics);

#endif
