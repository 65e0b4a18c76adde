/* SPDX-License-Identifier: BSD-2-Clause */
/* Debug mode guard: released memory cannot be touched for a while, and who does is told whose it was. Children die here, of
 * the signal that they should. */
#include "guard.h"
#include "os.h"
#include "provider.h"
#include <setjmp.h>
#include <sys/mman.h>

#define QUARANTINE (64 * MIB) /* at most */

static struct events events;
static harena_provider *provider;
static struct hri_os real_os;

static void begin(void)
{
    faults_are_fatal();
    real_os = hri_os;
    provider = provider_of(GIB, 0, &events);
}

/* All that is left is in quarantine. */
static void flush_and_end(harena_provider *p)
{
    ck_assert_int_eq(harena_provider_barrier(p), 0);
    totals_hold(p);
    harena_provider_trim(p, 0);
    ends_clean(p);
}

static void end(void)
{
    flush_and_end(provider);
}

static char *object(harena *a, size_t size)
{
    char *at = SUCCEEDS(harena_alloc(a, size));

    memset(at, 0x5a, size);
    return at;
}

/* ---- what faults, and with which words ---- */

START_TEST(use_after_reset_names_the_arena)
{
    harena *a = debugged(provider, "session", "guard");
    char *small = object(a, 100), *large = object(a, 300000), *again;

    is_readable(small);
    harena_reset(a);
    faults_as(small, "session", "reset");
    faults_as(small + CHUNK - 1, "session", "reset");
    faults_as(large + 299999, "session", "reset");
    again = object(a, 100); /* elsewhere */
    ck_assert(!same(again, small));
    faults_as(small, "session", "reset");
    harena_release(a);
    faults_as(again, "session", "release");
    faults_as(small, "session", "reset");
    ck_assert_uint_eq(events_in_all(&events), 0);
}
END_TEST

START_TEST(use_after_a_rewind_or_a_reset_to_what_is_kept_faults)
{
    harena *a = debugged(provider, "frames", "guard");
    char *kept = object(a, 100), *at;
    harena_mark mark = harena_mark_get(a);

    at = object(a, CHUNK); /* as much as an arena may keep otherwise */
    ck_assert_int_eq(harena_rewind(a, mark), 0);
    faults_as(at, "frames", "rewind");
    at = object(a, 200000);
    ck_assert_int_eq(harena_rewind(a, mark), 0);
    faults_as(at, "frames", "rewind");
    harena_keep(a);
    at = object(a, 200000);
    harena_reset(a);
    faults_as(at, "frames", "reset");
    is_readable(kept);
    harena_release(a);
    faults_as(kept, "frames", "release");
}
END_TEST

START_TEST(use_after_release_rcu_faults_when_readers_have_left)
{
    harena *a = debugged(provider, "snapshot", "guard");
    char *at = object(a, 10);

    harena_provider_read_lock(provider);
    harena_release_rcu(a);
    ck_assert_int_eq(at[9], 0x5a);
    harena_provider_read_unlock(provider);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    faults_as(at, "snapshot", "release");
}
END_TEST

START_TEST(use_after_the_end_of_a_generation_faults)
{
    harena_shared *s = debugged_shared(provider, "index", "guard");
    char *in_lane = SUCCEEDS(harena_shared_alloc(s, 100)),
         *large = SUCCEEDS(harena_shared_alloc(s, 200000)), *next;

    ck_assert_int_eq(harena_shared_reset(s), 0);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    faults_as(in_lane, "index", "reset");
    faults_as(large, "index", "reset");
    next = SUCCEEDS(harena_shared_alloc(s, 100));
    ck_assert_int_eq(harena_shared_reset_now(s), 0);
    faults_as(next, "index", "reset");
    next = SUCCEEDS(harena_shared_alloc(s, 100));
    harena_shared_release(s);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    faults_as(next, "index", "release");
    s = debugged_shared(provider, "second", "guard");
    next = SUCCEEDS(harena_shared_alloc(s, 100));
    harena_shared_release_now(s);
    faults_as(next, "second", "release");
}
END_TEST

START_TEST(arenas_without_the_mode_are_as_ever)
{
    harena *a = debugged(provider, "guarded", "guard"), *other = debugged(provider, "not", NULL);
    char *at = object(other, 100), *guarded = object(a, 100);

    harena_reset(other);
    harena_reset(a);
    is_readable(at);
    ck_assert(same(at, object(other, 100)));
    faults_as(guarded, "guarded", "reset");
    harena_release(a);
    harena_release(other);
    is_readable(at);
}
END_TEST

