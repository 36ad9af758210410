/*
 * The settings of `serve`: the table as data, and what the bridge is told by it.
 *
 * Threads: start-up only.
 * Owns:    the lists in the struct, until br_serve_settings_finish().
 */
#ifndef BR_CMD_SERVE_SETTINGS_H
#define BR_CMD_SERVE_SETTINGS_H

#include "base/settings.h"
#include "cmd/upstream_url.h"

#include <sys/types.h>

/* Bytes of a project ID. Source: the rule on project_id in proto/modelarts/v1/modelarts_service.proto. */
#define BR_PROJECT_ID_MAX_BYTES 128

enum br_http2_choice {
    BR_HTTP2_AUTO, /* offered over https, by ALPN */
    BR_HTTP2_OFF,
};

enum br_auth_choice {
    BR_AUTH_CHOICE_PASSTHROUGH, /* each caller's own token */
    BR_AUTH_CHOICE_TOKEN,       /* a token of IAM, fetched with a user's password */
    BR_AUTH_CHOICE_AKSK,        /* each request signed with an access key */
};

enum br_aksk_choice {
    BR_AKSK_ACCESS,     /* "Access=", of the gateway */
    BR_AKSK_CREDENTIAL, /* "Credential=", with region and service */
};

enum br_drift_mode {
    BR_DRIFT_IGNORE,
    BR_DRIFT_WARN,   /* logged once each */
    BR_DRIFT_STRICT, /* and the call fails */
};

struct br_serve_settings {
    struct br_texts listen;
    const char *tls_cert;  /* NULL: plaintext */
    const char *tls_key;   /* NULL with it */
    const char *client_ca; /* NULL: callers need no certificate */
    struct br_texts allow_callers;
    bool allow_unauthenticated_callers;
    const char *unix_socket_mode;    /* as given */
    mode_t unix_socket_permissions;  /* the same, checked */
    const char *upstream_url;        /* as given */
    struct br_upstream_url upstream; /* the same, checked */
    const char *project_id;          /* NULL: every call names its own */
    int64_t default_timeout_ms;
    int64_t max_timeout_ms;
    int64_t connect_timeout_ms;
    int64_t max_attempts;
    int64_t max_in_flight;
    uint64_t max_request_bytes;
    uint64_t max_response_bytes;
    int64_t shards;
    int64_t max_upstream_connections; /* of one shard */
    int upstream_http2;               /* enum br_http2_choice */
    const char *ca_file;              /* NULL: the system's */
    int auth;                         /* enum br_auth_choice */
    const char *credentials_dir;      /* NULL with passthrough */
    const char *iam_url;              /* as given; NULL but for token */
    struct br_upstream_url iam;       /* the same, checked */
    int64_t iam_timeout_ms;
    int aksk_dialect; /* enum br_aksk_choice */
    const char *aksk_region;
    const char *aksk_service;
    struct br_texts forward_metadata;
    struct br_texts return_header;
    const char *error_overrides; /* NULL: none */
    int upstream_drift;          /* enum br_drift_mode */
    int64_t drain_min_delay_ms;  /* 0: none */
    int64_t drain_max_delay_ms;  /* from the signal on */
    int64_t keepalive_time_ms;   /* 0: no pings */
    int64_t keepalive_timeout_ms;
    int64_t max_connection_age_ms; /* 0: no limit */
    int64_t max_connection_age_grace_ms;
    const char *admin_listen; /* NULL: no admin port */
    bool admin_drain;
    int log_level;  /* enum br_log_level */
    int log_format; /* enum br_log_format */
};

/* The table; process lifetime. */
extern const struct br_settings br_serve_settings_table;

/*
 * Checks what one row cannot: the addresses, the URL, the project ID, and that the timeouts fit together.
 * |settings| as br_settings_read() has filled it; |upstream| is written on success.
 * Errors:    INVALID_ARGUMENT/BAD_SETTING
 */
bool br_serve_settings_check(struct br_serve_settings *settings, struct br_status *st) BR_MUST_CHECK;

#endif
