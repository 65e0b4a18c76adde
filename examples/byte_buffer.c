/* SPDX-License-Identifier: BSD-2-Clause */
/* A byte buffer in an arena: written at the end, read from the front, filled and emptied by file descriptors. */
#include <harena.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
    harena *a = harena_create(NULL);
    harena_buf buf;
    char five[6] = "";
    size_t size = 2;
    char *room;
    int ends[2];

    if (a == NULL || pipe(ends) != 0)
        return 1;
    harena_buf_init(&buf, a);
    harena_buf_write_string(&buf, "Salve, ");
    harena_buf_write(&buf, "Roma", 4);
    harena_buf_write_byte(&buf, '!');
    harena_buf_printf(&buf, " Year %d.", 753);
    if (buf.error != 0) /* of any of the writes: asked about once */
        return 1;
    printf("%zu bytes: %s\n", harena_buf_len(&buf), harena_buf_string(&buf));

    harena_buf_read(&buf, five, 5); /* copied out */
    printf("read: \"%s\", ", five);
    printf("passed over: \"%.2s\", ", (char *)harena_buf_next(&buf, &size)); /* where it lies */
    harena_buf_truncate(&buf, 5);
    printf("remaining: \"%s\"\n", harena_buf_string(&buf));

    harena_buf_write_to(&buf, ends[1]); /* all of it, however many calls that takes */
    close(ends[1]);
    harena_buf_reset(&buf);
    room = harena_buf_reserve(&buf, 100); /* room to be written by somebody else, snprintf say */
    if (room == NULL)
        return 1;
    harena_buf_commit(&buf, (size_t)snprintf(room, 100, "through a pipe came "));
    printf("%zd bytes more, ", harena_buf_read_from(&buf, ends[0])); /* until its end */
    printf("%s\n", harena_buf_string(&buf));
    close(ends[0]);
    harena_release(a);
    return 0;
}
