/*
 * The compiled contract: everything the bridge knows about the API, read once from the schema and immutable after.
 *
 * method -> verb, path template, the role of each request field; message plan -> for each field its REST key,
 * kind, enum literals and rules. C code holds no list of fields, paths or JSON keys: it walks these plans.
 *
 * Threads: br_contract_create() and br_contract_destroy() at start and end; between them all is constant, and
 *          read by any.
 * Owns:    all plans, methods and strings below, until br_contract_destroy().
 * Source:  DESIGN.md section 2; google/api/http.proto for verb, path and body.
 */
#ifndef BR_CONTRACT_CONTRACT_H
#define BR_CONTRACT_CONTRACT_H

#include "base/status.h"
#include "contract/schema.h"

/* What kind of value a field holds, with protobuf's encodings of one C type folded together. */
enum br_kind {
    BR_KIND_INT32,
    BR_KIND_INT64,
    BR_KIND_UINT32,
    BR_KIND_UINT64,
    BR_KIND_FLOAT,
    BR_KIND_DOUBLE,
    BR_KIND_BOOL,
    BR_KIND_STRING,
    BR_KIND_ENUM,
    BR_KIND_MESSAGE,
};

enum br_label {
    BR_LABEL_SINGULAR,
    BR_LABEL_REPEATED,
    BR_LABEL_MAP, /* |message| is the entry: fields[0] is the key (always a string), fields[1] the value */
};

/* Messages whose JSON is not an object of their fields. */
enum br_shape {
    BR_SHAPE_FIELDS,     /* an object of its fields */
    BR_SHAPE_STRUCT,     /* google.protobuf.Struct: a free object */
    BR_SHAPE_VALUE,      /* google.protobuf.Value: any JSON */
    BR_SHAPE_LIST,       /* google.protobuf.ListValue: a free list */
    BR_SHAPE_FIELD_MASK, /* google.protobuf.FieldMask: names fields, never sent upstream */
};

struct br_enum_value {
    int number;
    const char *literal; /* as REST spells it; NULL for the zero value, which is never sent */
};

struct br_enum_plan {
    const char *full_name;
    const struct br_enum_value *values;
    size_t value_count;
};

struct br_rules; /* contract/rules.h */

struct br_field_plan {
    const char *name; /* in the schema; what violations and update_mask say */
    const char *key;  /* in REST JSON and queries */
    uint32_t number;
    enum br_kind kind;
    enum br_label label;
    const struct br_message_plan *message;      /* BR_KIND_MESSAGE: never NULL */
    const struct br_enum_plan *enumeration;     /* BR_KIND_ENUM: never NULL */
    const struct br_rules *rules;               /* never NULL; empty when the schema has none */
    const ProtobufCFieldDescriptor *descriptor; /* for contract/field.c alone */
};

struct br_message_plan {
    const char *full_name;
    enum br_shape shape;
    const struct br_field_plan *fields; /* in the order of their declaration: the order of JSON keys */
    size_t field_count;
    const struct br_rules *rules; /* never NULL; its named rules are about the whole message */
    const ProtobufCMessageDescriptor *descriptor;
};

/* Where a field of a request message goes in the REST request. */
enum br_role {
    BR_ROLE_PATH,
    BR_ROLE_QUERY,
    BR_ROLE_BODY,       /* a key of the body's object */
    BR_ROLE_WHOLE_BODY, /* the body is this field's value */
    BR_ROLE_MASK,       /* the field mask: steers what is sent, never sent itself */
};

/* Source: google/protobuf/descriptor.proto, MethodOptions.IdempotencyLevel. */
enum br_idempotency {
    BR_IDEMPOTENCY_UNKNOWN, /* may not be repeated once it may have been executed */
    BR_IDEMPOTENT,
    BR_NO_SIDE_EFFECTS,
};

/* One part of a path: a literal, or the variable's field. */
struct br_path_part {
    const char *literal; /* sent as it is; NULL: a variable */
    const struct br_field_plan *variable;
};

struct br_method {
    const char *path;      /* gRPC's: "/modelarts.v1.ModelArtsService/UpdateService" */
    const char *name;      /* the same without the leading slash */
    const char *verb;      /* "PUT"; NULL: no google.api.http, the method must be answered in the process */
    bool client_streaming; /* both only while |verb| is NULL */
    bool server_streaming;
    const char *path_template;
    const struct br_path_part *parts;
    size_t part_count;
    bool has_body;
    const struct br_field_plan *mask; /* the request's google.protobuf.FieldMask field; NULL: none */
    const enum br_role *roles;        /* of each field of |input|, by its index */
    enum br_idempotency idempotency;
    const struct br_message_plan *input;  /* NULL while |verb| is NULL */
    const struct br_message_plan *output; /* NULL while |verb| is NULL */
};

struct br_contract;

/*
 * A C function for a rule that the schema declares by id.
 * Returns whether the rule holds for |message|: the message that declares the rule, or the one that has the
 * field which declares it. |message| borrowed.
 */
typedef bool (*br_rule_fn)(const ProtobufCMessage *message);

struct br_named_function {
    const char *id;
    br_rule_fn holds;
};

/*
 * Compiles |schema|.
 * |schema|    kept until br_contract_destroy().
 * |functions| borrowed; the functions behind the ids of named rules. One that no rule names is not an error.
 * |out|       returned; release with br_contract_destroy().
 * Errors:     INTERNAL/CONTRACT_INVALID, naming the rpc, field or enum value and what is wrong: a set that
 *                 cannot be read or is not that of the C descriptors, a rule id without a function, an
 *                 unknown constraint, an enum value without a literal, two methods with one route, a
 *                 template, binding or field type that has no REST form
 *             RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_contract_create(const struct br_schema *schema, const struct br_named_function *functions,
                        size_t function_count, struct br_contract **out, struct br_status *st) BR_MUST_CHECK;

/* Accepts NULL. */
void br_contract_destroy(struct br_contract *contract);

/* The method whose gRPC path is |path| (|len| bytes, no NUL needed); NULL when the contract has none. */
const struct br_method *br_contract_find(const struct br_contract *contract, const char *path, size_t len);

/* All methods, in the order of their declaration; |count| written. */
const struct br_method *br_contract_methods(const struct br_contract *contract, size_t *count);

/* The field of |plan| whose name in the schema is |name| (|len| bytes); NULL when there is none. */
const struct br_field_plan *br_plan_field_by_name(const struct br_message_plan *plan, const char *name,
                                                  size_t len);

#endif