START_TEST(names_cannot_steer_a_terminal)
{
    harena *a = debugged(provider, "a\x1b[2J\nb", "guard");
    char *at = object(a, 1);

    harena_release(a);
    faults_as(at, "a?[2J?b", "release");
}
END_TEST

/* ---- the handler before ours ---- */

static sigjmp_buf back;
static void *volatile seen_address, *volatile handled;

static void with_information(int number, siginfo_t *info, void *context)
{
    (void)context;
    seen_address = info->si_addr;
    siglongjmp(back, number);
}

static void plain(int number)
{
    siglongjmp(back, number);
}

/* An arena that is released under a handler of the application's; twice touched; 1 + what the handler saw. */
static int use_under(const struct sigaction *handler)
{
    harena *a = debugged(provider, "handled", "guard");

    handled = SUCCEEDS(harena_alloc(a, 10));
    sigaction(SIGSEGV, handler, NULL);
    harena_release(a);
    for (volatile int i = 0; i < 2; i++) {
        if (sigsetjmp(back, 1) == 0) {
            (void)touch(handled);
            return 1;
        }
        if ((handler->sa_flags & SA_SIGINFO) != 0 && seen_address != handled)
            return 2;
    }
    if (sigsetjmp(back, 1) == 0) {
        (void)touch((const void *)(uintptr_t)8); /* nothing of ours */
        return 3;
    }
    return 0;
}

static int use_under_sigaction(void *ctx)
{
    struct sigaction handler = {.sa_sigaction = with_information, .sa_flags = SA_SIGINFO};

    (void)ctx;
    return use_under(&handler);
}

static int use_under_signal(void *ctx)
{
    struct sigaction handler = {.sa_handler = plain};

    (void)ctx;
    return use_under(&handler);
}

START_TEST(the_applications_handler_comes_next)
{
    int (*const uses[])(void *) = {use_under_sigaction, use_under_signal};

    for (int i = 0; i < 2; i++) {
        struct child child = child_that_does(uses[i], NULL);
        const char *second = strchr(child.text, '\n');

        ck_assert_int_eq(child.signal, 0);
        ck_assert_int_eq(child.status, 0);
        ck_assert_ptr_nonnull(second);
        ck_assert_int_eq(strncmp(child.text, "harena: use after release: ", 27), 0);
        ck_assert_int_eq(strncmp(second + 1, "harena: use after release: ", 27), 0);
        ck_assert_ptr_eq(strchr(second + 1, '\n'), child.text + strlen(child.text) - 1);
    }
}
END_TEST

static int touch_nothing_of_ours(void *handler)
{
    harena *a = debugged(provider, "innocent", "guard");

    if (handler != NULL)
        signal(SIGSEGV, SIG_IGN);
    if (harena_alloc(a, 10) == NULL)
        return 9;
    harena_release(a);
    return touch((const void *)(uintptr_t)8);
}

static int send_to_myself(void *handler)
{
    harena *a = debugged(provider, "innocent", "guard");

    if (handler != NULL)
        signal(SIGSEGV, SIG_IGN);
    if (harena_alloc(a, 10) == NULL)
        return 9;
    harena_release(a);
    return raise(SIGSEGV);
}

START_TEST(other_faults_do_what_they_did)
{
    int ignored;
    struct child child = child_that_does(touch_nothing_of_ours, NULL);

    ck_assert_str_eq(child.text, "");
    ck_assert_int_eq(child.signal, SIGSEGV);
    child = child_that_does(touch_nothing_of_ours, &ignored); /* it cannot be */
    ck_assert_str_eq(child.text, "");
    ck_assert_int_eq(child.signal, SIGSEGV);
    child = child_that_does(send_to_myself, NULL);
    ck_assert_int_eq(child.signal, SIGSEGV);
    child = child_that_does(send_to_myself, &ignored);
    ck_assert_int_eq(child.signal, 0);
}
END_TEST

/* ---- bounds ---- */

/* Ten chunks at once; where one of them was. */
static char *ten_chunks_reset(harena *a)
{
    char *at = NULL;

    for (int i = 0; i < 10; i++)
        at = object(a, CHUNK);
    harena_reset(a);
    return at;
}

/* But for what the oldest run has left. */
static void is_full(void)
{
    ck_assert_uint_le(in_use(provider), QUARANTINE);
    ck_assert_uint_ge(in_use(provider), QUARANTINE - 10 * CHUNK);
}

