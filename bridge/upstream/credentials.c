#include "upstream/credentials.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One byte more than a file may have, which proves that it has more, and the NUL. */
#define TEXT_CAP (BR_CREDENTIAL_MAX_BYTES + 2)

/* Kubernetes puts the files of a volume into a folder of their own, and lets this link name the newest one. */
#define DATA_LINK "..data"

struct set {
    struct br_credential_set base; /* first: the two are one pointer */
    size_t use_count;              /* readers, and one while it is the newest */
    char texts[BR_CREDENTIAL_FILES_MAX][TEXT_CAP];
};

/* What changes when a file does. Zeroed: the file is missing. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

struct br_credentials {
    char *folder;
    const struct br_credential_file *files;
    size_t count;
    const struct br_clock *clock;

    pthread_mutex_t lock; /* guards all below */
    struct set *newest;
    struct stamp stamps[BR_CREDENTIAL_FILES_MAX]; /* of the files as they were last read */
    bool unsettled; /* they had just changed then: a second change in the same tick leaves the same stamps */
    int64_t checked_ms;
    uint64_t version;
    size_t taken_count;
    struct br_status fault; /* that the log was told of; BR_OK: none */
};

/* What is to be said in the log, which is written without the lock. */
enum news {
    NEWS_NONE,
    NEWS_FAULT,
    NEWS_RECOVERED,
    NEWS_CHANGED,
};

static bool fail_no_memory(struct br_status *st)
{
    return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for the credentials");
}

static bool fail_file(const char *name, const char *what, struct br_status *st)
{
    return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "the credential file %s %s", name, what);
}

static bool fail_reading(const char *name, struct br_status *st)
{
    return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "the credential file %s cannot be read: %s",
                         name, strerror(errno));
}

static void destroy_set(struct set *set)
{
    if (set != NULL) {
        explicit_bzero(set, sizeof *set);
        free(set);
    }
}

/* ---- Reading ---- */

/* Opens what holds the files. What is opened stays one generation of them, also while Kubernetes swaps the link. */
static bool open_folder(const char *folder, int *out, struct br_status *st)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "cannot open the credentials folder: %s",
                             strerror(errno));
    }
    int data_fd = openat(fd, DATA_LINK, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (data_fd >= 0) {
        (void)close(fd);
        fd = data_fd;
    }
    *out = fd;
    return true;
}

static void read_stamps(const struct br_credentials *credentials, int folder_fd,
                        struct stamp out[BR_CREDENTIAL_FILES_MAX])
{
    memset(out, 0, BR_CREDENTIAL_FILES_MAX * sizeof *out);
    for (size_t i = 0; i < credentials->count; i++) {
        struct stat info;
        if (fstatat(folder_fd, credentials->files[i].name, &info, 0) == 0) {
            out[i].device = info.st_dev;
            out[i].inode = info.st_ino;
            out[i].size = info.st_size;
            out[i].modified = info.st_mtim;
            out[i].changed = info.st_ctim;
        }
    }
}

/* Reads to the end of the file or until |text| is full; -1: errno. */
static ssize_t read_text(int fd, char text[TEXT_CAP])
{
    size_t len = 0;
    while (len < TEXT_CAP - 1) {
        ssize_t n = read(fd, text + len, TEXT_CAP - 1 - len);
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        len += n > 0 ? (size_t)n : 0;
    }
    text[len] = '\0';
    return (ssize_t)len;
}

/* What goes into a header or a JSON string as it is. */
static bool is_printable(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            return false;
        }
    }
    return true;
}

