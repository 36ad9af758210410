/* memmem() */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alloc_fault.h"
#include "serve/reflection.h"

#include <google/protobuf/descriptor.pb-c.h>
#include <grpc/reflection/v1/reflection.pb-c.h>
#include <grpc/reflection/v1alpha/reflection.pb-c.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE_FILE "modelarts/v1/modelarts_service.proto"

typedef Grpc__Reflection__V1__ServerReflectionRequest request_type;
typedef Grpc__Reflection__V1__ServerReflectionResponse response_type;
#define KIND(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define ANSWER(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

/* The product's own schema. */
static struct br_reflection reflection;

static int create_index(void **state)
{
    (void)state;
    struct br_status st;
    struct br_file_index *files;
    if (!br_file_index_create(&br_schema_linked, &files, &st)) {
        return -1;
    }
    reflection = (struct br_reflection){.schema = &br_schema_linked, .files = files};
    return 0;
}

static int destroy_index(void **state)
{
    (void)state;
    br_file_index_destroy((struct br_file_index *)(uintptr_t)reflection.files);
    return 0;
}

/* The answer; NULL: none, but |st|. Released with response_free(). */
static response_type *ask_bytes(const void *bytes, size_t len, struct br_status *st)
{
    struct br_buf reply;
    br_buf_init(&reply, BR_LOCAL_MAX_REPLY_BYTES);
    /* A copy that ends where the bytes do, so that the sanitizer sees a step beyond. */
    uint8_t *copy = malloc(len + 1);
    memcpy(copy + 1, bytes, len);
    response_type *response = NULL;
    if (br_reflection_answer(&reflection, copy + 1, len, &reply, st)) {
        const uint8_t *data = (const uint8_t *)reply.data;
        response = grpc__reflection__v1__server_reflection_response__unpack(NULL, reply.len, data);
        assert_non_null(response);
        /* v1alpha's is the same. */
        Grpc__Reflection__V1alpha__ServerReflectionResponse *alpha =
            grpc__reflection__v1alpha__server_reflection_response__unpack(NULL, reply.len, data);
        assert_non_null(alpha);
        assert_int_equal(alpha->message_response_case, (int)response->message_response_case);
        assert_int_equal(alpha->base.n_unknown_fields, 0);
        grpc__reflection__v1alpha__server_reflection_response__free_unpacked(alpha, NULL);
    }
    free(copy);
    br_buf_finish(&reply);
    return response;
}

static void response_free(response_type *response)
{
    grpc__reflection__v1__server_reflection_response__free_unpacked(response, NULL);
}

static size_t pack(const request_type *request, uint8_t bytes[512])
{
    size_t len = grpc__reflection__v1__server_reflection_request__get_packed_size(request);
    assert_true(len <= 512);
    return grpc__reflection__v1__server_reflection_request__pack(request, bytes);
}

static response_type *ask(const request_type *request)
{
    uint8_t bytes[512];
    struct br_status st;
    response_type *response = ask_bytes(bytes, pack(request, bytes), &st);
    if (response == NULL) {
        fail_msg("%s", st.msg);
    }
    return response;
}

static request_type text_request(int kind, const char *text)
{
    request_type request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    request.message_request_case = kind;
    request.file_by_filename = (char *)(uintptr_t)text; /* the oneof's members share their place */
    return request;
}

static response_type *ask_text(int kind, const char *text)
{
    request_type request = text_request(kind, text);
    return ask(&request);
}

static response_type *ask_extension(const char *type, int32_t number)
{
    Grpc__Reflection__V1__ExtensionRequest extension = GRPC__REFLECTION__V1__EXTENSION_REQUEST__INIT;
    extension.containing_type = (char *)(uintptr_t)type;
    extension.has_extension_number = true;
    extension.extension_number = number;
    request_type request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    request.message_request_case = KIND(FILE_CONTAINING_EXTENSION);
    request.file_containing_extension = &extension;
    return ask(&request);
}

