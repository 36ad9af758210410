/*
 * An HTTP answer that is an error, or a 2xx that cannot be read, to the error that the caller gets.
 *
 * Input: an http_response.txt of tests/golden.
 */
#include "fuzz.h"

#include "translate/rest_response.h"
#include "upstream/retry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void check_retry(const struct br_http_exchange *exchange, const struct br_method *method,
                        const struct br_error *error)
{
    struct br_retry_budget budget;
    br_retry_budget_init(&budget);
    struct br_retry_question question = {
        .exchange = exchange,
        .idempotent = method->idempotency != BR_IDEMPOTENCY_UNKNOWN,
        .attempt = 1,
        .max_attempts = 2,
        .retry_after_ms = error->retry_after_ms,
        .remaining_ms = 60000,
        .random = 12345,
    };
    int64_t delay_ms = br_retry_delay_ms(&budget, &question);
    assert(delay_ms == -1 || question.idempotent);
    assert(delay_ms == -1 || (delay_ms >= error->retry_after_ms && delay_ms < 60000));
}

static void check_answer(const struct br_http_exchange *exchange, const struct br_method *method,
                         struct br_arena *arena)
{
    const struct br_http_answer *answer = &exchange->answer;
    struct br_error error;
    struct br_status st;
    uint8_t *packed;
    size_t packed_len;
    if (answer->status / 100 != 2) {
        br_error_from_answer(answer, method, NULL, FUZZ_NOW_S, arena, &error);
        /* Nobody may take it for a request that never arrived. */
        assert(error.st.code != BR_DEADLINE_EXCEEDED);
        check_retry(exchange, method, &error);
    } else if (br_rest_response_read(method, answer->body, answer->body_len, arena, NULL, &packed,
                                     &packed_len, &st)) {
        free(packed);
        return;
    } else {
        br_error_from_unreadable(answer, &st, arena, &error);
        assert(error.st.code == st.code);
    }
    fuzz_check_error(&error, arena);
    for (const unsigned char *c = (const unsigned char *)error.st.msg; *c != '\0'; c++) {
        assert(*c >= ' ' && *c != 0x7F);
    }
}

/* Without memory the code is the same. |arena_bytes|: too little, most of the time. */
static void check_without_memory(const struct br_http_exchange *exchange, const struct br_method *method,
                                 size_t arena_bytes)
{
    const struct br_http_answer *answer = &exchange->answer;
    struct br_arena arena;
    struct br_arena small;
    struct br_error whole;
    struct br_error error;
    if (answer->status / 100 == 2) {
        return;
    }
    br_arena_init(&arena, FUZZ_ARENA_BYTES);
    br_arena_init(&small, arena_bytes);
    br_error_from_answer(answer, method, NULL, FUZZ_NOW_S, &arena, &whole);
    br_error_from_answer(answer, method, NULL, FUZZ_NOW_S, &small, &error);
    assert(error.st.code == whole.st.code && error.retry_after_ms == whole.retry_after_ms);
    assert(strcmp(error.st.msg, whole.st.msg) == 0);
    fuzz_check_error(&error, &small);
    br_arena_finish(&small);
    br_arena_finish(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"UpdateService", "ShowServiceUpdateLogs"};
    struct fuzz_input input = {.at = data, .end = data + size};
    struct br_http_exchange exchange = {0};
    if (fuzz_answer(&input, &exchange)) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            const struct br_method *method = fuzz_method_named(names[i]);
            struct br_arena arena;
            br_arena_init(&arena, FUZZ_ARENA_BYTES);
            check_answer(&exchange, method, &arena);
            check_without_memory(&exchange, method, size & 0xFF);
            assert(arena.used_bytes <= arena.limit_bytes);
            br_arena_finish(&arena);
        }
    }
    br_http_exchange_finish(&exchange);
    return 0;
}
