/*
 * What the reading and the printing of settings share. Only settings*.c include it.
 *
 * Threads: start-up only.
 */
#ifndef BR_BASE_SETTINGS_ROW_H
#define BR_BASE_SETTINGS_ROW_H

#include "base/settings.h"

/* Bytes of a flag's or a variable's name, the NUL included. A longer one in a table is a bug and asserted. */
#define BR_SETTINGS_NAME_CAP 128

/*
 * Writes the name of |row|'s environment variable: "MODELARTS_BRIDGE_" and "ca-file" make
 * "MODELARTS_BRIDGE_CA_FILE"; "" where the table has no environment.
 */
void br_settings_variable(const struct br_settings *settings, const struct br_setting *row,
                          char out[BR_SETTINGS_NAME_CAP]);

/* Bytes of a printed quantity: 20 digits, a sign and a unit. */
#define BR_SETTINGS_QUANTITY_CAP 32

/* A DURATION, SIZE or COUNT of |row| in the words of an operator: "30s", "4MiB", "64". */
void br_settings_quantity(const struct br_setting *row, int64_t value, char out[BR_SETTINGS_QUANTITY_CAP]);

#endif
