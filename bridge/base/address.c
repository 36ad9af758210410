#include "base/address.h"

#include "base/parse.h"

#include <stddef.h>
#include <string.h>

const char *br_address_unix_path(const char *address)
{
    static const char scheme[] = "unix:";
    size_t len = sizeof scheme - 1;
    return strncmp(address, scheme, len) == 0 ? address + len : NULL;
}

bool br_address_is_valid(const char *address, uint64_t min_port)
{
    const char *path = br_address_unix_path(address);
    if (path != NULL) {
        return path[0] != '\0';
    }
    char host[BR_ADDRESS_HOST_CAP];
    const char *port_text = br_address_split(address, host);
    if (port_text == NULL) {
        return false;
    }
    /* A second colon belongs to an IPv6 address, whose brackets tell it from the port. */
    size_t host_len = (size_t)(port_text - 1 - address);
    bool is_bracketed = address[0] == '[' && host_len > 2 && address[host_len - 1] == ']';
    if (!is_bracketed && (address[0] == '[' || memchr(address, ':', host_len) != NULL)) {
        return false;
    }
    uint64_t port;
    return strcspn(address, "/ \t\r\n") == strlen(address) &&
           br_parse_uint64(port_text, strlen(port_text), &port) && port >= min_port && port <= 65535;
}

const char *br_address_split(const char *address, char host[BR_ADDRESS_HOST_CAP])
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL) {
        return NULL;
    }
    size_t len = (size_t)(colon - address);
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    if (len == 0 || len >= BR_ADDRESS_HOST_CAP) {
        return NULL;
    }
    memcpy(host, address, len);
    host[len] = '\0';
    return colon + 1;
}
