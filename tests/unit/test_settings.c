#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc_fault.h"
#include "base/settings.h"

struct config {
    const char *name;
    struct br_texts listen;
    struct br_texts tags;
    int64_t timeout_ms;
    uint64_t body_bytes;
    int64_t shards;
    int64_t shift;
    int auth;
    const char *ca_file;
    bool verbose;
};

enum { AUTH_PASSTHROUGH, AUTH_TOKEN, AUTH_AKSK };
static const char *const auth_choices[] = {"passthrough", "token", "aksk", NULL};

/* Reading prints no help, so the rows have none. */
#define ROW(name_, kind_, field_, ...)                                                                    \
    {                                                                                                     \
        .flag = name_, .kind = BR_SETTING_##kind_, .offset = offsetof(struct config, field_), __VA_ARGS__ \
    }

static const struct br_setting rows[] = {
    ROW("name", TEXT, name),
    ROW("listen", TEXTS, listen, .initial = "127.0.0.1:1,unix:/a", .metavar = "ADDRESS"),
    ROW("tag", TEXTS, tags),
    ROW("default-timeout", DURATION, timeout_ms, .initial = "30s", .min = 1, .max = 3600000),
    ROW("max-body", SIZE, body_bytes, .initial = "4MiB", .min = 1024, .max = 64 << 20),
    ROW("shards", COUNT, shards, .initial = "2", .min = 1, .max = 64),
    ROW("shift", COUNT, shift, .min = -5, .max = 5),
    ROW("auth", CHOICE, auth, .initial = "passthrough", .choices = auth_choices),
    ROW("ca-file", FILE, ca_file),
    ROW("verbose", SWITCH, verbose),
};

static const struct br_settings table = {
    .env_prefix = "BR_TEST_", .rows = rows, .row_count = sizeof rows / sizeof rows[0]};

#define MAX_ARGS 16

static struct config config;
static struct br_texts positional;
static struct br_status st;
static char *args[MAX_ARGS];
static char directory[] = "/tmp/br_settings_XXXXXX";
static char file[64];

static void release(void)
{
    br_settings_finish(&table, &config);
    free(positional.items);
    positional = (struct br_texts){0};
    config = (struct config){0};
}

/* Reads the arguments up to a NULL; |rest| as br_settings_read() takes it. */
static bool read_args(struct br_texts *rest, ...)
{
    int argc = 0;
    const char *text;
    va_list list;
    release();
    memset(&st, 0, sizeof st);
    va_start(list, rest);
    while ((text = va_arg(list, const char *)) != NULL) {
        assert_in_range(argc, 0, MAX_ARGS - 1);
        args[argc++] = (char *)(uintptr_t)text;
    }
    va_end(list);
    return br_settings_read(&table, argc, args, &config, rest, &st);
}

#define READ(...) read_args(NULL, __VA_ARGS__, NULL)
#define READ_NOTHING() read_args(NULL, NULL)
#define READ_POSITIONAL(...) read_args(&positional, __VA_ARGS__, NULL)

static void assert_refused(bool ok, const char *message)
{
    assert_false(ok);
    assert_int_equal(st.code, BR_INVALID_ARGUMENT);
    assert_string_equal(st.reason, "BAD_SETTING");
    assert_string_equal(st.msg, message);
    assert_null(strchr(st.msg, '\n'));
}

