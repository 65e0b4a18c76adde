/* SPDX-License-Identifier: BSD-2-Clause */
/* Places in an arena that one can go back to: marks, frames of scratch arenas, what is kept. Layer 5.
 *
 * 1. A mark is a record in the arena's own memory, on a stack. It says how far the arena was used right behind the
 *    record, so going back to it leaves it there; what lies above it on the stack goes.
 * 2. A record serves several marks: as long as nothing is allocated in between, each mark that is taken is another
 *    number of the same record. So a loop of mark and rewind needs one record, however often it runs.
 * 3. A mark is good if its record is on the stack and its number is one that the record has given out and that no rewind
 *    has taken back. Numbers only go up, so none comes again: after a rewind has taken some back the record gives out the
 *    last good one, which is the same place. The epoch tells arenas apart whose records lay at one address.
 * 4. What one can go back to is never moved back behind: where a mark or what is kept ends at a window's cursor, the
 *    object before it neither grows nor shrinks (hri_arena_is_boundary; a mark's own record does it for its window). A
 *    cleanup that was registered before is forgotten in place.
 * 5. harena_keep makes the arena's own record remember a place, so it cannot fail. Marks of before die with it: they lie
 *    behind the boundary. */
#include "mark.h"

#include <errno.h>

/* What an arena's marks have in common and no other arena's have. */
static uint64_t epochs; /* atomic; a source of different numbers only, so relaxed */

/* Whether the arena is still where it was. */
static bool is_at(const struct hri_arena *a, const struct hri_state *state)
{
    return a->window.cursor == state->cursor && a->medium.cursor == state->medium &&
           a->extents.newest == state->extents && a->cleanups == state->cleanups;
}

/* A record on top of the stack. NULL: no memory for it. */
static struct hri_mark *push(struct hri_arena *a)
{
    struct hri_mark *mark = hri_arena_alloc_record(a, sizeof(*mark));

    if (mark == NULL)
        return NULL;
    if (a->marks_epoch == 0)
        a->marks_epoch = hri_fetch_add_relaxed(&epochs, 1) + 1;
    *mark = (struct hri_mark){.below = a->marks, .first = 1, .last = 0};
    hri_arena_save(a, &mark->state);
    a->marks = mark;
    return mark;
}

/* From this record on nobody may go back now: below is what a cleanup that runs must not take away from who runs it.
 * NULL: to all of them. */
static const struct hri_mark *below_all(const struct hri_arena *a)
{
    return HRI_UNLIKELY(a->cleaning) ? a->marks_before : NULL;
}

/* The record for where the arena is now. */
static struct hri_mark *mark_here(struct hri_arena *a)
{
    return a->marks != below_all(a) && is_at(a, &a->marks->state) ? a->marks : push(a);
}

/* The marks above it die. */
static void go_back(struct hri_arena *a, struct hri_mark *mark)
{
    hri_arena_run_cleanups(a, mark->state.cleanups, "is going back to a mark");
    hri_arena_note_peak(a);
    hri_arena_note_how(a, "rewind");
    a->marks =
        mark; /* before its memory goes, but after the last cleanup, which may have taken marks */
    hri_arena_restore(a, &mark->state);
}

bool hri_arena_is_boundary(const struct hri_arena *a, const char *cursor)
{
    if (a->marks != NULL && (a->marks->state.cursor == cursor || a->marks->state.medium == cursor))
        return true;
    return a->is_kept && (a->kept.cursor == cursor || a->kept.medium == cursor);
}

/* ---- marks ---- */

harena_mark harena_mark_get(harena *window)
{
    const harena_mark none = {{0}};
    struct hri_mark *mark;
    struct hri_arena *a;
    int saved = errno;

    if (!hri_arena_takes_marks(window, "harena_mark_get")) {
        errno = EINVAL;
        return none;
    }
    a = hri_arena_of(window);
    mark = mark_here(a);
    if (mark == NULL)
        return none;
    if (mark->last < mark->first)
        mark->first = mark->last = ++a->serial;
    else if (mark->last == a->serial) /* else some behind it are bad: no further one is given out */
        mark->last = ++a->serial;
    errno = saved;
    return (harena_mark){{(uintptr_t)mark, mark->last, a->marks_epoch, 0}};
}

/* NULL: it is none of this arena's that is good. */
static struct hri_mark *find(const struct hri_arena *a, const harena_mark *mark)
{
    const struct hri_mark *end = below_all(a);
    struct hri_mark *at = a->marks;

    while (at != end && (uintptr_t)at != mark->opaque[0])
        at = at->below;
    if (at == end || mark->opaque[2] != a->marks_epoch || mark->opaque[1] < at->first ||
        mark->opaque[1] > at->last)
        return NULL;
    return at;
}

int harena_rewind(harena *window, harena_mark mark)
{
    struct hri_mark *to;

    if (!hri_arena_takes_marks(window, "harena_rewind"))
        return -EINVAL;
    to = find(hri_arena_of(window), &mark);
    if (to == NULL)
        return -EINVAL;
    go_back(hri_arena_of(window), to);
    to->last = mark.opaque[1];
    return 0;
}

/* ---- frames ---- */

bool hri_mark_enter(struct hri_arena *a)
{
    struct hri_mark *mark = mark_here(a);

    if (mark != NULL && mark->first <= mark->last)
        mark = push(a); /* a rewind to one of those marks ends the frame */
    if (mark == NULL)
        return false;
    mark->frames++;
    return true;
}

/* The record above `end` where the newest frame begins. NULL: there is none. */
static struct hri_mark *newest_frame(const struct hri_arena *a, const struct hri_mark *end)
{
    struct hri_mark *mark = a->marks;

    while (mark != end && mark->frames == 0)
        mark = mark->below;
    return mark != end ? mark : NULL;
}

bool hri_mark_has_frame(const struct hri_arena *a)
{
    return newest_frame(a, NULL) != NULL;
}

bool hri_mark_leave(struct hri_arena *a)
{
    struct hri_mark *mark = newest_frame(a, below_all(a));

    if (mark == NULL)
        return false;
    go_back(a, mark);
    mark->frames--;
    mark->first = 1; /* marks at the frame's beginning were taken in it */
    mark->last = 0;
    return true;
}

/* ---- what is kept ---- */

static bool is_cleaning(const harena *window)
{
    return window != NULL && window->ops == &hri_arena_cleaning_ops;
}

void harena_keep(harena *window)
{
    struct hri_arena *a;

    /* In a cleanup it would keep what is going. */
    if (is_cleaning(window) || !hri_arena_is_own(window, "harena_keep"))
        return;
    a = hri_arena_of(window);
    a->marks = NULL;
    a->is_kept = true;
    hri_arena_save(a, &a->kept);
}

void harena_keep_none(harena *window)
{
    /* A cleanup that is kept may be where those that run end. */
    if (!is_cleaning(window) && hri_arena_is_own(window, "harena_keep_none"))
        hri_arena_of(window)->is_kept = false;
}
