#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alloc_fault.h"
#include "contract/rules.h"
#include "test_contract.h"
#include "translate/rest_request.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <testapi/v1/everything.pb-c.h>

static int all_memory(void **state)
{
    (void)state;
    (void)alloc_fault_end();
    cJSON_InitHooks(NULL);
    return 0;
}

/* One call of br_rest_request_build() and all that came of it. */
struct built {
    struct br_arena arena;
    struct br_violations violations;
    struct br_warnings warnings;
    struct br_rest_request request;
    struct br_status st;
    bool ok;
};

static struct br_header default_items[] = {{"project_id", "p0"}};
static const struct br_rest_config config = {.base_url = "https://h"};
static const struct br_rest_config config_with_default = {.base_url = "https://h",
                                                          .defaults = {.items = default_items, .count = 1}};

static void build_bytes(struct built *built, const struct br_method *method, const struct br_rest_config *cfg,
                        const uint8_t *bytes, size_t len, size_t limit_bytes)
{
    *built = (struct built){.request = {.verb = "untouched"}};
    br_arena_init(&built->arena, limit_bytes);
    br_violations_init(&built->violations, &built->arena);
    built->ok = br_rest_request_build(method, cfg, bytes, len, &built->violations, &built->warnings,
                                      &built->request, &built->st);
    if (!built->ok) {
        assert_string_equal(built->request.verb, "untouched");
        assert_null(built->request.url);
        assert_null(built->request.body);
    }
}

static void build_with(struct built *built, const struct br_method *method, const struct br_rest_config *cfg,
                       const void *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(len + 1);
    assert_non_null(bytes);
    protobuf_c_message_pack(message, bytes);
    build_bytes(built, method, cfg, bytes, len, 1 << 20);
    free(bytes);
}

static void finish(struct built *built)
{
    br_rest_request_finish(&built->request);
    br_arena_finish(&built->arena);
}

/* |body| NULL: none. */
static void assert_request(const struct br_method *method, const struct br_rest_config *cfg,
                           const void *message, const char *verb, const char *url, const char *body)
{
    struct built built;
    build_with(&built, method, cfg, message);
    if (!built.ok)
        fail_msg("refused: %s", built.st.msg);
    assert_string_equal(built.request.verb, verb);
    assert_string_equal(built.request.url, url);
    if (body == NULL) {
        assert_null(built.request.body);
        assert_int_equal(built.request.body_len, 0);
    } else {
        assert_string_equal(built.request.body, body);
        assert_int_equal(built.request.body_len, strlen(body));
    }
    assert_int_equal(built.warnings.count, 0);
    finish(&built);
}

/* The generated structs want char *, though packing only reads. */
static char *lit(const char *text)
{
    return (char *)(uintptr_t)text;
}

static Testapi__V1__UpdateThingRequest update_request(void)
{
    Testapi__V1__UpdateThingRequest request = TESTAPI__V1__UPDATE_THING_REQUEST__INIT;
    request.project_id = lit("p");
    request.thing_id = lit("t");
    return request;
}

static Testapi__V1__ListThingsRequest list_request(void)
{
    Testapi__V1__ListThingsRequest request = TESTAPI__V1__LIST_THINGS_REQUEST__INIT;
    request.project_id = lit("p");
    return request;
}

static Testapi__V1__PatchThingRequest patch_request(void)
{
    Testapi__V1__PatchThingRequest request = TESTAPI__V1__PATCH_THING_REQUEST__INIT;
    request.project_id = lit("p");
    request.thing_id = lit("t");
    return request;
}

static void assert_project_url(const char *project_id, const char *encoded)
{
    Testapi__V1__ListThingsRequest request = list_request();
    request.project_id = lit(project_id);
    char url[2048];
    assert_true((size_t)snprintf(url, sizeof url, "https://h/v1/%s/things", encoded) < sizeof url);
    assert_request(test_method("ListThings"), &config, &request, "GET", url, NULL);
}

