/*
 * What the tests of sign.c share: a fixture with an arena, and the request that most of them sign.
 */
#ifndef TESTS_UNIT_SIGN_CHECK_H
#define TESTS_UNIT_SIGN_CHECK_H

#include "upstream/sign.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#define ARENA_BYTES ((size_t)1 << 20)
#define NEW_YEAR_2024 INT64_C(1704067200)
#define OTC_HOST "modelarts.eu-de.otc.t-systems.com"
#define PROJECT_ID "0123456789abcdef0123456789abcdef"
#define LOGS_PATH "/v1/" PROJECT_ID "/services/195c1f2d-136d-40af-a0f3-db5717d2634a/logs"

static const struct br_sign_key plain_key = {.access_key = "AccessKey", .secret_key = "SecretKey"};

struct fixture {
    struct br_arena arena;
    struct br_status st;
};

static inline int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    br_arena_init(&fixture->arena, ARENA_BYTES);
    *state = fixture;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *fixture = *state;
    br_arena_finish(&fixture->arena);
    free(fixture);
    return 0;
}

static inline struct br_sign_request get_request(const char *url)
{
    return (struct br_sign_request){
        .verb = "GET", .url = url, .unix_s = NEW_YEAR_2024, .region = "", .service = ""};
}

/* Signs and gives the Authorization header. */
static inline const char *authorization_of(struct fixture *fixture, const struct br_sign_key *key,
                                           enum br_sign_dialect dialect,
                                           const struct br_sign_request *request)
{
    struct br_headers out;
    assert_true(br_sign(key, dialect, request, &fixture->arena, &out, &fixture->st));
    const char *value = br_headers_find(&out, "Authorization");
    assert_non_null(value);
    return value;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
