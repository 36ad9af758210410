/* Tests of the signatures' verifier against published vectors, and of the gateway's rules around it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "aksk.h"
#include "alloc.h"
#include "signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS_MAX 5
#define PROJECT "0123456789abcdef0123456789abcdef"
#define C1_TARGET "/v1/" PROJECT "/services/195c1f2d-136d-40af-a0f3-db5717d2634a/logs"
#define SECRET "SecretKey"

struct fake_clock {
    struct br_clock base;
    int64_t now_ms, unix_s;
};

static struct fake_clock clock_now;

static int64_t read_now(const struct br_clock *self)
{
    return ((const struct fake_clock *)(const void *)self)->now_ms * 1000;
}

static int64_t read_unix(const struct br_clock *self)
{
    return ((const struct fake_clock *)(const void *)self)->unix_s;
}

/* SHA-256 of no bytes. */
#define NO_BODY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* A signed request, and when it was signed. */
struct vector {
    const char *name, *access_key, *secret_key, *method, *target, *body;
    struct sim_request_header headers[HEADERS_MAX];
    const char *credentials, *signature;
    const char *canonical_hex; /* NULL: the source does not give it */
    int64_t unix_s;
};

/*
 * Source: D1 API Request Signing Guide; P1, P2 test_signer.py of the Python SDK v3; G1, G2 signer_test.go of
 * the Go SDK v3. C1 was computed by an implementation that agrees with all of these.
 */
static const struct vector vectors[] = {
    {
        .name = "D1",
        .access_key = "QTWAOYTTINDUT2QVKYUC",
        .secret_key = "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc",
        .method = "GET",
        .target =
            "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs?marker=13551d6b-755d-4757-b956-536f674975c0&limit=2",
        .headers = {{"Content-Type", "application/json"},
                    {"Host", "service.region.example.com"},
                    {"X-Sdk-Date", "20191115T033655Z"}},
        .credentials = "Access=QTWAOYTTINDUT2QVKYUC, SignedHeaders=content-type;host;x-sdk-date",
        .signature = "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe",
        .canonical_hex = "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a",
        .unix_s = 1573789015,
    },
    {
        .name = "P1",
        .access_key = "AccessKey",
        .secret_key = SECRET,
        .method = "GET",
        .target = "/resources?size=1",
        .headers = {{"TEST_UNDERSCORE", "TEST_VALUE"},
                    {"Host", "service.endpoint.myhuaweicloud.com"},
                    {"X-Sdk-Date", "20200608T023900Z"}},
        .credentials = "Access=AccessKey, SignedHeaders=host;x-sdk-date",
        .signature = "cfb4171acec81de07d50e53d57eb77edd537414d66ddb1d7d780f128e12cd842",
        .canonical_hex = "de94dd1e1ccdb730b403ce35d7e14f7c7b04337f6def1c3a3a2ba936852b133f",
        .unix_s = 1591583940,
    },
    {
        .name = "P2",
        .access_key = "AccessKey",
        .secret_key = SECRET,
        .method = "POST",
        .target = "/resources?size=1",
        .body = "{\"name\":\"test\",\"id\":1}",
        .headers = {{"Host", "service.endpoint.myhuaweicloud.com"}, {"X-Sdk-Date", "20200608T023900Z"}},
        .credentials = "Access=AccessKey, SignedHeaders=host;x-sdk-date",
        .signature = "436b1ac0a1ae03705934bb70ef2f2e09f7bfed2117d731a38235053199323a1f",
        .canonical_hex = "2b1b2515e48cb55e043ff2ec5b93d3f13ec287e1da1d7a2e4e14b0611a341969",
        .unix_s = 1591583940,
    },
    {
        .name = "G1",
        .access_key = "AccessKey",
        .secret_key = SECRET,
        .method = "GET",
        .target = "/path?limit=1",
        .headers = {{"X-Sdk-Date", "20060102T150405Z"}},
        .credentials = "Access=AccessKey, SignedHeaders=x-sdk-date",
        .signature = "5a2ce64c865e0e6046321c6f3d5a77ba8413eeaf355c3166c03d58d02ac79624",
        .canonical_hex = "85c3b7730f308aee452b16138a42a914397e43a8f0d732dfa521c0ef2afa98a4",
        .unix_s = 1136214245,
    },
    {
        .name = "G2",
        .access_key = "AccessKey",
        .secret_key = SECRET,
        .method = "POST",
        .target = "/path?key=value",
        .body = "{\"Name\":\"test\",\"Id\":1}\n",
        .headers = {{"Content-Type", "application/json"}, {"X-Sdk-Date", "20060102T150405Z"}},
        .credentials = "Access=AccessKey, SignedHeaders=x-sdk-date",
        .signature = "cecc2af119b18ab70b4d094c0750f3b42c02f254903179a0fc2cc72fc9db4f59",
        .canonical_hex = "13f75ff5f5216199f986c7e7f2f77834d5e160ad9e46f37319816dc72ba7eeab",
        .unix_s = 1136214245,
    },
    {
        .name = "C1",
        .access_key = "AccessKey",
        .secret_key = SECRET,
        .method = "GET",
        .target = C1_TARGET,
        .headers = {{"Host", "modelarts.eu-de.otc.t-systems.com"},
                    {"X-Project-Id", PROJECT},
                    {"X-Sdk-Date", "20240101T000000Z"}},
        .credentials = "Access=AccessKey, SignedHeaders=host;x-project-id;x-sdk-date",
        .signature = "7d5a5268069e07c6ab7f40f98520debdf09463b6753daf95d32e5d1de28a0a7a",
        .canonical_hex = "fe0ded4e5fb6b7f11ef25b9d7a60aa1ad31296362ba5fe89229e76ce6df60a1d",
        .unix_s = 1704067200,
    },
    {
        .name = "C1, fewer headers",
        .access_key = "AccessKey",
        .secret_key = SECRET,
        .method = "GET",
        .target = C1_TARGET,
        .headers = {{"Host", "modelarts.eu-de.otc.t-systems.com"}, {"X-Sdk-Date", "20240101T000000Z"}},
        .credentials = "Access=AccessKey, SignedHeaders=host;x-sdk-date",
        .signature = "04121eaed51049975cc4ba6e54ad517ecf954e737fe7c3aa2840f05c0763e4cd",
        .unix_s = 1704067200,
    },
    {
        .name = "C1, Credential=",
        .access_key = "AccessKey",
        .secret_key = SECRET,
        .method = "GET",
        .target = C1_TARGET,
        .headers = {{"Host", "modelarts.eu-de.otc.t-systems.com"},
                    {"X-Project-Id", PROJECT},
                    {"X-Sdk-Date", "20240101T000000Z"}},
        .credentials = "Credential=AccessKey/20240101///sdk_request, SignedHeaders=host;x-sdk-date",
        .signature = "511124a5d025581fe70c3533900e655369f941da60bc4feb560ad4840925a654",
        .unix_s = 1704067200,
    },
};