/* Every violation, as "field: description" lines in the order they were found. */
static void assert_violations(const struct br_method *method, const struct br_rest_config *cfg,
                              const void *message, const char *expected)
{
    struct built built;
    build_with(&built, method, cfg, message);
    assert_false(built.ok);
    assert_int_equal(built.st.code, BR_INVALID_ARGUMENT);
    assert_string_equal(built.st.reason, "VALIDATION_FAILED");
    assert_int_equal(built.violations.count, built.violations.total_count);
    const char *lines = "";
    for (size_t i = 0; i < built.violations.count; i++) {
        lines = br_arena_printf(&built.arena, "%s%s: %s\n", lines, built.violations.items[i].field,
                                built.violations.items[i].description);
        assert_non_null(lines);
    }
    assert_string_equal(lines, expected);
    finish(&built);
}

static void test_path_value_is_percent_encoded(void **state)
{
    (void)state;
    for (int byte = 0x20; byte < 0x7F; byte++) {
        if (byte == '/' || byte == '\\')
            continue;
        const char value[] = {'a', (char)byte, 'b', '\0'};
        char encoded[8];
        bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= 'a' && byte <= 'z') || strchr("-_.~", byte) != NULL;
        (void)snprintf(encoded, sizeof encoded, plain ? "a%cb" : "a%%%02Xb", byte);
        assert_project_url(value, encoded);
    }
    assert_project_url("\xE6\x96\x87", "%E6%96%87");
    assert_project_url("\xF0\x9F\x98\x80", "%F0%9F%98%80");
    assert_project_url("%2F", "%252F");
    assert_project_url("%2e%2e", "%252e%252e");
    assert_project_url("...", "...");
    assert_project_url(".a", ".a");
    assert_project_url("..a", "..a");
    assert_project_url(" ", "%20");
}

static void test_path_value_that_would_change_the_path_refused(void **state)
{
    (void)state;
    static const char separator[] = "must not hold \"/\" or \"\\\": that would change the URL path";
    static const char dots[] = "must not be \".\" or \"..\": that would change the URL path";
    static const char control[] = "must not hold control characters";
    static const struct {
        const char *value;
        const char *description;
    } cases[] = {
        {"", "must not be empty: it is part of the URL path"},
        {".", dots},
        {"..", dots},
        {"a/b", separator},
        {"/", separator},
        {"../..", separator},
        {"a\\b", separator},
        {"\\", separator},
        {"a\nb", control},
        {"a\rb", control},
        {"\t", control},
        {"\x01", control},
        {"\x1F", control},
        {"a\x7F", control},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Testapi__V1__ListThingsRequest request = list_request();
        request.project_id = lit(cases[i].value);
        char expected[256];
        (void)snprintf(expected, sizeof expected, "project_id: %s\n", cases[i].description);
        assert_violations(test_method("ListThings"), &config, &request, expected);
        /* A default does not stand in for a value that was set. */
        assert_violations(test_method("ListThings"), &config_with_default, &request, expected);
    }
}

static void test_path_value_length_limit_is_exact(void **state)
{
    (void)state;
    char value[BR_PATH_VALUE_MAX_BYTES + 2];
    memset(value, 'x', sizeof value);
    value[BR_PATH_VALUE_MAX_BYTES] = '\0';
    assert_project_url(value, value);
    value[BR_PATH_VALUE_MAX_BYTES] = 'x';
    value[BR_PATH_VALUE_MAX_BYTES + 1] = '\0';
    Testapi__V1__ListThingsRequest request = list_request();
    request.project_id = value;
    assert_violations(test_method("ListThings"), &config, &request,
                      "project_id: is too long for a part of the URL path\n");
}

static void test_path_value_that_the_validation_found_too_long_is_one_violation(void **state)
{
    (void)state;
    char value[BR_PATH_VALUE_MAX_BYTES + 2];
    memset(value, 'x', sizeof value);
    value[BR_PATH_VALUE_MAX_BYTES + 1] = '\0';
    Testapi__V1__UpdateThingRequest request = update_request();
    request.thing_id = value;
    assert_violations(
        test_method("UpdateThing"), &config, &request,
        "thing_id: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"... is longer than "
        "128 characters\n");
}