static void assert_texts(const struct br_texts *texts, const char *joined)
{
    char text[256] = "";
    size_t len = 0;
    for (size_t i = 0; i < texts->count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s<%s>", i > 0 ? " " : "", texts->items[i]);
    assert_string_equal(text, joined);
}

static int make_files(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    (void)snprintf(file, sizeof file, "%s/ca.pem", directory);
    FILE *out = fopen(file, "w");
    return out == NULL ? -1 : fclose(out);
}

static int remove_files(void **state)
{
    (void)state;
    (void)unlink(file);
    return rmdir(directory);
}

static int clean(void **state)
{
    (void)state;
    static const char *const variables[] = {
        "BR_TEST_NAME", "BR_TEST_LISTEN", "BR_TEST_TAG",     "BR_TEST_DEFAULT_TIMEOUT",
        "BR_TEST_AUTH", "BR_TEST_SHARDS", "BR_TEST_CA_FILE", "BR_TEST_VERBOSE"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        unsetenv(variables[i]);
    (void)alloc_fault_end();
    release();
    return 0;
}

static void test_read_nothing_gives_the_defaults(void **state)
{
    (void)state;
    assert_true(READ_NOTHING());
    assert_null(config.name);
    assert_texts(&config.listen, "<127.0.0.1:1> <unix:/a>");
    assert_null(config.tags.items);
    assert_int_equal(config.tags.count, 0);
    assert_int_equal(config.timeout_ms, 30000);
    assert_int_equal(config.body_bytes, 4 << 20);
    assert_int_equal(config.shards, 2);
    assert_int_equal(config.shift, 0);
    assert_int_equal(config.auth, AUTH_PASSTHROUGH);
    assert_null(config.ca_file);
    assert_false(config.verbose);
}

static void test_read_flags_in_both_forms(void **state)
{
    (void)state;
    assert_true(READ("--name", "n", "--default-timeout=5m", "--max-body", "8MiB", "--shards=3", "--auth",
                     "aksk", "--verbose", "--shift", "-5", "--ca-file", file));
    assert_string_equal(config.name, "n");
    assert_int_equal(config.timeout_ms, 300000);
    assert_int_equal(config.body_bytes, 8 << 20);
    assert_int_equal(config.shards, 3);
    assert_int_equal(config.auth, AUTH_AKSK);
    assert_true(config.verbose);
    assert_int_equal(config.shift, -5);
    assert_string_equal(config.ca_file, file);
    assert_true(READ("--name=a=b"));
    assert_string_equal(config.name, "a=b");
    assert_true(READ("--name=--shards"));
    assert_string_equal(config.name, "--shards");
    assert_true(READ("--name", "-"));
    assert_string_equal(config.name, "-");
}

static void test_read_environment_gives_way_to_flags(void **state)
{
    (void)state;
    setenv("BR_TEST_SHARDS", "7", 1);
    setenv("BR_TEST_DEFAULT_TIMEOUT", "2s", 1);
    setenv("BR_TEST_VERBOSE", "true", 1);
    setenv("BR_TEST_AUTH", "token", 1);
    assert_true(READ("--shards", "9"));
    assert_int_equal(config.shards, 9);
    assert_int_equal(config.timeout_ms, 2000);
    assert_true(config.verbose);
    assert_int_equal(config.auth, AUTH_TOKEN);
    assert_true(READ("--verbose=false"));
    assert_false(config.verbose);
    assert_int_equal(config.shards, 7);
    setenv("BR_TEST_VERBOSE", "false", 1);
    assert_true(READ("--verbose"));
    assert_true(config.verbose);
}

static void test_read_without_prefix_ignores_the_environment(void **state)
{
    (void)state;
    struct br_settings no_environment = table;
    no_environment.env_prefix = NULL;
    setenv("BR_TEST_SHARDS", "7", 1);
    setenv("SHARDS", "8", 1);
    assert_true(br_settings_read(&no_environment, 0, NULL, &config, NULL, &st));
    assert_int_equal(config.shards, 2);
    unsetenv("SHARDS");
}

static void test_read_list_flags_replace_the_rest(void **state)
{
    (void)state;
    setenv("BR_TEST_LISTEN", "e,f", 1);
    assert_true(READ_NOTHING());
    assert_texts(&config.listen, "<e> <f>");
    assert_true(READ("--listen", "a,b", "--shards=1", "--listen=c"));
    assert_texts(&config.listen, "<a,b> <c>");
    assert_string_equal(getenv("BR_TEST_LISTEN"), "e,f");
    setenv("BR_TEST_LISTEN", "one", 1);
    assert_true(READ_NOTHING());
    assert_texts(&config.listen, "<one>");
}

static void test_read_list_empty_entry_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"a,,b", ",a", "a,", "", ","};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char message[128];
        setenv("BR_TEST_TAG", bad[i], 1);
        (void)snprintf(message, sizeof message,
                       "BR_TEST_TAG: \"%s\" has an empty entry; separate the entries with one comma", bad[i]);
        assert_refused(READ_NOTHING(), message);
    }
    assert_refused(READ("--tag=a", "--tag="), "--tag: the value is empty");
}

