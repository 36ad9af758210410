#define _GNU_SOURCE

#include "alloc_fault.h"
#include "auth_check.h"

#include "upstream/credentials.h"

static const struct br_credential_file files[] = {{.name = "user", .required = true},
                                                  {.name = "pass", .required = true},
                                                  {.name = "extra", .required = false}};

#define FILE_COUNT (sizeof files / sizeof files[0])

struct fixture {
    struct test_clock clock;
    struct test_folder folder;
    struct test_output output;
    struct br_credentials *credentials;
    struct br_status st;
    size_t fd_count;
};

static bool watching; /* what is released */
static size_t leak_count;
static size_t read_count;
static bool stamps_frozen;
static void (*on_read)(struct fixture *f);
static struct fixture *current;

void __real_free(void *memory);
void __wrap_free(void *memory);
void __wrap_free(void *memory)
{
    leak_count += watching && test_is_secret(memory);
    __real_free(memory);
}

ssize_t __real_read(int fd, void *out, size_t len);
ssize_t __wrap_read(int fd, void *out, size_t len);
ssize_t __wrap_read(int fd, void *out, size_t len)
{
    read_count++;
    if (on_read != NULL) {
        void (*once)(struct fixture *) = on_read;
        on_read = NULL;
        once(current);
    }
    /* In pieces, as a file may come. */
    return __real_read(fd, out, len > 7 ? 7 : len);
}

int __real_fstatat(int folder_fd, const char *name, struct stat *info, int flags);
int __wrap_fstatat(int folder_fd, const char *name, struct stat *info, int flags);
int __wrap_fstatat(int folder_fd, const char *name, struct stat *info, int flags)
{
    int result = __real_fstatat(folder_fd, name, info, flags);
    if (stamps_frozen) {
        info->st_mtim = (struct timespec){.tv_sec = 1};
        info->st_ctim = (struct timespec){.tv_sec = 1};
    }
    return result;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->clock = test_clock_at(5000, 0);
    f->folder = test_folder_make();
    test_folder_write(&f->folder, "user", SECRET " user");
    test_folder_write(&f->folder, "pass", SECRET " pass\n");
    f->fd_count = test_open_fd_count();
    test_output_begin(&f->output);
    current = f;
    watching = true;
    leak_count = 0;
    read_count = 0;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    br_credentials_destroy(f->credentials);
    watching = false;
    stamps_frozen = false;
    on_read = NULL;
    (void)alloc_fault_end();
    test_output_end(&f->output);
    assert_int_equal(leak_count, 0);
    assert_int_equal(test_open_fd_count(), f->fd_count);
    test_folder_remove(&f->folder);
    free(f);
    return 0;
}

static bool create(struct fixture *f)
{
    return br_credentials_create(f->folder.path, files, FILE_COUNT, &f->clock.clock, &f->credentials, &f->st);
}

static void expect_bad(struct fixture *f, const char *name, const char *what)
{
    assert_false(create(f));
    assert_null(f->credentials);
    assert_int_equal(f->st.code, BR_INVALID_ARGUMENT);
    assert_string_equal(f->st.reason, "BAD_SETTING");
    assert_non_null(strstr(f->st.msg, name));
    assert_non_null(strstr(f->st.msg, what));
    assert_null(strstr(f->st.msg, SECRET));
}

/* The values now, as "user|pass|extra" with "-" for none; and the version. */
static uint64_t expect_set(struct fixture *f, const char *want)
{
    const struct br_credential_set *set = br_credentials_take(f->credentials);
    char got[256];
    (void)snprintf(got, sizeof got, "%s|%s|%s", set->values[0], set->values[1],
                   set->values[2] != NULL ? set->values[2] : "-");
    assert_string_equal(got, want);
    uint64_t version = set->version;
    br_credentials_give_back(f->credentials, set);
    return version;
}

static void pass_check_time(struct fixture *f)
{
    f->clock.now_ms += BR_CREDENTIALS_CHECK_MS;
}

/* ---- The first reading ---- */

