#include "serve/recent_errors.h"

#include <pthread.h>
#include <stdlib.h>

struct br_recent_errors {
    pthread_mutex_t lock;
    struct br_recent_error items[BR_RECENT_ERRORS_MAX];
    size_t count; /* of all that were added */
};

struct br_recent_errors *br_recent_errors_create(void)
{
    struct br_recent_errors *errors = calloc(1, sizeof *errors);
    if (errors != NULL) {
        pthread_mutex_init(&errors->lock, NULL);
    }
    return errors;
}

void br_recent_errors_destroy(struct br_recent_errors *errors)
{
    if (errors != NULL) {
        pthread_mutex_destroy(&errors->lock);
        free(errors);
    }
}

void br_recent_errors_add(struct br_recent_errors *errors, const struct br_recent_error *error)
{
    if (errors == NULL) {
        return;
    }
    pthread_mutex_lock(&errors->lock);
    errors->items[errors->count++ % BR_RECENT_ERRORS_MAX] = *error;
    pthread_mutex_unlock(&errors->lock);
}

size_t br_recent_errors_copy(struct br_recent_errors *errors,
                             struct br_recent_error out[BR_RECENT_ERRORS_MAX])
{
    pthread_mutex_lock(&errors->lock);
    size_t count = errors->count < BR_RECENT_ERRORS_MAX ? errors->count : BR_RECENT_ERRORS_MAX;
    for (size_t i = 0; i < count; i++) {
        out[i] = errors->items[(errors->count - 1 - i) % BR_RECENT_ERRORS_MAX];
    }
    pthread_mutex_unlock(&errors->lock);
    return count;
}
