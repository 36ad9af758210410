#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/field.h"
#include "test_contract.h"
#include "translate/json_read.h"
#include "translate/json_write.h"
#include "translate/wire_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <testapi/v1/everything.pb-c.h>

#define ARENA_BYTES ((size_t)64 << 20)

struct seen {
    struct br_drift_observer observer;
    size_t count;
    enum br_drift drift;
    char where[64];
    char what[64];
};

static void see(struct br_drift_observer *self, enum br_drift drift, const char *where, const char *what)
{
    struct seen *seen = (struct seen *)self;
    seen->count++;
    seen->drift = drift;
    (void)snprintf(seen->where, sizeof seen->where, "%s", where);
    (void)snprintf(seen->what, sizeof seen->what, "%s", what);
}

/* One text that is parsed and read. */
struct attempt {
    struct br_arena arena;
    struct seen seen;
    struct br_json_reader reader;
    struct br_status st;
    ProtobufCMessage *message;
};

/* The text is copied to a block of its own size, so that a read past the end is seen. */
static bool attempt_read(struct attempt *attempt, const char *plan, const char *text, size_t len,
                         size_t arena_bytes)
{
    *attempt = (struct attempt){.seen.observer.seen = see};
    br_arena_init(&attempt->arena, arena_bytes);
    attempt->reader = (struct br_json_reader){.code = BR_INTERNAL,
                                              .reason = "UPSTREAM_MALFORMED_RESPONSE",
                                              .arena = &attempt->arena,
                                              .observer = &attempt->seen.observer};
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    cJSON *json = NULL;
    bool ok = br_json_parse(&attempt->reader, copy, len, &json, &attempt->st);
    free(copy);
    if (ok)
        ok = br_json_read(&attempt->reader, test_plan(plan), json, &attempt->message, &attempt->st);
    cJSON_Delete(json);
    return ok;
}

/* |text| reads as a message that is written as |expected|; returns the number of things skipped. */
static size_t assert_reads(const char *plan, const char *text, const char *expected)
{
    struct attempt attempt;
    if (!attempt_read(&attempt, plan, text, strlen(text), ARENA_BYTES))
        fail_msg("%s: not read: %s", text, attempt.st.msg);
    char *written;
    size_t len;
    assert_true(br_json_write(test_plan(plan), attempt.message, NULL, &written, &len, &attempt.st));
    assert_string_equal(written, expected);
    free(written);
    br_arena_finish(&attempt.arena);
    return attempt.seen.count;
}

static void assert_thing(const char *text, const char *expected)
{
    assert_int_equal(assert_reads("Thing", text, expected), 0);
}

