/* Tests of IAM: requests for a token, the life of tokens, faults of users, what the journal hides. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alloc.h"
#include "faults.h"
#include "iam.h"
#include "journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW_MS 5000
#define EPOCH_MS INT64_C(1767517522701) /* 2026-01-04T09:05:22.701Z */
#define LIFETIME_MS 60000
#define DAY_MS INT64_C(86400000)

static struct sim_iam iam;

static int set_up(void **state)
{
    (void)state;
    iam = (struct sim_iam){
        .user = "demo-user",
        .password = "demo-password",
        .domain = "demo-domain",
        .project = "demo-project-name",
        .project_id = "demo-project",
        .token_lifetime_ms = LIFETIME_MS,
        .token_bytes = 200,
        .expired_form = SIM_EXPIRED_MODELARTS_0203,
        .epoch_offset_ms = EPOCH_MS - NOW_MS,
    };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sim_iam_finish(&iam);
    return 0;
}

#define BODY(user, scope)                                                                                    \
    "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":" user "}},\"scope\":" scope \
    "}}"
#define USER(name, password, domain) \
    "{\"name\":\"" name "\",\"password\":\"" password "\",\"domain\":{\"name\":\"" domain "\"}}"
#define GOOD_USER USER("demo-user", "demo-password", "demo-domain")
#define GOOD_SCOPE "{\"project\":{\"name\":\"demo-project-name\"}}"
#define GOOD_BODY BODY(GOOD_USER, GOOD_SCOPE)

/* The status that a request with this body gets: 201, or its refusal's. */
static int asked_as(const char *content_type, const char *text)
{
    struct sim_refusal refusal = {0};
    const struct sim_request request = {.headers = {[SIM_HEADER_CONTENT_TYPE] = content_type}};
    const char *user = NULL;
    cJSON *body = cJSON_Parse(text);
    bool ok = sim_iam_check(&iam, &request, body, &user, &refusal);
    if (ok) {
        assert_non_null(user);
    } else {
        /* IAM's own form, and a reason for the journal that holds no secret. */
        assert_string_equal(refusal.code, "");
        assert_true(refusal.message[0] != '\0' && refusal.detail[0] != '\0');
        assert_null(strstr(refusal.detail, "demo-password"));
    }
    cJSON_Delete(body);
    return ok ? 201 : refusal.http_status;
}

static int asked(const char *text)
{
    return asked_as("application/json", text);
}

static void test_check_good_request_is_accepted(void **state)
{
    (void)state;
    assert_int_equal(asked(GOOD_BODY), 201);
    assert_int_equal(asked(BODY(GOOD_USER, "{\"project\":{\"id\":\"demo-project\"}}")), 201);
    assert_int_equal(
        asked(BODY(GOOD_USER, "{\"project\":{\"id\":\"demo-project\",\"name\":\"demo-project-name\"}}")),
        201);
    assert_int_equal(asked_as("application/json;charset=utf8", GOOD_BODY), 201);
    assert_int_equal(asked_as("Application/JSON ; charset=utf8", GOOD_BODY), 201);
}

static void test_check_wrong_identity_is_refused(void **state)
{
    (void)state;
    assert_int_equal(asked(BODY(USER("demo-user", "wrong", "demo-domain"), GOOD_SCOPE)), 401);
    assert_int_equal(asked(BODY(USER("demo-user", "", "demo-domain"), GOOD_SCOPE)), 401);
    assert_int_equal(asked(BODY(USER("demo-user", "demo-password ", "demo-domain"), GOOD_SCOPE)), 401);
    assert_int_equal(asked(BODY(USER("nobody", "demo-password", "demo-domain"), GOOD_SCOPE)), 401);
    assert_int_equal(asked(BODY(USER("demo-user", "demo-password", "other"), GOOD_SCOPE)), 401);
    assert_int_equal(asked(BODY(USER("iam-fault-503", "wrong", "demo-domain"), GOOD_SCOPE)), 401);
    assert_int_equal(asked(BODY(USER("iam-fault-typo", "demo-password", "demo-domain"), GOOD_SCOPE)), 401);
    assert_int_equal(asked(BODY(USER("iam-fault-503", "demo-password", "demo-domain"), GOOD_SCOPE)), 201);
}