/* The answer holds files: the first is |name|, each comes once and with all that it imports. */
static void assert_files(response_type *response, const char *name)
{
    assert_int_equal(response->message_response_case, ANSWER(FILE_DESCRIPTOR_RESPONSE));
    const Grpc__Reflection__V1__FileDescriptorResponse *files = response->file_descriptor_response;
    Google__Protobuf__FileDescriptorProto *protos[64];
    assert_in_range(files->n_file_descriptor_proto, 1, 64);
    for (size_t i = 0; i < files->n_file_descriptor_proto; i++) {
        protos[i] = google__protobuf__file_descriptor_proto__unpack(NULL, files->file_descriptor_proto[i].len,
                                                                    files->file_descriptor_proto[i].data);
        assert_non_null(protos[i]);
    }
    assert_string_equal(protos[0]->name, name);
    for (size_t i = 0; i < files->n_file_descriptor_proto; i++) {
        for (size_t k = 0; k < protos[i]->n_dependency; k++) {
            size_t found = 0;
            for (size_t j = 0; j < files->n_file_descriptor_proto; j++) {
                found += strcmp(protos[j]->name, protos[i]->dependency[k]) == 0;
            }
            assert_int_equal(found, 1);
        }
    }
    for (size_t i = 0; i < files->n_file_descriptor_proto; i++) {
        google__protobuf__file_descriptor_proto__free_unpacked(protos[i], NULL);
    }
    response_free(response);
}

static void assert_error(response_type *response, int code, const char *message)
{
    assert_int_equal(response->message_response_case, ANSWER(ERROR_RESPONSE));
    assert_int_equal(response->error_response->error_code, code);
    assert_string_equal(response->error_response->error_message, message);
    response_free(response);
}

static void test_file_by_filename(void **state)
{
    (void)state;
    int kind = KIND(FILE_BY_FILENAME);
    assert_files(ask_text(kind, SERVICE_FILE), SERVICE_FILE);
    assert_files(ask_text(kind, "google/protobuf/descriptor.proto"), "google/protobuf/descriptor.proto");
    assert_files(ask_text(kind, "google/rpc/error_details.proto"), "google/rpc/error_details.proto");
    assert_error(ask_text(kind, "no/such.proto"), BR_NOT_FOUND, "the schema has no file \"no/such.proto\"");
    assert_error(ask_text(kind, ""), BR_NOT_FOUND, "the schema has no file \"\"");
}

/* The published schema, not the one that C structs are made from. */
static void test_files_are_not_lowered(void **state)
{
    (void)state;
    response_type *response = ask_text(KIND(FILE_BY_FILENAME), SERVICE_FILE);
    const ProtobufCBinaryData *bytes = &response->file_descriptor_response->file_descriptor_proto[0];
    Google__Protobuf__FileDescriptorProto *proto =
        google__protobuf__file_descriptor_proto__unpack(NULL, bytes->len, bytes->data);
    assert_string_equal(proto->syntax, "proto3");
    size_t optional_count = 0;
    for (size_t i = 0; i < proto->n_message_type; i++) {
        for (size_t k = 0; k < proto->message_type[i]->n_field; k++) {
            optional_count += proto->message_type[i]->field[k]->proto3_optional;
        }
    }
    assert_true(optional_count > 5);
    google__protobuf__file_descriptor_proto__free_unpacked(proto, NULL);
    response_free(response);
}

