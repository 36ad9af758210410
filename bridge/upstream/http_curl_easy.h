/*
 * libcurl's easy handle for one request: the options that all have, and what an exchange says.
 *
 * Private to bridge/upstream/http_curl*.c.
 * Threads: the client's.
 * Source:  https://curl.se/libcurl/c/curl_easy_setopt.html
 */
#ifndef BR_UPSTREAM_HTTP_CURL_EASY_H
#define BR_UPSTREAM_HTTP_CURL_EASY_H

#include "upstream/http_curl.h"

#include <curl/curl.h>

/*
 * Returned: a handle with all that is the same for each exchange but callbacks; release with curl_easy_cleanup(). NULL:
 * a refused option, or no memory.
 */
CURL *br_http_curl_easy_create(const struct br_http_curl_config *config) BR_MUST_CHECK;

/*
 * The exchange's headers as libcurl's list, returned in one block: release with free(). NULL: no memory. A name with
 * nothing after the colon takes away a header that libcurl would add.
 */
struct curl_slist *br_http_curl_easy_headers(const struct br_http_exchange *exchange) BR_MUST_CHECK;

/* Sets the verb and the body. The handle remembers those before. Returns 0, or what libcurl refused. */
unsigned br_http_curl_easy_set_request(CURL *easy, const struct br_http_exchange *exchange) BR_MUST_CHECK;

#endif
