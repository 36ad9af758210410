/*
 * The shapes of request bodies: which keys an object may hold, of which type, and in which range.
 *
 * Unknown keys are let through, since no document says that ModelArts refuses them.
 *
 * Threads: any; the tables are constant.
 * Source:  ModelArts API reference, UpdateService tables 3 to 18 and UpdateServiceByProperty tables 3 and 4;
 *          IAM API reference, KeystoneCreateUserTokenByPassword.
 */
#ifndef SIM_SHAPES_H
#define SIM_SHAPES_H

#include "codes.h"

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stdint.h>

enum sim_shape_kind {
    SIM_SHAPE_TEXT,
    SIM_SHAPE_WHOLE,         /* a number without a fraction */
    SIM_SHAPE_WHOLE_OR_TEXT, /* the same, or a string of digits: the documents show both */
    SIM_SHAPE_NUMBER,
    SIM_SHAPE_SWITCH,
    SIM_SHAPE_OBJECT,
    SIM_SHAPE_OBJECTS,  /* a list of objects */
    SIM_SHAPE_TEXTS,    /* a list of strings */
    SIM_SHAPE_WHOLES,   /* a list of whole numbers */
    SIM_SHAPE_TEXT_MAP, /* an object whose values are strings */
};

struct sim_shape_field {
    const char *key;
    enum sim_shape_kind kind;
    bool required;
    double min, max;               /* inclusive, numbers only; both 0: no range */
    const char *const *literals;   /* TEXT: NULL-terminated; NULL: any text */
    const struct sim_shape *shape; /* OBJECT, OBJECTS; NULL: any object */
};

struct sim_shape {
    const struct sim_shape_field *fields;
    size_t count; /* at most 32 */
};

extern const struct sim_shape sim_shape_update;   /* the body of UpdateService */
extern const struct sim_shape sim_shape_property; /* the body of UpdateServiceByProperty */
extern const struct sim_shape sim_shape_token;    /* the body of IAM's KeystoneCreateUserTokenByPassword */

/*
 * Checks |object| against |shape|. |path| is where it stands ("config[0]"), "" for the body.
 * Refusals: 400 ModelArts.0104 a wrong type, a known key given twice, an object wrapped in a map
 *           400 ModelArts.0101 a mandatory key is missing
 *           400 ModelArts.0107 a value outside its range or its literals
 */
bool sim_shape_check(const struct sim_shape *shape, const cJSON *object, const char *path,
                     struct sim_refusal *refusal);

/* Reads a whole number of at most 2^53, or, with |text_too|, a string of digits. |out| written on success
 * only. */
bool sim_shape_whole(const cJSON *value, bool text_too, int64_t *out);

#endif
