#include "alloc.h"

#include "base/log.h"

#include <cjson/cJSON.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *checked(void *memory, size_t size)
{
    if (memory == NULL) {
        BR_LOG(BR_LOG_ERROR, "out_of_memory", br_log_number("bytes", (int64_t)size));
        _exit(1);
    }
    return memory;
}

void *sim_alloc(size_t size)
{
    return checked(calloc(1, size > 0 ? size : 1), size);
}

void *sim_realloc(void *old, size_t size)
{
    return checked(realloc(old, size > 0 ? size : 1), size);
}

char *sim_strdup(const char *text)
{
    return sim_memdup(text, strlen(text));
}

char *sim_memdup(const char *bytes, size_t len)
{
    char *copy = checked(malloc(len + 1), len + 1);
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    copy[len] = '\0';
    return copy;
}

static void *alloc_for_cjson(size_t size)
{
    return checked(malloc(size > 0 ? size : 1), size);
}

void sim_alloc_install(void)
{
    cJSON_Hooks hooks = {.malloc_fn = alloc_for_cjson, .free_fn = free};
    cJSON_InitHooks(&hooks);
}