START_TEST(quarantine_is_bounded_and_the_oldest_leaves_first)
{
    harena *a = debugged(provider, "many", "guard");
    char *first = object(a, 100), *last = NULL;

    harena_reset(a);
    for (size_t bytes = CHUNK; bytes <= QUARANTINE; bytes += 10 * CHUNK) {
        ck_assert_uint_eq(in_use(provider), bytes);
        last = ten_chunks_reset(a);
    }
    is_full();
    totals_hold(provider);
    is_readable(first);
    faults_as(last, "many", "reset");
    for (size_t bytes = 0; bytes < 2 * QUARANTINE; bytes += 10 * CHUNK) {
        last = ten_chunks_reset(a);
        is_full();
    }
    faults_as(last, "many", "reset");
    harena_release(a);
}
END_TEST

static uint64_t bytes_of_name(const char *name)
{
    struct hri_name_sums sums;
    uint32_t at = 0;

    while (hri_names_next(&provider->names, &at, &sums))
        if (strcmp(sums.name, name) == 0)
            return sums.bytes;
    ck_abort_msg("no name %s", name);
    return 0;
}

START_TEST(quarantine_is_counted_under_a_name_of_its_own)
{
    harena *a = debugged(provider, "counted", "guard");

    (void)object(a, 300000);
    harena_reset(a);
    ck_assert_uint_eq(harena_cap(a), 0);
    ck_assert_uint_eq(bytes_of_name("counted"), 0);
    ck_assert_uint_eq(bytes_of_name("(quarantine)"), 5 * CHUNK);
    ck_assert_uint_eq(in_use(provider), 5 * CHUNK);
    harena_provider_trim(provider, 0);
    ck_assert_uint_eq(bytes_of_name("(quarantine)"), 0);
    harena_release(a);
}
END_TEST

START_TEST(of_a_run_that_is_too_long_the_start_is_kept)
{
    harena *a = debugged(provider, "long", "guard");
    char *at = object(a, 100 * MIB);

    harena_reset(a);
    faults_as(at, "long", "reset");
    faults_as(at + 32 * MIB - 1, "long", "reset");
    is_readable(at + 32 * MIB);
    ck_assert_uint_eq(in_use(provider), 32 * MIB);
    harena_release(a);
}
END_TEST

START_TEST(a_limit_refuses_nothing_for_its_sake)
{
    harena_provider *p = provider_of(64 * MIB, 4 * MIB, &events);
    harena *a = debugged(p, "limited", "guard");

    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < 64; i++)
            (void)object(a, CHUNK);
        harena_reset(a);
        EXPECT(in_use(p) <= MIB);
        (void)object(a, 3 * MIB);
        (void)object(a, MIB / 2);
        harena_reset(a);
    }
    ck_assert_uint_eq(events_in_all(&events), 0);
    harena_release(a);
    flush_and_end(p);
}
END_TEST

START_TEST(above_the_soft_limit_quarantine_ends)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_provider *p;
    harena *a, *other;
    char *at;

    options.reserve = 64 * MIB;
    options.soft_limit = 8 * MIB;
    p = SUCCEEDS(harena_provider_create(&options));
    a = debugged(p, "first", "guard");
    other = debugged(p, "second", NULL);
    at = object(a, 100);
    harena_reset(a);
    (void)object(other, 7 * MIB);
    faults_as(at, "first", "reset");
    (void)object(other, 2 * MIB);
    is_readable(at);
    harena_release(a);
    harena_release(other);
    flush_and_end(p);
}
END_TEST

START_TEST(alone_it_does_not_pass_the_soft_limit)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_provider *p;
    harena *a, *live;

    options.reserve = 64 * MIB;
    options.soft_limit = 32 * MIB;
    options.on_event = record_event;
    options.event_ctx = &events;
    p = SUCCEEDS(harena_provider_create(&options));
    live = debugged(p, "live", NULL);
    (void)object(live, 27 * MIB);
    a = debugged(p, "busy", "guard");
    for (int i = 0; i < 2000; i++) {
        (void)object(a, 100);
        harena_reset(a);
    }
    ck_assert_uint_eq(events_in_all(&events), 0);
    ck_assert_uint_eq(stats_of(p).purges, 0);
    harena_release(a);
    harena_release(live);
    flush_and_end(p);
}
END_TEST

START_TEST(trim_to_nothing_ends_it)
{
    harena *a = debugged(provider, "trimmed", "guard");
    char *at = object(a, 100);

    harena_reset(a);
    harena_provider_trim(provider, BLOCK);
    faults_as(at, "trimmed", "reset");
    ck_assert_uint_eq(harena_provider_trim(provider, 0), CHUNK);
    is_readable(at);
    ck_assert_uint_eq(stats_of(provider).committed, 0);
    harena_release(a);
}
END_TEST