#define VECTOR_COUNT (sizeof vectors / sizeof vectors[0])
#define C1_CREDENTIAL (VECTOR_COUNT - 1)

/* A vector made a request, with room for the Authorization header. */
struct signed_request {
    struct sim_request request;
    struct sim_request_header headers[HEADERS_MAX + 3]; /* more may follow */
    char authorization[512];
};

static void make_request(const struct vector *vector, const char *signature, struct signed_request *out)
{
    *out = (struct signed_request){0};
    size_t count = 0;
    for (; count < HEADERS_MAX && vector->headers[count].name != NULL; count++) {
        out->headers[count] = vector->headers[count];
    }
    snprintf(out->authorization, sizeof out->authorization, "SDK-HMAC-SHA256 %s, Signature=%s",
             vector->credentials, signature);
    out->headers[count++] = (struct sim_request_header){"Authorization", out->authorization};
    out->request = (struct sim_request){
        .method = vector->method,
        .target = vector->target,
        .all_headers = out->headers,
        .all_header_count = count,
        .body = vector->body,
        .body_len = vector->body != NULL ? strlen(vector->body) : 0,
    };
}

static struct sim_aksk aksk_for(const struct vector *vector)
{
    clock_now = (struct fake_clock){
        .base = {.now_us = read_now, .unix_s = read_unix}, .now_ms = 1000, .unix_s = vector->unix_s};
    return (struct sim_aksk){
        .clock = &clock_now.base,
        .access_key = vector->access_key,
        .secret_key = vector->secret_key,
        .lock_ms = 300000,
    };
}

