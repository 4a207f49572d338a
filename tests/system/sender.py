#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# A flood: frames out of an interface as fast as the kernel takes them, from many clients.
"""sender.py KIND DEVICE MAC ADDRESS PORT PROCESSES

KIND: udp, 1,024 flows; or syn, each of 16,384 clients begins a connection again and again. To a virtual address, from 198.18.0.0/15.
Until SIGTERM, or for LONGEST seconds."""
import ctypes
import os
import signal
import socket
import struct
import sys
import time

LONGEST = 40
BATCH = 1024  # frames of one system call
FLOWS = {"udp": 1024, "syn": 16384}


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Header(ctypes.Structure):  # struct msghdr
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32), ("vectors", ctypes.POINTER(Vector)),
                ("n_vectors", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t), ("flags", ctypes.c_int)]


class Message(ctypes.Structure):  # struct mmsghdr
    _fields_ = [("header", Header), ("sent", ctypes.c_uint)]


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def transport(kind, ports, ends):
    """UDP with 18 bytes, or a SYN; the checksum is at its offset in either."""
    if kind == "udp":
        body, number, at = ports + struct.pack("!HH", 26, 0) + bytes(18), socket.IPPROTO_UDP, 6
    else:
        body, number, at = ports + struct.pack("!IIBBHHH", 1, 0, 5 << 4, 2, 65535, 0, 0), socket.IPPROTO_TCP, 16
    pseudo = ends + struct.pack("!HH", number, len(body))
    return number, body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2:]


def frame(kind, source_mac, mac, address, port, i, process):
    ends = bytes([198, 18 + process % 2, i >> 8, i & 255]) + socket.inet_aton(address)
    number, body = transport(kind, struct.pack("!HH", 1024 + process, port), ends)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, number, 0) + ends
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return (mac + source_mac + b"\x08\x00" + header + body).ljust(60, b"\0")


def batches(frames):
    """Arrays of messages, and what they point to."""
    out = []
    for first in range(0, len(frames), BATCH):
        some = frames[first:first + BATCH]
        buffers = [ctypes.create_string_buffer(f, len(f)) for f in some]
        vectors = [Vector(ctypes.addressof(b), len(b)) for b in buffers]
        messages = (Message * len(some))(*(Message(Header(vectors=ctypes.pointer(v), n_vectors=1)) for v in vectors))
        out.append((messages, buffers, vectors))
    return out


def flood(kind, device, mac, address, port, process):
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    send = ctypes.CDLL(None).sendmmsg
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
        s.bind((device, 0))
        mine = s.getsockname()[4]
        todo = batches([frame(kind, mine, mac, address, port, i, process) for i in range(FLOWS[kind])])
        end = time.monotonic() + LONGEST
        while not stopped and time.monotonic() < end:
            for messages, *_ in todo:
                send(s.fileno(), messages, len(messages), 0)


def main():
    kind, device, mac, address, port, processes = sys.argv[1:]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the first process waits for the others, which are told as well
    children = []
    for process in range(int(processes)):
        children.append(os.fork())
        if children[-1] == 0:
            flood(kind, device, bytes.fromhex(mac.replace(":", "")), address, int(port), process)
            os._exit(0)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
