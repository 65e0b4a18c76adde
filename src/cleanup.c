/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of cleanups. Layer 5. */
#include "cleanup.h"

#include "thread.h"

static void nothing(void *ctx)
{
    (void)ctx;
}

void hri_cleanup_run_newest(struct hri_cleanup **list)
{
    struct hri_cleanup *cleanup = *list;

    *list = cleanup->next; /* first: the cleanup may register more */
    hri_thread_cleanups++;
    cleanup->fn(cleanup->ctx);
    hri_thread_cleanups--;
}

void hri_cleanup_run(struct hri_cleanup **list)
{
    while (*list != NULL)
        hri_cleanup_run_newest(list);
}

bool hri_cleanup_forget(struct hri_cleanup **list, harena_cleanup_fn fn, void *ctx, bool in_place)
{
    for (struct hri_cleanup **at = list; *at != NULL; at = &(*at)->next) {
        if ((*at)->fn != fn || (*at)->ctx != ctx)
            continue;
        if (in_place || ((*at)->next == NULL && at != list))
            (*at)->fn = nothing;
        else
            *at = (*at)->next;
        return true;
    }
    return false;
}
