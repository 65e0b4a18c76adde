// SPDX-License-Identifier: BSD-2-Clause
// The C++ layer: containers of std::pmr over an arena, a view and a shared arena; owners; the view guard.
#include <harena.h>
#include <harena/cxx.hpp>

#include <cerrno>
#include <check.h>
#include <cstdint>
#include <cstdlib>
#include <list>
#include <map>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <vector>

namespace
{

using namespace harenaxx;

harena_provider *provider;

void set_up()
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;

    options.reserve = std::size_t{1} << 30;
    provider = make_provider(&options).release();
}

void tear_down()
{
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_int_eq(harena_provider_destroy(provider), 0);
}

arena_owner arena_with(std::size_t limit)
{
    harena_options options = HARENA_OPTIONS_INIT;

    options.provider = provider;
    options.limit = limit;
    return make_arena(&options);
}

shared_owner shared_with(std::size_t limit)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;

    options.provider = provider;
    options.limit = limit;
    return make_shared_arena(&options);
}

struct alignas(256) wide {
    int number;
};

// One of each kind of container, grown, verified, destroyed.
void fill_containers(std::pmr::memory_resource *resource)
{
    std::pmr::vector<int> numbers(resource);
    std::pmr::vector<wide> wides(resource);
    std::pmr::map<int, std::pmr::string> names(resource);
    std::pmr::unordered_map<std::pmr::string, int> counts(resource);
    std::pmr::list<std::pmr::vector<std::pmr::string>> nested(resource);

    for (int i = 0; i < 3000; i++) {
        std::pmr::string text("a name that is too long for the string itself: ", resource);

        text += std::to_string(i);
        numbers.push_back(i);
        wides.push_back(wide{i});
        ck_assert_uint_eq(reinterpret_cast<std::uintptr_t>(wides.data()) % alignof(wide), 0);
        names.emplace(i, text);
        counts[text] += i;
        if (i % 100 == 0)
            nested.emplace_back();
        nested.back().push_back(text);
        ck_assert(nested.back().back().get_allocator().resource() == resource);
    }
    for (int i = 0; i < 3000; i++) {
        std::string text = "a name that is too long for the string itself: " + std::to_string(i);

        ck_assert(numbers[i] == i && wides[i].number == i && names.at(i) == text.c_str());
        ck_assert_int_eq(counts.at(text.c_str()), i);
    }
    names.erase(17);
    ck_assert_uint_eq(names.size(), 2999);
    ck_assert_uint_eq(nested.size(), 30);
}

START_TEST(containers_live_in_an_arena)
{
    arena_owner arena = arena_with(0);
    arena_resource resource(arena.get());

    for (int round = 0; round < 3; round++) {
        fill_containers(&resource);
        ck_assert_uint_gt(harena_len(arena.get()), 1000000);
        harena_reset(arena.get());
        ck_assert_uint_eq(harena_len(arena.get()), 0);
    }
}
END_TEST

START_TEST(containers_live_in_a_view)
{
    shared_owner shared = shared_with(0);

    for (int round = 0; round < 3; round++) {
        {
            view_guard view(shared.get());
            view_resource resource(view.get());

            fill_containers(&resource);
        }
        ck_assert_int_eq(harena_shared_reset(shared.get()), 0);
    }
}
END_TEST

START_TEST(threads_fill_containers_in_one_shared_arena)
{
    shared_owner shared = shared_with(0);
    std::vector<std::thread> threads;

    for (int i = 0; i < 4; i++)
        threads.emplace_back([&shared] {
            shared_resource resource(shared.get());

            fill_containers(&resource);
        });
    for (std::thread &thread : threads)
        thread.join();
    ck_assert_uint_gt(harena_shared_len(shared.get()), 4000000);
}
END_TEST

START_TEST(a_limit_is_bad_alloc)
{
    arena_owner arena = arena_with(65536);
    arena_resource resource(arena.get());
    std::pmr::vector<int> numbers(&resource);
    bool refused = false;

    try {
        for (int i = 0; i < 1000000; i++)
            numbers.push_back(i);
    } catch (const std::bad_alloc &) {
        refused = true;
    }
    ck_assert(refused);
    for (std::size_t i = 0; i < numbers.size(); i++) // what is there is there
        ck_assert_int_eq(numbers[i], static_cast<int>(i));
    ck_assert(harena_failed(arena.get()));
}
END_TEST

START_TEST(refused_alignment_is_bad_alloc)
{
    arena_owner arena = arena_with(0);
    arena_resource resource(arena.get());
    bool refused = false;

    try {
        resource.deallocate(resource.allocate(1, std::size_t{1} << 20), 1, std::size_t{1} << 20);
    } catch (const std::bad_alloc &) {
        refused = true;
    }
    ck_assert(refused);
    ck_assert_ptr_nonnull(resource.allocate(0, 1));
}
END_TEST

