#include "upstream/sign_stages.h"

#include "sign_check.h"

#include <string.h>

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HOST "service.endpoint.myhuaweicloud.com"

static const char *canonical_with(struct fixture *fixture, enum br_sign_dialect dialect,
                                  const struct br_sign_request *request, const char *content_type)
{
    struct br_header header = {.name = "content-type", .value = content_type};
    struct br_headers headers = {.items = &header, .count = content_type != NULL};
    struct br_sign_canonical canonical;
    assert_true(
        br_sign_build_canonical(dialect, request, &headers, &fixture->arena, &canonical, &fixture->st));
    return canonical.text;
}

/* Line |number|, from 1, of the canonical request. */
static char *canonical_line(struct fixture *fixture, enum br_sign_dialect dialect,
                            const struct br_sign_request *request, int number)
{
    const char *text = canonical_with(fixture, dialect, request, NULL);
    for (; number > 1; number--)
        text = strchr(text, '\n') + 1;
    char *line = br_arena_strndup(&fixture->arena, text, strcspn(text, "\n"));
    assert_non_null(line);
    return line;
}

static void expect_path(struct fixture *fixture, const char *url, const char *expected)
{
    struct br_sign_request request = get_request(url);
    assert_string_equal(canonical_line(fixture, BR_SIGN_ACCESS, &request, 2), expected);
    assert_string_equal(canonical_line(fixture, BR_SIGN_CREDENTIAL, &request, 2), expected);
}

static void expect_query(struct fixture *fixture, enum br_sign_dialect dialect, const char *query,
                         const char *expected)
{
    char *url = br_arena_printf(&fixture->arena, "https://h/p?%s", query);
    assert_non_null(url);
    struct br_sign_request request = get_request(url);
    assert_string_equal(canonical_line(fixture, dialect, &request, 3), expected);
}

/* ---- Published vectors, stage by stage ---- */

struct vector {
    struct br_sign_key key;
    struct br_sign_request request;
    struct br_header signed_headers[3]; /* until a NULL name */
    const char *date;
    const char *canonical;
    const char *hash;
    const char *signed_names;
    const char *signature;
    bool is_host_signed; /* else no request through br_sign() can give it */
};

static struct br_header json_and_unsigned[] = {{.name = "TEST_UNDERSCORE", .value = "TEST_VALUE"},
                                               {.name = "Content-Type", .value = "application/json"}};

/* API Request Signing Guide, devg-apisign api-sign-algorithm-002 to -005. */
static const struct vector guide = {
    .key = {.access_key = "QTWAOYTTINDUT2QVKYUC", .secret_key = "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc"},
    .request = {.verb = "GET",
                .url = "https://service.region.example.com/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs"
                       "?limit=2&marker=13551d6b-755d-4757-b956-536f674975c0",
                .headers = {.items = json_and_unsigned, .count = 2},
                .unix_s = 1573789015},
    .signed_headers = {{.name = "content-type", .value = "application/json"},
                       {.name = "host", .value = "service.region.example.com"},
                       {.name = "x-sdk-date", .value = "20191115T033655Z"}},
    .date = "20191115T033655Z",
    .canonical = "GET\n"
                 "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs/\n"
                 "limit=2&marker=13551d6b-755d-4757-b956-536f674975c0\n"
                 "content-type:application/json\n"
                 "host:service.region.example.com\n"
                 "x-sdk-date:20191115T033655Z\n"
                 "\n"
                 "content-type;host;x-sdk-date\n" EMPTY_HASH,
    .hash = "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a",
    .signed_names = "content-type;host;x-sdk-date",
    .signature = "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe",
    .is_host_signed = true,
};

/* huaweicloud-sdk-python-v3, test_signer.py: test_signer1. */
static const struct vector python_get = {
    .key = {.access_key = "AccessKey", .secret_key = "SecretKey"},
    .request = {.verb = "GET",
                .url = "https://" HOST "/resources?size=1",
                .headers = {.items = json_and_unsigned, .count = 1},
                .unix_s = 1591583940},
    .signed_headers = {{.name = "host", .value = HOST}, {.name = "x-sdk-date", .value = "20200608T023900Z"}},
    .date = "20200608T023900Z",
    .canonical = "GET\n"
                 "/resources/\n"
                 "size=1\n"
                 "host:" HOST "\n"
                 "x-sdk-date:20200608T023900Z\n"
                 "\n"
                 "host;x-sdk-date\n" EMPTY_HASH,
    .hash = "de94dd1e1ccdb730b403ce35d7e14f7c7b04337f6def1c3a3a2ba936852b133f",
    .signed_names = "host;x-sdk-date",
    .signature = "cfb4171acec81de07d50e53d57eb77edd537414d66ddb1d7d780f128e12cd842",
    .is_host_signed = true,
};