START_TEST(a_provider_goes_with_what_is_in_it)
{
    harena_provider *p = provider_of(64 * MIB, 0, NULL);
    harena *a = debugged(p, "last", "guard");
    char *at = object(a, 300000), *other;

    harena_release(a);
    faults_as(at, "last", "release");
    ck_assert_int_eq(harena_provider_destroy(p), 0);
    a = debugged(provider, "next", "guard"); /* and others are still explained */
    other = object(a, 100);
    harena_release(a);
    faults_as(other, "next", "release");
}
END_TEST

START_TEST(memory_that_leaves_it_serves_again)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena_provider *p = provider_of(8 * MIB, 2 * MIB, NULL);
    harena *a;

    options.provider = p;
    options.zero = true;
    options.debug = "guard";
    a = SUCCEEDS(harena_create(&options));
    for (size_t i = 0; i < 1000; i++) {
        char *at = SUCCEEDS(harena_alloc(a, opaque(i * 600 + 1)));

        EXPECT(all_bytes(at, i * 600 + 1, 0));
        memset(at, 1, i * 600 + 1);
        if (i % 3 == 0)
            harena_reset(a);
    }
    harena_release(a);
    flush_and_end(p);
}
END_TEST

/* ---- an OS that refuses ---- */

static int refuse_it(void *at, size_t bytes)
{
    (void)at, (void)bytes;
    return -ENOMEM;
}

START_TEST(where_memory_cannot_be_forbidden_it_just_goes_back)
{
    harena *a = debugged(provider, "plain", "guard");
    char *at = object(a, 100);

    hri_os.forbid = refuse_it;
    QUIETLY(harena_reset(a));
    is_readable(at);
    ck_assert_uint_eq(in_use(provider), 0);
    hri_os = real_os;
    harena_release(a);
}
END_TEST

/* As Linux does when it runs out of mappings in the middle of a range. */
static int forbid_a_part(void *at, size_t bytes)
{
    return bytes > CHUNK && mprotect(at, CHUNK, PROT_NONE) == 0 ? -ENOMEM : 0;
}

START_TEST(memory_of_which_a_part_was_forbidden_can_be_used)
{
    harena *a = debugged(provider, "part", "guard");
    char *at = object(a, 3 * CHUNK);

    hri_os.forbid = forbid_a_part;
    QUIETLY(harena_release(a));
    hri_os = real_os;
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_OS_ERROR), 1);
    is_readable(at);
    ck_assert_uint_eq(in_use(provider), 0);
}
END_TEST

static int refusals; /* to come */

static int refuse_at_first(void *at, size_t bytes)
{
    return refusals-- > 0 ? -ENOMEM : real_os.commit(at, bytes);
}

START_TEST(the_os_refuses_nothing_for_its_sake)
{
    harena *a = debugged(provider, "first", "guard"), *other = debugged(provider, "second", NULL);
    char *at = object(a, 3 * MIB);

    harena_reset(a);
    refusals = 1;
    hri_os.commit = refuse_at_first;
    (void)object(other, 10 * MIB); /* a run */
    is_readable(at);
    ck_assert_uint_eq(events_in_all(&events), 0);
    hri_os = real_os;
    harena_release(a);
    harena_release(other);
}
END_TEST

static char *stuck;

static int refuse_one(void *at, size_t bytes)
{
    return at == stuck ? -ENOMEM : real_os.commit(at, bytes);
}

START_TEST(what_the_os_does_not_give_back_holds_nothing_else_up)
{
    harena *arenas[8];
    char *at[8];

    for (int i = 0; i < 8; i++) {
        arenas[i] = debugged(provider, "one of 8", "guard");
        at[i] = object(arenas[i], CHUNK);
    }
    for (int i = 0; i < 8; i++)
        harena_release(arenas[i]);
    stuck = at[3];
    hri_os.commit = refuse_one;
    QUIETLY(harena_provider_trim(provider, 0));
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_OS_ERROR), 1);
    ck_assert_uint_eq(in_use(provider), CHUNK);
    is_readable(at[7]);
    faults_as(at[3], "one of 8", "release");
    hri_os = real_os;
}
END_TEST

static uint64_t now;

static uint64_t the_time(void)
{
    return now;
}

START_TEST(after_some_seconds_it_ends)
{
    harena *a = debugged(provider, "old", "guard"), *b = debugged(provider, "new", "guard");
    char *old = object(a, 100), *new = object(b, 100);

    now = real_os.milliseconds();
    hri_os.milliseconds = the_time;
    harena_release(a);
    for (int second = 0; second < 9; second++) {
        now += 1000;
        ck_assert_int_ge(harena_provider_tick(provider), 0);
    }
    harena_release(b);
    faults_as(old, "old", "release");
    now += 2000;
    ck_assert_int_ge(harena_provider_tick(provider), 0);
    is_readable(old);
    faults_as(new, "new", "release");
    now += 9000;
    harena_provider_tick(provider);
    is_readable(new);
    hri_os = real_os;
    ck_assert_uint_eq(in_use(provider), 0);
}
END_TEST

