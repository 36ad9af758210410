/*
 * Checks a request against the rules of its schema, all of them, before anything is sent.
 *
 * Pure. Threads: those of the message's owner.
 * Source: the schema's buf.validate options; DESIGN.md section 5.
 */
#ifndef BR_TRANSLATE_VALIDATE_H
#define BR_TRANSLATE_VALIDATE_H

#include "contract/rules.h"
#include "translate/field_mask.h"

/* Warnings kept of one request. */
#define BR_WARNINGS_MAX 4

struct br_warnings {
    const char *items[BR_WARNINGS_MAX]; /* printable ASCII, process lifetime */
    size_t count;
};

/* A longer text is refused where the schema has a pattern for it: the time of regexec() is not bounded. */
#define BR_PATTERN_MAX_BYTES 65536

/*
 * Walks |request| and adds every broken rule to |violations|, every warning to |warnings| (begins zeroed).
 * Independent of rules, a number that JSON cannot say and an enum number without a literal are violations.
 * |request| borrowed; as br_mask_apply() has left it; nested no deeper than br_wire_check() accepts.
 * |mask|    what is sent, from br_mask_apply(). In a message that is sent in part, required fields and the message's
 *           own named rules are not checked; warnings are, since they speak of what is there. What is sent as an
 *           empty value is checked as such. Fields of the URL are checked whatever the mask says.
 * When memory runs out the arena of |violations| says so, and br_violations_none() with it.
 */
void br_validate(const struct br_method *method, const ProtobufCMessage *request, const struct br_mask *mask,
                 struct br_violations *violations, struct br_warnings *warnings);

#endif