static void test_create_good_files_gives_values(void **state)
{
    struct fixture *f = *state;
    test_folder_write(&f->folder, "extra", "x y\n");
    assert_true(create(f));
    (void)expect_set(f, SECRET " user|" SECRET " pass|x y");
}

static void test_create_optional_file_missing_or_empty_gives_null(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {NULL, "", "\n"};
    for (size_t i = 0; i < 3; i++) {
        if (texts[i] != NULL)
            test_folder_write(&f->folder, "extra", texts[i]);
        assert_true(create(f));
        (void)expect_set(f, SECRET " user|" SECRET " pass|-");
        br_credentials_destroy(f->credentials);
        f->credentials = NULL;
    }
}

static void test_create_required_file_missing_fails(void **state)
{
    struct fixture *f = *state;
    test_folder_unlink(&f->folder, "pass");
    expect_bad(f, "pass", "No such file");
}

static void test_create_required_file_empty_fails(void **state)
{
    struct fixture *f = *state;
    test_folder_write(&f->folder, "pass", "");
    expect_bad(f, "pass", "empty");
    test_folder_write(&f->folder, "pass", "\n");
    expect_bad(f, "pass", "empty");
}

static void test_create_file_at_ceiling_passes_above_fails(void **state)
{
    struct fixture *f = *state;
    char text[BR_CREDENTIAL_MAX_BYTES + 1];
    memset(text, 'a', sizeof text);
    memcpy(text, SECRET, strlen(SECRET));
    test_folder_write_bytes(&f->folder, "pass", text, BR_CREDENTIAL_MAX_BYTES + 1);
    expect_bad(f, "pass", "larger than 4096 bytes");
    test_folder_write_bytes(&f->folder, "pass", text, BR_CREDENTIAL_MAX_BYTES);
    assert_true(create(f));
    const struct br_credential_set *set = br_credentials_take(f->credentials);
    assert_int_equal(strlen(set->values[1]), BR_CREDENTIAL_MAX_BYTES);
    br_credentials_give_back(f->credentials, set);
}

static void test_create_byte_no_header_can_carry_fails(void **state)
{
    struct fixture *f = *state;
    static const char bad[] = {'\0', '\t', '\r', '\n', 0x1f, 0x7f, (char)0x80, (char)0xff};
    for (size_t i = 0; i < sizeof bad; i++) {
        char text[] = SECRET "?\n";
        text[strlen(SECRET)] = bad[i];
        test_folder_write_bytes(&f->folder, "extra", text, sizeof text - 1);
        expect_bad(f, "extra", "not printable ASCII");
    }
    test_folder_write(&f->folder, "extra", " ~");
    assert_true(create(f));
    (void)expect_set(f, SECRET " user|" SECRET " pass| ~");
}

static void test_create_not_a_regular_file_fails_and_never_blocks(void **state)
{
    struct fixture *f = *state;
    char path[TEST_PATH_CAP];
    test_folder_unlink(&f->folder, "pass");
    assert_int_equal(mkfifo(test_folder_at(&f->folder, "pass", path), 0600), 0);
    expect_bad(f, "pass", "not a regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_bad(f, "pass", "not a regular file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("/dev/zero", path), 0);
    expect_bad(f, "pass", "not a regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("pass", path), 0);
    expect_bad(f, "pass", "cannot be read");
}

static void test_create_optional_file_that_cannot_be_read_fails(void **state)
{
    struct fixture *f = *state;
    char path[TEST_PATH_CAP];
    assert_int_equal(symlink("extra", test_folder_at(&f->folder, "extra", path)), 0);
    expect_bad(f, "extra", "cannot be read");
}

static void test_create_no_folder_fails(void **state)
{
    struct fixture *f = *state;
    char path[TEST_PATH_CAP];
    static const char *const names[] = {"none", "user"};
    for (size_t i = 0; i < 2; i++) {
        assert_false(br_credentials_create(test_folder_at(&f->folder, names[i], path), files, FILE_COUNT,
                                           &f->clock.clock, &f->credentials, &f->st));
        assert_string_equal(f->st.reason, "BAD_SETTING");
    }
}

static void test_create_without_memory_fails(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 3; i++) {
        alloc_fault_once_after(i);
        assert_false(create(f));
        assert_string_equal(f->st.reason, "OUT_OF_MEMORY");
    }
    assert_true(create(f));
}

