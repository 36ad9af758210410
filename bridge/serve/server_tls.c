#include "serve/server_tls.h"

#include "base/log.h"
#include "serve/pem.h"
#include "upstream/certificate.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Times that the files are read again because they changed meanwhile. */
#define READ_ATTEMPTS 3

enum { CERT, KEY, CLIENT_CA, FILE_COUNT };

static const char *const flags[FILE_COUNT] = {"--tls-cert", "--tls-key", "--client-ca"};

/* What tells one content of a file from another; compared as bytes. */
struct stamp {
    int64_t error; /* errno of stat() */
    int64_t size;
    uint64_t dev, ino;
    int64_t modified_s, modified_ns, changed_s, changed_ns;
};
_Static_assert(sizeof(struct stamp) == 64, "no padding");

struct br_tls {
    const char *address;           /* NULL until it listens */
    const char *paths[FILE_COUNT]; /* NULL: not configured */
    grpc_server_credentials *credentials;
    _Atomic int64_t expiry_s; /* of the certificate that core has */

    pthread_mutex_t lock; /* core may start several handshakes at a time */
    bool offered;         /* core has asked before */
    struct stamp stamps[FILE_COUNT];
};

static void log_refusal(const char *address, const char *cause)
{
    BR_LOG(BR_LOG_WARN, "tls_files_refused", br_log_text("address", address), br_log_text("cause", cause),
           br_log_text("meaning", "new connections get what was read before"));
}

/*
 * Core builds its side inside the call that asks for the files, on the same thread, and reports a failure to
 * its log alone: first the cause, then a line that begins as below.
 */
static const char core_refusal[] = "Handshaker factory creation failed";
static _Thread_local struct {
    bool is_open;
    bool is_refused;
    struct br_tls *tls;
    int64_t expiry_before_s;
    char cause[256];
} offering;

void br_tls_core_error(const char *message)
{
    if (!offering.is_open) {
        return;
    }
    if (strncmp(message, core_refusal, sizeof core_refusal - 1) != 0) {
        (void)snprintf(offering.cause, sizeof offering.cause, "%s", message);
        return;
    }
    offering.is_open = false;
    offering.is_refused = true;
    offering.tls->expiry_s = offering.expiry_before_s;
    if (offering.tls->address != NULL) { /* else whoever starts tells */
        log_refusal(offering.tls->address, offering.cause);
    }
}

const char *br_tls_refusal(void)
{
    return offering.is_refused ? offering.cause : NULL;
}

static void take_stamps(const struct br_tls *tls, struct stamp *stamps)
{
    memset(stamps, 0, FILE_COUNT * sizeof *stamps);
    for (int i = 0; i < FILE_COUNT; i++) {
        struct stat info;
        if (tls->paths[i] == NULL) {
            continue;
        }
        if (stat(tls->paths[i], &info) != 0) {
            stamps[i].error = errno;
            continue;
        }
        stamps[i] = (struct stamp){.size = info.st_size,
                                   .dev = info.st_dev,
                                   .ino = info.st_ino,
                                   .modified_s = info.st_mtim.tv_sec,
                                   .modified_ns = info.st_mtim.tv_nsec,
                                   .changed_s = info.st_ctim.tv_sec,
                                   .changed_ns = info.st_ctim.tv_nsec};
    }
}

static void free_texts(char *texts[FILE_COUNT])
{
    for (int i = 0; i < FILE_COUNT; i++) {
        br_pem_free(texts[i]);
        texts[i] = NULL;
    }
}

static bool read_texts(const struct br_tls *tls, char *texts[FILE_COUNT], struct br_status *st)
{
    memset(texts, 0, FILE_COUNT * sizeof *texts);
    for (int i = 0; i < FILE_COUNT; i++) {
        enum br_pem_kind kind = i == KEY ? BR_PEM_PRIVATE_KEY : BR_PEM_CERTIFICATES;
        if (tls->paths[i] != NULL && !br_pem_read(flags[i], tls->paths[i], kind, &texts[i], st)) {
            free_texts(texts);
            return false;
        }
    }
    return true;
}

