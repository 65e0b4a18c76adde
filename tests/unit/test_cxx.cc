// SPDX-License-Identifier: BSD-2-Clause
// The public headers from C++17: initializers, inline paths, placement new, a root in a view.
#include <harena.h>

#include <cerrno>
#include <check.h>
#include <cstring>
#include <new>
#include <string>
#include <vector>

namespace
{

struct point {
    double x, y;
};

struct alignas(128) wide {
    char bytes[128];
};

// The least allocator of the standard library: from an arena, never given back.
template <typename T> struct arena_allocator {
    using value_type = T;
    harena *arena;

    explicit arena_allocator(harena *a) noexcept : arena(a)
    {
    }
    template <typename U>
    arena_allocator(const arena_allocator<U> &other) noexcept : arena(other.arena)
    {
    }
    T *allocate(std::size_t count)
    {
        T *memory = harena_new_array(arena, T, count);

        if (memory == nullptr)
            throw std::bad_alloc();
        return memory;
    }
    void deallocate(T *, std::size_t) noexcept
    {
    }
    template <typename U> bool operator==(const arena_allocator<U> &other) const noexcept
    {
        return arena == other.arena;
    }
    template <typename U> bool operator!=(const arena_allocator<U> &other) const noexcept
    {
        return arena != other.arena;
    }
};

harena_provider *provider_of_64_mib()
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;

    options.reserve = std::size_t{64} << 20;
    return harena_provider_create(&options);
}

void count_up(void *counter)
{
    ++*static_cast<int *>(counter);
}

START_TEST(an_arena_serves_objects)
{
    harena_provider *provider = provider_of_64_mib();
    harena_options options = HARENA_OPTIONS_INIT;
    int cleanups = 0;

    options.provider = provider;
    harena *arena = harena_create(&options);
    ck_assert_ptr_nonnull(arena);
    for (int round = 0; round < 1000; round++) {
        point *p = new (harena_new(arena, point)) point{1, 2};
        wide *w = harena_new_zeroed(arena, wide);
        auto *raw = static_cast<char *>(harena_alloc(arena, 24));

        ck_assert(p != nullptr && w != nullptr && raw != nullptr);
        std::memset(raw, 1, 24);
        if (reinterpret_cast<std::uintptr_t>(w) % 128 != 0 || w->bytes[127] != 0 ||
            p->x + p->y != 3)
            ck_abort_msg("round %d", round);
    }
    ck_assert_str_eq(harena_printf(arena, "%s %d", "c++", 17), "c++ 17");
    ck_assert_int_eq(harena_on_release(arena, count_up, &cleanups), 0);
    harena_release(arena);
    ck_assert_int_eq(cleanups, 1);
    ck_assert_int_eq(harena_provider_destroy(provider), 0);
}
END_TEST

START_TEST(standard_containers_live_in_an_arena)
{
    harena *arena = harena_create(nullptr);
    {
        std::vector<int, arena_allocator<int>> numbers{arena_allocator<int>(arena)};
        std::basic_string<char, std::char_traits<char>, arena_allocator<char>> text{
            arena_allocator<char>(arena)};

        for (int at = 0; at < 100000; at++)
            numbers.push_back(at);
        for (int at = 0; at < 1000; at++)
            text += "harena";
        ck_assert_int_eq(numbers[99999], 99999);
        ck_assert(harena_contains(arena, numbers.data()));
        ck_assert(harena_contains(arena, text.data()));
    }
    harena_release(arena);
}
END_TEST

START_TEST(a_shared_arena_serves_views_and_lanes)
{
    harena_provider *provider = provider_of_64_mib();
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;

    options.provider = provider;
    harena_shared *shared = harena_shared_create(&options);
    harena_view *view = harena_shared_enter(shared);
    void **root = harena_view_root(view);
    void *expected = nullptr;
    int *number = static_cast<int *>(harena_view_alloc(view, sizeof(int)));

    *number = 42;
    ck_assert(__atomic_compare_exchange_n(root, &expected, number, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
    ck_assert_int_eq(*static_cast<int *>(__atomic_load_n(harena_view_root(view), __ATOMIC_ACQUIRE)),
                     42);
    ck_assert_ptr_nonnull(harena_shared_new(shared, point));
    ck_assert_ptr_nonnull(harena_new(harena_view_lane(view), point));
    ck_assert_ptr_nonnull(harena_shared_alloc(shared, 100));
    harena_shared_leave(shared, view);
    ck_assert_int_eq(harena_shared_reset(shared), 0);
    harena_shared_release(shared);
    ck_assert_int_eq(harena_provider_destroy(provider), 0);
}
END_TEST

START_TEST(a_snapshot_publishes)
{
    harena_provider *provider = provider_of_64_mib();
    harena_snapshot snapshot = HARENA_SNAPSHOT_INIT;
    harena_options options = HARENA_OPTIONS_INIT;

    options.provider = provider;
    harena *arena = harena_create(&options);
    char *text = harena_strdup(arena, "published");
    ck_assert_int_eq(harena_snapshot_publish(&snapshot, arena, text), 0);
    ck_assert_str_eq(static_cast<char *>(harena_snapshot_enter(&snapshot)), "published");
    harena_snapshot_leave(&snapshot);
    harena_snapshot_fini(&snapshot);
    ck_assert_int_eq(harena_provider_destroy(provider), 0);
}
END_TEST

START_TEST(exceptions_leave_through_an_arena)
{
    alignas(16) static unsigned char memory[2048];
    harena *arena = harena_create_fixed(memory, sizeof memory, nullptr);
    bool caught = false;

    try {
        std::vector<char, arena_allocator<char>> bytes(4096, 'x', arena_allocator<char>(arena));
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    ck_assert(caught);
    ck_assert(harena_failed(arena));
    harena_release(arena);
}
END_TEST

} // namespace

int main()
{
    Suite *suite = suite_create("cxx");
    TCase *tests = tcase_create("c++17");

    tcase_add_test(tests, an_arena_serves_objects);
    tcase_add_test(tests, standard_containers_live_in_an_arena);
    tcase_add_test(tests, a_shared_arena_serves_views_and_lanes);
    tcase_add_test(tests, a_snapshot_publishes);
    tcase_add_test(tests, exceptions_leave_through_an_arena);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
