# SPDX-License-Identifier: Apache-2.0
# Credentials that are replaced, revoked or made by a program while sluiced runs, and whom it trusts.
import json
import os
import subprocess
import time

from bed import Daemon, expect, test
from objects import service
from resources import SERVICES

BETA = "client.authentication.k8s.io/v1beta1"


def write(path, text, mode=0o600):
    """By rename, as whoever rotates files does it."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    fresh.chmod(mode)
    os.replace(fresh, path)


def restart(server):
    """All connections end; the next ones see what has changed."""
    server.stop()
    server.start()


def unauthorized(d):
    return sum(i["errors"].get("unauthorized", 0) for i in d.kube()["items"])


def shows(case, d, name):
    """A Service that is made now arrives."""
    case.server.put(SERVICES, service(name))
    case.wait(f"Service {name} to arrive", lambda: f"default/{name}" in d.services(), 40)


@test()
def a_token_that_is_replaced_in_time_is_never_refused(case):
    token = case.directory / "token"
    write(token, "one\n")
    case.server.tokens = {"one"}
    case.kubeconfig(tokenFile="token")
    d = case.daemon()
    shows(case, d, "before")
    write(token, "two\n")
    case.server.tokens = {"two"}
    restart(case.server)
    shows(case, d, "after")
    expect(unauthorized(d) == 0, d.kube())


@test(seconds=20)
def a_revoked_token_leaves_services_alone_until_a_new_one_comes(case):
    token = case.directory / "token"
    write(token, "one")
    case.server.tokens = {"one"}
    case.kubeconfig(tokenFile="token")
    d = case.daemon()
    shows(case, d, "before")
    generation = d.generation()
    case.server.tokens = {"two"}
    restart(case.server)
    case.wait("refusals", lambda: unauthorized(d) >= 3, 20)
    expect(d.generation() == generation, "the tables changed")
    errors = [i["lastError"] for i in d.kube()["items"] if i["errors"].get("unauthorized")]
    expect(any("sluice" in e or "Unauthorized" in e for e in errors), errors)
    write(token, "two")
    shows(case, d, "after")


def openssl(*argv):
    subprocess.run(["openssl", *map(str, argv)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def authority(directory, name):
    """NAME.crt, and server-NAME.{crt,key} signed by it."""
    for key in (name, f"server-{name}"):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", directory / f"{key}.key")
    openssl("req", "-x509", "-new", "-key", directory / f"{name}.key", "-days", 2, "-subj", f"/CN={name}", "-out", directory / f"{name}.crt")
    openssl("req", "-x509", "-CA", directory / f"{name}.crt", "-CAkey", directory / f"{name}.key", "-new", "-key",
            directory / f"server-{name}.key", "-days", 2, "-extensions", "usr_cert", "-subj", "/CN=server",
            "-addext", "subjectAltName=IP:127.0.0.1", "-out", directory / f"server-{name}.crt")
    return (directory / f"{name}.crt").read_text()


@test(seconds=20)
def a_new_authority_is_trusted_without_a_restart_and_no_other_ever(case):
    first, second = (authority(case.directory, name) for name in ("first", "second"))
    write(case.directory / "ca.crt", first)
    case.server.use_tls(case.directory / "server-first.crt", case.directory / "server-first.key")
    d = case.daemon()
    shows(case, d, "before")
    case.server.use_tls(case.directory / "server-second.crt", case.directory / "server-second.key")
    restart(case.server)
    case.wait("distrust", lambda: all("unknown authority" in (i["lastError"] or "") for i in d.kube()["items"]), 20)
    expect("default/before" in d.services(), d.services())
    write(case.directory / "ca.crt", first + second)
    shows(case, d, "after")


def plugin(case, lines):
    """A plugin that runs these lines of shell; tokens are whatever the file `next` says."""
    path = case.directory / "plugin"
    write(path, f"#!/bin/sh\ncd {case.directory}\n{lines}\n", 0o755)
    case.kubeconfig(exec={"apiVersion": BETA, "command": "./plugin"})


def printing(expires):
    return f"""echo run >>runs
cat <<END
{{"apiVersion": "{BETA}", "kind": "ExecCredential",
 "status": {{"token": "$(cat next)", "expirationTimestamp": "$(date -u -d '{expires}' +%Y-%m-%dT%H:%M:%SZ)"}}}}
