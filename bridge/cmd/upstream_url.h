/*
 * A URL of ModelArts or IAM as an operator gives it, checked and put into the one form that the bridge uses.
 *
 * Pure. Threads: any.
 * Source: RFC 3986 (grammar); DESIGN.md section 9 (a request goes to no other origin and path).
 */
#ifndef BR_CMD_UPSTREAM_URL_H
#define BR_CMD_UPSTREAM_URL_H

#include "base/status.h"

/* Bytes of a URL, the NUL included. */
#define BR_UPSTREAM_URL_CAP 1024

struct br_upstream_url {
    char base[BR_UPSTREAM_URL_CAP]; /* "https://host[:port][/prefix]": lower-case scheme, no trailing slash */
    char origin[BR_UPSTREAM_URL_CAP]; /* the same without the prefix */
    bool is_exposed; /* plain http to a host that is not this one: what is sent can be read */
};

/*
 * Checks |text|: http or https, a host name or address, a port if it is not the scheme's own, a path that goes
 * in front of every request's. No user name, password, query or fragment, and no path that a client or server
 * would rewrite: ".", "..", "//", a bad %XX.
 * |out|   written on success only.
 * Errors: INVALID_ARGUMENT/BAD_SETTING; quotes |text| only where it can hold no secret. The caller names the setting.
 */
bool br_upstream_url_read(const char *text, struct br_upstream_url *out, struct br_status *st) BR_MUST_CHECK;

#endif
