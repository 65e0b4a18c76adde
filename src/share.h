/* SPDX-License-Identifier: BSD-2-Clause */
/* Shows providers' figures to other processes, in a file that harena-stat reads. Layer 3. */
#ifndef HRI_SHARE_H
#define HRI_SHARE_H
#include <harena/provider.h>

/* From now on the provider is shown. 0, also if it is already; -errno. */
int hri_share(harena_provider *provider);

/* The same if HARENA_STAT=1 is in the environment; a failure is nobody's. */
void hri_share_if_asked(harena_provider *provider);

/* It is shown no more: it is about to be freed. */
void hri_share_end(harena_provider *provider);

#endif
