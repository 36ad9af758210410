/*
 * What upstream answered beyond the schema: logged once each.
 *
 * Threads: any; one lock.
 * Owns:    the labels seen, at most BR_DRIFT_LABELS_MAX of them.
 * Source:  DESIGN.md section 5, "lenient in".
 */
#ifndef BR_SERVE_DRIFT_H
#define BR_SERVE_DRIFT_H

#include "translate/json_read.h"

/* Different keys and literals that are told apart; further ones are not logged. */
#define BR_DRIFT_LABELS_MAX 128

/* Bytes of a key or literal that are kept. */
#define BR_DRIFT_LABEL_MAX_BYTES 64

struct br_drift_log;

/* Returned; release with br_drift_log_destroy(). NULL without memory. */
struct br_drift_log *br_drift_log_create(void) BR_MUST_CHECK;

/* Accepts NULL. */
void br_drift_log_destroy(struct br_drift_log *log);

/* The observer to give to translation; borrowed. */
struct br_drift_observer *br_drift_log_observer(struct br_drift_log *log);

#endif