/* The same, test_signer2. */
static const struct vector python_post = {
    .key = {.access_key = "AccessKey", .secret_key = "SecretKey"},
    .request = {.verb = "POST",
                .url = "https://" HOST "/resources?size=1",
                .headers = {.items = json_and_unsigned, .count = 1},
                .body = "{\"name\":\"test\",\"id\":1}",
                .body_len = 22,
                .unix_s = 1591583940},
    .signed_headers = {{.name = "host", .value = HOST}, {.name = "x-sdk-date", .value = "20200608T023900Z"}},
    .date = "20200608T023900Z",
    .canonical = "POST\n"
                 "/resources/\n"
                 "size=1\n"
                 "host:" HOST "\n"
                 "x-sdk-date:20200608T023900Z\n"
                 "\n"
                 "host;x-sdk-date\n"
                 "8ed555081b9961769014bc1182c629bb0fe68d7b01c1fc1caab4dc791f377e8c",
    .hash = "2b1b2515e48cb55e043ff2ec5b93d3f13ec287e1da1d7a2e4e14b0611a341969",
    .signed_names = "host;x-sdk-date",
    .signature = "436b1ac0a1ae03705934bb70ef2f2e09f7bfed2117d731a38235053199323a1f",
    .is_host_signed = true,
};

/* huaweicloud-sdk-go-v3, signer_test.go: test1, where the host is not signed. */
static const struct vector go_get = {
    .key = {.access_key = "AccessKey", .secret_key = "SecretKey"},
    .request = {.verb = "GET", .url = "https://example.huaweicloud.com/path?limit=1", .unix_s = 1136214245},
    .signed_headers = {{.name = "x-sdk-date", .value = "20060102T150405Z"}},
    .date = "20060102T150405Z",
    .canonical = "GET\n"
                 "/path/\n"
                 "limit=1\n"
                 "x-sdk-date:20060102T150405Z\n"
                 "\n"
                 "x-sdk-date\n" EMPTY_HASH,
    .hash = "85c3b7730f308aee452b16138a42a914397e43a8f0d732dfa521c0ef2afa98a4",
    .signed_names = "x-sdk-date",
    .signature = "5a2ce64c865e0e6046321c6f3d5a77ba8413eeaf355c3166c03d58d02ac79624",
};

/* The same, test2. */
static const struct vector go_post = {
    .key = {.access_key = "AccessKey", .secret_key = "SecretKey"},
    .request = {.verb = "POST",
                .url = "https://example.huaweicloud.com/path?key=value",
                .body = "{\"Name\":\"test\",\"Id\":1}\n",
                .body_len = 23,
                .unix_s = 1136214245},
    .signed_headers = {{.name = "x-sdk-date", .value = "20060102T150405Z"}},
    .date = "20060102T150405Z",
    .canonical = "POST\n"
                 "/path/\n"
                 "key=value\n"
                 "x-sdk-date:20060102T150405Z\n"
                 "\n"
                 "x-sdk-date\n"
                 "a29d7b4c5efd1a22011d69fd7b7aee76fe51e4083c609244228de258afd61289",
    .hash = "13f75ff5f5216199f986c7e7f2f77834d5e160ad9e46f37319816dc72ba7eeab",
    .signed_names = "x-sdk-date",
    .signature = "cecc2af119b18ab70b4d094c0750f3b42c02f254903179a0fc2cc72fc9db4f59",
};

