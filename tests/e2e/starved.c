/*
 * Makes the bridge that is linked with it run out of memory, as its environment says:
 *   STARVED_START=COUNT   one allocation fails, after COUNT from the program's begin on
 *   STARVED_EVERY=COUNT, STARVED_TOTAL=COUNT   once it takes calls, each EVERYth allocation fails, until TOTAL have
 */
#include "alloc_fault.h"

#include "base/parse.h"
#include "serve/server.h"

#include <stdlib.h>
#include <string.h>

/* The number in the variable |name|; false: there is none. */
static bool read_variable(const char *name, uint64_t *out)
{
    const char *text = getenv(name);
    return text != NULL && br_parse_uint64(text, strlen(text), out);
}

static void __attribute__((constructor)) starve_start(void)
{
    uint64_t count;
    if (read_variable("STARVED_START", &count)) {
        alloc_fault_once_after(count);
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
    uint64_t every;
    uint64_t total;
    if (created && read_variable("STARVED_EVERY", &every) && read_variable("STARVED_TOTAL", &total)) {
        alloc_fault_every(every, total);
    }
    return created;
}
