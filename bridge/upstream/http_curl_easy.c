#include "upstream/http_curl_easy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CA_CACHE_SECONDS 600L
#define KEEPALIVE_SECONDS 60L

CURL *br_http_curl_easy_create(const struct br_http_curl_config *config)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL) {
        return NULL;
    }

    /* The results are 0 where they are good. */
    unsigned bad = 0;
    bad |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_USERAGENT, config->user_agent);

    bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    bad |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (config->ca_file != NULL) {
        bad |= curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_file);
        /* Else the system's directory would be trusted too. */
        bad |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    /* A changed file counts after this long; reading it for each connection would hold up the thread. */
    bad |= curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_SECONDS);

    bad |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                            (long)(config->http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    bad |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)config->connect_timeout_ms);
    bad |= curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_SECONDS);
    bad |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_SECONDS);
    bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Else the end of a transfer waits until its name is resolved, and all others with it. */
    bad |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    if (bad != 0) {
        curl_easy_cleanup(easy);
        return NULL;
    }
    return easy;
}

struct curl_slist *br_http_curl_easy_headers(const struct br_http_exchange *exchange)
{
    const struct br_headers *headers = &exchange->headers;
    /* No round trip for "100 Continue" before a large body. */
    const char *unwanted[2] = {"Expect:"};
    size_t unwanted_count = 1;
    if (br_headers_find(headers, "content-type") == NULL) {
        unwanted[unwanted_count++] = "Content-Type:"; /* a form, says libcurl of any body */
    }

    size_t node_count = headers->count + unwanted_count;
    size_t text_bytes = 0;
    for (size_t i = 0; i < headers->count; i++) {
        text_bytes += strlen(headers->items[i].name) + strlen(headers->items[i].value) + sizeof ": ";
    }

    struct curl_slist *nodes = malloc(node_count * sizeof *nodes + text_bytes);
    if (nodes == NULL) {
        return NULL;
    }
    char *text = (char *)(nodes + node_count);
    char *end = text + text_bytes;
    for (size_t i = 0; i < headers->count; i++) {
        const struct br_header *header = &headers->items[i];
        nodes[i].data = text;
        /* libcurl's way to write an empty value. */
        const char *separator = header->value[0] == '\0' ? ";" : ": ";
        text += 1 + snprintf(text, (size_t)(end - text), "%s%s%s", header->name, separator, header->value);
    }
    for (size_t i = 0; i < unwanted_count; i++) {
        nodes[headers->count + i].data = (char *)unwanted[i];
    }
    for (size_t i = 0; i < node_count; i++) {
        nodes[i].next = i + 1 < node_count ? &nodes[i + 1] : NULL;
    }
    return nodes;
}

unsigned br_http_curl_easy_set_request(CURL *easy, const struct br_http_exchange *exchange)
{
    const char *verb = exchange->verb;
    /* RFC 9110 section 8.6: these say "Content-Length: 0" where they have no body. */
    bool expects_body = strcmp(verb, "PUT") == 0 || strcmp(verb, "POST") == 0 || strcmp(verb, "PATCH") == 0;

    unsigned bad = 0;
    bad |= curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L); /* takes back what the lines below set */
    if (exchange->body != NULL || expects_body) {
        bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                                (curl_off_t)(exchange->body != NULL ? exchange->body_len : 0));
        bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, exchange->body != NULL ? exchange->body : "");
    } else if (strcmp(verb, "HEAD") == 0) {
        bad |= curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    bad |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, verb);
    return bad;
}
