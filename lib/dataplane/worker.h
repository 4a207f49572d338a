// SPDX-License-Identifier: Apache-2.0
// A worker: one lcore's share of the data plane, and the data plane they share.
//
//     devices -> rx -> burst() -> tx buffers -> devices
//                 ^       |  \--> rings to owners (flows) and to senders (ports polled by others)
//     rings from others --+  \--> events up to control (neighbours heard of, neighbours wanted)
//     commands from control ----> requests to send, jobs (flows, explain)
//
// Nothing that a worker writes is written by another; everything else it reads comes from the published tables, the neighbour
// table, or was fixed before it started. State is an argument: a replay runs any number of workers in one thread.
#ifndef SLUICE_DATAPLANE_WORKER_H
#define SLUICE_DATAPLANE_WORKER_H

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/spsc.h"
#include "dataplane/packet.h"
#include "flow/affinity.h"
#include "flow/flow.h"
#include "neighbor/neighbor.h"
#include "net/reason.h"
#include "publish/publish.h"
#include "rewrite/rewrite.h"
#include "tables/tables.h"

#define WORKER_HOLD 256            // packets that wait for a MAC, in all
#define WORKER_HOLD_NEIGHBOR 16    // and for one neighbour
#define WORKER_HOLD_MS 3000        // at most
#define WORKER_ANSWERS_SECOND 1000 // RST, ICMP errors: rate and depth of the token bucket
#define WORKER_EVENTS 1024         // reports to control that may wait
#define WORKERS_MAX 64

struct worker;

// Up: what a worker learnt.
enum event_type { EVENT_HEARD, EVENT_WANTED };
struct event {
	uint8_t type; // enum event_type
	bool answer;  // EVENT_HEARD: a reply to us
	uint16_t port;
	struct ip_addr addr;
	struct mac_addr mac;
};

// Down: what control wants done.
enum command_type { COMMAND_REQUEST, COMMAND_ANNOUNCE, COMMAND_JOB };
struct job { // runs on the worker, a bounded piece a call, until it returns true; control waits for done
	bool (*run)(struct worker *w, const struct tables *t, struct job *job);
	bool done; // written last, with release
};
struct command {
	uint8_t type; // enum command_type
	union {
		struct neighbor_request request; // ARP request or neighbour solicitation
		struct {
			uint16_t port;
			struct ip_addr addr; // gratuitous ARP or unsolicited advertisement
		} announce;
		struct job *job;
	};
};

// Where packets leave. Production: rte_eth_tx_burst; a replay: a file. Takes the mbufs it sends; returns their number.
struct worker_io {
	uint16_t (*send)(void *ctx, struct worker *w, uint16_t port, struct rte_mbuf **m,
			 uint16_t n);
	uint16_t (*receive)(void *ctx, struct worker *w, uint16_t port, uint16_t queue,
			    struct rte_mbuf **m, uint16_t n);
	// For workers that sleep. wait: until a packet may be there or worker_wake(): true; or the time is over: false. arm: let packets end
	// the next wait.
	bool (*wait)(void *ctx, struct worker *w, uint32_t us);
	void (*arm)(void *ctx, struct worker *w);
	void *ctx;
};

// Called once for a packet's fate when a replay traces; `trace` is the number that worker_trace_set() gave the mbuf.
struct verdict {
	uint64_t trace;
	uint8_t fate, reason, answer;
	uint32_t service, backend; // TABLES_NO_ID: none
};
typedef void worker_trace(void *ctx, const struct tables *t, const struct verdict *v);

struct worker_counters { // the worker writes, anyone may read (each word loaded and stored relaxed)
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes, handed_over, answered, answers_limited,
		bursts, idle_loops, naps;
	uint64_t affinity_evicted;
	uint64_t drops[REASON_DROPS];
};

struct held { // a packet that waits for its next hop
	struct rte_mbuf *m;
	struct ip_addr addr;
	uint16_t port;
	uint16_t l3; // offset of the IP header
	uint32_t nexthop;
	uint64_t deadline; // ms
	uint32_t service, backend;
};

struct tx_buffer {
	uint16_t n;
	uint32_t bytes; // of all; only counted where they leave to a device
	struct rte_mbuf *m[BURST];
};

struct worker_queue {
	uint16_t port, queue;
};

struct dataplane {
	// Fixed before the workers start.
	uint16_t n_workers, n_ports;
	struct publish *publish;
	struct neighbor_table *neighbors;
	struct worker **workers;
	uint16_t sender
		[TABLES_MAX_PORTS]
		[WORKERS_MAX]; // [port][worker]: who sends that worker's packets there (itself, if it has a queue)
	struct worker_io io;
	worker_trace *trace; // NULL but in a replay
	void *trace_ctx;
	int trace_offset;   // of the mbuf's dynamic field
	bool stages_only;   // a replay may leave out the short way: the result must be the same
	uint32_t ring_size; // of each ring between two workers, a power of two
	// Written by control.
	bool stop; // workers: stop receiving, drain, return
};

