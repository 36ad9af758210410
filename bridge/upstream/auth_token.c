/* strcasestr(). */
#define _GNU_SOURCE

#include "upstream/auth_token.h"

#include "base/log.h"
#include "translate/error_map.h"
#include "upstream/iam_token.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* |waiter->generation| of one whose fetch failed: it is not to start another. */
#define WAITED_IN_VAIN UINT64_MAX

/* The part of a token's life within which its renewal starts. */
#define RENEW_FROM_PERCENT 70
#define RENEW_TO_PERCENT 85

struct auth_token {
    struct br_auth base; /* first: |self| is this */
    struct br_auth_token_config config;
    char *url;

    pthread_mutex_t lock; /* guards all below, but for an exchange that is under way */

    char *token; /* NULL: none */
    size_t token_len;
    uint64_t generation;    /* counts the tokens */
    uint64_t token_version; /* of the credentials that it was fetched with */
    int64_t fetched_ms;
    int64_t renew_ms;        /* from then on a fetch is due */
    int64_t usable_until_ms; /* from then on it is not handed out */
    int64_t expires_ms;
    int64_t expires_unix_s; /* the same; for people */

    int64_t fetch_counts[BR_AUTH_TOKEN_FETCH_COUNT];

    /* After failures. */
    struct br_status failure; /* of the last fetch; BR_OK: it succeeded */
    uint64_t failure_version; /* of the credentials that failed */
    unsigned outage_count;    /* since a success: of the one kind of failure, and of the other */
    unsigned refusal_count;
    int64_t next_fetch_ms; /* not before */

    /* Tokens that upstream refused while they were new. */
    unsigned drop_count;
    int64_t next_drop_ms;

    bool fetching; /* |exchange|, |body| and |fetch_version| are in use */
    struct br_http_exchange exchange;
    struct br_header headers[2];
    char *body;
    size_t body_cap;
    uint64_t fetch_version;
    struct br_auth_waiter *waiters; /* for the fetch */

    bool handing_back; /* |pause| is under way; it ends at once, on the thread where |ready| may be called */
    struct br_http_exchange pause;
    struct br_auth_waiter *cancelled; /* those it is for */
};

static int64_t now_ms(const struct auth_token *t)
{
    return br_clock_now_ms(t->config.clock);
}

static bool fail_no_memory(struct br_status *st)
{
    return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for a token");
}

static void wipe(char *bytes, size_t len)
{
    if (bytes != NULL) {
        explicit_bzero(bytes, len);
    }
}

static void wipe_and_free(char *bytes, size_t len)
{
    wipe(bytes, len);
    free(bytes);
}

/* ---- A fetch ---- */

static void fetch_done(struct br_http_exchange *exchange);

/* Makes a fetch ready that is to be submitted once the lock is released; false: no memory. */
static bool prepare_fetch(struct auth_token *t, const struct br_credential_set *set)
{
    char *body = br_iam_token_write_body(set, &t->body_cap);
    if (body == NULL) {
        return false;
    }
    t->fetching = true;
    t->fetch_version = set->version;
    t->body = body;
    t->exchange = (struct br_http_exchange){
        .verb = "POST",
        .url = t->url,
        .headers = {.items = t->headers, .count = sizeof t->headers / sizeof t->headers[0]},
        .body = body,
        .body_len = strlen(body),
        .deadline_ms = now_ms(t) + t->config.timeout_ms,
        .max_body_bytes = BR_IAM_TOKEN_ANSWER_MAX_BYTES,
        .done = fetch_done,
        .owner = t,
    };
    return true;
}

static void submit(struct auth_token *t, struct br_http_exchange *exchange)
{
    t->config.http->submit(t->config.http, exchange);
}

/* The client has let go of the exchange: nothing secret stays in it. */
static void finish_exchange(struct auth_token *t)
{
    wipe_and_free(t->body, t->body_cap);
    t->body = NULL;
    wipe(t->exchange.header_text.data, t->exchange.header_text.cap);
    wipe(t->exchange.body_buf.data, t->exchange.body_buf.cap);
    br_http_exchange_finish(&t->exchange);
}

