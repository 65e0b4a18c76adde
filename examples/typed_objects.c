/* SPDX-License-Identifier: BSD-2-Clause */
/* Typed objects and growing slices in one arena: no size is computed by hand, nothing is freed one by one. */
#include <harena.h>
#include <stdio.h>

struct user {
    int id;
    const char *name;
};
typedef HARENA_ARRAY(struct user) users;

/* Doubles as they come; false: no memory. */
static bool double_ids(harena *a, const users *from, users *to)
{
    for (size_t i = 0; i < from->len; i++) {
        struct user twin = {from->items[i].id * 2, harena_printf(a, "%s II", from->items[i].name)};

        if (twin.name == NULL || !harena_array_push(a, to, twin))
            return false;
    }
    return true;
}

int main(void)
{
    harena *a = harena_create(NULL);
    users all = {0}, twins = {0};
    struct user *one;
    int *squares;

    if (a == NULL)
        return 1;
    one = harena_new(a, struct user);       /* one object, aligned as its type wants */
    squares = harena_new_array(a, int, 10); /* so many; the product is checked */
    if (one == NULL || squares == NULL ||
        !harena_array_reserve(a, &all, 10)) /* length 0, room for 10 */
        return 1;
    *one = (struct user){.id = 1, .name = harena_strdup(a, "Livia")};
    for (int i = 0; i < 10; i++)
        squares[i] = i * i;
    if (!harena_array_push(a, &all, *one) ||
        !harena_array_push(a, &all, ((struct user){squares[9], "Drusus"})) ||
        !double_ids(a, &all, &twins))
        return 1;
    if (harena_failed(a)) /* the texts, asked about once */
        return 1;
    for (size_t i = 0; i < twins.len; i++)
        printf("%d %s, %d %s\n", all.items[i].id, all.items[i].name, twins.items[i].id,
               twins.items[i].name);
    printf("length %zu, room for %zu; handed out: %s\n", all.len, all.cap,
           harena_len(a) > 0 && harena_len(a) == harena_peak(a) && harena_len(a) <= harena_cap(a)
               ? "no more than is held"
               : "?");
    harena_reset(a); /* all of it at once */
    printf("after the reset: %zu bytes handed out, %s remembered\n", harena_len(a),
           harena_peak(a) > 0 ? "the peak" : "nothing");
    harena_release(a);
    return 0;
}
