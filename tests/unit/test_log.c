#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/log_repeats.h"
#include "base/parse.h"

/* How far the monotonic clock is moved on. */
static int64_t skipped_s;

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    int result = __real_clock_gettime(clock, out);
    out->tv_sec += clock == CLOCK_MONOTONIC ? skipped_s : 0;
    return result;
}

/*
 * Standard error is a socket that keeps each write apart, so one received message is one write(2). It is only
 * redirected around the log calls: cmocka reports failures there.
 */
static int sockets[2];
static int real_stderr;

static int open_capture(void **state)
{
    (void)state;
    br_log_set_level(BR_LOG_INFO);
    br_log_set_format(BR_LOG_JSON);
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets);
}

static void begin_capture(void)
{
    real_stderr = dup(STDERR_FILENO);
    dup2(sockets[1], STDERR_FILENO);
}

static void end_capture(void)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
}

static int close_capture(void **state)
{
    (void)state;
    /* Each test begins with no repeats. */
    begin_capture();
    br_log_report_suppressed();
    end_capture();
    close(sockets[0]);
    close(sockets[1]);
    return 0;
}

/* The next write as a C string; false when there is none. */
static bool receive(char out[BR_LOG_LINE_MAX + 2])
{
    ssize_t len = recv(sockets[0], out, BR_LOG_LINE_MAX + 1, MSG_DONTWAIT);
    if (len < 0)
        return false;
    out[len] = '\0';
    return true;
}

static const char opening[] = "{\"time\":\"2026-01-02T03:04:05.678Z\"";

/* Logs one line and gives what follows its time; "" when nothing was written. */
static const char *log_line(enum br_log_level level, const char *event, const struct br_log_field *fields,
                            size_t count)
{
    static char line[BR_LOG_LINE_MAX + 2];
    begin_capture();
    br_log(level, event, fields, count);
    end_capture();
    if (!receive(line))
        return "";
    assert_memory_equal(line, "{\"time\":\"", 9);
    assert_int_equal(line[strlen(line) - 1], '\n');
    return line + sizeof opening - 1;
}

static void test_log_fields_are_json(void **state)
{
    (void)state;
    const struct br_log_field fields[] = {
        br_log_text("method", "/a.B/C"), br_log_number("took_ms", -5), br_log_number("max", INT64_MAX),
        br_log_number("min", INT64_MIN), br_log_text("none", NULL),
    };
    assert_string_equal(log_line(BR_LOG_INFO, "call", fields, 5),
                        ",\"level\":\"info\",\"event\":\"call\",\"method\":\"/a.B/C\",\"took_ms\":-5,"
                        "\"max\":9223372036854775807,\"min\":-9223372036854775808,\"none\":\"\"}\n");
}

static void test_log_without_fields(void **state)
{
    (void)state;
    assert_string_equal(log_line(BR_LOG_ERROR, "stopped", NULL, 0),
                        ",\"level\":\"error\",\"event\":\"stopped\"}\n");
}

static void test_log_macro_counts_its_fields(void **state)
{
    (void)state;
    char line[BR_LOG_LINE_MAX + 2];
    begin_capture();
    BR_LOG(BR_LOG_WARN, "listening", br_log_text("address", "a"), br_log_number("port", 1));
    end_capture();
    assert_true(receive(line));
    assert_string_equal(line + sizeof opening - 1,
                        ",\"level\":\"warn\",\"event\":\"listening\",\"address\":\"a\",\"port\":1}\n");
}

static void test_log_level_filters(void **state)
{
    (void)state;
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (int enabled = BR_LOG_ERROR; enabled <= BR_LOG_DEBUG; enabled++) {
        br_log_set_level((enum br_log_level)enabled);
        assert_int_equal(br_log_level(), enabled);
        assert_string_equal(br_log_level_name(br_log_level()), names[enabled]);
        for (int level = BR_LOG_ERROR; level <= BR_LOG_DEBUG; level++) {
            assert_int_equal(br_log_enabled((enum br_log_level)level), level <= enabled);
            const char *rest = log_line((enum br_log_level)level, "x", NULL, 0);
            if (level > enabled)
                assert_string_equal(rest, "");
            else
                assert_memory_equal(rest + strlen(",\"level\":\""), names[level], strlen(names[level]));
        }
        br_log_report_suppressed(); /* these are repeats */
    }
}