static void expect_vector(struct fixture *fixture, const struct vector *vector)
{
    struct br_arena *arena = &fixture->arena;
    struct br_status *st = &fixture->st;

    char date[BR_SIGN_DATE_CAP];
    assert_true(br_sign_format_date(vector->request.unix_s, date, st));
    assert_string_equal(date, vector->date);

    struct br_header items[3];
    struct br_headers headers = {.items = items};
    for (; headers.count < 3 && vector->signed_headers[headers.count].name != NULL; headers.count++)
        items[headers.count] = vector->signed_headers[headers.count];
    struct br_sign_canonical canonical;
    assert_true(br_sign_build_canonical(BR_SIGN_ACCESS, &vector->request, &headers, arena, &canonical, st));
    assert_string_equal(canonical.text, vector->canonical);
    assert_string_equal(canonical.signed_names, vector->signed_names);

    const char *string;
    char *expected = br_arena_printf(arena, "SDK-HMAC-SHA256\n%s\n%s", vector->date, vector->hash);
    assert_true(br_sign_build_string(date, NULL, canonical.text, arena, &string, st));
    assert_string_equal(string, expected);

    char signature[BR_SIGN_HEX_CAP];
    const char *secret = vector->key.secret_key;
    assert_true(br_sign_compute(secret, strlen(secret), string, signature, st));
    assert_string_equal(signature, vector->signature);

    if (!vector->is_host_signed)
        return;
    struct br_headers out;
    assert_true(br_sign(&vector->key, BR_SIGN_ACCESS, &vector->request, arena, &out, st));
    assert_int_equal(out.count, 2);
    assert_string_equal(out.items[0].name, "X-Sdk-Date");
    assert_string_equal(out.items[0].value, vector->date);
    assert_string_equal(out.items[1].name, "Authorization");
    expected = br_arena_printf(arena, "SDK-HMAC-SHA256 Access=%s, SignedHeaders=%s, Signature=%s",
                               vector->key.access_key, vector->signed_names, vector->signature);
    assert_string_equal(out.items[1].value, expected);
}

static void test_stages_signing_guide_as_published(void **state)
{
    expect_vector(*state, &guide);
}

static void test_stages_python_get_as_published(void **state)
{
    expect_vector(*state, &python_get);
}

static void test_stages_python_post_as_published(void **state)
{
    expect_vector(*state, &python_post);
}

static void test_stages_go_get_as_published(void **state)
{
    expect_vector(*state, &go_get);
}

static void test_stages_go_post_as_published(void **state)
{
    expect_vector(*state, &go_post);
}

/* huaweicloud-sdk-python-v3 test_process_canonical_query_string, go-v3 TestSigner_canonicalQueryString. */
static void test_canonical_query_published_parameters_as_published(void **state)
{
    expect_query(*state, BR_SIGN_ACCESS,
                 "limit=1&enable=true&test=%E4%B8%80%20%28%26%3D%3F%21%23%25.%2A%29&path=%2Ftmp%2F123"
                 "&multi=1&multi=2&multi=3",
                 "enable=true&limit=1&multi=1&multi=2&multi=3&path=%2Ftmp%2F123"
                 "&test=%E4%B8%80%20%28%26%3D%3F%21%23%25.%2A%29");
    /* The same parameters, encoded no more than a URL must be, and in another order. */
    expect_query(*state, BR_SIGN_ACCESS,
                 "test=%e4%b8%80+(%26=?!%23%25.*)&multi=3&path=/tmp/123&multi=1&enable=true&multi=2&limit=1",
                 "enable=true&limit=1&multi=1&multi=2&multi=3&path=%2Ftmp%2F123"
                 "&test=%E4%B8%80%20%28%26%3D%3F%21%23%25.%2A%29");
}

/* Vector C1 of the reference: ShowServiceUpdateLogs in both dialects. */
static void test_sign_logs_with_project_gives_access_signature(void **state)
{
    struct fixture *fixture = *state;
    struct br_sign_request request = get_request("https://" OTC_HOST LOGS_PATH);
    request.project_id = PROJECT_ID;
    struct br_header items[] = {{.name = "host", .value = OTC_HOST},
                                {.name = "x-project-id", .value = PROJECT_ID},
                                {.name = "x-sdk-date", .value = "20240101T000000Z"}};
    struct br_headers signed_headers = {.items = items, .count = 3};
    struct br_sign_canonical canonical;
    assert_true(br_sign_build_canonical(BR_SIGN_ACCESS, &request, &signed_headers, &fixture->arena,
                                        &canonical, &fixture->st));
    const char *string;
    assert_true(br_sign_build_string("20240101T000000Z", NULL, canonical.text, &fixture->arena, &string,
                                     &fixture->st));
    assert_string_equal(string, "SDK-HMAC-SHA256\n20240101T000000Z\n"
                                "fe0ded4e5fb6b7f11ef25b9d7a60aa1ad31296362ba5fe89229e76ce6df60a1d");

    assert_string_equal(authorization_of(fixture, &plain_key, BR_SIGN_ACCESS, &request),
                        "SDK-HMAC-SHA256 Access=AccessKey, SignedHeaders=host;x-project-id;x-sdk-date, "
                        "Signature=7d5a5268069e07c6ab7f40f98520debdf09463b6753daf95d32e5d1de28a0a7a");
}

