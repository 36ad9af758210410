#include "upstream/http.h"

void br_http_exchange_finish(struct br_http_exchange *exchange)
{
    if (exchange == NULL) {
        return;
    }
    br_buf_finish(&exchange->body_buf);
    br_buf_finish(&exchange->header_text);
    /* These pointed into the two buffers. */
    exchange->answered = false;
    exchange->answer = (struct br_http_answer){0};
}
