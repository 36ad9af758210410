#include "translate/wire_check.h"

#include "base/utf8.h"
#include "base/wire.h"

#include <string.h>

/* Each level is one frame and, in free JSON, a map entry and a Value on the way to the next. */
#define MAX_FRAMES (3 * BR_MAX_DEPTH + 3)

/* One message on the way down. */
struct frame {
    const struct frame *parent;
    const struct br_message_plan *plan;
    const uint8_t *start;
    const uint8_t *record;                 /* where the record that is being checked begins */
    const ProtobufCFieldDescriptor *field; /* of that record; NULL while unknown */
    unsigned depth;
};

struct walk {
    const uint8_t *bytes;
    size_t max_elements;
    size_t element_count;
    struct br_violations *violations;
    struct br_status *st;
};

/* How many records of |number| stand between |at| and |end|; all of them were read before. */
static size_t count_records(const uint8_t *at, const uint8_t *end, uint32_t number)
{
    size_t count = 0;
    while (at < end) {
        struct br_wire_record record;
        const char *fault = br_wire_read(at, end, &record);
        if (fault != NULL) {
            break;
        }
        count += record.number == number;
        at = record.payload + record.len;
    }
    return count;
}

/* Free JSON is a tree of messages that its author does not know: its place is the field that holds it. */
static bool is_in_free_json(const struct frame *frame)
{
    for (; frame != NULL; frame = frame->parent) {
        if (frame->plan->shape != BR_SHAPE_FIELDS) {
            return true;
        }
    }
    return false;
}

/* Makes the chain of places that leads to |frame|'s record, and returns its innermost one. */
static const struct br_place *make_places(const struct frame *frame, struct br_place *places)
{
    const struct br_place *innermost = NULL;
    struct br_place *child = NULL;
    size_t used = 0;
    for (; frame != NULL && used < MAX_FRAMES; frame = frame->parent) {
        if (frame->field == NULL || is_in_free_json(frame)) {
            continue;
        }
        struct br_place *place = &places[used++];
        *place = (struct br_place){.name = frame->field->name, .index = BR_PLACE_NO_INDEX};
        if (frame->field->label == PROTOBUF_C_LABEL_REPEATED) {
            place->index = count_records(frame->start, frame->record, frame->field->id);
        }
        if (child != NULL) {
            child->parent = place;
        } else {
            innermost = place;
        }
        child = place;
    }
    return innermost;
}

static bool refuse_malformed(struct walk *walk, const struct frame *frame, const char *fault)
{
    size_t position = (size_t)(frame->record - walk->bytes) + 1;
    struct br_place places[MAX_FRAMES];
    const struct br_place *place = make_places(frame, places);
    if (place == NULL) {
        return br_status_set(walk->st, BR_INVALID_ARGUMENT, "MALFORMED_MESSAGE",
                             "the message is not valid: %s, at byte %zu", fault, position);
    }

    br_violations_add(walk->violations, place, "%s, at byte %zu", fault, position);
    /* The place comes last: it may be too long for the message. */
    const char *where = br_place_text(place, walk->violations->arena);
    return br_status_set(walk->st, BR_INVALID_ARGUMENT, "MALFORMED_MESSAGE",
                         "the message is not valid: %s, at byte %zu, in %s", fault, position,
                         where != NULL ? where : frame->plan->full_name);
}

static bool refuse_text(struct walk *walk, const struct frame *frame, const char *fault, size_t index)
{
    struct br_place places[MAX_FRAMES];
    br_violations_add(walk->violations, make_places(frame, places), "%s, at byte %zu of the text", fault,
                      index + 1);
    return br_violations_none(walk->violations, walk->st);
}

static bool count_elements(struct walk *walk, size_t count)
{
    walk->element_count += count;
    if (walk->element_count <= walk->max_elements) {
        return true;
    }
    return br_status_set(walk->st, BR_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE",
                         "the message has more than %zu fields and list elements", walk->max_elements);
}

static enum br_wire_type wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return BR_WIRE_32BIT;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return BR_WIRE_64BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return BR_WIRE_LENGTH;
    default:
        return BR_WIRE_VARINT;
    }
}

