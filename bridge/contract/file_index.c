#include "contract/file_index.h"

#include "base/wire.h"
#include "contract/compile.h"
#include "contract/field.h"

#include <stdlib.h>
#include <string.h>

/* As the contract's own: far above any schema. */
#define INDEX_MAX_BYTES ((size_t)64 << 20)

/* google/protobuf/descriptor.proto, FileDescriptorSet.file */
#define SET_FILE 1

struct symbol {
    const char *name;
    const struct br_file *file;
    bool is_message;
};

struct br_file_index {
    struct br_arena arena;
    struct br_file *files; /* in the order of the set */
    size_t file_count;
    struct symbol *symbols; /* sorted by name */
    size_t symbol_count;
    size_t symbol_cap;
    struct br_extension *extensions; /* sorted by type and number */
    size_t extension_count;
    size_t extension_cap;
};

/* Room for one more of |count| items of |size| in |*items|; false without memory. */
static bool make_room(struct br_arena *arena, void **items, size_t count, size_t *cap, size_t size)
{
    if (count < *cap) {
        return true;
    }
    size_t grown_cap = *cap > 0 ? 2 * *cap : 64;
    void *grown = br_arena_alloc(arena, grown_cap * size);
    if (grown == NULL) {
        return false;
    }
    if (count > 0) {
        memcpy(grown, *items, count * size);
    }
    *items = grown;
    *cap = grown_cap;
    return true;
}

/* "|scope|.|name|", or the name alone in a scope without one. NULL without memory. */
static const char *join(struct br_arena *arena, const char *scope, const char *name)
{
    name = name != NULL ? name : "";
    return br_arena_printf(arena, "%s%s%s", scope, scope[0] != '\0' ? "." : "", name);
}

/* Returns the full name; NULL without memory. */
static const char *add_symbol(struct br_file_index *index, const struct br_file *file, const char *scope,
                              const char *name, bool is_message)
{
    const char *full_name = join(&index->arena, scope, name);
    void *items = index->symbols;
    if (full_name == NULL ||
        !make_room(&index->arena, &items, index->symbol_count, &index->symbol_cap, sizeof *index->symbols)) {
        return NULL;
    }
    index->symbols = items;
    index->symbols[index->symbol_count++] =
        (struct symbol){.name = full_name, .file = file, .is_message = is_message};
    return full_name;
}

static bool add_extensions(struct br_file_index *index, const struct br_file *file, const char *scope,
                           size_t count, Google__Protobuf__FieldDescriptorProto *const *fields)
{
    for (size_t i = 0; i < count; i++) {
        const char *type = fields[i]->extendee != NULL ? fields[i]->extendee : "";
        type = br_arena_printf(&index->arena, "%s", type[0] == '.' ? type + 1 : type);
        void *items = index->extensions;
        if (type == NULL || add_symbol(index, file, scope, fields[i]->name, false) == NULL ||
            !make_room(&index->arena, &items, index->extension_count, &index->extension_cap,
                       sizeof *index->extensions)) {
            return false;
        }
        index->extensions = items;
        index->extensions[index->extension_count++] =
            (struct br_extension){.type = type, .number = fields[i]->number, .file = file};
    }
    return true;
}

static bool add_enums(struct br_file_index *index, const struct br_file *file, const char *scope,
                      size_t count, Google__Protobuf__EnumDescriptorProto *const *enums)
{
    for (size_t i = 0; i < count; i++) {
        if (add_symbol(index, file, scope, enums[i]->name, false) == NULL) {
            return false;
        }
        /* A value's name is a neighbour of its enum's, as in C++. */
        for (size_t k = 0; k < enums[i]->n_value; k++) {
            if (add_symbol(index, file, scope, enums[i]->value[k]->name, false) == NULL) {
                return false;
            }
        }
    }
    return true;
}

/* Nesting is that of our own schema. */
static bool add_messages(struct br_file_index *index, const struct br_file *file, const char *scope,
                         size_t count, Google__Protobuf__DescriptorProto *const *messages)
{
    for (size_t i = 0; i < count; i++) {
        const Google__Protobuf__DescriptorProto *message = messages[i];
        const char *name = add_symbol(index, file, scope, message->name, true);
        if (name == NULL || !add_messages(index, file, name, message->n_nested_type, message->nested_type) ||
            !add_enums(index, file, name, message->n_enum_type, message->enum_type) ||
            !add_extensions(index, file, name, message->n_extension, message->extension)) {
            return false;
        }
        for (size_t k = 0; k < message->n_field; k++) {
            if (add_symbol(index, file, name, message->field[k]->name, false) == NULL) {
                return false;
            }
        }
        for (size_t k = 0; k < message->n_oneof_decl; k++) {
            if (add_symbol(index, file, name, message->oneof_decl[k]->name, false) == NULL) {
                return false;
            }
        }
    }
    return true;
}

