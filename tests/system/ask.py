#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Asks for addresses by ARP and by ICMP echo until each is answered, or only hears the answers.
"""ask.py DEVICE OWN-ADDRESS MAC TARGET...

MAC is where echo requests go; with "-" somebody else asks. A request is repeated after AGAIN seconds; silence for LONGEST is status 1.
The kernel sorts out what is heard, ARP by one socket and ICMP by the other: a flood would drown one that hears all."""
import contextlib
import socket
import sys
import time

import frames

AGAIN, LONGEST = 0.01, 15


class Asker:
    def __init__(self, device, own, mac):
        self.arps = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
        self.arps.bind((device, 0x0806))
        self.pings = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.mine, self.own = self.arps.getsockname()[4], socket.inet_aton(own)
        self.mac = None if mac == "-" else bytes.fromhex(mac.replace(":", ""))

    def arp(self, target):
        frame = self.mac and frames.arp_request(self.mine, self.own, target)
        return self.is_answered(frame, self.arps, lambda f: f[20:22] == b"\0\2" and f[28:32] == target)

    def echo(self, target):
        frame = self.mac and frames.echo_request(self.mine, self.mac, self.own, target)
        return self.is_answered(frame, self.pings, lambda p: p[12:16] == target and p[20] == 0)

    def is_answered(self, frame, ear, is_answer):
        ear.settimeout(AGAIN)
        end = time.monotonic() + LONGEST
        while time.monotonic() < end:
            with contextlib.suppress(OSError):  # ENOBUFS: the cable is full, which is one more loss
                if frame:
                    self.arps.send(frame)
            again = time.monotonic() + AGAIN
            while time.monotonic() < again:
                with contextlib.suppress(TimeoutError):
                    if is_answer(ear.recv(2048)):
                        return True
        return False


def main():
    device, own, mac, *targets = sys.argv[1:]
    asker = Asker(device, own, mac)
    for target in targets:
        for what in (asker.arp, asker.echo):
            if not what(socket.inet_aton(target)):
                sys.exit(f"{own} got no answer to {what.__name__} for {target} in {LONGEST} s")


if __name__ == "__main__":
    main()
