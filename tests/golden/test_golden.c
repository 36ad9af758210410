/*
 * Runs the conformance kit in this folder against the bridge: each case drives one call through br_call, with
 * no socket and with a clock that stands still, and compares all that comes out.
 *
 * Usage: test_golden CASES PROTOC DESCRIPTOR_SETS
 *   CASES            the folder of the kit
 *   PROTOC           the protobuf compiler, which turns text into messages and back
 *   DESCRIPTOR_SETS  for its --descriptor_set_in: the schema, google.rpc.Status and its details
 *
 * The format of a case is in README.md.
 */
#include "fake_http.h"
#include "golden_case.h"

#include "translate/named_rules.h"

#include <google/rpc/status.pb-c.h>

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE_URL "https://modelarts.example.com"
#define SERVICE "modelarts.v1.ModelArtsService"
#define DETAILS_KEY "grpc-status-details-bin"

/* All that a case folder may hold. */
static const char *const file_names[] = {
    "request.txtpb",     "request.hex",    "metadata.txt", "config.txt",   "http_request.txt",
    "http_response.txt", "response.txtpb", "status.txtpb", "trailers.txt",
};

/* The names behind "!failure". */
static const char *const failure_names[] = {
    [BR_TRANSPORT_CANCELLED] = "CANCELLED",     [BR_TRANSPORT_DEADLINE] = "DEADLINE",
    [BR_TRANSPORT_UNREACHABLE] = "UNREACHABLE", [BR_TRANSPORT_CONNECT_TIMEOUT] = "CONNECT_TIMEOUT",
    [BR_TRANSPORT_BROKEN] = "BROKEN",           [BR_TRANSPORT_UNTRUSTED] = "UNTRUSTED",
    [BR_TRANSPORT_TOO_LARGE] = "TOO_LARGE",     [BR_TRANSPORT_NO_MEMORY] = "NO_MEMORY",
    [BR_TRANSPORT_FAILED] = "FAILED",
};

/* ---- The exchange with upstream ---- */

/* The request as http_request.txt has it. */
static struct text show_request(struct golden *golden, const struct br_http_exchange *exchange)
{
    struct br_buf buf;
    br_buf_init(&buf, GOLDEN_BYTES);
    bool is_ours = strncmp(exchange->url, BASE_URL "/", sizeof BASE_URL) == 0;
    golden_append_text(&buf, exchange->verb);
    golden_append_text(&buf, " ");
    golden_append_text(&buf, exchange->url + (is_ours ? strlen(BASE_URL) : 0));
    golden_append_text(&buf, " HTTP/1.1\n");
    for (size_t i = 0; i < exchange->headers.count; i++) {
        golden_append_text(&buf, exchange->headers.items[i].name);
        golden_append_text(&buf, ": ");
        golden_append_text(&buf, exchange->headers.items[i].value);
        golden_append_text(&buf, "\n");
    }
    golden_append_text(&buf, "\n");
    if (exchange->body != NULL) {
        golden_append(&buf, exchange->body, exchange->body_len);
    }
    return golden_take(golden, &buf);
}

/* Reads "!failure NAME TRANSPORT_ERROR". */
static bool read_failure(const char *line, struct br_http_exchange *exchange)
{
    static const char mark[] = "!failure ";
    if (strncmp(line, mark, sizeof mark - 1) != 0) {
        return false;
    }
    const char *name = line + sizeof mark - 1;
    size_t len = strcspn(name, " ");
    for (size_t i = 0; i < sizeof failure_names / sizeof failure_names[0]; i++) {
        if (strlen(failure_names[i]) == len && memcmp(name, failure_names[i], len) == 0 && name[len] == ' ') {
            exchange->failure = (enum br_transport_failure)i;
            exchange->failure_name = name + len + 1;
            return true;
        }
    }
    return false;
}

/* Gives the exchange the outcome that http_response.txt tells. */
static void end_exchange(struct golden *golden, struct text source, struct br_http_exchange *exchange)
{
    static const char version[] = "HTTP/1.1 ";
    const char *at = source.data;
    const char *end = source.data + source.len;
    const char *line = golden_next_line(golden, &at, end);
    exchange->answered = line != NULL && strncmp(line, version, sizeof version - 1) == 0;
    if (exchange->answered) {
        exchange->answer.status = (int)strtol(line + sizeof version - 1, NULL, 10);
        exchange->answer.headers = golden_read_pairs(golden, "http_response.txt", &at, end);
        exchange->answer.body = at;
        exchange->answer.body_len = (size_t)(end - at);
    } else if (line == NULL || !read_failure(line, exchange)) {
        golden_fail(golden, "http_response.txt has no status line and no \"!failure NAME TRANSPORT_ERROR\"");
        exchange->failure = BR_TRANSPORT_FAILED;
        exchange->failure_name = "OTHER";
    }
    exchange->done(exchange);
}

