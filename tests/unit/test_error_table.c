#include "translate/error_table.h"

#include "alloc_fault.h"
#include "translate/vendor_code.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER "http\tcode\tgrpc\treason\tsource\tdetail\n"

/* Memory of just this size, so that a read past the end is seen. */
static bool parse_bytes(const char *text, size_t len, struct br_error_table *table, struct br_status *st)
{
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    bool parsed = br_error_table_parse(copy, len, table, st);
    free(copy);
    return parsed;
}

static struct br_error_table parse(const char *text)
{
    struct br_error_table table;
    struct br_status st;
    if (!parse_bytes(text, strlen(text), &table, &st))
        fail_msg("refused: %s", st.msg);
    return table;
}

/* |message| may be the beginning of the message. */
static void expect_refused(const char *text, const char *message)
{
    struct br_error_table table;
    memset(&table, 0x5a, sizeof table);
    struct br_error_table untouched = table;
    struct br_status st;
    if (parse_bytes(text, strlen(text), &table, &st))
        fail_msg("accepted: %s", text);
    assert_memory_equal(&table, &untouched, sizeof table);
    assert_int_equal(st.code, BR_INVALID_ARGUMENT);
    assert_string_equal(st.reason, "BAD_SETTING");
    if (strncmp(st.msg, message, strlen(message)) != 0)
        fail_msg("'%s', not '%s'", st.msg, message);
}

static void expect_row_refused(const char *row, const char *message)
{
    char text[1024];
    char expected[512];
    (void)snprintf(text, sizeof text, HEADER "404\tA.1\tNOT_FOUND\tA_1\ts\t-\n%s\n", row);
    (void)snprintf(expected, sizeof expected, "line 3: %s", message);
    expect_refused(text, expected);
}

static void expect_found(const struct br_error_table *table, int http, const char *code, enum br_code grpc,
                         const char *reason)
{
    const struct br_error_row *row = br_error_table_find(table, http, code);
    assert_non_null(row);
    assert_int_equal(row->http, http);
    assert_int_equal(row->code, grpc);
    assert_string_equal(row->reason, reason);
}

static void test_error_table_find_without_own_rows_uses_the_compiled(void **state)
{
    (void)state;
    struct br_error_table none = {.count = 0};
    const struct br_error_table *tables[] = {NULL, &none};
    for (size_t i = 0; i < 2; i++) {
        expect_found(tables[i], 404, "ModelArts.3502", BR_NOT_FOUND, "MODELARTS_3502");
        expect_found(tables[i], 404, "APIGW.0101", BR_UNIMPLEMENTED, "APIG_0101");
        assert_null(br_error_table_find(tables[i], 404, "ModelArts.9999"));
        assert_null(br_error_table_find(tables[i], 499, "ModelArts.3502"));
        assert_null(br_error_table_find(tables[i], 404, ""));
    }
}

static void test_error_table_parse_rows_replace_and_add(void **state)
{
    (void)state;
    struct br_error_table table = parse("# why\n" HEADER "500\tZ.9\tABORTED\tTHE_END\tours\t-\n"
                                        "404\tModelArts.3502\tUNAVAILABLE\tGONE_FOR_NOW\tours\t-\n"
                                        "# and more\n"
                                        "400\t1103\tINVALID_ARGUMENT\tTHE_END\tours\t-");
    assert_int_equal(table.count, 3);
    expect_found(&table, 500, "Z.9", BR_ABORTED, "THE_END");
    expect_found(&table, 404, "ModelArts.3502", BR_UNAVAILABLE, "GONE_FOR_NOW");
    expect_found(&table, 400, "1103", BR_INVALID_ARGUMENT, "THE_END");
    /* The same codes under other statuses, and all other codes, are as before. */
    assert_null(br_error_table_find(&table, 501, "Z.9"));
    expect_found(&table, 404, "ModelArts.3507", BR_NOT_FOUND, "MODELARTS_3507");
    expect_found(NULL, 404, "ModelArts.3502", BR_NOT_FOUND, "MODELARTS_3502");
    br_error_table_finish(&table);
}

