#include "test_contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <testapi/v1/everything.pb-c.h>

static struct br_contract *compiled;

static bool size_with_name(const ProtobufCMessage *message)
{
    const Testapi__V1__Part *part = (const Testapi__V1__Part *)message;
    return !part->has_size || part->name != NULL;
}

static bool sizes_sum_100(const ProtobufCMessage *message)
{
    const Testapi__V1__UpdateThingRequest *request = (const Testapi__V1__UpdateThingRequest *)message;
    int64_t sum = 0;
    bool any = false;
    for (size_t i = 0; i < request->n_parts; i++) {
        any = any || request->parts[i]->has_size;
        sum += request->parts[i]->has_size ? request->parts[i]->size : 0;
    }
    return !any || sum == 100;
}

static bool flag_wins(const ProtobufCMessage *message)
{
    const Testapi__V1__UpdateThingRequest *request = (const Testapi__V1__UpdateThingRequest *)message;
    return request->thing == NULL || !request->thing->has_flag || !request->thing->has_colour;
}

const struct br_named_function test_functions[] = {
    {"part.size_with_name", size_with_name},
    {"update_thing.sizes_sum_100", sizes_sum_100},
    {"update_thing.flag_wins", flag_wins},
};
const size_t test_functions_count = sizeof test_functions / sizeof test_functions[0];

static void destroy_contract(void)
{
    br_contract_destroy(compiled);
}

const struct br_contract *test_contract(void)
{
    struct br_status st;
    if (compiled == NULL) {
        if (!br_contract_create(&br_schema_linked, test_functions, test_functions_count, &compiled, &st)) {
            fprintf(stderr, "the test contract does not compile: %s\n", st.msg);
            abort();
        }
        atexit(destroy_contract);
    }
    return compiled;
}

const struct br_method *test_method(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "/testapi.v1.EverythingService/%s", name);
    const struct br_method *method = br_contract_find(test_contract(), path, strlen(path));
    if (method == NULL) {
        fprintf(stderr, "no method %s\n", path);
        abort();
    }
    return method;
}

static const struct br_message_plan *find_plan(const struct br_message_plan *plan, const char *full_name,
                                               int depth)
{
    if (strcmp(plan->full_name, full_name) == 0) {
        return plan;
    }
    for (size_t i = 0; depth < 4 && i < plan->field_count; i++) {
        if (plan->fields[i].kind == BR_KIND_MESSAGE) {
            const struct br_message_plan *found = find_plan(plan->fields[i].message, full_name, depth + 1);
            if (found != NULL) {
                return found;
            }
        }
    }
    return NULL;
}

const struct br_message_plan *test_plan(const char *name)
{
    char full_name[128];
    snprintf(full_name, sizeof full_name, "testapi.v1.%s", name);
    size_t count;
    const struct br_method *methods = br_contract_methods(test_contract(), &count);
    for (size_t i = 0; i < count; i++) {
        if (methods[i].verb == NULL) {
            continue;
        }
        const struct br_message_plan *found = find_plan(methods[i].input, full_name, 0);
        found = found != NULL ? found : find_plan(methods[i].output, full_name, 0);
        if (found != NULL) {
            return found;
        }
    }
    fprintf(stderr, "no message %s\n", full_name);
    abort();
}
