#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# A flood: frames out of an interface as fast as the kernel takes them, from many clients, with questions among them.
"""sender.py KIND DEVICE OWN-ADDRESS MAC TARGET PORT

KIND: udp, 1,024 flows; or syn, each of 16,384 clients begins a connection again and again. To TARGET, from 198.18.0.0/15. One frame of
each BATCH asks for TARGET by ARP, another one by echo. Until SIGTERM, or for LONGEST seconds."""
import ctypes
import random
import signal
import socket
import struct
import sys
import time

import frames

LONGEST = 40
BATCH = 1024  # frames of one system call
FLOWS = {"udp": 1024, "syn": 16384}
MAKE = {"udp": frames.udp, "syn": frames.syn}


class Vector(ctypes.Structure):  # struct iovec
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Header(ctypes.Structure):  # struct msghdr
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32), ("vectors", ctypes.POINTER(Vector)),
                ("n_vectors", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t), ("flags", ctypes.c_int)]


class Message(ctypes.Structure):  # struct mmsghdr
    _fields_ = [("header", Header), ("sent", ctypes.c_uint)]


class Batch:
    """An array of messages, and what it points to."""

    def __init__(self, content):
        self.buffers = [ctypes.create_string_buffer(f, len(f)) for f in content]
        self.vectors = [Vector(ctypes.addressof(b), len(b)) for b in self.buffers]
        self.messages = (Message * len(content))(*(Message(Header(vectors=ctypes.pointer(v), n_vectors=1)) for v in self.vectors))


def batches(kind, mine, own, mac, target, port):
    def one(i):
        return MAKE[kind](mine, mac, bytes([198, 18, i >> 8, i & 255]) + target, struct.pack("!HH", 1024, port))

    questions = [frames.arp_request(mine, own, target), frames.echo_request(mine, mac, own, target)]
    for first in range(0, FLOWS[kind], BATCH):
        content = [one(first + i) for i in range(BATCH)]
        for question in questions:
            content.insert(random.randrange(BATCH), question)
        yield Batch(content)


def main():
    kind, device, own, mac, target, port = sys.argv[1:]
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    send = ctypes.CDLL(None).sendmmsg
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
        s.bind((device, 0))
        todo = list(batches(kind, s.getsockname()[4], socket.inet_aton(own), bytes.fromhex(mac.replace(":", "")), socket.inet_aton(target),
                            int(port)))
        end = time.monotonic() + LONGEST
        while not stopped and time.monotonic() < end:
            for batch in todo:
                send(s.fileno(), batch.messages, len(batch.messages), 0)


if __name__ == "__main__":
    main()
