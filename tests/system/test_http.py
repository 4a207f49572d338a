# SPDX-License-Identifier: Apache-2.0
# HTTP through virtual addresses while backends come, go and die.
"""
   client ---- wan [ sluiced ] lan ---- switch ---- s1   nginx, each answers its name and
 192.0.2.100                               +------- s2   the address that it saw
                                           +------- s3
   GET 203.0.113.x, 2001:db8:100::x        +------- s4
"""
import errno

from beds import BOTH, TWO_WORKERS, Conversation, expect, test, wait_for

MODES = ("fullnat", "dnat")


def many_requests_while_backends_are_added(c, n, families=(4, 6)):
    s1, s2, s3, s4 = (p.serve("http") for p in c.pods)
    for mode in MODES:
        for family in families:
            name = f"{mode}-{family}"
            vip = c.service(name, [s1, s2], mode=mode)[family]
            requests = c.get_many(vip, n, background=True)
            wait_for("a fifth of the answers", lambda: requests.answered() >= n // 5, 60)
            c.service(name, [s1, s2, s3], mode=mode)
            wait_for("half of the answers", lambda: requests.answered() >= n // 2, 60)
            c.service(name, [s1, s2, s3, s4], mode=mode)
            requests.finish().assert_all_good()
            after = c.get_many(vip, 200).assert_all_good()
            expect(set(after.pods) == {"s1", "s2", "s3", "s4"}, "answers came from", after.pods)
            client = c.client_addresses[family]
            snat = {4: "10.0.0.250", 6: "fd00::250"}[family]
            expect(set(requests.seen) == {client if mode == "dnat" else snat}, mode, "servers saw", requests.seen)


@test(*BOTH)
def ten_thousand_requests_succeed_while_backends_are_added(c):
    many_requests_while_backends_are_added(c, 2500)


@test(*TWO_WORKERS)
def two_workers_serve_requests_while_backends_are_added(c):
    many_requests_while_backends_are_added(c, 1000)
    workers = c.sluice.ctl("stats")["workers"]
    expect(len(workers) == 2, workers)


@test(*BOTH, *TWO_WORKERS)
def a_killed_backend_is_replaced_by_a_pod_with_another_address(c):
    s1, s2, s3, s4 = (p.serve("http") for p in c.pods)
    for family in (4, 6):
        vip = c.service("web", [s1, s2, s3])[family]
        before = c.get_many(vip, 300).assert_all_good()
        expect(before.pods["s2"] > 0, "s2 got nothing:", before.pods)
        s2.die()
        c.service("web", [s1, s3, s4])
        after = c.get_many(vip, 600).assert_all_good()
        expect(set(after.pods) == {"s1", "s3", "s4"}, "answers came from", after.pods)
        s2.revive("http")


@test(*BOTH, *TWO_WORKERS)
def a_long_download_stays_whole_across_table_changes(c):
    pods = [p.serve("http") for p in c.pods]
    for mode in MODES:
        for family in (4, 6):
            name = f"files-{mode}-{family}"
            vip = c.service(name, pods[:2], mode=mode)[family]
            download = c.start_download(vip)
            server = download.pod()
            others = [p for p in pods if p is not server]
            c.service(name, [server, others[1]], mode=mode)
            c.service(name, [server, *others], mode=mode)
            c.service(name, others, mode=mode, terminating=[server])
            during = c.get_many(vip, 50).assert_all_good()
            expect(server.name not in during.pods, f"terminating {server.name} got new connections:", during.pods)
            expect(download.process.running(), "the download was too short to show anything")
            download.assert_whole()


@test(*BOTH)
def a_connection_to_a_backend_that_left_is_reset_at_its_next_packet(c):
    pods = [p.serve("echo-tcp") for p in c.pods]
    for mode in MODES:
        for family in (4, 6):
            name = f"echo-{mode}-{family}"
            vip = c.service(name, pods[:1], ports=("echo-tcp",), mode=mode)[family]
            with Conversation(c, vip) as talk:
                c.service(name, pods[1:2], ports=("echo-tcp",), mode=mode)
                said = talk.go_on()
            expect(said == f"errno {errno.ECONNRESET}", mode, family, "the client saw", said)


@test(*BOTH)
def a_service_without_backends_refuses_fast(c):
    for family in (4, 6):
        for mode in MODES:
            vip = c.service(f"empty-{mode}", [], mode=mode)[family]
            done = c.get(vip, "/", "-w", "%{time_total}", seconds=4, check=False)
            expect(done.returncode == 7 and float(done.stdout) < 1, "curl:", done.returncode, done.stdout, done.stderr)