struct worker {
	// Fixed before start.
	uint16_t id;
	struct dataplane *dp;
	struct rte_mempool *pool; // of packets it makes
	struct flow_table *flows;
	struct affinity_table *affinity; // NULL: none
	// Its SNAT ports where answers are expected on a port (the index) whose RSS is known; each NULL, or all: slices.
	const struct flow_ports *const *ports;
	uint16_t n_queues;
	struct worker_queue queues[64];
	struct rte_ring *in[WORKERS_MAX];  // by sender; flows that are ours
	struct rte_ring *out[WORKERS_MAX]; // [i]: in-ring of worker i for us
	struct rte_ring *tx_in[WORKERS_MAX],
		*tx_out[WORKERS_MAX]; // finished packets for ports that we (they) send on
	struct spsc *events;          // up
	struct spsc *commands;        // down
	uint8_t idle;                 // enum worker_idle
	uint8_t waits_for;            // enum worker_waits
	int wake_fd;                  // an eventfd, for a worker that sleeps
	int socket;                   // NUMA node of its memory and rings, SOCKET_ID_ANY: any

	// Its own.
	_Alignas(64) uint64_t now_ms;
	uint32_t now;        // ticks, FLOW_TICKS a second
	uint64_t generation; // of the tables it works with; anyone may read
	uint64_t changes;    // neighbor_changes() when held packets were last looked at
	uint64_t swept_ms;
	double sweep_debt;
	uint64_t answer_ms;
	uint32_t answer_tokens;
	uint16_t n_held;
	uint64_t cause; // trace of the packet at hand, for packets made in answer to it
	struct job *job;
	uint16_t silence; // empty loops since the last packet, up to when it sleeps
	uint8_t naps;     // sleeps since, up to the longest
	bool armed;
	struct worker_counters counters;
	struct tx_buffer tx[TABLES_MAX_PORTS];
	struct tx_buffer move[WORKERS_MAX];
	struct held held[WORKER_HOLD];
	struct packet burst[BURST];
	struct lane lanes[BURST];

	// It sets, who gives it something reads and clears: worker_wake().
	_Alignas(64) bool asleep;
};

// --- set-up, control thread ---

// Rings, queues and buffers of dp->n_workers workers whose flows, affinity and pools the caller has given. Errors: -ENOMEM.
int dataplane_connect(struct dataplane *dp);
void dataplane_disconnect(struct dataplane *dp);
// Queue q of a port is served by worker (port + q) mod workers, in both directions; a worker without a transmit queue of its own on a port
// gives its packets to one that has.
uint16_t dataplane_queue_worker(const struct dataplane *dp, uint16_t port, uint16_t queue);
void dataplane_set_senders(struct dataplane *dp, uint16_t port, uint16_t tx_queues);

// --- the loop (also driven by a replay, one packet at a time) ---

// Set the clock: milliseconds, any start. Runs what is due: sweep, held packets' deadlines.
void worker_tick(struct worker *w, const struct tables *t, uint64_t now_ms);
// Take a burst of received frames (m->port is the ingress port) through all stages. n <= BURST.
void worker_burst(struct worker *w, const struct tables *t, struct rte_mbuf **m, uint16_t n,
		  bool handed_over);
// Rings from other workers, commands, held packets. Returns the number of packets and commands handled.
uint32_t worker_chores(struct worker *w, const struct tables *t);
// Hand what is buffered to the devices and to other workers.
void worker_flush(struct worker *w);
// Drop what is held; the end of a run.
void worker_drop_held(struct worker *w, const struct tables *t, enum reason reason);
// Until dp->stop. An lcore's function.
int worker_run(void *worker);

enum worker_idle { WORKER_BUSY, WORKER_PAUSE, WORKER_SLEEP };
// What ends a sleep before its time, beside worker_wake(): nothing, the interrupts of some queues, or of all.
enum worker_waits { WORKER_TIME, WORKER_SOME_INTERRUPTS, WORKER_INTERRUPTS };

// --- any thread ---

// After something was put into a ring of the worker: it may be asleep. A system call only then.
void worker_wake(struct worker *w);
// Control: give it a command. False: its queue is full.
bool worker_command(struct worker *w, const struct command *c);

// --- for tracing ---
int dataplane_trace_init(struct dataplane *dp); // registers the mbuf field
void worker_trace_set(const struct dataplane *dp, struct rte_mbuf *m, uint64_t trace);
uint64_t worker_trace_get(const struct dataplane *dp, const struct rte_mbuf *m);
#define WORKER_NO_TRACE UINT64_MAX

#endif