static void test_log_text_is_escaped(void **state)
{
    (void)state;
    const struct br_log_field fields[] = {
        br_log_text("a", "q\" b\\ n\n r\r t\t \x01 \x1F \x7F /"),
        br_log_text("k\"", "caf\xC3\xA9 \xE6\x96\x87 \xF0\x9F\x98\x80"),
    };
    assert_string_equal(log_line(BR_LOG_INFO, "x", fields, 2),
                        ",\"level\":\"info\",\"event\":\"x\","
                        "\"a\":\"q\\\" b\\\\ n\\n r\\r t\\t \\u0001 \\u001f \\u007f /\","
                        "\"k\\\"\":\"caf\xC3\xA9 \xE6\x96\x87 \xF0\x9F\x98\x80\"}\n");
}

static void test_log_invalid_utf8_is_replaced(void **state)
{
    (void)state;
#define REPLACED "\xEF\xBF\xBD"
    const struct br_log_field fields[] = {
        br_log_text("a", "x\xFFy\x80"),
        br_log_text("b", "\xC0\xAF"),
        br_log_text("c", "cut \xE6\x96"),
    };
    assert_string_equal(log_line(BR_LOG_INFO, "x", fields, 3),
                        ",\"level\":\"info\",\"event\":\"x\",\"a\":\"x" REPLACED "y" REPLACED "\","
                        "\"b\":\"" REPLACED REPLACED "\",\"c\":\"cut " REPLACED REPLACED "\"}\n");
}

/* A field whose text fills the line up to the ceiling, where |text_len| is what fits: both sides of it. */
static void test_log_ceiling_is_exact(void **state)
{
    (void)state;
    static char text[BR_LOG_LINE_MAX + 1];
    const size_t frame = strlen(opening) + strlen(",\"level\":\"info\",\"event\":\"x\",\"a\":\"\"");
    /* Room for the mark and the end of the line is always kept. */
    const size_t fits = BR_LOG_LINE_MAX - strlen(",\"cut\":1") - strlen("}\n") - frame;

    memset(text, 'a', sizeof text - 1);
    text[fits] = '\0';
    const struct br_log_field whole[] = {br_log_text("a", text)};
    const char *rest = log_line(BR_LOG_INFO, "x", whole, 1);
    assert_int_equal(strlen(opening) + strlen(rest), BR_LOG_LINE_MAX - strlen(",\"cut\":1"));
    assert_null(strstr(rest, "\"cut\""));

    text[fits] = 'a';
    text[fits + 1] = '\0';
    const struct br_log_field longer[] = {br_log_number("n", 1), br_log_text("a", text),
                                          br_log_number("m", 2)};
    assert_string_equal(log_line(BR_LOG_INFO, "x", longer, 3),
                        ",\"level\":\"info\",\"event\":\"x\",\"n\":1,\"cut\":1}\n");
}

static void test_log_last_fields_are_cut(void **state)
{
    (void)state;
    static char text[900];
    memset(text, '\x01', sizeof text - 1); /* six bytes each, once escaped */
    const struct br_log_field fields[] = {
        br_log_text("a", "kept"),
        br_log_text("b", text),
        br_log_text("c", "small, yet after the cut"),
    };
    assert_string_equal(log_line(BR_LOG_INFO, "x", fields, 3),
                        ",\"level\":\"info\",\"event\":\"x\",\"a\":\"kept\",\"cut\":1}\n");
}

static void test_log_event_too_long_is_cut(void **state)
{
    (void)state;
    static char text[BR_LOG_LINE_MAX * 2];
    memset(text, 'e', sizeof text - 1);
    assert_string_equal(log_line(BR_LOG_INFO, text, NULL, 0), ",\"level\":\"info\",\"cut\":1}\n");
}

static int64_t digits(const char *text, size_t len)
{
    int64_t value = -1;
    assert_true(br_parse_int64(text, len, &value));
    return value;
}

static void test_log_time_is_rfc3339_utc(void **state)
{
    (void)state;
    char line[BR_LOG_LINE_MAX + 2];
    /* A zone far from UTC, which the line must not show. */
    setenv("TZ", "XXX-8", 1);
    tzset();
    time_t before = time(NULL);
    begin_capture();
    br_log(BR_LOG_INFO, "x", NULL, 0);
    end_capture();
    time_t after = time(NULL);
    unsetenv("TZ");
    tzset();
    assert_true(receive(line));

    const char *text = line + strlen("{\"time\":\"");
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ\"";
    for (size_t i = 0; shape[i] != '\0'; i++) {
        if (shape[i] == 'd')
            assert_in_range(text[i], '0', '9');
        else
            assert_int_equal(text[i], shape[i]);
    }
    struct tm utc = {
        .tm_year = (int)digits(text, 4) - 1900,
        .tm_mon = (int)digits(text + 5, 2) - 1,
        .tm_mday = (int)digits(text + 8, 2),
        .tm_hour = (int)digits(text + 11, 2),
        .tm_min = (int)digits(text + 14, 2),
        .tm_sec = (int)digits(text + 17, 2),
    };
    time_t written = timegm(&utc);
    /* time() may lag the precise clock by a tick, so a second on each side. */
    assert_true(written >= before - 1 && written <= after + 1);
}

