# SPDX-License-Identifier: Apache-2.0
# Frames made by hand: what floods, and what asks. Addresses are bytes in network order.
import socket
import struct


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def with_checksum(data, at, pseudo=b""):
    return data[:at] + struct.pack("!H", checksum(pseudo + data)) + data[at + 2:]


def ipv4(mine, mac, ends, protocol, body):
    header = with_checksum(struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0) + ends, 10)
    return (mac + mine + b"\x08\x00" + header + body).ljust(60, b"\0")


def udp(mine, mac, ends, ports):
    body = ports + struct.pack("!HH", 26, 0) + bytes(18)
    return ipv4(mine, mac, ends, 17, with_checksum(body, 6, ends + struct.pack("!HH", 17, len(body))))


def syn(mine, mac, ends, ports):
    body = ports + struct.pack("!IIBBHHH", 1, 0, 5 << 4, 2, 65535, 0, 0)
    return ipv4(mine, mac, ends, 6, with_checksum(body, 16, ends + struct.pack("!HH", 6, len(body))))


def arp_request(mine, own, target):
    return (b"\xff" * 6 + mine + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mine + own + bytes(6) + target).ljust(60, b"\0")


def echo_request(mine, mac, own, target):
    return ipv4(mine, mac, own + target, socket.IPPROTO_ICMP, with_checksum(struct.pack("!BBHHH", 8, 0, 0, 7, 7) + bytes(18), 2))