static void test_destroy_null_does_nothing(void **state)
{
    (void)state;
    br_credentials_destroy(NULL);
}

/* ---- Changes ---- */

static void test_take_changed_file_is_seen_after_check_time(void **state)
{
    struct fixture *f = *state;
    assert_true(create(f));
    uint64_t version = expect_set(f, SECRET " user|" SECRET " pass|-");
    test_folder_write(&f->folder, "pass", SECRET " new");
    test_folder_write(&f->folder, "extra", "now");
    f->clock.now_ms += BR_CREDENTIALS_CHECK_MS - 1;
    assert_int_equal(expect_set(f, SECRET " user|" SECRET " pass|-"), version);
    f->clock.now_ms += 1;
    assert_int_not_equal(expect_set(f, SECRET " user|" SECRET " new|now"), version);
    assert_int_equal(test_output_count(&f->output, "credentials_changed"), 1);

    test_folder_unlink(&f->folder, "extra");
    pass_check_time(f);
    (void)expect_set(f, SECRET " user|" SECRET " new|-");
    assert_int_equal(test_output_count(&f->output, "credentials_changed"), 2);
}

static void test_take_same_contents_keeps_version(void **state)
{
    struct fixture *f = *state;
    assert_true(create(f));
    uint64_t version = expect_set(f, SECRET " user|" SECRET " pass|-");
    test_folder_unlink(&f->folder, "pass");
    test_folder_write(&f->folder, "pass", SECRET " pass");
    pass_check_time(f);
    assert_int_equal(expect_set(f, SECRET " user|" SECRET " pass|-"), version);
    assert_string_equal(test_output_text(&f->output), "");
}

static void test_take_unchanged_files_are_not_read(void **state)
{
    struct fixture *f = *state;
    assert_true(create(f));
    pass_check_time(f);
    (void)expect_set(f, SECRET " user|" SECRET " pass|-");
    read_count = 0;
    for (int i = 0; i < 5; i++) {
        pass_check_time(f);
        (void)expect_set(f, SECRET " user|" SECRET " pass|-");
    }
    assert_int_equal(read_count, 0);
}

static void test_take_change_that_leaves_stamps_as_they_were_is_seen(void **state)
{
    struct fixture *f = *state;
    stamps_frozen = true;
    assert_true(create(f));
    /* Within the tick of the first reading: same size, same times. */
    test_folder_write(&f->folder, "pass", SECRET " PASS\n");
    pass_check_time(f);
    (void)expect_set(f, SECRET " user|" SECRET " PASS|-");
}

static void test_take_set_in_use_stays_as_it_is(void **state)
{
    struct fixture *f = *state;
    assert_true(create(f));
    const struct br_credential_set *old = br_credentials_take(f->credentials);
    test_folder_write(&f->folder, "pass", SECRET " new");
    pass_check_time(f);
    const struct br_credential_set *new = br_credentials_take(f->credentials);
    assert_string_equal(old->values[1], SECRET " pass");
    assert_string_equal(new->values[1], SECRET " new");
    assert_int_not_equal(old->version, new->version);
    br_credentials_give_back(f->credentials, old);
    assert_string_equal(new->values[1], SECRET " new");
    br_credentials_give_back(f->credentials, new);
}

/* ---- Faults ---- */