START_TEST(memory_that_the_os_does_not_give_back_is_not_lost)
{
    harena *a = debugged(provider, "stuck", "guard");
    char *at = object(a, 100);

    harena_reset(a);
    hri_os.commit = refuse_it;
    QUIETLY(harena_provider_trim(provider, 0));
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_OS_ERROR), 1);
    ck_assert_int_eq(events.last_error, ENOMEM);
    faults_as(at, "stuck", "reset");
    hri_os = real_os;
    harena_release(a);
}
END_TEST

/* ---- threads, fork ---- */

static void *come_and_go(void *ctx)
{
    harena_shared *s = ctx;

    for (size_t i = 0; i < 300; i++) {
        harena *a = debugged(provider, "thread", "guard");
        harena_view *view = harena_shared_enter(s);

        memset(SUCCEEDS(harena_alloc(a, opaque(i * 700 + 1))), 1, i * 700 + 1);
        memset(SUCCEEDS(harena_view_alloc(view, i * 70 + 1)), 1, i * 70 + 1);
        harena_shared_leave(s, view);
        harena_reset(a);
        memset(SUCCEEDS(harena_alloc(a, 10)), 1, 10);
        if (i % 16 == 0)
            EXPECT(harena_shared_reset(s) == 0);
        if (i % 64 == 0)
            harena_provider_trim(provider, 0);
        harena_release(a);
    }
    return NULL;
}

START_TEST(threads_fill_and_flush_it_at_once)
{
    harena_shared *s = debugged_shared(provider, "all", "guard");
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, s), 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_uint_le(in_use(provider), QUARANTINE + MIB);
    harena_shared_release(s);
    ck_assert_uint_eq(events_in_all(&events), 0);
}
END_TEST

/* In the child the memory of before is forbidden, too, and arenas work as ever. */
static int child_of_fork(void *at)
{
    harena *a = debugged(provider, "child", "guard");
    char *own = NULL;

    for (size_t bytes = 0; bytes < 2 * QUARANTINE; bytes += CHUNK) {
        own = harena_alloc(a, CHUNK);
        memset(own, 1, CHUNK);
        if (bytes % MIB == 0)
            harena_reset(a);
    }
    harena_provider_trim(provider, 0);
    own = harena_alloc(a, 1);
    (void)touch(at); /* it has left quarantine here */
    harena_release(a);
    return touch(own);
}

START_TEST(the_child_of_a_fork_has_it_too)
{
    harena *a = debugged(provider, "parent", "guard");
    char *at = object(a, 100);
    struct child child;

    harena_reset(a);
    child = child_that_does(child_of_fork, at);
    ck_assert_int_eq(strncmp(child.text, "harena: use after release: ", 27), 0);
    ck_assert_ptr_nonnull(strstr(child.text, "\"child\""));
    ck_assert_int_eq(child.signal, SIGSEGV);
    faults_as(at, "parent", "reset");
    harena_release(a);
}
END_TEST

RUN_TESTS_AROUND("guard", begin, end, use_after_reset_names_the_arena,
                 use_after_a_rewind_or_a_reset_to_what_is_kept_faults,
                 use_after_release_rcu_faults_when_readers_have_left,
                 use_after_the_end_of_a_generation_faults, arenas_without_the_mode_are_as_ever,
                 names_cannot_steer_a_terminal, the_applications_handler_comes_next,
                 other_faults_do_what_they_did, quarantine_is_bounded_and_the_oldest_leaves_first,
                 quarantine_is_counted_under_a_name_of_its_own,
                 of_a_run_that_is_too_long_the_start_is_kept, a_limit_refuses_nothing_for_its_sake,
                 above_the_soft_limit_quarantine_ends, trim_to_nothing_ends_it,
                 a_provider_goes_with_what_is_in_it, memory_that_leaves_it_serves_again,
                 where_memory_cannot_be_forbidden_it_just_goes_back,
                 memory_that_the_os_does_not_give_back_is_not_lost,
                 memory_of_which_a_part_was_forbidden_can_be_used,
                 the_os_refuses_nothing_for_its_sake,
                 what_the_os_does_not_give_back_holds_nothing_else_up, after_some_seconds_it_ends,
                 alone_it_does_not_pass_the_soft_limit, threads_fill_and_flush_it_at_once,
                 the_child_of_a_fork_has_it_too)