static void test_read_positional_are_collected_in_order(void **state)
{
    (void)state;
    assert_true(
        READ_POSITIONAL("one", "--shards", "3", "-", "--verbose", "true", "--", "--name", "--", "-x"));
    assert_texts(&positional, "<one> <-> <true> <--name> <--> <-x>");
    assert_int_equal(config.shards, 3);
    assert_true(config.verbose);
    assert_null(config.name);
    assert_true(READ_POSITIONAL("--shards", "3"));
    assert_int_equal(positional.count, 0);
    assert_null(positional.items);
    assert_true(READ("--shards=4", "--"));
    assert_int_equal(config.shards, 4);
}

static void test_read_positional_unwanted_is_refused(void **state)
{
    (void)state;
    assert_refused(READ("--shards", "3", "extra"),
                   "\"extra\": no argument is expected here; a flag begins with two dashes, see --help");
    assert_refused(READ("--", "--shards=3"),
                   "\"--shards=3\": no argument is expected here; a flag begins with two dashes, see --help");
}

static void test_read_failure_leaves_positional_alone(void **state)
{
    (void)state;
    assert_false(READ_POSITIONAL("one", "--frobnicate"));
    assert_null(positional.items);
    assert_false(READ_POSITIONAL("one", "--shards=0"));
    assert_null(positional.items);
}

static void test_read_unknown_flag_is_refused(void **state)
{
    (void)state;
    assert_refused(READ("--frobnicate"), "--frobnicate: no such setting; see --help");
    assert_refused(READ("--frobnicate=3"), "--frobnicate: no such setting; see --help");
    assert_refused(READ("--=3"), "--: no such setting; see --help");
    assert_refused(READ("-v"), "-v: no such setting; a flag begins with two dashes, see --help");
    assert_refused(READ("--LISTEN=3"), "--LISTEN: no such setting; see --help");
}

static void test_read_unknown_flag_close_to_one_is_suggested(void **state)
{
    (void)state;
    assert_refused(READ("--lisen=a"), "--lisen: no such setting; did you mean --listen? (see --help)");
    assert_refused(READ("--sharsd"), "--sharsd: no such setting; did you mean --shards? (see --help)");
    assert_refused(READ("--ca_fil"), "--ca_fil: no such setting; did you mean --ca-file? (see --help)");
    assert_refused(READ("--xlistenx"), "--xlistenx: no such setting; did you mean --listen? (see --help)");
    /* Three away. */
    assert_refused(READ("--xlistenxx"), "--xlistenxx: no such setting; see --help");
    /* "name" is one away and "tag" two: the nearest is named, not the last. */
    assert_refused(READ("--tame"), "--tame: no such setting; did you mean --name? (see --help)");
    /* Two away from "tag", but with nothing of it. */
    assert_refused(READ("--xy"), "--xy: no such setting; see --help");
    assert_refused(READ("--xg"), "--xg: no such setting; see --help");
}