static void check_exchange(struct golden *golden, struct fake_http *http, struct br_call *call)
{
    struct text expected = golden_read_file(golden, "http_request.txt");
    struct text answer = golden_read_file(golden, "http_response.txt");
    if ((expected.data == NULL) != (answer.data == NULL)) {
        golden_fail(golden, "has one of http_request.txt and http_response.txt; it needs both or none");
    }
    if (http->submit_count == 0) {
        if (expected.data != NULL) {
            golden_fail(golden, "nothing was sent, although there is an http_request.txt");
        }
        return;
    }
    struct text sent = show_request(golden, http->submitted);
    if (expected.data != NULL) {
        golden_expect_text(golden, "http_request.txt", expected, sent);
    } else {
        golden_fail(golden, "nothing may be sent, there is no http_request.txt; this was:");
        golden_print_unexpected(sent);
    }
    end_exchange(golden, answer.data != NULL ? answer : golden_copy(golden, "", 0), http->submitted);
    br_call_resume(call);
}

/* ---- The reply ---- */

static void check_trailers(struct golden *golden, const struct br_reply *reply, struct text *details)
{
    struct br_buf buf;
    br_buf_init(&buf, GOLDEN_BYTES);
    *details = (struct text){0};
    for (size_t i = 0; i < reply->trailer_count; i++) {
        const struct br_trailer *trailer = &reply->trailers[i];
        if (strcmp(trailer->key, DETAILS_KEY) == 0) {
            *details = golden_copy(golden, trailer->value, trailer->len);
            continue;
        }
        golden_append_text(&buf, trailer->key);
        golden_append_text(&buf, ": ");
        golden_append(&buf, trailer->value, trailer->len);
        golden_append_text(&buf, "\n");
    }
    struct text expected = golden_read_file(golden, "trailers.txt");
    golden_expect_text(golden, "trailers.txt", expected.data != NULL ? expected : golden_copy(golden, "", 0),
                       golden_take(golden, &buf));
}

/* The code and the message that gRPC itself carries are those of the details. */
static void check_grpc_status(struct golden *golden, const struct br_reply *reply, struct text details)
{
    Google__Rpc__Status *status =
        google__rpc__status__unpack(NULL, details.len, (const uint8_t *)details.data);
    if (status == NULL || status->code != (int32_t)reply->code ||
        strcmp(status->message, reply->message) != 0) {
        golden_fail(golden, "grpc-status and grpc-message are not those of " DETAILS_KEY);
    }
    google__rpc__status__free_unpacked(status, NULL);
}

/*
 * Compares a message with the file |name|. Other bytes of an equal message are no fault: a zero may be
 * written out or not.
 */
static void check_message(struct golden *golden, const char *name, const char *message, struct text actual)
{
    struct text source = golden_read_file(golden, name);
    if (source.data == NULL) {
        golden_fail(golden, "there is no %s; this was answered:", name);
        golden_print_unexpected(golden_decode(golden, message, actual));
        return;
    }
    struct text expected;
    if (golden_encode(golden, name, message, source, &expected) && !golden_is_equal(expected, actual)) {
        golden_expect_text(golden, name, golden_decode(golden, message, expected),
                           golden_decode(golden, message, actual));
    }
}

static void check_reply(struct golden *golden, const struct br_reply *reply)
{
    struct text details;
    check_trailers(golden, reply, &details);
    bool is_ok = reply->code == BR_OK;
    if (is_ok != (details.data == NULL) || is_ok != (reply->bytes != NULL)) {
        golden_fail(golden, "an answer has a message and no details, a failure has details and no message");
    } else if (is_ok) {
        check_message(golden, "response.txtpb", golden->method->output->full_name,
                      golden_copy(golden, (const char *)reply->bytes, reply->len));
    } else {
        check_grpc_status(golden, reply, details);
        check_message(golden, "status.txtpb", "google.rpc.Status", details);
    }
}

/* ---- The call ---- */

