#include "upstream/sign.h"

#include "sign_check.h"
#include "upstream/sign_stages.h"

#include <openssl/evp.h>
#include <string.h>

/* ---- libcrypto, refusing on demand: its n-th call from now on, 0 for none ---- */

static int refuse_digest;
static int refuse_mac;

int __real_EVP_Digest(const void *data, size_t count, unsigned char *md, unsigned int *size,
                      const EVP_MD *type, ENGINE *impl);
int __wrap_EVP_Digest(const void *data, size_t count, unsigned char *md, unsigned int *size,
                      const EVP_MD *type, ENGINE *impl);
int __wrap_EVP_Digest(const void *data, size_t count, unsigned char *md, unsigned int *size,
                      const EVP_MD *type, ENGINE *impl)
{
    if (refuse_digest > 0 && --refuse_digest == 0)
        return 0;
    return __real_EVP_Digest(data, count, md, size, type, impl);
}

unsigned char *__real_EVP_Q_mac(OSSL_LIB_CTX *libctx, const char *name, const char *propq, const char *subalg,
                                const OSSL_PARAM *params, const void *key, size_t keylen,
                                const unsigned char *data, size_t datalen, unsigned char *out, size_t outsize,
                                size_t *outlen);
unsigned char *__wrap_EVP_Q_mac(OSSL_LIB_CTX *libctx, const char *name, const char *propq, const char *subalg,
                                const OSSL_PARAM *params, const void *key, size_t keylen,
                                const unsigned char *data, size_t datalen, unsigned char *out, size_t outsize,
                                size_t *outlen);
unsigned char *__wrap_EVP_Q_mac(OSSL_LIB_CTX *libctx, const char *name, const char *propq, const char *subalg,
                                const OSSL_PARAM *params, const void *key, size_t keylen,
                                const unsigned char *data, size_t datalen, unsigned char *out, size_t outsize,
                                size_t *outlen)
{
    if (refuse_mac > 0 && --refuse_mac == 0)
        return NULL;
    return __real_EVP_Q_mac(libctx, name, propq, subalg, params, key, keylen, data, datalen, out, outsize,
                            outlen);
}

/* ---- Which headers ---- */

static void test_sign_token_and_project_are_signed_in_access_only(void **state)
{
    struct fixture *fixture = *state;
    struct br_sign_key key = {.access_key = "AK", .secret_key = "SK", .security_token = "TOKEN"};
    struct br_header content_type = {.name = "CONTENT-TYPE", .value = "application/json"};
    struct br_sign_request request = get_request("https://h/p");
    request.headers = (struct br_headers){.items = &content_type, .count = 1};
    request.project_id = "p1";
    static const char *const names[] = {
        [BR_SIGN_ACCESS] = "SignedHeaders=content-type;host;x-project-id;x-sdk-date;x-security-token,",
        [BR_SIGN_CREDENTIAL] = "SignedHeaders=content-type;host;x-sdk-date,",
    };
    for (enum br_sign_dialect dialect = BR_SIGN_ACCESS; dialect <= BR_SIGN_CREDENTIAL; dialect++) {
        struct br_headers out;
        assert_true(br_sign(&key, dialect, &request, &fixture->arena, &out, &fixture->st));
        assert_int_equal(out.count, 4);
        assert_string_equal(out.items[0].name, "X-Sdk-Date");
        assert_string_equal(out.items[0].value, "20240101T000000Z");
        assert_string_equal(out.items[1].name, "X-Project-Id");
        assert_string_equal(out.items[1].value, "p1");
        assert_string_equal(out.items[2].name, "X-Security-Token");
        assert_string_equal(out.items[2].value, "TOKEN");
        assert_string_equal(out.items[3].name, "Authorization");
        assert_non_null(strstr(out.items[3].value, names[dialect]));
        /* Copies: the credential may be replaced while the request is on its way. */
        assert_ptr_not_equal(out.items[1].value, request.project_id);
        assert_ptr_not_equal(out.items[2].value, key.security_token);
    }
}

