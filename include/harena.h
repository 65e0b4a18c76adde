/* SPDX-License-Identifier: BSD-2-Clause */
/* Harena's umbrella header: everything that the library offers. */
#ifndef HARENA_H
#define HARENA_H
#include <harena/provider.h>
#include <harena/arena.h>
#include <harena/shared.h>
#include <harena/snapshot.h>
#include <harena/array.h>
#include <harena/buf.h>
#include <harena/pool.h>
#include <harena/stats.h>
#endif
