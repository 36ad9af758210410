#include "cmd/statusz_html.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char head[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<style>\n"
    ":root{color-scheme:light dark}\n"
    "body{font:15px/1.45 system-ui,sans-serif;margin:1.5rem auto;max-width:90rem;padding:0 1rem}\n"
    "h1{font-size:1.4rem}h2{font-size:1.1rem;margin:1.8rem 0 .4rem}\n"
    "table{border-collapse:collapse}\n"
    "th,td{text-align:left;vertical-align:top;padding:.25rem 1.2rem .25rem 0;border-bottom:1px solid #8884;"
    "overflow-wrap:anywhere}\n"
    "th{font-weight:600}thead th{opacity:.7;white-space:nowrap}\n"
    ".wide{overflow-x:auto}.wide th,.wide td{overflow-wrap:normal}\n"
    "td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\n"
    "</style>\n<title>";

/* After the first failure nothing more is written. */
struct writer {
    struct br_buf *out;
    enum br_buf_result result;
};

static void put_bytes(struct writer *writer, const char *bytes, size_t len)
{
    if (writer->result == BR_BUF_OK) {
        writer->result = br_buf_append(writer->out, bytes, len);
    }
}

static void put(struct writer *writer, const char *text)
{
    put_bytes(writer, text, strlen(text));
}

/* How a byte is written that HTML gives a meaning; NULL: as it is. Paths and names of methods may break after a slash. */
static const char *escape_of(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    case '/':
        return "/<wbr>";
    default:
        /* HTML has no way to write most control characters. */
        return (unsigned char)c < 0x20 && c != '\t' && c != '\n' ? "\xEF\xBF\xBD" : NULL;
    }
}

static void put_valid(struct writer *writer, const char *text, size_t len)
{
    size_t begin = 0;
    for (size_t i = 0; i < len; i++) {
        const char *escape = escape_of(text[i]);
        if (escape != NULL) {
            put_bytes(writer, text + begin, i - begin);
            put(writer, escape);
            begin = i + 1;
        }
    }
    put_bytes(writer, text + begin, len - begin);
}

static void put_text(struct writer *writer, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        size_t valid = br_utf8_valid_prefix(text, len);
        put_valid(writer, text, valid);
        text += valid;
        len -= valid;
        if (len > 0) {
            put(writer, "\xEF\xBF\xBD"); /* U+FFFD */
            text++;
            len--;
        }
    }
}

/* ---- Names and units ---- */

static const char *const units[] = {"_s", "_ms", "_bytes"};

/* The unit at the end of |key|; "" where there is none. */
static const char *unit_of(const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t unit_len = strlen(units[i]);
        if (len > unit_len && strcmp(key + len - unit_len, units[i]) == 0) {
            return key + len - unit_len;
        }
    }
    return "";
}

/* "expires_in_s" is "Expires in". */
static void put_label(struct writer *writer, const char *key)
{
    size_t len = strlen(key) - strlen(unit_of(key));
    for (size_t i = 0; i < len; i++) {
        char c = key[i] == '_' ? ' ' : key[i];
        const char text[2] = {(char)(i == 0 && c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c), '\0'};
        put_text(writer, text);
    }
}

/* "1 hour", "2 hours". */
static void put_count(struct writer *writer, int64_t count, const char *unit)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%" PRId64 " %s%s", count, unit, count == 1 ? "" : "s");
    put(writer, text);
}

/* The two largest units that say something: "2 days 3 hours", "90 seconds" being "1 minute 30 seconds". */
static void put_seconds(struct writer *writer, int64_t seconds)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } parts[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    size_t i = 0;
    while (i < 3 && seconds < parts[i].seconds) {
        i++;
    }
    put_count(writer, seconds / parts[i].seconds, parts[i].name);
    int64_t rest = seconds % parts[i].seconds;
    if (rest > 0 && rest >= parts[i + 1].seconds) {
        put(writer, " ");
        put_count(writer, rest / parts[i + 1].seconds, parts[i + 1].name);
    }
}

static void put_number(struct writer *writer, const char *key, double value)
{
    const char *unit = unit_of(key);
    if (unit[0] == '\0' || value < 0) {
        char text[32];
        (void)snprintf(text, sizeof text, "%.15g", value);
        put(writer, text);
    } else if (strcmp(unit, "_s") == 0) {
        put_seconds(writer, (int64_t)value);
    } else {
        put_count(writer, (int64_t)value, strcmp(unit, "_bytes") == 0 ? "byte" : "millisecond");
    }
}

