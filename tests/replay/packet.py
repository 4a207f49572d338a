# SPDX-License-Identifier: Apache-2.0
# Packets as dictionaries of fields <-> bytes, written from the RFCs and sharing nothing with the C code it judges.
#
# build() makes a frame from fields, correct in every checksum and length unless the fields say otherwise; dissect()
# reads one back into the same fields and says whether its checksums are right. The fields:
#
#   smac dmac vlan              Ethernet; vlan 0: untagged
#   src dst ttl tos id df mf frag ipopt ext proto ihl version total ipcsum     IPv4 and IPv6; frag in units of 8 bytes
#   kind                        TCP UDP ICMP ARP NS NA IP RAW
#   sport dport flags seq ack win mss tcpopt doff urg udplen csum data         TCP, UDP
#   type code rest quote cut    ICMP; rest: the second word; quote: fields of the quoted packet, cut: its bytes of L4
#   op sha spa tha tpa          ARP
#   target lla naflags          NS, NA; lla: the link-layer address option or None
#   pad trunc                   bytes behind the packet; frame cut to so many bytes
import ipaddress
import struct

TCP, UDP, ICMP4, ICMP6, HOPOPT, ROUTING, FRAGMENT, DSTOPT = 6, 17, 1, 58, 0, 43, 44, 60
FLAGS = "FSRPAUEC"


def checksum(data):
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


_packed = {}


def addr(text):
    if text not in _packed:
        _packed[text] = ipaddress.ip_address(text).packed
    return _packed[text]


_texts = {}


def addr_text(packed):
    if packed not in _texts:
        _texts[packed] = str(ipaddress.ip_address(packed))
    return _texts[packed]


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def mac_text(packed):
    return packed.hex(":")


def family_of(fields):
    return 6 if ":" in fields["src"] else 4


def payload(length):
    return bytes((i * 7 + 1) & 0xFF for i in range(length))


def pseudo(src, dst, proto, length):
    if len(src) == 4:
        return src + dst + struct.pack("!BBH", 0, proto, length)
    return src + dst + struct.pack("!IHBB", length, 0, 0, proto)


def seal(f, l4, at, src, dst, proto):
    """Put the checksum at offset `at` of l4: right by default, a number as it is, "bad" one bit off."""
    want = f.get("csum", "ok")
    if isinstance(want, int):
        value = want
    else:
        over = l4 if proto == ICMP4 else pseudo(src, dst, proto, len(l4)) + l4
        value = checksum(over)
        if proto == UDP and value == 0:
            value = 0xFFFF
        if want == "bad":
            value ^= 0x0400
    return l4[:at] + struct.pack("!H", value) + l4[at + 2:]