static void test_file_containing_symbol(void **state)
{
    (void)state;
    int kind = KIND(FILE_CONTAINING_SYMBOL);
    static const char *const names[] = {
        "modelarts.v1.ModelArtsService",
        "modelarts.v1.ModelArtsService.UpdateService",
        "modelarts.v1.UpdateServiceRequest",
        "modelarts.v1.UpdateServiceRequest.service_id",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_files(ask_text(kind, names[i]), SERVICE_FILE);
    }
    assert_files(ask_text(kind, "google.rpc.ErrorInfo"), "google/rpc/error_details.proto");
    assert_files(ask_text(kind, "grpc.health.v1.HealthCheckResponse.SERVING"), "grpc/health/v1/health.proto");
    assert_files(ask_text(kind, "modelarts.rest.v1.key"), "modelarts/rest/v1/rest.proto");
    assert_error(ask_text(kind, "modelarts.v1"), BR_NOT_FOUND, "the schema has no symbol \"modelarts.v1\"");
    assert_error(ask_text(kind, "a\nb"), BR_NOT_FOUND, "the schema has no symbol \"a\\u000Ab\"");
}

static void test_file_containing_extension(void **state)
{
    (void)state;
    assert_files(ask_extension("google.protobuf.MethodOptions", 72295728), "google/api/annotations.proto");
    assert_files(ask_extension("google.protobuf.FieldOptions", 1159), "buf/validate/validate.proto");
    assert_files(ask_extension("google.protobuf.FieldOptions", 50702), "modelarts/rest/v1/rest.proto");
    assert_error(ask_extension("google.protobuf.FieldOptions", -1), BR_NOT_FOUND,
                 "the schema has no extension -1 of \"google.protobuf.FieldOptions\"");
    assert_error(ask_extension("google.protobuf.FieldOption", 1159), BR_NOT_FOUND,
                 "the schema has no extension 1159 of \"google.protobuf.FieldOption\"");
    assert_error(ask_extension("", 0), BR_NOT_FOUND, "the schema has no extension 0 of \"\"");
}

static void test_all_extension_numbers_of_type(void **state)
{
    (void)state;
    int kind = KIND(ALL_EXTENSION_NUMBERS_OF_TYPE);
    response_type *response = ask_text(kind, "google.protobuf.FieldOptions");
    assert_int_equal(response->message_response_case, ANSWER(ALL_EXTENSION_NUMBERS_RESPONSE));
    const Grpc__Reflection__V1__ExtensionNumberResponse *numbers = response->all_extension_numbers_response;
    assert_string_equal(numbers->base_type_name, "google.protobuf.FieldOptions");
    assert_int_equal(numbers->n_extension_number, 2);
    assert_int_equal(numbers->extension_number[0], 1159);
    assert_int_equal(numbers->extension_number[1], 50702);
    response_free(response);

    response = ask_text(kind, "modelarts.v1.UpdateServiceRequest");
    assert_int_equal(response->message_response_case, ANSWER(ALL_EXTENSION_NUMBERS_RESPONSE));
    assert_int_equal(response->all_extension_numbers_response->n_extension_number, 0);
    response_free(response);

    assert_error(ask_text(kind, "modelarts.v1.Nothing"), BR_NOT_FOUND,
                 "the schema has no message \"modelarts.v1.Nothing\"");
    assert_error(ask_text(kind, "modelarts.v1.ModelArtsService"), BR_NOT_FOUND,
                 "the schema has no message \"modelarts.v1.ModelArtsService\"");
}

static void test_list_services(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "modelarts.v1.ModelArtsService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    };
    response_type *response = ask_text(KIND(LIST_SERVICES), "");
    assert_int_equal(response->message_response_case, ANSWER(LIST_SERVICES_RESPONSE));
    const Grpc__Reflection__V1__ListServiceResponse *services = response->list_services_response;
    assert_int_equal(services->n_service, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(services->service[i]->name, expected[i]);
    }
    response_free(response);
}

static void test_answer_repeats_the_request(void **state)
{
    (void)state;
    request_type request = text_request(KIND(LIST_SERVICES), "*");
    static char host[] = "bridge.example";
    request.host = host;
    response_type *response = ask(&request);
    assert_string_equal(response->valid_host, host);
    assert_string_equal(response->original_request->host, host);
    assert_int_equal(response->original_request->message_request_case, KIND(LIST_SERVICES));
    assert_string_equal(response->original_request->list_services, "*");
    response_free(response);
}

