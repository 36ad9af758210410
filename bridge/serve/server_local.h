/*
 * Calls of methods that are answered in the process: one request and reply, or a stream of them.
 *
 * A stream lives on its shard's completion-queue thread. What happens elsewhere, a change of what it watches or the
 * drain, comes there by an empty batch on the call. It reads a message when the reply to the one before is sent, and
 * sends one at a time, so a caller that does not read holds one reply; of what is watched it gets the newest.
 *
 * Private to bridge/serve/server*.c. Threads: the shard's completion-queue thread, but for br_stream_end_all().
 * Source:  bridge_conventions.md section 7.
 */
#ifndef BR_SERVE_SERVER_LOCAL_H
#define BR_SERVE_SERVER_LOCAL_H

#include "serve/server_call.h"

/* The one request of |slot|'s method came. |message| borrowed. */
void br_local_take(struct br_slot *slot, grpc_slice message);

/* Opens the stream of |slot|, whose caller sends any number of requests. */
void br_stream_open(struct br_slot *slot);

/* The caller left, or its deadline passed. Harmless later. */
void br_stream_cancel(struct br_stream *stream);

/* Ends all streams with UNAVAILABLE, those that come later too. The server's owner. */
void br_stream_end_all(struct br_server *server);

/* Cuts the streams that should have ended, but whose callers do not read. */
void br_stream_end_stuck(struct br_shard *shard);

/* Its call is over. Accepts NULL. */
void br_stream_destroy(struct br_stream *stream);

#endif