/* Reads the files as they stand together: certificate and key are often replaced one after the other. */
static bool read_settled(struct br_tls *tls, struct stamp *stamps, char *texts[FILE_COUNT],
                         struct br_status *st)
{
    for (int attempt = 1;; attempt++) {
        struct stamp after[FILE_COUNT];
        bool read = read_texts(tls, texts, st);
        take_stamps(tls, after);
        if (attempt == READ_ATTEMPTS || memcmp(after, stamps, sizeof after) == 0) {
            return read;
        }
        memcpy(stamps, after, sizeof after);
        if (read) {
            free_texts(texts);
        }
    }
}

static grpc_ssl_certificate_config_reload_status offer(struct br_tls *tls,
                                                       grpc_ssl_server_certificate_config **config)
{
    struct stamp stamps[FILE_COUNT];
    take_stamps(tls, stamps);
    if (tls->offered && memcmp(stamps, tls->stamps, sizeof stamps) == 0) {
        return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    }
    char *texts[FILE_COUNT];
    struct br_status st;
    bool read = read_settled(tls, stamps, texts, &st);
    memcpy(tls->stamps, stamps, sizeof stamps);
    if (!read) {
        log_refusal(tls->address, st.msg);
        return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL;
    }
    if (tls->offered) {
        BR_LOG(BR_LOG_INFO, "tls_files_changed", br_log_text("address", tls->address));
    }
    offering.is_open = true;
    offering.tls = tls;
    offering.expiry_before_s = tls->expiry_s;
    tls->expiry_s = br_certificate_expiry_s(texts[CERT]);
    tls->offered = true;
    const grpc_ssl_pem_key_cert_pair pair = {.private_key = texts[KEY], .cert_chain = texts[CERT]};
    /* Core aborts without authorities; where no certificate is asked for, it does nothing with them. */
    const char *authorities = texts[CLIENT_CA] != NULL ? texts[CLIENT_CA] : texts[CERT];
    *config = grpc_ssl_server_certificate_config_create(authorities, &pair, 1);
    free_texts(texts);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

static grpc_ssl_certificate_config_reload_status fetch(void *data,
                                                       grpc_ssl_server_certificate_config **config)
{
    struct br_tls *tls = data;
    pthread_mutex_lock(&tls->lock);
    offering.is_open = false;
    offering.is_refused = false;
    offering.cause[0] = '\0';
    grpc_ssl_certificate_config_reload_status status = offer(tls, config);
    pthread_mutex_unlock(&tls->lock);
    return status;
}

bool br_tls_create(const struct br_listen_config *config, struct br_tls **out, struct br_status *st)
{
    struct br_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL) {
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for a listener");
    }
    tls->paths[CERT] = config->cert_file;
    tls->paths[KEY] = config->key_file;
    tls->paths[CLIENT_CA] = config->client_ca_file;
    char *texts[FILE_COUNT];
    if (!read_texts(tls, texts, st)) {
        free(tls);
        return false;
    }
    free_texts(texts);
    pthread_mutex_init(&tls->lock, NULL);
    grpc_ssl_server_credentials_options *options =
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            config->client_ca_file != NULL ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                           : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
            fetch, tls);
    tls->credentials = grpc_ssl_server_credentials_create_with_options(options);
    *out = tls;
    return true;
}

grpc_server_credentials *br_tls_credentials(const struct br_tls *tls)
{
    return tls->credentials;
}

int64_t br_tls_expiry_s(const struct br_tls *tls)
{
    return tls->expiry_s;
}

void br_tls_listens(struct br_tls *tls, const char *address)
{
    tls->address = address;
}

void br_tls_destroy(struct br_tls *tls)
{
    if (tls != NULL) {
        grpc_server_credentials_release(tls->credentials);
        pthread_mutex_destroy(&tls->lock);
        free(tls);
    }
}
