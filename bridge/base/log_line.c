#include "base/log_line.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* By enum br_log_level, as the format for people has them. */
static const char *const level_labels[] = {"ERROR", "WARN ", "INFO ", "DEBUG"};

/* What may follow the last field that fits, and what does, by enum br_log_format. */
static const char *const cut_marks[] = {",\"cut\":1", " cut=1"};
static const char *const line_ends[] = {"}\n", "\n"};

/* Room is kept for both, of the format where they are longer. */
#define FIELDS_MAX (BR_LOG_LINE_MAX - strlen(",\"cut\":1") - strlen("}\n"))

static bool is_json(const struct br_log_line *line)
{
    return line->format == BR_LOG_JSON;
}

static void put_bytes(struct br_log_line *line, const char *bytes, size_t len)
{
    if (line->full || len > FIELDS_MAX - line->len) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->len, bytes, len);
    line->len += len;
}

static void put_text(struct br_log_line *line, const char *text)
{
    put_bytes(line, text, strlen(text));
}

/* The bytes of the character at |text|, well-formed UTF-8. */
static size_t character_len(const char *text)
{
    unsigned char lead = (unsigned char)*text;
    if (lead < 0xC0) {
        return 1;
    }
    return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

/* The code point of a character that could end the line or change how it is shown; 0: it is none of these. */
static unsigned int unsafe_character(const char *text, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)text;
    if (len == 1 && (bytes[0] < 0x20 || bytes[0] == 0x7F)) {
        return bytes[0];
    }
    if (len == 2 && bytes[0] == 0xC2 && bytes[1] < 0xA0) {
        return bytes[1];
    }
    if (len == 3 && bytes[0] == 0xE2) {
        unsigned int code = 0x2000U | (bytes[1] & 0x3FU) << 6 | (bytes[2] & 0x3FU);
        bool separates = code == 0x2028 || code == 0x2029;
        bool turns = (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) ||
                     code == 0x200E || code == 0x200F;
        return separates || turns ? code : 0;
    }
    return 0;
}

/* How many of |len| bytes, well-formed UTF-8, need no escape. */
static size_t plain_run(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len && text[at] != '"' && text[at] != '\\') {
        size_t character = character_len(text + at);
        if (unsafe_character(text + at, character) != 0) {
            break;
        }
        at += character;
    }
    return at;
}

/* The character at |text|, which needs an escape. */
static void put_escaped(struct br_log_line *line, const char *text, size_t len)
{
    static const char names[] = "\"\\\n\r\t";
    static const char letters[] = "\"\\nrt";
    char escape[8];
    const char *name = strchr(names, *text);
    if (name != NULL) {
        (void)snprintf(escape, sizeof escape, "\\%c", letters[name - names]);
    } else {
        (void)snprintf(escape, sizeof escape, "\\u%04x", unsafe_character(text, len));
    }
    put_text(line, escape);
}

/* |len| bytes of a string, well-formed UTF-8. */
static void put_characters(struct br_log_line *line, const char *text, size_t len)
{
    const char *end = text + len;
    while (text < end && !line->full) {
        size_t step = plain_run(text, (size_t)(end - text));
        if (step > 0) {
            put_bytes(line, text, step);
        } else {
            step = character_len(text);
            put_escaped(line, text, step);
        }
        text += step;
    }
}

static void put_string(struct br_log_line *line, const char *text)
{
    static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
    size_t len = strlen(text);
    put_text(line, "\"");
    while (len > 0 && !line->full) {
        size_t valid = br_utf8_valid_prefix(text, len);
        put_characters(line, text, valid);
        text += valid;
        len -= valid;
        if (len > 0) {
            put_text(line, replacement);
            text++;
            len--;
        }
    }
    put_text(line, "\"");
}

/* Whether |text| can stand bare in a line for people: it can be taken for no more than one word. */
static bool is_word(const char *text)
{
    size_t len = 0;
    while (text[len] > ' ' && text[len] < 0x7F && strchr("\"\\=", text[len]) == NULL) {
        len++;
    }
    return len > 0 && text[len] == '\0';
}

static void put_word(struct br_log_line *line, const char *text)
{
    if (!is_json(line) && is_word(text)) {
        put_text(line, text);
    } else {
        put_string(line, text);
    }
}

/* The line's opening: {"time":"...","level":"...", or the same bare. */
static void put_opening(struct br_log_line *line, const struct br_log_entry *entry)
{
    struct tm utc;
    char text[96];
    if (gmtime_r(&entry->when.tv_sec, &utc) == NULL) {
        memset(&utc, 0, sizeof utc);
    }
    int ms = (int)(entry->when.tv_nsec / 1000000);
    size_t len = strftime(text, sizeof text,
                          is_json(line) ? "{\"time\":\"%Y-%m-%dT%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &utc);
    if (is_json(line)) {
        (void)snprintf(text + len, sizeof text - len, ".%03dZ\",\"level\":\"%s\"", ms,
                       br_log_level_name(entry->level));
    } else {
        (void)snprintf(text + len, sizeof text - len, ".%03d %s", ms, level_labels[entry->level]);
    }
    put_text(line, text);
}

static void put_event(struct br_log_line *line, const char *event)
{
    put_text(line, is_json(line) ? ",\"event\":" : " ");
    put_word(line, event);
}

static void put_field(struct br_log_line *line, const struct br_log_field *field)
{
    char number[32];
    put_text(line, is_json(line) ? "," : " ");
    put_word(line, field->key);
    put_text(line, is_json(line) ? ":" : "=");
    switch (field->kind) {
    case BR_LOG_KIND_TEXT:
        put_word(line, field->text);
        break;
    case BR_LOG_KIND_NUMBER:
        (void)snprintf(number, sizeof number, "%" PRId64, field->number);
        put_text(line, number);
        break;
    case BR_LOG_KIND_MS:
        /* The sign of what is above -1 ms is lost with its zero. */
        (void)snprintf(number, sizeof number, "%s%" PRId64 ".%03d",
                       field->number < 0 && field->number > -1000 ? "-" : "", field->number / 1000,
                       abs((int)(field->number % 1000)));
        put_text(line, number);
        break;
    }
}

/* What is to be kept whole: room for it was kept. */
static void put_reserved(struct br_log_line *line, const char *text)
{
    size_t len = strlen(text);
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

void br_log_line_write(struct br_log_line *line, enum br_log_format format, const struct br_log_entry *entry)
{
    line->len = 0;
    line->format = format;
    line->full = false;
    put_opening(line, entry);

    size_t whole = line->len;
    put_event(line, entry->event);
    if (entry->suppressed_count > 0 && !line->full) {
        whole = line->len;
        struct br_log_field suppressed = br_log_number("suppressed", entry->suppressed_count);
        put_field(line, &suppressed);
    }
    for (size_t i = 0; i < entry->field_count && !line->full; i++) {
        whole = line->len;
        put_field(line, &entry->fields[i]);
    }

    if (line->full) {
        line->len = whole;
        put_reserved(line, cut_marks[format]);
    }
    put_reserved(line, line_ends[format]);
}
