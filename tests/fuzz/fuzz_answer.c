/*
 * JSON to message: the body of a 2xx answer, and the same text as a person's input of `call`.
 *
 * Input: the method and how much memory there is, the body.
 */
#include "fuzz.h"

#include "cmd/call_data.h"
#include "translate/rest_response.h"
#include "translate/wire_check.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void see(struct br_drift_observer *self, enum br_drift drift, const char *where, const char *what)
{
    (void)self;
    assert(drift == BR_DRIFT_KEY || drift == BR_DRIFT_LITERAL);
    assert(where[0] != '\0' && what != NULL);
}

/* What is packed is a message that the other side takes. */
static void check_packed(const struct br_message_plan *plan, const uint8_t *packed, size_t len)
{
    struct br_arena arena;
    struct br_violations violations;
    struct br_status st;
    br_arena_init(&arena, FUZZ_ARENA_BYTES);
    br_violations_init(&violations, &arena);
    assert(br_wire_check(plan, packed, len, BR_MAX_ANSWER_ELEMENTS, &violations, &st));
    ProtobufCMessage *message = protobuf_c_message_unpack(plan->descriptor, NULL, len, packed);
    assert(message != NULL);
    protobuf_c_message_free_unpacked(message, NULL);
    br_arena_finish(&arena);
}

static void read_answer(const struct br_method *method, size_t arena_bytes, const char *body, size_t len)
{
    struct br_drift_observer observer = {.seen = see};
    struct br_arena arena;
    struct br_status st;
    uint8_t *packed;
    size_t packed_len;
    br_arena_init(&arena, arena_bytes);
    if (br_rest_response_read(method, body, len, &arena, &observer, &packed, &packed_len, &st)) {
        check_packed(method->output, packed, packed_len);
        free(packed);
    } else {
        fuzz_check_status(&st);
        assert(st.code == BR_INTERNAL || st.code == BR_RESOURCE_EXHAUSTED);
    }
    assert(arena.used_bytes <= arena.limit_bytes);
    br_arena_finish(&arena);
}

static void read_input(const struct br_method *method, size_t arena_bytes, const char *text, size_t len)
{
    struct br_arena arena;
    struct br_status st;
    const uint8_t *packed;
    size_t packed_len;
    br_arena_init(&arena, arena_bytes);
    if (br_call_data(method, text, len, &arena, &packed, &packed_len, &st)) {
        check_packed(method->input, packed, packed_len);
    } else {
        fuzz_check_status(&st);
    }
    br_arena_finish(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {.at = data, .end = data + size};
    size_t arena_bytes;
    const struct br_method *method = fuzz_method(&input, &arena_bytes);
    size_t len = (size_t)(input.end - input.at);
    read_answer(method, arena_bytes, (const char *)input.at, len);
    read_input(method, arena_bytes, (const char *)input.at, len);
    return 0;
}
