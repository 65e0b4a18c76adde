/* SPDX-License-Identifier: BSD-2-Clause */
/* A mistake, and how it is found: a pointer into an arena that has been reset. Run it with HARENA_DEBUG=guard in the
 * environment, and it dies where the mistake is, with a line that says whose memory it was. Without that it prints what
 * happens to lie there. The same program built with -fsanitize=address is stopped at the same place.
 *
 *     $ HARENA_DEBUG=guard ./use_after_reset
 *     harena: use after reset: address 0x7f... was memory of the arena "request" (reset by thread 4711)
 *     Segmentation fault */
#include <harena.h>
#include <stdio.h>

struct user {
    const char *name;
};

/* What a request leaves behind in a variable that outlives it. */
static const struct user *last_user;

static int handle(harena *request, const char *name)
{
    struct user *user = harena_new(request, struct user);

    if (user == NULL)
        return -1;
    user->name = harena_strdup(request, name);
    last_user = user;
    return user->name != NULL ? 0 : -1;
}

int main(void)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *request;

    options.name = "request";
    request = harena_create(&options);
    if (request == NULL || handle(request, "Livia") != 0)
        return 1;
    puts(last_user->name); /* the request is not over: right */
    fflush(stdout);
    harena_reset(request);
    puts(last_user->name); /* wrong */
    harena_release(request);
    return 0;
}
