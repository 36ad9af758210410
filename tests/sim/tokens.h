/*
 * The tokens that IAM has handed out, and until when each is good.
 *
 * Threads: none of its own; its user (api.c) holds a lock around every call.
 * Owns:    the texts of the tokens.
 */
#ifndef SIM_TOKENS_H
#define SIM_TOKENS_H

#include <stddef.h>
#include <stdint.h>

/* Tokens that are remembered, expired ones included; the oldest is forgotten first. */
#define SIM_TOKENS_MAX 1000
/* Bytes of a token. Source: gateway, one header is at most 32 KiB; less than the minimum could be guessed. */
#define SIM_TOKEN_MIN_BYTES 32
#define SIM_TOKEN_MAX_BYTES (32 * 1024)

struct sim_token {
    char *text;
    int64_t expires_at_ms; /* on the clock of the caller */
};

struct sim_tokens {
    struct sim_token items[SIM_TOKENS_MAX]; /* oldest first */
    size_t count;
};

/* Accepts a zeroed list, which is an empty one. */
void sim_tokens_finish(struct sim_tokens *tokens);

/*
 * Makes and remembers a token of |bytes| letters, digits, '-' and '_'.
 * Returns its text: borrowed, valid until the next call for |tokens|.
 */
const char *sim_tokens_issue(struct sim_tokens *tokens, size_t bytes, int64_t expires_at_ms);

/* The token |text|, expired or not; borrowed. NULL: it was never handed out, or is forgotten. */
const struct sim_token *sim_tokens_find(const struct sim_tokens *tokens, const char *text);

/* Lets every token that is still good expire at |now_ms|. */
void sim_tokens_revoke(struct sim_tokens *tokens, int64_t now_ms);

#endif
