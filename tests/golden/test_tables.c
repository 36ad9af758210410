/*
 * The schema and the bridge have every row of the documents' tables, which stand in tables/.
 *
 * Usage: test_tables TABLES
 *
 * A row whose place is "field" is a field under that REST key, and one that can tell "not set" from zero.
 * Rows of headers and of error bodies are put to the test with a call.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_http.h"

#include "contract/field.h"
#include "contract/rules.h"
#include "translate/named_rules.h"

#include <dirent.h>
#include <google/protobuf/descriptor.pb-c.h>
#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBLEM_CAP 256
#define COLUMN_COUNT 6
#define ERROR_INFO "type.googleapis.com/google.rpc.ErrorInfo"

struct row {
    const char *message;   /* short or full name */
    const char *parameter; /* the REST key, or the header */
    const char *where;     /* "field", "metadata:KEY", "trailer:KEY", "details:KEY" */
};

static const char *tables_folder;
static struct br_contract *contract;
static Google__Protobuf__FileDescriptorSet *set;

static int set_up(void **state)
{
    (void)state;
    struct br_status st;
    if (!br_contract_create(&br_schema_linked, br_named_functions, br_named_functions_count, &contract,
                            &st)) {
        print_error("%s\n", st.msg);
        return -1;
    }
    set = google__protobuf__file_descriptor_set__unpack(NULL, br_schema_linked.set_len, br_schema_linked.set);
    return set != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
    br_contract_destroy(contract);
    return 0;
}

static void say(char problem[PROBLEM_CAP], const char *what, const char *detail)
{
    (void)snprintf(problem, PROBLEM_CAP, "%s: %s", what, detail);
}

/* ---- Fields ---- */

static bool is_named(const char *full_name, const char *name)
{
    const char *dot = strrchr(full_name, '.');
    return strcmp(full_name, name) == 0 || (dot != NULL && strcmp(dot + 1, name) == 0);
}

