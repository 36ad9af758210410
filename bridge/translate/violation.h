/*
 * What is wrong with a request, field by field: collected while it is checked, reported all at once.
 *
 * Threads: those of the call's owner.
 * Owns:    nothing; entries and texts live in the call's arena.
 */
#ifndef BR_TRANSLATE_VIOLATION_H
#define BR_TRANSLATE_VIOLATION_H

#include "base/arena.h"

/* A place in a message while it is walked: a chain of these on the walker's stack. */
struct br_place {
    const struct br_place *parent; /* NULL at the top */
    const char *name;              /* a field's name, "" for an element of a free list; a key if |is_key| */
    size_t index;                  /* of a repeated element; BR_PLACE_NO_INDEX otherwise */
    bool is_key;
};
#define BR_PLACE_NO_INDEX ((size_t)-1)

struct br_violation {
    const char *field;       /* "config[0].envs[\"A\"]"; "" for the request as a whole */
    const char *description; /* what was given and what is accepted */
};

/* No more than this many are kept; further ones are counted. */
#define BR_VIOLATIONS_MAX 64

struct br_violations {
    struct br_arena *arena;
    struct br_violation items[BR_VIOLATIONS_MAX];
    size_t count;       /* kept */
    size_t total_count; /* found */
};

/* |violations| becomes empty; |arena| is kept. */
void br_violations_init(struct br_violations *violations, struct br_arena *arena);

/* Adds one at |place| (NULL: the request as a whole). Without memory it is counted only. */
void br_violations_add(struct br_violations *violations, const struct br_place *place, const char *format,
                       ...) BR_PRINTF(3, 4);

/*
 * Turns what was found into the call's status: true when nothing was found.
 * Errors: INVALID_ARGUMENT/VALIDATION_FAILED  the message quotes the first violation and counts the rest
 *         RESOURCE_EXHAUSTED/OUT_OF_MEMORY    nothing was found, but the arena ran out on the way
 */
bool br_violations_none(const struct br_violations *violations, struct br_status *st) BR_MUST_CHECK;

/* |place| as text, in |arena|; NULL when that is exhausted. Keys are quoted as by br_violation_quote(). */
const char *br_place_text(const struct br_place *place, struct br_arena *arena);

/* Bytes of a text that a description repeats. */
#define BR_QUOTE_MAX_BYTES 64
/* Every byte may become \u00XX; two quotes, three dots and the NUL come on top. */
#define BR_QUOTE_CAP (BR_QUOTE_MAX_BYTES * 6 + 6)

/*
 * |text| in double quotes, for people: cut at BR_QUOTE_MAX_BYTES on a character boundary ("..." follows the
 * quotes then), quotes, backslashes and control characters escaped. Returns |out|.
 */
const char *br_violation_quote(const char *text, char out[BR_QUOTE_CAP]);

/* What is accepted, as "a, b, c"; begins zeroed. */
#define BR_CHOICES_MAX 10
struct br_choices {
    char text[512];
    size_t len;
    size_t count; /* added, those that are not shown included */
};

/* Adds |text|; after BR_CHOICES_MAX, or when no more fit, one "..." stands for the rest. */
void br_choices_add(struct br_choices *choices, const char *text);

#endif