END"""


def runs(case):
    path = case.directory / "runs"
    return len(path.read_text().splitlines()) if path.exists() else 0


@test(seconds=20)
def a_plugin_is_run_once_for_all_streams_and_again_when_its_token_expires(case):
    case.server.tokens = {"one"}
    (case.directory / "next").write_text("one")
    plugin(case, printing("12 seconds"))
    d = case.daemon()
    shows(case, d, "before")
    expect(runs(case) == 1, runs(case))
    (case.directory / "next").write_text("two")
    case.server.tokens = {"one", "two"}
    began = time.monotonic()
    case.wait("the time to renew", lambda: time.monotonic() - began > 12.5, 20)
    case.server.tokens = {"two"}
    restart(case.server)
    shows(case, d, "after")
    expect(unauthorized(d) == 0, d.kube())


@test(seconds=20)
def a_plugin_that_fails_is_quoted_and_tried_again(case):
    case.server.tokens = {"one"}
    plugin(case, "echo 'no ticket, run kinit' >&2; exit 3")
    d = case.daemon()
    case.wait("its words", lambda: any("exit status 3: no ticket, run kinit" in (i["lastError"] or "") for i in d.kube()["items"]))
    expect("no ticket, run kinit" in d.log(), d.log())
    (case.directory / "next").write_text("one")
    plugin(case, printing("1 hour"))
    shows(case, d, "after")


@test()
def a_plugin_that_hangs_holds_up_nothing_else(case):
    case.server.tokens = {"one"}
    plugin(case, "sleep 1000")
    d = case.daemon()
    expect(d.kube()["synced"] is False, d.kube())
    began = time.monotonic()
    for _ in range(20):
        d.get("stats")
    expect(time.monotonic() - began < 1, "the control loop is slow")
    began = time.monotonic()
    expect(d.stop() == 0, d.log())
    expect(time.monotonic() - began < 2, "it took", time.monotonic() - began)


@test()
def watches_that_are_open_do_not_keep_it_from_ending(case):
    case.server.put(SERVICES, *(service(f"s{i}") for i in range(50)))
    d = case.followed(case.daemon())
    case.wait("three watches", lambda: sum(case.server.watching.values()) >= 3)
    began = time.monotonic()
    expect(d.stop() == 0, d.log())
    expect(time.monotonic() - began < 2, "it took", time.monotonic() - began)


@test()
def an_unverified_server_is_followed_and_warned_of(case):
    authority(case.directory, "first")
    case.server.use_tls(case.directory / "server-first.crt", case.directory / "server-first.key")
    case.kubeconfig()
    path = case.directory / "kubeconfig"
    config = json.loads(path.read_text())
    config["clusters"][0]["cluster"] = {"server": case.server.url, "insecure-skip-tls-verify": True}
    path.write_text(json.dumps(config))
    d = case.daemon()
    shows(case, d, "before")
    expect("NOT verified" in d.log(), d.log())


@test(root=True)
def authorities_of_the_system_are_none_of_the_clusters(case):
    write(case.directory / "ca.crt", authority(case.directory, "first"))
    authority(case.directory, "second")
    case.server.use_tls(case.directory / "server-second.crt", case.directory / "server-second.key")
    case.kubeconfig()
    system = "mount -t tmpfs none /etc/ssl/certs && cp $0 /etc/ssl/certs/ca-certificates.crt && cp $0 /etc/ssl/certs/$(openssl x509 -hash -noout -in $0).0" \
             ' && exec "$@"'
    directory = case.directory / "pod"
    directory.mkdir()
    d = Daemon(directory, case.config(directory, {"snapshotFile": ""}, {}), ["unshare", "-m", "sh", "-c", system, case.directory / "second.crt"])
    case.daemons.append(d)
    d.start()
    case.wait("distrust", lambda: all("unknown authority" in (i["lastError"] or "") for i in d.kube()["items"]), 20)
    write(case.directory / "ca.crt", (case.directory / "second.crt").read_text())
    shows(case, d, "after")


@test(root=True)
def a_pod_finds_its_server_and_rotates_what_it_is_given(case):
    account = case.directory / "account"
    account.mkdir()
    write(account / "ca.crt", authority(case.directory, "first"))
    write(account / "namespace", "lb")
    write(account / "token", "one")
    case.server.use_tls(case.directory / "server-first.crt", case.directory / "server-first.key")
    case.server.tokens = {"one"}
    directory = case.directory / "pod"
    directory.mkdir()
    config = case.config(directory, {}, {})
    config["services"]["kubernetes"] = {"inCluster": True, "snapshotFile": ""}
    look_alike = "mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io && " \
                 f'ln -s {account} /run/secrets/kubernetes.io/serviceaccount && exec "$@"'
    d = Daemon(directory, config, ["env", f"KUBERNETES_SERVICE_HOST={case.server.host}", f"KUBERNETES_SERVICE_PORT={case.server.port}",
                                   "unshare", "-m", "sh", "-c", look_alike, "sh"])
    case.daemons.append(d)
    d.start()
    shows(case, d, "before")
    write(account / "token", "two")
    case.server.tokens = {"two"}
    restart(case.server)
    shows(case, d, "after")
    expect(unauthorized(d) == 0, d.kube())