static void test_path_variable_left_out_takes_the_default(void **state)
{
    (void)state;
    Testapi__V1__UpdateThingRequest request = update_request();
    request.project_id = NULL;
    assert_request(test_method("UpdateThing"), &config_with_default, &request, "PUT",
                   "https://h/v1/p0/things/t", "{}");
    assert_violations(test_method("UpdateThing"), &config, &request,
                      "project_id: must be set: the bridge has no default for it\n");
    /* A value that is set wins. */
    request.project_id = lit("p1");
    assert_request(test_method("UpdateThing"), &config_with_default, &request, "PUT",
                   "https://h/v1/p1/things/t", "{}");
}

static void test_default_is_checked_like_a_value(void **state)
{
    (void)state;
    struct br_header items[] = {{"project_id", "a/b c"}};
    struct br_rest_config cfg = {.base_url = "https://h", .defaults = {.items = items, .count = 1}};
    Testapi__V1__ListThingsRequest request = TESTAPI__V1__LIST_THINGS_REQUEST__INIT;
    assert_violations(test_method("ListThings"), &cfg, &request,
                      "project_id: must not hold \"/\" or \"\\\": that would change the URL path\n");
    items[0].value = "a c";
    assert_request(test_method("ListThings"), &cfg, &request, "GET", "https://h/v1/a%20c/things", NULL);
}

static void test_required_path_variable_left_out_is_one_violation(void **state)
{
    (void)state;
    Testapi__V1__UpdateThingRequest request = update_request();
    request.thing_id = NULL;
    assert_violations(test_method("UpdateThing"), &config, &request, "thing_id: must be set\n");
}

static void test_base_url_with_a_prefix_is_kept(void **state)
{
    (void)state;
    struct br_rest_config cfg = {.base_url = "https://h:8443/base/x"};
    Testapi__V1__PatchThingRequest request = patch_request();
    request.has_dry_run = true;
    assert_request(test_method("PatchThing"), &cfg, &request, "PATCH",
                   "https://h:8443/base/x/v1/p/things/t:patch?dry_run=false", "null");
}

static void test_query_has_what_is_set_in_schema_order(void **state)
{
    (void)state;
    Testapi__V1__ListThingsRequest request = list_request();
    assert_request(test_method("ListThings"), &config, &request, "GET", "https://h/v1/p/things", NULL);

    request.has_update_time = true;
    request.update_time = 1586250930708;
    assert_request(test_method("ListThings"), &config, &request, "GET",
                   "https://h/v1/p/things?update_time=1586250930708", NULL);

    request.tags = (char *[]){lit("a b&c=d"), lit(""), lit("\xE6\x96\x87/?#")};
    request.n_tags = 3;
    request.has_colour = true;
    request.colour = TESTAPI__V1__COLOUR__COLOUR_DEEP_BLUE;
    request.has_flag = true;
    request.has_amount = true;
    request.amount = 0.1;
    assert_request(test_method("ListThings"), &config, &request, "GET",
                   "https://h/v1/p/things?update_time=1586250930708&tags=a%20b%26c%3Dd&tags="
                   "&tags=%E6%96%87%2F%3F%23&colour=deep-blue&flag=false&amount=0.1",
                   NULL);
}

static void test_query_text_may_hold_what_a_path_may_not(void **state)
{
    (void)state;
    Testapi__V1__ListThingsRequest request = list_request();
    request.tags = (char *[]){lit(".."), lit("a\nb"), lit("\\")};
    request.n_tags = 3;
    assert_request(test_method("ListThings"), &config, &request, "GET",
                   "https://h/v1/p/things?tags=..&tags=a%0Ab&tags=%5C", NULL);
}

static void test_query_without_a_form_refused(void **state)
{
    (void)state;
    Testapi__V1__ListThingsRequest request = list_request();
    request.has_amount = true;
    request.amount = NAN;
    struct built built;
    build_with(&built, test_method("ListThings"), &config, &request);
    assert_false(built.ok);
    assert_string_equal(built.st.reason, "VALIDATION_FAILED");
    assert_string_equal(built.violations.items[0].field, "amount");
    finish(&built);

    /* The zero value and a number that the schema does not have. */
    static const int numbers[] = {0, 7};
    request.has_amount = false;
    request.has_colour = true;
    for (size_t i = 0; i < 2; i++) {
        request.colour = numbers[i];
        build_with(&built, test_method("ListThings"), &config, &request);
        assert_false(built.ok);
        assert_string_equal(built.st.reason, "VALIDATION_FAILED");
        assert_string_equal(built.violations.items[0].field, "colour");
        finish(&built);
    }
}