/* ---- Values ---- */

static bool is_nested(const cJSON *item)
{
    return cJSON_IsObject(item) || cJSON_IsArray(item);
}

/* What is nested is on one line: the elements of a list, "OK 3, NOT_FOUND 1" of an object. */
static void put_value(struct writer *writer, const char *key, const cJSON *item)
{
    if (cJSON_IsString(item)) {
        put_text(writer, item->valuestring);
    } else if (cJSON_IsNumber(item)) {
        put_number(writer, key, item->valuedouble);
    } else if (cJSON_IsBool(item)) {
        put(writer, cJSON_IsTrue(item) ? "yes" : "no");
    } else if (item == NULL || item->child == NULL) {
        put(writer, "\xE2\x80\x93"); /* a dash */
    }
    for (const cJSON *part = is_nested(item) ? item->child : NULL; part != NULL; part = part->next) {
        if (part->string != NULL) {
            put_text(writer, part->string);
            put(writer, " ");
        }
        /* Deeper ones have no place on a line. */
        put_value(writer, part->string != NULL ? part->string : "", is_nested(part) ? NULL : part);
        put(writer, part->next != NULL ? ", " : "");
    }
}

static void put_cell(struct writer *writer, const char *key, const cJSON *item)
{
    put(writer, cJSON_IsNumber(item) ? "<td class=\"n\">" : "<td>");
    put_value(writer, key, item);
    put(writer, "</td>");
}

/* ---- Tables ---- */

/* The members of |object| that are not sections of their own. */
static void put_pairs(struct writer *writer, const cJSON *object, bool (*is_section)(const cJSON *item))
{
    put(writer, "<table>\n");
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        if (is_section != NULL && is_section(item)) {
            continue;
        }
        put(writer, "<tr><th scope=\"row\">");
        put_label(writer, item->string);
        put(writer, "</th><td>");
        put_value(writer, item->string, item);
        put(writer, "</td></tr>\n");
    }
    put(writer, "</table>\n");
}

/* A row for each element, which are objects: those of an object begin with their names. */
static void put_rows(struct writer *writer, const cJSON *items)
{
    put(writer, "<div class=\"wide\"><table>\n<thead><tr>");
    const cJSON *first = items->child;
    put(writer, first->string != NULL ? "<th>Name</th>" : "");
    for (const cJSON *item = first->child; item != NULL; item = item->next) {
        put(writer, "<th>");
        put_label(writer, item->string);
        put(writer, "</th>");
    }
    put(writer, "</tr></thead>\n<tbody>\n");
    for (const cJSON *row = first; row != NULL; row = row->next) {
        put(writer, "<tr>");
        if (row->string != NULL) {
            put(writer, "<th scope=\"row\">");
            put_text(writer, row->string);
            put(writer, "</th>");
        }
        for (const cJSON *item = first->child; item != NULL; item = item->next) {
            put_cell(writer, item->string, cJSON_GetObjectItemCaseSensitive(row, item->string));
        }
        put(writer, "</tr>\n");
    }
    put(writer, "</tbody>\n</table></div>\n");
}

/* An object, or a list that is empty or of objects; other lists stay beside the texts and numbers. */
static bool is_section(const cJSON *item)
{
    return cJSON_IsObject(item) ||
           (cJSON_IsArray(item) && (item->child == NULL || cJSON_IsObject(item->child)));
}

static void put_section(struct writer *writer, const cJSON *section)
{
    put(writer, "<h2>");
    put_label(writer, section->string);
    put(writer, "</h2>\n");
    if (section->child == NULL) {
        put(writer, "<p>none</p>\n");
    } else if (cJSON_IsObject(section->child)) {
        put_rows(writer, section);
    } else {
        put_pairs(writer, section, NULL);
    }
}

enum br_buf_result br_statusz_html(const char *title, const cJSON *root, struct br_buf *out)
{
    struct writer writer = {.out = out, .result = BR_BUF_OK};
    put(&writer, head);
    put_text(&writer, title);
    put(&writer, "</title>\n</head>\n<body>\n<h1>");
    put_text(&writer, title);
    put(&writer, "</h1>\n");
    put_pairs(&writer, root, is_section);
    for (const cJSON *item = root->child; item != NULL; item = item->next) {
        if (is_section(item)) {
            put_section(&writer, item);
        }
    }
    put(&writer, "</body>\n</html>\n");
    return writer.result;
}
