#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/bridge-file-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    snprintf(path, sizeof path, "%s/f", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static int remove_file(void **state)
{
    (void)state;
    (void)remove(path);
    return 0;
}

static void write_bytes(size_t count)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (size_t i = 0; i < count; i++) {
        assert_int_not_equal(fputc((int)(i % 251), file), EOF);
    }
    assert_int_equal(fclose(file), 0);
}

static void test_read_whole_file_up_to_the_ceiling(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 16383, 16384, 16385, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        write_bytes(sizes[i]);
        struct br_buf buf;
        br_buf_init(&buf, sizes[i]);
        assert_int_equal(br_file_read(path, &buf), 0);
        assert_int_equal(buf.len, sizes[i]);
        for (size_t k = 0; k < buf.len; k++) {
            assert_int_equal((unsigned char)buf.data[k], k % 251);
        }
        br_buf_finish(&buf);
    }
}

static void test_read_past_the_ceiling_is_refused(void **state)
{
    (void)state;
    write_bytes(1001);
    struct br_buf buf;
    br_buf_init(&buf, 1000);
    assert_int_equal(br_file_read(path, &buf), EFBIG);
    br_buf_finish(&buf);
}

static void test_read_of_what_is_no_file_is_refused(void **state)
{
    (void)state;
    struct br_buf buf;
    br_buf_init(&buf, 1000);
    assert_int_equal(br_file_read(path, &buf), ENOENT);
    assert_int_equal(br_file_read(folder, &buf), EISDIR);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(br_file_read(path, &buf), EINVAL);
    assert_int_equal(buf.len, 0);
    br_buf_finish(&buf);
}

static void test_read_all_of_a_bad_descriptor_fails(void **state)
{
    (void)state;
    struct br_buf buf;
    br_buf_init(&buf, 1000);
    assert_int_equal(br_file_read_all(-1, &buf), EBADF);
    br_buf_finish(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_read_whole_file_up_to_the_ceiling, remove_file),
        cmocka_unit_test_teardown(test_read_past_the_ceiling_is_refused, remove_file),
        cmocka_unit_test_teardown(test_read_of_what_is_no_file_is_refused, remove_file),
        cmocka_unit_test(test_read_all_of_a_bad_descriptor_fails),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
