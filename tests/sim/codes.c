#include "codes.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct code_row {
    int http_status;
    const char *code;
    const char *message;
};

/* Rows are the documents' own; where a (status, code) has several, the first one stands here. */
static const struct code_row code_rows[] = {
    {400, "ModelArts.0101", "Invalid Argument."},
    {400, "ModelArts.0104", "Parameter error."},
    {400, "ModelArts.0107", "The values of the request parameters ({0},{1}) are invalid."},
    {400, "ModelArts.3516",
     "Failed to deploy services because the version of the model that is used for deploying services is the "
     "same."},
    {400, "ModelArts.3519",
     "Services only in one of states in [deploying, running, stopping, deleting] can be updated."},
    {400, "ModelArts.3520", "A maximum of {number} {service_type} services are allowed."},
    {400, "ModelArts.3529", "Model {id} under service {id} does not exist."},
    {400, "ModelArts.3540", "Operation failed because you are not the owner of service {name}."},
    {400, "ModelArts.3952", "Insufficient resources. Please try later."},
    {401, "ModelArts.0201", "Token doesn't exist."},
    {401, "ModelArts.0202", "Invalid token header because the token has expired."},
    {401, "ModelArts.0203", "Invalid token."},
    {401, "ModelArts.0204", "Failed to parse the token."},
    {401, "ModelArts.0207", "Token must contain project info of current region."},
    {401, "ModelArts.0212", "Invalid token header because the token does not contain a project."},
    {403, "ModelArts.0108", "You are not authorized to perform the ({0}) operation."},
    {403, "ModelArts.0112", "Policy doesn't allow {} {} to be performed."},
    {403, "ModelArts.0203", "Invalid token."},
    {403, "ModelArts.0206", "Invalid AK/SK."},
    {403, "ModelArts.0210", "The project id in the request URL does not match the token."},
    {404, "ModelArts.3502", "Service {name} does not exist."},
    {404, "ModelArts.3507", "Model {name} does not exist."},
    {405, "ModelArts.2803", "MethodNotAllowed"},
    {408, "ModelArts.4205", "Connection timed out."},
    {408, "ModelArts.6100", "The request timed out. Please try again."},
    {409, "ModelArts.3503", "Service {name} already exists."},
    {409, "ModelArts.5044", "Operations conflict, please try again later"},
    {413, "ModelArts.4104", "Invalid request body because the size exceeds the maximum size allowed."},
    {417, "ModelArts.6654", "Project with the same name already exists."},
    {429, "ModelArts.2799", "TooManyRequests"},
    {429, "ModelArts.4206", "Excessive number of requests to %s."},
    {429, "ModelArts.6101", "The system is busy now. Please try again later."},
    {500, "ModelArts.0010", "Internal error."},
    {500, "ModelArts.3505", "Failed to update the service."},
    {500, "ModelArts.3506", "Model {id} does not exist."},
    {501, "ModelArts.4394", "Task is running"},
    {503, "ModelArts.4302", "Gateway forwarding error because %s."},
    {503, "ModelArts.4700", "Unavailable gateway."},
    {504, "ModelArts.4503", "Failed to obtain the backend service because %s."},
    {404, "APIG.0101", "The API does not exist or has not been published in the environment."},
    {500, "APIG.0103", "The backend does not exist."},
    {400, "APIG.0201", "API request error."},
    {413, "APIG.0201", "Request entity too large."},
    {414, "APIG.0201", "Request URI too large."},
    {494, "APIG.0201", "Request headers too large."},
    {502, "APIG.0201", "Backend unavailable."},
    {504, "APIG.0201", "Backend timeout."},
    {500, "APIG.0201", "An unexpected error occurred"},
    {502, "APIG.0202", "Backend unavailable"},
    {504, "APIG.0203", "Backend timeout"},
    {401, "APIG.0301", "Incorrect IAM authentication information."},
    {403, "APIG.0302", "The IAM user is not authorized to access the API."},
    {401, "APIG.0303", "Incorrect app authentication information."},
    {403, "APIG.0304", "The app is not authorized to access the API."},
    {401, "APIG.0305", "Incorrect authentication information."},
    {403, "APIG.0306", "API access denied."},
    {401, "APIG.0307", "The token must be updated."},
    {429, "APIG.0308", "The throttling threshold has been reached."},
    {403, "APIG.0310", "The project is unavailable."},
    {403, "APIG.0401", "Unknown client IP address."},
    {403, "APIG.0402", "The IP address is not authorized to access the API."},
    {405, "APIG.0501", "The app quota has been used up."},
    {405, "APIG.0502", "The app has been frozen."},
    {500, "APIG.0601", "Internal server error."},
    {400, "APIG.0602", "Bad request."},
    {503, "APIG.0613", "The IAM service is currently unavailable."},
    {403, "APIG.0802", "The IAM user is forbidden in the currently selected region"},
    {400, "IAM.0011", "Request body is invalid."},
    {401, "IAM.0001", "The request you have made requires authentication."},
    {401, "IAM.0066", "The token has expired."},
    {401, "IAM.0067", "Invalid token."},
    {403, "IAM.0002", "You are not authorized to perform the requested action."},
};