/* ---- The token, under the lock ---- */

static bool is_usable(const struct auth_token *t, int64_t now)
{
    return t->token != NULL && now < t->usable_until_ms;
}

static void drop_token(struct auth_token *t)
{
    wipe_and_free(t->token, t->token_len);
    t->token = NULL;
}

static void take_token(struct auth_token *t, struct br_iam_outcome *outcome, int64_t now, int64_t unix_s)
{
    drop_token(t);
    t->token = outcome->token;
    t->token_len = outcome->token_len;
    t->generation++;
    t->token_version = t->fetch_version;
    t->fetched_ms = now;
    t->expires_ms = now + outcome->life_ms;
    t->expires_unix_s = unix_s + outcome->life_ms / 1000;
    int64_t margin_ms = outcome->life_ms / 20;
    t->usable_until_ms =
        t->expires_ms - (margin_ms < BR_AUTH_TOKEN_MARGIN_MS ? margin_ms : BR_AUTH_TOKEN_MARGIN_MS);
    /* Not all bridges that were started together are to renew together. */
    int64_t percent_ms = outcome->life_ms / 100;
    double part = t->config.random32() / 4294967296.0;
    t->renew_ms = now + percent_ms * RENEW_FROM_PERCENT +
                  (int64_t)((double)(percent_ms * (RENEW_TO_PERCENT - RENEW_FROM_PERCENT)) * part);

    t->fetch_counts[BR_AUTH_TOKEN_OK]++;
    t->failure.code = BR_OK;
    t->outage_count = 0;
    t->refusal_count = 0;
    t->next_fetch_ms = INT64_MIN;
}

/* |base_ms| doubled |count| - 1 times, up to |max_ms|. */
static int64_t doubled_ms(int64_t base_ms, int64_t max_ms, unsigned count)
{
    int64_t ms = base_ms;
    for (unsigned i = 1; i < count && ms < max_ms; i++) {
        ms *= 2;
    }
    return ms < max_ms ? ms : max_ms;
}

/* Returns the pause before the next fetch. */
static int64_t take_failure(struct auth_token *t, const struct br_iam_outcome *outcome, int64_t now)
{
    int64_t pause_ms;
    uint32_t random = t->config.random32();
    if (outcome->st.code == BR_UNAUTHENTICATED) {
        t->fetch_counts[BR_AUTH_TOKEN_REFUSED]++;
        int64_t least_ms =
            doubled_ms(BR_AUTH_TOKEN_REFUSED_BASE_MS, BR_AUTH_TOKEN_REFUSED_MAX_MS, ++t->refusal_count);
        pause_ms = least_ms + random % (least_ms / 4 + 1);
    } else {
        t->fetch_counts[BR_AUTH_TOKEN_FAILED] += outcome->cancelled ? 0 : 1;
        int64_t most_ms =
            doubled_ms(BR_AUTH_TOKEN_PAUSE_BASE_MS, BR_AUTH_TOKEN_PAUSE_MAX_MS, ++t->outage_count);
        pause_ms = random % (most_ms + 1);
        if (outcome->retry_after_ms > 0) {
            pause_ms += outcome->retry_after_ms;
        }
    }
    t->failure = outcome->st;
    t->failure_version = t->fetch_version;
    t->next_fetch_ms = now + pause_ms;
    return pause_ms;
}

/* Whether a call that comes now is to start a fetch. */
static bool may_fetch(const struct auth_token *t, const struct br_credential_set *set, int64_t now)
{
    bool corrected = t->failure.code == BR_UNAUTHENTICATED && set->version != t->failure_version;
    return !t->fetching && (now >= t->next_fetch_ms || corrected);
}

static bool is_stale(const struct auth_token *t, const struct br_credential_set *set, int64_t now)
{
    return now >= t->renew_ms || set->version != t->token_version;
}

/* ---- Waiters, under the lock ---- */

static void add_waiter(struct br_auth_waiter **list, struct br_auth_waiter *waiter)
{
    waiter->previous = NULL;
    waiter->next = *list;
    if (waiter->next != NULL) {
        waiter->next->previous = waiter;
    }
    *list = waiter;
}

