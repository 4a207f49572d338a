# SPDX-License-Identifier: Apache-2.0
# The one bed of these tests: a control plane is dear, so all of them share it, each in Kubernetes namespaces of its own.
import subprocess
from pathlib import Path

from cluster import Conversation  # noqa: F401
from netlab import LabError, wait_for  # noqa: F401
from tap import Bed, expect, test  # noqa: F401
from world import World


def make(lab, build):
    program = subprocess.run([Path(__file__).parent / "build"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return World(lab, build, program).start()


KUBE = Bed("kube", make)