static void test_read_hostile_flag_stays_one_short_line(void **state)
{
    (void)state;
    char text[5000];
    memset(text, '-', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(READ(text));
    assert_in_range(strlen(st.msg), 100, 400);
    assert_non_null(strstr(st.msg, "...: no such setting; see --help"));
    assert_refused(READ("--a\nb\xFF\x7F"), "--a?b??: no such setting; see --help");
    assert_refused(READ("--caf\xC3\xA9\xC3"), "--caf\xC3\xA9?: no such setting; see --help");

    /* A character that straddles the cut is dropped whole, wherever it starts. */
    for (size_t start = 250; start < 270; start++) {
        memset(text, 'a', 400);
        memcpy(text, "--name=", 7);
        memcpy(text + start, "\xF0\x9F\x98\x80", 4);
        text[400] = '\0';
        assert_false(READ("--shards", text + 7));
        assert_non_null(strstr(st.msg, "...\" is not a whole number; give one from 1 to 64"));
        assert_null(strchr(st.msg, '?'));
    }
}

static void test_read_missing_value_is_refused(void **state)
{
    (void)state;
    assert_refused(READ("--listen"), "--listen: the value is missing; write --listen=ADDRESS");
    assert_refused(READ("--listen", "--shards", "3"),
                   "--listen: \"--shards\" looks like a flag; write --listen=VALUE if it is the value");
    assert_refused(READ("--listen", "--"),
                   "--listen: \"--\" looks like a flag; write --listen=VALUE if it is the value");
}

static void test_read_repeated_flag_is_refused(void **state)
{
    (void)state;
    assert_refused(READ("--shards=1", "--shards", "1"), "--shards: given 2 times; give it once");
    assert_refused(READ("--verbose", "--verbose", "--verbose"), "--verbose: given 3 times; give it once");
    assert_true(READ("--shards=1", "--verbose"));
}

static void test_read_text_empty_is_refused(void **state)
{
    (void)state;
    assert_refused(READ("--name="), "--name: the value is empty");
    assert_refused(READ("--name", ""), "--name: the value is empty");
    setenv("BR_TEST_NAME", "", 1);
    assert_refused(READ_NOTHING(), "BR_TEST_NAME: the value is empty");
}

static void test_read_duration_both_sides_of_its_limits(void **state)
{
    (void)state;
    assert_true(READ("--default-timeout=1ms"));
    assert_int_equal(config.timeout_ms, 1);
    assert_true(READ("--default-timeout=1h"));
    assert_int_equal(config.timeout_ms, 3600000);
    static const char *const outside[] = {"0s", "3600001ms", "61m",
                                          "2h", "999999h",   "99999999999999999999999s"};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        char message[160];
        (void)snprintf(message, sizeof message,
                       "--default-timeout: \"%s\" is out of range; give a value from 1ms to 1h", outside[i]);
        assert_refused(READ("--default-timeout", outside[i]), message);
    }
}

static void test_read_duration_other_text_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"abc",  "30",  "",     "5 s",
                                      "1.5s", "-1s", "30ss", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char message[200];
        (void)snprintf(message, sizeof message,
                       "--default-timeout: \"%s\" is not a duration; give a whole number and a unit, such as "
                       "500ms, 30s, 5m (from 1ms to 1h)",
                       bad[i]);
        assert_refused(READ("--default-timeout", bad[i]), message);
    }
}

static void test_read_size_both_sides_of_its_limits(void **state)
{
    (void)state;
    assert_true(READ("--max-body=1KiB"));
    assert_int_equal(config.body_bytes, 1024);
    assert_true(READ("--max-body=64MiB"));
    assert_int_equal(config.body_bytes, 64 << 20);
    assert_refused(READ("--max-body=1023B"),
                   "--max-body: \"1023B\" is out of range; give a value from 1KiB to 64MiB");
    assert_refused(READ("--max-body=65MiB"),
                   "--max-body: \"65MiB\" is out of range; give a value from 1KiB to 64MiB");
    assert_refused(READ("--max-body=9999999GiB"),
                   "--max-body: \"9999999GiB\" is out of range; give a value from 1KiB to 64MiB");
    assert_refused(READ("--max-body=4MB"),
                   "--max-body: \"4MB\" is not a size; give a whole number and a unit, such "
                   "as 512B, 64KiB, 4MiB (from 1KiB to 64MiB)");
}

static void test_read_count_both_sides_of_its_limits(void **state)
{
    (void)state;
    assert_true(READ("--shards=1"));
    assert_true(READ("--shards=64"));
    assert_int_equal(config.shards, 64);
    assert_refused(READ("--shards=65"), "--shards: \"65\" is out of range; give a value from 1 to 64");
    assert_refused(READ("--shards=-99999999999999999999"),
                   "--shards: \"-99999999999999999999\" is out of range; give a value from 1 to 64");
    assert_refused(READ("--shift=-6"), "--shift: \"-6\" is out of range; give a value from -5 to 5");
    assert_refused(READ("--shards=2s"), "--shards: \"2s\" is not a whole number; give one from 1 to 64");
    assert_refused(READ("--shards=-"), "--shards: \"-\" is not a whole number; give one from 1 to 64");
    setenv("BR_TEST_SHARDS", "0", 1);
    assert_refused(READ_NOTHING(), "BR_TEST_SHARDS: \"0\" is out of range; give a value from 1 to 64");
}

