/* A target with a fault, for the test of the replay. */
#include "fuzz.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    assert(size != 5 || memcmp(data, "wrong", 5) != 0);
    return 0;
}
