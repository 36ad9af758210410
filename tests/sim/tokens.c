#include "tokens.h"

#include "alloc.h"
#include "random.h"

#include <stdlib.h>
#include <string.h>

void sim_tokens_finish(struct sim_tokens *tokens)
{
    for (size_t i = 0; i < tokens->count; i++) {
        free(tokens->items[i].text);
    }
    tokens->count = 0;
}

const char *sim_tokens_issue(struct sim_tokens *tokens, size_t bytes, int64_t expires_at_ms)
{
    /* 64 of them, so that each random byte gives one without a bias. */
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *text = sim_alloc(bytes + 1);
    sim_random_fill((unsigned char *)text, bytes);
    for (size_t i = 0; i < bytes; i++) {
        text[i] = alphabet[(unsigned char)text[i] % 64];
    }
    if (tokens->count == SIM_TOKENS_MAX) {
        free(tokens->items[0].text);
        tokens->count--;
        memmove(tokens->items, tokens->items + 1, tokens->count * sizeof tokens->items[0]);
    }
    tokens->items[tokens->count++] = (struct sim_token){.text = text, .expires_at_ms = expires_at_ms};
    return text;
}

const struct sim_token *sim_tokens_find(const struct sim_tokens *tokens, const char *text)
{
    for (size_t i = tokens->count; i > 0; i--) {
        if (strcmp(tokens->items[i - 1].text, text) == 0) {
            return &tokens->items[i - 1];
        }
    }
    return NULL;
}

void sim_tokens_revoke(struct sim_tokens *tokens, int64_t now_ms)
{
    for (size_t i = 0; i < tokens->count; i++) {
        if (tokens->items[i].expires_at_ms > now_ms) {
            tokens->items[i].expires_at_ms = now_ms;
        }
    }
}
