/*
 * What the compilers of the contract share: the contract being built, and lookups in the descriptor set.
 *
 * Private to bridge/contract. Threads: start-up.
 */
#ifndef BR_CONTRACT_COMPILE_H
#define BR_CONTRACT_COMPILE_H

#include "base/arena.h"
#include "contract/contract.h"
#include "contract/rules.h"

#include <google/protobuf/descriptor.pb-c.h>

/* A message plan made so far, and the regular expressions to free. */
struct br_plan_node {
    struct br_message_plan plan;
    struct br_plan_node *next;
};

struct br_enum_node {
    struct br_enum_plan plan;
    struct br_enum_node *next;
};

struct br_regex_node {
    regex_t *regex;
    struct br_regex_node *next;
};

struct br_contract {
    struct br_arena arena;
    const struct br_schema *schema;
    struct br_method *methods;
    size_t method_count;
    const struct br_method **by_path; /* sorted */

    /* While it is compiled. */
    const Google__Protobuf__FileDescriptorSet *set;
    const struct br_named_function *functions;
    size_t function_count;
    struct br_plan_node *plans;
    struct br_enum_node *enums;
    struct br_regex_node *regexes;
};

/* What br_contract_invalid() says where the descriptor set and the C descriptors differ. */
#define BR_OTHER_SCHEMA "the C code was generated from another schema"

/* Fills |st| with INTERNAL/CONTRACT_INVALID and "|where|: ..."; returns false. */
bool br_contract_invalid(struct br_status *st, const char *where, const char *format, ...) BR_PRINTF(3, 4);

/*
 * The service, message or enum whose name, package included, is |full_name|; NULL when the set has none. What
 * they point at lives as long as the contract.
 */
const Google__Protobuf__ServiceDescriptorProto *br_lookup_service(const struct br_contract *contract,
                                                                  const char *full_name);
const Google__Protobuf__DescriptorProto *br_lookup_message(const struct br_contract *contract,
                                                           const char *full_name);
const Google__Protobuf__EnumDescriptorProto *br_lookup_enum(const struct br_contract *contract,
                                                            const char *full_name);

/*
 * The plan of the message |descriptor|, compiled on first use together with all it refers to.
 * Errors: INTERNAL/CONTRACT_INVALID, RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_plan_message(struct br_contract *contract, const ProtobufCMessageDescriptor *descriptor,
                     const struct br_message_plan **out, struct br_status *st) BR_MUST_CHECK;

/*
 * The rules that |options| declare: those of a field of |kind| and |label|, or of a message as a whole.
 * |where| names the field or message in errors.
 * Errors: INTERNAL/CONTRACT_INVALID, RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_rules_of_field(struct br_contract *contract, const ProtobufCMessage *options,
                       const struct br_field_plan *field, const char *where, const struct br_rules **out,
                       struct br_status *st) BR_MUST_CHECK;
bool br_rules_of_message(struct br_contract *contract, const ProtobufCMessage *options, const char *where,
                         const struct br_rules **out, struct br_status *st) BR_MUST_CHECK;

#endif