static void test_log_keeps_errno_and_survives_a_closed_stderr(void **state)
{
    (void)state;
    real_stderr = dup(STDERR_FILENO);
    close(STDERR_FILENO);
    errno = ERANGE;
    br_log(BR_LOG_ERROR, "x", NULL, 0);
    int after = errno;
    end_capture();
    assert_int_equal(after, ERANGE);
    /* It counts as dropped; no other test shall be told so. */
    begin_capture();
    BR_LOG(BR_LOG_INFO, "back", br_log_number("i", 1));
    end_capture();
    char line[BR_LOG_LINE_MAX + 2];
    for (int i = 0; i < 2; i++)
        assert_true(read(sockets[0], line, sizeof line) > 0);
}

static void test_log_format_is_text_when_set(void **state)
{
    (void)state;
    char line[BR_LOG_LINE_MAX + 2];
    br_log_set_format(BR_LOG_TEXT);
    begin_capture();
    BR_LOG(BR_LOG_INFO, "call", br_log_text("method", "/a.B/C"), br_log_ms("duration_ms", 1234));
    end_capture();
    assert_true(receive(line));
    assert_string_equal(line + strlen("2026-01-02 03:04:05.678"),
                        " INFO  call method=/a.B/C duration_ms=1.234\n");
}

/* Writes |count| lines of |event| and gives how many came out; |last| receives the last of them. */
static int count_lines(enum br_log_level level, const char *event, int count, char last[BR_LOG_LINE_MAX + 2])
{
    int written = 0;
    for (int i = 0; i < count; i++) {
        begin_capture();
        BR_LOG(level, event, br_log_number("i", i));
        end_capture();
        while (receive(last))
            written++;
    }
    return written;
}

static void test_log_repeats_are_limited_and_counted(void **state)
{
    (void)state;
    char line[BR_LOG_LINE_MAX + 2];
    assert_int_equal(count_lines(BR_LOG_WARN, "again", 12, line), BR_LOG_REPEATS_BURST);
    assert_null(strstr(line, "suppressed"));
    assert_int_equal(count_lines(BR_LOG_ERROR, "other", 1, line), 1);
    skipped_s += BR_LOG_REPEATS_WINDOW_MS / 1000;
    assert_int_equal(count_lines(BR_LOG_WARN, "again", 1, line), 1);
    assert_string_equal(line + sizeof opening - 1,
                        ",\"level\":\"warn\",\"event\":\"again\",\"suppressed\":7,\"i\":0}\n");
    assert_int_equal(count_lines(BR_LOG_WARN, "again", 1, line), 1);
    assert_null(strstr(line, "suppressed"));
}

static void test_log_info_and_debug_are_never_limited(void **state)
{
    (void)state;
    char line[BR_LOG_LINE_MAX + 2];
    br_log_set_level(BR_LOG_DEBUG);
    assert_int_equal(count_lines(BR_LOG_INFO, "call", 100, line), 100);
    assert_int_equal(count_lines(BR_LOG_DEBUG, "call", 100, line), 100);
    assert_int_equal(count_lines(BR_LOG_ERROR, "call", 100, line), BR_LOG_REPEATS_BURST);
}

static void test_log_always_is_not_limited(void **state)
{
    (void)state;
    char line[BR_LOG_LINE_MAX + 2];
    int written = 0;
    for (int i = 0; i < 2 * BR_LOG_REPEATS_BURST; i++) {
        begin_capture();
        br_log_always(BR_LOG_WARN, "each", NULL, 0);
        br_log_always(BR_LOG_DEBUG, "each", NULL, 0);
        end_capture();
        while (receive(line))
            written++;
    }
    assert_int_equal(written, 2 * BR_LOG_REPEATS_BURST);
}

static void test_log_lines_below_the_level_are_not_counted(void **state)
{
    (void)state;
    char line[BR_LOG_LINE_MAX + 2];
    br_log_set_level(BR_LOG_ERROR);
    assert_int_equal(count_lines(BR_LOG_WARN, "quiet", 100, line), 0);
    br_log_set_level(BR_LOG_WARN);
    assert_int_equal(count_lines(BR_LOG_WARN, "quiet", 1, line), 1);
    assert_null(strstr(line, "suppressed"));
}

