/* SPDX-License-Identifier: BSD-2-Clause */
/* Debug modes: which words there are. Layer 1. */
#define _GNU_SOURCE 1 /* secure_getenv */
#include "debug.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void help(void);

/* A new mode: a line here, and its bit. */
static const struct {
    const char *word;
    uint32_t mode;
    void (*act)(void); /* what the word does at once; NULL: nothing */
    const char *text;
} words[] = {
    {"guard", HRI_DEBUG_GUARD, NULL,
     "released memory cannot be read for a while: the fault says whose it was; a second release is "
     "told of"},
    {"help", 0, help, "this list"},
};
enum { WORDS = sizeof(words) / sizeof(*words) };

uint32_t hri_debug_state;

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0) {
        /* Nobody is there to be told. */
    }
}

static void help(void)
{
    static uint32_t helped; /* atomic */
    uint32_t no = 0;
    int saved = errno;

    if (!hri_cas_relaxed(&helped, &no, 1)) /* relaxed: only one is to write */
        return;
    say("harena: words of HARENA_DEBUG and of options.debug, with commas between them:\n");
    for (int i = 0; i < WORDS; i++) {
        say("harena:   ");
        say(words[i].word);
        say(": ");
        say(words[i].text);
        say("\n");
    }
    errno = saved;
}

/* The number of a word; WORDS: it is none. */
static int find(const char *word, size_t length)
{
    int i = 0;

    while (i < WORDS &&
           (strlen(words[i].word) != length || memcmp(words[i].word, word, length) != 0))
        i++;
    return i;
}

/* With `act` what the words do is done. */
static bool read_words(const char *text, uint32_t *modes, bool act)
{
    uint32_t all = 0;

    for (size_t length; *text != '\0'; text += length + (text[length] == ',')) {
        int i;

        length = strcspn(text, ",");
        i = find(text, length);
        if (i == WORDS || (text[length] == ',' && text[length + 1] == '\0'))
            return false;
        all |= words[i].mode;
        if (act && words[i].act != NULL)
            words[i].act();
    }
    *modes |= all;
    return true;
}

bool hri_debug_read(const char *text, uint32_t *modes)
{
    return read_words(text, modes, false) && read_words(text, modes, true);
}

void hri_debug_init(void)
{
    const char *text = secure_getenv("HARENA_DEBUG");
    uint32_t modes = 0;

    if (hri_load_relaxed(&hri_debug_state) != 0) /* relaxed: whoever asks twice gets the same */
        return;
    if (text != NULL)
        (void)hri_debug_read(text, &modes);
    hri_store_relaxed(&hri_debug_state, modes | HRI_DEBUG_ASKED);
}
