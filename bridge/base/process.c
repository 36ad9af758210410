#include "base/process.h"

#include "base/file.h"
#include "base/parse.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Bytes of a file of /proc that is read; they have a few hundred. */
#define PROC_MAX_BYTES 4096

/* The number in |path| that stands |spaces| spaces behind the last |mark|, or behind the start for '\0'; 0: none does. */
static int64_t read_number(const char *path, char mark, int spaces)
{
    struct br_buf text;
    int64_t value = 0;
    br_buf_init(&text, PROC_MAX_BYTES);
    if (br_file_read(path, &text) == 0 && text.len > 0) {
        const char *at = mark != '\0' ? strrchr(text.data, mark) : text.data;
        for (int i = 0; at != NULL && i < spaces; i++) {
            at = strchr(at, ' ');
            at = at != NULL ? at + 1 : NULL;
        }
        if (at != NULL && !br_parse_int64(at, strcspn(at, " \n"), &value)) {
            value = 0;
        }
    }
    br_buf_finish(&text);
    return value;
}

static int64_t to_us(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

static int64_t now_us(clockid_t id)
{
    struct timespec now;
    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) {
        return 0;
    }
    int64_t count = -1; /* the folder's own */
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        count += entry->d_name[0] != '.' ? 1 : 0;
    }
    (void)closedir(folder);
    return count;
}

void br_process_usage(struct br_process_usage *out)
{
    *out = (struct br_process_usage){
        .resident_bytes = read_number("/proc/self/statm", '\0', 1) * sysconf(_SC_PAGESIZE),
        .open_fds = count_fds(),
    };
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        out->cpu_us = to_us(usage.ru_utime) + to_us(usage.ru_stime);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        out->max_fds = limit.rlim_cur < INT64_MAX ? (int64_t)limit.rlim_cur : INT64_MAX;
    }
}

int64_t br_process_start_us(void)
{
    /* The 22nd field, "starttime", in ticks since the machine's start; the 2nd is the name, in parentheses. */
    int64_t ticks = read_number("/proc/self/stat", ')', 20);
    if (ticks == 0) {
        return 0;
    }
    int64_t age_us = now_us(CLOCK_BOOTTIME) - ticks * 1000000 / sysconf(_SC_CLK_TCK);
    return now_us(CLOCK_REALTIME) - age_us;
}

void br_process_protect(void)
{
    /* None of these can fail with such arguments. */
    (void)prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L);
    (void)unsetenv("SSLKEYLOGFILE");
    (void)unsetenv("GRPC_TRACE");
}
