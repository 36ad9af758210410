#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "upstream/certificate.h"

#define PEM_CAP 4096

/* A certificate that ends at |end|, as ASN.1 writes it ("491231235959Z"), as PEM. */
static void make_pem(const char *end, char pem[PEM_CAP])
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    assert_non_null(key);
    assert_non_null(certificate);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_int_equal(ASN1_TIME_set_string(X509_getm_notBefore(certificate), "200101000000Z"), 1);
    assert_int_equal(ASN1_TIME_set_string(X509_getm_notAfter(certificate), end), 1);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    BIO *out = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(out, certificate), 1);
    char *text;
    long len = BIO_get_mem_data(out, &text);
    assert_in_range(len, 1, PEM_CAP - 1);
    memcpy(pem, text, (size_t)len);
    pem[len] = '\0';
    BIO_free(out);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void test_expiry_is_the_end_of_the_certificate(void **state)
{
    (void)state;
    static const struct {
        const char *end;
        int64_t expiry_s;
    } cases[] = {
        {"700101000001Z", 1},
        {"240229120000Z", 1709208000},
        {"491231235959Z", 2524607999}, /* the last that is written with two digits of the year */
        {"20500101000000Z", 2524608000},
        {"99991231235959Z", 253402300799}, /* "no well-defined expiration date": RFC 5280 section 4.1.2.5 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char pem[PEM_CAP];
        make_pem(cases[i].end, pem);
        assert_int_equal(br_certificate_expiry_s(pem), cases[i].expiry_s);
    }
}

static void test_expiry_is_of_the_first_certificate(void **state)
{
    (void)state;
    char first[PEM_CAP], second[PEM_CAP], chain[3 * PEM_CAP];
    make_pem("300101000000Z", first);
    make_pem("250101000000Z", second);
    (void)snprintf(chain, sizeof chain,
                   "a comment\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n%s%s", first,
                   second);
    assert_int_equal(br_certificate_expiry_s(chain), 1893456000);
}

static void test_expiry_of_what_is_no_certificate_is_zero(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "-----BEGIN CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n",
        /* Nobody is asked for a passphrase. */
        "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,"
        "00000000000000000000000000000000\n\nAAAA\n-----END CERTIFICATE-----\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(br_certificate_expiry_s(texts[i]), 0);
    }
    char pem[PEM_CAP];
    make_pem("300101000000Z", pem);
    for (size_t cut = strlen(pem) - 2; cut > 0; cut -= cut > 20 ? 20 : cut) {
        pem[cut] = '\0';
        assert_int_equal(br_certificate_expiry_s(pem), 0);
    }
}

/* The queue is the thread's: what was in it stays, and nothing is added. */
static void test_expiry_leaves_the_errors_of_others(void **state)
{
    (void)state;
    ERR_clear_error();
    (void)br_certificate_expiry_s("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_int_equal(ERR_peek_error(), 0);
    ERR_raise(ERR_LIB_USER, 7);
    (void)br_certificate_expiry_s("");
    assert_int_equal(ERR_GET_REASON(ERR_get_error()), 7);
    assert_int_equal(ERR_peek_error(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expiry_is_the_end_of_the_certificate),
        cmocka_unit_test(test_expiry_is_of_the_first_certificate),
        cmocka_unit_test(test_expiry_of_what_is_no_certificate_is_zero),
        cmocka_unit_test(test_expiry_leaves_the_errors_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
