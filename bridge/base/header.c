#include "base/header.h"

#include <stdbool.h>

/* Not tolower(): header names are ASCII whatever the locale. */
static char lower_ascii(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool equal_ignoring_case(const char *a, const char *b)
{
    while (*a != '\0' && lower_ascii(*a) == lower_ascii(*b)) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

const char *br_headers_find(const struct br_headers *headers, const char *name)
{
    for (size_t i = 0; i < headers->count; i++) {
        if (equal_ignoring_case(headers->items[i].name, name)) {
            return headers->items[i].value;
        }
    }
    return NULL;
}
