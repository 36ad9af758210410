/*
 * What the bridge counts about calls and their upstream requests.
 *
 * Every function accepts NULL for |metrics|: then nobody counts. No label's value is a caller's free choice: methods are
 * the contract's, and one that it does not have is "other".
 *
 * Threads: any, after br_call_metrics_create().
 * Source:  bridge_conventions.md section 12: gRFC A66 for the server's, OpenTelemetry's HTTP client conventions for
 *          upstream's names and labels.
 */
#ifndef BR_SERVE_CALL_METRICS_H
#define BR_SERVE_CALL_METRICS_H

#include "base/metrics.h"
#include "contract/contract.h"
#include "translate/json_read.h"
#include "upstream/http.h"

struct br_call_metrics;

/* All families, |count| of them; process lifetime. */
const struct br_metric_def *br_call_metrics_defs(size_t *count);

/*
 * Declares the families in |registry|, which is kept until br_call_metrics_destroy().
 * Returned; NULL without memory.
 */
struct br_call_metrics *br_call_metrics_create(struct br_metrics *registry) BR_MUST_CHECK;

/* Before the registry's end. Accepts NULL. */
void br_call_metrics_destroy(struct br_call_metrics *metrics);

/* A call came and is in flight. |method| NULL: the contract does not have it. Once for each call. */
void br_call_metrics_started(struct br_call_metrics *metrics, const struct br_method *method);

/* What is counted of a call that has its reply. */
struct br_call_end {
    enum br_code code;
    int64_t duration_us;
    size_t request_bytes; /* 0: no message was taken */
    size_t response_bytes;
};

/* A call that was started got its reply. Once for each call. */
void br_call_metrics_ended(struct br_call_metrics *metrics, const struct br_method *method,
                           const struct br_call_end *end);

enum br_translate_direction {
    BR_TRANSLATE_REQUEST,
    BR_TRANSLATE_RESPONSE,
};

/* A request was made from bytes, or refused; or an answer was made into bytes, or into an error. */
void br_call_metrics_translated(struct br_call_metrics *metrics, enum br_translate_direction direction,
                                int64_t duration_us);

/*
 * A request to upstream is over.
 * |exchange|    borrowed; it has its outcome, and is no pause.
 * |duration_us| from its going out to its end; where it did not go out, what it waited.
 */
void br_call_metrics_exchanged(struct br_call_metrics *metrics, const struct br_http_exchange *exchange,
                               int64_t duration_us);

/* A failed request will be tried again. */
void br_call_metrics_retried(struct br_call_metrics *metrics, const struct br_method *method);

/* An answer had something that the bridge does not know. */
void br_call_metrics_drifted(struct br_call_metrics *metrics, enum br_drift drift);

/* A caller was refused for who it is. */
void br_call_metrics_refused_caller(struct br_call_metrics *metrics);

/* A call was refused because there are as many as may be. */
void br_call_metrics_refused_overload(struct br_call_metrics *metrics);

#endif