static void remove_waiter(struct br_auth_waiter **list, struct br_auth_waiter *waiter)
{
    if (waiter->previous != NULL) {
        waiter->previous->next = waiter->next;
    } else {
        *list = waiter->next;
    }
    if (waiter->next != NULL) {
        waiter->next->previous = waiter->previous;
    }
}

/* Empties |list|; what is returned goes to tell_ready(). */
static struct br_auth_waiter *take_waiters(struct br_auth_waiter **list, bool in_vain)
{
    struct br_auth_waiter *first = *list;
    for (struct br_auth_waiter *waiter = first; waiter != NULL; waiter = waiter->next) {
        waiter->waiting = false;
        if (in_vain) {
            waiter->generation = WAITED_IN_VAIN;
        }
    }
    *list = NULL;
    return first;
}

/* Without the lock. */
static void tell_ready(struct br_auth_waiter *waiter)
{
    while (waiter != NULL) {
        struct br_auth_waiter *next = waiter->next;
        waiter->ready(waiter);
        waiter = next;
    }
}

/* ---- The end of an exchange, on the HTTP client's thread ---- */

static void log_outcome(const struct br_iam_outcome *outcome, int64_t pause_ms)
{
    if (outcome->token != NULL) {
        BR_LOG(BR_LOG_INFO, "token_fetched", br_log_number("expires_in_s", outcome->life_ms / 1000),
               br_log_text("request_id", outcome->request_id));
    } else if (!outcome->cancelled) {
        BR_LOG(BR_LOG_WARN, "token_fetch_failed", br_log_text("reason", outcome->st.reason),
               br_log_text("message", outcome->st.msg), br_log_number("http_status", outcome->http_status),
               br_log_text("request_id", outcome->request_id), br_log_number("next_fetch_in_ms", pause_ms));
    }
}

static void fetch_done(struct br_http_exchange *exchange)
{
    struct auth_token *t = exchange->owner;
    struct br_iam_outcome outcome;
    int64_t pause_ms = 0;
    int64_t unix_s = t->config.clock->unix_s(t->config.clock);
    br_iam_token_read(exchange, unix_s, &outcome);
    finish_exchange(t);
    int64_t now = now_ms(t);
    pthread_mutex_lock(&t->lock);
    if (outcome.token != NULL) {
        take_token(t, &outcome, now, unix_s);
    } else {
        pause_ms = take_failure(t, &outcome, now);
    }
    t->fetching = false;
    struct br_auth_waiter *waiters = take_waiters(&t->waiters, outcome.token == NULL);
    pthread_mutex_unlock(&t->lock);
    log_outcome(&outcome, pause_ms);
    tell_ready(waiters);
}

static void pause_done(struct br_http_exchange *exchange)
{
    struct auth_token *t = exchange->owner;
    br_http_exchange_finish(exchange);
    pthread_mutex_lock(&t->lock);
    t->handing_back = false;
    struct br_auth_waiter *waiters = take_waiters(&t->cancelled, false);
    pthread_mutex_unlock(&t->lock);
    tell_ready(waiters);
}

/* ---- The seam ---- */

static enum br_auth_result refuse(struct br_error *error, const struct br_status *st)
{
    br_error_from_status(st, NULL, error);
    return BR_AUTH_REFUSED;
}

static enum br_auth_result refuse_no_memory(struct br_error *error)
{
    struct br_status st;
    (void)fail_no_memory(&st);
    return refuse(error, &st);
}

static enum br_auth_result refuse_as_before(const struct auth_token *t, int64_t now, struct br_error *error)
{
    (void)refuse(error, &t->failure);
    if (t->failure.code == BR_UNAVAILABLE) {
        error->retry_after_ms = t->next_fetch_ms > now ? t->next_fetch_ms - now : 0;
    }
    return BR_AUTH_REFUSED;
}

