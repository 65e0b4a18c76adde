/* SPDX-License-Identifier: BSD-2-Clause */
/* The default provider's options from the environment. Layer 3. */
#ifndef HRI_ENVIRONMENT_H
#define HRI_ENVIRONMENT_H
#include "provider.h"

/* Sets the fields that the environment says something valid of. Returns the variables that it had to ignore, as bits for
 * hri_environment_text; all of what remains goes together. */
uint32_t hri_environment_options(harena_provider_options *options);

/* Tells of each variable that was ignored: an event to the provider's listener, with its value quoted. */
void hri_environment_tell(const harena_provider *provider, uint32_t ignored);

/* Without the ballast, for which there is no memory; the bit to add to the ignored ones, 0 if there was none. */
uint32_t hri_environment_drop_ballast(harena_provider_options *options);

#endif
