#include "random.h"

#include "base/log.h"

#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

void sim_random_fill(unsigned char *out, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t got = getrandom(out + done, len - done, 0);
        if (got > 0) {
            done += (size_t)got;
        } else if (errno != EINTR) {
            BR_LOG(BR_LOG_ERROR, "no_random_bytes", br_log_text("from", "getrandom"));
            _exit(1);
        }
    }
}
