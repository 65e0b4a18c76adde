/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of cleanups. Layer 5. */
#include "cleanup.h"

#include "thread.h"

void hri_cleanup_run(struct hri_cleanup **list)
{
    struct hri_cleanup *cleanup;

    hri_thread_cleanups++;
    while ((cleanup = *list) != NULL) {
        *list = cleanup->next; /* first: the cleanup may register more */
        cleanup->fn(cleanup->ctx);
    }
    hri_thread_cleanups--;
}

bool hri_cleanup_forget(struct hri_cleanup **list, harena_cleanup_fn fn, void *ctx)
{
    for (struct hri_cleanup **at = list; *at != NULL; at = &(*at)->next) {
        if ((*at)->fn == fn && (*at)->ctx == ctx) {
            *at = (*at)->next;
            return true;
        }
    }
    return false;
}
