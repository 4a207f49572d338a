# SPDX-License-Identifier: Apache-2.0
# sluiced as a process: killed, ended, told to reload.
"""
   client ---- wan [ sluiced ] lan ---- switch ---- s1
 192.0.2.100       SIGKILL                 +------- s2
                   SIGTERM, SIGHUP         +------- s3
   the veths stay while sluiced goes and comes
"""
import errno
import signal
import time

from beds import BOTH, TWO_WORKERS, Conversation, expect, test


@test(*BOTH, *TWO_WORKERS)
def after_sigkill_it_starts_again_on_the_same_devices(c):
    pods = [p.serve("http") for p in c.pods]
    vips = c.service("web", pods)
    for family, vip in vips.items():
        c.get_many(vip, 100).assert_all_good()
        c.sluice.process.send(signal.SIGKILL)
        expect(c.sluice.process.wait(5) == -signal.SIGKILL)
        c.sluice.start()
        expect(c.addresses("web") == vips, "addresses moved:", c.addresses("web"), vips)
        c.get_many(vip, 300).assert_all_good()


@test(*BOTH)
def a_dnat_connection_goes_on_after_a_restart_and_one_in_fullnat_is_reset(c):
    pods = [p.serve("echo-tcp") for p in c.pods]
    for mode, expected in (("dnat", "answer still there?"), ("fullnat", f"errno {errno.ECONNRESET}")):
        for family, vip in c.service(f"talk-{mode}", pods, ports=("echo-tcp",), mode=mode).items():
            with Conversation(c, vip) as talk:
                c.sluice.process.send(signal.SIGKILL)
                c.sluice.process.wait(5)
                c.sluice.start()
                said = talk.go_on()
            expect(said == expected, mode, family, "the client saw", said)


@test(*BOTH, *TWO_WORKERS)
def sigterm_ends_it_with_status_0_within_2_seconds_and_removes_the_xdp_program(c):
    vip = c.service("web", [c.pods[0].serve("http")])[4]
    download = c.start_download(vip)
    if c.device == "af_xdp":
        expect("xdp" in c.lb.ip("-d link show wan"), "no XDP program while running:", c.lb.ip("-d link show wan"))
    began = time.monotonic()
    c.sluice.process.send(signal.SIGTERM)
    status = c.sluice.process.wait(10)
    took = time.monotonic() - began
    expect(status == 0 and took < 2, f"status {status} after {took:.1f} s")
    for device in ("wan", "lan"):
        expect("xdp" not in c.lb.ip(f"-d link show {device}"), "left behind:", c.lb.ip(f"-d link show {device}"))
    expect(not c.sluice.socket.exists(), "the socket is still there")
    download.process.end()
    c.sluice.start()
    c.get(vip, "/", seconds=5)


@test(*BOTH)
def sighup_reloads_without_losing_a_request(c):
    pods = [p.serve("http") for p in c.pods]
    vip = c.service("web", pods)[4]
    requests = c.get_many(vip, 500, background=True)
    for _ in range(3):
        seen = len(c.sluice.process.log())
        c.sluice.process.send(signal.SIGHUP)
        c.sluice.wait("a word on the reload", lambda: len(c.sluice.process.log()) > seen)
    requests.finish().assert_all_good()
    expect(c.addresses("web")[4] == vip)
