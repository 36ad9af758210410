#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

/* The length of the well-formed character of two bytes or more at |p|; 0 when there is none in |len| bytes. */
static size_t multibyte_len(const unsigned char *p, size_t len)
{
    unsigned char lead = p[0];
    size_t need;
    /* The second byte's range is what excludes overlong forms, surrogates and values above U+10FFFF. */
    unsigned char low = 0x80;
    unsigned char high = 0xBF;

    if (lead >= 0xC2 && lead <= 0xDF) {
        need = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        need = 3;
        if (lead == 0xE0) {
            low = 0xA0;
        } else if (lead == 0xED) {
            high = 0x9F;
        }
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        need = 4;
        if (lead == 0xF0) {
            low = 0x90;
        } else if (lead == 0xF4) {
            high = 0x8F;
        }
    } else {
        return 0;
    }

    if (len < need || p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < need; i++) {
        if (!is_continuation(p[i])) {
            return 0;
        }
    }
    return need;
}

size_t br_utf8_valid_prefix(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t i = 0;

    for (;;) {
        /* Most text is ASCII: eight bytes at a time, then one by one up to the first that is not. */
        uint64_t word;
        while (len - i >= sizeof word) {
            memcpy(&word, p + i, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) != 0) {
                break;
            }
            i += sizeof word;
        }
        while (i < len && p[i] < 0x80) {
            i++;
        }
        while (i < len && p[i] >= 0x80) {
            size_t step = multibyte_len(p + i, len - i);
            if (step == 0) {
                return i;
            }
            i += step;
        }
        if (i == len) {
            return len;
        }
    }
}

size_t br_utf8_cut(const char *text, size_t len, size_t max_len)
{
    if (len <= max_len) {
        return len;
    }
    size_t cut = max_len;
    while (cut > 0 && is_continuation((unsigned char)text[cut])) {
        cut--;
    }
    return cut;
}

size_t br_utf8_count(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++) {
        count += !is_continuation((unsigned char)text[i]);
    }
    return count;
}
