# SPDX-License-Identifier: Apache-2.0
# Direct server return: the request goes by sluiced, the answer does not.
"""
                   switch
   client ---------+ | | +--------- s1   nginx on VIP:80, the VIP on its loopback, silent in ARP
 10.0.0.100          | +----------- s2
                     |   ...
                [ sluiced ]  10.0.0.1, answers ARP and ND for 10.0.0.200-215, fd00::200-20f
"""
import json

from beds import ONE_ARM, expect, test, wait_for


def dsr_service(c, name, pods, **spec):
    vips = c.service(name, pods, mode="dsr", **spec)
    c.own_vip(vips)
    return vips


@test(*ONE_ARM)
def requests_succeed_while_backends_are_added_and_servers_see_the_client(c):
    s1, s2, s3, s4 = (p.serve("http") for p in c.pods)
    for family in (4, 6):
        name = f"web-{family}"
        vip = dsr_service(c, name, [s1, s2])[family]
        requests = c.get_many(vip, 1000, background=True)
        wait_for("a third of the answers", lambda: requests.answered() >= 300, 60)
        c.service(name, [s1, s2, s3, s4], mode="dsr")
        requests.finish().assert_all_good()
        after = c.get_many(vip, 200).assert_all_good()
        expect(set(after.pods) == {"s1", "s2", "s3", "s4"}, "answers came from", after.pods)
        expect(set(requests.seen) == {c.client_addresses[family]}, requests.seen)


@test(*ONE_ARM)
def a_long_download_stays_whole_across_table_changes_in_dsr(c):
    pods = [p.serve("http") for p in c.pods]
    for family in (4, 6):
        name = f"files-{family}"
        vip = dsr_service(c, name, pods[:2])[family]
        download = c.start_download(vip)
        server = download.pod()
        others = [p for p in pods if p is not server]
        c.service(name, [server, *others], mode="dsr")
        c.service(name, others, mode="dsr", terminating=[server])
        expect(download.process.running(), "the download was too short to show anything")
        download.assert_whole()


def sent_bytes(c):
    return json.loads(c.lb.ip("-j -s link show lan"))[0]["stats64"]["tx"]["bytes"]


@test(*ONE_ARM)
def answers_do_not_come_back_through_sluiced(c):
    s1 = c.pods[0].serve("http")
    vip = dsr_service(c, "direct", [s1])[4]
    before = sent_bytes(c)
    download = c.start_download(vip, "/data/file")
    download.assert_whole()
    sent = sent_bytes(c) - before
    expect(sent < download.size() // 4, f"{sent} bytes left sluiced for a download of {download.size()}")
