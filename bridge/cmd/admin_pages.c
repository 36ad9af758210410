#include "cmd/admin_pages.h"

#include "base/log.h"
#include "cmd/statusz_html.h"
#include "cmd/terminal.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define PROMETHEUS_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define JSON_TYPE "application/json"
#define HTML_TYPE "text/html; charset=utf-8"

/* HTTP's names are libmicrohttpd's, which only bridge/serve/ may know. */
enum { HTTP_ACCEPTED = 202, HTTP_BAD_REQUEST = 400, HTTP_FORBIDDEN = 403, HTTP_UNAVAILABLE = 503 };

/* "error" .. "debug", and no more. */
#define LEVEL_MAX_BYTES 16

static bool answer_line(struct br_admin_answer *answer, unsigned status, const char *text,
                        struct br_status *st)
{
    answer->status = status;
    return br_admin_appended(br_buf_printf(&answer->body, "%s\n", text), st);
}

/* ---- Probes ---- */

static bool show_livez(void *context, const struct br_admin_request *request, struct br_admin_answer *answer,
                       struct br_status *st)
{
    (void)context;
    (void)request;
    return answer_line(answer, answer->status, "ok", st);
}

static bool show_readyz(void *context, const struct br_admin_request *request, struct br_admin_answer *answer,
                        struct br_status *st)
{
    const struct br_admin_pages *pages = context;
    (void)request;
    char problem[BR_HEALTH_PROBLEM_CAP];
    return br_health_is_ready(pages->status.health, problem)
               ? answer_line(answer, answer->status, "ready", st)
               : answer_line(answer, HTTP_UNAVAILABLE, problem, st);
}

static bool show_startupz(void *context, const struct br_admin_request *request,
                          struct br_admin_answer *answer, struct br_status *st)
{
    const struct br_admin_pages *pages = context;
    (void)request;
    return br_health_is_started(pages->status.health) ? answer_line(answer, answer->status, "started", st)
                                                      : answer_line(answer, HTTP_UNAVAILABLE, "starting", st);
}

/* ---- What is counted, what is so ---- */

static bool show_metrics(void *context, const struct br_admin_request *request,
                         struct br_admin_answer *answer, struct br_status *st)
{
    const struct br_admin_pages *pages = context;
    (void)request;
    answer->type = PROMETHEUS_TEXT;
    return br_metrics_write(pages->status.metrics, &answer->body, st);
}

static bool wants_json(const struct br_admin_request *request)
{
    const char *format = br_admin_query(request, "format");
    const char *accept = br_admin_header(request, "Accept");
    return format != NULL ? strcmp(format, "json") == 0
                          : accept != NULL && strncmp(accept, JSON_TYPE, strlen(JSON_TYPE)) == 0;
}

static enum br_buf_result put_json(const cJSON *root, struct br_buf *out)
{
    char *text = cJSON_PrintUnformatted(root);
    enum br_buf_result result = text != NULL ? br_terminal_json(out, text, strlen(text)) : BR_BUF_NO_MEMORY;
    cJSON_free(text);
    return result == BR_BUF_OK ? br_buf_puts(out, "\n") : result;
}

static bool show_statusz(void *context, const struct br_admin_request *request,
                         struct br_admin_answer *answer, struct br_status *st)
{
    const struct br_admin_pages *pages = context;
    cJSON *root;
    if (!br_statusz_snapshot(&pages->status, &root, st)) {
        return false;
    }
    bool json = wants_json(request);
    answer->type = json ? JSON_TYPE : HTML_TYPE;
    enum br_buf_result result =
        json ? put_json(root, &answer->body) : br_statusz_html("modelarts-bridge", root, &answer->body);
    cJSON_Delete(root);
    return br_admin_appended(result, st);
}

/* ---- Drain ---- */

/* After the answer: the drain may be over, and this port gone, at once. The main thread takes the signal. */
static void raise_sigterm(void *context)
{
    (void)context;
    (void)kill(getpid(), SIGTERM);
}

static bool drain(void *context, const struct br_admin_request *request, struct br_admin_answer *answer,
                  struct br_status *st)
{
    const struct br_admin_pages *pages = context;
    (void)request;
    if (!pages->drain_allowed) {
        return answer_line(answer, HTTP_FORBIDDEN, "not allowed; start the bridge with --admin-drain", st);
    }
    answer->after = raise_sigterm;
    return answer_line(answer, HTTP_ACCEPTED, "draining", st);
}

/* ---- Log level ---- */

static bool show_log_level(void *context, const struct br_admin_request *request,
                           struct br_admin_answer *answer, struct br_status *st)
{
    (void)context;
    (void)request;
    return answer_line(answer, answer->status, br_log_level_name(br_log_level()), st);
}

/* One newline at the end is what a shell's echo adds. */
static bool names_level(const struct br_admin_request *request, enum br_log_level level)
{
    const char *name = br_log_level_name(level);
    size_t len = strlen(name);
    return request->body_len >= len && request->body_len <= len + 1 &&
           memcmp(request->body, name, len) == 0 && (request->body_len == len || request->body[len] == '\n');
}

static bool set_log_level(void *context, const struct br_admin_request *request,
                          struct br_admin_answer *answer, struct br_status *st)
{
    for (int level = BR_LOG_ERROR; level <= BR_LOG_DEBUG; level++) {
        if (names_level(request, (enum br_log_level)level)) {
            br_log_set_level((enum br_log_level)level);
            BR_LOG((enum br_log_level)level, "log_level",
                   br_log_text("is", br_log_level_name((enum br_log_level)level)));
            return show_log_level(context, request, answer, st);
        }
    }
    return answer_line(answer, HTTP_BAD_REQUEST, "send error, warn, info or debug as the body", st);
}

const struct br_admin_route br_admin_routes[] = {
    {.method = "GET", .path = "/livez", .help = "200 while the process runs", .handle = show_livez},
    {.method = "GET",
     .path = "/readyz",
     .help = "200 when calls should come here; 503 and why not",
     .handle = show_readyz},
    {.method = "GET",
     .path = "/startupz",
     .help = "200 once calls can come here; 503 before",
     .handle = show_startupz},
    {.method = "GET", .path = "/metrics", .help = "what is counted, for Prometheus", .handle = show_metrics},
    {.method = "GET",
     .path = "/statusz",
     .help = "what is so now, for people; ?format=json for scripts",
     .handle = show_statusz},
    {.method = "GET", .path = "/log-level", .help = "the log level", .handle = show_log_level},
    {.method = "PUT",
     .path = "/log-level",
     .help = "sets it to the body: error, warn, info or debug",
     .body_max_bytes = LEVEL_MAX_BYTES,
     .handle = set_log_level},
    {.method = "POST", .path = "/drain", .help = "as SIGTERM does, with --admin-drain", .handle = drain},
};

const size_t br_admin_route_count = sizeof br_admin_routes / sizeof br_admin_routes[0];