START_TEST(resources_of_one_arena_are_equal)
{
    arena_owner arena = arena_with(0), other = arena_with(0);
    arena_resource one(arena.get()), same(arena.get()), another(other.get());

    ck_assert(one == same && one != another);
    ck_assert(one != *std::pmr::new_delete_resource());
    ck_assert_ptr_eq(one.source(), arena.get());
    // So a container may take over what another one has.
    std::pmr::vector<int> numbers({1, 2, 3}, &one), moved(&same);
    const int *first = numbers.data();

    moved = std::move(numbers);
    ck_assert_ptr_eq(moved.data(), first);
}
END_TEST

int alive;

struct counted {
    std::string text;

    explicit counted(const char *what) : text(what)
    {
        ++alive;
    }
    ~counted()
    {
        --alive;
    }
};

START_TEST(objects_are_destroyed_with_their_arena)
{
    arena_owner arena = arena_with(0);

    for (int i = 0; i < 1000; i++)
        ck_assert_str_eq(create<counted>(arena.get(), "long enough for the heap: not in the arena")
                             ->text.c_str(),
                         "long enough for the heap: not in the arena");
    ck_assert_int_eq(alive, 1000);
    harena_reset(arena.get());
    ck_assert_int_eq(alive, 0);
    create<counted>(arena.get(), "x");
    create<const counted>(arena.get(), "x");
    ck_assert_int_eq(alive, 2);
    ck_assert_int_eq(create<int>(arena.get(), 7)[0], 7);
    ck_assert_uint_eq(reinterpret_cast<std::uintptr_t>(create<wide>(arena.get())) % alignof(wide),
                      0);
    arena.reset();
    ck_assert_int_eq(alive, 0);
}
END_TEST

START_TEST(create_without_memory_constructs_nothing)
{
    arena_owner arena = arena_with(65536);
    bool refused = false;

    try {
        for (;;)
            create<counted>(arena.get(), "x");
    } catch (const std::bad_alloc &) {
        refused = true;
    }
    ck_assert(refused);
    harena_reset(arena.get());
    ck_assert_int_eq(alive, 0);
}
END_TEST

int regions; // that a provider has and has not given back

void *reserve_one(void *, std::size_t bytes, std::size_t align)
{
    regions++;
    return std::aligned_alloc(align, bytes);
}

void release_one(void *, void *at, std::size_t)
{
    regions--;
    std::free(at);
}

START_TEST(a_provider_goes_with_its_owner)
{
    harena_page_source source{};
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;

    source.reserve = reserve_one;
    source.release = release_one;
    options.page_source = &source;
    options.reserve = std::size_t(2) << 20;
    {
        provider_owner owner = make_provider(&options);
        harena_options in = HARENA_OPTIONS_INIT;

        ck_assert_int_gt(regions, 0);
        in.provider = owner.get();
        ck_assert_ptr_nonnull(harena_alloc(make_arena(&in).get(), 100));
    }
    ck_assert_int_eq(regions, 0);
}
END_TEST

template <typename Make, typename Options> bool throws(Make make, const Options &options)
{
    try {
        make(&options);
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

START_TEST(what_cannot_be_made_is_bad_alloc)
{
    harena_provider_options provider_options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_shared_options shared_options = HARENA_SHARED_OPTIONS_INIT;
    harena_options options = HARENA_OPTIONS_INIT;

    provider_options.ballast = 2;
    provider_options.limit = 1;
    shared_options.lanes = 1000000;
    options.initial = SIZE_MAX;
    ck_assert(throws(make_provider, provider_options));
    ck_assert(throws(make_shared_arena, shared_options));
    ck_assert(throws(make_arena, options));
}
END_TEST

START_TEST(a_guard_moves_and_leaves_once)
{
    static_assert(!std::is_copy_constructible_v<view_guard>, "one section, one guard");
    shared_owner shared = shared_with(0);

    {
        view_guard first(shared.get());
        view_guard second(std::move(first));

        ck_assert_ptr_null(first.get());
        ck_assert_ptr_nonnull(harena_view_alloc(second.get(), 100));
        ck_assert_int_eq(harena_provider_barrier(provider), -EDEADLK); // in a section
    }
    ck_assert_int_eq(harena_provider_barrier(provider), 0); // and out of it
}
END_TEST

} // namespace

int main()
{
    Suite *suite = suite_create("pmr");
    TCase *tests = tcase_create("pmr");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, containers_live_in_an_arena);
    tcase_add_test(tests, containers_live_in_a_view);
    tcase_add_test(tests, threads_fill_containers_in_one_shared_arena);
    tcase_add_test(tests, a_limit_is_bad_alloc);
    tcase_add_test(tests, refused_alignment_is_bad_alloc);
    tcase_add_test(tests, resources_of_one_arena_are_equal);
    tcase_add_test(tests, objects_are_destroyed_with_their_arena);
    tcase_add_test(tests, create_without_memory_constructs_nothing);
    tcase_add_test(tests, a_provider_goes_with_its_owner);
    tcase_add_test(tests, what_cannot_be_made_is_bad_alloc);
    tcase_add_test(tests, a_guard_moves_and_leaves_once);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures == 0 ? 0 : 1;
}