static bool check(struct sim_aksk *aksk, const struct sim_request *request, struct sim_refusal *refusal)
{
    struct sim_target target;
    *refusal = (struct sim_refusal){0};
    assert_true(sim_target_parse(request->target, &target));
    bool ok = sim_aksk_check(aksk, request, &target, refusal);
    sim_target_finish(&target);
    if (!ok) {
        assert_int_equal(refusal->http_status, 401);
        assert_string_equal(refusal->code, "APIGW.0301");
    }
    return ok;
}

/* The refusal's message behind what all of them begin with; "": accepted. */
static const char *reason(struct sim_aksk *aksk, const struct sim_request *request)
{
    static const char prefix[] = "Incorrect IAM authentication information: ";
    static struct sim_refusal refusal;
    if (check(aksk, request, &refusal)) {
        return "";
    }
    assert_memory_equal(refusal.message, prefix, sizeof prefix - 1);
    return refusal.message + sizeof prefix - 1;
}

/* Whether a change of |request| is noticed. */
static bool is_refused(const struct vector *vector, const struct sim_request *request)
{
    struct sim_aksk aksk = aksk_for(vector);
    return strcmp(reason(&aksk, request), "verify aksk signature fail") == 0;
}

static void test_check_vectors_are_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        struct signed_request made;
        struct sim_aksk aksk = aksk_for(&vectors[i]);
        make_request(&vectors[i], vectors[i].signature, &made);
        if (reason(&aksk, &made.request)[0] != '\0') {
            fail_msg("%s is refused", vectors[i].name);
        }
    }
}

static void test_check_wrong_signature_names_the_canonical_request(void **state)
{
    (void)state;
    static const char wrong[] = "0000000000000000000000000000000000000000000000000000000000000000";
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        struct signed_request made;
        struct sim_refusal refusal;
        struct sim_aksk aksk = aksk_for(&vectors[i]);
        make_request(&vectors[i], wrong, &made);
        assert_false(check(&aksk, &made.request, &refusal));
        assert_null(strstr(refusal.detail, vectors[i].signature));
        if (vectors[i].canonical_hex != NULL && strstr(refusal.detail, vectors[i].canonical_hex) == NULL) {
            fail_msg("%s: %s", vectors[i].name, refusal.detail);
        }
    }
}

/* Each bit of |text|, one at a time. */
static void flip_each_bit(const struct vector *vector, const struct sim_request *request, char *text)
{
    for (size_t bit = 0; bit < 7 * strlen(text); bit++) {
        char *at = &text[bit / 7];
        *at = (char)(*at ^ 1 << bit % 7);
        /* A NUL would end the text; a path that cannot be decoded does not come this far. */
        if (*at != '\0' && *at != '%' && !is_refused(vector, request)) {
            fail_msg("%s: accepted with a bit flipped: %s", vector->name, text);
        }
        *at = (char)(*at ^ 1 << bit % 7);
    }
}

static void test_check_one_bit_flipped_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        const struct vector *vector = &vectors[i];
        struct signed_request made;
        make_request(vector, vector->signature, &made);
        flip_each_bit(vector, &made.request, strstr(made.authorization, "Signature=") + strlen("Signature="));

        char *target = sim_strdup(vector->target), *method = sim_strdup(vector->method);
        made.request.target = target;
        /* The first '/' is what makes it a path. */
        flip_each_bit(vector, &made.request, target + 1);
        made.request.method = method;
        flip_each_bit(vector, &made.request, method);
        free(target);
        free(method);

        make_request(vector, vector->signature, &made);
        char *body = sim_strdup(vector->body != NULL ? vector->body : "x");
        made.request.body = body;
        made.request.body_len = strlen(body);
        flip_each_bit(vector, &made.request, body);
        free(body);
    }
}

static bool is_listed(const struct vector *vector, const char *name)
{
    char lower[64];
    size_t len = strlen(name);
    for (size_t i = 0; i <= len; i++) {
        lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 'a' - 'A' : name[i]);
    }
    return strstr(strstr(vector->credentials, "SignedHeaders="), lower) != NULL;
}

