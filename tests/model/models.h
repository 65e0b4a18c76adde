/* SPDX-License-Identifier: BSD-2-Clause */
/* The models: one list for each protocol, ended by one without a name. */
#ifndef MODEL_MODELS_H
#define MODEL_MODELS_H
#include "explore.h"

extern const struct explore_model blocks_models[], fork_models[], lane_models[], lease_models[],
    limit_models[], pool_models[], rest_models[], retire_models[], shared_models[], slab_models[],
    snapshot_models[], thread_models[];

#endif
