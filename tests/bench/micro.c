/*
 * What translation alone costs: nanoseconds of CPU time and allocations for each operation, with no socket, no gRPC and
 * no libcurl.
 *
 *   bench-micro INPUTS MILLISECONDS
 *
 * INPUTS is the folder that inputs.py writes; each operation is measured for about MILLISECONDS. Prints one line of JSON
 * for each. Of several batches the fastest counts: whatever else the machine did only makes one slower.
 *
 * Allocations are counted in one run before: in the bridge's own code by the linker's --wrap, in cJSON by its hooks. What
 * protobuf-c unpacks goes into the call's arena, whose blocks are counted.
 */
#include "common.h"

#include "translate/error_map.h"
#include "translate/named_rules.h"
#include "translate/rest_request.h"
#include "translate/rest_response.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCHES 10
#define ARENA_BYTES ((size_t)64 << 20)
#define NOW_S 1700000000

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static uint64_t allocation_count;
static uint64_t allocated_bytes;

static void count_allocation(size_t size)
{
    allocation_count++;
    allocated_bytes += size;
}

void *__wrap_malloc(size_t size)
{
    count_allocation(size);
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    count_allocation(count * size);
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    count_allocation(size);
    return __real_realloc(memory, size);
}

struct operation {
    const char *name;
    const struct br_method *method;
    char *bytes;
    size_t len;
    void (*run)(const struct operation *operation);
};

static void build_request(const struct operation *operation)
{
    static const struct br_rest_config config = {.base_url = "https://modelarts.example.com"};
    struct br_arena arena;
    struct br_violations violations;
    struct br_warnings warnings = {0};
    struct br_rest_request request = {0};
    struct br_status st;
    br_arena_init(&arena, ARENA_BYTES);
    br_violations_init(&violations, &arena);
    if (!br_rest_request_build(operation->method, &config, (const uint8_t *)operation->bytes, operation->len,
                               &violations, &warnings, &request, &st)) {
        bench_fail(st.msg);
    }
    br_rest_request_finish(&request);
    br_arena_finish(&arena);
}

static void read_response(const struct operation *operation)
{
    struct br_arena arena;
    struct br_status st;
    uint8_t *packed;
    size_t len;
    br_arena_init(&arena, ARENA_BYTES);
    if (!br_rest_response_read(operation->method, operation->bytes, operation->len, &arena, NULL, &packed,
                               &len, &st)) {
        bench_fail(st.msg);
    }
    free(packed);
    br_arena_finish(&arena);
}

static void map_error(const struct operation *operation)
{
    struct br_header headers[] = {{.name = "content-type", .value = "application/json"},
                                  {.name = "x-request-id", .value = "71f2993bb44fa789d3a61b8b6201ba95"}};
    struct br_http_answer answer = {.status = 404,
                                    .headers = {.items = headers, .count = 2},
                                    .body = operation->bytes,
                                    .body_len = operation->len};
    struct br_arena arena;
    struct br_error error;
    uint8_t *details;
    size_t len;
    bool cut;
    br_arena_init(&arena, ARENA_BYTES);
    br_error_from_answer(&answer, operation->method, NULL, NOW_S, &arena, &error);
    if (error.st.code != BR_NOT_FOUND || !br_error_encode(&error, &arena, &details, &len, &cut)) {
        bench_fail("the error was not mapped");
    }
    br_arena_finish(&arena);
}

/* CPU time, which other processes do not take away. */
static int64_t cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t run_batch(const struct operation *operation, int64_t count)
{
    int64_t start_ns = cpu_ns();
    for (int64_t i = 0; i < count; i++) {
        operation->run(operation);
    }
    return cpu_ns() - start_ns;
}

static void measure(const struct operation *operation, int64_t duration_ms)
{
    (void)run_batch(operation, 1); /* what is only built once */
    uint64_t count_before = allocation_count;
    uint64_t bytes_before = allocated_bytes;
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = __wrap_malloc, .free_fn = free});
    (void)run_batch(operation, 1);
    cJSON_InitHooks(NULL); /* with hooks it copies where it would call realloc() */
    uint64_t allocations = allocation_count - count_before;
    uint64_t bytes = allocated_bytes - bytes_before;

    int64_t batch_ns = duration_ms * 1000000 / BATCHES;
    int64_t count = 1;
    int64_t took_ns = run_batch(operation, count);
    while (took_ns < batch_ns) {
        count *= 2;
        took_ns = run_batch(operation, count);
    }
    double best = (double)took_ns / (double)count;
    for (int i = 1; i < BATCHES; i++) {
        double again = (double)run_batch(operation, count) / (double)count;
        best = again < best ? again : best;
    }
    printf("{\"operation\":\"%s\",\"ns\":%.0f,\"allocations\":%" PRIu64 ",\"allocated_bytes\":%" PRIu64 "}\n",
           operation->name, best, allocations, bytes);
}

/* |file| of the folder |inputs| and the method |rpc|. */
static struct operation prepare(const struct br_contract *contract, const char *name, const char *inputs,
                                const char *file, const char *rpc, void (*run)(const struct operation *))
{
    char path[4096];
    struct operation operation = {.name = name, .run = run};
    (void)snprintf(path, sizeof path, "%s/%s", inputs, file);
    operation.bytes = bench_read_file(path, &operation.len);
    (void)snprintf(path, sizeof path, "/modelarts.v1.ModelArtsService/%s", rpc);
    operation.method = br_contract_find(contract, path, strlen(path));
    if (operation.method == NULL) {
        bench_fail("the contract has no such method");
    }
    return operation;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        bench_fail("usage: bench-micro INPUTS MILLISECONDS");
    }
    struct br_contract *contract;
    struct br_status st;
    if (!br_contract_create(&br_schema_linked, br_named_functions, br_named_functions_count, &contract,
                            &st)) {
        bench_fail(st.msg);
    }
    struct operation operations[] = {
        prepare(contract, "request, small", argv[1], "small.pb", "UpdateService", build_request),
        prepare(contract, "request, the document's example", argv[1], "example.pb", "UpdateService",
                build_request),
        prepare(contract, "request, 64 KiB of config", argv[1], "big.pb", "UpdateService", build_request),
        prepare(contract, "answer to an update", argv[1], "update.json", "UpdateService", read_response),
        prepare(contract, "answer with 100 log records", argv[1], "logs.json", "ShowServiceUpdateLogs",
                read_response),
        prepare(contract, "error, ModelArts.3502", argv[1], "error.json", "UpdateService", map_error),
    };
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        measure(&operations[i], bench_number(argv[2]));
        free(operations[i].bytes);
    }
    br_contract_destroy(contract);
    return 0;
}
