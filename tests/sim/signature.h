/*
 * The signature of a request, worked out anew from the bytes that came in.
 *
 * Two dialects share the name SDK-HMAC-SHA256: "Access=" signs with the secret key itself, "Credential=" with
 * a key derived from it, the day, a region and a service.
 *
 * Threads: any; no state.
 * Source:  API Request Signing Guide, "Signing Algorithm" (Access=); the public SDKs' signers (Credential=).
 */
#ifndef SIM_SIGNATURE_H
#define SIM_SIGNATURE_H

#include "message.h"
#include "target.h"

/* What an Authorization header of this scheme starts with. */
#define SIM_SIGNATURE_SCHEME "SDK-HMAC-SHA256"
/* Hex digits of a SHA-256. */
#define SIM_HASH_HEX_LEN 64

enum sim_dialect {
    SIM_DIALECT_ACCESS,
    SIM_DIALECT_CREDENTIAL,
};

/* The parts of an Authorization header. */
struct sim_signature {
    char *copy; /* what the others point into; owned */
    enum sim_dialect dialect;
    const char *access_key;
    const char *scope;       /* CREDENTIAL: "20240101/region/service/sdk_request"; ACCESS: "" */
    const char *header_list; /* "host;x-sdk-date" */
    const char *hex;         /* 64 lower-case digits */
};

/* What the signature should have been. |canonical_hex| is no secret and helps to find out what differs. */
struct sim_signature_expected {
    char hex[SIM_HASH_HEX_LEN + 1];
    char canonical_hex[SIM_HASH_HEX_LEN + 1];
};

/*
 * Reads |authorization|, borrowed, into |out|; release with sim_signature_finish().
 * Returns false, |out| untouched, when it has not exactly the form of one of the dialects, when its header
 * names are not lower-case, sorted and without '_', or when x-sdk-date is not among them.
 */
bool sim_signature_parse(const char *authorization, struct sim_signature *out);

/* Accepts a zeroed signature. */
void sim_signature_finish(struct sim_signature *signature);

/*
 * Works out the signature that |request| should have under |secret_key|.
 * |signature| says the dialect, the scope and which headers are signed. |date| is the request's X-Sdk-Date.
 * Returns false, |out| untouched, when a signed header is not there exactly once, or when path or query
 * cannot be decoded. "Credential=" signs the query of a POST without a body as its body; that is not done
 * here, since no signed route is a POST.
 */
bool sim_signature_compute(const struct sim_signature *signature, const struct sim_request *request,
                           const struct sim_target *target, const char *date, const char *secret_key,
                           struct sim_signature_expected *out);

#endif
