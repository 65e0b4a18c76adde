/* SPDX-License-Identifier: BSD-2-Clause */
/* Persistent and ephemeral memory in one arena: what a program loads once, and what each frame makes and forgets. Within
 * a frame a mark gives up what one step tried, and a scratch arena holds what a function needs while it runs. */
#include <harena.h>
#include <stdio.h>
#include <string.h>

struct command {
    const char *text;
    size_t width;
};

/* The longest word of a text, in `to`; its list of words is nobody's business. */
static const char *longest_word(harena *to, const char *text)
{
    harena *scratch = harena_scratch_begin(to);
    HARENA_ARRAY(char *) words = {0};
    const char *longest = "";
    char *rest = harena_strdup(scratch, text), *word;

    while (rest != NULL && (word = strtok_r(rest, " ", &rest)) != NULL)
        harena_array_push(scratch, &words, word);
    for (size_t i = 0; i < words.len; i++)
        if (strlen(words.items[i]) > strlen(longest))
            longest = words.items[i];
    longest = harena_strdup(to, longest);
    harena_scratch_end(scratch);
    return longest;
}

/* The widest of three layouts that fits; those that do not are given up at once. */
static struct command *lay_out(harena *frame, const char *title, int number)
{
    for (int width = 40; width >= 10; width -= 15) {
        harena_mark mark = harena_mark_get(frame);
        struct command *command = harena_new(frame, struct command);
        const char *word = longest_word(frame, title);

        if (command == NULL || word == NULL)
            return NULL;
        command->text = harena_printf(frame, "%-*s#%d", width, word, number);
        command->width = (size_t)width;
        if (command->text == NULL || strlen(command->text) <= 30)
            return command;
        harena_rewind(frame, mark);
    }
    return NULL;
}

int main(void)
{
    harena *a = harena_create(NULL);
    const char *title = harena_strdup(a, "panem et circenses");
    const struct command *first = NULL;
    size_t loaded = harena_len(a), used = 0;
    bool same_place = true, same_size = true;

    if (harena_failed(a)) /* also if a is NULL */
        return 1;
    harena_keep(a); /* a reset returns to here */
    for (int frame = 0; frame < 3; frame++) {
        struct command *command = lay_out(a, title, frame);

        if (command == NULL)
            return 1;
        printf("frame %d: %s\n", frame, command->text);
        same_place = same_place && (frame == 0 || command == first);
        same_size = same_size && (frame == 0 || harena_len(a) == used);
        first = command;
        used = harena_len(a);
        harena_reset(a);
    }
    printf("%s; kept: %s\n",
           same_place && same_size ? "each frame in the same memory" : "frames differ",
           harena_len(a) == loaded ? title : "?");
    harena_release(a);
    return 0;
}
