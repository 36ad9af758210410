#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/settings.h"

/* Printing reads no value, so the rows need no field. */
static const struct br_setting rows[] = {
    {.flag = "name", .kind = BR_SETTING_TEXT, .metavar = "NAME", .help = "A name."},
    {.flag = "listen",
     .kind = BR_SETTING_TEXTS,
     .initial = "127.0.0.1:1,unix:/a",
     .metavar = "ADDRESS",
     .help = "Where to accept calls."},
    {.flag = "tag", .kind = BR_SETTING_TEXTS, .metavar = "A|B", .help = "A tag, a|b."},
    {.flag = "default-timeout",
     .kind = BR_SETTING_DURATION,
     .initial = "30s",
     .metavar = "DURATION",
     .help = "How long a call without a deadline may take, with a sentence that is long enough to be wrapped "
             "at the "
             "right edge of a terminal that is one hundred columns wide."},
    {.flag = "auth",
     .kind = BR_SETTING_CHOICE,
     .initial = "passthrough",
     .metavar = "passthrough|token|aksk",
     .help = "Whose credentials go upstream."},
    {.flag = "ca-file", .kind = BR_SETTING_FILE, .metavar = "FILE", .help = "A CA bundle."},
    {.flag = "verbose", .kind = BR_SETTING_SWITCH, .help = "Say more."},
};

static const struct br_settings table = {
    .env_prefix = "BR_TEST_", .rows = rows, .row_count = sizeof rows / sizeof rows[0]};

/* What |print| writes to standard output. */
static const char *capture(void (*print)(const struct br_settings *), const struct br_settings *settings)
{
    static char text[8192];
    FILE *out = tmpfile();
    assert_non_null(out);
    (void)fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    dup2(fileno(out), STDOUT_FILENO);
    print(settings);
    (void)fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    rewind(out);
    size_t len = fread(text, 1, sizeof text - 1, out);
    text[len] = '\0';
    (void)fclose(out);
    return text;
}

static void test_print_help_is_aligned_and_wrapped(void **state)
{
    (void)state;
    assert_string_equal(
        capture(br_settings_print_help, &table),
        "  --name NAME                    A name.\n"
        "                                 [env: BR_TEST_NAME]\n"
        "  --listen ADDRESS               Where to accept calls.\n"
        "                                 [default: 127.0.0.1:1,unix:/a] [may be repeated]\n"
        "                                 [env: BR_TEST_LISTEN, comma-separated]\n"
        "  --tag A|B                      A tag, a|b.\n"
        "                                 [may be repeated] [env: BR_TEST_TAG, comma-separated]\n"
        "  --default-timeout DURATION     How long a call without a deadline may take, with a sentence that\n"
        "                                 is long enough to be wrapped at the right edge of a terminal that\n"
        "                                 is one hundred columns wide.\n"
        "                                 [default: 30s] [env: BR_TEST_DEFAULT_TIMEOUT]\n"
        "  --auth passthrough|token|aksk  Whose credentials go upstream.\n"
        "                                 [default: passthrough] [env: BR_TEST_AUTH]\n"
        "  --ca-file FILE                 A CA bundle.\n"
        "                                 [env: BR_TEST_CA_FILE]\n"
        "  --verbose                      Say more.\n"
        "                                 [default: false] [env: BR_TEST_VERBOSE]\n");
}

static void test_print_help_wraps_at_100_columns_exactly(void **state)
{
    (void)state;
    /* The right column begins at 9: "  --a A" and a gap. An accent is two bytes and one column. */
    char help[128];
    for (size_t last = 1; last <= 2; last++) {
        memset(help, 'x', sizeof help);
        memcpy(help, "\xC3\xA9", 2);
        help[90] = ' '; /* 89 columns so far, 98 with the left one */
        help[91 + last] = '\0';
        const struct br_setting row = {.flag = "a", .kind = BR_SETTING_TEXT, .metavar = "A", .help = help};
        const struct br_settings one = {.rows = &row, .row_count = 1};
        const char *text = capture(br_settings_print_help, &one);
        assert_non_null(strstr(text, last == 1 ? "x x\n" : "x\n         xx\n"));
    }
}

static void test_print_help_long_flag_has_its_own_line(void **state)
{
    (void)state;
    static const struct br_setting two[] = {
        {.flag = "allow-unauthenticated-callers-and-more", .kind = BR_SETTING_SWITCH, .help = "Allow."},
        {.flag = "a", .kind = BR_SETTING_TEXT, .metavar = "A", .required = true, .help = "An a."},
        {.flag = "b", .kind = BR_SETTING_TEXT, .metavar = "B", .help = "A b."},
    };
    const struct br_settings settings = {.rows = two, .row_count = 3};
    assert_string_equal(capture(br_settings_print_help, &settings),
                        "  --allow-unauthenticated-callers-and-more\n"
                        "         Allow.\n"
                        "         [default: false]\n"
                        "  --a A  An a.\n"
                        "         [required]\n"
                        "  --b B  A b.\n");
}

static void test_print_markdown_escapes_bars(void **state)
{
    (void)state;
    const char *text = capture(br_settings_print_markdown, &table);
    static const char head[] =
        "| Flag | Variable | Default | Meaning |\n"
        "| --- | --- | --- | --- |\n"
        "| `--name NAME` | `BR_TEST_NAME` | - | A name. |\n"
        "| `--listen ADDRESS` | `BR_TEST_LISTEN` | `127.0.0.1:1,unix:/a` | Where to accept "
        "calls. |\n"
        "| `--tag A\\|B` | `BR_TEST_TAG` | - | A tag, a\\|b. |\n";
    assert_memory_equal(text, head, sizeof head - 1);
    static const char tail[] = "| `--verbose` | `BR_TEST_VERBOSE` | `false` | Say more. |\n";
    assert_string_equal(text + strlen(text) - strlen(tail), tail);

    static const struct br_setting row = {
        .flag = "a", .kind = BR_SETTING_TEXT, .metavar = "A", .required = true, .help = "An a."};
    const struct br_settings one = {.rows = &row, .row_count = 1};
    assert_string_equal(capture(br_settings_print_markdown, &one), "| Flag | Variable | Default | Meaning |\n"
                                                                   "| --- | --- | --- | --- |\n"
                                                                   "| `--a A` | - | required | An a. |\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print_help_is_aligned_and_wrapped),
        cmocka_unit_test(test_print_help_wraps_at_100_columns_exactly),
        cmocka_unit_test(test_print_help_long_flag_has_its_own_line),
        cmocka_unit_test(test_print_markdown_escapes_bars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
