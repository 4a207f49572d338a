#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Asks for addresses by ARP and by ICMP echo, as often as a lossy device needs.
"""ask.py DEVICE OWN-ADDRESS MAC TARGET...

MAC is where echo requests go. A request that isn't answered is sent again after AGAIN seconds; silence for LONGEST is status 1."""
import socket
import struct
import sys
import time

from sender import checksum

AGAIN, LONGEST = 0.1, 10


def checked(data, at):
    return data[:at] + struct.pack("!H", checksum(data)) + data[at + 2:]


def arp(mine, own, _, target):
    request = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mine + own + bytes(6) + target
    return b"\xff" * 6 + mine + b"\x08\x06" + request, lambda f: f[12:14] == b"\x08\x06" and f[20:22] == b"\0\2" and f[28:32] == target


def echo(mine, own, mac, target):
    header = checked(struct.pack("!BBHHHBBH", 0x45, 0, 46, 0, 0, 64, 1, 0) + own + target, 10)
    request = header + checked(struct.pack("!BBHHH", 8, 0, 0, 7, 7) + bytes(18), 2)
    return mac + mine + b"\x08\0" + request, lambda f: f[12:14] == b"\x08\0" and f[23] == 1 and f[26:30] == target and f[34] == 0


def is_answered(s, frame, is_answer):
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        s.send(frame.ljust(60, b"\0"))
        again = time.monotonic() + AGAIN
        while time.monotonic() < again:
            try:
                if is_answer(s.recv(2048)):
                    return True
            except TimeoutError:
                break
    return False


def main():
    device, own, mac, *targets = sys.argv[1:]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as s:  # ETH_P_ALL
        s.bind((device, 3))
        s.settimeout(AGAIN)
        ends = s.getsockname()[4], socket.inet_aton(own), bytes.fromhex(mac.replace(":", ""))
        for target in targets:
            for what in (arp, echo):
                if not is_answered(s, *what(*ends, socket.inet_aton(target))):
                    sys.exit(f"no answer to {what.__name__} for {target} by {device} in {LONGEST} s")


if __name__ == "__main__":
    main()
