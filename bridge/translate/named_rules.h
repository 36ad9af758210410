/*
 * The C functions behind the rules that proto/modelarts/v1 declares by id.
 *
 * Pure. Threads: any.
 * Source: the CEL expression beside each id in the schema, which says the same.
 */
#ifndef BR_TRANSLATE_NAMED_RULES_H
#define BR_TRANSLATE_NAMED_RULES_H

#include "contract/contract.h"

/* For br_contract_create(). */
extern const struct br_named_function br_named_functions[];
extern const size_t br_named_functions_count;

#endif
