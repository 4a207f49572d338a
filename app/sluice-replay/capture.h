// SPDX-License-Identifier: Apache-2.0
// Captures in and out: several pcap files read as one stream in order of time, and one file written for each port.
//
// Time is nanoseconds since the epoch, as in the file; microsecond and nanosecond captures of either byte order are read. Of equal times the file
// named first on the command line comes first. Written files have the resolution of the finest input.
#ifndef SLUICE_REPLAY_CAPTURE_H
#define SLUICE_REPLAY_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct pcap;
struct pcap_dumper;

struct capture_in {
	struct pcap *pcap;
	uint16_t port;
	const char *path;
	bool ended;
	uint64_t time;       // of the packet at the head
	const uint8_t *data; // valid until the next read of this file
	uint32_t len;
};

struct capture_out {
	struct pcap *pcap;
	struct pcap_dumper *dumper; // NULL: packets of this port are counted, not written
	bool nanoseconds;
};

// Errors: -EINVAL: no capture, or not one of Ethernet frames; -errno. *nanoseconds is set when the file has that resolution, else left.
int capture_open(struct capture_in *in, const char *path, uint16_t port, bool *nanoseconds,
		 struct error *err);
void capture_close(struct capture_in *in);
// The head of the earliest file, or NULL at the end of all. A file that is cut in its middle ends there, with a word on stderr.
struct capture_in *capture_head(struct capture_in *in, unsigned n);
void capture_next(struct capture_in *in);

int capture_create(struct capture_out *out, const char *path, bool nanoseconds, struct error *err);
void capture_write(struct capture_out *out, uint64_t time, const uint8_t *data, uint32_t len);
int capture_finish(struct capture_out *out); // -EIO: not everything was written

#endif
