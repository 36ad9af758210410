/*
 * Path templates of google.api.http: "/v1/{project_id}/services/{service_id}/property".
 *
 * Threads: start-up.
 * Source:  google/api/http.proto, "Path template syntax". Variables of one segment that name a string field
 *          of the request; "*", "**" and nested field paths have no use in this API and are refused.
 */
#ifndef BR_CONTRACT_PATH_TEMPLATE_H
#define BR_CONTRACT_PATH_TEMPLATE_H

#include "base/arena.h"
#include "contract/contract.h"

/*
 * Compiles |text| against the fields of |input|.
 * |parts|  in |arena|; literals and variables in turn, |count| of them.
 * Errors:  INTERNAL/CONTRACT_INVALID, naming the template and what is wrong with it
 *          RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_path_template_compile(const char *text, const struct br_message_plan *input, struct br_arena *arena,
                              const struct br_path_part **parts, size_t *count,
                              struct br_status *st) BR_MUST_CHECK;

/* Whether both templates match the same paths: equal but for the variables' names. */
bool br_path_template_same(const struct br_method *a, const struct br_method *b);

#endif
