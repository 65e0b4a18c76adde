/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds, checks and reads the file in which another process shows its figures. Layer 9. */
#ifndef HARENA_STAT_SHARE_FILE_H
#define HARENA_STAT_SHARE_FILE_H
#include "share_format.h"

#include <stdbool.h>
#include <stdint.h>

struct share_file {
    uint32_t pid;
    char path[512];
    int fd; /* -1: not open */
    uint64_t inode;
    struct hri_share_head head;  /* as it was read last */
    struct hri_share_head *page; /* mapped: where the kernel waits and wakes; not read */
    char why[800];               /* one line, when a function has said no */
};

/* Opens the file of a process, if there is one that can be trusted. */
bool share_file_open(struct share_file *file, uint32_t pid);
void share_file_close(struct share_file *file);

/* Asks the process for figures of this moment. False: it has ended, or it does not answer: what the file has then is old.
 * share_file_lives says which. */
bool share_file_ask(struct share_file *file, int milliseconds);
bool share_file_lives(struct share_file *file);

/* Reads all providers that are shown, and the head. False: the file is shorter than it says. A provider that is being
 * written all the time, because its process has ended or stopped in the middle of that, is left out. */
bool share_file_read(struct share_file *file, struct hri_share_content contents[HRI_SHARE_SECTIONS],
                     uint32_t *count);

#endif
