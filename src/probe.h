/* SPDX-License-Identifier: BSD-2-Clause */
/* Static probes (USDT) for bpftrace, perf and SystemTap: a nop each, and nothing at all when built without. Layer 0. */
#ifndef HRI_PROBE_H
#define HRI_PROBE_H
#include <stdint.h>

/* Each has a name (of an arena, or of the provider) and bytes; NULL is no name. */
#ifdef HARENA_USDT
#include <sys/sdt.h>
#define HRI_PROBE(probe, name, bytes)                                                              \
    STAP_PROBE2(harena, probe, (const char *)(name), (uint64_t)(bytes))
#else
#define HRI_PROBE(probe, name, bytes) ((void)sizeof(name), (void)sizeof(bytes))
#endif

#endif
