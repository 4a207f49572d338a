# SPDX-License-Identifier: Apache-2.0
# The network that every case starts from, and the names by which cases speak of it.
#
#     client 198.51.100.7 ... gw 192.0.2.254 --- wan [sluice] lan --- b1 10.0.0.11, b2 10.0.0.12, ... b9
#                                                                  `- n1 10.0.0.21, ... n9 (nodes)
#
# A name stands for the address of the case's family; b1.4 and b1.6 say which one.
import copy

NAMES = {
    "client": ("198.51.100.7", "2001:db8:c::7"),
    "client2": ("198.51.100.8", "2001:db8:c::8"),
    "client3": ("198.51.100.9", "2001:db8:c::9"),
    "router": ("198.51.100.1", "2001:db8:c::1"),  # one on the way to the clients
    "vip": ("203.0.113.1", "2001:db8:100::1"),
    "vip2": ("203.0.113.2", "2001:db8:100::2"),
    "vip3": ("203.0.113.3", "2001:db8:100::3"),
    "near": ("192.0.2.100", "2001:db8:2::100"),  # a virtual address on wan's own subnet
    "nodeport": ("203.0.113.250", "2001:db8:100::fa"),
    "external": ("203.0.113.200", "2001:db8:100::c8"),
    "cluster": ("10.96.0.1", "fd00:96::1"),
    "gw": ("192.0.2.254", "2001:db8:2::fe"),
    "wan": ("192.0.2.2", "2001:db8:2::2"),  # the ports' own addresses
    "lan": ("10.0.0.2", "fd00:10::2"),
    "snat": ("10.0.0.10", "fd00:10::10"),
    "neighbor": ("192.0.2.77", "2001:db8:2::77"),  # a host on wan's subnet without a static entry
    **{f"b{i}": (f"10.0.0.{10 + i}", f"fd00:10::{10 + i}") for i in range(1, 10)},
    **{f"n{i}": (f"10.0.0.{20 + i}", f"fd00:10::{20 + i}") for i in range(1, 10)},
    **{f"new{i}": (f"10.0.0.{30 + i}", f"fd00:10::{30 + i}") for i in range(1, 10)},  # hosts without a static entry
}

BY_ADDRESS = {address: name for name, pair in NAMES.items() for address in pair}

MACS = {
    "wan": "02:00:00:00:00:01",
    "lan": "02:00:00:00:00:02",
    "gw": "02:00:00:00:0a:fe",
    "neighbor": "02:00:00:00:0a:77",
    "other": "02:00:00:00:ee:ee",
    "broadcast": "ff:ff:ff:ff:ff:ff",
    **{f"b{i}": f"02:00:00:00:0b:0{i}" for i in range(1, 10)},
    **{f"n{i}": f"02:00:00:00:0c:0{i}" for i in range(1, 10)},
    **{f"new{i}": f"02:00:00:00:0d:0{i}" for i in range(1, 10)},
}

STATIC = ["gw"] + [f"b{i}" for i in range(1, 10)] + [f"n{i}" for i in range(1, 10)]

CONFIG = {
    "apiVersion": "sluice.dev/v1alpha1",
    "kind": "SluiceConfiguration",
    "dataplane": {"workers": 1, "flowsPerWorker": 16384},
    "ports": [
        {"name": "wan", "device": "net_ring0", "mac": MACS["wan"], "addresses": ["192.0.2.2/24", "2001:db8:2::2/64"]},
        {"name": "lan", "device": "net_ring1", "mac": MACS["lan"], "addresses": ["10.0.0.2/24", "fd00:10::2/64"]},
    ],
    "routes": [{"prefix": "0.0.0.0/0", "via": "192.0.2.254"}, {"prefix": "::/0", "via": "2001:db8:2::fe"}],
    "neighbors": [{"address": address, "mac": MACS[name], "port": "wan" if name == "gw" else "lan"}
                  for name in STATIC for address in NAMES[name]],
    "services": {
        "addressPools": [{"name": "public",
                          "addresses": ["203.0.113.0/28", "192.0.2.100-192.0.2.110", "2001:db8:100::/121",
                                        "2001:db8:2::100-2001:db8:2::110"]}],
        "snatAddresses": ["10.0.0.10", "fd00:10::10"],
        "stateFile": "",
    },
}


def config():
    return copy.deepcopy(CONFIG)


def address(name, family):
    """The address of a name, or None."""
    name, _, digit = name.partition(".")
    return NAMES[name][int(digit or family) == 6] if name in NAMES else None


def name_of(text):
    """The name of an address, for messages; the address itself where it has none."""
    return BY_ADDRESS.get(text, text)


def mac_of(text):
    """The MAC address of the host that holds an address on a port's subnet, or None."""
    name = name_of(text)
    return MACS.get(name)