static void test_sign_empty_token_and_project_are_none(void **state)
{
    struct fixture *fixture = *state;
    struct br_sign_key key = plain_key;
    key.security_token = "";
    struct br_sign_request request = get_request("https://" OTC_HOST LOGS_PATH);
    request.project_id = "";
    struct br_headers out;
    assert_true(br_sign(&key, BR_SIGN_ACCESS, &request, &fixture->arena, &out, &fixture->st));
    assert_int_equal(out.count, 2);
    assert_non_null(
        strstr(out.items[1].value, "04121eaed51049975cc4ba6e54ad517ecf954e737fe7c3aa2840f05c0763e4cd"));
}

static void test_sign_credential_scope_names_region_and_service(void **state)
{
    struct br_sign_request request = get_request("https://h/p");
    request.region = "eu-de";
    request.service = "modelarts";
    const char *value = authorization_of(*state, &plain_key, BR_SIGN_CREDENTIAL, &request);
    assert_non_null(strstr(value, " Credential=AccessKey/20240101/eu-de/modelarts/sdk_request, "));
}

/* ---- The host ---- */

/* The signature tells whether two requests have the same canonical form. */
static void expect_signed_alike(struct fixture *fixture, const char *url, const char *other, bool alike)
{
    struct br_sign_request a = get_request(url);
    struct br_sign_request b = get_request(other);
    const char *left = authorization_of(fixture, &plain_key, BR_SIGN_ACCESS, &a);
    const char *right = authorization_of(fixture, &plain_key, BR_SIGN_ACCESS, &b);
    assert_int_equal(strcmp(left, right) == 0, alike);
}

static void test_sign_default_port_is_not_signed(void **state)
{
    expect_signed_alike(*state, "https://h/p", "https://h:443/p", true);
    expect_signed_alike(*state, "https://h/p", "https://h:0443/p", true);
    expect_signed_alike(*state, "https://h/p", "https://h:/p", true);
    expect_signed_alike(*state, "https://h?a", "https://h:443?a", true);
    expect_signed_alike(*state, "http://h/p", "http://h:80/p", true);
    expect_signed_alike(*state, "http://[::1]/p", "http://[::1]:80/p", true);
    /* No scheme is signed, so these differ in nothing else than the host. */
    expect_signed_alike(*state, "http://h/p", "https://h:443/p", true);
}

static void test_sign_other_port_is_signed(void **state)
{
    expect_signed_alike(*state, "https://h/p", "https://h:80/p", false);
    expect_signed_alike(*state, "http://h/p", "http://h:443/p", false);
    expect_signed_alike(*state, "https://h/p", "https://h:4433/p", false);
    expect_signed_alike(*state, "https://h/p", "https://h:44/p", false);
    expect_signed_alike(*state, "https://h:8443/p", "http://h:08443/p", true);
    expect_signed_alike(*state, "https://[::1]/p", "https://[::1]:80/p", false);
    expect_signed_alike(*state, "https://[::1]/p", "https://[::2]/p", false);
    expect_signed_alike(*state, "https://h/p", "https://H/p", false);
}

/* What stands on the host line, by a signature over it. */
static void expect_host(struct fixture *fixture, const char *url, const char *host)
{
    struct br_sign_request request = get_request(url);
    struct br_header items[] = {{.name = "host", .value = host},
                                {.name = "x-sdk-date", .value = "20240101T000000Z"}};
    struct br_headers headers = {.items = items, .count = 2};
    struct br_sign_canonical canonical;
    const char *string;
    char signature[BR_SIGN_HEX_CAP];
    assert_true(br_sign_build_canonical(BR_SIGN_ACCESS, &request, &headers, &fixture->arena, &canonical,
                                        &fixture->st));
    assert_true(br_sign_build_string("20240101T000000Z", NULL, canonical.text, &fixture->arena, &string,
                                     &fixture->st));
    assert_true(br_sign_compute("SecretKey", strlen("SecretKey"), string, signature, &fixture->st));
    assert_non_null(strstr(authorization_of(fixture, &plain_key, BR_SIGN_ACCESS, &request), signature));
}

