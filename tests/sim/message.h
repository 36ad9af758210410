/*
 * One request as it came in and one answer as it will go out, free of any HTTP library.
 *
 * Threads: each belongs to the thread of its connection.
 */
#ifndef SIM_MESSAGE_H
#define SIM_MESSAGE_H

#include "codes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The request headers that the journal shows. */
enum sim_header {
    SIM_HEADER_CONTENT_TYPE,
    SIM_HEADER_AUTH_TOKEN,
    SIM_HEADER_REQUEST_ID,
    SIM_HEADER_TRACEPARENT,
    SIM_HEADER_TRACESTATE,
    SIM_HEADER_USER_AGENT,
    SIM_HEADER_ACCEPT,
    SIM_HEADER_PROJECT_ID,
    SIM_HEADER_COUNT,
};

/* Lower-case names, by enum sim_header. */
extern const char *const sim_header_names[SIM_HEADER_COUNT];

struct sim_request_header {
    const char *name;
    const char *value;
};

struct sim_request {
    const char *method;
    const char *target;                           /* raw: path and query as sent */
    const char *headers[SIM_HEADER_COUNT];        /* the first value of each; NULL: absent */
    const struct sim_request_header *all_headers; /* every header, in the order of arrival */
    size_t all_header_count;
    unsigned auth_token_count; /* how often X-Auth-Token was sent */
    size_t header_bytes;       /* all names and values */
    size_t longest_header_bytes;
    const char *body; /* NULL: none */
    size_t body_len;
    bool body_too_large; /* more than the gateway's limit; |body| is then NULL */
};

/*
 * The first value of the header |name|, which may be any, in any case; NULL: absent. |count| says how often
 * it was sent.
 */
const char *sim_request_header(const struct sim_request *request, const char *name, size_t *count);

/* |text| repeated |count| times. */
struct sim_run {
    const char *text; /* lives as long as the process */
    size_t len;
    uint64_t count;
};

#define SIM_RUNS_MAX 5

enum sim_delivery {
    SIM_DELIVERY_NORMAL,
    SIM_DELIVERY_RESET, /* the connection ends with RST, no byte is sent */
    SIM_DELIVERY_CLOSE, /* the connection ends with FIN, no byte is sent */
};

struct sim_answer {
    int http_status;
    const char *content_type; /* NULL: no such header */
    char *text;               /* the body; owned; NULL: |runs| is the body */
    size_t text_len;
    struct sim_run runs[SIM_RUNS_MAX]; /* a body too large to hold in memory */
    size_t run_count;
    char request_id[33];  /* 32 hex digits */
    char retry_after[40]; /* "": no such header */
    const char *location; /* NULL: no such header */
    char *subject_token;  /* owned; NULL: no such header */
    enum sim_delivery delivery;
    int64_t delay_ms;       /* before the answer */
    int64_t drip_ms;        /* before each byte of the body; 0: the body goes out at once */
    uint64_t missing_bytes; /* how much Content-Length exceeds what is sent */
};

/* Zeroes |answer| and gives it a fresh request id. */
void sim_answer_init(struct sim_answer *answer);

/* Accepts a zeroed answer. */
void sim_answer_finish(struct sim_answer *answer);

/* Makes |text| the body; taken, from malloc. */
void sim_answer_take_text(struct sim_answer *answer, int http_status, const char *content_type, char *text);

/* Makes a copy of |text| the body. */
void sim_answer_set_text(struct sim_answer *answer, int http_status, const char *content_type,
                         const char *text);

/* Appends a run to the body. |text| lives as long as the process. */
void sim_answer_add_run(struct sim_answer *answer, const char *text, uint64_t count);

/* Removes the body; status and headers stay. */
void sim_answer_drop_body(struct sim_answer *answer);

/* Makes a copy of |token| the answer's X-Subject-Token. */
void sim_answer_set_token(struct sim_answer *answer, const char *token);

/* Removes X-Subject-Token, if there is one. */
void sim_answer_drop_token(struct sim_answer *answer);

/*
 * Makes the error body of |code|'s layer the answer: ModelArts, the gateway or IAM. "" is what IAM answers to
 * a request for a token: an object in an object, with the status as the code.
 */
void sim_answer_set_error(struct sim_answer *answer, int http_status, const char *code, const char *message);

/* The length of the body, missing bytes excluded. */
uint64_t sim_answer_body_len(const struct sim_answer *answer);

/* Copies up to |cap| bytes of the body from |offset| on into |out|; returns how many. */
size_t sim_answer_read(const struct sim_answer *answer, uint64_t offset, char *out, size_t cap);

#endif
