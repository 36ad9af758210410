#include "serve/trace_context.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Where the fields of a traceparent begin; a dash stands before each but the first. */
#define TRACE_ID_AT 3
#define SPAN_ID_AT (TRACE_ID_AT + BR_TRACE_ID_LEN + 1)
#define FLAGS_AT (SPAN_ID_AT + BR_SPAN_ID_LEN + 1)

_Static_assert(FLAGS_AT + 2 == BR_TRACEPARENT_LEN, "the fields fill it");

#define FLAG_SAMPLED 0x01U
#define FLAG_RANDOM 0x02U /* of level 2: the trace id is random */

/* The value of a digit; -1: it is none. Upper case is none. */
static int digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_hex(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (digit_value(text[i]) < 0) {
            return false;
        }
    }
    return true;
}

static bool is_id(const char *text, size_t len)
{
    static const char zeros[] = "00000000000000000000000000000000";
    _Static_assert(sizeof zeros == BR_TRACE_ID_LEN + 1, "as long as the longest id");
    return is_hex(text, len) && memcmp(text, zeros, len) != 0;
}

static unsigned int byte_value(const char *digits)
{
    return (unsigned int)(digit_value(digits[0]) << 4 | digit_value(digits[1]));
}

/*
 * Reads a traceparent; false when it is malformed. Of the flags, those that have no meaning yet are left out, as who
 * writes a traceparent must.
 */
static bool read_traceparent(const char *text, char trace_id[BR_TRACE_ID_LEN + 1], unsigned int *flags)
{
    size_t len = strlen(text);
    if (len < BR_TRACEPARENT_LEN || !is_hex(text, 2) || text[TRACE_ID_AT - 1] != '-' ||
        !is_id(text + TRACE_ID_AT, BR_TRACE_ID_LEN) || text[SPAN_ID_AT - 1] != '-' ||
        !is_id(text + SPAN_ID_AT, BR_SPAN_ID_LEN) || text[FLAGS_AT - 1] != '-' ||
        !is_hex(text + FLAGS_AT, 2)) {
        return false;
    }
    unsigned int version = byte_value(text);
    bool has_more = len > BR_TRACEPARENT_LEN;
    if (version == 0xFF || (has_more && (version == 0 || text[BR_TRACEPARENT_LEN] != '-'))) {
        return false;
    }
    /* A later version may give any flag but the first another meaning. */
    *flags = byte_value(text + FLAGS_AT) & (version == 0 ? FLAG_SAMPLED | FLAG_RANDOM : FLAG_SAMPLED);
    memcpy(trace_id, text + TRACE_ID_AT, BR_TRACE_ID_LEN);
    trace_id[BR_TRACE_ID_LEN] = '\0';
    return true;
}

static void make_span_id(br_random_fn *fill, char out[BR_SPAN_ID_LEN + 1])
{
    uint8_t bytes[BR_SPAN_ID_LEN / 2];
    fill(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", (unsigned int)bytes[i]);
    }
    if (!is_id(out, BR_SPAN_ID_LEN)) {
        out[BR_SPAN_ID_LEN - 1] = '1';
    }
}

void br_trace_context_continue(struct br_headers *headers, br_random_fn *fill, struct br_trace_context *out)
{
    *out = (struct br_trace_context){0};
    const char *traceparent = br_headers_find(headers, "traceparent");
    unsigned int flags;
    bool has_trace = traceparent != NULL && read_traceparent(traceparent, out->trace_id, &flags);
    if (has_trace) {
        make_span_id(fill, out->span_id);
        (void)snprintf(out->traceparent, sizeof out->traceparent, "00-%s-%s-%02x", out->trace_id,
                       out->span_id, flags);
    }
    size_t count = 0;
    for (size_t i = 0; i < headers->count; i++) {
        struct br_header header = headers->items[i];
        bool is_parent = strcmp(header.name, "traceparent") == 0;
        if (is_parent) {
            header.value = out->traceparent;
        }
        if (has_trace || !(is_parent || strcmp(header.name, "tracestate") == 0)) {
            headers->items[count++] = header;
        }
    }
    headers->count = count;
}
