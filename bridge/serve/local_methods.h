/*
 * The methods that this program answers itself: health and reflection.
 *
 * Threads: init and finish at start and end; between them all is constant.
 * Owns:    the index of the schema's files.
 */
#ifndef BR_SERVE_LOCAL_METHODS_H
#define BR_SERVE_LOCAL_METHODS_H

#include "serve/health_service.h"
#include "serve/reflection.h"

#define BR_LOCAL_METHODS (BR_HEALTH_SERVICE_METHODS + BR_REFLECTION_METHODS)

struct br_local_methods {
    struct br_file_index *files;
    struct br_reflection reflection;
    struct br_local_handler handlers[BR_LOCAL_METHODS];
};

/*
 * |schema| and |health| kept until br_local_methods_finish().
 * |out|    zeroed by the caller; may not be moved.
 * Errors:  INTERNAL/CONTRACT_INVALID, RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_local_methods_init(struct br_local_methods *out, const struct br_schema *schema,
                           struct br_health *health, struct br_status *st) BR_MUST_CHECK;

/* Accepts a zeroed object. */
void br_local_methods_finish(struct br_local_methods *methods);

#endif
