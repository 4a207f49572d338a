# SPDX-License-Identifier: Apache-2.0
# Classic pcap files, in both byte orders and both resolutions. Times are integers: nanoseconds.
import struct

MICRO, NANO = 0xA1B2C3D4, 0xA1B23C4D
ETHERNET = 1


def write(path, packets, nano=False, order="<", linktype=ETHERNET, snaplen=262144):
    """packets: (time, frame) or (time, frame, original length)."""
    with open(path, "wb") as f:
        f.write(struct.pack(order + "IHHiIII", NANO if nano else MICRO, 2, 4, 0, 0, snaplen, linktype))
        for time, frame, *rest in packets:
            whole, part = divmod(time, 10**9)
            f.write(struct.pack(order + "IIII", whole, part if nano else part // 1000, len(frame),
                                rest[0] if rest else len(frame)))
            f.write(frame)


def read(path):
    """[(time, frame)]. ValueError for what is no such file."""
    with open(path, "rb") as f:
        data = f.read()
    for order in "<>":
        if len(data) >= 24 and struct.unpack_from(order + "I", data)[0] in (MICRO, NANO):
            break
    else:
        raise ValueError(f"{path}: not a pcap file")
    unit = 1 if struct.unpack_from(order + "I", data)[0] == NANO else 1000
    packets, at = [], 24
    while at < len(data):
        if at + 16 > len(data):
            raise ValueError(f"{path}: cut inside a packet's header")
        whole, part, length, _ = struct.unpack_from(order + "IIII", data, at)
        at += 16
        if at + length > len(data):
            raise ValueError(f"{path}: cut inside a packet")
        packets.append((whole * 10**9 + part * unit, data[at:at + length]))
        at += length
    return packets
