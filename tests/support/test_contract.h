/*
 * The contract of the API that only the tests know (proto/testapi/v1/everything.proto), compiled on first use.
 */
#ifndef TEST_CONTRACT_H
#define TEST_CONTRACT_H

#include "contract/contract.h"

/* Lives until the program ends; the first call of a program that fails to compile it aborts with the reason. */
const struct br_contract *test_contract(void);

/* The method of EverythingService with this name, such as "UpdateThing". */
const struct br_method *test_method(const char *name);

/* The plan of the message with this name, such as "Thing": the one a method takes or gives, or a field's of these. */
const struct br_message_plan *test_plan(const char *name);

/* The functions behind the API's named rules. */
extern const struct br_named_function test_functions[];
extern const size_t test_functions_count;

#endif
