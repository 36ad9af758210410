#include "serve/server_caller.h"

#include "translate/violation.h"

#include <stdio.h>
#include <string.h>

static const char *const listed_properties[] = {GRPC_PEER_URI_PROPERTY_NAME, GRPC_PEER_DNS_PROPERTY_NAME};

static bool is_listed(const struct br_texts *allowed, const grpc_auth_property *property)
{
    for (size_t i = 0; i < allowed->count; i++) {
        /* By length: a name may hold a NUL. */
        if (strlen(allowed->items[i]) == property->value_length &&
            memcmp(allowed->items[i], property->value, property->value_length) == 0) {
            return true;
        }
    }
    return false;
}

static const grpc_auth_property *first(const grpc_auth_context *context, const char *name)
{
    grpc_auth_property_iterator iterator = grpc_auth_context_find_properties_by_name(context, name);
    return grpc_auth_property_iterator_next(&iterator);
}

static void name_caller(const grpc_auth_context *context, char identity[BR_CALLER_CAP])
{
    static const char *const names[] = {GRPC_PEER_URI_PROPERTY_NAME, GRPC_PEER_DNS_PROPERTY_NAME,
                                        GRPC_X509_SUBJECT_PROPERTY_NAME};
    const grpc_auth_property *property = NULL;
    for (size_t i = 0; property == NULL && i < sizeof names / sizeof names[0]; i++) {
        property = first(context, names[i]);
    }
    (void)snprintf(identity, BR_CALLER_CAP, "%s", property != NULL ? property->value : "unnamed");
}

/* Where callers over TCP need certificates, only unix sockets are plaintext. */
static bool is_plaintext(const grpc_auth_context *context)
{
    const grpc_auth_property *type = first(context, GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
    return type != NULL && strcmp(type->value, "insecure") == 0;
}

bool br_caller_check(const grpc_auth_context *context, const struct br_texts *allowed,
                     char identity[BR_CALLER_CAP], struct br_status *st)
{
    identity[0] = '\0';
    if (is_plaintext(context)) {
        return true;
    }
    name_caller(context, identity);
    bool is_allowed = allowed->count == 0 && first(context, GRPC_X509_PEM_CERT_PROPERTY_NAME) != NULL;
    for (size_t i = 0; !is_allowed && i < sizeof listed_properties / sizeof listed_properties[0]; i++) {
        grpc_auth_property_iterator iterator =
            grpc_auth_context_find_properties_by_name(context, listed_properties[i]);
        const grpc_auth_property *property;
        while (!is_allowed && (property = grpc_auth_property_iterator_next(&iterator)) != NULL) {
            is_allowed = is_listed(allowed, property);
        }
    }
    if (is_allowed) {
        return true;
    }
    char quoted[BR_QUOTE_CAP];
    return br_status_set(st, BR_PERMISSION_DENIED, "CALLER_NOT_ALLOWED",
                         "the caller %s is not among those who may use this bridge",
                         br_violation_quote(identity, quoted));
}