static void test_read_limits_are_said_in_the_units_of_people(void **state)
{
    (void)state;
    static const struct {
        enum br_setting_kind kind;
        int64_t min, max;
        const char *text;
    } limits[] = {
        {BR_SETTING_DURATION, 0, 1500, "from 0s to 1500ms"},
        {BR_SETTING_DURATION, 30000, 90000, "from 30s to 90s"},
        {BR_SETTING_DURATION, 120000, 7200000, "from 2m to 2h"},
        {BR_SETTING_SIZE, 0, 1000, "from 0B to 1000B"},
        {BR_SETTING_SIZE, 1 << 20, INT64_C(1) << 40, "from 1MiB to 1024GiB"},
        {BR_SETTING_COUNT, INT64_MIN, INT64_MAX, "from -9223372036854775808 to 9223372036854775807"},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        const struct br_setting row = {
            .flag = "x", .kind = limits[i].kind, .min = limits[i].min, .max = limits[i].max, .metavar = "X"};
        const struct br_settings one = {.rows = &row, .row_count = 1};
        char *argv[] = {(char[]){"--x=?"}};
        int64_t value = 0;
        assert_false(br_settings_read(&one, 1, argv, &value, NULL, &st));
        assert_non_null(strstr(st.msg, limits[i].text));
    }
}

static void test_read_choice_other_is_refused(void **state)
{
    (void)state;
    assert_true(READ("--auth=token"));
    assert_int_equal(config.auth, AUTH_TOKEN);
    assert_refused(READ("--auth=Token"),
                   "--auth: no such choice \"Token\"; give one of: passthrough, token, aksk");
    assert_refused(READ("--auth="), "--auth: no such choice \"\"; give one of: passthrough, token, aksk");
}

static void test_read_switch_other_is_refused(void **state)
{
    (void)state;
    assert_true(READ("--verbose=true"));
    assert_true(config.verbose);
    assert_refused(READ("--verbose=yes"), "--verbose: \"yes\" is neither true nor false");
    assert_refused(READ("--verbose="), "--verbose: \"\" is neither true nor false");
    setenv("BR_TEST_VERBOSE", "1", 1);
    assert_refused(READ_NOTHING(), "BR_TEST_VERBOSE: \"1\" is neither true nor false");
}

static void test_read_file_missing_is_refused(void **state)
{
    (void)state;
    assert_refused(READ("--ca-file", "/nonexistent/x"),
                   "--ca-file: cannot read \"/nonexistent/x\": No such file or directory");
    assert_refused(READ("--ca-file", "/tmp"), "--ca-file: cannot read \"/tmp\": Is a directory");
    assert_refused(READ("--ca-file="), "--ca-file: the value is empty");
    setenv("BR_TEST_CA_FILE", "/nonexistent/x", 1);
    assert_refused(READ_NOTHING(),
                   "BR_TEST_CA_FILE: cannot read \"/nonexistent/x\": No such file or directory");
}

/* A user without rights of its own. */
#define NOBODY 65534

static void test_read_file_without_permission_is_refused(void **state)
{
    (void)state;
    char message[128];
    (void)snprintf(message, sizeof message, "--ca-file: cannot read \"%s\": Permission denied", file);
    assert_int_equal(chmod(file, 0), 0);
    /* Root may read everything, so it is somebody else for a moment. */
    uid_t user = geteuid();
    if (user == 0) {
        assert_int_equal(seteuid(NOBODY), 0);
    }
    bool read = READ("--ca-file", file);
    assert_int_equal(seteuid(user), 0);
    assert_refused(read, message);
    assert_int_equal(chmod(file, 0600), 0);
}

static void test_read_required_missing_names_flag_and_variable(void **state)
{
    (void)state;
    const struct br_setting row = {.flag = "end-point", .kind = BR_SETTING_TEXT, .required = true};
    struct br_settings one = {.env_prefix = "BR_TEST_", .rows = &row, .row_count = 1};
    const char *value = NULL;
    assert_refused(br_settings_read(&one, 0, NULL, &value, NULL, &st),
                   "--end-point: required, but not given; give the flag or set BR_TEST_END_POINT");
    setenv("BR_TEST_END_POINT", "there", 1);
    assert_true(br_settings_read(&one, 0, NULL, &value, NULL, &st));
    assert_string_equal(value, "there");
    unsetenv("BR_TEST_END_POINT");
    one.env_prefix = NULL;
    assert_refused(br_settings_read(&one, 0, NULL, &value, NULL, &st),
                   "--end-point: required, but not given");
}

