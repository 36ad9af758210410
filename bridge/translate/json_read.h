/*
 * JSON -> message, by plan, lenient in what it takes: the forms in which ModelArts is known to answer.
 *
 * null is absent; a number may be a string that holds one, and the other way round; one value may stand for a
 * list of one; a non-string element of a repeated string arrives as its JSON text; unknown keys and enum
 * literals are skipped and reported; of duplicate keys the last wins.
 *
 * Pure. Threads: any.
 * Source: DESIGN.md section 5; wire_facts.md section 4; bridge_conventions.md section 9 (cJSON's ways).
 */
#ifndef BR_TRANSLATE_JSON_READ_H
#define BR_TRANSLATE_JSON_READ_H

#include "base/arena.h"
#include "contract/contract.h"

#include <cjson/cJSON.h>

/* JSON values in one text: bounds the memory that a small text can unfold into. */
#define BR_MAX_JSON_VALUES 1000000

enum br_drift {
    BR_DRIFT_KEY,     /* a key that the schema does not have */
    BR_DRIFT_LITERAL, /* an enum literal that the schema does not have */
    BR_DRIFT_CODE,    /* an error code that the table of error codes does not have */
};

/*
 * Told of what was skipped. |where|: the message's or enum's full name, "error_code" for a code; process lifetime. |what|:
 * the key or literal, not checked; of a code the reason made from it.
 */
struct br_drift_observer {
    void (*seen)(struct br_drift_observer *self, enum br_drift drift, const char *where, const char *what);
};

/* How a failure to read is reported: an answer of upstream, or a person's input. */
struct br_json_reader {
    enum br_code code;
    const char *reason;
    bool is_input;                      /* a person wrote the text: messages say what to write instead */
    struct br_arena *arena;             /* the message lives here */
    struct br_drift_observer *observer; /* NULL: nobody asks */
};

/*
 * Parses |text|: one JSON value and nothing but white space after it. Refuses what cJSON lets through: text
 * that is not UTF-8, a NUL escape, nesting beyond BR_MAX_DEPTH, more than BR_MAX_JSON_VALUES values.
 * |text|  borrowed; |len| bytes, no NUL needed.
 * |out|   returned; release with cJSON_Delete(). Written on success only.
 * Errors: |code|/|reason| of the reader; RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_json_parse(const struct br_json_reader *reader, const char *text, size_t len, cJSON **out,
                   struct br_status *st) BR_MUST_CHECK;

/*
 * |json| as a message of |plan|, in the reader's arena.
 * |json|  borrowed.
 * |out|   written on success only; its texts are copies.
 * Errors: |code|/|reason| of the reader, naming the field; RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_json_read(const struct br_json_reader *reader, const struct br_message_plan *plan, const cJSON *json,
                  ProtobufCMessage **out, struct br_status *st) BR_MUST_CHECK;

#endif