static void test_take_fault_keeps_set_and_logs_each_fault_once(void **state)
{
    struct fixture *f = *state;
    assert_true(create(f));
    uint64_t version = expect_set(f, SECRET " user|" SECRET " pass|-");
    test_folder_write(&f->folder, "pass", "");
    for (int i = 0; i < 3; i++) {
        pass_check_time(f);
        assert_int_equal(expect_set(f, SECRET " user|" SECRET " pass|-"), version);
    }
    assert_int_equal(test_output_count(&f->output, "credentials_fault"), 1);
    assert_non_null(strstr(test_output_text(&f->output), "pass is empty"));

    test_folder_unlink(&f->folder, "pass");
    for (int i = 0; i < 3; i++) {
        pass_check_time(f);
        assert_int_equal(expect_set(f, SECRET " user|" SECRET " pass|-"), version);
    }
    assert_int_equal(test_output_count(&f->output, "credentials_fault"), 2);

    test_folder_write(&f->folder, "pass", SECRET " new");
    for (int i = 0; i < 3; i++) {
        pass_check_time(f);
        assert_int_not_equal(expect_set(f, SECRET " user|" SECRET " new|-"), version);
    }
    assert_int_equal(test_output_count(&f->output, "credentials_recovered"), 1);
    assert_int_equal(test_output_count(&f->output, "credentials_changed"), 0);

    test_folder_unlink(&f->folder, "pass");
    pass_check_time(f);
    (void)expect_set(f, SECRET " user|" SECRET " new|-");
    assert_int_equal(test_output_count(&f->output, "credentials_fault"), 3);
}

static void test_take_folder_gone_and_back_recovers(void **state)
{
    struct fixture *f = *state;
    char away[TEST_PATH_CAP];
    assert_true(create(f));
    (void)snprintf(away, sizeof away, "%s-away", f->folder.path);
    assert_int_equal(rename(f->folder.path, away), 0);
    pass_check_time(f);
    (void)expect_set(f, SECRET " user|" SECRET " pass|-");
    assert_int_equal(test_output_count(&f->output, "credentials_fault"), 1);
    assert_int_equal(rename(away, f->folder.path), 0);
    pass_check_time(f);
    (void)expect_set(f, SECRET " user|" SECRET " pass|-");
    assert_int_equal(test_output_count(&f->output, "credentials_recovered"), 1);
}

static void test_take_without_memory_keeps_set(void **state)
{
    struct fixture *f = *state;
    assert_true(create(f));
    test_folder_write(&f->folder, "pass", SECRET " new");
    pass_check_time(f);
    alloc_fault_once_after(0);
    (void)expect_set(f, SECRET " user|" SECRET " pass|-");
    assert_int_equal(test_output_count(&f->output, "credentials_fault"), 1);
    pass_check_time(f);
    (void)expect_set(f, SECRET " user|" SECRET " new|-");
}

static void change_user(struct fixture *f)
{
    test_folder_write(&f->folder, "user", SECRET " other");
}

static void test_take_file_changed_while_read_keeps_set(void **state)
{
    struct fixture *f = *state;
    assert_true(create(f));
    test_folder_write(&f->folder, "pass", SECRET " new");
    pass_check_time(f);
    on_read = change_user;
    (void)expect_set(f, SECRET " user|" SECRET " pass|-");
    pass_check_time(f);
    (void)expect_set(f, SECRET " other|" SECRET " new|-");
}

/* ---- Kubernetes ---- */

/* A volume's layout: the files are links through "..data" into the folder that it names. */
static void write_generation(struct fixture *f, const char *generation, bool extra)
{
    char name[64];
    char path[TEST_PATH_CAP];
    char text[64];
    assert_int_equal(mkdir(test_folder_at(&f->folder, generation, path), 0700), 0);
    for (size_t i = 0; i < (extra ? FILE_COUNT : FILE_COUNT - 1); i++) {
        (void)snprintf(name, sizeof name, "%s/%s", generation, files[i].name);
        (void)snprintf(text, sizeof text, SECRET " %s", generation);
        test_folder_write(&f->folder, name, text);
    }
}

static void point_data_at(struct fixture *f, const char *generation)
{
    char link[TEST_PATH_CAP];
    char data[TEST_PATH_CAP];
    assert_int_equal(symlink(generation, test_folder_at(&f->folder, "..data_tmp", link)), 0);
    assert_int_equal(rename(link, test_folder_at(&f->folder, "..data", data)), 0);
}

