/*
 * Reads X.509 certificates as far as people want to know of them.
 *
 * Threads: any.
 * Owns:    nothing.
 * Source:  RFC 5280 section 4.1.2.5.
 */
#ifndef BR_UPSTREAM_CERTIFICATE_H
#define BR_UPSTREAM_CERTIFICATE_H

#include <stdint.h>

/*
 * The end of the first certificate in |pem|, borrowed, in seconds since 1970: of a server's file that is its own, before
 * those of its issuers. 0: there is none that can be read.
 */
int64_t br_certificate_expiry_s(const char *pem);

#endif
