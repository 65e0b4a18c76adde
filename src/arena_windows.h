/* SPDX-License-Identifier: BSD-2-Clause */
/* What the slow paths of an arena do with its windows. Layer 5. */
#ifndef HRI_ARENA_WINDOWS_H
#define HRI_ARENA_WINDOWS_H
#include "arena.h"

/* Clears what is dirty of [at, at + size); bytes from `dirty` on are zero. */
void hri_arena_clear(char *at, size_t size, const char *dirty);

/* The window, the second window: counts its bytes and writes back what is known of dirty ones; it is opened again next. */
void hri_arena_close_window(struct hri_arena *a);
void hri_arena_close_medium(struct hri_arena *a);

/* The same, and another run takes its place: its chunks that nobody has used go back. */
void hri_arena_drop_medium(struct hri_arena *a);

/* A window over [from, end) of an extent (index + 1; 0: the caller's memory), which may be dirty up to `dirty`. */
void hri_arena_open_window(struct hri_arena *a, char *from, char *end, char *dirty,
                           uint32_t extent);
void hri_arena_open_medium(struct hri_arena *a, char *from, char *end, char *dirty,
                           uint32_t extent);

/* Gives back what of a run nobody will use behind `end`; options.initial stays as it was asked for. */
void hri_arena_cut_behind(struct hri_arena *a, uint32_t chunk, const char *end);

#endif