static void run_call(struct golden *golden, struct text request)
{
    struct br_headers pairs = golden_read_pairs_file(golden, "metadata.txt", "x-auth-token: golden-token\n");
    struct br_metadatum metadata[GOLDEN_PAIRS_MAX];
    for (size_t i = 0; i < pairs.count; i++) {
        metadata[i] = (struct br_metadatum){.key = pairs.items[i].name,
                                            .key_len = strlen(pairs.items[i].name),
                                            .value = pairs.items[i].value,
                                            .value_len = strlen(pairs.items[i].value)};
    }
    struct br_headers settings = golden_read_pairs_file(golden, "config.txt", "");
    struct br_header project = {.name = "project_id", .value = br_headers_find(&settings, "project-id")};
    if (settings.count != (project.value != NULL)) {
        golden_fail(golden, "config.txt may hold \"project-id: ID\" and nothing else");
    }

    struct fake_http http;
    struct fake_clock clock;
    struct br_retry_budget retries;
    br_retry_budget_init(&retries);
    struct fake_host host;
    fake_clock_init(&clock);
    fake_http_init(&http, &clock.clock);
    fake_host_init(&host);
    const struct br_call_config config = {
        .rest = {.base_url = BASE_URL, .defaults = {.items = &project, .count = project.value != NULL}},
        .auth = br_auth_passthrough(),
        .http = &http.http,
        .retries = &retries,
        .max_attempts = 1,
        .clock = &clock.clock,
        .random = fake_random,
        .default_timeout_ms = 60000,
        .max_timeout_ms = 60000,
        .max_response_bytes = (size_t)16 << 20,
    };
    const struct br_call_request call_request = {
        .method = golden->method,
        .metadata = metadata,
        .metadata_count = pairs.count,
        .timeout_ms = -1,
        .bytes = (const uint8_t *)request.data,
        .len = request.len,
    };
    struct br_call *call = golden_need(br_call_create(&config, &host.host));
    br_call_start(call, &call_request);
    check_exchange(golden, &http, call);
    if (host.reply_count == 1) {
        check_reply(golden, &host.reply);
        br_call_replied(call);
    } else {
        golden_fail(golden, "the call was answered %zu times", host.reply_count);
    }
    fake_host_finish(&host);
    br_call_destroy(call);
}

/* ---- The folders ---- */

static void check_file_names(struct golden *golden)
{
    const char *folder =
        golden_need(br_arena_printf(&golden->arena, "%s/%s", golden->kit->folder, golden->name));
    int expectation_count = 0;
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        golden_fail(golden, "is not a folder");
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        bool is_known = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
        for (size_t i = 0; i < sizeof file_names / sizeof file_names[0]; i++) {
            is_known = is_known || strcmp(name, file_names[i]) == 0;
        }
        if (!is_known) {
            golden_fail(golden, "has a file that the kit does not know: %s", name);
        }
        expectation_count += strcmp(name, "response.txtpb") == 0 || strcmp(name, "status.txtpb") == 0;
    }
    closedir(dir);
    if (expectation_count != 1) {
        golden_fail(golden, "needs one of response.txtpb and status.txtpb");
    }
}

static void run_case(struct kit *kit, const struct br_method *method, const char *rpc, const char *name)
{
    struct golden golden = {.kit = kit, .method = method};
    br_arena_init(&golden.arena, GOLDEN_BYTES);
    golden.name = golden_need(br_arena_printf(&golden.arena, "%s/%s", rpc, name));
    check_file_names(&golden);
    struct text request;
    if (golden_read_request(&golden, &request)) {
        run_call(&golden, request);
    }
    kit->case_count++;
    kit->failed_count += golden.failed;
    br_arena_finish(&golden.arena);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void run_rpc(struct kit *kit, const char *rpc)
{
    char path[512];
    (void)snprintf(path, sizeof path, "/" SERVICE "/%s", rpc);
    const struct br_method *method = br_contract_find(kit->contract, path, strlen(path));
    (void)snprintf(path, sizeof path, "%s/%s", kit->folder, rpc);
    struct dirent **entries;
    int count = method != NULL ? scandir(path, &entries, is_visible, alphasort) : -1;
    if (count < 0) {
        printf("FAIL %s: not a folder, or not an rpc of " SERVICE "\n", rpc);
        kit->failed_count++;
        return;
    }
    for (int i = 0; i < count; i++) {
        run_case(kit, method, rpc, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

/* A name that begins with a capital is an rpc; README.md is the only file among them. */
static int is_rpc(const struct dirent *entry)
{
    return isupper((unsigned char)entry->d_name[0]) && strchr(entry->d_name, '.') == NULL;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s CASES PROTOC DESCRIPTOR_SETS\n", argv[0]);
        return 2;
    }
    struct kit kit = {.folder = argv[1], .protoc = argv[2], .sets = argv[3]};
    struct br_status st;
    struct dirent **entries;
    int count = scandir(kit.folder, &entries, is_rpc, alphasort);
    if (count < 0) {
        fprintf(stderr, "%s cannot be read\n", kit.folder);
        return 2;
    }
    if (!br_contract_create(&br_schema_linked, br_named_functions, br_named_functions_count, &kit.contract,
                            &st)) {
        fprintf(stderr, "%s\n", st.msg);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        run_rpc(&kit, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    br_contract_destroy(kit.contract);
    if (kit.case_count == 0) {
        printf("FAIL: there are no cases in %s\n", kit.folder);
    }
    printf("%zu cases, %zu failed\n", kit.case_count, kit.failed_count);
    return kit.case_count == 0 || kit.failed_count > 0;
}
