/*
 * The settings of the subcommands that call a bridge: where it is, and how TLS is spoken with it.
 *
 * Threads: the main thread.
 * Owns:    nothing.
 */
#ifndef BR_CMD_CLIENT_SETTINGS_H
#define BR_CMD_CLIENT_SETTINGS_H

#include "base/settings.h"
#include "cmd/client.h"

/* The first member of a subcommand's own settings: the rows count from it. */
struct br_client_settings {
    const char *address;
    bool use_tls;
    struct br_client_tls tls;
};

/* Rows of a table of settings. */
#define BR_CLIENT_SETTING_ROWS                                                                               \
    {.flag = "address",                                                                                      \
     .kind = BR_SETTING_TEXT,                                                                                \
     .offset = offsetof(struct br_client_settings, address),                                                 \
     .initial = "127.0.0.1:50051",                                                                           \
     .metavar = "ADDRESS",                                                                                   \
     .help = "Where the bridge listens: HOST:PORT or unix:PATH."},                                           \
        {.flag = "tls",                                                                                      \
         .kind = BR_SETTING_SWITCH,                                                                          \
         .offset = offsetof(struct br_client_settings, use_tls),                                             \
         .help = "Use TLS, as a bridge with --tls-cert expects over TCP."},                                  \
        {.flag = "ca-file",                                                                                  \
         .kind = BR_SETTING_FILE,                                                                            \
         .offset = offsetof(struct br_client_settings, tls.ca_file),                                         \
         .metavar = "FILE",                                                                                  \
         .help = "With --tls: PEM file with the certificate authorities that may vouch for the bridge, "     \
                 "instead of the system's."},                                                                \
        {.flag = "tls-cert",                                                                                 \
         .kind = BR_SETTING_FILE,                                                                            \
         .offset = offsetof(struct br_client_settings, tls.cert_file),                                       \
         .metavar = "FILE",                                                                                  \
         .help = "With --tls: PEM file with the caller's certificate, for a bridge with --client-ca; needs " \
                 "--tls-key."},                                                                              \
        {.flag = "tls-key",                                                                                  \
         .kind = BR_SETTING_FILE,                                                                            \
         .offset = offsetof(struct br_client_settings, tls.key_file),                                        \
         .metavar = "FILE",                                                                                  \
         .help = "With --tls: PEM file with the private key of --tls-cert."},                                \
    {                                                                                                        \
        .flag = "tls-server-name", .kind = BR_SETTING_TEXT,                                                  \
        .offset = offsetof(struct br_client_settings, tls.server_name), .metavar = "NAME",                   \
        .help = "With --tls: the name in the bridge's certificate, instead of the host of --address."        \
    }

/*
 * Points |out| at the TLS settings, NULL without --tls.
 * Errors: INVALID_ARGUMENT/BAD_SETTING options that would be without effect, or half of a pair
 */
bool br_client_settings_tls(const struct br_client_settings *settings, const struct br_client_tls **out,
                            struct br_status *st) BR_MUST_CHECK;

#endif