static void test_check_signed_header_changed_missing_or_repeated_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        const struct vector *vector = &vectors[i];
        for (size_t h = 0; h < HEADERS_MAX && vector->headers[h].name != NULL; h++) {
            struct signed_request made;
            const struct sim_request_header *old = &vector->headers[h];
            const bool listed = is_listed(vector, old->name);
            make_request(vector, vector->signature, &made);
            made.headers[h].value = "other";
            assert_int_equal(is_refused(vector, &made.request), listed);
            made.headers[h].name = "X-Gone";
            assert_int_equal(is_refused(vector, &made.request), listed);
            made.headers[h] = *old;
            struct sim_request_header twice[HEADERS_MAX + 4];
            memcpy(twice, made.headers, sizeof made.headers);
            twice[made.request.all_header_count++] = *old;
            made.request.all_headers = twice;
            assert_int_equal(is_refused(vector, &made.request), listed);
        }
    }
}

static void test_compute_query_that_cannot_be_decoded_is_refused(void **state)
{
    (void)state;
    static const char *const targets[] = {"/?a=%", "/?%zz=1", "/?a=%00", "/a/b/c/d/e/f/g/h/i"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct signed_request made;
        make_request(&vectors[C1_CREDENTIAL], vectors[C1_CREDENTIAL].signature, &made);
        made.request.target = targets[i];
        assert_true(is_refused(&vectors[C1_CREDENTIAL], &made.request));
    }
}

/* A request for C1 with its own date, signed rightly. */
static void make_dated(const char *date, struct signed_request *out)
{
    struct vector vector = vectors[C1_CREDENTIAL - 1];
    struct sim_signature signature;
    struct sim_signature_expected expected;
    struct sim_target target;
    vector.headers[1].value = date;
    make_request(&vector, vector.signature, out);
    assert_true(sim_target_parse(vector.target, &target));
    assert_true(sim_signature_parse(out->authorization, &signature));
    assert_true(sim_signature_compute(&signature, &out->request, &target, date, SECRET, &expected));
    sim_signature_finish(&signature);
    sim_target_finish(&target);
    make_request(&vector, expected.hex, out);
}

static void test_check_date_holds_for_15_minutes_either_way(void **state)
{
    (void)state;
    const struct vector *vector = &vectors[C1_CREDENTIAL];
    struct signed_request made;
    struct sim_aksk aksk = aksk_for(vector);
    make_request(vector, vector->signature, &made);
    clock_now.unix_s = vector->unix_s + 900;
    assert_string_equal(reason(&aksk, &made.request), "");
    clock_now.unix_s = vector->unix_s - 900;
    assert_string_equal(reason(&aksk, &made.request), "");
    clock_now.unix_s = vector->unix_s + 901;
    assert_string_equal(reason(&aksk, &made.request),
                        "signature expired, signature time:20240101T000000Z,server time:20240101T001501Z");
    clock_now.unix_s = vector->unix_s - 901;
    assert_string_equal(reason(&aksk, &made.request),
                        "signature expired, signature time:20240101T000000Z,server time:20231231T234459Z");
}

static void test_check_date_in_another_form_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "20240101T000000",
        "20240101T000000z",
        "20240101 000000Z",
        "2024-01-01T00:00Z",
        "20240132T000000Z",
        "20240101T240000Z",
        "20240101T000060Z",
        "20240230T000000Z",
        "2024010T0000000Z",
        "Mon, 01 Jan 2024 00:00:00",
        "+0240101T000000Z",
    };
    struct signed_request made;
    struct sim_aksk aksk = aksk_for(&vectors[C1_CREDENTIAL - 1]);
    make_dated("20240101T000000Z", &made);
    assert_string_equal(reason(&aksk, &made.request), "");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        aksk = aksk_for(&vectors[C1_CREDENTIAL - 1]);
        make_dated(bad[i], &made);
        if (strcmp(reason(&aksk, &made.request), "verify aksk signature fail") != 0) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
}

static void test_check_scope_of_another_day_is_refused(void **state)
{
    (void)state;
    struct vector vector = vectors[C1_CREDENTIAL];
    struct signed_request made;
    struct sim_refusal refusal;
    struct sim_aksk aksk = aksk_for(&vector);
    vector.credentials = "Credential=AccessKey/20231231///sdk_request, SignedHeaders=host;x-sdk-date";
    make_request(&vector, vector.signature, &made);
    assert_false(check(&aksk, &made.request, &refusal));
    assert_string_equal(refusal.detail, "the scope has another day than X-Sdk-Date");
}

