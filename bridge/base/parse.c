#include "base/parse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Longest size: 1 TiB. */
#define MAX_SIZE_BYTES (UINT64_C(1) << 40)

/*
 * Longest number text. The exact fixed-point form of the smallest double, "-0." and 1,074 digits, fits; a
 * longer text says nothing that a double can hold.
 */
#define MAX_DOUBLE_CHARS 1100

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool br_parse_uint64(const char *text, size_t len, uint64_t *out)
{
    if (len == 0) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i])) {
            return false;
        }
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool br_parse_int64(const char *text, size_t len, int64_t *out)
{
    bool negative = len > 0 && text[0] == '-';
    uint64_t magnitude;
    if (!br_parse_uint64(negative ? text + 1 : text, negative ? len - 1 : len, &magnitude)) {
        return false;
    }
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    if (!negative) {
        *out = (int64_t)magnitude;
    } else if (magnitude > (uint64_t)INT64_MAX) {
        *out = INT64_MIN;
    } else {
        *out = -(int64_t)magnitude;
    }
    return true;
}

/* The number of digits at |text|. */
static size_t digit_run(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len && is_digit(text[i])) {
        i++;
    }
    return i;
}

/* RFC 8259 section 6: [ "-" ] ( "0" / digit1-9 *DIGIT ) [ "." 1*DIGIT ] [ ( "e" / "E" ) [ "+" / "-" ] 1*DIGIT ] */
static bool is_json_number(const char *text, size_t len)
{
    size_t i = 0;
    if (i < len && text[i] == '-') {
        i++;
    }
    size_t digits = digit_run(text + i, len - i);
    if (digits == 0 || (digits > 1 && text[i] == '0')) {
        return false;
    }
    i += digits;
    if (i < len && text[i] == '.') {
        i++;
        digits = digit_run(text + i, len - i);
        if (digits == 0) {
            return false;
        }
        i += digits;
    }
    if (i < len && (text[i] == 'e' || text[i] == 'E')) {
        i++;
        if (i < len && (text[i] == '+' || text[i] == '-')) {
            i++;
        }
        digits = digit_run(text + i, len - i);
        if (digits == 0) {
            return false;
        }
        i += digits;
    }
    return i == len;
}

bool br_parse_double(const char *text, size_t len, double *out)
{
    if (len == 0 || len > MAX_DOUBLE_CHARS || !is_json_number(text, len)) {
        return false;
    }
    char terminated[MAX_DOUBLE_CHARS + 1];
    memcpy(terminated, text, len);
    terminated[len] = '\0';
    /* strtod reads the locale's decimal point: '.', since the process never calls setlocale. */
    double value = strtod(terminated, NULL);
    if (!isfinite(value)) {
        return false;
    }
    *out = value;
    return true;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit duration_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}};
static const struct unit size_units[] = {
    {"B", 1}, {"KiB", UINT64_C(1) << 10}, {"MiB", UINT64_C(1) << 20}, {"GiB", UINT64_C(1) << 30}};

/* A whole number directly followed by one of |units|; the product is at most |max|. */
static bool parse_quantity(const char *text, const struct unit *units, size_t unit_count, uint64_t max,
                           uint64_t *out)
{
    size_t digits = digit_run(text, strlen(text));
    uint64_t number;
    if (!br_parse_uint64(text, digits, &number)) {
        return false;
    }
    for (size_t i = 0; i < unit_count; i++) {
        if (strcmp(text + digits, units[i].name) == 0) {
            if (number > max / units[i].factor) {
                return false;
            }
            *out = number * units[i].factor;
            return true;
        }
    }
    return false;
}

bool br_parse_duration_ms(const char *text, int64_t *out)
{
    uint64_t value;
    if (!parse_quantity(text, duration_units, sizeof duration_units / sizeof duration_units[0], INT32_MAX,
                        &value)) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

bool br_parse_size_bytes(const char *text, uint64_t *out)
{
    return parse_quantity(text, size_units, sizeof size_units / sizeof size_units[0], MAX_SIZE_BYTES, out);
}