static enum br_auth_result grant(const struct auth_token *t, struct br_auth_waiter *waiter,
                                 struct br_arena *arena, struct br_headers *out, struct br_error *error)
{
    struct br_header *header = br_arena_alloc(arena, sizeof *header);
    char *token = br_arena_strndup(arena, t->token, t->token_len);
    if (header == NULL || token == NULL) {
        struct br_status st;
        (void)br_arena_fail(arena, &st);
        return refuse(error, &st);
    }
    *header = (struct br_header){.name = "X-Auth-Token", .value = token};
    *out = (struct br_headers){.items = header, .count = 1};
    waiter->generation = t->generation;
    return BR_AUTH_GRANTED;
}

static enum br_auth_result wait_for_fetch(struct auth_token *t, struct br_auth_waiter *waiter)
{
    waiter->waiting = true;
    add_waiter(&t->waiters, waiter);
    return BR_AUTH_PENDING;
}

static enum br_auth_result apply(struct br_auth *self, const struct br_auth_request *request,
                                 struct br_auth_waiter *waiter, struct br_arena *arena,
                                 struct br_headers *out, struct br_error *error)
{
    (void)request;
    struct auth_token *t = (struct auth_token *)self;
    const struct br_credential_set *set = br_credentials_take(t->config.credentials);
    enum br_auth_result result;
    bool start = false;
    int64_t now = now_ms(t);
    pthread_mutex_lock(&t->lock);
    assert(!waiter->waiting);
    bool in_vain = waiter->generation == WAITED_IN_VAIN;
    waiter->generation = 0;
    if (is_usable(t, now)) {
        result = grant(t, waiter, arena, out, error);
        /* Without memory for it there will be another call. */
        start = is_stale(t, set, now) && may_fetch(t, set, now) && prepare_fetch(t, set);
    } else if (in_vain && t->failure.code != BR_OK) {
        result = refuse_as_before(t, now, error);
    } else if (t->fetching) {
        result = wait_for_fetch(t, waiter);
    } else if (!may_fetch(t, set, now)) {
        result = refuse_as_before(t, now, error);
    } else {
        start = prepare_fetch(t, set);
        result = start ? wait_for_fetch(t, waiter) : refuse_no_memory(error);
    }
    pthread_mutex_unlock(&t->lock);
    br_credentials_give_back(t->config.credentials, set);
    if (start) {
        submit(t, &t->exchange);
    }
    return result;
}

static void cancel(struct br_auth *self, struct br_auth_waiter *waiter)
{
    struct auth_token *t = (struct auth_token *)self;
    bool start = false;
    pthread_mutex_lock(&t->lock);
    if (waiter->waiting) {
        waiter->waiting = false;
        remove_waiter(&t->waiters, waiter);
        add_waiter(&t->cancelled, waiter);
        start = !t->handing_back;
    }
    if (start) {
        t->handing_back = true;
        t->pause = (struct br_http_exchange){.deadline_ms = now_ms(t), .done = pause_done, .owner = t};
    }
    pthread_mutex_unlock(&t->lock);
    if (start) {
        submit(t, &t->pause);
    }
}

/* The value of ErrorInfo.metadata's |key|; "" where there is none. */
static const char *find_metadata(const struct br_error *error, const char *key)
{
    for (size_t i = 0; i < error->metadata_count; i++) {
        if (strcmp(error->metadata[i].name, key) == 0) {
            return error->metadata[i].value;
        }
    }
    return "";
}

