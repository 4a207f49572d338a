# SPDX-License-Identifier: Apache-2.0
# The beds that system tests lie in: topology, devices, workers.
from functools import partial

from cluster import Cluster, Conversation  # noqa: F401
from netlab import LabError, wait_for  # noqa: F401
from tap import Bed, expect, test  # noqa: F401


def make(lab, build, **arguments):
    """A cluster whose sluiced runs."""
    cluster = Cluster(lab, build, **arguments)
    cluster.sluice.start()
    return cluster


def bed(name, **arguments):
    return Bed(name, partial(make, **arguments))


XDP = bed("af_xdp", device="af_xdp")
PACKET = bed("af_packet", device="af_packet")
XDP_TWO_WORKERS = bed("af_xdp-2-workers", device="af_xdp", workers=2)
PACKET_TWO_WORKERS = bed("af_packet-2-workers", device="af_packet", workers=2, qpairs=2)
XDP_ONE_ARM = bed("af_xdp-one-arm", device="af_xdp", shape="one-arm")
PACKET_ONE_ARM = bed("af_packet-one-arm", device="af_packet", shape="one-arm")
XDP_NARROW = bed("af_xdp-1400-byte-hop", device="af_xdp", router_mtu=1400, pods=1)
PACKET_NARROW = bed("af_packet-1400-byte-hop", device="af_packet", router_mtu=1400, pods=1)
# The pods play nodes, which sluiced probes over a network of its own.
PACKET_NODES = bed("af_packet-nodes", device="af_packet", management=True, services={
    "defaults": {"target": "node", "forwarding": "fullnat"},
    "nodeHealth": {"enabled": True, "intervalMs": 500, "timeoutMs": 2000}})

BOTH = (XDP, PACKET)
TWO_WORKERS = (PACKET_TWO_WORKERS, XDP_TWO_WORKERS)
ONE_ARM = (XDP_ONE_ARM, PACKET_ONE_ARM)
NARROW = (XDP_NARROW, PACKET_NARROW)
