// SPDX-License-Identifier: Apache-2.0
// SIGHUP: manifests at once, and of the configuration file what can change while packets pass.
#ifndef SLUICED_RELOAD_H
#define SLUICED_RELOAD_H

struct sluiced;

// A file with faults changes nothing; what needs a restart is named. All of it is told in the log.
void reload(struct sluiced *s);

#endif