static void test_error_table_parse_gateway_row_is_found_by_both_spellings(void **state)
{
    (void)state;
    struct br_error_table table = parse(HEADER "404\tAPIG.0101\tNOT_FOUND\tNO_ROUTE\tours\t-\n");
    expect_found(&table, 404, "APIG.0101", BR_NOT_FOUND, "NO_ROUTE");
    expect_found(&table, 404, "APIGW.0101", BR_NOT_FOUND, "NO_ROUTE");
    br_error_table_finish(&table);
}

static void test_error_table_parse_details_are_read(void **state)
{
    (void)state;
    struct br_error_table table = parse(HEADER "400\tA.1\tRESOURCE_EXHAUSTED\tA_1\ts\tquota\n"
                                               "400\tA.2\tFAILED_PRECONDITION\tA_2\ts\tprecondition\n"
                                               "400\tA.3\tNOT_FOUND\tA_3\ts\tresource:modelarts.Service\n"
                                               "400\tA.4\tALREADY_EXISTS\tA_4\ts\tresource:iam.User2\n"
                                               "400\tA.5\tNOT_FOUND\tA_5\ts\t-\n");
    static const struct {
        enum br_error_detail detail;
        const char *type;
    } expected[] = {{BR_DETAIL_QUOTA, NULL},
                    {BR_DETAIL_PRECONDITION, NULL},
                    {BR_DETAIL_RESOURCE, "modelarts.Service"},
                    {BR_DETAIL_RESOURCE, "iam.User2"},
                    {BR_DETAIL_NONE, NULL}};
    assert_int_equal(table.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(table.rows[i].detail, expected[i].detail);
        if (expected[i].type != NULL)
            assert_string_equal(table.rows[i].resource_type, expected[i].type);
        else
            assert_null(table.rows[i].resource_type);
    }
    br_error_table_finish(&table);
}

static void test_error_table_parse_without_the_column_detail_has_none(void **state)
{
    (void)state;
    struct br_error_table table = parse("http\tcode\tgrpc\treason\tsource\n"
                                        "404\tModelArts.3502\tNOT_FOUND\tMODELARTS_3502\tours\n");
    assert_int_equal(table.count, 1);
    assert_int_equal(table.rows[0].detail, BR_DETAIL_NONE);
    assert_null(table.rows[0].resource_type);
    br_error_table_finish(&table);
    expect_refused("http\tcode\tgrpc\treason\tsource\n404\tA.1\tNOT_FOUND\tA_1\ts\t-\n",
                   "line 2: not 5 columns");
}

static void test_error_table_parse_header_alone_is_no_rows(void **state)
{
    (void)state;
    struct br_error_table table = parse("# nothing yet\n" HEADER);
    assert_int_equal(table.count, 0);
    expect_found(&table, 404, "ModelArts.3502", BR_NOT_FOUND, "MODELARTS_3502");
    br_error_table_finish(&table);
}

static void test_error_table_parse_header_missing_is_refused(void **state)
{
    (void)state;
    expect_refused("", "no header");
    expect_refused("# only this\n", "line 1: no header");
    expect_refused("\n", "line 1: the header is not");
    expect_refused("404\tA.1\tNOT_FOUND\tA_1\ts\t-\n", "line 1: the header is not");
    expect_refused("http\tcode\tgrpc\treason\n", "line 1: the header is not");
    expect_refused("http\tcode\tgrpc\treason\tsource\tdetail\tmore\n", "line 1: the header is not");
    expect_refused("HTTP\tcode\tgrpc\treason\tsource\tdetail\n", "line 1: the header is not");
    expect_refused("# a\n# b\nhttp code\n", "line 3: the header is not");
}