#define ASK(literal, st) ask_bytes(literal, sizeof(literal) - 1, st)

/* Others take a field of another wire type for an unknown one; protobuf-c would not read the answer, which repeats it. */
static void test_fields_of_another_wire_type_are_unknown(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        const char *part; /* of the answer; NULL: the request is refused */
    } cases[] = {
        {"\x3a\x01*\x38\x01", "grpc.health.v1.Health"},
        {"\x3a\x01*\x09liveness", "grpc.health.v1.Health"},
        {"\x2a\x04\x08\x01\x10\x05", "no extension 5 of \"\""},
        {"\x2a\x08\x15zzzz\x0a\x01\x61", "no extension 0 of \"a\""},
        {"\x2a\x06\x15zzzz\x0a\x01\x61", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct br_status st;
        struct br_buf reply;
        const char *request = cases[i].request;
        br_buf_init(&reply, BR_LOCAL_MAX_REPLY_BYTES);
        bool answered =
            br_reflection_answer(&reflection, (const uint8_t *)request, strlen(request), &reply, &st);
        assert_int_equal(answered, cases[i].part != NULL);
        if (answered) {
            assert_non_null(memmem(reply.data, reply.len, cases[i].part, strlen(cases[i].part)));
        }
        br_buf_finish(&reply);
    }
}

static void test_requests_are_read_as_protobuf_reads_them(void **state)
{
    (void)state;
    struct br_status st;
    static const char nothing[] = "the request asks for nothing that this server knows";
    assert_error(ASK("", &st), BR_INVALID_ARGUMENT, nothing);
    assert_error(ASK("\x0a\x01h", &st), BR_INVALID_ARGUMENT, nothing);
    assert_error(ASK("\x42\x01x", &st), BR_INVALID_ARGUMENT, nothing);
    /* The last of a oneof counts, and unknown fields do not. */
    assert_error(ASK("\x3a\x01*\x1a\x01x", &st), BR_NOT_FOUND, "the schema has no file \"x\"");
    assert_error(ASK("\x1a\x01x\x42\x02\xff\xff", &st), BR_NOT_FOUND, "the schema has no file \"x\"");
    /* A NUL does not hide the rest. */
    assert_error(ASK("\x1a\x26" SERVICE_FILE "\0y", &st), BR_NOT_FOUND,
                 "the schema has no file \"" SERVICE_FILE "\"");
    assert_error(ASK("\x2a\x00", &st), BR_NOT_FOUND, "the schema has no extension 0 of \"\"");
}

static void assert_refused(const void *bytes, size_t len)
{
    struct br_status st;
    assert_null(ask_bytes(bytes, len, &st));
    assert_int_equal(st.code, BR_INVALID_ARGUMENT);
    assert_string_equal(st.reason, "MALFORMED_MESSAGE");
}

static void test_hostile_requests_are_refused(void **state)
{
    (void)state;
    static const char whole[] = "\x2a\x0b\x0a\x07\x61.b.C\xc3\xa9\x10\x05";
    struct br_status st;
    response_free(ASK("\x2a\x0b\x0a\x07\x61.b.C\xc3\xa9\x10\x05", &st));
    for (size_t len = 1; len < sizeof whole - 1; len++) {
        assert_refused(whole, len);
    }
    assert_refused("\x1a\x02\xff\xff", 4);
    assert_refused("\x0a\x01\xc3\x3a\x01*", 6);
    assert_refused("\x2a\x04\x0a\x02\xff\xff", 6);
    assert_refused("\x2a\x02\x0a\x02zz", 6); /* past the end of the inner message */
    assert_refused("\x1a\xff\xff\xff\xff\x0f", 6);
    assert_refused("\x1b\x1c", 2);
}

