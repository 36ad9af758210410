#include "cmd/cmd.h"
#include "cmd/serve_metrics.h"
#include "cmd/serve_settings.h"
#include "contract/contract.h"
#include "translate/error_map.h"
#include "translate/named_rules.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "Usage: modelarts-bridge routes [--errors | --settings | --metrics]\n\n"
    "Prints the methods of the bridge and the REST request that each becomes. BODY is \"*\" where every "
    "field\n"
    "that is not in the path goes into the body. REPEATABLE calls may be sent again after a failure that\n"
    "leaves open whether they were carried out.\n";

struct routes_settings {
    bool errors;
    bool settings;
    bool metrics;
};

static const struct br_setting rows[] = {
    {.flag = "errors",
     .kind = BR_SETTING_SWITCH,
     .offset = offsetof(struct routes_settings, errors),
     .help = "Print the error codes of ModelArts, its gateway and IAM, and what each becomes."},
    {.flag = "settings",
     .kind = BR_SETTING_SWITCH,
     .offset = offsetof(struct routes_settings, settings),
     .help = "Print the settings of \"serve\" as a Markdown table."},
    {.flag = "metrics",
     .kind = BR_SETTING_SWITCH,
     .offset = offsetof(struct routes_settings, metrics),
     .help = "Print what /metrics of the admin port has as a Markdown table."},
};

static const struct br_settings table = {.rows = rows, .row_count = sizeof rows / sizeof rows[0]};

#define COLUMNS_MAX 5

/* Prints |count| rows of |columns| cells, read by |cell|, each column as wide as its widest cell. */
static void print_table(size_t count, size_t columns,
                        const char *(*cell)(const void *data, size_t row, size_t column), const void *data)
{
    int widths[COLUMNS_MAX] = {0};
    for (size_t row = 0; row < count; row++) {
        for (size_t column = 0; column < columns; column++) {
            int width = (int)strlen(cell(data, row, column));
            if (width > widths[column]) {
                widths[column] = width;
            }
        }
    }
    for (size_t row = 0; row < count; row++) {
        /* The last cell is not padded: no line ends in spaces. */
        for (size_t column = 0; column + 1 < columns; column++) {
            (void)printf("%-*s  ", widths[column], cell(data, row, column));
        }
        (void)puts(cell(data, row, columns - 1));
    }
}

static const char *body_of(const struct br_method *method)
{
    if (!method->has_body) {
        return "-";
    }
    for (size_t i = 0; i < method->input->field_count; i++) {
        if (method->roles[i] == BR_ROLE_WHOLE_BODY) {
            return method->input->fields[i].name;
        }
    }
    return "*";
}

/* Row 0 is the heading; |data| is the array of methods. */
static const char *route_cell(const void *data, size_t row, size_t column)
{
    static const char *const heading[] = {"METHOD", "VERB", "PATH", "BODY", "REPEATABLE"};
    if (row == 0) {
        return heading[column];
    }
    const struct br_method *method = (const struct br_method *)data + row - 1;
    if (column == 0) {
        return method->name;
    }
    if (method->verb == NULL) {
        return column == 2 ? "(answered by the bridge)" : "-";
    }
    switch (column) {
    case 1:
        return method->verb;
    case 2:
        return method->path_template;
    case 3:
        return body_of(method);
    default:
        return method->idempotency == BR_IDEMPOTENCY_UNKNOWN ? "no" : "yes";
    }
}

/* As the column |detail| of a table has it; good until the next call. */
static const char *detail_of(const struct br_error_row *error)
{
    static char resource[128];
    switch (error->detail) {
    case BR_DETAIL_NONE:
        break;
    case BR_DETAIL_QUOTA:
        return "quota";
    case BR_DETAIL_PRECONDITION:
        return "precondition";
    case BR_DETAIL_RESOURCE:
        (void)snprintf(resource, sizeof resource, "resource:%s", error->resource_type);
        return resource;
    }
    return "-";
}

static const char *error_cell(const void *data, size_t row, size_t column)
{
    static const char *const heading[] = {"HTTP", "CODE", "GRPC", "REASON", "DETAIL"};
    /* Read before the next cell is asked for. */
    static char http[8];
    if (row == 0) {
        return heading[column];
    }
    const struct br_error_row *error = (const struct br_error_row *)data + row - 1;
    switch (column) {
    case 0:
        (void)snprintf(http, sizeof http, "%d", error->http);
        return http;
    case 1:
        return error->vendor_code;
    case 2:
        return br_code_name(error->code);
    case 3:
        return error->reason;
    default:
        return detail_of(error);
    }
}

static int print_routes(void)
{
    struct br_status st;
    struct br_contract *contract;
    if (!br_contract_create(&br_schema_linked, br_named_functions, br_named_functions_count, &contract,
                            &st)) {
        return br_cmd_fail(BR_EXIT_FAILED, &st);
    }
    size_t count;
    const struct br_method *methods = br_contract_methods(contract, &count);
    print_table(count + 1, 5, route_cell, methods);
    br_contract_destroy(contract);
    return BR_EXIT_OK;
}

static void print_metric(const struct br_metric_def *def)
{
    (void)printf("| `%s` | %s | ", def->name, br_metric_type_name(def->type));
    for (size_t i = 0; i < BR_METRIC_LABELS_MAX && def->labels[i] != NULL; i++) {
        (void)printf("%s`%s`", i > 0 ? ", " : "", def->labels[i]);
    }
    (void)printf("%s | %s |\n", def->labels[0] == NULL ? "-" : "", def->help);
}

static void print_metrics(void)
{
    size_t call_count;
    size_t serve_count;
    const struct br_metric_def *call = br_call_metrics_defs(&call_count);
    const struct br_metric_def *serve = br_serve_metrics_defs(&serve_count);
    (void)puts("| metric | type | labels | meaning |\n|---|---|---|---|");
    for (size_t i = 0; i < call_count; i++) {
        print_metric(&call[i]);
    }
    for (size_t i = 0; i < serve_count; i++) {
        print_metric(&serve[i]);
    }
}

int br_cmd_routes(int argc, char **argv)
{
    struct routes_settings settings = {0};
    int code = br_cmd_read(usage, &table, argc, argv, &settings, NULL);
    if (code >= 0) {
        return code;
    }
    if (settings.errors + settings.settings + settings.metrics > 1) {
        struct br_status st;
        (void)br_status_set(&st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                            "routes: give one of --errors, --settings and --metrics");
        return br_cmd_fail(BR_EXIT_USAGE, &st);
    }
    if (settings.settings) {
        br_settings_print_markdown(&br_serve_settings_table);
        return BR_EXIT_OK;
    }
    if (settings.metrics) {
        print_metrics();
        return BR_EXIT_OK;
    }
    if (settings.errors) {
        print_table(br_error_table_count + 1, 5, error_cell, br_error_table);
        return BR_EXIT_OK;
    }
    return print_routes();
}
