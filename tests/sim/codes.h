/*
 * The vendor's error codes: their messages, and a refusal built from one.
 *
 * Threads: any; the table is constant.
 * Source:  ModelArts API reference, "Error Codes"; API Gateway reference, "Error Codes"; IAM reference.
 */
#ifndef SIM_CODES_H
#define SIM_CODES_H

#include <stdbool.h>
#include <stddef.h>

#define SIM_CODE_CAP 32
#define SIM_MESSAGE_CAP 512
#define SIM_DETAIL_CAP 256

/* Why a request is not done. */
struct sim_refusal {
    int http_status;
    char code[SIM_CODE_CAP];       /* "ModelArts.3502"; "": IAM's, see sim_answer_set_error() */
    char message[SIM_MESSAGE_CAP]; /* what the vendor says, for the answer */
    char detail[SIM_DETAIL_CAP];   /* what was wrong in this request, for the journal and the log only */
};

/*
 * The vendor's message for (|http_status|, |code|), placeholders included; a row with the same number and
 * another status where there is none for this one, and a fixed sentence for a code that the table lacks.
 * "APIGW." and "APIG." share their numbers.
 */
const char *sim_code_message(int http_status, const char *code);

/* The same with the placeholders filled by examples, for an answer that is about no request in particular. */
void sim_code_example(int http_status, const char *code, char out[SIM_MESSAGE_CAP]);

/* Whether |code| has the form of a vendor's code: a layer's name, a dot, digits. */
bool sim_code_is_valid(const char *code);

/* The ModelArts code that fits |http_status| best, for a fault that names only the status. */
const char *sim_code_for_status(int http_status);

/*
 * Fills |refusal| and returns false. |first| and |second| (NULL: none) take the places of the message's
 * placeholders, in order; |detail| is a printf format.
 */
bool sim_refuse(struct sim_refusal *refusal, int http_status, const char *code, const char *first,
                const char *second, const char *detail, ...) __attribute__((format(printf, 6, 7)));

/*
 * The gateway's 401 for credentials that it does not take: fills |refusal| with |code| (APIG.0301 or
 * APIGW.0301), the code's message and, behind it, |why|. Returns false.
 */
bool sim_refuse_identity(struct sim_refusal *refusal, const char *code, const char *why, const char *detail);

#endif
