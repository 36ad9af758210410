#include "serve/local_methods.h"

bool br_local_methods_init(struct br_local_methods *out, const struct br_schema *schema,
                           struct br_health *health, struct br_status *st)
{
    if (!br_file_index_create(schema, &out->files, st)) {
        return false;
    }
    out->reflection = (struct br_reflection){.schema = schema, .files = out->files};
    br_health_service_handlers(health, out->handlers);
    br_reflection_handlers(&out->reflection, out->handlers + BR_HEALTH_SERVICE_METHODS);
    return true;
}

void br_local_methods_finish(struct br_local_methods *methods)
{
    br_file_index_destroy(methods->files);
    methods->files = NULL;
}