static void make_volume(struct fixture *f)
{
    char path[TEST_PATH_CAP];
    char target[64];
    test_folder_unlink(&f->folder, "user");
    test_folder_unlink(&f->folder, "pass");
    write_generation(f, "..1", true);
    point_data_at(f, "..1");
    for (size_t i = 0; i < FILE_COUNT; i++) {
        (void)snprintf(target, sizeof target, "..data/%s", files[i].name);
        assert_int_equal(symlink(target, test_folder_at(&f->folder, files[i].name, path)), 0);
    }
}

static void remove_first_generation(struct fixture *f)
{
    test_folder_unlink(&f->folder, "..1/user");
    test_folder_unlink(&f->folder, "..1/pass");
    test_folder_unlink(&f->folder, "..1/extra");
}

static void test_take_swapped_volume_is_seen(void **state)
{
    struct fixture *f = *state;
    make_volume(f);
    assert_true(create(f));
    (void)expect_set(f, SECRET " ..1|" SECRET " ..1|" SECRET " ..1");
    write_generation(f, "..2", true);
    pass_check_time(f);
    (void)expect_set(f, SECRET " ..1|" SECRET " ..1|" SECRET " ..1");
    point_data_at(f, "..2");
    remove_first_generation(f);
    pass_check_time(f);
    (void)expect_set(f, SECRET " ..2|" SECRET " ..2|" SECRET " ..2");
    assert_int_equal(test_output_count(&f->output, "credentials_changed"), 1);
    assert_int_equal(test_output_count(&f->output, "credentials_fault"), 0);
}

static void swap_volume(struct fixture *f)
{
    point_data_at(f, "..2");
}

static void swap_volume_and_remove(struct fixture *f)
{
    point_data_at(f, "..2");
    remove_first_generation(f);
}

static void test_create_volume_swapped_while_read_gives_one_generation(void **state)
{
    struct fixture *f = *state;
    make_volume(f);
    write_generation(f, "..2", false);
    on_read = swap_volume;
    assert_true(create(f));
    (void)expect_set(f, SECRET " ..1|" SECRET " ..1|" SECRET " ..1");
    pass_check_time(f);
    (void)expect_set(f, SECRET " ..2|" SECRET " ..2|-");
}

static void test_take_volume_removed_while_read_gives_one_generation(void **state)
{
    struct fixture *f = *state;
    make_volume(f);
    assert_true(create(f));
    write_generation(f, "..2", false);
    pass_check_time(f);
    on_read = swap_volume_and_remove; /* the second reading, which the first one's being new asks for */
    (void)expect_set(f, SECRET " ..1|" SECRET " ..1|" SECRET " ..1");
    assert_null(on_read);
    pass_check_time(f);
    (void)expect_set(f, SECRET " ..2|" SECRET " ..2|-");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_create_good_files_gives_values),
        TEST(test_create_optional_file_missing_or_empty_gives_null),
        TEST(test_create_required_file_missing_fails),
        TEST(test_create_required_file_empty_fails),
        TEST(test_create_file_at_ceiling_passes_above_fails),
        TEST(test_create_byte_no_header_can_carry_fails),
        TEST(test_create_not_a_regular_file_fails_and_never_blocks),
        TEST(test_create_optional_file_that_cannot_be_read_fails),
        TEST(test_create_no_folder_fails),
        TEST(test_create_without_memory_fails),
        TEST(test_destroy_null_does_nothing),
        TEST(test_take_changed_file_is_seen_after_check_time),
        TEST(test_take_same_contents_keeps_version),
        TEST(test_take_unchanged_files_are_not_read),
        TEST(test_take_change_that_leaves_stamps_as_they_were_is_seen),
        TEST(test_take_set_in_use_stays_as_it_is),
        TEST(test_take_fault_keeps_set_and_logs_each_fault_once),
        TEST(test_take_folder_gone_and_back_recovers),
        TEST(test_take_without_memory_keeps_set),
        TEST(test_take_file_changed_while_read_keeps_set),
        TEST(test_take_swapped_volume_is_seen),
        TEST(test_create_volume_swapped_while_read_gives_one_generation),
        TEST(test_take_volume_removed_while_read_gives_one_generation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
