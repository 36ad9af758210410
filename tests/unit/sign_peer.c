/*
 * Signs the requests that standard input describes, for test_sign_peer.py.
 *
 * One line each: fields in hexadecimal, separated by spaces, in the order of enum field; "-" is a NULL. For each,
 * the headers are printed as "Name: value" lines, and an empty line after them.
 */
#include "upstream/sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES ((size_t)1 << 20)

enum field {
    DIALECT, /* the words access, credential */
    ACCESS_KEY,
    SECRET_KEY,
    SECURITY_TOKEN,
    VERB,
    URL,
    CONTENT_TYPE,
    BODY,
    UNIX_S, /* decimal digits */
    REGION,
    SERVICE,
    PROJECT_ID,
    FIELD_COUNT,
};

static void fail(const char *why)
{
    fprintf(stderr, "sign_peer: %s\n", why);
    exit(1);
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    if (at == NULL)
        fail("not a hexadecimal digit");
    return (int)(at - digits);
}

/* In place; the text gets a NUL after its |len| bytes. */
static char *read_field(char *text, size_t *len)
{
    *len = 0;
    if (strcmp(text, "-") == 0)
        return NULL;
    size_t digits = strlen(text);
    if (digits % 2 != 0)
        fail("half a byte");
    for (size_t i = 0; i < digits; i += 2)
        text[(*len)++] = (char)(hex_digit(text[i]) << 4 | hex_digit(text[i + 1]));
    text[*len] = '\0';
    return text;
}

static int64_t read_decimal(const char *text)
{
    int64_t value = 0;
    for (; *text != '\0'; text++)
        value = value * 10 + (*text - '0');
    return value;
}

static void sign_line(char *line)
{
    char *fields[FIELD_COUNT];
    size_t lens[FIELD_COUNT];
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        char *text = strsep(&line, " ");
        if (text == NULL)
            fail("too few fields");
        fields[i] = read_field(text, &lens[i]);
    }

    struct br_sign_key key = {.access_key = fields[ACCESS_KEY],
                              .secret_key = fields[SECRET_KEY],
                              .security_token = fields[SECURITY_TOKEN]};
    /* A name with a "_" must never be signed. */
    struct br_header headers[] = {{.name = "X_Trace", .value = "1"},
                                  {.name = "Content-Type", .value = fields[CONTENT_TYPE]}};
    struct br_sign_request request = {
        .verb = fields[VERB],
        .url = fields[URL],
        .headers = {.items = headers, .count = fields[CONTENT_TYPE] != NULL ? 2 : 1},
        .body = fields[BODY],
        .body_len = lens[BODY],
        .unix_s = read_decimal(fields[UNIX_S]),
        .region = fields[REGION],
        .service = fields[SERVICE],
        .project_id = fields[PROJECT_ID],
    };
    enum br_sign_dialect dialect =
        strcmp(fields[DIALECT], "access") == 0 ? BR_SIGN_ACCESS : BR_SIGN_CREDENTIAL;
    struct br_arena arena;
    struct br_headers out;
    struct br_status st;
    br_arena_init(&arena, ARENA_BYTES);
    if (!br_sign(&key, dialect, &request, &arena, &out, &st))
        fail(st.msg);
    for (size_t i = 0; i < out.count; i++)
        printf("%s: %s\n", out.items[i].name, out.items[i].value);
    printf("\n");
    br_arena_finish(&arena);
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    while ((len = getline(&line, &cap, stdin)) > 0) {
        if (line[len - 1] == '\n')
            line[len - 1] = '\0';
        sign_line(line);
    }
    free(line);
    return 0;
}