/* Reads an open file. |out| becomes |text|, or NULL where there is no value in it. */
static bool read_open_file(const struct br_credential_file *file, int fd, char text[TEXT_CAP],
                           const char **out, struct br_status *st)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return fail_reading(file->name, st);
    }
    if (!S_ISREG(info.st_mode)) {
        return fail_file(file->name, "is not a regular file", st);
    }
    ssize_t len = read_text(fd, text);
    if (len < 0) {
        return fail_reading(file->name, st);
    }
    if (len > BR_CREDENTIAL_MAX_BYTES) {
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                             "the credential file %s is larger than %d bytes", file->name,
                             BR_CREDENTIAL_MAX_BYTES);
    }
    if (len > 0 && text[len - 1] == '\n') {
        text[--len] = '\0';
    }
    if (len == 0 && file->required) {
        return fail_file(file->name, "is empty", st);
    }
    if (!is_printable(text, (size_t)len)) {
        return fail_file(file->name, "holds a byte that is not printable ASCII", st);
    }
    *out = len > 0 ? text : NULL;
    return true;
}

static bool read_file(const struct br_credential_file *file, int folder_fd, char text[TEXT_CAP],
                      const char **out, struct br_status *st)
{
    /* O_NONBLOCK: a FIFO without a writer would hold up every call. */
    int fd = openat(folder_fd, file->name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && !file->required) {
        *out = NULL;
        return true;
    }
    if (fd < 0) {
        return fail_reading(file->name, st);
    }
    bool ok = read_open_file(file, fd, text, out, st);
    (void)close(fd);
    return ok;
}

static bool read_set(struct br_credentials *credentials, int folder_fd, struct set **out,
                     struct br_status *st)
{
    struct set *set = calloc(1, sizeof *set);
    if (set == NULL) {
        return fail_no_memory(st);
    }
    for (size_t i = 0; i < credentials->count; i++) {
        if (!read_file(&credentials->files[i], folder_fd, set->texts[i], &set->base.values[i], st)) {
            destroy_set(set);
            return false;
        }
    }
    set->use_count = 1;
    *out = set;
    return true;
}

/* ---- Checking ---- */

static bool is_same_value(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool is_same_set(const struct br_credentials *credentials, const struct set *a, const struct set *b)
{
    for (size_t i = 0; i < credentials->count; i++) {
        if (!is_same_value(a->base.values[i], b->base.values[i])) {
            return false;
        }
    }
    return true;
}

static void drop_use(struct set *set)
{
    if (--set->use_count == 0) {
        destroy_set(set);
    }
}

/* |set| becomes the newest, unless it says what the newest says. Returns whether it did. */
static bool adopt(struct br_credentials *credentials, struct set *set)
{
    if (credentials->newest != NULL) {
        if (is_same_set(credentials, credentials->newest, set)) {
            destroy_set(set);
            return false;
        }
        drop_use(credentials->newest);
    }
    set->base.version = ++credentials->version;
    credentials->newest = set;
    return true;
}

/* Reads a set from files that stay as they are meanwhile: else it could be half of one and half of another. */
static bool read_whole_set(struct br_credentials *credentials, int folder_fd, const struct stamp *before,
                           struct set **out, struct br_status *st)
{
    struct set *set = NULL;
    if (!read_set(credentials, folder_fd, &set, st)) {
        return false;
    }
    struct stamp after[BR_CREDENTIAL_FILES_MAX];
    read_stamps(credentials, folder_fd, after);
    if (memcmp(before, after, sizeof after) != 0) {
        destroy_set(set);
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                             "the credential files changed while they were read");
    }
    *out = set;
    return true;
}

/* Reads the files if they have changed. |changed|: whether there is a new set. */
static bool refresh(struct br_credentials *credentials, bool *changed, struct br_status *st)
{
    int folder_fd = -1;
    if (!open_folder(credentials->folder, &folder_fd, st)) {
        return false;
    }
    struct stamp stamps[BR_CREDENTIAL_FILES_MAX];
    read_stamps(credentials, folder_fd, stamps);
    bool moved = memcmp(stamps, credentials->stamps, sizeof stamps) != 0;
    bool ok = true;
    *changed = false;
    if (moved || credentials->unsettled) {
        struct set *set = NULL;
        ok = read_whole_set(credentials, folder_fd, stamps, &set, st);
        if (ok) {
            *changed = adopt(credentials, set);
            credentials->unsettled = moved;
            memcpy(credentials->stamps, stamps, sizeof stamps);
        }
    }
    (void)close(folder_fd);
    return ok;
}

