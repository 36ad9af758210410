/*
 * Addresses as settings have them: "HOST:PORT" or "unix:PATH".
 *
 * Pure. Threads: any.
 */
#ifndef BR_BASE_ADDRESS_H
#define BR_BASE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes of a host, the NUL included. */
#define BR_ADDRESS_HOST_CAP 256

/* What follows "unix:" in |address|; NULL when it does not begin so. */
const char *br_address_unix_path(const char *address);

/*
 * Whether |address| is "unix:" with a path, or a host and a port of at least |min_port|. The host is not looked
 * up: a name that br_address_split() takes, an IPv4 address, or an IPv6 address in brackets. gRPC itself takes a port
 * above 65535 modulo 65536.
 */
bool br_address_is_valid(const char *address, uint64_t min_port);

/*
 * Writes the host of "HOST:PORT" without the brackets of an IPv6 address.
 * Returns the port's text, within |address|; NULL, |host| untouched, when there is no colon, no host, or a longer one.
 */
const char *br_address_split(const char *address, char host[BR_ADDRESS_HOST_CAP]);

#endif
