/*
 * lower IN OUT: writes the descriptor set IN to OUT with its proto3 files lowered, see lower.h.
 */
#include "lower.h"
#include "set_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_CAP 512

static bool write_file(const char *path, const uint8_t *bytes, size_t len, char *error, size_t error_cap)
{
    FILE *file = fopen(path, "wb");
    bool ok = file && fwrite(bytes, 1, len, file) == len;

    if (file && fclose(file) != 0) {
        ok = false;
    }
    if (!ok) {
        snprintf(error, error_cap, "%s: %s", path, strerror(errno));
    }
    return ok;
}

static bool lower(const char *in_path, const char *out_path, char *error, size_t error_cap)
{
    Google__Protobuf__FileDescriptorSet *set = NULL;
    uint8_t *in = NULL, *out = NULL;
    size_t len;
    bool ok = false;

    if (!br_set_file_read(in_path, &in, &len, error, error_cap)) {
        goto done;
    }
    set = br_set_file_parse(in_path, in, len, error, error_cap);
    if (!set || !br_lower_set(set, error, error_cap)) {
        goto done;
    }
    len = google__protobuf__file_descriptor_set__get_packed_size(set);
    /* An empty set packs to nothing, and malloc(0) may be NULL. */
    out = malloc(len + 1);
    if (!out) {
        snprintf(error, error_cap, "out of memory");
        goto done;
    }
    google__protobuf__file_descriptor_set__pack(set, out);
    ok = write_file(out_path, out, len, error, error_cap);
done:
    free(out);
    if (set) {
        google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
    }
    free(in);
    return ok;
}

int main(int argc, char **argv)
{
    char error[ERROR_CAP];

    if (argc != 3) {
        fprintf(stderr, "usage: lower IN OUT\n");
        return 2;
    }
    if (!lower(argv[1], argv[2], error, sizeof error)) {
        fprintf(stderr, "lower: %s\n", error);
        return 1;
    }
    return 0;
}