static void test_check_unknown_project_is_404(void **state)
{
    (void)state;
    assert_int_equal(asked(BODY(GOOD_USER, "{\"project\":{\"name\":\"demo-project\"}}")), 404);
    assert_int_equal(asked(BODY(GOOD_USER, "{\"project\":{\"id\":\"demo-project-name\"}}")), 404);
    assert_int_equal(asked(BODY(GOOD_USER, "{\"project\":{\"id\":\"demo-project\",\"name\":\"x\"}}")), 404);
}

static void test_check_malformed_request_is_400(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"auth\":{}}",
        "{\"auth\":[]}",
        "{\"auth\":{\"identity\":{},\"scope\":" GOOD_SCOPE "}}",
        "{\"auth\":{\"identity\":{\"methods\":[],\"password\":{\"user\":" GOOD_USER "}},\"scope\":" GOOD_SCOPE
        "}}",
        "{\"auth\":{\"identity\":{\"methods\":[\"token\"],\"password\":{\"user\":" GOOD_USER
        "}},\"scope\":" GOOD_SCOPE "}}",
        "{\"auth\":{\"identity\":{\"methods\":[\"password\",\"totp\"],\"password\":{\"user\":" GOOD_USER
        "}},\"scope\":" GOOD_SCOPE "}}",
        "{\"auth\":{\"identity\":{\"methods\":\"password\",\"password\":{\"user\":" GOOD_USER
        "}},\"scope\":" GOOD_SCOPE "}}",
        "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":" GOOD_USER "}}}}",
        BODY("{\"name\":\"demo-user\",\"password\":\"demo-password\"}", GOOD_SCOPE),
        BODY("{\"name\":\"demo-user\",\"domain\":{\"name\":\"demo-domain\"}}", GOOD_SCOPE),
        BODY("{\"password\":\"demo-password\",\"domain\":{\"name\":\"demo-domain\"}}", GOOD_SCOPE),
        BODY("{\"name\":\"demo-user\",\"password\":1,\"domain\":{\"name\":\"demo-domain\"}}", GOOD_SCOPE),
        BODY("{\"name\":\"demo-user\",\"password\":\"a\",\"password\":\"demo-password\","
             "\"domain\":{\"name\":\"demo-domain\"}}",
             GOOD_SCOPE),
        BODY(GOOD_USER, "{}"),
        BODY(GOOD_USER, "\"unscoped\""),
        BODY(GOOD_USER, "{\"project\":{}}"),
        BODY(GOOD_USER, "{\"domain\":{\"name\":\"demo-domain\"}}"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (asked(bad[i]) != 400) {
            fail_msg("not a 400: %s", bad[i]);
        }
    }
    static const char *const types[] = {NULL, "", "text/plain", "application/json5", "application/xml"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        assert_int_equal(asked_as(types[i], GOOD_BODY), 400);
    }
}

/* Asks for a token; returns its text, released with free(). */
static char *issue(const char *path, cJSON **body)
{
    struct sim_answer answer;
    struct sim_target target;
    assert_true(sim_target_parse(path, &target));
    sim_answer_init(&answer);
    sim_iam_issue(&iam, &target, "demo-user", NOW_MS, &answer);
    assert_int_equal(answer.http_status, 201);
    char *token = sim_strdup(answer.subject_token);
    assert_null(strstr(answer.text, token));
    *body = cJSON_Parse(answer.text);
    sim_answer_finish(&answer);
    sim_target_finish(&target);
    return token;
}

static const char *text_at(const cJSON *body, const char *object, const char *key)
{
    const cJSON *at = cJSON_GetObjectItemCaseSensitive(body, "token");
    at = object != NULL ? cJSON_GetObjectItemCaseSensitive(at, object) : at;
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(at, key));
}