static bool add_services(struct br_file_index *index, const struct br_file *file, const char *scope,
                         size_t count, Google__Protobuf__ServiceDescriptorProto *const *services)
{
    for (size_t i = 0; i < count; i++) {
        const char *name = add_symbol(index, file, scope, services[i]->name, false);
        for (size_t k = 0; name != NULL && k < services[i]->n_method; k++) {
            if (add_symbol(index, file, name, services[i]->method[k]->name, false) == NULL) {
                return false;
            }
        }
        if (name == NULL) {
            return false;
        }
    }
    return true;
}

/* Lists |file| with what it imports. An import stands before it, so one way back through the set finds all. */
static bool list_imports(struct br_file_index *index, struct br_file *file, bool *const *imports,
                         struct br_status *st)
{
    size_t last = (size_t)(file - index->files);
    bool *wanted = br_arena_alloc(&index->arena, last + 1);
    const struct br_file **list = br_arena_alloc(&index->arena, (last + 1) * sizeof *list);
    if (wanted == NULL || list == NULL) {
        return br_arena_fail(&index->arena, st);
    }
    wanted[last] = true;
    size_t count = 0;
    for (size_t i = last + 1; i-- > 0;) {
        if (!wanted[i]) {
            continue;
        }
        list[count++] = &index->files[i];
        for (size_t k = 0; k < i; k++) {
            wanted[k] = wanted[k] || imports[i][k];
        }
    }
    file->with_imports = list;
    file->with_imports_count = count;
    return true;
}

/* Which of the files before |file| it imports itself. */
static bool find_imports(struct br_file_index *index, const struct br_file *file,
                         const Google__Protobuf__FileDescriptorProto *proto, bool **out, struct br_status *st)
{
    size_t before = (size_t)(file - index->files);
    bool *imports = br_arena_alloc(&index->arena, before);
    if (imports == NULL) {
        return br_arena_fail(&index->arena, st);
    }
    for (size_t i = 0; i < proto->n_dependency; i++) {
        size_t k = 0;
        while (k < before && strcmp(index->files[k].name, proto->dependency[i]) != 0) {
            k++;
        }
        if (k == before) {
            return br_contract_invalid(st, file->name, "it imports %s, which does not come before it",
                                       proto->dependency[i]);
        }
        imports[k] = true;
    }
    *out = imports;
    return true;
}

/* |scratch| may hold what is needed no longer than this. */
static bool index_file(struct br_file_index *index, struct br_file *file, bool **imports,
                       struct br_arena *scratch, struct br_status *st)
{
    const Google__Protobuf__FileDescriptorProto *proto =
        (const Google__Protobuf__FileDescriptorProto *)br_message_unpack(
            &google__protobuf__file_descriptor_proto__descriptor, file->bytes, file->len, scratch);
    if (scratch->exhausted) {
        return br_arena_fail(scratch, st);
    }
    if (proto == NULL) {
        return br_contract_invalid(st, "descriptor set", "cannot be read");
    }
    const char *package = proto->package != NULL ? proto->package : "";
    file->name = join(&index->arena, "", proto->name);
    if (file->name == NULL ||
        !add_messages(index, file, package, proto->n_message_type, proto->message_type) ||
        !add_enums(index, file, package, proto->n_enum_type, proto->enum_type) ||
        !add_services(index, file, package, proto->n_service, proto->service) ||
        !add_extensions(index, file, package, proto->n_extension, proto->extension)) {
        return br_arena_fail(&index->arena, st);
    }
    size_t number = (size_t)(file - index->files);
    return find_imports(index, file, proto, &imports[number], st) && list_imports(index, file, imports, st);
}

