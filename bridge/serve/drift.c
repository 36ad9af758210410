#include "serve/drift.h"

#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct label {
    enum br_drift drift;
    const char *where; /* process lifetime */
    char what[BR_DRIFT_LABEL_MAX_BYTES + 1];
};

struct br_drift_log {
    struct br_drift_observer observer; /* first: the observer is the log */
    pthread_mutex_t lock;
    struct label labels[BR_DRIFT_LABELS_MAX];
    size_t label_count;
};

/* Whether the label is new and there was room to remember it. */
static bool remember(struct br_drift_log *log, const struct label *label)
{
    for (size_t i = 0; i < log->label_count; i++) {
        const struct label *known = &log->labels[i];
        if (known->drift == label->drift && known->where == label->where &&
            strcmp(known->what, label->what) == 0) {
            return false;
        }
    }
    if (log->label_count == BR_DRIFT_LABELS_MAX) {
        return false;
    }
    log->labels[log->label_count++] = *label;
    return true;
}

static const char *const events[] = {
    [BR_DRIFT_KEY] = "upstream_unknown_key",
    [BR_DRIFT_LITERAL] = "upstream_unknown_literal",
    [BR_DRIFT_CODE] = "upstream_unmapped_code",
};

static void seen(struct br_drift_observer *self, enum br_drift drift, const char *where, const char *what)
{
    struct br_drift_log *log = (struct br_drift_log *)self;
    struct label label = {.drift = drift, .where = where};
    snprintf(label.what, sizeof label.what, "%s", what);
    pthread_mutex_lock(&log->lock);
    bool is_new = remember(log, &label);
    pthread_mutex_unlock(&log->lock);
    if (is_new) {
        /* Once each, and no more than the labels: none of them may be lost. */
        const struct br_log_field fields[] = {br_log_text("where", where), br_log_text("what", label.what)};
        br_log_always(BR_LOG_WARN, events[drift], fields, 2);
    }
}

struct br_drift_log *br_drift_log_create(void)
{
    struct br_drift_log *log = calloc(1, sizeof *log);
    if (log != NULL) {
        log->observer.seen = seen;
        pthread_mutex_init(&log->lock, NULL);
    }
    return log;
}

void br_drift_log_destroy(struct br_drift_log *log)
{
    if (log != NULL) {
        pthread_mutex_destroy(&log->lock);
        free(log);
    }
}

struct br_drift_observer *br_drift_log_observer(struct br_drift_log *log)
{
    return &log->observer;
}