static void test_log_report_tells_what_no_line_has_told(void **state)
{
    (void)state;
    char line[BR_LOG_LINE_MAX + 2];
    (void)count_lines(BR_LOG_WARN, "first", BR_LOG_REPEATS_BURST + 2, line);
    (void)count_lines(BR_LOG_WARN, "enough", BR_LOG_REPEATS_BURST, line);
    (void)count_lines(BR_LOG_ERROR, "second", BR_LOG_REPEATS_BURST + 1, line);
    br_log_set_level(BR_LOG_ERROR); /* the count of errors is no less important than they */
    begin_capture();
    br_log_report_suppressed();
    br_log_report_suppressed();
    end_capture();
    assert_true(receive(line));
    assert_string_equal(line + sizeof opening - 1, ",\"level\":\"warn\",\"event\":\"log_lines_suppressed\","
                                                   "\"of\":\"first\",\"count\":2}\n");
    assert_true(receive(line));
    assert_string_equal(line + sizeof opening - 1, ",\"level\":\"warn\",\"event\":\"log_lines_suppressed\","
                                                   "\"of\":\"second\",\"count\":1}\n");
    assert_false(receive(line));
    assert_int_equal(count_lines(BR_LOG_ERROR, "first", 1, line), 1);
    assert_null(strstr(line, "suppressed"));
}

/* Standard error as a pipe that nobody reads from and that is full; |reader| receives its other end. */
static void begin_full_pipe(int *reader)
{
    int ends[2];
    static const char bytes[BR_LOG_LINE_MAX] = {0};
    assert_int_equal(pipe(ends), 0);
    struct pollfd writer = {.fd = ends[1], .events = POLLOUT};
    while (poll(&writer, 1, 0) == 1)
        assert_int_equal(write(ends[1], bytes, sizeof bytes), sizeof bytes);
    real_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    *reader = ends[0];
    assert_int_equal(fcntl(*reader, F_SETFL, O_NONBLOCK), 0);
}

static void test_log_full_pipe_drops_and_counts(void **state)
{
    (void)state;
    char line[BR_LOG_LINE_MAX + 2];
    int reader;
    (void)count_lines(BR_LOG_WARN, "again", BR_LOG_REPEATS_BURST + 3, line);
    skipped_s += BR_LOG_REPEATS_WINDOW_MS / 1000;
    int64_t before = br_log_dropped_count();

    begin_full_pipe(&reader);
    BR_LOG(BR_LOG_INFO, "lost", br_log_number("i", 1));
    int64_t after_one = br_log_dropped_count();
    /* Three repeats are told by this line alone. */
    BR_LOG(BR_LOG_WARN, "again", br_log_number("i", 1));
    int64_t after_both = br_log_dropped_count();
    for (ssize_t len = 1; len > 0;) {
        len = read(reader, line, sizeof line);
    }
    BR_LOG(BR_LOG_INFO, "back", br_log_number("i", 1));
    end_capture();

    static char text[2 * BR_LOG_LINE_MAX];
    ssize_t len = read(reader, text, sizeof text - 1);
    close(reader);
    assert_int_equal(after_one - before, 1);
    assert_int_equal(after_both - before, 5);
    assert_true(len > 0);
    text[len] = '\0';
    char *second = strchr(text, '\n');
    assert_non_null(second);
    *second++ = '\0';
    assert_string_equal(text + sizeof opening - 1,
                        ",\"level\":\"warn\",\"event\":\"log_lines_dropped\",\"count\":5}");
    assert_string_equal(second + sizeof opening - 1, ",\"level\":\"info\",\"event\":\"back\",\"i\":1}\n");
    assert_int_equal(br_log_dropped_count() - before, 5);
}