static void test_check_unknown_key_is_named(void **state)
{
    (void)state;
    struct signed_request made;
    struct sim_aksk aksk = aksk_for(&vectors[0]);
    make_request(&vectors[1], vectors[1].signature, &made);
    for (int i = 0; i < 3 * SIM_AKSK_FAILURES_MAX; i++) {
        assert_string_equal(reason(&aksk, &made.request), "ak AccessKey not exist");
    }
}

static void test_check_lock_comes_after_six_failures_and_ends(void **state)
{
    (void)state;
    static const char fail[] = "verify aksk signature fail";
    static const char locked[] = "AK access failed to reach the limit,forbidden";
    const struct vector *vector = &vectors[C1_CREDENTIAL];
    struct signed_request good, bad;
    struct sim_aksk aksk = aksk_for(vector);
    make_request(vector, vector->signature, &good);
    make_request(vector, vectors[0].signature, &bad);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5; i++) {
            assert_string_equal(reason(&aksk, &bad.request), fail);
        }
        /* Five are forgiven by a success, six are not. */
        assert_string_equal(reason(&aksk, &good.request), "");
    }
    for (int i = 0; i < 6; i++) {
        assert_string_equal(reason(&aksk, &bad.request), fail);
    }
    assert_string_equal(reason(&aksk, &good.request), locked);
    assert_string_equal(reason(&aksk, &bad.request), locked);
    clock_now.now_ms += aksk.lock_ms - 1;
    assert_string_equal(reason(&aksk, &good.request), locked);
    clock_now.now_ms += 1;
    assert_string_equal(reason(&aksk, &bad.request), fail);
    assert_string_equal(reason(&aksk, &good.request), "");
}

static void test_check_security_token_must_be_there(void **state)
{
    (void)state;
    const struct vector *vector = &vectors[C1_CREDENTIAL];
    struct signed_request made;
    struct sim_aksk aksk = aksk_for(vector);
    aksk.security_token = "st-1";
    make_request(vector, vector->signature, &made);
    assert_string_equal(reason(&aksk, &made.request), "the security token is invalid");
    struct sim_request_header *header = &made.headers[made.request.all_header_count++];
    *header = (struct sim_request_header){"x-security-token", "st-2"};
    assert_string_equal(reason(&aksk, &made.request), "the security token is invalid");
    header->value = "st-1";
    assert_string_equal(reason(&aksk, &made.request), "");
}

static void test_check_declared_hash_stands_for_the_body(void **state)
{
    (void)state;
    struct signed_request made;
    struct vector vector = vectors[1];
    make_request(&vector, vector.signature, &made);
    made.request.body = "another body";
    made.request.body_len = strlen(made.request.body);
    assert_true(is_refused(&vector, &made.request));
    made.headers[made.request.all_header_count++] =
        (struct sim_request_header){"X-Sdk-Content-Sha256", NO_BODY};
    assert_false(is_refused(&vector, &made.request));
}

static void test_check_two_authorizations_are_refused(void **state)
{
    (void)state;
    const struct vector *vector = &vectors[C1_CREDENTIAL];
    struct signed_request made;
    make_request(vector, vector->signature, &made);
    assert_true(sim_aksk_is_signed(&made.request));
    made.headers[made.request.all_header_count] = made.headers[made.request.all_header_count - 1];
    made.request.all_header_count++;
    assert_true(is_refused(vector, &made.request));
    made.headers[made.request.all_header_count - 2].value = "Basic eA==";
    assert_false(sim_aksk_is_signed(&made.request));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_vectors_are_accepted),
        cmocka_unit_test(test_check_wrong_signature_names_the_canonical_request),
        cmocka_unit_test(test_check_one_bit_flipped_is_refused),
        cmocka_unit_test(test_check_signed_header_changed_missing_or_repeated_is_refused),
        cmocka_unit_test(test_compute_query_that_cannot_be_decoded_is_refused),
        cmocka_unit_test(test_check_date_holds_for_15_minutes_either_way),
        cmocka_unit_test(test_check_date_in_another_form_is_refused),
        cmocka_unit_test(test_check_scope_of_another_day_is_refused),
        cmocka_unit_test(test_check_unknown_key_is_named),
        cmocka_unit_test(test_check_lock_comes_after_six_failures_and_ends),
        cmocka_unit_test(test_check_security_token_must_be_there),
        cmocka_unit_test(test_check_declared_hash_stands_for_the_body),
        cmocka_unit_test(test_check_two_authorizations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
