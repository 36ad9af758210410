#include "cmd/client_settings.h"

bool br_client_settings_tls(const struct br_client_settings *settings, const struct br_client_tls **out,
                            struct br_status *st)
{
    const struct br_client_tls *tls = &settings->tls;
    bool has_options =
        tls->ca_file != NULL || tls->cert_file != NULL || tls->key_file != NULL || tls->server_name != NULL;
    if (has_options && !settings->use_tls) {
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                             "--ca-file, --tls-cert, --tls-key and --tls-server-name need --tls");
    }
    if ((tls->cert_file == NULL) != (tls->key_file == NULL)) {
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                             "--tls-cert and --tls-key belong together: give both or none");
    }
    *out = settings->use_tls ? tls : NULL;
    return true;
}
