// SPDX-License-Identifier: Apache-2.0
// Names and meanings of the reasons, expanded from the one list of reason.h.
#include "net/reason.h"

#include <stddef.h>

#define REASON_ENTRY(symbol, name, text) [REASON_##symbol] = {name, text},
static const struct {
	const char *name, *meaning;
} reasons[REASON_COUNT] = {[REASON_NONE] = {"", ""},
			   [REASON_DROPS] = {"", ""},
			   REASONS_DROP(REASON_ENTRY) REASONS_OTHER(REASON_ENTRY)};

const char *reason_name(enum reason r) {
	return (unsigned)r < REASON_COUNT ? reasons[r].name : "";
}

const char *reason_meaning(enum reason r) {
	return (unsigned)r < REASON_COUNT ? reasons[r].meaning : "";
}