/* As a disk that is full at |bytes|. */
static void limit_file(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_log_full_disk_drops_and_counts(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    int64_t before = br_log_dropped_count();
    real_stderr = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    BR_LOG(BR_LOG_INFO, "first", br_log_number("i", 1));
    limit_file((rlim_t)lseek(STDERR_FILENO, 0, SEEK_CUR) + 10);
    BR_LOG(BR_LOG_INFO, "half", br_log_number("i", 2));
    BR_LOG(BR_LOG_INFO, "lost", br_log_number("i", 3));
    int64_t lost = br_log_dropped_count();
    limit_file(RLIM_INFINITY);
    BR_LOG(BR_LOG_INFO, "back", br_log_number("i", 4));
    end_capture();
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(lost - before, 2);
    assert_int_equal(br_log_dropped_count() - before, 2);

    char line[BR_LOG_LINE_MAX + 2];
    static const char *const expected[] = {"\"event\":\"first\",\"i\":1}\n", NULL,
                                           "\"event\":\"log_lines_dropped\",\"count\":2}\n",
                                           "\"event\":\"back\",\"i\":4}\n"};
    rewind(file);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_non_null(fgets(line, sizeof line, file));
        if (expected[i] != NULL)
            assert_non_null(strstr(line, expected[i]));
        else
            assert_int_equal(strlen(line), 11); /* what there was room for, and the end of the line */
    }
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
}

static void *write_lines(void *argument)
{
    for (int i = 0; i < 10; i++)
        BR_LOG(BR_LOG_INFO, "line", br_log_text("thread", argument), br_log_number("i", i));
    return NULL;
}

static void test_log_threads_do_not_mix_lines(void **state)
{
    (void)state;
    static char names[4][2] = {"a", "b", "c", "d"};
    pthread_t threads[4];
    int started = 0;
    begin_capture();
    while (started < 4 && pthread_create(&threads[started], NULL, write_lines, names[started]) == 0)
        started++;
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    end_capture();
    assert_int_equal(started, 4);

    char line[BR_LOG_LINE_MAX + 2];
    int next[4] = {0};
    int count = 0;
    while (receive(line)) {
        const char *expected = ",\"level\":\"info\",\"event\":\"line\",\"thread\":\"?\",\"i\":?}\n";
        const char *rest = line + sizeof opening - 1;
        assert_int_equal(strlen(rest), strlen(expected));
        int thread = strchr(expected, '?') != NULL ? rest[strchr(expected, '?') - expected] - 'a' : -1;
        assert_in_range(thread, 0, 3);
        assert_int_equal(rest[strlen(rest) - 3], '0' + next[thread]++);
        count++;
    }
    assert_int_equal(count, 40);
}

static void *write_repeats(void *argument)
{
    (void)argument;
    for (int i = 0; i < 100; i++)
        BR_LOG(BR_LOG_WARN, "storm", br_log_number("i", i));
    return NULL;
}

static void test_log_threads_lose_no_repeat(void **state)
{
    (void)state;
    pthread_t threads[4];
    int started = 0;
    begin_capture();
    while (started < 4 && pthread_create(&threads[started], NULL, write_repeats, NULL) == 0)
        started++;
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    br_log_report_suppressed();
    end_capture();
    assert_int_equal(started, 4);

    char line[BR_LOG_LINE_MAX + 2];
    for (int i = 0; i < BR_LOG_REPEATS_BURST; i++) {
        assert_true(receive(line));
        assert_non_null(strstr(line, "\"event\":\"storm\",\"i\":"));
    }
    assert_true(receive(line));
    assert_non_null(strstr(line, "\"of\":\"storm\",\"count\":395}"));
    assert_false(receive(line));
}

int main(void)
{
#define LOG_TEST(function) cmocka_unit_test_setup_teardown(function, open_capture, close_capture)
    const struct CMUnitTest tests[] = {
        LOG_TEST(test_log_fields_are_json),
        LOG_TEST(test_log_without_fields),
        LOG_TEST(test_log_macro_counts_its_fields),
        LOG_TEST(test_log_level_filters),
        LOG_TEST(test_log_text_is_escaped),
        LOG_TEST(test_log_invalid_utf8_is_replaced),
        LOG_TEST(test_log_ceiling_is_exact),
        LOG_TEST(test_log_last_fields_are_cut),
        LOG_TEST(test_log_event_too_long_is_cut),
        LOG_TEST(test_log_time_is_rfc3339_utc),
        LOG_TEST(test_log_keeps_errno_and_survives_a_closed_stderr),
        LOG_TEST(test_log_format_is_text_when_set),
        LOG_TEST(test_log_repeats_are_limited_and_counted),
        LOG_TEST(test_log_info_and_debug_are_never_limited),
        LOG_TEST(test_log_always_is_not_limited),
        LOG_TEST(test_log_lines_below_the_level_are_not_counted),
        LOG_TEST(test_log_report_tells_what_no_line_has_told),
        LOG_TEST(test_log_full_pipe_drops_and_counts),
        LOG_TEST(test_log_full_disk_drops_and_counts),
        LOG_TEST(test_log_threads_do_not_mix_lines),
        LOG_TEST(test_log_threads_lose_no_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
