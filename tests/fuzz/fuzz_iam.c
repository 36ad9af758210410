/*
 * IAM's answer to a request for a token.
 *
 * Input: an http_response.txt, in the form of tests/golden.
 */
#include "fuzz.h"

#include "upstream/iam_token.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The seconds to the end of the year 9999, the last that RFC 3339 can say. */
#define MAX_LIFE_MS ((INT64_C(253402300799) - FUZZ_NOW_S) * 1000)

static void check_token(const struct br_http_answer *answer, const struct br_iam_outcome *out)
{
    assert(answer->status == 201);
    assert(out->token_len == strlen(out->token));
    assert(out->token_len > 0 && out->token_len <= BR_IAM_TOKEN_MAX_BYTES);
    assert(strcmp(out->token, br_headers_find(&answer->headers, "x-subject-token")) == 0);
    for (size_t i = 0; i < out->token_len; i++) {
        assert(out->token[i] > ' ' && out->token[i] <= '~');
    }
    assert(out->life_ms > 0 && out->life_ms <= MAX_LIFE_MS);
}

static void check_failure(const struct br_iam_outcome *out)
{
    fuzz_check_status(&out->st);
    bool is_refused = out->st.code == BR_UNAUTHENTICATED && strcmp(out->st.reason, "TOKEN_REFUSED") == 0;
    bool is_away = out->st.code == BR_UNAVAILABLE && strcmp(out->st.reason, "TOKEN_UNAVAILABLE") == 0;
    assert(is_refused || is_away);
    /* A sentence of ours and a code: nothing that IAM wrote at length. */
    assert(strlen(out->st.msg) < 200);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {.at = data, .end = data + size};
    struct br_http_exchange exchange = {.failure = BR_TRANSPORT_BROKEN, .failure_name = "RECV_ERROR"};
    (void)fuzz_answer(&input, &exchange);
    struct br_iam_outcome out;
    br_iam_token_read(&exchange, FUZZ_NOW_S, &out);
    assert(out.http_status == (exchange.answered ? exchange.answer.status : 0));
    assert(out.retry_after_ms >= -1 && out.retry_after_ms <= 3600000);
    assert(memchr(out.request_id, '\0', sizeof out.request_id) != NULL);
    if (out.token != NULL) {
        check_token(&exchange.answer, &out);
    } else {
        check_failure(&out);
    }
    free(out.token);
    br_http_exchange_finish(&exchange);
    return 0;
}
