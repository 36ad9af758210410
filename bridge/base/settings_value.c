#include "base/settings_row.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first: the first unit that divides the value without a rest is the one a person would write. */
static const struct unit duration_units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit size_units[] = {
    {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {NULL, 0}};

void br_settings_quantity(const struct br_setting *row, int64_t value, char out[BR_SETTINGS_QUANTITY_CAP])
{
    const struct unit *unit = NULL;
    if (row->kind == BR_SETTING_DURATION) {
        unit = duration_units;
    } else if (row->kind == BR_SETTING_SIZE) {
        unit = size_units;
    }

    if (unit == NULL) {
        (void)snprintf(out, BR_SETTINGS_QUANTITY_CAP, "%" PRId64, value);
    } else if (value == 0) {
        (void)snprintf(out, BR_SETTINGS_QUANTITY_CAP, "0%s", row->kind == BR_SETTING_DURATION ? "s" : "B");
    } else {
        while (value % unit->factor != 0) {
            unit++;
        }
        (void)snprintf(out, BR_SETTINGS_QUANTITY_CAP, "%" PRId64 "%s", value / unit->factor, unit->name);
    }
}

static enum br_buf_result put_texts(const struct br_texts *texts, struct br_buf *out)
{
    enum br_buf_result result = BR_BUF_OK;
    for (size_t i = 0; i < texts->count && result == BR_BUF_OK; i++) {
        result = br_buf_printf(out, "%s%s", i > 0 ? "," : "", texts->items[i]);
    }
    return result;
}

enum br_buf_result br_settings_value(const struct br_setting *row, const void *config, struct br_buf *out)
{
    const void *field = (const char *)config + row->offset;
    char quantity[BR_SETTINGS_QUANTITY_CAP];
    switch (row->kind) {
    case BR_SETTING_TEXT:
    case BR_SETTING_FILE: {
        const char *text = *(const char *const *)field;
        return text != NULL ? br_buf_puts(out, text) : BR_BUF_OK;
    }
    case BR_SETTING_TEXTS:
        return put_texts(field, out);
    case BR_SETTING_CHOICE:
        return br_buf_puts(out, row->choices[*(const int *)field]);
    case BR_SETTING_SWITCH:
        return br_buf_puts(out, *(const bool *)field ? "true" : "false");
    case BR_SETTING_DURATION:
    case BR_SETTING_COUNT:
        br_settings_quantity(row, *(const int64_t *)field, quantity);
        return br_buf_puts(out, quantity);
    case BR_SETTING_SIZE:
        br_settings_quantity(row, (int64_t) * (const uint64_t *)field, quantity);
        return br_buf_puts(out, quantity);
    }
    abort();
}
