/*
 * The details of a failed call, google.rpc.Status in the trailer grpc-status-details-bin, as lines for people.
 *
 * Pure. Threads: any.
 * Source: google/rpc/status.proto, google/rpc/error_details.proto.
 */
#ifndef BR_CMD_STATUS_DETAILS_H
#define BR_CMD_STATUS_DETAILS_H

#include "base/buf.h"

#include <stdint.h>

#define BR_STATUS_DETAILS_KEY "grpc-status-details-bin"

/*
 * Appends a line for each thing that the details say: reason and its metadata, request id, retry delay, and
 * one for each violation, resource and link. Of a detail of another type, or one that cannot be read, the line
 * has the type URL. Text is escaped as by br_terminal_text().
 * |bytes| whatever the server sent.
 * Returns BR_BUF_OK also for bytes that are no google.rpc.Status: one line says so.
 */
enum br_buf_result br_status_details_text(struct br_buf *out, const uint8_t *bytes, size_t len) BR_MUST_CHECK;

#endif