/* The right-hand sides are what libcurl 7.88 was seen to send. */
static void test_sign_host_is_as_libcurl_sends_it(void **state)
{
    expect_host(*state, "http://h.example.com:80/", "h.example.com");
    expect_host(*state, "http://h.example.com:8080/", "h.example.com:8080");
    expect_host(*state, "http://H.Example.COM/", "H.Example.COM");
    expect_host(*state, "http://h.example.com./a", "h.example.com.");
    expect_host(*state, "http://h.example.com:/a", "h.example.com");
    expect_host(*state, "http://h.example.com:0443/a", "h.example.com:443");
    expect_host(*state, "http://h.example.com:443", "h.example.com:443");
    expect_host(*state, "http://[::1]:80/", "[::1]");
    expect_host(*state, "http://[::1]:8080/", "[::1]:8080");
    expect_host(*state, "http://[2001:DB8::A]:080/", "[2001:DB8::A]");
    expect_host(*state, "http://h.example.com?x=1:2", "h.example.com");
    expect_host(*state, "http://h.example.com/a:81", "h.example.com");
}

/* ---- The time ---- */

static void test_sign_unwritable_year_signing_failed(void **state)
{
    struct fixture *fixture = *state;
    static const int64_t bad[] = {-1, INT64_MIN, INT64_C(253402300800), INT64_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct br_sign_request request = get_request("https://h/p");
        request.unix_s = bad[i];
        struct br_headers out = {.count = 99};
        assert_false(br_sign(&plain_key, BR_SIGN_ACCESS, &request, &fixture->arena, &out, &fixture->st));
        assert_int_equal(fixture->st.code, BR_INTERNAL);
        assert_string_equal(fixture->st.reason, "SIGNING_FAILED");
        assert_int_equal(out.count, 99);
    }
}

static void test_sign_scope_day_follows_the_time(void **state)
{
    struct br_sign_request request = get_request("https://h/p");
    request.unix_s = NEW_YEAR_2024 - 1;
    assert_non_null(strstr(authorization_of(*state, &plain_key, BR_SIGN_CREDENTIAL, &request),
                           "/20231231///sdk_request,"));
    request.unix_s = NEW_YEAR_2024;
    assert_non_null(strstr(authorization_of(*state, &plain_key, BR_SIGN_CREDENTIAL, &request),
                           "/20240101///sdk_request,"));
}

/* ---- The body ---- */

static void test_sign_body_is_hashed_to_its_last_byte(void **state)
{
    struct fixture *fixture = *state;
    struct br_sign_request request = get_request("https://h/p");
    request.verb = "PUT";
    const char *none = authorization_of(fixture, &plain_key, BR_SIGN_ACCESS, &request);
    request.body = "a\0b";
    assert_string_equal(authorization_of(fixture, &plain_key, BR_SIGN_ACCESS, &request), none);
    request.body_len = 1;
    const char *one = authorization_of(fixture, &plain_key, BR_SIGN_ACCESS, &request);
    request.body_len = 3;
    const char *three = authorization_of(fixture, &plain_key, BR_SIGN_ACCESS, &request);
    assert_string_not_equal(one, none);
    assert_string_not_equal(three, one);
}

/* ---- Failures, secrets ---- */

static const char secret[] = "ThisIsTheSecretKeyOfTheTest";

static struct br_sign_request full_request(void)
{
    struct br_sign_request request = get_request("https://h:8443/p/q?b=2&a=1&a=0");
    static struct br_header content_type = {.name = "Content-Type", .value = "application/json"};
    request.headers = (struct br_headers){.items = &content_type, .count = 1};
    request.project_id = "p1";
    request.region = "eu-de";
    request.service = "modelarts";
    return request;
}

static const struct br_sign_key full_key = {
    .access_key = "AK", .secret_key = secret, .security_token = "TheTokenOfTheTest"};

static void expect_refused(const struct br_status *st)
{
    assert_int_equal(st->code, BR_INTERNAL);
    assert_string_equal(st->reason, "SIGNING_FAILED");
    assert_null(strstr(st->msg, secret));
    assert_null(strstr(st->msg, full_key.security_token));
}

