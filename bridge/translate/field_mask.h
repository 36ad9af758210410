/*
 * update_mask: which fields of a request are sent, compiled per call into a tree over the message plans.
 *
 * Pure. Threads: those of the call's owner. The tree lives in the call's arena.
 * Source: DESIGN.md section 5 (presence is exact); https://google.aip.dev/134
 */
#ifndef BR_TRANSLATE_FIELD_MASK_H
#define BR_TRANSLATE_FIELD_MASK_H

#include "contract/contract.h"
#include "translate/violation.h"

struct br_mask {
    const struct br_field_plan *field; /* NULL at the root */
    bool named;                        /* a path ends here: the field is sent, an empty one as empty */
    bool whole;                        /* a path ends here or above: all that is set below is sent */
    struct br_mask *children;          /* first of those below */
    struct br_mask *next;              /* sibling */
};

/*
 * Reads the mask field of |request|, and clears every body field that it leaves out.
 * |method|     borrowed; the tree points into its plans.
 * |request|    modified; its mask field stays.
 * |violations| gets an entry for each path that is not a field of the body, that passes through a scalar, a map or
 *              free JSON or through a repeated field without an element, and for each number, bool, enum or
 *              message that is named and has no value. The tree lives in its arena.
 * |out|        NULL when the method has no mask, or the request's is unset or empty: everything that is set is
 *              sent. Written on success only.
 * Errors:      RESOURCE_EXHAUSTED/MESSAGE_TOO_LARGE over BR_MAX_WIRE_ELEMENTS empty fields would be sent
 *              RESOURCE_EXHAUSTED/OUT_OF_MEMORY; a bad path is none: it is a violation
 */
bool br_mask_apply(const struct br_method *method, ProtobufCMessage *request,
                   struct br_violations *violations, const struct br_mask **out,
                   struct br_status *st) BR_MUST_CHECK;

/* The node of |field| below |mask|; NULL when |mask| is NULL or does not mention it. */
const struct br_mask *br_mask_child(const struct br_mask *mask, const struct br_field_plan *field);

/* Whether everything below |mask| is sent: no mask at all, or a path ends at it or above it. */
bool br_mask_is_whole(const struct br_mask *mask);

#endif
