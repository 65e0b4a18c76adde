// SPDX-License-Identifier: BSD-2-Clause
// Harena for C++17: memory resources for the containers of std::pmr, owners, a guard for views. Header-only. Layer 8.
//
// The typedef `harena` is a global name, so the namespace is harenaxx.
//
// Thread rules are those of what stands behind: an arena and its resource have one owner at a time; any number of threads
// may allocate through resources of one shared arena, in read sections if it may be reset meanwhile; a view's resource is
// for the thread that has entered the view. Objects that containers hold are destroyed by the containers: destroy those
// before the arena is reset, or see to it that their destructors need not run.
#ifndef HARENA_CXX_HPP
#define HARENA_CXX_HPP
#include <harena/arena.h>
#include <harena/shared.h>

#include <cstddef>
#include <memory>
#include <memory_resource>
#include <new>
#include <type_traits>
#include <utility>

namespace harenaxx
{

namespace detail
{

// What a resource allocates with; all of them give nothing back one by one.
inline void *allocate(harena *from, std::size_t bytes, std::size_t alignment) noexcept
{
    return harena_alloc_aligned(from, bytes, alignment);
}

inline void *allocate(harena_view *from, std::size_t bytes, std::size_t alignment) noexcept
{
    return harena_view_alloc_aligned(from, bytes, alignment);
}

inline void *allocate(harena_shared *from, std::size_t bytes, std::size_t alignment) noexcept
{
    return harena_shared_alloc_aligned(from, bytes, alignment);
}

// Sizes and alignments that the library refuses throw std::bad_alloc, as do limits. deallocate does nothing: memory comes
// back at reset. Two resources are equal if they stand for the same arena.
template <typename Source> class resource : public std::pmr::memory_resource
{
  public:
    explicit resource(Source *source) noexcept : source_(source)
    {
    }

    Source *source() const noexcept
    {
        return source_;
    }

  private:
    void *do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        void *at = detail::allocate(source_, bytes, alignment);

        if (at == nullptr)
            throw std::bad_alloc();
        return at;
    }

    void do_deallocate(void *, std::size_t, std::size_t) noexcept override
    {
    }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
#ifdef __cpp_rtti
        auto *same = dynamic_cast<const resource *>(&other);

        return same != nullptr && same->source_ == source_;
#else // the type of `other` cannot be asked for
        return this == &other;
#endif
    }

    Source *source_;
};

struct release_arena {
    void operator()(harena *arena) const noexcept
    {
        harena_release(arena);
    }
};

struct release_shared {
    void operator()(harena_shared *shared) const noexcept
    {
        harena_shared_release(shared);
    }
};

struct destroy_provider {
    void operator()(harena_provider *provider) const noexcept
    {
        // -EBUSY, something of it lives on, or -EDEADLK, in a read section or a cleanup: it stays, as nobody could be told.
        static_cast<void>(harena_provider_destroy(provider));
    }
};

} // namespace detail

// Memory resources; they own nothing. Not to be used after the release of what they stand for.
using arena_resource = detail::resource<harena>;
using view_resource = detail::resource<harena_view>;
using shared_resource = detail::resource<harena_shared>;

// Owners: std::unique_ptr that releases. An arena runs its cleanups then; what a shared arena holds goes after its readers,
// its cleanups run then, on another thread; a provider must be empty (see harena_provider_destroy).
using arena_owner = std::unique_ptr<harena, detail::release_arena>;
using shared_owner = std::unique_ptr<harena_shared, detail::release_shared>;
using provider_owner = std::unique_ptr<harena_provider, detail::destroy_provider>;

namespace detail
{

template <typename Owner, typename Made> Owner owned(Made *made)
{
    if (made == nullptr)
        throw std::bad_alloc();
    return Owner(made);
}

} // namespace detail

// As harena_create and its like; std::bad_alloc instead of NULL.
inline arena_owner make_arena(const harena_options *options = nullptr)
{
    return detail::owned<arena_owner>(harena_create(options));
}

inline shared_owner make_shared_arena(const harena_shared_options *options = nullptr)
{
    return detail::owned<shared_owner>(harena_shared_create(options));
}

inline provider_owner make_provider(const harena_provider_options *options = nullptr)
{
    return detail::owned<provider_owner>(harena_provider_create(options));
}

// Enters a view for a scope. For one thread; movable, not copyable.
class [[nodiscard]] view_guard
{
  public:
    explicit view_guard(harena_shared *shared) noexcept
        : shared_(shared), view_(harena_shared_enter(shared))
    {
    }

    view_guard(view_guard &&other) noexcept
        : shared_(std::exchange(other.shared_, nullptr)), view_(std::exchange(other.view_, nullptr))
    {
    }

    view_guard(const view_guard &) = delete;
    view_guard &operator=(const view_guard &) = delete;
    view_guard &operator=(view_guard &&) = delete;

    ~view_guard()
    {
        if (view_ != nullptr)
            harena_shared_leave(shared_, view_);
    }

    harena_view *get() const noexcept
    {
        return view_;
    }

  private:
    harena_shared *shared_;
    harena_view *view_;
};

// A T in an arena, whose destructor runs when the arena is reset or released; none is registered if it has nothing to do.
// std::bad_alloc: no memory, and nothing stays constructed. If the constructor throws, its memory stays taken until reset.
template <typename T, typename... Arguments> T *create(harena *arena, Arguments &&...arguments)
{
    void *at = harena_alloc_aligned(arena, sizeof(T), alignof(T));
    T *object;

    if (at == nullptr)
        throw std::bad_alloc();
    object = ::new (at) T(std::forward<Arguments>(arguments)...);
    if constexpr (!std::is_trivially_destructible_v<T>) {
        if (harena_on_release(
                arena, [](void *made) { static_cast<T *>(made)->~T(); },
                const_cast<std::remove_cv_t<T> *>(object)) != 0) {
            object->~T();
            throw std::bad_alloc();
        }
    }
    return object;
}

} // namespace harenaxx

#endif