static void test_sign_libcrypto_refuses_signing_failed(void **state)
{
    struct fixture *fixture = *state;
    struct br_sign_request request = full_request();
    static const int macs[] = {[BR_SIGN_ACCESS] = 1, [BR_SIGN_CREDENTIAL] = 5};
    for (enum br_sign_dialect dialect = BR_SIGN_ACCESS; dialect <= BR_SIGN_CREDENTIAL; dialect++) {
        struct br_headers out = {.count = 99};
        for (int n = 1; n <= 2; n++) {
            refuse_digest = n;
            assert_false(br_sign(&full_key, dialect, &request, &fixture->arena, &out, &fixture->st));
            expect_refused(&fixture->st);
        }
        for (int n = 1; n <= macs[dialect]; n++) {
            refuse_mac = n;
            assert_false(br_sign(&full_key, dialect, &request, &fixture->arena, &out, &fixture->st));
            expect_refused(&fixture->st);
        }
        assert_int_equal(out.count, 99);
        refuse_digest = 3;
        refuse_mac = macs[dialect] + 1;
        assert_true(br_sign(&full_key, dialect, &request, &fixture->arena, &out, &fixture->st));
        refuse_digest = 0;
        refuse_mac = 0;
    }
}

static void test_sign_every_allocation_fails_out_of_memory(void **state)
{
    struct fixture *fixture = *state;
    struct br_sign_request request = full_request();
    for (enum br_sign_dialect dialect = BR_SIGN_ACCESS; dialect <= BR_SIGN_CREDENTIAL; dialect++) {
        /* The arena counts in units of its alignment: each step lets at most one more allocation through. */
        size_t limit = 0;
        bool done = false;
        while (!done) {
            struct br_arena arena;
            struct br_headers out = {.count = 99};
            br_arena_init(&arena, limit);
            done = br_sign(&full_key, dialect, &request, &arena, &out, &fixture->st);
            if (!done) {
                assert_int_equal(fixture->st.code, BR_RESOURCE_EXHAUSTED);
                assert_string_equal(fixture->st.reason, "OUT_OF_MEMORY");
                assert_int_equal(out.count, 99);
                limit += _Alignof(max_align_t);
            } else {
                assert_int_equal(arena.used_bytes, limit);
            }
            br_arena_finish(&arena);
        }
        assert_in_range(limit, 1000, 10000);
    }
}

static bool holds(const char *begin, const char *end, const char *text)
{
    size_t len = strlen(text);
    for (; begin + len <= end; begin++) {
        if (memcmp(begin, text, len) == 0)
            return true;
    }
    return false;
}

static void test_sign_leaves_no_copy_of_the_secret(void **state)
{
    struct fixture *fixture = *state;
    struct br_sign_request request = full_request();
    /* Short, so that all stands in one block of the arena, between two marks: the block after a large one has room. */
    request.url = "https://h/p";
    assert_non_null(br_arena_alloc(&fixture->arena, 4096));
    size_t before = fixture->arena.used_bytes;
    const char *begin = br_arena_alloc(&fixture->arena, 16);
    struct br_headers out;
    assert_true(br_sign(&full_key, BR_SIGN_CREDENTIAL, &request, &fixture->arena, &out, &fixture->st));
    refuse_mac = 2;
    assert_false(br_sign(&full_key, BR_SIGN_CREDENTIAL, &request, &fixture->arena, &out, &fixture->st));
    const char *end = br_arena_alloc(&fixture->arena, 16);
    assert_int_equal(end + 16 - begin, fixture->arena.used_bytes - before);
    assert_true(holds(begin, end, full_key.security_token));
    assert_false(holds(begin, end, secret + 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sign_token_and_project_are_signed_in_access_only),
        TEST(test_sign_empty_token_and_project_are_none),
        TEST(test_sign_credential_scope_names_region_and_service),
        TEST(test_sign_default_port_is_not_signed),
        TEST(test_sign_other_port_is_signed),
        TEST(test_sign_host_is_as_libcurl_sends_it),
        TEST(test_sign_unwritable_year_signing_failed),
        TEST(test_sign_scope_day_follows_the_time),
        TEST(test_sign_body_is_hashed_to_its_last_byte),
        TEST(test_sign_libcrypto_refuses_signing_failed),
        TEST(test_sign_every_allocation_fails_out_of_memory),
        TEST(test_sign_leaves_no_copy_of_the_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
