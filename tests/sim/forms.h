/*
 * Forms: other shapes of a successful answer, chosen by the service id.
 *
 * A form's name anywhere in the id, after its start or a '-', switches it on; several may be on at once.
 * README.md has the table.
 *
 * Threads: any; no state.
 * Source:  the API's tables and published examples, which disagree on these shapes.
 */
#ifndef SIM_FORMS_H
#define SIM_FORMS_H

#include "message.h"

#include <cjson/cJSON.h>

enum sim_form {
    SIM_FORM_STRINGS = 1 << 0,
    SIM_FORM_SINGLE_RESOURCE_ID = 1 << 1,
    SIM_FORM_EMPTY_OBJECT = 1 << 2,
    SIM_FORM_EMPTY_BODY = 1 << 3,
    SIM_FORM_204 = 1 << 4,
    SIM_FORM_NULLS = 1 << 5,
    SIM_FORM_UNKNOWN_FIELDS = 1 << 6,
    SIM_FORM_DUPLICATE_KEYS = 1 << 7,
    SIM_FORM_NO_CONTENT_TYPE = 1 << 8,
    SIM_FORM_CHARSET = 1 << 9,
    SIM_FORM_201 = 1 << 10,
    SIM_FORM_FAILED_UPDATE = 1 << 11, /* not the answer's shape: the update ends as FAIL */
};

#define SIM_FORM_COUNT 12

/* The forms whose names stand in |id|, as a set of bits; 0: none. */
unsigned sim_forms_parse(const char *id);

/* Which answer a body is, since the keys that may be null differ. */
enum sim_body_kind {
    SIM_BODY_UPDATE,
    SIM_BODY_SERVICE,
    SIM_BODY_LOGS,
    SIM_BODY_LIST,
};

/* Makes |body| (borrowed, altered) the 200 answer in the shape that |forms| asks for. */
void sim_forms_render(unsigned forms, enum sim_body_kind kind, cJSON *body, struct sim_answer *answer);

#endif