static void test_sign_logs_without_project_gives_access_signature(void **state)
{
    struct br_sign_request request = get_request("https://" OTC_HOST LOGS_PATH);
    assert_string_equal(authorization_of(*state, &plain_key, BR_SIGN_ACCESS, &request),
                        "SDK-HMAC-SHA256 Access=AccessKey, SignedHeaders=host;x-sdk-date, "
                        "Signature=04121eaed51049975cc4ba6e54ad517ecf954e737fe7c3aa2840f05c0763e4cd");
}

static void test_sign_logs_gives_credential_signature(void **state)
{
    struct br_sign_request request = get_request("https://" OTC_HOST LOGS_PATH);
    request.project_id = PROJECT_ID;
    assert_string_equal(authorization_of(*state, &plain_key, BR_SIGN_CREDENTIAL, &request),
                        "SDK-HMAC-SHA256 Credential=AccessKey/20240101///sdk_request, "
                        "SignedHeaders=host;x-sdk-date, "
                        "Signature=511124a5d025581fe70c3533900e655369f941da60bc4feb560ad4840925a654");
}

/* Its stages; the values that C1 does not give are computed by the chain of the reference, with Python's hmac. */
static void test_stages_logs_credential_as_computed(void **state)
{
    struct fixture *fixture = *state;
    struct br_sign_request request = get_request("https://" OTC_HOST LOGS_PATH);
    struct br_header items[] = {{.name = "host", .value = OTC_HOST},
                                {.name = "x-sdk-date", .value = "20240101T000000Z"}};
    struct br_headers signed_headers = {.items = items, .count = 2};
    struct br_sign_canonical canonical;
    assert_true(br_sign_build_canonical(BR_SIGN_CREDENTIAL, &request, &signed_headers, &fixture->arena,
                                        &canonical, &fixture->st));
    assert_string_equal(canonical.text, "GET\n" LOGS_PATH "/\n"
                                        "\n"
                                        "host:" OTC_HOST "\n"
                                        "x-sdk-date:20240101T000000Z\n"
                                        "\n"
                                        "host;x-sdk-date\n" EMPTY_HASH);
    const char *string;
    assert_true(br_sign_build_string("20240101T000000Z", "20240101///sdk_request", canonical.text,
                                     &fixture->arena, &string, &fixture->st));
    assert_string_equal(string,
                        "SDK-HMAC-SHA256\n20240101T000000Z\n20240101///"
                        "sdk_request\ndeb62d29c9ad9b24fbd7645d4aded4634cf21d8e79e78d32f7258ed781955f3a");

    unsigned char key[BR_SIGN_HASH_BYTES];
    assert_true(
        br_sign_derive_key("SecretKey", "20240101T000000Z", "", "", &fixture->arena, key, &fixture->st));
    static const unsigned char expected[] = {0x70, 0x39, 0xce, 0x3a, 0xe1, 0x55, 0x94, 0x4e, 0x36, 0xe6, 0x39,
                                             0x0d, 0x2c, 0xd2, 0x1a, 0x05, 0x96, 0x11, 0x2f, 0x85, 0x78, 0x62,
                                             0x53, 0xb7, 0x61, 0xb3, 0x33, 0xd2, 0xd8, 0x72, 0xb9, 0xdc};
    assert_memory_equal(key, expected, sizeof expected);
    char signature[BR_SIGN_HEX_CAP];
    assert_true(br_sign_compute(key, sizeof key, string, signature, &fixture->st));
    assert_string_equal(signature, "511124a5d025581fe70c3533900e655369f941da60bc4feb560ad4840925a654");
}

static void test_derive_key_region_and_service_as_computed(void **state)
{
    struct fixture *fixture = *state;
    unsigned char key[BR_SIGN_HASH_BYTES];
    assert_true(br_sign_derive_key("SecretKey", "20240101T000000Z", "eu-de", "modelarts", &fixture->arena,
                                   key, &fixture->st));
    static const unsigned char expected[] = {0x7e, 0xb2, 0x8b, 0xd9, 0x4c, 0x0f, 0xe9, 0xfe, 0x48, 0xc3, 0x03,
                                             0x0e, 0x5f, 0x54, 0x82, 0xe4, 0x96, 0x54, 0xd5, 0xf7, 0x26, 0x20,
                                             0x47, 0x57, 0x9e, 0xa8, 0xf7, 0xbd, 0x32, 0x3a, 0x36, 0x7e};
    assert_memory_equal(key, expected, sizeof expected);
}

