/*
 * Makes the bridge that is linked with it run out of memory, as its environment says:
 *   STARVED_START=COUNT        one allocation fails, after COUNT from the program's begin on
 *   STARVED_CALLS=EVERY,TOTAL  once it takes calls, each EVERYth allocation fails, until TOTAL have
 */
#include "alloc_fault.h"

#include "serve/server.h"

#include <stdio.h>
#include <stdlib.h>

static void __attribute__((constructor)) starve_start(void)
{
    const char *count = getenv("STARVED_START");
    if (count != NULL) {
        alloc_fault_once_after((size_t)atol(count));
    }
}

bool __real_br_server_create(const struct br_contract *contract, const struct br_server_config *config,
                             struct br_server **out, struct br_status *st) BR_MUST_CHECK;
bool __wrap_br_server_create(const struct br_contract *contract, const struct br_server_config *config,
                             struct br_server **out, struct br_status *st) BR_MUST_CHECK;
bool __wrap_br_server_create(const struct br_contract *contract, const struct br_server_config *config,
                             struct br_server **out, struct br_status *st)
{
    bool created = __real_br_server_create(contract, config, out, st);
    const char *numbers = getenv("STARVED_CALLS");
    size_t every;
    size_t total;
    if (created && numbers != NULL && sscanf(numbers, "%zu,%zu", &every, &total) == 2) {
        alloc_fault_every(every, total);
    }
    return created;
}