def tcp(f):
    options = b""
    if f.get("mss") is not None:
        options += struct.pack("!BBH", 2, 4, f["mss"])
    options += f.get("tcpopt", b"")
    options += b"\0" * (-len(options) % 4)
    flags = sum(1 << FLAGS.index(c) for c in f.get("flags", ""))
    doff = f.get("doff", 5 + len(options) // 4)
    return struct.pack("!HHIIBBHHH", f["sport"], f["dport"], f.get("seq", 0), f.get("ack", 0), doff << 4 & 0xF0, flags,
                       f.get("win", 8192), 0, f.get("urg", 0)) + options + f.get("data", b"")


def udp(f):
    data = f.get("data", b"")
    return struct.pack("!HHHH", f["sport"], f["dport"], f.get("udplen", 8 + len(data)), 0) + data


def icmp(f):
    body = f.get("data", b"")
    if f.get("quote"):
        whole = ip_packet(f["quote"])
        body = whole if f.get("cut") is None else whole[:l4_offset(whole) + f["cut"]]
    return struct.pack("!BBHI", f["type"], f.get("code", 0), 0, f.get("rest", 0)) + body


def nd(f):
    solicit = f["kind"] == "NS"
    body = struct.pack("!BBHI", 135 if solicit else 136, f.get("code", 0), 0, f.get("naflags", 0)) + addr(f["target"])
    if f.get("lla"):
        body += struct.pack("!BB", 1 if solicit else 2, 1) + mac(f["lla"])
    return body + f.get("data", b"")


def extensions(f, proto):
    """Extension headers by name (hbh, dst, rh:SEGMENTS_LEFT), then a fragment header if the fields ask for one."""
    chain = [(ROUTING, name) if name.startswith("rh") else ({"hbh": HOPOPT, "dst": DSTOPT}[name], name)
             for name in f.get("ext", ())]
    if f.get("frag") is not None or f.get("mf"):
        chain.append((FRAGMENT, ""))
    out = b""
    for i, (number, name) in enumerate(chain):
        following = chain[i + 1][0] if i + 1 < len(chain) else proto
        if number == FRAGMENT:
            out += struct.pack("!BBHI", following, 0, (f.get("frag") or 0) << 3 | bool(f.get("mf")), f.get("id", 1))
        elif number == ROUTING:
            left = int(name.partition(":")[2] or 0)
            out += struct.pack("!BBBBI", following, 2, f.get("rhtype", 4), left, 0) + addr("2001:db8:77::1")
        else:
            out += struct.pack("!BBBBBBBB", following, 0, 1, 4, 0, 0, 0, 0)
    return (chain[0][0] if chain else proto), out


def ip_packet(f):
    src, dst, kind = addr(f["src"]), addr(f["dst"]), f["kind"]
    v6 = len(src) == 16
    icmp_proto = ICMP6 if v6 else ICMP4
    if kind == "TCP":
        proto, l4 = TCP, seal(f, tcp(f), 16, src, dst, TCP)
    elif kind == "UDP":
        proto, l4 = UDP, seal(f, udp(f), 6, src, dst, UDP)
    elif kind == "ICMP":
        proto, l4 = icmp_proto, seal(f, icmp(f), 2, src, dst, icmp_proto)
    elif kind in ("NS", "NA"):
        proto, l4 = ICMP6, seal(f, nd(f), 2, src, dst, ICMP6)
    else:
        proto, l4 = f.get("proto", 253), f.get("data", b"")
    if "l4" in f:  # a piece of a packet: these bytes instead
        l4 = f["l4"]
    if v6:
        first, chain = extensions(f, f.get("proto", proto))
        word = f.get("version", 6) << 28 | f.get("tos", 0) << 20 | f.get("label", 0)
        return struct.pack("!IHBB", word, f.get("total", len(chain) + len(l4)), first, f.get("ttl", 64)) \
            + src + dst + chain + l4
    options = f.get("ipopt", b"")
    options += b"\0" * (-len(options) % 4)
    ihl = f.get("ihl", 5 + len(options) // 4)
    place = bool(f.get("df")) << 14 | bool(f.get("mf")) << 13 | (f.get("frag") or 0)
    head = struct.pack("!BBHHHBBH", f.get("version", 4) << 4 | ihl, f.get("tos", 0),
                       f.get("total", 20 + len(options) + len(l4)), f.get("id", 0), place, f.get("ttl", 64),
                       f.get("proto", proto), 0) + src + dst + options
    value = checksum(head)
    if f.get("ipcsum") == "bad":
        value ^= 0x0100
    return head[:10] + struct.pack("!H", value) + head[12:] + l4


def build(f):
    kind = f["kind"]
    if kind == "RAW":
        return f["data"]
    if kind == "ARP":
        ethertype = 0x0806
        body = struct.pack("!HHBBH", f.get("hrd", 1), f.get("pro", 0x0800), f.get("hln", 6), f.get("pln", 4), f["op"]) \
            + mac(f["sha"]) + addr(f["spa"]) + mac(f["tha"]) + addr(f["tpa"])
    else:
        body = ip_packet(f)
        ethertype = 0x86DD if ":" in f["src"] else 0x0800
    frame = mac(f["dmac"]) + mac(f["smac"])
    if f.get("vlan"):
        frame += struct.pack("!HH", 0x8100, f["vlan"] & 0xFFFF)
    elif f.get("priority"):
        frame += struct.pack("!HH", 0x8100, f["priority"] << 13)
    frame += struct.pack("!H", f.get("ethertype", ethertype)) + body + b"\0" * f.get("pad", 0)
    return frame[:f["trunc"]] if f.get("trunc") is not None else frame


# --- bytes -> fields ---

def l4_offset(packet):
    """Of an IP packet that build() made."""
    if packet[0] >> 4 == 4:
        return (packet[0] & 15) * 4
    at, header = 40, packet[6]
    while header in (HOPOPT, ROUTING, FRAGMENT, DSTOPT):
        header, length = packet[at], packet[at + 1]
        at += 8 if header == FRAGMENT else 8 + length * 8
    return at


def dissect(frame):
    """Fields of a frame. Also: etype; l3, l4, end (offsets); ip_ok, l4_ok (None: there is nothing to check)."""
    f = {"kind": "RAW", "data": frame, "vlan": 0}
    if len(frame) < 14:
        return f
    f["dmac"], f["smac"] = mac_text(frame[:6]), mac_text(frame[6:12])
    etype, l3 = struct.unpack_from("!H", frame, 12)[0], 14
    if etype == 0x8100 and len(frame) >= 18:
        tag, etype = struct.unpack_from("!HH", frame, 14)
        f["vlan"], l3 = tag & 0xFFF, 18
    f["etype"], f["l3"] = etype, l3
    try:
        if etype == 0x0806:
            dissect_arp(f, frame[l3:])
        elif etype in (0x0800, 0x86DD):
            dissect_ip(f, frame, l3)
    except (struct.error, IndexError, ValueError):  # a quote of 8 bytes keeps its ports
        f["kind"] = f["kind"] if "sport" in f else "RAW"
    return f


def dissect_arp(f, a):
    _, _, _, _, f["op"] = struct.unpack_from("!HHBBH", a)
    if len(a) < 28:
        return
    f["sha"], f["spa"] = mac_text(a[8:14]), addr_text(a[14:18])
    f["tha"], f["tpa"] = mac_text(a[18:24]), addr_text(a[24:28])
    f["kind"] = "ARP"


def dissect_ip(f, frame, l3):
    version = frame[l3] >> 4
    if version == 4:
        ihl = (frame[l3] & 15) * 4
        _, f["tos"], total, f["id"], place, f["ttl"], proto, _ = struct.unpack_from("!BBHHHBBH", frame, l3)
        f["df"], f["mf"], f["frag"] = place >> 14 & 1, place >> 13 & 1, place & 0x1FFF
        src, dst = frame[l3 + 12:l3 + 16], frame[l3 + 16:l3 + 20]
        f["ipopt"] = frame[l3 + 20:l3 + ihl]
        f["ip_ok"] = checksum(frame[l3:l3 + ihl]) == 0
        l4, end = l3 + ihl, l3 + total
    else:
        word, length, proto, f["ttl"] = struct.unpack_from("!IHBB", frame, l3)
        f["tos"], f["label"] = word >> 20 & 0xFF, word & 0xFFFFF
        src, dst = frame[l3 + 8:l3 + 24], frame[l3 + 24:l3 + 40]
        f["ip_ok"], f["frag"], f["mf"] = None, 0, 0
        l4, end = l3 + 40, l3 + 40 + length
        while proto in (HOPOPT, ROUTING, FRAGMENT, DSTOPT):
            if proto == FRAGMENT:
                place = struct.unpack_from("!H", frame, l4 + 2)[0]
                f["frag"], f["mf"] = place >> 3, place & 1
                proto, l4 = frame[l4], l4 + 8
            else:
                proto, l4 = frame[l4], l4 + 8 + 8 * frame[l4 + 1]
    f["src"], f["dst"] = addr_text(src), addr_text(dst)
    f["proto"], f["l4"], f["end"], f["kind"], f["l4_ok"] = proto, l4, end, "IP", None
    if not f["frag"]:
        dissect_l4(f, frame[l4:min(end, len(frame))], src, dst, proto, end <= len(frame))


def dissect_l4(f, seg, src, dst, proto, whole):
    f["data"] = seg
    head = b"" if proto == ICMP4 else pseudo(src, dst, proto, len(seg))
    right = whole and not f["mf"] and checksum(head + seg) == 0
    if proto == TCP:
        f["sport"], f["dport"] = struct.unpack_from("!HH", seg)
        f["kind"] = "TCP"
        f["seq"], = struct.unpack_from("!I", seg, 4)
        f["ack"], doff, flags, f["win"], f["csum"], _ = struct.unpack_from("!IBBHHH", seg, 8)
        f["flags"] = "".join(c for i, c in enumerate(FLAGS) if flags >> i & 1)
        f["tcpopt"] = seg[20:doff >> 2]
        at = mss_at(f["tcpopt"])
        f["mss"] = None if at is None else struct.unpack_from("!H", f["tcpopt"], at)[0]
        f["data"], f["l4_ok"] = seg[doff >> 2:], right
    elif proto == UDP:
        f["sport"], f["dport"], f["udplen"], f["csum"] = struct.unpack_from("!HHHH", seg)
        f["kind"], f["data"] = "UDP", seg[8:]
        f["l4_ok"] = None if f["csum"] == 0 else right
    elif proto in (ICMP4, ICMP6):
        f["type"], f["code"], f["csum"], f["rest"] = struct.unpack_from("!BBHI", seg)
        f["kind"], f["data"], f["l4_ok"] = "ICMP", seg[8:], right
        if proto == ICMP6 and f["type"] in (135, 136):
            f["kind"] = "NS" if f["type"] == 135 else "NA"
            f["naflags"], f["target"] = f["rest"], addr_text(seg[8:24])
            f["lla"] = mac_text(seg[26:32]) if len(seg) >= 32 and seg[24] == (1 if f["type"] == 135 else 2) else None
        elif is_icmp_error(proto, f["type"]) and len(seg) > 8:
            f["quote"] = dissect(b"\0" * 12 + (b"\x08\0" if proto == ICMP4 else b"\x86\xdd") + seg[8:])


def is_icmp_error(proto, number):
    return number in (3, 4, 5, 11, 12) if proto == ICMP4 else number < 128


def mss_at(options):
    """Where the value of the MSS option stands, or None."""
    at = 0
    while at < len(options) and options[at]:
        if options[at] == 1:
            at += 1
            continue
        if at + 1 >= len(options) or options[at + 1] < 2:
            return None
        if options[at] == 2 and options[at + 1] == 4:
            return at + 2 if at + 4 <= len(options) else None
        at += options[at + 1]
    return None