static void test_issue_says_when_and_for_whom(void **state)
{
    (void)state;
    cJSON *body;
    free(issue("/v3/auth/tokens?nocatalog=true", &body));
    assert_string_equal(text_at(body, NULL, "issued_at"), "2026-01-04T09:05:22.701000Z");
    assert_string_equal(text_at(body, NULL, "expires_at"), "2026-01-04T09:06:22.701000Z");
    assert_string_equal(text_at(body, "project", "id"), "demo-project");
    assert_string_equal(text_at(body, "project", "name"), "demo-project-name");
    assert_string_equal(text_at(body, "user", "name"), "demo-user");
    assert_null(cJSON_GetObjectItemCaseSensitive(body->child, "catalog"));
    cJSON_Delete(body);
    static const char *const paths[] = {"/v3/auth/tokens", "/v3/auth/tokens?nocatalog=false"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        free(issue(paths[i], &body));
        assert_non_null(cJSON_GetObjectItemCaseSensitive(body->child, "catalog"));
        cJSON_Delete(body);
    }
}

static bool is_good(const char *token, int64_t now_ms, struct sim_refusal *refusal)
{
    *refusal = (struct sim_refusal){0};
    return sim_iam_check_token(&iam, token, now_ms, refusal);
}

static void test_token_is_good_until_it_expires(void **state)
{
    (void)state;
    static const struct {
        const char *code, *message;
    } expected[] = {
        {"ModelArts.0202", "Invalid token header because the token has expired."},
        {"ModelArts.0203", "Invalid token."},
        {"APIG.0301", "Incorrect IAM authentication information: token expires, "
                      "expires_at:2026-01-04T09:06:22.701000Z"},
        {"APIG.0307", "The token must be updated."},
    };
    struct sim_refusal refusal;
    cJSON *body;
    char *token = issue("/v3/auth/tokens", &body);
    cJSON_Delete(body);
    assert_true(is_good(token, NOW_MS, &refusal));
    assert_true(is_good(token, NOW_MS + LIFETIME_MS - 1, &refusal));
    for (int form = 0; form < 4; form++) {
        assert_non_null(sim_expired_form_names[form]);
        iam.expired_form = (enum sim_expired_form)form;
        assert_false(is_good(token, NOW_MS + LIFETIME_MS, &refusal));
        assert_int_equal(refusal.http_status, 401);
        assert_string_equal(refusal.code, expected[form].code);
        assert_string_equal(refusal.message, expected[form].message);
        assert_false(is_good("never handed out", NOW_MS, &refusal));
        assert_string_equal(refusal.code, "ModelArts.0203");
    }
    assert_null(sim_expired_form_names[4]);
    free(token);
}

