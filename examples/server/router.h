/* SPDX-License-Identifier: BSD-2-Clause */
/* From path and method to the handler that answers. */
#ifndef EXAMPLES_SERVER_ROUTER_H
#define EXAMPLES_SERVER_ROUTER_H

#include "request.h"

/* Answers the request; harena_current() is its arena. */
void router_answer(struct request *request);

/* The handlers. `rest` is the path behind the route's. */
void handle_subdivision(struct request *request, const char *rest);
void handle_language(struct request *request, const char *rest);
void handle_search(struct request *request, const char *rest);
void handle_annotate(struct request *request, const char *rest);
void handle_top(struct request *request, const char *rest);
void handle_reload(struct request *request, const char *rest);
void handle_metrics(struct request *request, const char *rest);
void handle_health(struct request *request, const char *rest);

#endif
