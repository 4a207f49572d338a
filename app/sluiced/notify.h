// SPDX-License-Identifier: Apache-2.0
// Tell systemd how far we are (sd_notify(3)): "READY=1", "STOPPING=1".
#ifndef SLUICED_NOTIFY_H
#define SLUICED_NOTIFY_H

// Without $NOTIFY_SOCKET nothing happens.
void notify_systemd(const char *state);

#endif