static void test_tokens_are_of_the_length_and_alike_never(void **state)
{
    (void)state;
    struct sim_tokens tokens = {0};
    static const size_t lengths[] = {SIM_TOKEN_MIN_BYTES, SIM_TOKEN_MAX_BYTES};
    for (size_t i = 0; i < 2; i++) {
        char *first = sim_strdup(sim_tokens_issue(&tokens, lengths[i], DAY_MS));
        const char *second = sim_tokens_issue(&tokens, lengths[i], DAY_MS);
        assert_int_equal(strlen(first), lengths[i]);
        assert_int_equal(strlen(second), lengths[i]);
        assert_string_not_equal(first, second);
        assert_int_equal(strspn(first, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
                         lengths[i]);
        free(first);
    }
    sim_tokens_finish(&tokens);
}

static void test_tokens_the_oldest_is_forgotten_first(void **state)
{
    (void)state;
    struct sim_tokens tokens = {0};
    char *first = sim_strdup(sim_tokens_issue(&tokens, 40, DAY_MS));
    char *second = sim_strdup(sim_tokens_issue(&tokens, 40, DAY_MS));
    for (int i = 2; i < SIM_TOKENS_MAX; i++) {
        sim_tokens_issue(&tokens, 40, DAY_MS);
    }
    assert_non_null(sim_tokens_find(&tokens, first));
    sim_tokens_issue(&tokens, 40, DAY_MS);
    assert_null(sim_tokens_find(&tokens, first));
    assert_non_null(sim_tokens_find(&tokens, second));
    free(first);
    free(second);
    sim_tokens_finish(&tokens);
}

static void test_tokens_revoke_ends_them_now(void **state)
{
    (void)state;
    struct sim_tokens tokens = {0};
    char *expired = sim_strdup(sim_tokens_issue(&tokens, 40, 10));
    char *good = sim_strdup(sim_tokens_issue(&tokens, 40, DAY_MS));
    sim_tokens_revoke(&tokens, 20);
    assert_int_equal(sim_tokens_find(&tokens, expired)->expires_at_ms, 10);
    assert_int_equal(sim_tokens_find(&tokens, good)->expires_at_ms, 20);
    const char *next = sim_tokens_issue(&tokens, 40, DAY_MS);
    assert_int_equal(sim_tokens_find(&tokens, next)->expires_at_ms, DAY_MS);
    free(expired);
    free(good);
    sim_tokens_finish(&tokens);
}

static void test_fault_count_is_kept_per_user_up_to_a_limit(void **state)
{
    (void)state;
    *sim_iam_fault_count(&iam, "a") = 2;
    *sim_iam_fault_count(&iam, "b") = 3;
    assert_int_equal(*sim_iam_fault_count(&iam, "a"), 2);
    for (int i = 2; i < SIM_IAM_USERS_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "user-%d", i);
        assert_non_null(sim_iam_fault_count(&iam, name));
    }
    assert_null(sim_iam_fault_count(&iam, "one-more"));
    assert_int_equal(*sim_iam_fault_count(&iam, "b"), 3);
}

static void test_parse_user_reads_the_same_faults(void **state)
{
    (void)state;
    struct sim_fault fault;
    assert_true(sim_fault_parse_user("iam-fault-503-retry-after-2--x", &fault));
    assert_true(fault.of_iam);
    assert_string_equal(fault.name, "iam-fault-503-retry-after-2");
    assert_int_equal(fault.http_status, 503);
    assert_int_equal(fault.retry_after_s, 2);
    assert_true(sim_fault_parse_user("iam-fault-no-token-header", &fault));
    assert_int_equal(fault.kind, SIM_FAULT_NO_TOKEN_HEADER);
    assert_false(sim_fault_parse("fault-no-token-header", &fault));
    assert_false(sim_fault_parse_user("fault-503", &fault));
    assert_false(sim_fault_parse_user("iam-fault-", &fault));
    assert_false(sim_fault_parse_user("iam-iam-fault-503", &fault));
    assert_false(sim_fault_parse("iam-fault-503", &fault));
    char name[SIM_FAULT_USER_MAX + 2];
    snprintf(name, sizeof name, "iam-fault-503--%0*d", SIM_FAULT_USER_MAX - 15, 0);
    assert_int_equal(strlen(name), SIM_FAULT_USER_MAX);
    assert_true(sim_fault_parse_user(name, &fault));
    snprintf(name, sizeof name, "iam-fault-503--%0*d", SIM_FAULT_USER_MAX - 14, 0);
    assert_false(sim_fault_parse_user(name, &fault));
}

static void assert_answer(const char *user, int http_status, const char *part)
{
    struct sim_answer answer;
    struct sim_fault fault;
    assert_true(sim_fault_parse_user(user, &fault));
    sim_answer_init(&answer);
    sim_answer_set_text(&answer, 201, "application/json", "{\"token\":{}}");
    sim_answer_set_token(&answer, "t");
    sim_fault_apply(&fault, &answer);
    assert_int_equal(answer.http_status, http_status);
    char *text = sim_alloc(1024);
    sim_answer_read(&answer, 0, text, 1023);
    if (strstr(text, part) == NULL) {
        fail_msg("%s: %s", user, text);
    }
    assert_int_equal(answer.subject_token == NULL, fault.kind == SIM_FAULT_NO_TOKEN_HEADER);
    free(text);
    sim_answer_finish(&answer);
}

