#include "cmd/terminal.h"

#include "base/utf8.h"

/* The control character at |text| as a code point, and its length in bytes; 0: none. C1 is two bytes long. */
static size_t control_at(const char *text, size_t len, unsigned int *out)
{
    const unsigned char *bytes = (const unsigned char *)text;
    if (bytes[0] < 0x20 || bytes[0] == 0x7F) {
        *out = bytes[0];
        return 1;
    }
    if (bytes[0] == 0xC2 && len > 1 && bytes[1] >= 0x80 && bytes[1] < 0xA0) {
        *out = bytes[1];
        return 2;
    }
    return 0;
}

/* Plain text, where a backslash is escaped too, or what stands in a JSON string, where it escapes already. */
enum form { FORM_TEXT, FORM_JSON_STRING };

/* How many bytes from |text| on need no escape. */
static size_t plain_run(const char *text, size_t len, enum form form)
{
    size_t valid = br_utf8_valid_prefix(text, len);
    size_t at = 0;
    unsigned int ignored;
    while (at < valid && !(form == FORM_TEXT && text[at] == '\\') &&
           control_at(text + at, valid - at, &ignored) == 0) {
        at++;
    }
    return at;
}

static enum br_buf_result put_escaped(struct br_buf *out, const char *text, size_t len, enum form form)
{
    const char *end = text + len;
    enum br_buf_result result = BR_BUF_OK;
    while (text < end && result == BR_BUF_OK) {
        unsigned int control;
        size_t run = plain_run(text, (size_t)(end - text), form);
        if (run > 0) {
            result = br_buf_append(out, text, run);
        } else if ((run = control_at(text, (size_t)(end - text), &control)) > 0) {
            if (control == '\n' || control == '\t') {
                result = br_buf_puts(out, control == '\n' ? "\\n" : "\\t");
            } else {
                result = br_buf_printf(out, "\\u%04x", control);
            }
        } else {
            run = 1;
            if (form == FORM_JSON_STRING) {
                result = br_buf_puts(out, "\\ufffd");
            } else if (*text == '\\') {
                result = br_buf_puts(out, "\\\\");
            } else {
                result = br_buf_printf(out, "\\x%02x", (unsigned int)(unsigned char)*text);
            }
        }
        text += run;
    }
    return result;
}

enum br_buf_result br_terminal_text(struct br_buf *out, const char *text, size_t len)
{
    return put_escaped(out, text, len, FORM_TEXT);
}

static enum br_buf_result new_line(struct br_buf *out, size_t depth)
{
    enum br_buf_result result = br_buf_puts(out, "\n");
    for (size_t i = 0; i < depth && result == BR_BUF_OK; i++) {
        result = br_buf_puts(out, "  ");
    }
    return result;
}

/* The length of the string that begins at |json|, its quotes included. */
static size_t string_length(const char *json, size_t len)
{
    size_t at = 1;
    while (at < len && json[at] != '"') {
        at += json[at] == '\\' ? 2 : 1;
    }
    return at < len ? at + 1 : len;
}

enum br_buf_result br_terminal_json(struct br_buf *out, const char *json, size_t len)
{
    size_t depth = 0;
    enum br_buf_result result = BR_BUF_OK;
    for (size_t at = 0; at < len && result == BR_BUF_OK; at++) {
        char c = json[at];
        char closing = c == '{' ? '}' : ']';
        switch (c) {
        case '"': {
            size_t string_len = string_length(json + at, len - at);
            result = put_escaped(out, json + at, string_len, FORM_JSON_STRING);
            at += string_len - 1;
            break;
        }
        case '{':
        case '[':
            result = br_buf_append(out, &c, 1);
            if (result == BR_BUF_OK && at + 1 < len && json[at + 1] == closing) {
                result = br_buf_append(out, &json[++at], 1);
            } else if (result == BR_BUF_OK) {
                result = new_line(out, ++depth);
            }
            break;
        case '}':
        case ']':
            if (depth > 0) {
                depth--;
            }
            result = new_line(out, depth);
            if (result == BR_BUF_OK) {
                result = br_buf_append(out, &c, 1);
            }
            break;
        case ',':
            result = br_buf_append(out, &c, 1);
            if (result == BR_BUF_OK) {
                result = new_line(out, depth);
            }
            break;
        case ':':
            result = br_buf_puts(out, ": ");
            break;
        default:
            result = br_buf_append(out, &c, 1);
            break;
        }
    }
    return result;
}
