/* SPDX-License-Identifier: BSD-2-Clause */
/* An arena that must do with memory of the caller's: how much it needs is known before, and what is too much is refused
 * and harms nothing. */
#include <errno.h>
#include <harena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64, PARTICLES = 100, NAME = 100 };

struct particle {
    float x, y, speed;
};

/* One allocation in an arena of `LINE` alignment. */
static size_t rounded(size_t bytes)
{
    return (bytes + LINE - 1) / LINE * LINE;
}

/* What the arena will need: its own, the plan, and once the alignment. */
static size_t needed(void)
{
    return harena_fixed_overhead() + rounded(PARTICLES * sizeof(struct particle)) + rounded(NAME) +
           LINE;
}

int main(void)
{
    harena_options options = HARENA_OPTIONS_INIT;
    void *memory = malloc(needed()); /* or a static array, a mapped file, memory of a device */
    struct particle *particles;
    harena *a;
    char *name;

    options.alignment = LINE; /* everything begins a cache line */
    if (memory == NULL || harena_create_fixed(memory, 10, &options) != NULL)
        return 1;
    printf("10 bytes: %s\n", strerror(errno));
    a = harena_create_fixed(memory, needed(), &options);
    if (a == NULL)
        return 1;
    for (int frame = 0; frame < 3; frame++) {
        particles = harena_new_array(a, struct particle, PARTICLES);
        name = harena_alloc(a, NAME);
        if (particles == NULL || name == NULL || (size_t)particles % LINE != 0)
            return 1; /* it cannot be: the plan was kept */
        particles[0] = (struct particle){.x = (float)frame};
        snprintf(name, NAME, "frame %d", frame);
        printf("%s: x is %.0f\n", name, (double)particles[0].x);
        if (frame == 1) { /* more than was planned */
            void *more = harena_alloc(a, needed());

            printf("%s, and failed: %s; %s is still there\n", more != NULL ? "?" : strerror(errno),
                   harena_failed(a) ? "yes" : "no", name);
        }
        harena_reset(a); /* empty, and no failure any more */
    }
    printf("after a reset: %s\n", harena_failed(a) ? "failed" : "as new");
    harena_release(a); /* gives nothing back: */
    free(memory);      /* the memory was never its own */
    return 0;
}
