#include "text.h"

#include "alloc.h"

#include <string.h>

struct reader {
    const char *at, *end;
    size_t depth_left;
};

size_t sim_text_utf8_char(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    if (len == 0) {
        return 0;
    }
    if (p[0] < 0x80) {
        return 1;
    }
    /* The second byte's range rules out overlong forms, surrogates and what lies above U+10FFFF. */
    unsigned char low = 0x80, high = 0xBF;
    size_t size;
    if (p[0] >= 0xC2 && p[0] <= 0xDF) {
        size = 2;
    } else if (p[0] >= 0xE0 && p[0] <= 0xEF) {
        size = 3;
        low = p[0] == 0xE0 ? 0xA0 : 0x80;
        high = p[0] == 0xED ? 0x9F : 0xBF;
    } else if (p[0] >= 0xF0 && p[0] <= 0xF4) {
        size = 4;
        low = p[0] == 0xF0 ? 0x90 : 0x80;
        high = p[0] == 0xF4 ? 0x8F : 0xBF;
    } else {
        return 0;
    }
    if (len < size || p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if (p[i] < 0x80 || p[i] > 0xBF) {
            return 0;
        }
    }
    return size;
}

char *sim_text_clean(const char *text, size_t len)
{
    static const char replacement[] = "\xEF\xBF\xBD";
    char *out = sim_alloc(len * (sizeof replacement - 1) + 1);
    size_t out_len = 0;
    for (size_t i = 0; i < len;) {
        size_t size = text[i] == '\0' ? 0 : sim_text_utf8_char(text + i, len - i);
        if (size == 0) {
            memcpy(out + out_len, replacement, sizeof replacement - 1);
            out_len += sizeof replacement - 1;
            i++;
        } else {
            memcpy(out + out_len, text + i, size);
            out_len += size;
            i += size;
        }
    }
    out[out_len] = '\0';
    return out;
}

size_t sim_text_char_count(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        if (((unsigned char)*text & 0xC0) != 0x80) {
            count++;
        }
    }
    return count;
}

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) {
        r->at++;
    }
}

static bool take(struct reader *r, char c)
{
    if (r->at < r->end && *r->at == c) {
        r->at++;
        return true;
    }
    return false;
}

static bool take_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0) {
        return false;
    }
    r->at += len;
    return true;
}

static bool take_digits(struct reader *r)
{
    const char *start = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        r->at++;
    }
    return r->at > start;
}

static bool take_number(struct reader *r)
{
    take(r, '-');
    if (!take(r, '0') && !take_digits(r)) {
        return false;
    }
    if (take(r, '.') && !take_digits(r)) {
        return false;
    }
    if (take(r, 'e') || take(r, 'E')) {
        if (!take(r, '+')) {
            take(r, '-');
        }
        return take_digits(r);
    }
    return true;
}

static bool take_hex4(struct reader *r)
{
    for (int i = 0; i < 4; i++) {
        if (r->at == r->end || *r->at == '\0' || strchr("0123456789abcdefABCDEF", *r->at) == NULL) {
            return false;
        }
        r->at++;
    }
    return true;
}

static bool take_string(struct reader *r)
{
    if (!take(r, '"')) {
        return false;
    }
    while (r->at < r->end) {
        unsigned char c = (unsigned char)*r->at;
        if (c == '"') {
            r->at++;
            return true;
        }
        if (c < 0x20) {
            return false;
        }
        if (c == '\\') {
            r->at++;
            if (take(r, 'u')) {
                if (!take_hex4(r)) {
                    return false;
                }
                continue;
            }
            if (r->at == r->end || *r->at == '\0' || strchr("\"\\/bfnrt", *r->at) == NULL) {
                return false;
            }
            r->at++;
            continue;
        }
        size_t size = sim_text_utf8_char(r->at, (size_t)(r->end - r->at));
        if (size == 0) {
            return false;
        }
        r->at += size;
    }
    return false;
}

static bool take_value(struct reader *r);

static bool take_members(struct reader *r, char close, bool named)
{
    skip_space(r);
    if (take(r, close)) {
        return true;
    }
    do {
        skip_space(r);
        if (named) {
            if (!take_string(r)) {
                return false;
            }
            skip_space(r);
            if (!take(r, ':')) {
                return false;
            }
        }
        if (!take_value(r)) {
            return false;
        }
        skip_space(r);
    } while (take(r, ','));
    return take(r, close);
}

/* Recursion ends at |depth_left|, which the caller bounds. */
static bool take_value(struct reader *r)
{
    skip_space(r);
    if (r->at == r->end) {
        return false;
    }
    bool ok;
    switch (*r->at) {
    case '{':
    case '[':
        if (r->depth_left == 0) {
            return false;
        }
        r->depth_left--;
        ok = *r->at++ == '{' ? take_members(r, '}', true) : take_members(r, ']', false);
        r->depth_left++;
        return ok;
    case '"':
        return take_string(r);
    case 't':
        return take_word(r, "true");
    case 'f':
        return take_word(r, "false");
    case 'n':
        return take_word(r, "null");
    default:
        return take_number(r);
    }
}

bool sim_text_is_json(const char *text, size_t len, size_t max_depth)
{
    if (text == NULL) {
        return false;
    }
    struct reader r = {.at = text, .end = text + len, .depth_left = max_depth};
    if (!take_value(&r)) {
        return false;
    }
    skip_space(&r);
    return r.at == r.end;
}