/* A method whose query has every field of Thing that may be in one. */
static void assert_thing_query(const Testapi__V1__Thing *thing, const char *query)
{
    static const struct br_path_part part = {.literal = "/x"};
    enum br_role roles[64];
    const struct br_message_plan *plan = test_plan("Thing");
    assert_true(plan->field_count <= 64);
    for (size_t i = 0; i < plan->field_count; i++)
        roles[i] = plan->fields[i].kind == BR_KIND_MESSAGE ? BR_ROLE_BODY : BR_ROLE_QUERY;
    struct br_method method = {
        .verb = "GET", .parts = &part, .part_count = 1, .roles = roles, .input = plan, .output = plan};
    char url[1024];
    assert_true((size_t)snprintf(url, sizeof url, "https://h/x?%s", query) < sizeof url);
    assert_request(&method, &config, thing, "GET", url, NULL);
}

static void test_query_of_every_kind_is_exact(void **state)
{
    (void)state;
    Testapi__V1__Thing low = TESTAPI__V1__THING__INIT;
    low.text = lit("");
    low.has_small = low.has_large = low.has_count = low.has_total = low.has_ratio = low.has_amount = true;
    low.has_flag = low.has_zigzag = low.has_fixed = true;
    low.small = low.zigzag = INT32_MIN;
    low.large = INT64_MIN;
    low.ratio = -0.5F;
    low.amount = -1e300;
    assert_thing_query(&low, "text=&small=-2147483648&large=-9223372036854775808&count=0&total=0&ratio=-0.5"
                             "&amount=-1e%2B300&flag=false&zigzag=-2147483648&fixed=0");

    Testapi__V1__Thing high = low;
    high.text = lit("t");
    high.small = high.zigzag = INT32_MAX;
    high.large = INT64_MAX;
    high.count = UINT32_MAX;
    high.total = high.fixed = UINT64_MAX;
    high.ratio = 16777216;
    high.amount = 0.1 + 0.2;
    high.flag = true;
    high.odd_name = lit("o");
    high.numbers = (int32_t[]){1, -2};
    high.n_numbers = 2;
    high.colours =
        (Testapi__V1__Colour[]){TESTAPI__V1__COLOUR__COLOUR_RED, TESTAPI__V1__COLOUR__COLOUR_DEEP_BLUE};
    high.n_colours = 2;
    high.choice_case = TESTAPI__V1__THING__CHOICE_CHOICE_NUMBER;
    high.choice_number = 0;
    high.implicit_text = lit("i");
    assert_thing_query(&high, "text=t&small=2147483647&large=9223372036854775807&count=4294967295"
                              "&total=18446744073709551615&ratio=16777216&amount=0.30000000000000004"
                              "&flag=true&zigzag=2147483647&fixed=18446744073709551615&oddName=o&numbers=1"
                              "&numbers=-2&colours=red&colours=deep-blue&choice_number=0&implicit_text=i");
}

static void test_url_ceiling_is_exact(void **state)
{
    (void)state;
    static const size_t ceiling = 32768;
    size_t start = strlen("https://h/v1/p/things?tags=");
    char *tag = malloc(ceiling);
    assert_non_null(tag);
    memset(tag, 'x', ceiling);
    tag[ceiling - start] = '\0';
    Testapi__V1__ListThingsRequest request = list_request();
    request.tags = &tag;
    request.n_tags = 1;
    struct built built;
    build_with(&built, test_method("ListThings"), &config, &request);
    assert_true(built.ok);
    assert_int_equal(strlen(built.request.url), ceiling);
    finish(&built);

    tag[ceiling - start] = 'x';
    tag[ceiling - start + 1] = '\0';
    build_with(&built, test_method("ListThings"), &config, &request);
    assert_false(built.ok);
    assert_int_equal(built.st.code, BR_INVALID_ARGUMENT);
    assert_string_equal(built.st.reason, "URL_TOO_LONG");
    assert_string_equal(built.st.msg, "the request makes a URL of over 32768 bytes");
    finish(&built);

    /* Encoding counts: each of these takes three bytes. */
    memset(tag, '/', ceiling / 3);
    tag[ceiling / 3] = '\0';
    build_with(&built, test_method("ListThings"), &config, &request);
    assert_string_equal(built.st.reason, "URL_TOO_LONG");
    finish(&built);

    /* What is wrong with a field is more use to the caller. */
    request.project_id = lit("..");
    build_with(&built, test_method("ListThings"), &config, &request);
    assert_string_equal(built.st.reason, "VALIDATION_FAILED");
    finish(&built);
    free(tag);
}

