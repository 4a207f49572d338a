# SPDX-License-Identifier: Apache-2.0
# A narrow hop behind us: frag-needed and Packet Too Big reach the server through the translation.
"""
   client ==== near [ router ] far ---- wan [ sluiced ] lan ---- switch ---- s1
    MTU 1500    MTU 1400: big packets
                can't pass, the router says so to the VIP, and s1 must hear it
"""
from beds import NARROW, expect, test


@test(*NARROW)
def a_download_through_a_1400_byte_hop_completes(c):
    s1 = c.pods[0].serve("http")
    peers = {"fullnat": {4: "10.0.0.250", 6: "fd00::250"}, "dnat": c.client_addresses}
    for mode in ("fullnat", "dnat"):
        for family in (4, 6):
            vip = c.service(f"files-{mode}", [s1], mode=mode)[family]
            s1.ns.ip(f"-{family} route flush cache")
            download = c.start_download(vip, "/data/file")
            download.assert_whole(20)
            route = s1.ns.ip(f"route get {peers[mode][family]}")
            expect("mtu 1400" in route, "the server never learnt of the narrow hop:", route)
