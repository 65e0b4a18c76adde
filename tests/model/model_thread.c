/* SPDX-License-Identifier: BSD-2-Clause */
/* Models of thread identities: taken by threads that begin, given by threads that end, with all they order. */
#include "models.h"
#include "thread.h"
#include "world.h"

#include <string.h>

/* What only the holder of a number touches, as a lane. */
static struct {
    uint8_t user; /* thread + 1 */
    uint32_t uses;
} lanes[16] HRI_ALIGNED;

static void setup(void)
{
    world_create(1, 1);
    memset(lanes, 0, sizeof(lanes));
    explore_memory(lanes, sizeof(lanes));
    world_remember_identities();
    for (int i = 0; i < EXPLORE_THREADS; i++)
        explore_identity(i, HRI_THREAD_UNKNOWN);
}

/* Two numbers have been in use before. */
static void setup_used(void)
{
    uint32_t first;

    setup();
    first = hri_thread_identify();
    hri_thread_identify();
    world_thread_ends(NULL);
    harena_thread_word = first;
    world_thread_ends(NULL);
}

/* No two live threads have one number. */
static void numbers_differ(void)
{
    for (int i = 0; i < EXPLORE_THREADS; i++) {
        uint32_t word = explore_word_of(i);

        for (int j = 0; j < i; j++)
            EXPLORE_CHECK((word == HRI_THREAD_UNKNOWN || word == HRI_THREAD_GONE ||
                           word != explore_word_of(j)) &&
                          "two threads have one number");
    }
}

static void use(uint32_t word)
{
    uint32_t number = hri_thread_number(word);

    EXPLORE_CHECK(number >= 1 && number <= 16);
    explore_touch(&lanes[number - 1]);
    EXPLORE_CHECK(lanes[number - 1].user == 0 && "a lane is used by two");
    lanes[number - 1].user = (uint8_t)(explore_self() + 1);
    explore_touch(&lanes[number - 1]);
    lanes[number - 1].user = 0;
    lanes[number - 1].uses++;
}

/* A thread; and another one of the same name after its end, as its word is new. */
static void live_once(void)
{
    use(hri_thread_word());
    world_thread_ends(NULL);
    EXPLORE_CHECK(hri_thread_word() == HRI_THREAD_GONE);
}

static void destructor(void)
{
    use(hri_thread_word());
}

static void live_with_destructors(void)
{
    use(hri_thread_word());
    world_thread_ends(destructor);
}

static void live_twice(void)
{
    live_once();
    harena_thread_word = HRI_THREAD_UNKNOWN;
    live_once();
}

static void live_and_stay(void)
{
    use(hri_thread_word());
    use(hri_thread_word());
}

/* Each number is free or a live thread's. */
static void quiet(void)
{
    uint32_t live = 0, free_numbers, numbers = world_numbers(&free_numbers);

    for (int i = 0; i < EXPLORE_THREADS; i++)
        live += explore_word_of(i) != HRI_THREAD_UNKNOWN && explore_word_of(i) != HRI_THREAD_GONE;
    EXPLORE_CHECK(numbers == free_numbers + live && "a number was lost");
    EXPLORE_CHECK(numbers <= 6 && "numbers are not reused");
}

const struct explore_model thread_models[] = {
    {"thread/fresh", setup, {live_twice, live_twice}, numbers_differ, quiet, 3, 5, EXPLORE_ALL},
    {"thread/used", setup_used, {live_twice, live_twice}, numbers_differ, quiet, 3, 5, EXPLORE_ALL},
    {"thread/stack",
     setup_used,
     {live_twice, live_and_stay, live_and_stay},
     numbers_differ,
     quiet,
     3,
     3,
     EXPLORE_ALL},
    {"thread/destructors",
     setup_used,
     {live_with_destructors, live_with_destructors},
     numbers_differ,
     quiet,
     2,
     4,
     EXPLORE_ALL},
    {"thread/three",
     setup_used,
     {live_once, live_twice, live_and_stay},
     numbers_differ,
     quiet,
     2,
     3,
     EXPLORE_NOT},
    {0},
};
