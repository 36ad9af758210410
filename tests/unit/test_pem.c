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

#include "serve/pem.h"

#define CERT "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
#define KEY "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
#define EC_KEY "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"

static void assert_problem(const char *text, size_t len, enum br_pem_kind kind, const char *part)
{
    const char *problem = br_pem_problem(text, len, kind);
    if (part == NULL) {
        assert_null(problem);
        return;
    }
    assert_non_null(problem);
    if (strstr(problem, part) == NULL) {
        fail_msg("\"%s\" does not hold \"%s\"", problem, part);
    }
}

static void test_problem_whole_files_have_none(void **state)
{
    (void)state;
    static const char *const certificates[] = {CERT, CERT CERT, "a comment\n" CERT "another", CERT KEY};
    static const char *const keys[] = {KEY, EC_KEY, KEY CERT, CERT KEY};
    for (size_t i = 0; i < sizeof certificates / sizeof certificates[0]; i++) {
        assert_problem(certificates[i], strlen(certificates[i]), BR_PEM_CERTIFICATES, NULL);
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_problem(keys[i], strlen(keys[i]), BR_PEM_PRIVATE_KEY, NULL);
    }
}

static void test_problem_of_the_other_kind_is_told(void **state)
{
    (void)state;
    assert_problem(KEY, strlen(KEY), BR_PEM_CERTIFICATES, "no certificate");
    assert_problem(CERT, strlen(CERT), BR_PEM_PRIVATE_KEY, "no private key");
}

static void test_problem_encrypted_keys_are_told(void **state)
{
    (void)state;
    static const char modern[] =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    static const char old[] = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n"
                              "-----END EC PRIVATE KEY-----\n";
    assert_problem(modern, strlen(modern), BR_PEM_PRIVATE_KEY, "encrypted");
    assert_problem(old, strlen(old), BR_PEM_PRIVATE_KEY, "encrypted");
}

/* Of a chain, every cut but those at the end of a line after a block is found. */
static void test_problem_truncated_anywhere_is_told(void **state)
{
    (void)state;
    static const char chain[] = CERT CERT;
    size_t one = strlen(CERT);
    for (size_t len = 0; len < sizeof chain - 1; len++) {
        char cut[sizeof chain];
        memcpy(cut, chain, len);
        cut[len] = '\0';
        const char *problem = br_pem_problem(cut, len, BR_PEM_CERTIFICATES);
        /* With the dashes of a block's last line, the line's end does not matter. */
        bool is_whole = len == one - 1 || len == one || len == 2 * one - 1;
        bool is_dashes = len > one && len < one + 5; /* a new block begins with less than its mark */
        if ((problem == NULL) != (is_whole || is_dashes)) {
            fail_msg("cut at %zu: %s", len, problem != NULL ? problem : "nothing");
        }
    }
}

static void test_problem_what_is_no_pem_is_told(void **state)
{
    (void)state;
    static const char with_nul[] = CERT "\0" CERT;
    assert_problem("", 0, BR_PEM_CERTIFICATES, "empty");
    assert_problem("\x30\x82\x01", 3, BR_PEM_CERTIFICATES, "not a PEM");
    assert_problem("-----END CERTIFICATE-----", 25, BR_PEM_CERTIFICATES, "not a PEM");
    assert_problem(with_nul, sizeof with_nul - 1, BR_PEM_CERTIFICATES, "not a PEM");
}

static char folder[] = "/tmp/bridge-pem-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void make_path(char *out, size_t cap)
{
    (void)snprintf(out, cap, "%s/file", folder);
}

static void write_file(const char *path, const char *text, size_t padding)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    for (size_t i = 0; i < padding; i++) {
        assert_int_equal(fputc('\n', file), '\n');
    }
    assert_int_equal(fclose(file), 0);
}

static void test_read_up_to_the_ceiling(void **state)
{
    (void)state;
    char path[64];
    make_path(path, sizeof path);
    char *text = NULL;
    struct br_status st;
    write_file(path, CERT, BR_PEM_MAX_BYTES - strlen(CERT));
    assert_true(br_pem_read("--flag", path, BR_PEM_CERTIFICATES, &text, &st));
    assert_int_equal(strlen(text), BR_PEM_MAX_BYTES);
    br_pem_free(text);
    br_pem_free(NULL);

    text = NULL;
    write_file(path, CERT, BR_PEM_MAX_BYTES - strlen(CERT) + 1);
    assert_false(br_pem_read("--flag", path, BR_PEM_CERTIFICATES, &text, &st));
    assert_null(text);
    assert_non_null(strstr(st.msg, "1 MiB"));
    assert_int_equal(unlink(path), 0);
}

static void test_read_what_cannot_be_used_names_flag_and_path(void **state)
{
    (void)state;
    char path[64];
    make_path(path, sizeof path);
    static const char *const parts[] = {"No such file", "directory", "empty", "holds no certificate",
                                        "regular"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (i == 1) {
            assert_int_equal(mkdir(path, 0700), 0);
        } else if (i == 4) {
            assert_int_equal(mkfifo(path, 0600), 0);
        } else if (i > 1) {
            write_file(path, i == 2 ? "" : KEY, 0);
        }
        char *text = NULL;
        struct br_status st;
        assert_false(br_pem_read("--flag", path, BR_PEM_CERTIFICATES, &text, &st));
        assert_null(text);
        assert_int_equal(st.code, BR_INVALID_ARGUMENT);
        assert_string_equal(st.reason, "BAD_SETTING");
        assert_int_equal(strncmp(st.msg, "--flag: cannot use \"/tmp/bridge-pem-", 35), 0);
        if (strstr(st.msg, parts[i]) == NULL) {
            fail_msg("\"%s\" does not hold \"%s\"", st.msg, parts[i]);
        }
        if (i == 1) {
            assert_int_equal(rmdir(path), 0);
        } else if (i > 1) {
            assert_int_equal(unlink(path), 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_problem_whole_files_have_none),
        cmocka_unit_test(test_problem_of_the_other_kind_is_told),
        cmocka_unit_test(test_problem_encrypted_keys_are_told),
        cmocka_unit_test(test_problem_truncated_anywhere_is_told),
        cmocka_unit_test(test_problem_what_is_no_pem_is_told),
        cmocka_unit_test(test_read_up_to_the_ceiling),
        cmocka_unit_test(test_read_what_cannot_be_used_names_flag_and_path),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
