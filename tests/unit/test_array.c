/* SPDX-License-Identifier: BSD-2-Clause */
/* Typed growable arrays on an arena. */
#include "unit.h"
#include <harena/array.h>

static harena_provider *p;
static harena *a;

static void set_up(void)
{
    p = provider_of(GIB, 0, NULL);
    a = arena_of(p, 0);
}

static void tear_down(void)
{
    harena_release(a);
    ends_clean(p);
}

typedef HARENA_ARRAY(int) numbers;

START_TEST(pushed_elements_are_there)
{
    numbers xs = {0};

    for (int i = 0; i < 100000; i++) {
        errno = SENTINEL;
        EXPECT(harena_array_push(a, &xs, i * 3));
        EXPECT(errno == SENTINEL);
        EXPECT(xs.len == (size_t)i + 1 && xs.len <= xs.cap);
    }
    for (int i = 0; i < 100000; i++)
        EXPECT(xs.items[i] == i * 3);
}
END_TEST

START_TEST(growth_doubles_then_adds_a_quarter)
{
    numbers xs = {0};
    size_t before = 0;

    for (int i = 0; i < 100000; i++) {
        EXPECT(harena_array_push(a, &xs, i));
        if (xs.cap == before)
            continue;
        if (before == 0)
            ck_assert_uint_eq(xs.cap, 8);
        else
            ck_assert_uint_eq(xs.cap, before < 256 ? 2 * before : before + before / 4);
        before = xs.cap;
    }
    xs = (numbers){0}; /* or what is wanted at first */
    ck_assert(harena_array_reserve(a, &xs, opaque(19)));
    ck_assert_uint_eq(xs.cap, 19);
}
END_TEST

START_TEST(reserve_is_enough_for_what_it_says)
{
    numbers xs = {0};
    size_t cap;
    int *items;

    ck_assert(harena_array_reserve(a, &xs, 1000));
    ck_assert_uint_ge(xs.cap, 1000);
    ck_assert_uint_eq(xs.len, 0);
    cap = xs.cap;
    items = xs.items;
    for (int i = 0; i < 1000; i++)
        EXPECT(harena_array_push(a, &xs, i));
    ck_assert_uint_eq(xs.cap, cap);
    ck_assert_ptr_eq(xs.items, items);
    ck_assert(harena_array_reserve(a, &xs, opaque(0)));
}
END_TEST

START_TEST(append_copies_also_from_itself)
{
    static const int some[] = {1, 2, 3, 4, 5};
    numbers xs = {0};

    ck_assert(harena_array_append(a, &xs, some, 5));
    for (int i = 0; i < 12; i++)
        ck_assert(harena_array_append(a, &xs, xs.items, xs.len));
    ck_assert_uint_eq(xs.len, 5 << 12);
    for (size_t i = 0; i < xs.len; i++)
        EXPECT(xs.items[i] == (int)(i % 5) + 1);
    ck_assert(harena_array_append(a, &xs, (int *)NULL, 0));
    ck_assert_uint_eq(xs.len, 5 << 12);
}
END_TEST

struct odd {
    char bytes[7];
};

struct wide {
    _Alignas(256) char bytes[256];
};

START_TEST(elements_of_any_size_and_alignment)
{
    HARENA_ARRAY(struct odd) odds = {0};
    HARENA_ARRAY(struct wide) wides = {0};

    for (int i = 0; i < 1000; i++) {
        struct odd odd = {{(char)i}};
        struct wide wide = {{(char)i}};

        EXPECT(harena_array_push(a, &odds, odd));
        EXPECT(harena_array_push(a, &wides, wide));
        EXPECT(aligned_to(wides.items, 256));
    }
    for (int i = 0; i < 1000; i++)
        EXPECT(odds.items[i].bytes[0] == (char)i && wides.items[i].bytes[0] == (char)i);
}
END_TEST

START_TEST(two_arrays_that_grow_in_turn_stay_apart)
{
    HARENA_ARRAY(uint64_t) one = {0}, other = {0};

    for (uint64_t i = 0; i < 20000; i++)
        EXPECT(harena_array_push(a, &one, i) && harena_array_push(a, &other, ~i));
    for (uint64_t i = 0; i < 20000; i++)
        EXPECT(one.items[i] == i && other.items[i] == ~i);
}
END_TEST

START_TEST(refusal_leaves_the_array_as_it_was)
{
    harena *small = arena_of(p, CHUNK);
    static const size_t too_many[] = {SIZE_MAX, SIZE_MAX / sizeof(int), SIZE_MAX / 2};
    numbers xs = {0}, before;
    int evaluated = 0;

    while (harena_array_push(small, &xs, (int)xs.len))
        continue;
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_uint_ge(xs.len, CHUNK / sizeof(int) / 4);
    before = xs;
    ck_assert(!harena_array_push(small, &xs, evaluated++));
    ck_assert_int_eq(evaluated, 0);
    ck_assert(!harena_array_append(small, &xs, xs.items, xs.len));
    ck_assert_int_eq(errno, ENOMEM);
    for (size_t i = 0; i < sizeof too_many / sizeof too_many[0]; i++) {
        harena_clear_failed(small);
        errno = 0;
        ck_assert(!harena_array_reserve(small, &xs, opaque(too_many[i])));
        ck_assert_int_eq(errno, ENOMEM);
        ck_assert(harena_failed(small)); /* one look at the end sees it */
    }
    ck_assert_mem_eq(&xs, &before, sizeof xs);
    for (size_t i = 0; i < xs.len; i++)
        EXPECT(xs.items[i] == (int)i);
    harena_release(small);
}
END_TEST

