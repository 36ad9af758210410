/*
 * The bytes of a request: the wire check, unpacking, validation, URL and body.
 *
 * Input: the method and how much memory there is, whether the bridge has a project of its own, the bytes.
 */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {.at = data, .end = data + size};
    size_t arena_bytes;
    const struct br_method *method = fuzz_method(&input, &arena_bytes);
    bool with_defaults = fuzz_byte(&input) & 1;
    (void)fuzz_check_request(method, with_defaults, arena_bytes, input.at, (size_t)(input.end - input.at));
    return 0;
}