/* What stands for the placeholders where a request gives no better values. Ours. */
static const struct {
    const char *code;
    const char *first;
    const char *second;
} examples[] = {
    {"ModelArts.0107", "weight", "90"},
    {"ModelArts.0108", "modelarts:service:update", NULL},
    {"ModelArts.0112", "modelarts:service", "update"},
    {"ModelArts.3502", "demo-service", NULL},
    {"ModelArts.3503", "demo-service", NULL},
    {"ModelArts.3506", "demo-model", NULL},
    {"ModelArts.3507", "demo-model", NULL},
    {"ModelArts.3520", "20", "real-time"},
    {"ModelArts.3529", "demo-model", "demo-service"},
    {"ModelArts.3540", "demo-service", NULL},
    {"ModelArts.4206", "the service", NULL},
    {"ModelArts.4302", "the backend did not answer", NULL},
    {"ModelArts.4503", "the backend did not answer", NULL},
};

/* Our choice among the documented codes of a status. */
static const struct {
    int http_status;
    const char *code;
} status_codes[] = {
    {400, "ModelArts.0104"}, {401, "ModelArts.0203"}, {403, "ModelArts.0108"}, {404, "ModelArts.3502"},
    {405, "ModelArts.2803"}, {408, "ModelArts.6100"}, {409, "ModelArts.5044"}, {413, "ModelArts.4104"},
    {417, "ModelArts.6654"}, {429, "ModelArts.6101"}, {500, "ModelArts.0010"}, {501, "ModelArts.4394"},
    {503, "ModelArts.4302"}, {504, "ModelArts.4503"},
};

/* The part of |code| that the table is searched by: "APIGW.0301" and "APIG.0301" are one. */
static void split_code(const char *code, const char **layer, const char **number)
{
    const char *dot = strchr(code, '.');
    *number = dot != NULL ? dot + 1 : code;
    *layer = strncmp(code, "APIG", 4) == 0 ? "APIG." : code;
}

static bool same_code(const char *a, const char *b)
{
    const char *layer_a, *layer_b, *number_a, *number_b;
    split_code(a, &layer_a, &number_a);
    split_code(b, &layer_b, &number_b);
    return layer_a[0] == layer_b[0] && strcmp(number_a, number_b) == 0;
}

const char *sim_code_message(int http_status, const char *code)
{
    const char *other = NULL;
    for (size_t i = 0; i < sizeof code_rows / sizeof code_rows[0]; i++) {
        if (!same_code(code_rows[i].code, code)) {
            continue;
        }
        if (code_rows[i].http_status == http_status) {
            return code_rows[i].message;
        }
        other = other != NULL ? other : code_rows[i].message;
    }
    return other != NULL ? other : "An error made by the simulator.";
}

bool sim_code_is_valid(const char *code)
{
    static const char *const layers[] = {"ModelArts.", "APIG.", "APIGW.", "IAM."};
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        size_t len = strlen(layers[i]);
        if (strncmp(code, layers[i], len) == 0) {
            size_t digits = strspn(code + len, "0123456789");
            return digits >= 1 && digits <= 8 && code[len + digits] == '\0';
        }
    }
    return false;
}

const char *sim_code_for_status(int http_status)
{
    for (size_t i = 0; i < sizeof status_codes / sizeof status_codes[0]; i++) {
        if (status_codes[i].http_status == http_status) {
            return status_codes[i].code;
        }
    }
    return http_status < 500 ? "ModelArts.0101" : "ModelArts.0010";
}

/* Appends |len| bytes, cut at the buffer's end and never inside a character. */
static size_t append(char *out, size_t at, size_t cap, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t size = sim_text_utf8_char(text + i, len - i);
        if (size == 0 || at + size >= cap) {
            break;
        }
        memcpy(out + at, text + i, size);
        at += size;
        i += size;
    }
    out[at] = '\0';
    return at;
}

/* The documents write placeholders as {name}, {0}, {} and %s. */
static void fill_message(const char *message, const char *first, const char *second, char *out, size_t cap)
{
    const char *values[] = {first, second};
    size_t next = 0, len = 0;
    out[0] = '\0';
    while (*message != '\0') {
        size_t hole = 0;
        if (message[0] == '%' && message[1] == 's') {
            hole = 2;
        } else if (message[0] == '{' && strchr(message, '}') != NULL) {
            hole = strcspn(message, "}") + 1;
        }
        if (hole > 0 && next < 2 && values[next] != NULL) {
            len = append(out, len, cap, values[next], strlen(values[next]));
            next++;
            message += hole;
        } else {
            len = append(out, len, cap, message, 1);
            message++;
        }
    }
}

void sim_code_example(int http_status, const char *code, char out[SIM_MESSAGE_CAP])
{
    const char *first = NULL, *second = NULL;
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        if (strcmp(examples[i].code, code) == 0) {
            first = examples[i].first;
            second = examples[i].second;
        }
    }
    fill_message(sim_code_message(http_status, code), first, second, out, SIM_MESSAGE_CAP);
}

bool sim_refuse(struct sim_refusal *refusal, int http_status, const char *code, const char *first,
                const char *second, const char *detail, ...)
{
    refusal->http_status = http_status;
    snprintf(refusal->code, sizeof refusal->code, "%s", code);
    fill_message(sim_code_message(http_status, code), first, second, refusal->message,
                 sizeof refusal->message);
    va_list args;
    va_start(args, detail);
    vsnprintf(refusal->detail, sizeof refusal->detail, detail, args);
    va_end(args);
    return false;
}

bool sim_refuse_identity(struct sim_refusal *refusal, const char *code, const char *why, const char *detail)
{
    sim_refuse(refusal, 401, code, NULL, NULL, "%s", detail);
    snprintf(refusal->message, sizeof refusal->message, "Incorrect IAM authentication information: %.400s",
             why);
    return false;
}
