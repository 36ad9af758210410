/* Tests of the canonical request in both dialects, and of the Authorization header's form. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "signature.h"

#include <openssl/sha.h>

#include <stdio.h>
#include <string.h>

/* SHA-256 of no bytes. */
#define NO_BODY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* The hash of the canonical request of GET |target| with one header, as |credentials| has it signed. */
static void assert_canonical(const char *credentials, const char *target, const char *date,
                             const char *expected)
{
    char authorization[512], hex[SIM_HASH_HEX_LEN + 1];
    struct sim_signature signature;
    struct sim_signature_expected computed;
    struct sim_target parsed;
    snprintf(authorization, sizeof authorization, "SDK-HMAC-SHA256 %s, Signature=%s", credentials, NO_BODY);
    const struct sim_request_header header = {"X-Sdk-Date", date};
    const struct sim_request request = {
        .method = "GET", .target = target, .all_headers = &header, .all_header_count = 1};
    assert_true(sim_target_parse(target, &parsed));
    assert_true(sim_signature_parse(authorization, &signature));
    assert_true(sim_signature_compute(&signature, &request, &parsed, date, "SecretKey", &computed));
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)expected, strlen(expected), hash);
    for (size_t i = 0; i < sizeof hash; i++) {
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    }
    assert_string_equal(computed.canonical_hex, hex);
    sim_signature_finish(&signature);
    sim_target_finish(&parsed);
}

#define ACCESS "Access=A, SignedHeaders=x-sdk-date"
#define CREDENTIAL "Credential=A/20240101/r/s/sdk_request, SignedHeaders=x-sdk-date"
#define REST "\nx-sdk-date:d\n\nx-sdk-date\n" NO_BODY

static void test_compute_access_sorts_and_encodes(void **state)
{
    (void)state;
    /* Source of the long query: test_process_canonical_query_string of the Python SDK v3. */
    assert_canonical(
        ACCESS,
        "/a?limit=1&enable=true&test=%e4%b8%80%20(%26=?!%23%25.*)&path=/tmp/123&multi=3&multi=1&multi=2", "d",
        "GET\n/a/\nenable=true&limit=1&multi=1&multi=2&multi=3&path=%2Ftmp%2F123&"
        "test=%E4%B8%80%20%28%26%3D%3F%21%23%25.%2A%29" REST);
    assert_canonical(ACCESS, "/", "d", "GET\n/\n" REST);
    assert_canonical(ACCESS, "/a/", "d", "GET\n/a/\n" REST);
    assert_canonical(ACCESS, "/a%2fb/~%7e,%20+", "d", "GET\n/a%2Fb/~~%2C%20%2B/\n" REST);
    assert_canonical(ACCESS, "/?", "d", "GET\n/\n" REST);
    assert_canonical(ACCESS, "/?b&&a=&A=1&b=0", "d", "GET\n/\nA=1&a=&b=&b=0" REST);
    assert_canonical(ACCESS, "/", "\t  d \t", "GET\n/\n" REST);
}

static void test_compute_credential_sorts_and_encodes(void **state)
{
    (void)state;
    assert_canonical(CREDENTIAL, "/a%2fb/c%20", "d", "GET\n/a/b/c%20/\n" REST);
    assert_canonical(CREDENTIAL, "/?b=2&A=1&b=1&%2c=%2C", "d", "GET\n/\n%2C=%2C&A=1&b=2" REST);
    assert_canonical(CREDENTIAL, "/", " \t d  e ", "GET\n/\n\nx-sdk-date: d e \n\nx-sdk-date\n" NO_BODY);
}

static void test_parse_other_forms_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "SDK-HMAC-SHA256",
        "SDK-HMAC-SHA256 ",
        "SDK-HMAC-SHA256 Access=A",
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=x-sdk-date",
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=x-sdk-date, Signature=",
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=x-sdk-date, Signature=" NO_BODY "0",
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=x-sdk-date, Signature=" NO_BODY " ",
        "SDK-HMAC-SHA256 Access=A,SignedHeaders=x-sdk-date,Signature=" NO_BODY,
        "SDK-HMAC-SHA256, Access=A, SignedHeaders=x-sdk-date, Signature=" NO_BODY,
        "SDK-HMAC-SHA512 Access=A, SignedHeaders=x-sdk-date, Signature=" NO_BODY,
        "SDK-HMAC-SHA256 Access=, SignedHeaders=x-sdk-date, Signature=" NO_BODY,
        "SDK-HMAC-SHA256 Access=A\xff, SignedHeaders=x-sdk-date, Signature=" NO_BODY,
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=, Signature=" NO_BODY,
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=host, Signature=" NO_BODY,
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=X-Sdk-Date, Signature=" NO_BODY,
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=x-sdk-date;host, Signature=" NO_BODY,
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=host;host;x-sdk-date, Signature=" NO_BODY,
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=x-sdk-date;, Signature=" NO_BODY,
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=a_b;x-sdk-date, Signature=" NO_BODY,
        "SDK-HMAC-SHA256 Credential=A, SignedHeaders=x-sdk-date, Signature=" NO_BODY,
        "SDK-HMAC-SHA256 Credential=A/20240101/sdk_request, SignedHeaders=x-sdk-date, Signature=" NO_BODY,
        "SDK-HMAC-SHA256 Credential=A/2024010///sdk_request, SignedHeaders=x-sdk-date, Signature=" NO_BODY,
        "SDK-HMAC-SHA256 Credential=A/20240101////sdk_request, SignedHeaders=x-sdk-date, Signature=" NO_BODY,
        "SDK-HMAC-SHA256 Credential=/20240101///sdk_request, SignedHeaders=x-sdk-date, Signature=" NO_BODY,
    };
    struct sim_signature signature;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (sim_signature_parse(bad[i], &signature)) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    static const char good[] = "SDK-HMAC-SHA256 Access=A, SignedHeaders=x-sdk-date, Signature=" NO_BODY;
    assert_true(sim_signature_parse(good, &signature));
    sim_signature_finish(&signature);
    sim_signature_finish(&signature);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compute_access_sorts_and_encodes),
        cmocka_unit_test(test_compute_credential_sorts_and_encodes),
        cmocka_unit_test(test_parse_other_forms_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