static void test_body_star_has_what_the_path_did_not_bind(void **state)
{
    (void)state;
    Testapi__V1__UpdateThingRequest request = update_request();
    assert_request(test_method("UpdateThing"), &config, &request, "PUT", "https://h/v1/p/things/t", "{}");
    request.description = lit("");
    request.has_level = true;
    assert_request(test_method("UpdateThing"), &config, &request, "PUT", "https://h/v1/p/things/t",
                   "{\"description\":\"\",\"level\":0}");
}

static void test_body_of_a_list_field_is_that_list(void **state)
{
    (void)state;
    Testapi__V1__Part part = TESTAPI__V1__PART__INIT;
    part.name = lit("n");
    Testapi__V1__PatchThingRequest request = patch_request();
    request.operations = (Testapi__V1__Part *[]){&part, &part};
    request.n_operations = 2;
    request.has_dry_run = true;
    request.dry_run = true;
    assert_request(test_method("PatchThing"), &config, &request, "PATCH",
                   "https://h/v1/p/things/t:patch?dry_run=true", "[{\"name\":\"n\"},{\"name\":\"n\"}]");
}

static void test_mask_sends_the_fields_it_names(void **state)
{
    (void)state;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    mask.paths = (char *[]){lit("description"), lit("tags")};
    mask.n_paths = 2;
    Testapi__V1__UpdateThingRequest request = update_request();
    request.has_level = true;
    request.level = 7;
    request.update_mask = &mask;
    assert_request(test_method("UpdateThing"), &config, &request, "PUT", "https://h/v1/p/things/t",
                   "{\"description\":\"\",\"tags\":[]}");
    /* An empty mask is none. */
    mask.n_paths = 0;
    assert_request(test_method("UpdateThing"), &config, &request, "PUT", "https://h/v1/p/things/t",
                   "{\"level\":7}");
}

/* UpdateThing, but for a body that is the field |name| alone. */
static void assert_masked_body(const char *name, const char *path, const char *body)
{
    struct br_method method = *test_method("UpdateThing");
    enum br_role roles[64];
    assert_true(method.input->field_count <= 64);
    for (size_t i = 0; i < method.input->field_count; i++) {
        bool is_whole = strcmp(method.input->fields[i].name, name) == 0;
        roles[i] = is_whole                          ? BR_ROLE_WHOLE_BODY
                   : method.roles[i] == BR_ROLE_BODY ? BR_ROLE_QUERY
                                                     : method.roles[i];
    }
    method.roles = roles;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    char *paths[] = {lit(path)};
    mask.paths = paths;
    mask.n_paths = 1;
    Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    thing.has_flag = true;
    Testapi__V1__UpdateThingRequest request = update_request();
    request.thing = strcmp(name, "thing") == 0 ? &thing : NULL;
    request.update_mask = &mask;
    assert_request(&method, &config, &request, "PUT", "https://h/v1/p/things/t", body);
}

static void test_mask_goes_below_a_body_that_is_a_field(void **state)
{
    (void)state;
    assert_masked_body("tags", "tags", "[]");
    assert_masked_body("thing", "thing", "{\"flag\":false}");
    assert_masked_body("thing", "thing.text", "{\"text\":\"\"}");
    assert_masked_body("description", "description", "\"\"");
}

