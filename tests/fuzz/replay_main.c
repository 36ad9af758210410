/*
 * Runs a fuzz target over files that are known: the corpus as an ordinary test, or one input of a finding.
 *
 * Usage: fuzz_TARGET FILE|FOLDER...   ends with 1 when there was no input at all
 */
#include "fuzz.h"

#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t run_count;

static void run_file(const char *path)
{
    struct br_buf buf;
    br_buf_init(&buf, (size_t)1 << 20);
    int error = br_file_read(path, &buf);
    if (error != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(error));
        exit(1);
    }
    /* A copy that ends where the bytes do, so that the sanitizer sees a step beyond. */
    uint8_t *copy = malloc(buf.len > 0 ? buf.len : 1);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, buf.len > 0 ? buf.data : "", buf.len);
    /* The last line of the output names the input that ends the program. */
    printf("%s\n", path);
    (void)fflush(stdout);
    (void)LLVMFuzzerTestOneInput(copy, buf.len);
    run_count++;
    free(copy);
    br_buf_finish(&buf);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void run_path(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_visible, alphasort);
    if (count < 0) {
        run_file(path);
        return;
    }
    for (int i = 0; i < count; i++) {
        char file[4096];
        (void)snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        run_file(file);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        run_path(argv[i]);
    }
    printf("%zu inputs\n", run_count);
    return run_count == 0;
}