static void test_huge_name_is_cut_in_the_error(void **state)
{
    (void)state;
    size_t len = BR_LOCAL_MAX_REQUEST_BYTES;
    char *huge = malloc(len);
    struct br_status st;
    memset(huge, 'x', len);
    memcpy(huge, "\x22\xfd\x7f", 3);
    response_type *response = ask_bytes(huge, len, &st);
    assert_non_null(response);
    assert_int_equal(response->error_response->error_code, BR_NOT_FOUND);
    assert_true(strlen(response->error_response->error_message) < 200);
    assert_int_equal(strlen(response->original_request->file_containing_symbol), len - 3);
    response_free(response);
    free(huge);
}

/* A request may hold anything; what is answered can always be read. */
static void test_damaged_requests_are_survived(void **state)
{
    (void)state;
    uint8_t bytes[512];
    request_type request = text_request(KIND(FILE_CONTAINING_SYMBOL), "modelarts.v1.ModelArtsService");
    size_t len = pack(&request, bytes);
    for (size_t i = 0; i < len; i++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t kept = bytes[i];
            struct br_status st;
            bytes[i] = (uint8_t)value;
            response_type *response = ask_bytes(bytes, len, &st);
            if (response != NULL) {
                response_free(response);
            }
            bytes[i] = kept;
        }
    }
}

static void test_without_memory_is_told(void **state)
{
    (void)state;
    static const request_type none = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    const request_type requests[] = {
        none,
        text_request(KIND(LIST_SERVICES), ""),
        text_request(KIND(FILE_BY_FILENAME), SERVICE_FILE),
        text_request(KIND(ALL_EXTENSION_NUMBERS_OF_TYPE), "google.protobuf.FieldOptions"),
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        uint8_t bytes[512];
        size_t len = pack(&requests[i], bytes);
        for (size_t count = 0;; count++) {
            struct br_status st;
            struct br_buf reply;
            br_buf_init(&reply, BR_LOCAL_MAX_REPLY_BYTES);
            alloc_fault_once_after(count);
            bool answered = br_reflection_answer(&reflection, bytes, len, &reply, &st);
            bool failed = alloc_fault_end();
            br_buf_finish(&reply);
            assert_int_equal(answered, !failed);
            if (answered) {
                assert_true(count > 0);
                break;
            }
            assert_string_equal(st.reason, "OUT_OF_MEMORY");
        }
    }
}

static void test_handlers_are_those_of_both_packages(void **state)
{
    (void)state;
    struct br_local_handler handlers[BR_REFLECTION_METHODS];
    br_reflection_handlers(&reflection, handlers);
    assert_string_equal(handlers[0].method, "grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    assert_string_equal(handlers[1].method, "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo");
    for (size_t i = 0; i < BR_REFLECTION_METHODS; i++) {
        assert_ptr_equal(handlers[i].context, &reflection);
        assert_ptr_equal(handlers[i].answer, br_reflection_answer);
        assert_null(handlers[i].watched);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_by_filename),
        cmocka_unit_test(test_files_are_not_lowered),
        cmocka_unit_test(test_file_containing_symbol),
        cmocka_unit_test(test_file_containing_extension),
        cmocka_unit_test(test_all_extension_numbers_of_type),
        cmocka_unit_test(test_list_services),
        cmocka_unit_test(test_answer_repeats_the_request),
        cmocka_unit_test(test_requests_are_read_as_protobuf_reads_them),
        cmocka_unit_test(test_fields_of_another_wire_type_are_unknown),
        cmocka_unit_test(test_hostile_requests_are_refused),
        cmocka_unit_test(test_huge_name_is_cut_in_the_error),
        cmocka_unit_test(test_damaged_requests_are_survived),
        cmocka_unit_test(test_without_memory_is_told),
        cmocka_unit_test(test_handlers_are_those_of_both_packages),
    };
    return cmocka_run_group_tests(tests, create_index, destroy_index);
}