static void test_read_bad_default_is_refused(void **state)
{
    (void)state;
    const struct br_setting row = {
        .flag = "x", .kind = BR_SETTING_COUNT, .initial = "9", .min = 1, .max = 8, .metavar = "X"};
    const struct br_settings one = {.rows = &row, .row_count = 1};
    int64_t value = 0;
    assert_refused(br_settings_read(&one, 0, NULL, &value, NULL, &st),
                   "--x: \"9\" is out of range; give a value from 1 to 8");
}

static void test_read_each_malloc_failure_is_reported(void **state)
{
    (void)state;
    setenv("BR_TEST_TAG", "a,b", 1);
    size_t failures = 0;
    for (;; failures++) {
        alloc_fault_once_after(failures);
        bool ok = READ_POSITIONAL("one", "--listen=a", "--listen=b");
        (void)alloc_fault_end();
        if (ok)
            break;
        assert_int_equal(st.code, BR_RESOURCE_EXHAUSTED);
        assert_string_equal(st.reason, "OUT_OF_MEMORY");
        assert_null(positional.items);
        assert_in_range(failures, 0, 9);
    }
    /* The positional arguments, the flags' list, the variable's list. */
    assert_int_equal(failures, 3);
    assert_texts(&config.tags, "<a> <b>");
}

static void test_finish_accepts_a_zeroed_config_and_again(void **state)
{
    (void)state;
    br_settings_finish(&table, &config);
    assert_true(READ_NOTHING());
    br_settings_finish(&table, &config);
    assert_null(config.listen.items);
    assert_int_equal(config.listen.count, 0);
    br_settings_finish(&table, &config);
}

int main(void)
{
#define SETTINGS_TEST(function) cmocka_unit_test_setup_teardown(function, clean, clean)
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(test_read_nothing_gives_the_defaults),
        SETTINGS_TEST(test_read_flags_in_both_forms),
        SETTINGS_TEST(test_read_environment_gives_way_to_flags),
        SETTINGS_TEST(test_read_without_prefix_ignores_the_environment),
        SETTINGS_TEST(test_read_list_flags_replace_the_rest),
        SETTINGS_TEST(test_read_list_empty_entry_is_refused),
        SETTINGS_TEST(test_read_positional_are_collected_in_order),
        SETTINGS_TEST(test_read_positional_unwanted_is_refused),
        SETTINGS_TEST(test_read_failure_leaves_positional_alone),
        SETTINGS_TEST(test_read_unknown_flag_is_refused),
        SETTINGS_TEST(test_read_unknown_flag_close_to_one_is_suggested),
        SETTINGS_TEST(test_read_hostile_flag_stays_one_short_line),
        SETTINGS_TEST(test_read_missing_value_is_refused),
        SETTINGS_TEST(test_read_repeated_flag_is_refused),
        SETTINGS_TEST(test_read_text_empty_is_refused),
        SETTINGS_TEST(test_read_duration_both_sides_of_its_limits),
        SETTINGS_TEST(test_read_duration_other_text_is_refused),
        SETTINGS_TEST(test_read_size_both_sides_of_its_limits),
        SETTINGS_TEST(test_read_count_both_sides_of_its_limits),
        SETTINGS_TEST(test_read_limits_are_said_in_the_units_of_people),
        SETTINGS_TEST(test_read_choice_other_is_refused),
        SETTINGS_TEST(test_read_switch_other_is_refused),
        SETTINGS_TEST(test_read_file_missing_is_refused),
        SETTINGS_TEST(test_read_file_without_permission_is_refused),
        SETTINGS_TEST(test_read_required_missing_names_flag_and_variable),
        SETTINGS_TEST(test_read_bad_default_is_refused),
        SETTINGS_TEST(test_read_each_malloc_failure_is_reported),
        SETTINGS_TEST(test_finish_accepts_a_zeroed_config_and_again),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
