# SPDX-License-Identifier: Apache-2.0
# What must hold for every packet that leaves, whatever the case expects of it. Knows the input that caused it, the site
# and the manifests; knows nothing of flows.
import functools
import ipaddress

import net
import packet


class Broken(Exception):
    """A law that an output packet breaks."""


def law(holds, text):
    if not holds:
        raise Broken(text)


def is_resolution(f):
    """A question of our own for a neighbour's address."""
    return (f["kind"] == "ARP" and f["op"] == 1) or f["kind"] == "NS"


def essence(f, frame):
    """What a forwarded packet carries unchanged: everything but the fields that forwarding may write."""
    l3, l4, end = f["l3"], f["l4"], min(f["end"], len(frame))
    if ":" in f["src"]:
        head = frame[l3:l3 + 4] + frame[l3 + 40:l4]
    else:
        head = frame[l3 + 1:l3 + 8] + frame[l3 + 20:l4]
    if f["kind"] in ("TCP", "UDP"):
        seg, sum_at = bytearray(frame[l4:end]), 16 if f["kind"] == "TCP" else 6
        seg[0:4], seg[sum_at:sum_at + 2] = bytes(4), bytes(2)
        if f.get("mss") is not None and "S" in f["flags"]:
            at = 20 + packet.mss_at(f["tcpopt"])
            seg[at:at + 2] = bytes(2)
        return head, bytes(seg)
    if f.get("quote"):
        return head[0], f["type"], f["code"], f["rest"], inner_essence(f["quote"])
    return head, frame[l4:end]


def inner_essence(q):
    kept = ("kind", "tos", "id", "df", "ttl", "proto", "ipopt", "seq", "ack", "flags", "win", "tcpopt", "udplen")
    return tuple(q.get(k) for k in kept), q["data"] if "sport" in q and "csum" in q else None


@functools.cache
def is_on_link(address, subnets):
    return any(ipaddress.ip_address(address) in ipaddress.ip_interface(s).network for s in subnets)


def next_hop_mac(case, address, port):
    """The MAC address of whoever the port's subnets or the default route name."""
    if address in case.macs or is_on_link(address, tuple(port["addresses"])):
        return case.mac_of(address)
    return net.MACS["gw"]


def forwarded(case, cause, got, frame, decision):
    """A packet that came in and left."""
    f = cause.fields
    law(f["kind"] == got["kind"], f"a {f['kind']} packet left as {got['kind']}")
    law(essence(f, cause.frame) == essence(got, frame),
        f"more changed than forwarding may change:\n  in  {essence(f, cause.frame)}\n  out {essence(got, frame)}")
    if f["l4_ok"] is False:
        law(got["l4_ok"] is False, "a wrong L4 checksum was repaired")
    elif f["l4_ok"]:
        law(got["l4_ok"] is True, "a right L4 checksum became wrong")
    if f["kind"] == "UDP" and f["csum"] == 0:
        law(got["csum"] == 0, "a UDP checksum of 0 was not kept")
    elif f["kind"] == "UDP":
        law(got["csum"] != 0, "a UDP checksum became 0, which means none")
    if got["kind"] == "ICMP":
        quote(f, got)
    if case.mode_of(decision["service"], cause) == "dsr":
        law(got["ttl"] == f["ttl"], "dsr changed the TTL")
        law(frame[got["l3"]:] == cause.frame[f["l3"]:], "dsr changed more than the Ethernet header")
    else:
        law(got["ttl"] == f["ttl"] - 1, f"TTL {f['ttl']} left as {got['ttl']}")
    if got.get("mss") != f.get("mss"):
        law("S" in f["flags"] and got["mss"] < f["mss"], "the MSS was raised")


def quote(f, got):
    q = got.get("quote")
    if not q:
        return
    law(q["ip_ok"] is not False, "the quoted packet's IP checksum is wrong")
    if f["quote"]["l4_ok"]:
        law(q["l4_ok"] is True, "the quoted packet's L4 checksum became wrong")


def to_backend(case, cause, got, port, decision):
    """Only what is or was a backend of the service gets its packets; only what is usable gets new flows."""
    known = case.backends_at(decision["service"], cause, decision["reason"] in ("new", "affinity", "stateless"))
    law(decision["backend"] in known, f"{decision['backend']} is no backend of {decision['service']}: {sorted(known)}")
    if case.mode_of(decision["service"], cause) == "dsr":
        host, _, _ = decision["backend"].rpartition(":")
        law(got["dmac"] == case.mac_of(host.strip("[]")), f"sent to {got['dmac']}, not to {host}")
        law((got["src"], got["dst"]) == (cause.fields["src"], cause.fields["dst"]), "dsr changed an address")
        return
    address, at = (got["dst"], got.get("dport")) if got["kind"] != "ICMP" else (got["dst"], got["quote"]["sport"])
    law(text(address, at) == decision["backend"], f"sent to {text(address, at)}, decided for {decision['backend']}")


def text(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def output(case, cause, port_name, frame, got, decision):
    """Judge one output packet. Raises Broken."""
    port = case.port(port_name)
    law(got["kind"] != "RAW", f"not a packet: {frame.hex()}")
    law(got["smac"] == port["mac"], f"left {port_name} from {got['smac']}")
    law(got["vlan"] == port.get("vlan", 0), f"left {port_name} with VLAN tag {got['vlan']}")
    if got["kind"] == "ARP":
        law(got["sha"] == port["mac"], "ARP names another sender's MAC")
    else:
        law(got["ip_ok"] is not False, "the IPv4 header checksum is wrong")
        law(got["end"] <= len(frame), "the frame is shorter than its packet")
        law(got["frag"] == 0 and got["mf"] == 0, "a fragment left")
    if is_resolution(got):
        asked = got["tpa"] if got["kind"] == "ARP" else got["target"]
        law(asked not in {n["address"] for n in case.config["neighbors"]}, f"asked for the static neighbour {asked}")
        return
    if got["kind"] in ("ARP", "NA"):
        law(got["dmac"] == cause.fields["smac"] or int(got["dmac"][:2], 16) & 1, "answered to somebody else's MAC")
        law(got["kind"] == "ARP" or (got["l4_ok"] and got["ttl"] == 255), "an NA with a wrong checksum or hop limit")
        return
    if case.mode_of(decision["service"], cause) != "dsr" or decision["reason"].startswith("answered-"):
        want = next_hop_mac(case, got["dst"], port)
        law(got["dmac"] == want, f"sent to {got['dmac']} in place of {want}")
    if decision["reason"].startswith("answered-"):
        law(got["l4_ok"] is True, "an answer with a wrong checksum")
        law(got["ttl"] >= 32, "an answer with a low TTL")
        return
    forwarded(case, cause, got, frame, decision)
    if got["kind"] == "ICMP" and port_name != "wan":
        sources = {cause.fields["src"], *case.config["services"]["snatAddresses"]}
        law(got["src"] in sources, f"an ICMP error to a backend from {got['src']}")
    if decision["reason"] in ("new", "affinity", "stateless", "tracked"):
        to_backend(case, cause, got, port, decision)