/* ---- The path ---- */

static void test_canonical_path_is_encoded_once(void **state)
{
    expect_path(*state, "https://h/a%20b", "/a%20b/");
    expect_path(*state, "https://h/%e4%b8%80", "/%E4%B8%80/");
    expect_path(*state, "https://h/%7E%2d%5F%2e%41", "/~-_.A/");
    expect_path(*state, "https://h/a+b,c:d@e;f=g", "/a%2Bb%2Cc%3Ad%40e%3Bf%3Dg/");
    expect_path(*state, "https://h/%2520", "/%2520/");
    expect_path(*state, "https://h/a%2Fb", "/a/b/");
    expect_path(*state, "https://h/a%00b", "/a%00b/");
}

static void test_canonical_path_broken_escape_is_text(void **state)
{
    expect_path(*state, "https://h/%", "/%25/");
    expect_path(*state, "https://h/%4", "/%254/");
    expect_path(*state, "https://h/%4g%g4%%41", "/%254g%25g4%25A/");
    expect_path(*state, "https://h/%4?1", "/%254/");
}

static void test_canonical_path_always_ends_with_slash(void **state)
{
    expect_path(*state, "https://h", "/");
    expect_path(*state, "https://h?a=1", "/");
    expect_path(*state, "https://h/", "/");
    expect_path(*state, "https://h/a", "/a/");
    expect_path(*state, "https://h/a/", "/a/");
    expect_path(*state, "https://h/a%2F", "/a/");
    expect_path(*state, "https://h/a//", "/a//");
    expect_path(*state, "https://h/a?b=c/", "/a/");
}

/* ---- The query ---- */

static void test_canonical_query_access_sorts_keys_then_values(void **state)
{
    expect_query(*state, BR_SIGN_ACCESS, "", "");
    expect_query(*state, BR_SIGN_ACCESS, "b=1&a=2", "a=2&b=1");
    expect_query(*state, BR_SIGN_ACCESS, "a=2&a=10&a=1&a=1", "a=1&a=1&a=10&a=2");
    expect_query(*state, BR_SIGN_ACCESS, "ab=1&a=1&aB=1&A=1", "A=1&a=1&aB=1&ab=1");
    /* By the bytes of the key itself: encoded, "~" would come last. */
    expect_query(*state, BR_SIGN_ACCESS, "%C3%A9=1&~=2&%7B=3", "%7B=3&~=2&%C3%A9=1");
    expect_query(*state, BR_SIGN_ACCESS, "a=%C3%A9&a=~&a=%00", "a=%00&a=~&a=%C3%A9");
}

static void test_canonical_query_empty_values_keep_their_equals_sign(void **state)
{
    for (enum br_sign_dialect dialect = BR_SIGN_ACCESS; dialect <= BR_SIGN_CREDENTIAL; dialect++) {
        expect_query(*state, dialect, "b&a=", "a=&b=");
        expect_query(*state, dialect, "=x", "=x");
        expect_query(*state, dialect, "&&a=1&", "a=1");
        expect_query(*state, dialect, "&", "");
    }
}

static void test_canonical_query_encodes_once(void **state)
{
    for (enum br_sign_dialect dialect = BR_SIGN_ACCESS; dialect <= BR_SIGN_CREDENTIAL; dialect++) {
        expect_query(*state, dialect, "a=x%20y", "a=x%20y");
        expect_query(*state, dialect, "a=x+y", "a=x%20y");
        expect_query(*state, dialect, "a+b=1", "a%20b=1");
        expect_query(*state, dialect, "a=x%2By", "a=x%2By");
        expect_query(*state, dialect, "a=~*'()/?:@", "a=~%2A%27%28%29%2F%3F%3A%40");
        expect_query(*state, dialect, "a=b=c", "a=b%3Dc");
        expect_query(*state, dialect, "%61=%e4%b8%80", "a=%E4%B8%80");
        expect_query(*state, dialect, "a=%", "a=%25");
    }
}

static void test_canonical_query_credential_keeps_first_value(void **state)
{
    expect_query(*state, BR_SIGN_CREDENTIAL, "a=2&b=1&a=1&%61=0", "a=2&b=1");
    expect_query(*state, BR_SIGN_CREDENTIAL, "B=1&a=1&C=1", "a=1&B=1&C=1");
    expect_query(*state, BR_SIGN_CREDENTIAL, "a=1&A=2&a=3", "A=2&a=1");
    /* By the encoded key: "%" comes before every letter. */
    expect_query(*state, BR_SIGN_CREDENTIAL, "~=2&a=3&%C3%A9=1", "%C3%A9=1&a=3&~=2");
}