static void test_every_violation_is_reported_at_once(void **state)
{
    (void)state;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    mask.paths = (char *[]){lit("nothing"), lit("description"), lit("share")};
    mask.n_paths = 3;
    Testapi__V1__UpdateThingRequest request = update_request();
    request.project_id = lit("..");
    request.thing_id = lit("a/b,c");
    request.description = lit("a<b");
    request.has_share = true;
    request.share = 1;
    request.update_mask = &mask;
    struct built built;
    build_with(&built, test_method("UpdateThing"), &config, &request);
    assert_false(built.ok);
    assert_string_equal(built.st.reason, "VALIDATION_FAILED");
    static const char *const fields[] = {"update_mask.paths[0]", "thing_id", "description", "share",
                                         "project_id",           "thing_id"};
    assert_int_equal(built.violations.count, sizeof fields / sizeof fields[0]);
    for (size_t i = 0; i < built.violations.count; i++)
        assert_string_equal(built.violations.items[i].field, fields[i]);
    assert_non_null(strstr(built.st.msg, "(and 5 more)"));
    finish(&built);
}

static void test_warning_does_not_refuse(void **state)
{
    (void)state;
    Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    thing.has_flag = thing.has_colour = true;
    thing.colour = TESTAPI__V1__COLOUR__COLOUR_RED;
    Testapi__V1__UpdateThingRequest request = update_request();
    request.thing = &thing;
    struct built built;
    build_with(&built, test_method("UpdateThing"), &config, &request);
    assert_true(built.ok);
    assert_int_equal(built.warnings.count, 1);
    assert_string_equal(built.request.body, "{\"thing\":{\"flag\":false,\"colour\":\"red\"}}");
    finish(&built);
}

/* Of UpdateThingRequest, with a little of everything. */
static size_t pack_rich_request(uint8_t *bytes, size_t cap)
{
    Testapi__V1__Part part = TESTAPI__V1__PART__INIT;
    part.name = lit("n");
    part.has_size = true;
    part.size = 100;
    Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    thing.has_amount = true;
    thing.amount = 1.5;
    thing.part = &part;
    thing.numbers = (int32_t[]){1, 300, -1};
    thing.n_numbers = 3;
    Testapi__V1__UpdateThingRequest__LabelsEntry label =
        TESTAPI__V1__UPDATE_THING_REQUEST__LABELS_ENTRY__INIT;
    label.key = lit("k");
    label.value = lit("v");
    Testapi__V1__UpdateThingRequest request = update_request();
    request.thing = &thing;
    request.parts = (Testapi__V1__Part *[]){&part};
    request.n_parts = 1;
    request.labels = (Testapi__V1__UpdateThingRequest__LabelsEntry *[]){&label};
    request.n_labels = 1;
    request.tags = (char *[]){lit("t-\xE6\x96\x87")};
    request.n_tags = 1;
    size_t len = testapi__v1__update_thing_request__get_packed_size(&request);
    assert_true(len <= cap);
    testapi__v1__update_thing_request__pack(&request, bytes);
    return len;
}

static const char rich_body[] =
    "{\"thing\":{\"amount\":1.5,\"part\":{\"name\":\"n\",\"size\":100},\"numbers\":[1,300,-1]},"
    "\"parts\":[{\"name\":\"n\",\"size\":100}],\"labels\":{\"k\":\"v\"},\"tags\":[\"t-\xE6\x96\x87\"]}";

static void test_message_cut_anywhere_never_crashes(void **state)
{
    (void)state;
    uint8_t bytes[256];
    size_t len = pack_rich_request(bytes, sizeof bytes);
    struct built built;
    size_t malformed = 0;
    for (size_t cut = 0; cut <= len; cut++) {
        uint8_t *copy = malloc(cut + (cut == 0));
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        build_bytes(&built, test_method("UpdateThing"), &config, copy, cut, 1 << 20);
        if (!built.ok) {
            assert_int_equal(built.st.code, BR_INVALID_ARGUMENT);
            malformed += strcmp(built.st.reason, "MALFORMED_MESSAGE") == 0;
        }
        if (cut == len)
            assert_string_equal(built.request.body, rich_body);
        finish(&built);
        free(copy);
    }
    /* All but the few cuts between two fields. */
    assert_true(malformed > len - 10);
}