/* tarantool's multiplied in int: 8 bytes for 536,870,913 elements of 8. */
START_TEST(large_counts_do_not_wrap)
{
    HARENA_ARRAY(uint64_t) xs = {0};

    ck_assert(!harena_array_reserve(a, &xs, opaque(536870913u)));
    ck_assert(!harena_array_reserve(a, &xs, opaque((size_t)1 << 61)));
    ck_assert(!harena_array_reserve(a, &xs, opaque(((size_t)1 << 61) + 1)));
    ck_assert_uint_eq(xs.cap, 0);
    ck_assert(!harena_array_push(NULL, &xs, 1));
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert(!harena_array_append(NULL, &xs, &(uint64_t){1}, 1));
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert(!harena_array_append(a, &xs, (uint64_t *)NULL, 3));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_uint_eq(xs.cap, 0);
}
END_TEST

START_TEST(array_that_is_last_grows_in_place)
{
    numbers xs = {0};
    int *first;

    ck_assert(harena_array_push(a, &xs, 1));
    first = xs.items;
    for (int i = 0; i < 10000; i++)
        EXPECT(harena_array_push(a, &xs, i));
    ck_assert_ptr_eq(xs.items, first);
}
END_TEST

/* An array is a pointer and two numbers: what else one does with it is C. */
START_TEST(elements_are_set_removed_and_sliced_in_place)
{
    numbers xs = {0};
    size_t cap;
    int *slice, last, removed;

    for (int i = 0; i < 10; i++)
        ck_assert(harena_array_push(a, &xs, i * 10));
    cap = xs.cap;
    xs.items[3] = 7;
    slice = xs.items + 2; /* two elements from the third: no copy */
    slice[0] = 200;
    ck_assert_int_eq(xs.items[2], 200);
    xs.items[3] = 8;
    ck_assert_int_eq(slice[1], 8);
    removed = xs.items[0];
    xs.items[0] = xs.items[--xs.len]; /* the last one takes its place */
    ck_assert_int_eq(removed, 0);
    ck_assert_uint_eq(xs.len, 9);
    ck_assert_int_eq(xs.items[0], 90);
    last = xs.items[--xs.len];
    ck_assert_int_eq(last, 80);
    xs.len -= 3; /* shorter by some: the room stays */
    ck_assert(harena_array_reserve(a, &xs, opaque(6)));
    memset(xs.items + xs.len, 0, 6 * sizeof *xs.items);
    xs.len += 6; /* and longer by some */
    ck_assert_uint_eq(xs.len, 11);
    ck_assert_int_eq(xs.items[4], 40);
    ck_assert_int_eq(xs.items[5], 0);
    ck_assert_uint_eq(xs.cap, cap);
    xs.len = 0; /* empty */
    for (size_t i = 0; i < cap; i++)
        ck_assert(harena_array_push(a, &xs, (int)i));
    ck_assert_uint_eq(xs.cap, cap);
    ck_assert_ptr_eq(xs.items + 2, slice);
}
END_TEST

START_TEST(array_in_fixed_memory_is_full_and_goes_on)
{
    static unsigned char memory[4096];
    harena *fixed = SUCCEEDS(harena_create_fixed(memory, sizeof memory, NULL));
    numbers xs = {0};
    size_t full;

    while (harena_array_push(fixed, &xs, (int)xs.len))
        continue;
    ck_assert_int_eq(errno, ENOMEM);
    full = xs.len;
    ck_assert_uint_ge(full, (sizeof memory - harena_fixed_overhead()) / sizeof(int) / 2);
    ck_assert(!harena_array_push(fixed, &xs, 0));
    xs.items[0] = xs.items[--xs.len];
    ck_assert(harena_array_push(fixed, &xs, -1));
    ck_assert_uint_eq(xs.len, full);
    ck_assert_int_eq(xs.items[0], (int)full - 1);
    ck_assert_int_eq(xs.items[full - 1], -1);
    harena_release(fixed);
}
END_TEST

RUN_TESTS_AROUND("array", set_up, tear_down, pushed_elements_are_there,
                 growth_doubles_then_adds_a_quarter, reserve_is_enough_for_what_it_says,
                 append_copies_also_from_itself, elements_of_any_size_and_alignment,
                 two_arrays_that_grow_in_turn_stay_apart, refusal_leaves_the_array_as_it_was,
                 large_counts_do_not_wrap, array_that_is_last_grows_in_place,
                 elements_are_set_removed_and_sliced_in_place,
                 array_in_fixed_memory_is_full_and_goes_on)