static void test_canonical_credential_post_without_body_hashes_query(void **state)
{
    struct fixture *fixture = *state;
    struct br_sign_request request = get_request("https://h/p?b=x+y&a=2&a=1&c");
    request.verb = "POST";
    /* SHA-256 of "a=2&a=1&b=x+y&c=". */
    assert_string_equal(canonical_with(fixture, BR_SIGN_CREDENTIAL, &request, NULL),
                        "POST\n/p/\n\n\n\n0d3a7c75968a79d23a42635858fa7ef2c5dd4098c986a52b7774d86eb09d2a88");
    /* With a body, if only an empty one, or in the other dialect: as ever. */
    assert_string_equal(canonical_with(fixture, BR_SIGN_ACCESS, &request, NULL),
                        "POST\n/p/\na=1&a=2&b=x%20y&c=\n\n\n" EMPTY_HASH);
    request.body = "";
    assert_string_equal(canonical_with(fixture, BR_SIGN_CREDENTIAL, &request, NULL),
                        "POST\n/p/\na=2&b=x%20y&c=\n\n\n" EMPTY_HASH);
}

/* ---- Headers ---- */

static void test_canonical_header_access_is_trimmed_only(void **state)
{
    struct br_sign_request request = get_request("https://h/p");
    assert_string_equal(canonical_with(*state, BR_SIGN_ACCESS, &request, " \ta/b;  c=d\t "),
                        "GET\n/p/\n\ncontent-type:a/b;  c=d\n\ncontent-type\n" EMPTY_HASH);
    assert_string_equal(canonical_with(*state, BR_SIGN_ACCESS, &request, " \t "),
                        "GET\n/p/\n\ncontent-type:\n\ncontent-type\n" EMPTY_HASH);
}

static void test_canonical_header_credential_spaces_are_collapsed(void **state)
{
    struct br_sign_request request = get_request("https://h/p");
    assert_string_equal(canonical_with(*state, BR_SIGN_CREDENTIAL, &request, " \ta/b; \t c=d\t "),
                        "GET\n/p/\n\ncontent-type: a/b; c=d \n\ncontent-type\n" EMPTY_HASH);
}

/* ---- The time ---- */

static void expect_date(int64_t unix_s, const char *expected)
{
    char date[BR_SIGN_DATE_CAP];
    struct br_status st;
    assert_true(br_sign_format_date(unix_s, date, &st));
    assert_string_equal(date, expected);
}

static void test_format_date_day_and_year_boundaries(void **state)
{
    (void)state;
    expect_date(0, "19700101T000000Z");
    expect_date(NEW_YEAR_2024 - 1, "20231231T235959Z");
    expect_date(NEW_YEAR_2024, "20240101T000000Z");
    expect_date(951782399, "20000228T235959Z");
    expect_date(951782400, "20000229T000000Z");
    expect_date(INT64_C(2147483648), "20380119T031408Z");
    expect_date(INT64_C(4107542399), "21000228T235959Z");
    expect_date(INT64_C(4107542400), "21000301T000000Z");
    expect_date(INT64_C(253402300799), "99991231T235959Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stages_signing_guide_as_published),
        TEST(test_stages_python_get_as_published),
        TEST(test_stages_python_post_as_published),
        TEST(test_stages_go_get_as_published),
        TEST(test_stages_go_post_as_published),
        TEST(test_canonical_query_published_parameters_as_published),
        TEST(test_sign_logs_with_project_gives_access_signature),
        TEST(test_sign_logs_without_project_gives_access_signature),
        TEST(test_sign_logs_gives_credential_signature),
        TEST(test_stages_logs_credential_as_computed),
        TEST(test_derive_key_region_and_service_as_computed),
        TEST(test_canonical_path_is_encoded_once),
        TEST(test_canonical_path_broken_escape_is_text),
        TEST(test_canonical_path_always_ends_with_slash),
        TEST(test_canonical_query_access_sorts_keys_then_values),
        TEST(test_canonical_query_empty_values_keep_their_equals_sign),
        TEST(test_canonical_query_encodes_once),
        TEST(test_canonical_query_credential_keeps_first_value),
        TEST(test_canonical_credential_post_without_body_hashes_query),
        TEST(test_canonical_header_access_is_trimmed_only),
        TEST(test_canonical_header_credential_spaces_are_collapsed),
        TEST(test_format_date_day_and_year_boundaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