/* Many numbers in one record. */
static bool check_packed(struct walk *walk, const struct frame *frame, const struct br_wire_record *record,
                         enum br_wire_type wire_type)
{
    if (wire_type != BR_WIRE_VARINT) {
        size_t size = wire_type == BR_WIRE_32BIT ? 4 : 8;
        if (record->len % size != 0) {
            return refuse_malformed(walk, frame, "packed numbers that end in the middle of one");
        }
        return count_elements(walk, record->len / size);
    }
    const uint8_t *at = record->payload;
    const uint8_t *end = at + record->len;
    while (at < end) {
        uint64_t value;
        size_t used = br_wire_read_varint(at, end, &value);
        if (used == 0) {
            return refuse_malformed(walk, frame,
                                    "a packed number that does not end or is longer than 64 bits");
        }
        /* protobuf-c takes each byte for an element. */
        if (frame->field->type == PROTOBUF_C_TYPE_BOOL && (used != 1 || value > 1)) {
            return refuse_malformed(walk, frame, "a packed bool that is neither 0 nor 1");
        }
        if (!count_elements(walk, 1)) {
            return false;
        }
        at += used;
    }
    return true;
}

static bool check_text(struct walk *walk, const struct frame *frame, const struct br_wire_record *record)
{
    const uint8_t *nul = memchr(record->payload, '\0', record->len);
    if (nul != NULL) {
        return refuse_text(walk, frame, "holds a NUL character", (size_t)(nul - record->payload));
    }
    size_t valid = br_utf8_valid_prefix((const char *)record->payload, record->len);
    if (valid != record->len) {
        return refuse_text(walk, frame, "is not UTF-8", valid);
    }
    return true;
}

static const struct br_field_plan *field_plan(const struct br_message_plan *plan, uint32_t number)
{
    for (size_t i = 0; i < plan->field_count; i++) {
        if (plan->fields[i].number == number) {
            return &plan->fields[i];
        }
    }
    return NULL;
}

static bool check_message(struct walk *walk, struct frame *frame, const uint8_t *end);

static bool check_submessage(struct walk *walk, const struct frame *frame,
                             const struct br_wire_record *record)
{
    /*
     * protobuf-c merges the two, but fails where the message has a oneof that neither sets, and copies lists
     * anew each time, which costs the square of their length. No encoder writes a field twice.
     */
    if (frame->field->label != PROTOBUF_C_LABEL_REPEATED &&
        count_records(frame->start, frame->record, frame->field->id) > 0) {
        return refuse_malformed(walk, frame, "a message field that is given twice");
    }

    const struct br_field_plan *field = field_plan(frame->plan, frame->field->id);
    if (field == NULL || field->message == NULL) {
        return refuse_malformed(walk, frame, "a message field that is not in the contract");
    }
    bool is_wrapper = field->label == BR_LABEL_MAP || field->message->shape == BR_SHAPE_VALUE;
    struct frame inner = {.parent = frame,
                          .plan = field->message,
                          .start = record->payload,
                          .record = record->payload,
                          .depth = frame->depth + !is_wrapper};
    if (inner.depth > BR_MAX_DEPTH) {
        return refuse_malformed(walk, frame, "objects and lists nested too deep");
    }
    return check_message(walk, &inner, record->payload + record->len);
}

static bool check_known(struct walk *walk, const struct frame *frame, const struct br_wire_record *record)
{
    const ProtobufCFieldDescriptor *field = frame->field;
    enum br_wire_type wire_type = wire_type_of(field->type);
    if (record->wire_type == wire_type) {
        if (field->type == PROTOBUF_C_TYPE_STRING) {
            return check_text(walk, frame, record);
        }
        if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
            return check_submessage(walk, frame, record);
        }
        return true;
    }
    if (record->wire_type == BR_WIRE_LENGTH && field->label == PROTOBUF_C_LABEL_REPEATED) {
        return check_packed(walk, frame, record, wire_type);
    }
    /* Others take it for an unknown field. protobuf-c fails, or reads a bool from the bytes of a string. */
    return refuse_malformed(walk, frame, "a value of another type than the field has");
}

/* Checks the records from |frame->start| to |end|. */
static bool check_message(struct walk *walk, struct frame *frame, const uint8_t *end)
{
    const uint8_t *at = frame->start;
    while (at < end) {
        struct br_wire_record record;
        frame->record = at;
        const char *fault = br_wire_read(at, end, &record);
        frame->field = protobuf_c_message_descriptor_get_field(frame->plan->descriptor, record.number);
        if (fault != NULL) {
            return refuse_malformed(walk, frame, fault);
        }
        if (!count_elements(walk, 1)) {
            return false;
        }
        if (frame->field != NULL && !check_known(walk, frame, &record)) {
            return false;
        }
        at = record.payload + record.len;
    }
    return true;
}

bool br_wire_check(const struct br_message_plan *plan, const uint8_t *bytes, size_t len, size_t max_elements,
                   struct br_violations *violations, struct br_status *st)
{
    if (len == 0) {
        return true;
    }
    struct walk walk = {.bytes = bytes, .max_elements = max_elements, .violations = violations, .st = st};
    struct frame top = {.plan = plan, .start = bytes, .record = bytes, .depth = 1};
    return check_message(&walk, &top, bytes + len);
}
