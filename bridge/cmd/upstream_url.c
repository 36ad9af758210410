#include "cmd/upstream_url.h"

#include "base/parse.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

static const char accepted[] = "give http:// or https://, a host, and if needed :PORT and /PREFIX";

#define ALPHANUMERIC "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
/* Host names of RFC 3986 may hold more; none of it is in a name that can be looked up. '_' is in use. */
#define HOST_CHARS ALPHANUMERIC "-._"
/* pchar of RFC 3986, '%' checked apart, and the slash. */
#define PATH_CHARS ALPHANUMERIC "-._~!$&'()*+,;=:@/%"

/* What must hold wherever it stands is checked first, so that the URL may be quoted afterwards. */
static bool check_characters(const char *text, struct br_status *st)
{
    size_t len = strlen(text);
    if (len >= BR_UPSTREAM_URL_CAP) {
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "%zu bytes; at most %d are accepted",
                             len, BR_UPSTREAM_URL_CAP - 1);
    }
    if (strchr(text, '@') != NULL) {
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                             "a user name or password in the URL (\"@\") is not accepted; %s", accepted);
    }
    if (strpbrk(text, "?#") != NULL) {
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                             "a query (\"?\") or fragment (\"#\") is not accepted; %s", accepted);
    }
    for (const char *c = text; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~') {
            return br_status_set(
                st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                "byte %zu is a space, a control character or not ASCII; in the path write %%XX, "
                "in the host use its xn-- form",
                (size_t)(c - text) + 1);
        }
    }
    return true;
}

static bool refuse(const char *text, const char *why, struct br_status *st)
{
    return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "\"%.256s\" %s; %s", text, why, accepted);
}

/* One part of the text. */
struct part {
    const char *text;
    size_t len;
};

static bool consists_of(struct part part, const char *chars)
{
    return strspn(part.text, chars) >= part.len;
}

/* Copies |part|, which may be cut off; for what is compared or parsed as a C string. */
static const char *copy_part(struct part part, char out[BR_UPSTREAM_URL_CAP])
{
    assert(part.len < BR_UPSTREAM_URL_CAP);
    memcpy(out, part.text, part.len);
    out[part.len] = '\0';
    return out;
}

/* |host| without brackets. The name of this machine by convention (RFC 6761), or an address of it. */
static bool is_loopback(const char *host, bool is_ipv6)
{
    struct in_addr ipv4;
    struct in6_addr ipv6;
    if (is_ipv6) {
        return inet_pton(AF_INET6, host, &ipv6) == 1 && IN6_IS_ADDR_LOOPBACK(&ipv6);
    }
    if (inet_pton(AF_INET, host, &ipv4) == 1) {
        return (ntohl(ipv4.s_addr) >> 24) == 127;
    }
    return strcasecmp(host, "localhost") == 0;
}

/* Splits "host:port" or "[address]:port"; the port is empty where there is none. */
static bool check_authority(const char *text, struct part authority, bool *loopback, struct br_status *st)
{
    char copy[BR_UPSTREAM_URL_CAP];
    struct part host = authority;
    const char *after;
    bool is_ipv6 = authority.len > 0 && authority.text[0] == '[';
    const char *end = authority.text + authority.len;
    if (is_ipv6) {
        host.text++;
        const char *bracket = memchr(host.text, ']', (size_t)(end - host.text));
        struct in6_addr ipv6;
        if (bracket == NULL) {
            return refuse(text, "has no \"]\" after its address", st);
        }
        host.len = (size_t)(bracket - host.text);
        if (inet_pton(AF_INET6, copy_part(host, copy), &ipv6) != 1) {
            return refuse(text, "has no IPv6 address between \"[\" and \"]\"", st);
        }
        after = bracket + 1;
    } else {
        after = memchr(authority.text, ':', authority.len);
        if (after == NULL) {
            after = end;
        }
        host.len = (size_t)(after - host.text);
        if (host.len == 0) {
            return refuse(text, "has no host", st);
        }
        if (!consists_of(host, HOST_CHARS)) {
            return refuse(text, "has a host with other characters than letters, digits, \"-\", \".\", \"_\"",
                          st);
        }
        if (host.len > 253) {
            return refuse(text, "has a host of more than 253 characters", st);
        }
    }

    if (after != end) {
        uint64_t port;
        if (*after != ':' || !br_parse_uint64(after + 1, (size_t)(end - after - 1), &port) || port < 1 ||
            port > 65535) {
            return refuse(text, "must have a port from 1 to 65535 after \":\"", st);
        }
    }
    *loopback = is_loopback(copy_part(host, copy), is_ipv6);
    return true;
}

static bool is_hex(char c)
{
    return c != '\0' && strchr("0123456789abcdefABCDEF", c) != NULL;
}

/* |prefix| begins with a slash and has no trailing one, or is empty. */
static bool check_prefix(const char *text, struct part prefix, struct br_status *st)
{
    if (!consists_of(prefix, PATH_CHARS)) {
        return refuse(text, "has a character in its path that must be written as %XX", st);
    }
    /* What follows the prefix is a slash or the NUL, neither of which is a digit. */
    for (size_t i = 0; i < prefix.len; i++) {
        if (prefix.text[i] == '%' && (!is_hex(prefix.text[i + 1]) || !is_hex(prefix.text[i + 2]))) {
            return refuse(text, "has a \"%\" in its path without two hexadecimal digits", st);
        }
    }
    const char *end = prefix.text + prefix.len;
    for (const char *slash = prefix.text; slash < end;) {
        const char *segment = slash + 1;
        size_t len = 0;
        while (segment + len < end && segment[len] != '/') {
            len++;
        }
        if (len == 0) {
            return refuse(text, "has an empty segment (\"//\") in its path", st);
        }
        if (segment[0] == '.' && (len == 1 || (len == 2 && segment[1] == '.'))) {
            return refuse(text, "has \".\" or \"..\" as a segment of its path", st);
        }
        slash = segment + len;
    }
    return true;
}

/* The first |len| bytes of |text|, the scheme in lower case. */
static void copy_url(const char *scheme, const char *text, size_t len, char out[BR_UPSTREAM_URL_CAP])
{
    (void)copy_part((struct part){.text = text, .len = len}, out);
    memcpy(out, scheme, strlen(scheme));
}

bool br_upstream_url_read(const char *text, struct br_upstream_url *out, struct br_status *st)
{
    if (!check_characters(text, st)) {
        return false;
    }

    static const char *const schemes[] = {"http://", "https://"};
    const char *scheme = NULL;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncasecmp(text, schemes[i], strlen(schemes[i])) == 0) {
            scheme = schemes[i];
        }
    }
    if (scheme == NULL) {
        return refuse(text, "does not begin with http:// or https://", st);
    }

    struct part authority = {.text = text + strlen(scheme)};
    authority.len = strcspn(authority.text, "/");
    struct part prefix = {.text = authority.text + authority.len};
    prefix.len = strlen(prefix.text);
    if (prefix.len > 0 && prefix.text[prefix.len - 1] == '/') {
        prefix.len--;
    }

    bool loopback;
    if (!check_authority(text, authority, &loopback, st) || !check_prefix(text, prefix, st)) {
        return false;
    }
    out->is_exposed = scheme == schemes[0] && !loopback;
    size_t origin_len = strlen(scheme) + authority.len;
    copy_url(scheme, text, origin_len, out->origin);
    copy_url(scheme, text, origin_len + prefix.len, out->base);
    return true;
}
