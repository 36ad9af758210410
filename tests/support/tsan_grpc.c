/*
 * Tells ThreadSanitizer what gRPC core promises: all that a thread did before it started an operation has happened
 * when the operation's tag comes out of the completion queue. Debian's core is built without the sanitizer, which
 * therefore does not see the locks that make it so, and would report every object that goes with a tag.
 *
 * To be preloaded into programs that use core's C functions. Without the sanitizer it changes nothing.
 * Source: https://grpc.github.io/grpc/core/grpc_8h.html
 */
#define _GNU_SOURCE /* RTLD_NEXT */

#include <dlfcn.h>
#include <grpc/grpc.h>

#pragma weak __tsan_acquire
#pragma weak __tsan_release
void __tsan_acquire(void *address);
void __tsan_release(void *address);

/* The tag of a shutdown may be NULL, which is no address: one that nothing else has stands for it. */
static char null_tag;

static void release(void *tag)
{
    if (__tsan_release != NULL) {
        __tsan_release(tag != NULL ? tag : &null_tag);
    }
}

/* core's own |name|, as the type of |function|. */
#define CORE(function)                         \
    ((union {                                  \
        void *symbol;                          \
        __typeof__(&function) call;            \
    }){.symbol = dlsym(RTLD_NEXT, #function)}) \
        .call

grpc_call_error grpc_call_start_batch(grpc_call *call, const grpc_op *ops, size_t nops, void *tag,
                                      void *reserved)
{
    release(tag);
    return CORE(grpc_call_start_batch)(call, ops, nops, tag, reserved);
}

grpc_call_error grpc_server_request_call(grpc_server *server, grpc_call **call, grpc_call_details *details,
                                         grpc_metadata_array *request_metadata,
                                         grpc_completion_queue *cq_bound_to_call,
                                         grpc_completion_queue *cq_for_notification, void *tag_new)
{
    release(tag_new);
    return CORE(grpc_server_request_call)(server, call, details, request_metadata, cq_bound_to_call,
                                          cq_for_notification, tag_new);
}

void grpc_server_shutdown_and_notify(grpc_server *server, grpc_completion_queue *cq, void *tag)
{
    release(tag);
    CORE(grpc_server_shutdown_and_notify)(server, cq, tag);
}

grpc_event grpc_completion_queue_next(grpc_completion_queue *cq, gpr_timespec deadline, void *reserved)
{
    grpc_event event = CORE(grpc_completion_queue_next)(cq, deadline, reserved);
    if (event.type == GRPC_OP_COMPLETE && __tsan_acquire != NULL) {
        __tsan_acquire(event.tag != NULL ? event.tag : &null_tag);
    }
    return event;
}
