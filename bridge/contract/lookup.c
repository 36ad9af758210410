#include "contract/compile.h"

#include <string.h>

/* Every name in a descriptor set may be missing. */
static bool is_named(const char *name, const char *wanted)
{
    return name != NULL && strcmp(name, wanted) == 0;
}

/*
 * Steps over |scope| and a dot at the start of |full_name|; NULL when it begins with something else. A package
 * may have no name.
 */
static const char *after_scope(const char *full_name, const char *scope)
{
    size_t len = scope != NULL ? strlen(scope) : 0;
    if (len == 0) {
        return full_name;
    }
    return strncmp(full_name, scope, len) == 0 && full_name[len] == '.' ? full_name + len + 1 : NULL;
}

const Google__Protobuf__ServiceDescriptorProto *br_lookup_service(const struct br_contract *contract,
                                                                  const char *full_name)
{
    for (size_t i = 0; i < contract->set->n_file; i++) {
        const Google__Protobuf__FileDescriptorProto *file = contract->set->file[i];
        const char *rest = after_scope(full_name, file->package);
        for (size_t k = 0; rest != NULL && k < file->n_service; k++) {
            if (is_named(file->service[k]->name, rest)) {
                return file->service[k];
            }
        }
    }
    return NULL;
}

static const Google__Protobuf__DescriptorProto *
find_message(size_t count, Google__Protobuf__DescriptorProto *const *messages, const char *name)
{
    const Google__Protobuf__DescriptorProto *found = NULL;
    for (size_t i = 0; found == NULL && i < count; i++) {
        if (is_named(messages[i]->name, name)) {
            return messages[i];
        }
        const char *rest = after_scope(name, messages[i]->name);
        if (rest != NULL) {
            found = find_message(messages[i]->n_nested_type, messages[i]->nested_type, rest);
        }
    }
    return found;
}

const Google__Protobuf__DescriptorProto *br_lookup_message(const struct br_contract *contract,
                                                           const char *full_name)
{
    const Google__Protobuf__DescriptorProto *found = NULL;
    for (size_t i = 0; found == NULL && i < contract->set->n_file; i++) {
        const Google__Protobuf__FileDescriptorProto *file = contract->set->file[i];
        const char *rest = after_scope(full_name, file->package);
        if (rest != NULL) {
            found = find_message(file->n_message_type, file->message_type, rest);
        }
    }
    return found;
}

/* An enum of a file or message: one of its own, or one below its |messages|. */
static const Google__Protobuf__EnumDescriptorProto *
find_enum(size_t enum_count, Google__Protobuf__EnumDescriptorProto *const *enums, size_t message_count,
          Google__Protobuf__DescriptorProto *const *messages, const char *name)
{
    for (size_t i = 0; i < enum_count; i++) {
        if (is_named(enums[i]->name, name)) {
            return enums[i];
        }
    }
    const Google__Protobuf__EnumDescriptorProto *found = NULL;
    for (size_t i = 0; found == NULL && i < message_count; i++) {
        const Google__Protobuf__DescriptorProto *message = messages[i];
        const char *rest = after_scope(name, message->name);
        if (rest != NULL) {
            found = find_enum(message->n_enum_type, message->enum_type, message->n_nested_type,
                              message->nested_type, rest);
        }
    }
    return found;
}

const Google__Protobuf__EnumDescriptorProto *br_lookup_enum(const struct br_contract *contract,
                                                            const char *full_name)
{
    const Google__Protobuf__EnumDescriptorProto *found = NULL;
    for (size_t i = 0; found == NULL && i < contract->set->n_file; i++) {
        const Google__Protobuf__FileDescriptorProto *file = contract->set->file[i];
        const char *rest = after_scope(full_name, file->package);
        if (rest != NULL) {
            found =
                find_enum(file->n_enum_type, file->enum_type, file->n_message_type, file->message_type, rest);
        }
    }
    return found;
}
