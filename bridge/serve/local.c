#include "serve/local.h"

#include <stdio.h>
#include <string.h>

const struct br_local_handler *br_local_find(const struct br_local_handler *handlers, size_t count,
                                             const struct br_method *method)
{
    for (size_t i = 0; method->verb == NULL && i < count; i++) {
        if (strcmp(handlers[i].method, method->name) == 0) {
            return &handlers[i];
        }
    }
    return NULL;
}

static bool check_methods(const struct br_contract *contract, const struct br_local_handler *handlers,
                          size_t count, struct br_status *st)
{
    size_t method_count;
    const struct br_method *methods = br_contract_methods(contract, &method_count);
    for (size_t i = 0; i < method_count; i++) {
        const struct br_method *method = &methods[i];
        const struct br_local_handler *handler = br_local_find(handlers, count, method);
        if (method->verb != NULL) {
            continue;
        }
        if (handler == NULL) {
            return br_status_set(st, BR_INTERNAL, "CONTRACT_INVALID",
                                 "%s: has neither google.api.http nor a handler in the bridge", method->name);
        }
        bool watches = method->server_streaming && !method->client_streaming;
        if (watches != (handler->watched != NULL) ||
            (method->client_streaming && !method->server_streaming)) {
            return br_status_set(st, BR_INTERNAL, "CONTRACT_INVALID",
                                 "%s: streams in another way than its handler in the bridge", method->name);
        }
    }
    return true;
}

bool br_local_check(const struct br_contract *contract, const struct br_local_handler *handlers, size_t count,
                    struct br_status *st)
{
    for (size_t i = 0; i < count; i++) {
        char path[256];
        int len = snprintf(path, sizeof path, "/%s", handlers[i].method);
        const struct br_method *method = br_contract_find(contract, path, (size_t)len);
        if (method == NULL || method->verb != NULL) {
            return br_status_set(st, BR_INTERNAL, "CONTRACT_INVALID",
                                 "%s: has a handler in the bridge, but %s", handlers[i].method,
                                 method == NULL ? "is no method of the schema" : "google.api.http too");
        }
    }
    return check_methods(contract, handlers, count, st);
}