static void test_message_of_another_kind_refused(void **state)
{
    (void)state;
    static const uint8_t group[] = {0x0B, 0x0C};
    struct built built;
    build_bytes(&built, test_method("UpdateThing"), &config, group, sizeof group, 1 << 20);
    assert_false(built.ok);
    assert_int_equal(built.st.code, BR_INVALID_ARGUMENT);
    assert_string_equal(built.st.reason, "MALFORMED_MESSAGE");
    finish(&built);
}

static void test_arena_of_any_size_is_resource_exhausted_or_enough(void **state)
{
    (void)state;
    uint8_t bytes[256];
    size_t len = pack_rich_request(bytes, sizeof bytes);
    struct built built;
    size_t failures = 0;
    for (size_t limit = 0; failures < 10000; limit += 16) {
        build_bytes(&built, test_method("UpdateThing"), &config, bytes, len, limit);
        bool ok = built.ok;
        if (!ok) {
            assert_int_equal(built.st.code, BR_RESOURCE_EXHAUSTED);
            assert_string_equal(built.st.reason, "OUT_OF_MEMORY");
        }
        finish(&built);
        if (ok)
            break;
        failures++;
    }
    assert_true(failures > 20 && failures < 10000);
}

static void test_failed_allocations_are_resource_exhausted(void **state)
{
    (void)state;
    uint8_t bytes[256];
    size_t len = pack_rich_request(bytes, sizeof bytes);
    struct built built;
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = malloc, .free_fn = free}); /* those that may fail */
    size_t failures = 0;
    for (bool ok = false; !ok; failures++) {
        alloc_fault_once_after(failures);
        build_bytes(&built, test_method("UpdateThing"), &config, bytes, len, 1 << 20);
        (void)alloc_fault_end();
        ok = built.ok;
        if (!ok)
            assert_int_equal(built.st.code, BR_RESOURCE_EXHAUSTED);
        finish(&built);
        assert_true(failures < 1000);
    }
    assert_true(failures > 20);
}

static void test_finish_accepts_zeroed_and_again(void **state)
{
    (void)state;
    struct br_rest_request request = {0};
    br_rest_request_finish(&request);
    request.body = malloc(1);
    br_rest_request_finish(&request);
    br_rest_request_finish(&request);
    assert_null(request.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_value_is_percent_encoded),
        cmocka_unit_test(test_path_value_that_would_change_the_path_refused),
        cmocka_unit_test(test_path_value_length_limit_is_exact),
        cmocka_unit_test(test_path_value_that_the_validation_found_too_long_is_one_violation),
        cmocka_unit_test(test_path_variable_left_out_takes_the_default),
        cmocka_unit_test(test_default_is_checked_like_a_value),
        cmocka_unit_test(test_required_path_variable_left_out_is_one_violation),
        cmocka_unit_test(test_base_url_with_a_prefix_is_kept),
        cmocka_unit_test(test_query_has_what_is_set_in_schema_order),
        cmocka_unit_test(test_query_text_may_hold_what_a_path_may_not),
        cmocka_unit_test(test_query_without_a_form_refused),
        cmocka_unit_test(test_query_of_every_kind_is_exact),
        cmocka_unit_test(test_url_ceiling_is_exact),
        cmocka_unit_test(test_body_star_has_what_the_path_did_not_bind),
        cmocka_unit_test(test_body_of_a_list_field_is_that_list),
        cmocka_unit_test(test_mask_sends_the_fields_it_names),
        cmocka_unit_test(test_mask_goes_below_a_body_that_is_a_field),
        cmocka_unit_test(test_every_violation_is_reported_at_once),
        cmocka_unit_test(test_warning_does_not_refuse),
        cmocka_unit_test(test_message_cut_anywhere_never_crashes),
        cmocka_unit_test(test_message_of_another_kind_refused),
        cmocka_unit_test(test_arena_of_any_size_is_resource_exhausted_or_enough),
        cmocka_unit_test_teardown(test_failed_allocations_are_resource_exhausted, all_memory),
        cmocka_unit_test(test_finish_accepts_zeroed_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