/* Under the lock. |fault| is written when the news is NEWS_FAULT. */
static enum news check(struct br_credentials *credentials, struct br_status *fault)
{
    bool changed;
    if (!refresh(credentials, &changed, fault)) {
        bool known = credentials->fault.code != BR_OK && strcmp(credentials->fault.msg, fault->msg) == 0;
        credentials->fault = *fault;
        return known ? NEWS_NONE : NEWS_FAULT;
    }
    bool had_fault = credentials->fault.code != BR_OK;
    credentials->fault.code = BR_OK;
    if (had_fault) {
        return NEWS_RECOVERED;
    }
    return changed ? NEWS_CHANGED : NEWS_NONE;
}

static void report(enum news news, const struct br_status *fault)
{
    switch (news) {
    case NEWS_NONE:
        break;
    case NEWS_FAULT:
        BR_LOG(BR_LOG_WARN, "credentials_fault", br_log_text("message", fault->msg));
        break;
    case NEWS_RECOVERED:
        br_log(BR_LOG_INFO, "credentials_recovered", NULL, 0);
        break;
    case NEWS_CHANGED:
        br_log(BR_LOG_INFO, "credentials_changed", NULL, 0);
        break;
    }
}

/* ---- The exported functions ---- */

bool br_credentials_create(const char *folder, const struct br_credential_file *files, size_t count,
                           const struct br_clock *clock, struct br_credentials **out, struct br_status *st)
{
    assert(count <= BR_CREDENTIAL_FILES_MAX);
    struct br_credentials *credentials = calloc(1, sizeof *credentials);
    char *folder_copy = strdup(folder);
    if (credentials == NULL || folder_copy == NULL) {
        free(folder_copy);
        free(credentials);
        return fail_no_memory(st);
    }
    *credentials = (struct br_credentials){
        .folder = folder_copy,
        .files = files,
        .count = count,
        .clock = clock,
        .unsettled = true,
        .checked_ms = br_clock_now_ms(clock),
    };
    /* Cannot fail with default attributes on Linux. */
    (void)pthread_mutex_init(&credentials->lock, NULL);
    bool changed;
    if (!refresh(credentials, &changed, st)) {
        br_credentials_destroy(credentials);
        return false;
    }
    *out = credentials;
    return true;
}

void br_credentials_destroy(struct br_credentials *credentials)
{
    if (credentials == NULL) {
        return;
    }
    assert(credentials->taken_count == 0);
    destroy_set(credentials->newest);
    (void)pthread_mutex_destroy(&credentials->lock);
    free(credentials->folder);
    /* The fault was copied whole from the stack of who read the files: what lies behind its text may be of theirs. */
    explicit_bzero(credentials, sizeof *credentials);
    free(credentials);
}

const struct br_credential_set *br_credentials_take(struct br_credentials *credentials)
{
    enum news news = NEWS_NONE;
    struct br_status fault;
    int64_t now_ms = br_clock_now_ms(credentials->clock);
    pthread_mutex_lock(&credentials->lock);
    if (now_ms - credentials->checked_ms >= BR_CREDENTIALS_CHECK_MS) {
        credentials->checked_ms = now_ms;
        news = check(credentials, &fault);
    }
    struct set *set = credentials->newest;
    set->use_count++;
    credentials->taken_count++;
    pthread_mutex_unlock(&credentials->lock);
    report(news, &fault);
    return &set->base;
}

void br_credentials_give_back(struct br_credentials *credentials, const struct br_credential_set *set)
{
    pthread_mutex_lock(&credentials->lock);
    credentials->taken_count--;
    /* The cast is this module's right: every set is one of its own. */
    drop_use((struct set *)set);
    pthread_mutex_unlock(&credentials->lock);
}
