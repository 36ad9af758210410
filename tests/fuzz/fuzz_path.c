/*
 * Path templates of google.api.http: compiled, and filled with what a request has.
 *
 * Input, line by line: the template, then the value of each variable in turn.
 */
#include "fuzz.h"

#include "contract/field.h"
#include "contract/path_template.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Goes into the URL as it is. */
static void check_literal(const char *literal)
{
    for (const char *c = literal; *c != '\0'; c++) {
        assert(*c > ' ' && *c <= '~' && strchr("%?#\\{}\"<>^`|", *c) == NULL);
    }
}

/* The parts are the template, and nothing else: literals and variables take turns. */
static void check_parts(const char *text, const struct br_path_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *literal = parts[i].literal;
        assert((literal == NULL) == (parts[i].variable != NULL));
        assert(i == 0 || (literal == NULL) != (parts[i - 1].literal == NULL));
        if (literal != NULL) {
            check_literal(literal);
        }
        const char *name = literal != NULL ? literal : parts[i].variable->name;
        size_t len = strlen(name);
        text += literal == NULL;
        assert(len > 0 && strncmp(text, name, len) == 0);
        text += len + (literal == NULL);
    }
    assert(*text == '\0');
}

/* A message of |method|'s with the lines of |input| as the values of the variables; |packed| is the caller's. */
static size_t make_request(const struct br_method *method, struct fuzz_input *input, struct br_arena *arena,
                           uint8_t **packed)
{
    ProtobufCMessage *message = br_message_new(method->input->descriptor, arena);
    assert(message != NULL);
    for (size_t i = 0; i < method->part_count; i++) {
        if (method->parts[i].literal == NULL && input->at < input->end) {
            char *line = fuzz_part(input, '\n', NULL);
            union br_value value = {.text = br_arena_strndup(arena, line, strlen(line))};
            free(line);
            assert(value.text != NULL);
            br_field_set(message, method->parts[i].variable, value);
        }
    }
    *packed = malloc(protobuf_c_message_get_packed_size(message) + 1);
    assert(*packed != NULL);
    return protobuf_c_message_pack(message, *packed);
}

/* A method whose path is the template: what stands in the path does not stand in the body. */
static void expand(const struct br_path_part *parts, size_t count, struct fuzz_input *input,
                   struct br_arena *arena)
{
    struct br_method method = *fuzz_method_named("UpdateThing");
    method.parts = parts;
    method.part_count = count;
    size_t field_count = method.input->field_count;
    enum br_role *roles = br_arena_alloc(arena, field_count * sizeof *roles);
    assert(roles != NULL);
    for (size_t i = 0; i < field_count; i++) {
        roles[i] = method.roles[i] == BR_ROLE_PATH ? BR_ROLE_BODY : method.roles[i];
        for (size_t k = 0; k < count; k++) {
            roles[i] = parts[k].variable == &method.input->fields[i] ? BR_ROLE_PATH : roles[i];
        }
    }
    method.roles = roles;

    uint8_t *packed;
    size_t len = make_request(&method, input, arena, &packed);
    (void)fuzz_check_request(&method, false, FUZZ_ARENA_BYTES, packed, len);
    free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {.at = data, .end = data + size};
    const struct br_message_plan *plan = fuzz_method_named("UpdateThing")->input;
    const struct br_path_part *parts;
    size_t count;
    struct br_status st;
    struct br_arena arena;
    br_arena_init(&arena, (size_t)1 << 20);
    char *text = fuzz_part(&input, '\n', NULL);
    if (br_path_template_compile(text, plan, &arena, &parts, &count, &st)) {
        check_parts(text, parts, count);
        expand(parts, count, &input, &arena);
    } else {
        fuzz_check_status(&st);
    }
    free(text);
    br_arena_finish(&arena);
    return 0;
}
