/*
 * The error codes of ModelArts, the gateway and IAM: how they are looked up and which reason they become.
 *
 * Pure. Threads: any.
 * Source: wire_facts.md section 1 (prefixes, bare numbers) and section 9, trap 15; google/rpc/error_details.proto
 *         (the form of ErrorInfo.reason).
 */
#ifndef BR_TRANSLATE_VENDOR_CODE_H
#define BR_TRANSLATE_VENDOR_CODE_H

#include "base/status.h"

/* Bytes of an error code that are kept, the NUL included. Known codes have up to 18. */
#define BR_VENDOR_CODE_CAP 65

/* Bytes of a reason, the NUL included. */
#define BR_REASON_CAP 64

/*
 * Writes the code under which the table holds |code|: "APIGW.0301" and "APIG.0301" are one code of the
 * gateway, "APIG.0301"; any other code is itself.
 * |code| borrowed; shorter than BR_VENDOR_CODE_CAP.
 */
void br_vendor_code_key(const char *code, char key[BR_VENDOR_CODE_CAP]);

/*
 * Derives ErrorInfo.reason from |code|: "ModelArts.3502" gives MODELARTS_3502, "APIGW.0308" APIG_0308.
 * Only IAM uses bare numbers. One of up to three digits repeats the HTTP status: "401" gives IAM_401. A longer
 * one is of IAM's old codes, which mean other things than the same digits after "IAM.": "1103" gives
 * IAM_LEGACY_1103, "IAM.1103" gives IAM_1103.
 * |code|   borrowed; shorter than BR_VENDOR_CODE_CAP.
 * |reason| written on success only: [A-Z][A-Z0-9_]+[A-Z0-9], cut where it is too long.
 * Returns false when |code| gives no such reason.
 */
bool br_vendor_code_reason(const char *code, char reason[BR_REASON_CAP]) BR_MUST_CHECK;

#endif