/* |text| (|len| bytes) is refused with a message that begins with |msg|. */
static void assert_refused_len(const char *text, size_t len, const char *msg)
{
    struct attempt attempt;
    if (attempt_read(&attempt, "Thing", text, len, ARENA_BYTES))
        fail_msg("%.*s: was read", (int)len, text);
    assert_int_equal(attempt.st.code, BR_INTERNAL);
    assert_string_equal(attempt.st.reason, "UPSTREAM_MALFORMED_RESPONSE");
    if (strncmp(attempt.st.msg, msg, strlen(msg)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", attempt.st.msg, msg);
    br_arena_finish(&attempt.arena);
}

static void assert_refused(const char *text, const char *msg)
{
    assert_refused_len(text, strlen(text), msg);
}

static void assert_no_json(const char *text, const char *fault)
{
    char msg[256];
    (void)snprintf(msg, sizeof msg, "not valid JSON: %s", fault);
    assert_refused(text, msg);
}

static void test_json_parse_white_space_and_escapes(void **state)
{
    (void)state;
    assert_thing(" \t\r\n{ \"text\" : \"x\" }\r\n ", "{\"text\":\"x\"}");
    assert_thing("{\"text\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\ud83d\\uDE00\"}",
                 "{\"text\":\"\\\"\\\\/\\b\\f\\n\\r\\tA\xF0\x9F\x98\x80\"}");
    assert_thing("{\"text\":\"a\tb\"}", "{\"text\":\"a\\tb\"}");
    assert_thing("{\"te\\u0078t\":\"\\\\u0000\"}", "{\"text\":\"\\\\u0000\"}");
}

static void test_json_parse_broken_text_refused_with_offset(void **state)
{
    (void)state;
    assert_no_json("", "the text is empty");
    assert_no_json("  ", "the text ends too early, after byte 2");
    assert_no_json("<html>", "a value is expected, at byte 1");
    assert_no_json("{", "the text ends too early, after byte 1");
    assert_no_json("{\"text\"", "the text ends too early, after byte 7");
    assert_no_json("{\"text\":", "the text ends too early, after byte 8");
    assert_no_json("{\"text\":\"a", "the text ends too early, after byte 10");
    assert_no_json("{\"text\":\"a\\", "the text ends too early");
    assert_no_json("{\"text\":\"a\"", "the text ends too early, after byte 11");
    assert_no_json("{\"text\" \"a\"}", "a ':' is expected, at byte 9");
    assert_no_json("{\"a\":1 \"b\":2}", "a ',' or '}' is expected, at byte 8");
    assert_no_json("{\"a\":1]", "a ',' or '}' is expected, at byte 7");
    assert_no_json("[1 2]", "a ',' or ']' is expected, at byte 4");
    assert_no_json("{\"a\":1,}", "a key in double quotes is expected, at byte 8");
    assert_no_json("{a:1}", "a key in double quotes is expected, at byte 2");
    assert_no_json("[1,]", "a value is expected, at byte 4");
    assert_no_json("[,1]", "a value is expected, at byte 2");
    assert_no_json("}", "a value is expected, at byte 1");
    assert_no_json("{} {}", "text after the value, at byte 4");
    assert_no_json("{}]", "text after the value, at byte 3");
    assert_no_json("tru", "a value is expected, at byte 1");
    assert_no_json("[truex]", "a ',' or ']' is expected, at byte 6");
    assert_no_json("[NaN]", "a value is expected, at byte 2");
    assert_no_json("[01]", "a ',' or ']' is expected, at byte 3");
    assert_no_json("[+1]", "a value is expected, at byte 2");
    assert_no_json("[-]", "a value is expected, at byte 3");
    assert_no_json("[1.", "a number without digits after its point, after byte 3");
    assert_no_json("[1.]", "a number without digits after its point, at byte 4");
    assert_no_json("[1e+]", "a number without digits in its exponent, at byte 5");
    assert_no_json("[\"\\x\"]", "an escape that JSON does not have, at byte 3");
    assert_no_json("[\"\\u12g4\"]", "\\u without four hexadecimal digits, at byte 3");
    assert_no_json("[\"\\u12", "\\u without four hexadecimal digits, at byte 3");
    assert_no_json("[\"\\ud800\"]", "half a surrogate pair, at byte 3");
    assert_no_json("[\"\\ud800\\u0041\"]", "half a surrogate pair, at byte 3");
    assert_no_json("[\"\\udc00\"]", "half a surrogate pair, at byte 3");
}

static void test_json_parse_nul_and_bad_utf8_refused(void **state)
{
    (void)state;
    assert_no_json("{\"text\":\"a\\u0000b\"}",
                   "a NUL character (\\u0000), which is not accepted, at byte 11");
    assert_no_json("{\"te\\u0000xt\":1}", "a NUL character (\\u0000), which is not accepted, at byte 5");
    assert_no_json("{\"text\":\"\xC3\x28\"}", "text that is not UTF-8, at byte 10");
    assert_no_json("{\"text\":\"\xED\xA0\x80\"}", "text that is not UTF-8, at byte 10");
    assert_refused_len("{\"text\":\"\0\"}", 12,
                       "not valid JSON: a NUL character, which is not accepted, at byte 10");
    assert_refused_len("{}\0", 3, "not valid JSON: text after the value");
    assert_refused_len("\0", 1, "not valid JSON: a value is expected");
}

static char *nested(size_t depth, char open, char close)
{
    char *text = malloc(2 * depth + 1);
    assert_non_null(text);
    memset(text, open, depth);
    memset(text + depth, close, depth);
    text[2 * depth] = '\0';
    return text;
}

static void test_json_parse_depth_limited(void **state)
{
    (void)state;
    char text[512];
    char expected[512];
    char *lists = nested(BR_MAX_DEPTH - 1, '[', ']');
    (void)snprintf(text, sizeof text, "{\"any_list\":%s}", lists);
    (void)snprintf(expected, sizeof expected, "%s", text);
    assert_thing(text, expected);
    free(lists);
    lists = nested(BR_MAX_DEPTH, '[', ']');
    (void)snprintf(text, sizeof text, "{\"any_list\":%s}", lists);
    assert_no_json(text, "objects and lists nested too deep, at byte 76");
    free(lists);
    lists = nested(1000000, '[', ']');
    assert_no_json(lists, "objects and lists nested too deep, at byte 65");
    free(lists);
    /* Levels side by side do not add up. */
    assert_thing("{\"any_list\":[[[]],[[]],{\"a\":[]}]}", "{\"any_list\":[[[]],[[]],{\"a\":[]}]}");
}

/* A list of |count| - 2 numbers in an object: |count| values. */
static void check_value_count(size_t count, bool accepted)
{
    static const char head[] = "{\"x\":[";
    size_t len = sizeof head - 1 + 2 * (count - 2) + 1;
    char *text = malloc(len + 1);
    assert_non_null(text);
    memcpy(text, head, sizeof head - 1);
    for (size_t i = 0; i < count - 2; i++)
        memcpy(text + sizeof head - 1 + 2 * i, "1,", 2);
    memcpy(text + len - 2, "]}", 3);
    if (accepted)
        assert_int_equal(assert_reads("Thing", text, "{}"), 1);
    else
        assert_no_json(text, "too many values");
    free(text);
}

static void test_json_parse_values_limited(void **state)
{
    (void)state;
    check_value_count(BR_MAX_JSON_VALUES, true);
    check_value_count(BR_MAX_JSON_VALUES + 1, false);
}

static void test_json_parse_number_length_limited(void **state)
{
    (void)state;
    char text[128];
    (void)snprintf(text, sizeof text, "{\"amount\":0.%061d}", 0);
    assert_thing(text, "{\"amount\":0}");
    (void)snprintf(text, sizeof text, "{\"amount\":0.%062d}", 0);
    assert_no_json(text, "a number of more than 63 characters, at byte 11");
}

static void test_json_read_every_kind(void **state)
{
    (void)state;
    static const char text[] =
        "{\"text\":\"t\",\"small\":-1,\"large\":1586250930708,\"count\":4294967295,\"total\":7,\"ratio\":0.5,"
        "\"amount\":1.25,\"flag\":true,\"colour\":\"deep-blue\",\"zigzag\":-3,\"fixed\":9,\"oddName\":\"o\","
        "\"part\":{\"name\":\"p\",\"size\":0},\"parts\":[{},{\"size\":1}],\"tags\":[\"a\",\"\"],"
        "\"numbers\":[1,2],\"colours\":[\"red\",\"red\"],\"labels\":{\"k\":\"v\",\"\":\"e\"},"
        "\"parts_by_name\":{\"x\":{\"size\":3}},\"free\":{\"a\":[1,null,{\"b\":0.1}],\"c\":\"\"},"
        "\"any_value\":[false],\"any_list\":[\"x\"],\"choice_text\":\"c\",\"child\":{\"text\":\"in\"},"
        "\"counts\":{\"n\":5},\"implicit_text\":\"i\"}";
    assert_thing(text, text);
    assert_thing("{}", "{}");
}

static void test_json_read_null_is_absent(void **state)
{
    (void)state;
    assert_thing("null", "{}");
    assert_thing(
        "{\"text\":null,\"part\":null,\"parts\":null,\"labels\":null,\"free\":null,\"any_value\":null}",
        "{}");
    assert_thing("{\"tags\":[null,\"a\",null],\"parts\":[null,{}],\"labels\":{\"a\":null,\"b\":\"c\"}}",
                 "{\"parts\":[{}],\"tags\":[\"a\"],\"labels\":{\"b\":\"c\"}}");
    assert_thing("{\"free\":{\"a\":null},\"any_list\":[null]}",
                 "{\"free\":{\"a\":null},\"any_list\":[null]}");
}

static void test_json_read_numbers_in_other_forms(void **state)
{
    (void)state;
    assert_thing("{\"small\":\"100\",\"large\":\"-9223372036854775808\",\"total\":\"18446744073709551615\"}",
                 "{\"small\":100,\"large\":-9223372036854775808,\"total\":18446744073709551615}");
    assert_thing("{\"small\":1e3,\"large\":100.0,\"count\":\"1e2\",\"total\":-0}",
                 "{\"small\":1000,\"large\":100,\"count\":100,\"total\":0}");
    assert_thing("{\"large\":9007199254740991,\"total\":9007199254740991}",
                 "{\"large\":9007199254740991,\"total\":9007199254740991}");
    assert_thing("{\"large\":-9007199254740991}", "{\"large\":-9007199254740991}");
    assert_thing("{\"amount\":\"1.5\",\"ratio\":\"-0.25\",\"small\":2147483647,\"zigzag\":-2147483648}",
                 "{\"small\":2147483647,\"ratio\":-0.25,\"amount\":1.5,\"zigzag\":-2147483648}");
    assert_thing("{\"counts\":{\"a\":\"3\"},\"numbers\":[\"1\",2]}",
                 "{\"numbers\":[1,2],\"counts\":{\"a\":3}}");
}

static void test_json_read_bad_number_refused_with_place(void **state)
{
    (void)state;
    static const char int32[] = "is not between -2147483648 and 2147483647";
    static const char int64[] = "is not between -9223372036854775808 and 9223372036854775807";
    static const char uint32[] = "is not between 0 and 4294967295";
    static const char uint64[] = "is not between 0 and 18446744073709551615";
    static const char digits[] = "has more digits than are read exactly";
    static const struct {
        const char *name;
        const char *value; /* in JSON, and in the message but for |shown| */
        const char *shown;
        const char *why;
    } wholes[] = {
        {"small", "12.5", NULL, "is not a whole number"},
        {"small", "\"12.5\"", NULL, "is not a whole number"},
        {"small", "\"high\"", NULL, "is not a whole number"},
        {"small", "2147483648", NULL, int32},
        {"small", "-2147483649", NULL, int32},
        {"small", "\"3000000000\"", NULL, int32},
        {"small", "1e999", "the number", int32},
        {"zigzag", "2147483648", NULL, int32},
        {"count", "4294967296", NULL, uint32},
        {"count", "-1", NULL, uint32},
        {"count", "\"-1\"", NULL, uint32},
        {"total", "-1", NULL, uint64},
        {"total", "\"-1\"", NULL, uint64},
        {"total", "\"18446744073709551616\"", NULL, uint64},
        {"total", "1e20", "1e+20", uint64},
        {"total", "9007199254740992", NULL, digits},
        {"total", "18446744073709551615", "1.8446744073709552e+19", digits},
        {"large", "\"9223372036854775808\"", NULL, int64},
        {"large", "\"-9223372036854775809\"", NULL, int64},
        {"large", "1e19", "1e+19", int64},
        {"large", "-1e19", "-1e+19", int64},
        {"large", "9007199254740992", NULL, digits},
        {"large", "9223372036854775807", "9.223372036854776e+18", digits},
        {"large", "\"1e17\"", NULL, digits},
    };
    for (size_t i = 0; i < sizeof wholes / sizeof wholes[0]; i++) {
        char text[128];
        char msg[256];
        (void)snprintf(text, sizeof text, "{\"%s\":%s}", wholes[i].name, wholes[i].value);
        (void)snprintf(msg, sizeof msg, "%s: %s %s", wholes[i].name,
                       wholes[i].shown != NULL ? wholes[i].shown : wholes[i].value, wholes[i].why);
        assert_refused(text, msg);
    }
    assert_refused("{\"large\":true}", "large: true is not");
    assert_refused("{\"large\":\"\"}", "large: \"\" is not");
    assert_refused("{\"large\":\" 1\"}", "large: \" 1\" is not");
    assert_refused("{\"large\":\"0x10\"}", "large: ");
    assert_refused("{\"large\":{}}", "large: an object is not");
    assert_refused("{\"large\":[1]}", "large: a list is not");
    assert_refused("{\"amount\":1e999}", "amount: the number is beyond the range of a double");
    assert_refused("{\"amount\":\"1e999\"}", "amount: \"1e999\" is not");
    assert_refused("{\"amount\":\"NaN\"}", "amount: \"NaN\" is not a number");
    assert_refused("{\"ratio\":1e39}", "ratio: 1e+39 is beyond the range of a float");
    assert_refused("{\"numbers\":[1,null,1.5]}", "numbers[2]: 1.5 is not");
    assert_refused("{\"parts\":[{},{\"size\":\"x\"}]}", "parts[1].size: \"x\" is not");
    assert_refused("{\"counts\":{\"a\":\"b\"}}", "counts[\"a\"]: \"b\" is not");
    assert_refused("{\"child\":{\"child\":{\"small\":0.5}}}", "child.child.small: 0.5 is not");
}

static void test_json_read_long_value_quoted_in_part(void **state)
{
    (void)state;
    char text[256];
    char msg[256];
    (void)snprintf(text, sizeof text, "{\"small\":\"%0100d\"}", 0);
    (void)snprintf(msg, sizeof msg, "small: \"%064d\"... is not", 0);
    (void)memset(text + 10, 'a', 100);
    (void)memset(msg + 8, 'a', 64);
    assert_refused(text, msg);
}

static void test_json_read_bool_forms(void **state)
{
    (void)state;
    assert_thing("{\"flag\":\"true\"}", "{\"flag\":true}");
    assert_thing("{\"flag\":\"false\"}", "{\"flag\":false}");
    assert_thing("{\"flag\":1}", "{\"flag\":true}");
    assert_thing("{\"flag\":0}", "{\"flag\":false}");
    assert_refused("{\"flag\":2}", "flag: 2 is not true or false");
    assert_refused("{\"flag\":\"TRUE\"}", "flag: \"TRUE\" is not");
    assert_refused("{\"flag\":\"\"}", "flag: ");
    assert_refused("{\"flag\":[]}", "flag: a list is not");
}

static void test_json_read_scalar_for_string(void **state)
{
    (void)state;
    assert_thing("{\"text\":0}", "{\"text\":\"0\"}");
    assert_thing("{\"text\":1586250930708}", "{\"text\":\"1586250930708\"}");
    assert_thing("{\"text\":0.1}", "{\"text\":\"0.1\"}");
    assert_thing("{\"text\":false}", "{\"text\":\"false\"}");
    assert_refused("{\"text\":9007199254740993}",
                   "text: 9007199254740992 has more digits than are read exactly");
    assert_refused("{\"text\":{}}", "text: an object is not accepted here; a text is expected");
    assert_refused("{\"labels\":{\"a\":[]}}", "labels[\"a\"]: a list is not");
}

static void test_json_read_one_value_is_list_of_one(void **state)
{
    (void)state;
    assert_thing(
        "{\"tags\":\"a\",\"numbers\":5,\"parts\":{\"size\":1},\"colours\":\"red\",\"any_list\":true}",
        "{\"parts\":[{\"size\":1}],\"tags\":[\"a\"],\"numbers\":[5],\"colours\":[\"red\"],"
        "\"any_list\":[true]}");
    assert_thing("{\"tags\":[]}", "{}");
}

static void test_json_read_element_of_string_list_as_json_text(void **state)
{
    (void)state;
    assert_thing("{\"tags\":[ { \"a\" : [ 1, 0.30000000000000004, null ] }, [ 1e15, \"x\" ], 7, true ]}",
                 "{\"tags\":[\"{\\\"a\\\":[1,0.30000000000000004,null]}\",\"[1000000000000000,\\\"x\\\"]\","
                 "\"7\",\"true\"]}");
    assert_thing("{\"tags\":{\"a\":1,\"a\":2}}", "{\"tags\":[\"{\\\"a\\\":2}\"]}");
    assert_refused("{\"tags\":[\"a\",[1e999]]}",
                   "tags[1]: a list holds a number beyond the range of a double");
}

static void test_json_read_last_duplicate_wins(void **state)
{
    (void)state;
    assert_thing("{\"text\":\"a\",\"text\":\"b\"}", "{\"text\":\"b\"}");
    assert_thing("{\"text\":\"a\",\"tags\":[\"x\",\"y\"],\"text\":null,\"tags\":[\"z\"]}",
                 "{\"tags\":[\"z\"]}");
    assert_thing("{\"part\":{\"name\":\"n\"},\"part\":{\"size\":1}}", "{\"part\":{\"size\":1}}");
    assert_thing("{\"labels\":{\"a\":\"1\",\"b\":\"2\",\"a\":\"3\",\"b\":null}}",
                 "{\"labels\":{\"a\":\"3\"}}");
    assert_thing("{\"free\":{\"a\":1,\"b\":2,\"a\":null}}", "{\"free\":{\"b\":2,\"a\":null}}");
    assert_int_equal(assert_reads("Thing", "{\"colour\":\"red\",\"colour\":\"new\"}", "{}"), 1);
}

static void test_json_read_oneof_last_wins(void **state)
{
    (void)state;
    assert_thing("{\"choice_text\":\"a\",\"choice_number\":1}", "{\"choice_number\":1}");
    assert_thing("{\"choice_number\":1,\"choice_part\":{}}", "{\"choice_part\":{}}");
    assert_thing("{\"choice_number\":1,\"choice_text\":null}", "{\"choice_number\":1}");
    assert_thing("{\"choice_number\":1,\"choice_number\":null}", "{}");
}

static void test_json_read_unknown_key_skipped_and_reported(void **state)
{
    (void)state;
    struct attempt attempt;
    static const char text[] = "{\"part\":{\"new\":{\"deep\":[1,2]},\"size\":4},\"text\":\"t\"}";
    assert_true(attempt_read(&attempt, "Thing", text, strlen(text), ARENA_BYTES));
    assert_int_equal(attempt.seen.count, 1);
    assert_int_equal(attempt.seen.drift, BR_DRIFT_KEY);
    assert_string_equal(attempt.seen.where, "testapi.v1.Part");
    assert_string_equal(attempt.seen.what, "new");
    br_arena_finish(&attempt.arena);
    /* Keys are compared with their case, and by key, not by field name. */
    assert_int_equal(assert_reads("Thing", "{\"Text\":\"a\",\"odd_name\":\"b\"}", "{}"), 2);
}

static void test_json_read_unknown_literal_skipped_and_reported(void **state)
{
    (void)state;
    struct attempt attempt;
    static const char text[] = "{\"colour\":\"green\"}";
    assert_true(attempt_read(&attempt, "Thing", text, strlen(text), ARENA_BYTES));
    assert_int_equal(attempt.seen.drift, BR_DRIFT_LITERAL);
    assert_string_equal(attempt.seen.where, "testapi.v1.Colour");
    assert_string_equal(attempt.seen.what, "green");
    br_arena_finish(&attempt.arena);
    assert_int_equal(assert_reads("Thing", "{\"colours\":[\"green\",\"red\",\"COLOUR_RED\",1]}",
                                  "{\"colours\":[\"red\"]}"),
                     3);
    assert_refused("{\"colour\":{}}", "colour: an object is not accepted here; a text is expected");
}

static void test_json_read_without_observer(void **state)
{
    (void)state;
    struct br_arena arena;
    struct br_status st = {0};
    br_arena_init(&arena, ARENA_BYTES);
    struct br_json_reader reader = {.code = BR_INVALID_ARGUMENT, .reason = "BAD_JSON", .arena = &arena};
    cJSON *json;
    ProtobufCMessage *message;
    static const char text[] = "{\"x\":1,\"colour\":\"y\"}";
    assert_true(br_json_parse(&reader, text, strlen(text), &json, &st));
    assert_true(br_json_read(&reader, test_plan("Thing"), json, &message, &st));
    cJSON_Delete(json);
    assert_false(br_json_parse(&reader, "x", 1, &json, &st));
    assert_int_equal(st.code, BR_INVALID_ARGUMENT);
    assert_string_equal(st.reason, "BAD_JSON");
    br_arena_finish(&arena);
}

static void test_json_read_message_of_wrong_form_refused(void **state)
{
    (void)state;
    assert_refused("[]", "the JSON text: a list is not an object");
    assert_refused("\"x\"", "the JSON text: \"x\" is not an object");
    assert_refused("{\"part\":1}", "part: 1 is not an object");
    assert_refused("{\"part\":[{}]}", "part: a list is not an object");
    assert_refused("{\"parts\":[1]}", "parts[0]: 1 is not an object");
    assert_refused("{\"labels\":[]}", "labels: a list is not an object");
    assert_refused("{\"free\":[]}", "free: a list is not an object");
    assert_refused("{\"free\":{\"a\":1e999}}", "free: an object holds a number beyond the range of a double");
}

static void assert_mask(const char *text, const char *const *paths, size_t count)
{
    struct attempt attempt;
    assert_true(attempt_read(&attempt, "UpdateThingRequest", text, strlen(text), ARENA_BYTES));
    const Testapi__V1__UpdateThingRequest *request = (Testapi__V1__UpdateThingRequest *)attempt.message;
    assert_non_null(request->update_mask);
    assert_int_equal(request->update_mask->n_paths, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(request->update_mask->paths[i], paths[i]);
    br_arena_finish(&attempt.arena);
}

static void test_json_read_field_mask_forms(void **state)
{
    (void)state;
    static const char *const paths[] = {"a", "b.c"};
    assert_mask("{\"update_mask\":\"a,b.c\"}", paths, 2);
    assert_mask("{\"update_mask\":\"a\"}", paths, 1);
    assert_mask("{\"update_mask\":\"\"}", NULL, 0);
    assert_mask("{\"update_mask\":{\"paths\":[\"a\",\"b.c\"]}}", paths, 2);
    static const char *const with_empty[] = {"a", "", "b", ""};
    assert_mask("{\"update_mask\":\"a,,b,\"}", with_empty, 4);
}

/* Would take hours if each key were compared with all others. */
static void test_json_read_many_keys_in_linear_time(void **state)
{
    (void)state;
    enum { COUNT = 300000 };
    static const char *const heads[] = {"{\"labels\":{", "{\"free\":{", "{"};
    char *text = malloc(COUNT * 16 + 64);
    assert_non_null(text);
    for (size_t form = 0; form < 3; form++) {
        size_t len = strlen(heads[form]);
        memcpy(text, heads[form], len);
        for (size_t i = 0; i < COUNT; i++)
            len += (size_t)snprintf(text + len, 16, "%s\"%zx\":\"\"", i > 0 ? "," : "", i % (COUNT - 1));
        (void)snprintf(text + len, 4, "%s", form < 2 ? "}}" : "}");
        struct attempt attempt;
        assert_true(attempt_read(&attempt, "Thing", text, strlen(text), ARENA_BYTES * 4));
        const Testapi__V1__Thing *thing = (Testapi__V1__Thing *)attempt.message;
        if (form == 0)
            assert_int_equal(thing->n_labels, COUNT - 1);
        else if (form == 1)
            assert_int_equal(thing->free->n_fields, COUNT - 1);
        else
            assert_int_equal(attempt.seen.count, COUNT);
        br_arena_finish(&attempt.arena);
    }
    free(text);
}

static const char rich[] =
    "{\"text\":1,\"part\":{\"name\":\"p\"},\"parts\":[{\"size\":1}],\"tags\":[{\"a\":[1]},\"b\"],"
    "\"labels\":{\"k\":\"v\"},\"free\":{\"a\":[1,{\"b\":\"c\"}]},\"any_value\":[true],\"any_list\":[1],"
    "\"colour\":\"red\",\"numbers\":[1,2],\"counts\":{\"c\":1}}";

static size_t allocations_left;
static size_t blocks_alive;

static void *failing_malloc(size_t size)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    void *block = malloc(size);
    blocks_alive += block != NULL;
    return block;
}

static void counting_free(void *block)
{
    blocks_alive -= block != NULL;
    free(block);
}

/* Also when the test fails, so that the next one finds an allocator that works. */
static int reset_hooks(void **state)
{
    (void)state;
    cJSON_InitHooks(NULL);
    return 0;
}

static void assert_out_of_memory(const struct attempt *attempt)
{
    assert_int_equal(attempt->st.code, BR_RESOURCE_EXHAUSTED);
    assert_string_equal(attempt->st.reason, "OUT_OF_MEMORY");
}

static void test_json_read_each_allocation_failing_reported_without_leak(void **state)
{
    (void)state;
    cJSON_Hooks hooks = {.malloc_fn = failing_malloc, .free_fn = counting_free};
    cJSON_InitHooks(&hooks);
    size_t failures = 0;
    for (;; failures++) {
        struct attempt attempt;
        allocations_left = failures;
        blocks_alive = 0;
        bool ok = attempt_read(&attempt, "Thing", rich, sizeof rich - 1, ARENA_BYTES);
        assert_int_equal(blocks_alive, 0);
        if (!ok)
            assert_out_of_memory(&attempt);
        br_arena_finish(&attempt.arena);
        if (ok)
            break;
    }
    assert_true(failures > 60);
}

static void test_json_read_arena_exhausted_reported(void **state)
{
    (void)state;
    size_t failures = 0;
    for (size_t limit = 0;; limit += 16, failures++) {
        struct attempt attempt;
        bool ok = attempt_read(&attempt, "Thing", rich, sizeof rich - 1, limit);
        if (!ok)
            assert_out_of_memory(&attempt);
        br_arena_finish(&attempt.arena);
        if (ok)
            break;
    }
    assert_true(failures > 30);
    /* The text of the place of an error is in the arena too. */
    struct attempt attempt;
    static const char bad[] = "{\"child\":{\"small\":[]}}";
    assert_false(attempt_read(&attempt, "Thing", bad, sizeof bad - 1, 2 * (sizeof(Testapi__V1__Thing) + 16)));
    br_arena_finish(&attempt.arena);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* What is read can be written, and read again to the same. */
static void check_round_trip(struct attempt *attempt)
{
    char *once;
    char *twice;
    size_t len;
    assert_true(br_json_write(test_plan("Thing"), attempt->message, NULL, &once, &len, &attempt->st));
    struct attempt again;
    if (!attempt_read(&again, "Thing", once, len, ARENA_BYTES)) {
        /* int64 out is exact, in as a number it is limited to what a double holds. */
        assert_non_null(strstr(again.st.msg, "read exactly"));
    } else {
        assert_true(br_json_write(test_plan("Thing"), again.message, NULL, &twice, &len, &again.st));
        assert_string_equal(once, twice);
        free(twice);
    }
    br_arena_finish(&again.arena);
    free(once);
}

static void test_json_read_mutated_never_reports_lack_of_memory(void **state)
{
    (void)state;
    static const char spice[] = "{}[]\",:\\u0dDtfn-.e19 \x00\xC3\xFF";
    uint64_t seed = 2463534242;
    size_t accepted = 0;
    for (size_t round = 0; round < 20000; round++) {
        char text[sizeof rich];
        memcpy(text, rich, sizeof rich);
        size_t len = sizeof rich - 1;
        for (uint64_t i = next_random(&seed) % 3 + 1; i > 0; i--) {
            size_t at = next_random(&seed) % len;
            text[at] = next_random(&seed) % 2 == 0 ? spice[next_random(&seed) % (sizeof spice - 1)]
                                                   : rich[next_random(&seed) % len];
        }
        if (next_random(&seed) % 8 == 0)
            len = next_random(&seed) % len;
        struct attempt attempt;
        if (attempt_read(&attempt, "Thing", text, len, ARENA_BYTES)) {
            accepted++;
            check_round_trip(&attempt);
        } else {
            /* cJSON failing on what the check let through would be taken for that. */
            assert_int_equal(attempt.st.code, BR_INTERNAL);
        }
        br_arena_finish(&attempt.arena);
    }
    assert_true(accepted > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_parse_white_space_and_escapes),
        cmocka_unit_test(test_json_parse_broken_text_refused_with_offset),
        cmocka_unit_test(test_json_parse_nul_and_bad_utf8_refused),
        cmocka_unit_test(test_json_parse_depth_limited),
        cmocka_unit_test(test_json_parse_values_limited),
        cmocka_unit_test(test_json_parse_number_length_limited),
        cmocka_unit_test(test_json_read_every_kind),
        cmocka_unit_test(test_json_read_null_is_absent),
        cmocka_unit_test(test_json_read_numbers_in_other_forms),
        cmocka_unit_test(test_json_read_bad_number_refused_with_place),
        cmocka_unit_test(test_json_read_long_value_quoted_in_part),
        cmocka_unit_test(test_json_read_bool_forms),
        cmocka_unit_test(test_json_read_scalar_for_string),
        cmocka_unit_test(test_json_read_one_value_is_list_of_one),
        cmocka_unit_test(test_json_read_element_of_string_list_as_json_text),
        cmocka_unit_test(test_json_read_last_duplicate_wins),
        cmocka_unit_test(test_json_read_oneof_last_wins),
        cmocka_unit_test(test_json_read_unknown_key_skipped_and_reported),
        cmocka_unit_test(test_json_read_unknown_literal_skipped_and_reported),
        cmocka_unit_test(test_json_read_without_observer),
        cmocka_unit_test(test_json_read_message_of_wrong_form_refused),
        cmocka_unit_test(test_json_read_field_mask_forms),
        cmocka_unit_test(test_json_read_many_keys_in_linear_time),
        cmocka_unit_test_teardown(test_json_read_each_allocation_failing_reported_without_leak, reset_hooks),
        cmocka_unit_test(test_json_read_arena_exhausted_reported),
        cmocka_unit_test(test_json_read_mutated_never_reports_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