/* Whether a new token can help. Source: wire_facts.md sections 3 and 7. */
static bool is_about_token(const struct br_error *error)
{
    static const char *const codes[] = {"ModelArts.0202", "ModelArts.0203", "APIG.0307"};
    /* One code for whatever is wrong with a credential: only its text tells. */
    static const char *const texts[] = {"token expires", "decrypt token fail", "x-auth-token not found"};
    char key[BR_VENDOR_CODE_CAP];
    /* What upstream said, not what an operator's error table makes of it. */
    const char *code = find_metadata(error, "error_code");
    if (strcmp(find_metadata(error, "http_status"), "401") != 0 || strlen(code) >= sizeof key) {
        return false;
    }
    br_vendor_code_key(code, key);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (strcmp(key, codes[i]) == 0) {
            return true;
        }
    }
    for (size_t i = 0; strcmp(key, "APIG.0301") == 0 && i < sizeof texts / sizeof texts[0]; i++) {
        if (strcasestr(error->st.msg, texts[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* Upstream does not take the token that is at hand. Returns whether another one is to be fetched. */
static bool give_up_token(struct auth_token *t, int64_t now)
{
    if (now - t->fetched_ms >= BR_AUTH_TOKEN_TRUSTED_MS) {
        t->drop_count = 0;
    } else if (t->drop_count > 0 && now < t->next_drop_ms) {
        return false;
    }
    t->drop_count++;
    t->next_drop_ms =
        now + doubled_ms(BR_AUTH_TOKEN_PAUSE_BASE_MS, BR_AUTH_TOKEN_PAUSE_MAX_MS, t->drop_count);
    drop_token(t);
    return true;
}

static bool rejected(struct br_auth *self, const struct br_auth_waiter *waiter, const struct br_error *error)
{
    struct auth_token *t = (struct auth_token *)self;
    if (!is_about_token(error)) {
        return false;
    }
    bool renewed = true;
    int64_t now = now_ms(t);
    pthread_mutex_lock(&t->lock);
    if (t->token != NULL && t->generation == waiter->generation) {
        renewed = give_up_token(t, now);
    }
    pthread_mutex_unlock(&t->lock);
    return renewed;
}

/* ---- The exported functions ---- */

bool br_auth_token_create(const struct br_auth_token_config *config, struct br_auth **out,
                          struct br_status *st)
{
    size_t url_cap = strlen(config->iam_url) + sizeof BR_IAM_TOKEN_PATH;
    struct auth_token *t = calloc(1, sizeof *t);
    char *url = malloc(url_cap);
    if (t == NULL || url == NULL) {
        free(url);
        free(t);
        return fail_no_memory(st);
    }
    (void)snprintf(url, url_cap, "%s%s", config->iam_url, BR_IAM_TOKEN_PATH);
    *t = (struct auth_token){
        .base = {.apply = apply, .cancel = cancel, .rejected = rejected},
        .config = *config,
        .url = url,
        .headers = {{"Accept", "application/json"}, {"Content-Type", "application/json;charset=utf8"}},
        .next_fetch_ms = INT64_MIN,
    };
    t->config.iam_url = NULL; /* the caller's; |url| has what is needed */
    /* Cannot fail with default attributes on Linux. */
    (void)pthread_mutex_init(&t->lock, NULL);
    *out = &t->base;
    return true;
}

void br_auth_token_destroy(struct br_auth *auth)
{
    if (auth == NULL) {
        return;
    }
    struct auth_token *t = (struct auth_token *)auth;
    assert(!t->fetching && !t->handing_back && t->waiters == NULL);
    drop_token(t);
    (void)pthread_mutex_destroy(&t->lock);
    free(t->url);
    free(t);
}

void br_auth_token_prefetch(struct br_auth *auth)
{
    struct auth_token *t = (struct auth_token *)auth;
    const struct br_credential_set *set = br_credentials_take(t->config.credentials);
    int64_t now = now_ms(t);
    pthread_mutex_lock(&t->lock);
    bool start =
        (!is_usable(t, now) || is_stale(t, set, now)) && may_fetch(t, set, now) && prepare_fetch(t, set);
    pthread_mutex_unlock(&t->lock);
    br_credentials_give_back(t->config.credentials, set);
    if (start) {
        submit(t, &t->exchange);
    }
}

void br_auth_token_state(struct br_auth *auth, struct br_auth_token_state *out)
{
    struct auth_token *t = (struct auth_token *)auth;
    int64_t now = now_ms(t);
    pthread_mutex_lock(&t->lock);
    bool has_token = t->token != NULL;
    out->at_hand = is_usable(t, now);
    out->age_us = has_token ? (now - t->fetched_ms) * 1000 : 0;
    out->expires_in_s = has_token && t->expires_ms > now ? (t->expires_ms - now) / 1000 : 0;
    out->expires_unix_s = has_token ? t->expires_unix_s : 0;
    out->last_failure = t->failure;
    memcpy(out->fetch_counts, t->fetch_counts, sizeof out->fetch_counts);
    pthread_mutex_unlock(&t->lock);
}