static void test_error_table_parse_bad_rows_are_refused_with_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        const char *message;
    } cases[] = {
        {"", "not 6 columns"},
        {"404\tZ.1\tNOT_FOUND\tZ_1\ts", "not 6 columns"},
        {"404\tZ.1\tNOT_FOUND\tZ_1\ts\t-\t", "not 6 columns"},
        {"399\tZ.1\tNOT_FOUND\tZ_1\ts\t-", "http is '399', not a number from 400 to 599"},
        {"600\tZ.1\tNOT_FOUND\tZ_1\ts\t-", "http is '600'"},
        {"200\tZ.1\tNOT_FOUND\tZ_1\ts\t-", "http is '200'"},
        {"\tZ.1\tNOT_FOUND\tZ_1\ts\t-", "http is ''"},
        {"+404\tZ.1\tNOT_FOUND\tZ_1\ts\t-", "http is '+404'"},
        {"99999999999999999999\tZ.1\tNOT_FOUND\tZ_1\ts\t-", "http is '9999"},
        {"404\t\tNOT_FOUND\tZ_1\ts\t-", "code is '', not 1 to 64"},
        {"404\tZ 1\tNOT_FOUND\tZ_1\ts\t-", "code is 'Z 1'"},
        {"404\t\"\tNOT_FOUND\tZ_1\ts\t-", "code is '\"'"},
        {"404\tAPIGW.0101\tNOT_FOUND\tAPIG_0101\ts\t-",
         "code is APIGW.0101, but it is looked up as APIG.0101"},
        {"404\tZ.1\t\tZ_1\ts\t-", "grpc is '', not the name of a gRPC code"},
        {"404\tZ.1\tnot_found\tZ_1\ts\t-", "grpc is 'not_found'"},
        {"404\tZ.1\t5\tZ_1\ts\t-", "grpc is '5'"},
        {"404\tZ.1\tOK\tZ_1\ts\t-", "grpc is OK"},
        {"504\tZ.1\tDEADLINE_EXCEEDED\tZ_1\ts\t-", "grpc is DEADLINE_EXCEEDED"},
        {"404\tZ.1\tNOT_FOUND\t\ts\t-", "reason is ''"},
        {"404\tZ.1\tNOT_FOUND\tZ1\ts\t-", "reason is 'Z1'"},
        {"404\tZ.1\tNOT_FOUND\tz_1\ts\t-", "reason is 'z_1'"},
        {"404\tZ.1\tNOT_FOUND\t1_Z\ts\t-", "reason is '1_Z'"},
        {"404\tZ.1\tNOT_FOUND\t_ZZ\ts\t-", "reason is '_ZZ'"},
        {"404\tZ.1\tNOT_FOUND\tZZ_\ts\t-", "reason is 'ZZ_'"},
        {"404\tZ.1\tNOT_FOUND\tZ.1\ts\t-", "reason is 'Z.1'"},
        {"404\tZ.1\tNOT_FOUND\tZ_1\t\t-", "source is empty"},
        {"404\tZ.1\tNOT_FOUND\tZ_1\t  \t-", "source is empty"},
        {"404\tZ.1\tNOT_FOUND\tZ_1\ts\t", "detail is ''"},
        {"404\tZ.1\tNOT_FOUND\tZ_1\ts\tQuota", "detail is 'Quota'"},
        {"404\tZ.1\tNOT_FOUND\tZ_1\ts\tresource", "detail is 'resource'"},
        {"404\tZ.1\tNOT_FOUND\tZ_1\ts\tresource:", "detail is 'resource:'"},
        {"404\tZ.1\tNOT_FOUND\tZ_1\ts\tresource:modelarts", "detail is 'resource:modelarts'"},
        {"404\tZ.1\tNOT_FOUND\tZ_1\ts\tresource:modelarts.", "detail is 'resource:modelarts.'"},
        {"404\tZ.1\tNOT_FOUND\tZ_1\ts\tresource:.Service", "detail is 'resource:.Service'"},
        {"404\tZ.1\tNOT_FOUND\tZ_1\ts\tresource:modelarts.service", "detail is 'resource:modelarts.service'"},
        {"404\tZ.1\tNOT_FOUND\tZ_1\ts\tresource:a.B-C", "detail is 'resource:a.B-C'"},
        {"404\tZ.1\tNOT_FOUND\tZ_1\ts\tquota", "detail is 'quota', which does not go with NOT_FOUND"},
        {"404\tZ.1\tNOT_FOUND\tZ_1\ts\tprecondition", "detail is 'precondition', which does not go"},
        {"404\tZ.1\tABORTED\tZ_1\ts\tresource:a.B", "detail is 'resource:a.B', which does not go"},
        {"404\tZ.1\tNOT_FOUND\tZ_1\ts\t-\r", "a control character"},
        {"404\tZ.1\tNOT_FOUND\tZ_1\ts\x7f\t-", "a control character"},
        {"404\tA.1\tNOT_FOUND\tA_1\ts\t-", "another row for A.1 under 404"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_row_refused(cases[i].row, cases[i].message);
}

static void test_error_table_parse_nul_is_refused(void **state)
{
    (void)state;
    static const char text[] = HEADER "404\tZ.1\tNOT_FOUND\tZ_1\ts\0\t-\n";
    struct br_error_table table;
    struct br_status st;
    assert_false(parse_bytes(text, sizeof text - 1, &table, &st));
    assert_string_equal(st.msg, "line 2: a control character, such as the carriage return of a DOS file");
}

static void test_error_table_parse_code_and_reason_at_their_limits(void **state)
{
    (void)state;
    char text[512];
    char long_text[66];
    memset(long_text, 'A', sizeof long_text);
    (void)snprintf(text, sizeof text, HEADER "404\t%.64s\tNOT_FOUND\t%.63s\ts\t-\n", long_text, long_text);
    struct br_error_table table = parse(text);
    assert_int_equal(strlen(table.rows[0].vendor_code), BR_VENDOR_CODE_CAP - 1);
    assert_int_equal(strlen(table.rows[0].reason), BR_REASON_CAP - 1);
    br_error_table_finish(&table);

    (void)snprintf(text, sizeof text, HEADER "404\t%.65s\tNOT_FOUND\tA_1\ts\t-\n", long_text);
    expect_refused(text, "line 2: code is 'AAAA");
    (void)snprintf(text, sizeof text, HEADER "404\tA.1\tNOT_FOUND\t%.64s\ts\t-\n", long_text);
    expect_refused(text, "line 2: reason is 'AAAA");
}

/* A table of |count| rows in descending order; release with free(). */
static char *make_table(size_t count)
{
    size_t cap = sizeof HEADER + count * 64;
    char *text = malloc(cap);
    assert_non_null(text);
    size_t len = (size_t)snprintf(text, cap, "%s", HEADER);
    for (size_t i = count; i > 0; i--)
        len += (size_t)snprintf(text + len, cap - len, "404\tZ.%05zu\tNOT_FOUND\tZ_%05zu\ts\t-\n", i, i);
    return text;
}

static void test_error_table_parse_most_rows_are_read_and_more_refused(void **state)
{
    (void)state;
    char *text = make_table(BR_ERROR_MAX_ROWS);
    struct br_error_table table = parse(text);
    assert_int_equal(table.count, BR_ERROR_MAX_ROWS);
    for (size_t i = 1; i < table.count; i++)
        assert_true(br_error_row_compare(&table.rows[i - 1], &table.rows[i]) < 0);
    expect_found(&table, 404, "Z.00001", BR_NOT_FOUND, "Z_00001");
    expect_found(&table, 404, "Z.04096", BR_NOT_FOUND, "Z_04096");
    br_error_table_finish(&table);
    free(text);

    text = make_table(BR_ERROR_MAX_ROWS + 1);
    expect_refused(text, "line 4098: more than 4096 rows");
    free(text);
}

static void test_error_table_parse_text_at_its_limit(void **state)
{
    (void)state;
    char *text = malloc(BR_ERROR_TABLE_MAX_BYTES + 2);
    assert_non_null(text);
    memset(text, '#', BR_ERROR_TABLE_MAX_BYTES + 1);
    text[BR_ERROR_TABLE_MAX_BYTES + 1] = '\0';
    text[BR_ERROR_TABLE_MAX_BYTES - sizeof HEADER] = '\n';
    memcpy(text + BR_ERROR_TABLE_MAX_BYTES - (sizeof HEADER - 1), HEADER, sizeof HEADER - 1);
    expect_refused(text, "more than 1048576 bytes");
    text[BR_ERROR_TABLE_MAX_BYTES] = '\0';
    struct br_error_table table = parse(text);
    assert_int_equal(table.count, 0);
    br_error_table_finish(&table);
    /* Each line could be a row, but none is. */
    memset(text, '\n', BR_ERROR_TABLE_MAX_BYTES);
    expect_refused(text, "line 1: the header is not");
    free(text);
}

static void test_error_table_parse_each_prefix_is_survived(void **state)
{
    (void)state;
    static const char text[] =
        "# \xe9\x94\x99\n" HEADER "404\tA.1\tNOT_FOUND\tA_1\t\xe6\x9c\x8d\tresource:modelarts.Service\n"
        "400\tA.1\tRESOURCE_EXHAUSTED\tA_1\ts\tquota\n";
    size_t good = 0;
    for (size_t len = 0; len < sizeof text; len++) {
        struct br_error_table table;
        struct br_status st;
        if (!parse_bytes(text, len, &table, &st))
            continue;
        good++;
        br_error_table_finish(&table);
    }
    assert_true(good > 2);
}

static void test_error_table_parse_without_memory_is_refused(void **state)
{
    (void)state;
    /* So many that text and rows are allocated apart. */
    char *text = make_table(1000);
    struct br_error_table table;
    struct br_status st;
    bool parsed = false;
    size_t allocations = 0;
    for (; !parsed; allocations++) {
        alloc_fault_once_after(allocations);
        parsed = br_error_table_parse(text, strlen(text), &table, &st);
        (void)alloc_fault_end();
        if (!parsed) {
            assert_int_equal(st.code, BR_RESOURCE_EXHAUSTED);
            assert_string_equal(st.reason, "OUT_OF_MEMORY");
        }
    }
    assert_int_equal(allocations, 3);
    br_error_table_finish(&table);
    free(text);
}

static void test_error_table_finish_takes_null_and_zero(void **state)
{
    (void)state;
    br_error_table_finish(NULL);
    struct br_error_table table = {.count = 0};
    br_error_table_finish(&table);
    br_error_table_finish(&table);
}

static bool is_reason(const char *text)
{
    size_t len = strlen(text);
    return len >= 3 && len <= 63 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == len;
}

static void test_error_table_compiled_rows_are_sorted_and_well_formed(void **state)
{
    (void)state;
    assert_true(br_error_table_count > 500);
    for (size_t i = 0; i < br_error_table_count; i++) {
        const struct br_error_row *row = &br_error_table[i];
        char reason[BR_REASON_CAP];
        assert_true(br_vendor_code_reason(row->vendor_code, reason));
        assert_string_equal(row->reason, reason);
        assert_true(is_reason(reason));
        assert_in_range(row->code, 1, 16);
        assert_int_equal(row->detail == BR_DETAIL_RESOURCE, row->resource_type != NULL);
        assert_ptr_equal(br_error_table_find(NULL, row->http, row->vendor_code), row);
        if (i > 0)
            assert_true(br_error_row_compare(row - 1, row) < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_table_find_without_own_rows_uses_the_compiled),
        cmocka_unit_test(test_error_table_parse_rows_replace_and_add),
        cmocka_unit_test(test_error_table_parse_gateway_row_is_found_by_both_spellings),
        cmocka_unit_test(test_error_table_parse_details_are_read),
        cmocka_unit_test(test_error_table_parse_without_the_column_detail_has_none),
        cmocka_unit_test(test_error_table_parse_header_alone_is_no_rows),
        cmocka_unit_test(test_error_table_parse_header_missing_is_refused),
        cmocka_unit_test(test_error_table_parse_bad_rows_are_refused_with_their_line),
        cmocka_unit_test(test_error_table_parse_nul_is_refused),
        cmocka_unit_test(test_error_table_parse_code_and_reason_at_their_limits),
        cmocka_unit_test(test_error_table_parse_most_rows_are_read_and_more_refused),
        cmocka_unit_test(test_error_table_parse_text_at_its_limit),
        cmocka_unit_test(test_error_table_parse_each_prefix_is_survived),
        cmocka_unit_test(test_error_table_parse_without_memory_is_refused),
        cmocka_unit_test(test_error_table_finish_takes_null_and_zero),
        cmocka_unit_test(test_error_table_compiled_rows_are_sorted_and_well_formed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
