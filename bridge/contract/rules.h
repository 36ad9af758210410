/*
 * The validation rules of one field or message, compiled from buf.validate options.
 *
 * Threads: constant once the contract is built.
 * Source:  bridge_conventions.md section 13 (the constraints of protovalidate that the schema may use).
 */
#ifndef BR_CONTRACT_RULES_H
#define BR_CONTRACT_RULES_H

#include "contract/contract.h"

#include <regex.h>

enum br_bound_type {
    BR_BOUND_NONE,
    BR_BOUND_INCLUSIVE,
    BR_BOUND_EXCLUSIVE,
};

/* A bound of a number: |integer| for integer kinds, |real| for FLOAT and DOUBLE. */
struct br_bound {
    enum br_bound_type type;
    int64_t integer;
    double real;
};

/* A closed list of values: numbers for integer and enum kinds, texts for strings. */
struct br_value_list {
    const int64_t *numbers;
    const char *const *texts;
    size_t count;
};

struct br_named_rule {
    const char *id;
    const char *message; /* for people */
    bool warning;        /* reported in a trailer, does not refuse the call */
    br_rule_fn holds;
};

struct br_rules {
    bool required;
    struct br_bound min, max;
    struct br_value_list in, not_in;
    bool defined_only;           /* enum: the number must be one of the schema's */
    uint64_t min_len, max_len;   /* string: characters; max_len UINT64_MAX: none */
    const char *prefix, *suffix; /* string; NULL: none */
    const char *contains, *not_contains;
    const char *pattern;           /* string: as written in the schema; NULL: none */
    regex_t regex;                 /* compiled from |pattern|, POSIX extended */
    uint64_t min_items, max_items; /* repeated elements or map pairs; max_items UINT64_MAX: none */
    bool unique;
    const struct br_rules *items; /* of each repeated element or map value; NULL: none */
    const struct br_rules *keys;  /* of each map key; NULL: none */
    const struct br_named_rule *named;
    size_t named_count;
};

#endif
