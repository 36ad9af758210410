#include "upstream/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <time.h>

/* OpenSSL's own would ask at the terminal. A certificate has no passphrase. */
static int no_passphrase(char *buf, int size, int is_write, void *arg)
{
    (void)buf;
    (void)size;
    (void)is_write;
    (void)arg;
    return -1;
}

int64_t br_certificate_expiry_s(const char *pem)
{
    /* The queue of errors is the thread's, and others read it: gRPC's threads come here. */
    (void)ERR_set_mark();
    int64_t expiry_s = 0;
    BIO *text = BIO_new_mem_buf(pem, -1);
    X509 *certificate = text != NULL ? PEM_read_bio_X509(text, NULL, no_passphrase, NULL) : NULL;
    struct tm end;
    if (certificate != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1) {
        expiry_s = timegm(&end);
    }
    X509_free(certificate);
    (void)BIO_free(text);
    (void)ERR_pop_to_mark();
    return expiry_s;
}
