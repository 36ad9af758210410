#include "aksk.h"

#include "signature.h"

#include "base/parse.h"

#include <openssl/crypto.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CODE "APIGW.0301"
#define DATE_FORMAT "%Y%m%dT%H%M%SZ"
#define DATE_CAP 32
#define SIGNATURE_FAIL "verify aksk signature fail"

bool sim_aksk_is_signed(const struct sim_request *request)
{
    size_t count;
    const char *value = sim_request_header(request, "authorization", &count);
    return value != NULL && strncmp(value, SIM_SIGNATURE_SCHEME, strlen(SIM_SIGNATURE_SCHEME)) == 0;
}

static void write_date(int64_t time_s, char *out)
{
    time_t when = (time_t)time_s;
    struct tm parts;
    gmtime_r(&when, &parts);
    strftime(out, DATE_CAP, DATE_FORMAT, &parts);
}

/* "20240101T000000Z" */
static bool read_date(const char *text, int64_t *time_s)
{
    int64_t day, time;
    char again[DATE_CAP];
    if (strlen(text) != 16 || !br_parse_int64(text, 8, &day) || !br_parse_int64(text + 9, 6, &time) ||
        day < 0 || time < 0) {
        return false;
    }
    struct tm parts = {
        .tm_year = (int)(day / 10000) - 1900,
        .tm_mon = (int)(day / 100 % 100) - 1,
        .tm_mday = (int)(day % 100),
        .tm_hour = (int)(time / 10000),
        .tm_min = (int)(time / 100 % 100),
        .tm_sec = (int)(time % 100),
    };
    *time_s = timegm(&parts);
    /* A 30th of February has become another day by now. */
    write_date(*time_s, again);
    return strcmp(again, text) == 0;
}

static bool check_date(const struct sim_aksk *aksk, const struct sim_signature *signature, const char *date,
                       struct sim_refusal *refusal)
{
    int64_t then_s;
    if (!read_date(date, &then_s)) {
        return sim_refuse_identity(refusal, CODE, SIGNATURE_FAIL, "X-Sdk-Date is not like 20240101T000000Z");
    }
    if (signature->dialect == SIM_DIALECT_CREDENTIAL && strncmp(signature->scope, date, 8) != 0) {
        return sim_refuse_identity(refusal, CODE, SIGNATURE_FAIL,
                                   "the scope has another day than X-Sdk-Date");
    }
    int64_t now_s = aksk->clock->unix_s(aksk->clock);
    if (then_s < now_s - SIM_AKSK_SKEW_MAX_S || then_s > now_s + SIM_AKSK_SKEW_MAX_S) {
        char why[160], server[DATE_CAP];
        write_date(now_s, server);
        snprintf(why, sizeof why, "signature expired, signature time:%s,server time:%s", date, server);
        return sim_refuse_identity(refusal, CODE, why, "X-Sdk-Date is too far from the server's time");
    }
    return true;
}

static bool same_bytes(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && CRYPTO_memcmp(a, b, strlen(a)) == 0;
}

static bool check_signature(const struct sim_aksk *aksk, const struct sim_signature *signature,
                            const char *date, const struct sim_request *request,
                            const struct sim_target *target, struct sim_refusal *refusal)
{
    struct sim_signature_expected expected;
    if (!sim_signature_compute(signature, request, target, date, aksk->secret_key, &expected)) {
        return sim_refuse_identity(refusal, CODE, SIGNATURE_FAIL, "a signed header is missing or repeated");
    }
    if (!same_bytes(expected.hex, signature->hex)) {
        char detail[SIM_DETAIL_CAP];
        snprintf(detail, sizeof detail, "the signature is wrong; the SHA-256 of the canonical request is %s",
                 expected.canonical_hex);
        return sim_refuse_identity(refusal, CODE, SIGNATURE_FAIL, detail);
    }
    return true;
}

static bool check_security_token(const struct sim_aksk *aksk, const struct sim_request *request,
                                 struct sim_refusal *refusal)
{
    size_t count;
    const char *token = sim_request_header(request, "x-security-token", &count);
    if (aksk->security_token == NULL) {
        return true;
    }
    if (count != 1 || !same_bytes(token, aksk->security_token)) {
        return sim_refuse_identity(refusal, CODE, "the security token is invalid",
                                   count == 0 ? "no X-Security-Token" : "X-Security-Token is another one");
    }
    return true;
}

static bool check_known_key(struct sim_aksk *aksk, const struct sim_signature *signature,
                            const struct sim_request *request, const struct sim_target *target,
                            struct sim_refusal *refusal)
{
    int64_t now_ms = br_clock_now_ms(aksk->clock);
    if (now_ms < aksk->locked_until_ms) {
        return sim_refuse_identity(refusal, CODE, "AK access failed to reach the limit,forbidden",
                                   "the access key is locked");
    }
    size_t count;
    const char *date = sim_request_header(request, "x-sdk-date", &count);
    if (check_date(aksk, signature, date != NULL ? date : "", refusal) &&
        check_signature(aksk, signature, date, request, target, refusal) &&
        check_security_token(aksk, request, refusal)) {
        aksk->failure_count = 0;
        return true;
    }
    aksk->failure_count++;
    if (aksk->failure_count > SIM_AKSK_FAILURES_MAX) {
        aksk->failure_count = 0;
        aksk->locked_until_ms = now_ms + aksk->lock_ms;
    }
    return false;
}

bool sim_aksk_check(struct sim_aksk *aksk, const struct sim_request *request, const struct sim_target *target,
                    struct sim_refusal *refusal)
{
    size_t count;
    struct sim_signature signature;
    const char *authorization = sim_request_header(request, "authorization", &count);
    if (count != 1 || !sim_signature_parse(authorization, &signature)) {
        return sim_refuse_identity(refusal, CODE, SIGNATURE_FAIL,
                                   "Authorization has not the documented form");
    }
    bool ok;
    if (strcmp(signature.access_key, aksk->access_key) == 0) {
        ok = check_known_key(aksk, &signature, request, target, refusal);
    } else {
        char why[160];
        snprintf(why, sizeof why, "ak %.100s not exist", signature.access_key);
        ok = sim_refuse_identity(refusal, CODE, why, "there is no such access key");
    }
    sim_signature_finish(&signature);
    return ok;
}