static void test_apply_for_a_user_answers_as_iam(void **state)
{
    (void)state;
    assert_answer("iam-fault-401", 401,
                  "{\"error\":{\"code\":401,\"message\":\"The username or password is wrong.\","
                  "\"title\":\"Unauthorized\"}}");
    assert_answer("iam-fault-400", 400,
                  "{\"error\":{\"code\":400,\"message\":\"The request body is invalid\","
                  "\"title\":\"Bad Request\"}}");
    assert_answer("iam-fault-flaky-2-503", 503, "\"title\":\"Service Unavailable\"");
    assert_answer("iam-fault-code-429-IAM.0012", 429, "\"error_code\":\"IAM.0012\"");
    assert_answer("iam-fault-not-json", 201, "this is not JSON");
    assert_answer("iam-fault-huge-1MiB", 201, "\"padding\":\"xxx");
    assert_answer("iam-fault-html-502", 502, "<html>");
    assert_answer("iam-fault-no-token-header", 201, "{\"token\":{}}");
}

/* What the journal shows as the body of a request whose body it must hide. */
static char *journal_body(const char *body)
{
    char *line = NULL;
    size_t len;
    struct sim_answer answer;
    struct sim_target target;
    struct sim_journal journal = {.file = open_memstream(&line, &len)};
    const struct sim_request request = {
        .method = "POST", .target = "/v3/auth/tokens", .body = body, .body_len = strlen(body)};
    assert_true(sim_target_parse(request.target, &target));
    sim_answer_init(&answer);
    const struct sim_journal_entry entry = {.request = &request,
                                            .target = &target,
                                            .answer = &answer,
                                            .detail = "",
                                            .auth = "none",
                                            .issued = SIM_ISSUED_NO,
                                            .hides_body = true};
    sim_journal_write(&journal, &entry);
    sim_journal_close(&journal);
    cJSON *json = cJSON_Parse(line);
    char *shown = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(json, "body"));
    assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(json, "issued")));
    cJSON_Delete(json);
    free(line);
    sim_answer_finish(&answer);
    sim_target_finish(&target);
    return shown;
}

static void test_journal_hides_what_may_be_a_secret(void **state)
{
    (void)state;
    static const struct {
        const char *body, *shown;
    } cases[] = {
        {GOOD_BODY, BODY(USER("demo-user", "present", "demo-domain"), GOOD_SCOPE)},
        {"{\"password\":\"s\",\"password\":12345}", "{\"password\":\"present\",\"password\":\"present\"}"},
        {"{\"Password\":[\"s\",{\"x\":\"s\"}]}", "{\"Password\":[\"present\",{\"x\":\"present\"}]}"},
        {"{\"secret_key\":\"s\",\"id\":\"i\"}", "{\"secret_key\":\"present\",\"id\":\"i\"}"},
        {"\"s\"", "\"present\""},
        {"{\"password\":\"s\"", "\"present\""},
        {"password=s", "\"present\""},
        {"", "null"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *shown = journal_body(cases[i].body);
        assert_string_equal(shown, cases[i].shown);
        free(shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_check_good_request_is_accepted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_check_wrong_identity_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_check_unknown_project_is_404, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_check_malformed_request_is_400, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_issue_says_when_and_for_whom, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_token_is_good_until_it_expires, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tokens_are_of_the_length_and_alike_never, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tokens_the_oldest_is_forgotten_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tokens_revoke_ends_them_now, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fault_count_is_kept_per_user_up_to_a_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_parse_user_reads_the_same_faults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_apply_for_a_user_answers_as_iam, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_journal_hides_what_may_be_a_secret, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
