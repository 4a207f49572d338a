# SPDX-License-Identifier: Apache-2.0
# Credentials that end, and come back as others.
import subprocess

from bed import VIPS, expect, held_for, test
from objects import service, slice_of
from resources import SERVICES, SLICES

BOTH = ["10.0.1.1", "10.0.1.2"]


@test(seconds=15)
def a_revoked_token_hurts_no_traffic_and_a_new_one_is_read_from_its_file(case):
    (case.directory / "token").write_text("first")
    case.kubeconfig(tokenFile="token")
    case.server.tokens = {"first"}
    d = case.web()
    mark = case.server.mark()
    case.server.tokens = {"second"}
    case.server.drop()
    expect(held_for(4, lambda: d.has("web", BOTH)), "traffic is hurt")
    refused = [e for e in case.server.asked(kind=SLICES, since=mark) if e.status == 401]
    expect(1 <= len(refused) <= 12, len(refused), "requests with the old token in 4 s")
    expect(any(s["errors"].get("unauthorized") for s in d.kube()["items"]), "nobody counts them:", d.kube())
    (case.directory / "token").write_text("second")
    case.server.put(SLICES, slice_of("web", BOTH[:1]))
    d.soon("news under the new token", lambda: d.serves("web", BOTH[:1]))


@test(seconds=8)
def what_the_role_forbids_is_named_and_the_rest_goes_on(case):
    case.server.forbidden |= {("watch", "nodes"), ("list", "nodes"), ("watch", "endpointslices"), ("list", "endpointslices")}
    case.server.put(SERVICES, service("web", ip=VIPS[1]))
    case.server.put(SLICES, slice_of("web", BOTH))
    d = case.daemon(clock="both")
    d.wait("the log to name it", lambda: "forbidden" in d.log() and "endpointslices" in d.log())
    case.server.forbidden.clear()
    d.soon("Services once it is allowed", lambda: d.serves("web", BOTH))


def certificate(directory, name):
    """A CA of its own and a server certificate by it: NAME-ca.crt, NAME.crt, NAME.key."""
    def openssl(*argv):
        subprocess.run(["openssl", *argv], cwd=directory, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", f"/CN={name} CA",
            "-keyout", f"{name}-ca.key", "-out", f"{name}-ca.crt")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=kubernetes",
            "-keyout", f"{name}.key", "-out", f"{name}.csr")
    (directory / f"{name}.ext").write_text("subjectAltName=IP:127.0.0.1,DNS:kubernetes\n")
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{name}-ca.crt", "-CAkey", f"{name}-ca.key", "-CAcreateserial", "-days", "30",
            "-extfile", f"{name}.ext", "-out", f"{name}.crt")


@test(seconds=15)
def a_rotated_ca_is_followed_once_its_file_is_there(case):
    for name in ("old", "new"):
        certificate(case.directory, name)
    ca = case.directory / "ca.crt"
    ca.write_bytes((case.directory / "old-ca.crt").read_bytes())
    case.server.use_tls(case.directory / "old.crt", case.directory / "old.key")
    case.kubeconfig()
    d = case.web()
    case.server.use_tls(case.directory / "new.crt", case.directory / "new.key")
    case.server.drop()
    case.server.put(SLICES, slice_of("web", BOTH[:1]))
    expect(held_for(3, lambda: d.has("web", BOTH)), "it listens to a stranger:", d.backends("web"))
    ca.write_bytes((case.directory / "new-ca.crt").read_bytes())
    d.soon("news under the new CA", lambda: d.serves("web", BOTH[:1]))
