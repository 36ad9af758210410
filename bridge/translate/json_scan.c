#include "translate/json_scan.h"

#include "base/utf8.h"
#include "translate/json_read.h"
#include "translate/wire_check.h"

#include <stdint.h>
#include <string.h>

/* What may stand next. */
enum state {
    WANT_VALUE,
    WANT_VALUE_OR_END, /* after '[' */
    WANT_KEY,
    WANT_KEY_OR_END, /* after '{' */
    WANT_COLON,
    WANT_COMMA_OR_END, /* after a value; at depth 0: the end of the text */
};

struct scanner {
    const char *text;
    size_t len;
    size_t at;
    unsigned depth;
    uint64_t objects; /* bit |depth| - 1: whether the innermost container is an object, and so on outwards */
    size_t value_count;
    enum state state;
    struct br_json_fault *fault;
};

_Static_assert(BR_MAX_DEPTH <= 64, "one bit for each level");

static bool fail(struct scanner *scanner, const char *what)
{
    *scanner->fault = (struct br_json_fault){.offset = scanner->at, .what = what};
    return false;
}

static bool fail_early_end(struct scanner *scanner)
{
    scanner->at = scanner->len;
    return fail(scanner, "the text ends too early");
}

/* The value of the four hexadecimal digits at |at|; -1 when they are something else. */
static int32_t read_hex4(const struct scanner *scanner, size_t at)
{
    if (scanner->len - at < 4) {
        return -1;
    }
    int32_t value = 0;
    for (size_t i = at; i < at + 4; i++) {
        char c = scanner->text[i];
        int32_t digit;
        if (c >= '0' && c <= '9') {
            digit = c - '0';
        } else if (c >= 'a' && c <= 'f') {
            digit = c - 'a' + 10;
        } else if (c >= 'A' && c <= 'F') {
            digit = c - 'A' + 10;
        } else {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

/* |at| is at the backslash. */
static bool scan_escape(struct scanner *scanner)
{
    const char *text = scanner->text;
    size_t left = scanner->len - scanner->at;
    if (left < 2) {
        return fail_early_end(scanner);
    }
    char kind = text[scanner->at + 1];
    if (kind != 'u') {
        if (kind == '\0' || strchr("\"\\/bfnrt", kind) == NULL) {
            return fail(scanner, "an escape that JSON does not have");
        }
        scanner->at += 2;
        return true;
    }
    int32_t unit = read_hex4(scanner, scanner->at + 2);
    if (unit < 0) {
        return fail(scanner, "\\u without four hexadecimal digits");
    }
    if (unit == 0) {
        return fail(scanner, "a NUL character (\\u0000), which is not accepted");
    }
    if (unit < 0xD800 || unit > 0xDFFF) {
        scanner->at += 6;
        return true;
    }
    int32_t low = -1;
    if (unit <= 0xDBFF && left >= 8 && text[scanner->at + 6] == '\\' && text[scanner->at + 7] == 'u') {
        low = read_hex4(scanner, scanner->at + 8);
    }
    if (low < 0xDC00 || low > 0xDFFF) {
        return fail(scanner, "half a surrogate pair");
    }
    scanner->at += 12;
    return true;
}

/* |at| is at the opening quote. */
static bool scan_string(struct scanner *scanner)
{
    scanner->at++;
    while (scanner->at < scanner->len) {
        char c = scanner->text[scanner->at];
        if (c == '"') {
            scanner->at++;
            return true;
        }
        if (c == '\0') {
            return fail(scanner, "a NUL character, which is not accepted");
        }
        if (c != '\\') {
            scanner->at++;
        } else if (!scan_escape(scanner)) {
            return false;
        }
    }
    return fail_early_end(scanner);
}

/* Steps over digits; false when there is none. */
static bool scan_digits(struct scanner *scanner)
{
    size_t start = scanner->at;
    while (scanner->at < scanner->len && scanner->text[scanner->at] >= '0' &&
           scanner->text[scanner->at] <= '9') {
        scanner->at++;
    }
    return scanner->at > start;
}

/* Steps over one character of |set|; false when there is none. */
static bool scan_one_of(struct scanner *scanner, const char *set)
{
    if (scanner->at == scanner->len || scanner->text[scanner->at] == '\0' ||
        strchr(set, scanner->text[scanner->at]) == NULL) {
        return false;
    }
    scanner->at++;
    return true;
}

static bool scan_number(struct scanner *scanner)
{
    size_t start = scanner->at;
    (void)scan_one_of(scanner, "-");
    if (!scan_one_of(scanner, "0") && !scan_digits(scanner)) {
        return fail(scanner, "a value is expected");
    }
    if (scan_one_of(scanner, ".") && !scan_digits(scanner)) {
        return fail(scanner, "a number without digits after its point");
    }
    if (scan_one_of(scanner, "eE")) {
        (void)scan_one_of(scanner, "+-");
        if (!scan_digits(scanner)) {
            return fail(scanner, "a number without digits in its exponent");
        }
    }
    if (scanner->at - start <= BR_JSON_NUMBER_MAX_CHARS) {
        return true;
    }
    scanner->at = start;
    return fail(scanner, "a number of more than 63 characters");
}

static bool scan_word(struct scanner *scanner, const char *word)
{
    size_t len = strlen(word);
    if (scanner->len - scanner->at < len || memcmp(scanner->text + scanner->at, word, len) != 0) {
        return fail(scanner, "a value is expected");
    }
    scanner->at += len;
    return true;
}

static bool open_container(struct scanner *scanner, bool is_object)
{
    if (scanner->depth == BR_MAX_DEPTH) {
        return fail(scanner, "objects and lists nested too deep");
    }
    scanner->objects = scanner->objects << 1 | is_object;
    scanner->depth++;
    scanner->at++;
    scanner->state = is_object ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
    return true;
}

static bool in_object(const struct scanner *scanner)
{
    return (scanner->objects & 1) != 0;
}

/* Whether |c| ends the innermost container. */
static bool is_end(const struct scanner *scanner, char c)
{
    return scanner->depth > 0 && c == (in_object(scanner) ? '}' : ']');
}

static void close_container(struct scanner *scanner)
{
    scanner->objects >>= 1;
    scanner->depth--;
    scanner->at++;
    scanner->state = WANT_COMMA_OR_END;
}

static bool scan_value(struct scanner *scanner, char first)
{
    if (++scanner->value_count > BR_MAX_JSON_VALUES) {
        return fail(scanner, "too many values");
    }
    scanner->state = WANT_COMMA_OR_END;
    switch (first) {
    case '{':
        return open_container(scanner, true);
    case '[':
        return open_container(scanner, false);
    case '"':
        return scan_string(scanner);
    case 't':
        return scan_word(scanner, "true");
    case 'f':
        return scan_word(scanner, "false");
    case 'n':
        return scan_word(scanner, "null");
    default:
        return scan_number(scanner);
    }
}

/* Steps over the token that begins with |c|. */
static bool scan_token(struct scanner *scanner, char c)
{
    switch (scanner->state) {
    case WANT_VALUE_OR_END:
    case WANT_KEY_OR_END:
        if (is_end(scanner, c)) {
            close_container(scanner);
            return true;
        }
        scanner->state = scanner->state == WANT_KEY_OR_END ? WANT_KEY : WANT_VALUE;
        return true;
    case WANT_VALUE:
        return scan_value(scanner, c);
    case WANT_KEY:
        if (c != '"') {
            return fail(scanner, "a key in double quotes is expected");
        }
        scanner->state = WANT_COLON;
        return scan_string(scanner);
    case WANT_COLON:
        if (c != ':') {
            return fail(scanner, "a ':' is expected");
        }
        scanner->at++;
        scanner->state = WANT_VALUE;
        return true;
    case WANT_COMMA_OR_END:
        if (scanner->depth == 0) {
            return fail(scanner, "text after the value");
        }
        if (is_end(scanner, c)) {
            close_container(scanner);
            return true;
        }
        if (c != ',') {
            return fail(scanner,
                        in_object(scanner) ? "a ',' or '}' is expected" : "a ',' or ']' is expected");
        }
        scanner->at++;
        scanner->state = in_object(scanner) ? WANT_KEY : WANT_VALUE;
        return true;
    }
    return fail(scanner, "a value is expected");
}

bool br_json_scan(const char *text, size_t len, struct br_json_fault *fault)
{
    struct scanner scanner = {.text = text, .len = len, .fault = fault};
    scanner.at = br_utf8_valid_prefix(text, len);
    if (scanner.at != len) {
        return fail(&scanner, "text that is not UTF-8");
    }

    scanner.at = 0;
    for (;;) {
        while (scan_one_of(&scanner, " \t\r\n")) {
            continue;
        }
        if (scanner.at == len) {
            break;
        }
        if (!scan_token(&scanner, text[scanner.at])) {
            return false;
        }
    }
    if (scanner.state == WANT_COMMA_OR_END && scanner.depth == 0) {
        return true;
    }
    return fail_early_end(&scanner);
}