/* The next file of the set at |*at|, which moves behind it; false at the end, or where the set is broken. */
static bool next_file(const uint8_t **at, const uint8_t *end, struct br_wire_record *out, bool *is_broken)
{
    while (*at < end) {
        if (br_wire_read(*at, end, out) != NULL) {
            *is_broken = true;
            return false;
        }
        *at = out->payload + out->len;
        if (out->number == SET_FILE && out->wire_type == BR_WIRE_LENGTH) {
            return true;
        }
    }
    return false;
}

/* Makes room for the files of the set, and points each at its bytes. */
static bool split_set(struct br_file_index *index, const struct br_schema *schema, struct br_status *st)
{
    const uint8_t *end = schema->set + schema->set_len;
    struct br_wire_record record;
    bool is_broken = false;
    size_t count = 0;
    for (const uint8_t *at = schema->set; next_file(&at, end, &record, &is_broken);) {
        count++;
    }
    if (is_broken) {
        return br_contract_invalid(st, "descriptor set", "cannot be read");
    }
    index->files = br_arena_alloc(&index->arena, count * sizeof *index->files);
    if (index->files == NULL) {
        return br_arena_fail(&index->arena, st);
    }
    for (const uint8_t *at = schema->set; next_file(&at, end, &record, &is_broken);) {
        index->files[index->file_count++] = (struct br_file){.bytes = record.payload, .len = record.len};
    }
    return true;
}

static int compare_symbols(const void *a, const void *b)
{
    return strcmp(((const struct symbol *)a)->name, ((const struct symbol *)b)->name);
}

static int compare_extensions(const void *a, const void *b)
{
    const struct br_extension *first = a;
    const struct br_extension *second = b;
    int order = strcmp(first->type, second->type);
    return order != 0 ? order : (first->number > second->number) - (first->number < second->number);
}

static bool build(struct br_file_index *index, const struct br_schema *schema, struct br_status *st)
{
    if (!split_set(index, schema, st)) {
        return false;
    }
    bool **imports = br_arena_alloc(&index->arena, index->file_count * sizeof *imports);
    if (imports == NULL) {
        return br_arena_fail(&index->arena, st);
    }
    for (size_t i = 0; i < index->file_count; i++) {
        struct br_arena scratch;
        br_arena_init(&scratch, INDEX_MAX_BYTES);
        bool indexed = index_file(index, &index->files[i], imports, &scratch, st);
        br_arena_finish(&scratch);
        if (!indexed) {
            return false;
        }
    }
    if (index->symbol_count > 0) {
        qsort(index->symbols, index->symbol_count, sizeof *index->symbols, compare_symbols);
    }
    if (index->extension_count > 0) {
        qsort(index->extensions, index->extension_count, sizeof *index->extensions, compare_extensions);
    }
    return true;
}

bool br_file_index_create(const struct br_schema *schema, struct br_file_index **out, struct br_status *st)
{
    struct br_file_index *index = calloc(1, sizeof *index);
    if (index == NULL) {
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for the schema's files");
    }
    br_arena_init(&index->arena, INDEX_MAX_BYTES);
    if (!build(index, schema, st)) {
        br_file_index_destroy(index);
        return false;
    }
    *out = index;
    return true;
}

void br_file_index_destroy(struct br_file_index *index)
{
    if (index == NULL) {
        return;
    }
    br_arena_finish(&index->arena);
    free(index);
}

/* As strcmp(), of a caller's bytes, which may hold a NUL. */
static int compare_name(const char *name, const char *wanted, size_t len)
{
    size_t name_len = strlen(name);
    size_t common = name_len < len ? name_len : len;
    int order = common > 0 ? memcmp(name, wanted, common) : 0;
    return order != 0 ? order : (name_len > len) - (name_len < len);
}

const struct br_file *br_file_index_by_name(const struct br_file_index *index, const char *name, size_t len)
{
    for (size_t i = 0; i < index->file_count; i++) {
        if (compare_name(index->files[i].name, name, len) == 0) {
            return &index->files[i];
        }
    }
    return NULL;
}

const struct br_file *br_file_index_by_symbol(const struct br_file_index *index, const char *name, size_t len,
                                              bool *is_message)
{
    size_t low = 0;
    size_t high = index->symbol_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct symbol *symbol = &index->symbols[middle];
        int order = compare_name(symbol->name, name, len);
        if (order == 0) {
            *is_message = symbol->is_message;
            return symbol->file;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const struct br_extension *br_file_index_extensions(const struct br_file_index *index, size_t *count)
{
    *count = index->extension_count;
    return index->extensions;
}
