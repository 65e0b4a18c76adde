/* SPDX-License-Identifier: BSD-2-Clause */
/* The names that a provider's mappings have in /proc/self/smaps, if the kernel can. */
#include "unit.h"

#include "os.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

static harena_provider *named(const char *name, const harena_page_source *source)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;

    options.name = name;
    options.reserve = 64 * MIB;
    options.page_source = source;
    return SUCCEEDS(harena_provider_create(&options));
}

/* ---- what is asked of the OS ---- */

static struct {
    char name[128];
    char *at;
    size_t bytes;
} told[4];
static unsigned tellings;

static void note_name(void *at, size_t bytes, const char *name)
{
    EXPECT(tellings < 4);
    told[tellings].at = at;
    told[tellings].bytes = bytes;
    snprintf(told[tellings++].name, sizeof told->name, "%s", name);
}

START_TEST(region_and_metadata_are_named)
{
    harena_provider *provider;
    void *chunk;

    hri_os.name_mapping = note_name;
    provider = named("cache", NULL);
    chunk = harena_chunk_get(provider);
    ck_assert_uint_eq(tellings, 2);
    ck_assert_str_eq(told[0].name, "harena:cache");
    ck_assert_uint_eq(told[0].bytes, 64 * MIB);
    ck_assert_uint_lt((size_t)((char *)chunk - told[0].at), told[0].bytes);
    ck_assert_str_eq(told[1].name, "harena:cache metadata");
    ck_assert_uint_lt((size_t)((char *)provider - told[1].at), told[1].bytes);
    harena_chunk_put(provider, chunk);
    ends_clean(provider);
}
END_TEST

/* A name of 31 bytes makes one of 47: less than the kernel's 80. */
START_TEST(the_longest_name_fits)
{
    hri_os.name_mapping = note_name;
    ends_clean(named("a name of thirty-one bytes, all", NULL));
    ck_assert_str_eq(told[0].name, "harena:a name of thirty-one bytes, all");
    ck_assert_str_eq(told[1].name, "harena:a name of thirty-one bytes, all metadata");
}
END_TEST

static void *own_reserve(void *ctx, size_t bytes, size_t align)
{
    (void)ctx;
    return hri_os.reserve(bytes, align);
}

START_TEST(memory_of_the_application_is_not_named)
{
    const harena_page_source source = {.reserve = own_reserve};

    hri_os.name_mapping = note_name;
    ends_clean(named("own", &source));
    ck_assert_uint_eq(tellings, 1);
    ck_assert_str_eq(told[0].name, "harena:own metadata");
}
END_TEST

/* ---- what the kernel makes of it ---- */

/* The header of the mapping in /proc/self/smaps in which `at` lies. */
static void header_of(const void *at, char header[512])
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    uintptr_t from, to;
    char line[512];

    header[0] = '\0';
    ck_assert_ptr_nonnull(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2 && (uintptr_t)at >= from &&
            (uintptr_t)at < to)
            memcpy(header, line, sizeof line);
    fclose(maps);
}

static bool kernel_names_mappings(void)
{
    void *at = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool can;

    ck_assert_ptr_ne(at, MAP_FAILED);
    can = prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, at, 4096, "test") == 0;
    munmap(at, 4096);
    return can;
}

START_TEST(smaps_shows_the_names)
{
    harena_provider *provider = named("cach\xc3\xa9 $[1]", NULL);
    unsigned char *chunk = harena_chunk_get(provider);
    char header[512];

    if (kernel_names_mappings()) {
        header_of(chunk, header);
        ck_assert_msg(strstr(header, " rw-p ") != NULL &&
                          strstr(header, "[anon:harena:cach__ __1_]\n") != NULL,
                      "%s", header);
        header_of(chunk + 60 * MIB, header); /* not usable yet */
        ck_assert_msg(strstr(header, " ---p ") != NULL &&
                          strstr(header, "[anon:harena:cach__ __1_]\n") != NULL,
                      "%s", header);
        header_of(provider, header);
        ck_assert_msg(strstr(header, " rw-p ") != NULL &&
                          strstr(header, "[anon:harena:cach__ __1_ metadata]\n") != NULL,
                      "%s", header);
    } else {
        puts("smaps_shows_the_names: SKIPPED, the kernel lacks CONFIG_ANON_VMA_NAME");
        fflush(stdout);
    }
    memset(chunk, 1, CHUNK); /* a refusal is no error */
    harena_chunk_put(provider, chunk);
    ends_clean(provider);
}
END_TEST

RUN_TESTS("mappings", region_and_metadata_are_named, the_longest_name_fits,
          memory_of_the_application_is_not_named, smaps_shows_the_names)