static const struct br_message_plan *find_plan(const struct br_message_plan *plan, const char *name)
{
    if (is_named(plan->full_name, name)) {
        return plan;
    }
    for (size_t i = 0; plan->shape == BR_SHAPE_FIELDS && i < plan->field_count; i++) {
        const struct br_field_plan *field = &plan->fields[i];
        const struct br_message_plan *found =
            field->kind == BR_KIND_MESSAGE ? find_plan(field->message, name) : NULL;
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

/* The method that takes or gives the message |name|, directly or inside; |plan| is that message's. */
static const struct br_method *find_method(const char *name, const struct br_message_plan **plan)
{
    size_t count;
    const struct br_method *methods = br_contract_methods(contract, &count);
    for (size_t i = 0; i < count; i++) {
        *plan = methods[i].verb != NULL ? find_plan(methods[i].input, name) : NULL;
        if (*plan == NULL && methods[i].verb != NULL) {
            *plan = find_plan(methods[i].output, name);
        }
        if (*plan != NULL) {
            return &methods[i];
        }
    }
    return NULL;
}

/* The field as the schema declares it; the structs have forgotten which fields are optional. */
static const Google__Protobuf__FieldDescriptorProto *find_declaration(const struct br_message_plan *plan,
                                                                      uint32_t number)
{
    for (size_t i = 0; i < set->n_file; i++) {
        const Google__Protobuf__FileDescriptorProto *file = set->file[i];
        size_t package_len = file->package != NULL ? strlen(file->package) : 0;
        if (package_len == 0 || strncmp(plan->full_name, file->package, package_len) != 0 ||
            plan->full_name[package_len] != '.') {
            continue;
        }
        for (size_t k = 0; k < file->n_message_type; k++) {
            const Google__Protobuf__DescriptorProto *message = file->message_type[k];
            bool is_it = strcmp(message->name, plan->full_name + package_len + 1) == 0;
            for (size_t j = 0; is_it && j < message->n_field; j++) {
                if (message->field[j]->number == (int32_t)number) {
                    return message->field[j];
                }
            }
        }
    }
    return NULL;
}

static void check_field(const struct row *row, char problem[PROBLEM_CAP])
{
    const struct br_message_plan *plan;
    if (find_method(row->message, &plan) == NULL) {
        say(problem, "no such message", row->message);
        return;
    }
    const struct br_field_plan *field = NULL;
    for (size_t i = 0; i < plan->field_count; i++) {
        field = strcmp(plan->fields[i].key, row->parameter) == 0 ? &plan->fields[i] : field;
    }
    const Google__Protobuf__FieldDescriptorProto *declaration =
        field != NULL ? find_declaration(plan, field->number) : NULL;
    if (declaration == NULL) {
        say(problem, "no such field", row->parameter);
    } else if (declaration->label != GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED &&
               declaration->type != GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE &&
               !declaration->proto3_optional) {
        say(problem, "a field that cannot tell \"not set\" from zero", row->parameter);
    }
}

/* ---- Headers and errors ---- */

/* What goes into a call and what comes out. */
struct probe {
    struct br_metadatum metadatum;
    int status;
    struct br_header header;
    const char *body;

    struct fake_http http;
    struct fake_clock clock;
    struct fake_host host;
    struct br_retry_budget retries;
    struct br_call_config config;
    struct br_call *call;
    const char *sent_value; /* of |header| */
};

/* A request that passes the rules: text in every text field, a value in every enum that must have one. */
static ProtobufCMessage *make_request(const struct br_message_plan *plan, struct br_arena *arena)
{
    ProtobufCMessage *message = br_message_new(plan->descriptor, arena);
    assert_non_null(message);
    for (size_t i = 0; i < plan->field_count; i++) {
        const struct br_field_plan *field = &plan->fields[i];
        if (field->label != BR_LABEL_SINGULAR) {
            continue;
        }
        if (field->kind == BR_KIND_STRING) {
            br_field_set(message, field, (union br_value){.text = "x"});
        } else if (field->kind == BR_KIND_ENUM && field->rules->required) {
            br_field_set(message, field, (union br_value){.integer = field->enumeration->values[1].number});
        }
    }
    return message;
}

/* Makes a call of |method|; release with finish_call(). */
static void make_call(struct probe *probe, const struct br_method *method)
{
    fake_clock_init(&probe->clock);
    fake_http_init(&probe->http, &probe->clock.clock);
    fake_host_init(&probe->host);
    br_retry_budget_init(&probe->retries);
    probe->config = (struct br_call_config){
        .rest = {.base_url = "https://modelarts.example.com"},
        .auth = br_auth_passthrough(),
        .http = &probe->http.http,
        .retries = &probe->retries,
        .max_attempts = 1,
        .clock = &probe->clock.clock,
        .default_timeout_ms = 1000,
        .max_timeout_ms = 1000,
        .max_response_bytes = 4096,
    };
    struct br_arena arena;
    br_arena_init(&arena, 65536);
    ProtobufCMessage *message = make_request(method->input, &arena);
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = br_arena_alloc(&arena, len);
    assert_non_null(bytes);
    protobuf_c_message_pack(message, bytes);
    const struct br_call_request request = {.method = method,
                                            .metadata = &probe->metadatum,
                                            .metadata_count = 1,
                                            .timeout_ms = -1,
                                            .bytes = bytes,
                                            .len = len};
    probe->call = br_call_create(&probe->config, &probe->host.host);
    assert_non_null(probe->call);
    br_call_start(probe->call, &request);
    br_arena_finish(&arena);
    probe->sent_value = NULL;
    if (probe->http.submit_count == 1) {
        probe->sent_value = br_headers_find(&probe->http.submitted->headers, probe->header.name);
        fake_http_answer(&probe->http, probe->status, (struct br_headers){&probe->header, 1}, probe->body);
        br_call_resume(probe->call);
    }
    assert_int_equal(probe->host.reply_count, 1);
    br_call_replied(probe->call);
}

static void finish_call(struct probe *probe)
{
    fake_host_finish(&probe->host);
    br_call_destroy(probe->call);
}

static const struct br_trailer *find_trailer(const struct probe *probe, const char *key)
{
    for (size_t i = 0; i < probe->host.reply.trailer_count; i++) {
        if (strcmp(probe->host.reply.trailers[i].key, key) == 0) {
            return &probe->host.reply.trailers[i];
        }
    }
    return NULL;
}

/* The value of |key| in the details of a failed call, where the message counts as error_msg. */
static bool has_detail(const struct probe *probe, const char *key, const char *value)
{
    const struct br_trailer *details = find_trailer(probe, "grpc-status-details-bin");
    assert_non_null(details);
    Google__Rpc__Status *status = google__rpc__status__unpack(NULL, details->len, details->value);
    assert_non_null(status);
    bool found = strcmp(key, "error_msg") == 0 && strcmp(status->message, value) == 0;
    for (size_t i = 0; i < status->n_details; i++) {
        const Google__Protobuf__Any *any = status->details[i];
        if (strcmp(any->type_url, ERROR_INFO) != 0) {
            continue;
        }
        Google__Rpc__ErrorInfo *info = google__rpc__error_info__unpack(NULL, any->value.len, any->value.data);
        assert_non_null(info);
        for (size_t k = 0; k < info->n_metadata; k++) {
            found = found || (strcmp(info->metadata[k]->key, key) == 0 &&
                              strcmp(info->metadata[k]->value, value) == 0);
        }
        google__rpc__error_info__free_unpacked(info, NULL);
    }
    google__rpc__status__free_unpacked(status, NULL);
    return found;
}

/* The rest of |where| behind |kind|; NULL when it is of another kind. */
static const char *key_of(const char *where, const char *kind)
{
    size_t len = strlen(kind);
    return strncmp(where, kind, len) == 0 ? where + len : NULL;
}

static void check_behaviour(const struct row *row, char problem[PROBLEM_CAP])
{
    const char *metadata_key = key_of(row->where, "metadata:");
    const char *trailer_key = key_of(row->where, "trailer:");
    const char *details_key = key_of(row->where, "details:");
    const struct br_message_plan *plan;
    size_t count;
    const struct br_method *method =
        details_key != NULL ? br_contract_methods(contract, &count) : find_method(row->message, &plan);
    if (method == NULL || (metadata_key == NULL && trailer_key == NULL && details_key == NULL)) {
        say(problem, "no such message or place", row->message);
        return;
    }
    char body[128];
    (void)snprintf(body, sizeof body, "{\"%s\":\"%s\"}", row->parameter, "detail");
    const char *key = metadata_key != NULL ? metadata_key : "x-auth-token";
    struct probe probe = {
        .metadatum = {.key = key, .key_len = strlen(key), .value = "value", .value_len = strlen("value")},
        .status = details_key != NULL ? 400 : 200,
        .header = {.name = row->parameter, .value = "value"},
        .body = details_key != NULL ? body : "{}",
    };
    make_call(&probe, method);
    const struct br_trailer *trailer = trailer_key != NULL ? find_trailer(&probe, trailer_key) : NULL;
    if (metadata_key != NULL && (probe.sent_value == NULL || strcmp(probe.sent_value, "value") != 0)) {
        say(problem, "metadata that does not become the header", row->parameter);
    } else if (trailer_key != NULL && (trailer == NULL || trailer->len != strlen("value") ||
                                       memcmp(trailer->value, "value", trailer->len) != 0)) {
        say(problem, "a header that does not become the trailer", trailer_key);
    } else if (details_key != NULL && !has_detail(&probe, details_key, "detail")) {
        say(problem, "a part of an error that is not in the details", details_key);
    }
    finish_call(&probe);
}

/* Writes what is wrong with |row|; "" when nothing is. */
static void check_row(const struct row *row, char problem[PROBLEM_CAP])
{
    problem[0] = '\0';
    if (strcmp(row->where, "field") == 0) {
        check_field(row, problem);
    } else {
        check_behaviour(row, problem);
    }
}

/* ---- The files ---- */

/* Checks the rows of one file; returns how many there are. */
static size_t check_table(const char *name, size_t *problem_count)
{
    static const char head[] = "table\tmessage\tparameter\tmandatory\ttype\twhere\n";
    char path[1024];
    char line[1024];
    (void)snprintf(path, sizeof path, "%s/%s", tables_folder, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line, head);

    size_t count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        char *columns[COLUMN_COUNT];
        char *rest = line;
        line[strcspn(line, "\n")] = '\0';
        for (size_t i = 0; i < COLUMN_COUNT; i++) {
            columns[i] = strsep(&rest, "\t");
            assert_non_null(columns[i]);
        }
        assert_null(rest);
        struct row row = {.message = columns[1], .parameter = columns[2], .where = columns[5]};
        char problem[PROBLEM_CAP];
        check_row(&row, problem);
        if (problem[0] != '\0') {
            print_error("%s: %s, %s, %s: %s\n", name, columns[0], row.message, row.parameter, problem);
            (*problem_count)++;
        }
        count++;
    }
    fclose(file);
    return count;
}

static int is_table(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot != NULL && strcmp(dot, ".tsv") == 0;
}

static void test_tables_every_row_is_there(void **state)
{
    (void)state;
    struct dirent **entries;
    int file_count = scandir(tables_folder, &entries, is_table, alphasort);
    assert_true(file_count > 0);
    size_t problem_count = 0;
    for (int i = 0; i < file_count; i++) {
        assert_true(check_table(entries[i]->d_name, &problem_count) > 0);
        free(entries[i]);
    }
    free(entries);
    assert_int_equal(problem_count, 0);
}

static void test_check_row_missing_is_reported(void **state)
{
    (void)state;
    static const struct row missing[] = {
        {"Log", "no_such_field", "field"},
        {"NoSuchMessage", "result", "field"},
        {"ServiceSecret", "secret_id", "field"}, /* the field's name, which is not its REST key */
        {"UpdateServiceRequest", "X-Auth-Token", "metadata:x-other-token"},
        {"UpdateServiceRequest", "X-Other-Token", "metadata:x-auth-token"},
        {"UpdateServiceByPropertyResponse", "X-Other-Id", "trailer:x-request-id"},
        {"UpdateServiceByPropertyResponse", "X-Request-Id", "trailer:x-other-id"},
        {"google.rpc.Status", "error_code", "details:no_such_key"},
        {"google.rpc.Status", "other_code", "details:error_code"},
        {"google.rpc.Status", "other_msg", "details:error_msg"},
        {"Log", "result", "no such place"},
    };
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        char problem[PROBLEM_CAP];
        check_row(&missing[i], problem);
        if (problem[0] == '\0') {
            fail_msg("%s, %s, %s passes", missing[i].message, missing[i].parameter, missing[i].where);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        print_error("usage: %s TABLES\n", argv[0]);
        return 2;
    }
    tables_folder = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_every_row_is_there),
        cmocka_unit_test(test_check_row_missing_is_reported),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
