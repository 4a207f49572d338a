// SPDX-License-Identifier: Apache-2.0
// pcap files by libpcap.
#include "capture.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <string.h>

#define NS 1000000000u

// libpcap scales times to what it was asked for; what the file has stands in its first word.
static bool is_nanosecond_file(const char *path) {
	static const uint8_t magics[2][4] = {{0xa1, 0xb2, 0x3c, 0x4d}, {0x4d, 0x3c, 0xb2, 0xa1}};
	uint8_t magic[4] = {0};
	FILE *f = fopen(path, "rb");
	size_t n = f == NULL ? 0 : fread(magic, 1, sizeof(magic), f);

	if (f != NULL)
		fclose(f);
	return n == sizeof(magic) &&
	       (memcmp(magic, magics[0], 4) == 0 || memcmp(magic, magics[1], 4) == 0);
}

int capture_open(struct capture_in *in, const char *path, uint16_t port, bool *nanoseconds,
		 struct error *err) {
	char text[PCAP_ERRBUF_SIZE];

	*in = (struct capture_in){.port = port, .path = path};
	in->pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, text);
	if (in->pcap == NULL)
		return error_set(err, -EINVAL, "%s: %s", path, text);
	if (pcap_datalink(in->pcap) != DLT_EN10MB) {
		const char *name = pcap_datalink_val_to_name(pcap_datalink(in->pcap));

		error_set(err, -EINVAL, "%s: link type %s, not Ethernet (EN10MB)", path,
			  name == NULL ? "unknown" : name);
		capture_close(in);
		return -EINVAL;
	}
	if (is_nanosecond_file(path))
		*nanoseconds = true;
	capture_next(in);
	return 0;
}

void capture_close(struct capture_in *in) {
	if (in->pcap != NULL)
		pcap_close(in->pcap);
	in->pcap = NULL;
}

void capture_next(struct capture_in *in) {
	struct pcap_pkthdr *h;
	int ret = pcap_next_ex(in->pcap, &h, &in->data);

	in->ended = ret != 1;
	if (ret == PCAP_ERROR)
		fprintf(stderr, "%s: %s; read up to there\n", in->path, pcap_geterr(in->pcap));
	if (in->ended)
		return;
	in->time = (uint64_t)h->ts.tv_sec * NS + (uint64_t)h->ts.tv_usec;
	in->len = h->caplen;
}

struct capture_in *capture_head(struct capture_in *in, unsigned n) {
	struct capture_in *first = NULL;

	for (unsigned i = 0; i < n; i++)
		if (!in[i].ended && (first == NULL || in[i].time < first->time))
			first = &in[i];
	return first;
}

int capture_create(struct capture_out *out, const char *path, bool nanoseconds, struct error *err) {
	unsigned precision = nanoseconds ? PCAP_TSTAMP_PRECISION_NANO : PCAP_TSTAMP_PRECISION_MICRO;

	out->nanoseconds = nanoseconds;
	out->pcap = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, 65535, precision);
	if (out->pcap == NULL)
		return error_set(err, -ENOMEM, "out of memory");
	out->dumper = pcap_dump_open(out->pcap, path);
	if (out->dumper == NULL) {
		error_set(err, -EIO, "%s", pcap_geterr(out->pcap));
		pcap_close(out->pcap);
		out->pcap = NULL;
		return -EIO;
	}
	return 0;
}

void capture_write(struct capture_out *out, uint64_t time, const uint8_t *data, uint32_t len) {
	struct pcap_pkthdr h = {.caplen = len, .len = len};

	if (out->dumper == NULL)
		return;
	h.ts.tv_sec = (time_t)(time / NS);
	h.ts.tv_usec = (suseconds_t)(out->nanoseconds ? time % NS : time % NS / 1000);
	pcap_dump((u_char *)out->dumper, &h, data);
}

int capture_finish(struct capture_out *out) {
	int ret = 0;

	if (out->dumper == NULL)
		return 0;
	if (pcap_dump_flush(out->dumper) != 0)
		ret = -EIO;
	pcap_dump_close(out->dumper);
	pcap_close(out->pcap);
	*out = (struct capture_out){0};
	return ret;
}
