#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cmd/statusz_html.h"

#define DASH "\xE2\x80\x93"

/* The body of the page for |json|, its style left out. */
static const char *render(const char *json)
{
    static char page[16384];
    struct br_buf out;
    cJSON *root = cJSON_Parse(json);
    assert_non_null(root);
    br_buf_init(&out, sizeof page - 1);
    assert_int_equal(br_statusz_html("a title", root, &out), BR_BUF_OK);
    cJSON_Delete(root);
    memcpy(page, out.data, out.len + 1);
    br_buf_finish(&out);
    assert_memory_equal(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n", 60);
    const char *body = strstr(page, "<body>\n<h1>a title</h1>\n");
    assert_non_null(body);
    assert_null(strstr(page, "<script"));
    assert_null(strstr(page, "//"));
    return body + strlen("<body>\n<h1>a title</h1>\n");
}

#define END "</body>\n</html>\n"

static void test_values_stand_beside_their_names(void **state)
{
    (void)state;
    assert_string_equal(render("{\"log_level\":\"info\",\"ready\":true,\"draining\":false,\"problem\":null,"
                               "\"calls\":12,\"listening\":[\"a:1\",\"b:2\"],\"share\":0.25}"),
                        "<table>\n"
                        "<tr><th scope=\"row\">Log level</th><td>info</td></tr>\n"
                        "<tr><th scope=\"row\">Ready</th><td>yes</td></tr>\n"
                        "<tr><th scope=\"row\">Draining</th><td>no</td></tr>\n"
                        "<tr><th scope=\"row\">Problem</th><td>" DASH "</td></tr>\n"
                        "<tr><th scope=\"row\">Calls</th><td>12</td></tr>\n"
                        "<tr><th scope=\"row\">Listening</th><td>a:1, b:2</td></tr>\n"
                        "<tr><th scope=\"row\">Share</th><td>0.25</td></tr>\n"
                        "</table>\n" END);
}

static void test_units_are_words(void **state)
{
    (void)state;
    static const struct {
        const char *json, *cell;
    } cases[] = {
        {"{\"a_s\":0}", ">A</th><td>0 seconds<"},
        {"{\"a_s\":1}", ">A</th><td>1 second<"},
        {"{\"a_s\":59}", "<td>59 seconds<"},
        {"{\"a_s\":60}", "<td>1 minute<"},
        {"{\"a_s\":61}", "<td>1 minute 1 second<"},
        {"{\"a_s\":3600}", "<td>1 hour<"},
        {"{\"a_s\":3659}", "<td>1 hour<"},
        {"{\"a_s\":3660}", "<td>1 hour 1 minute<"},
        {"{\"a_s\":86399}", "<td>23 hours 59 minutes<"},
        {"{\"a_s\":183600}", "<td>2 days 3 hours<"},
        {"{\"a_s\":-5}", "<td>-5<"},
        {"{\"b_c_ms\":18}", ">B c</th><td>18 milliseconds<"},
        {"{\"b_ms\":1}", "<td>1 millisecond<"},
        {"{\"b_bytes\":2}", ">B</th><td>2 bytes<"},
        {"{\"_s\":2}", "> s</th><td>2<"},
        {"{\"items\":2}", ">Items</th><td>2<"},
        {"{\"a_s\":\"text\"}", ">A</th><td>text<"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *body = render(cases[i].json);
        if (strstr(body, cases[i].cell) == NULL) {
            fail_msg("%s: %s", cases[i].json, body);
        }
    }
}

static void test_objects_and_lists_of_objects_are_sections(void **state)
{
    (void)state;
    assert_string_equal(
        render("{\"first\":{\"x\":1},\"a\":\"b\"}"),
        "<table>\n<tr><th scope=\"row\">A</th><td>b</td></tr>\n</table>\n"
        "<h2>First</h2>\n<table>\n<tr><th scope=\"row\">X</th><td>1</td></tr>\n</table>\n" END);
    assert_string_equal(render("{\"last_errors\":[{\"code\":\"A\",\"took_ms\":1},{\"code\":\"B\"}]}"),
                        "<table>\n</table>\n<h2>Last errors</h2>\n<div class=\"wide\"><table>\n"
                        "<thead><tr><th>Code</th><th>Took</th></tr></thead>\n<tbody>\n"
                        "<tr><td>A</td><td class=\"n\">1 millisecond</td></tr>\n"
                        "<tr><td>B</td><td>" DASH "</td></tr>\n</tbody>\n</table></div>\n" END);
    assert_string_equal(
        render("{\"methods\":{\"x_s\":{\"ended\":{\"OK\":3,\"NOT_FOUND\":1}},\"y\":{\"ended\":{}}}}"),
        "<table>\n</table>\n<h2>Methods</h2>\n<div class=\"wide\"><table>\n"
        "<thead><tr><th>Name</th><th>Ended</th></tr></thead>\n<tbody>\n"
        "<tr><th scope=\"row\">x_s</th><td>OK 3, NOT_FOUND 1</td></tr>\n"
        "<tr><th scope=\"row\">y</th><td>" DASH "</td></tr>\n</tbody>\n</table></div>\n" END);
    assert_string_equal(render("{\"errors\":[],\"pool\":{}}"),
                        "<table>\n</table>\n<h2>Errors</h2>\n<p>none</p>\n<h2>Pool</h2>\n<p>none</p>\n" END);
}

static void test_every_text_is_escaped(void **state)
{
    (void)state;
#define BAD "<b>&\\\"'\\u0001"
#define GOOD "&lt;b&gt;&amp;&quot;&#39;\xEF\xBF\xBD"
    assert_string_equal(render("{\"" BAD "\":\"" BAD "\"}"),
                        "<table>\n<tr><th scope=\"row\">" GOOD "</th><td>" GOOD "</td></tr>\n</table>\n" END);
    const char *body = render("{\"" BAD "\":{\"" BAD "\":{\"" BAD "\":{\"" BAD "\":[\"" BAD "\"]}}}}");
    assert_null(strstr(body, "<b>"));
    assert_non_null(strstr(body, "<h2>" GOOD "</h2>"));
    assert_non_null(strstr(body, "<th>" GOOD "</th>"));
    assert_non_null(strstr(body, "<th scope=\"row\">" GOOD "</th><td>" GOOD " " DASH "</td>"));
    assert_non_null(strstr(render("{\"a\":\"x/y\"}"), "<td>x/<wbr>y</td>"));
    body = render("{\"a\":[[\"<b>\"],{\"x\":\"<b>\"}]}");
    assert_non_null(strstr(body, "<td>" DASH ", " DASH "</td>"));
}

static void test_bytes_that_are_no_utf8_are_replaced(void **state)
{
    (void)state;
    assert_non_null(strstr(render("{\"a\":\"x\xFFy\xC3\xA9z\xE2\x82\"}"),
                           "<td>x\xEF\xBF\xBDy\xC3\xA9z\xEF\xBF\xBD\xEF\xBF\xBD</td>"));
}

static void test_page_above_the_ceiling_is_full(void **state)
{
    (void)state;
    cJSON *root = cJSON_Parse("{\"a\":{\"b\":\"c\"}}");
    assert_non_null(root);
    struct br_buf out;
    br_buf_init(&out, SIZE_MAX / 2);
    assert_int_equal(br_statusz_html("t", root, &out), BR_BUF_OK);
    size_t len = out.len;
    br_buf_finish(&out);
    for (size_t i = 0; i < 2; i++) {
        br_buf_init(&out, len - i);
        assert_int_equal(br_statusz_html("t", root, &out), i == 0 ? BR_BUF_OK : BR_BUF_FULL);
        br_buf_finish(&out);
    }
    cJSON_Delete(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_stand_beside_their_names),
        cmocka_unit_test(test_units_are_words),
        cmocka_unit_test(test_objects_and_lists_of_objects_are_sections),
        cmocka_unit_test(test_every_text_is_escaped),
        cmocka_unit_test(test_bytes_that_are_no_utf8_are_replaced),
        cmocka_unit_test(test_page_above_the_ceiling_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
