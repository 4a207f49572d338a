# SPDX-License-Identifier: Apache-2.0
# What a figure depends on besides the code: CPU, caches, pages, compiler, DPDK, who else was running.
import os
import platform
import re
import subprocess
from pathlib import Path


def output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def first(pattern, text, default=None):
    found = re.search(pattern, text, re.M)
    return found.group(1).strip() if found else default


def caches():
    out = {}
    for cache in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        kind = (cache / "type").read_text().strip()
        if kind != "Instruction":
            out["l" + (cache / "level").read_text().strip()] = (cache / "size").read_text().strip()
    return dict(sorted(out.items()))


def march(build):
    """The -march that counts: ours where -Dcpu was given, else what libdpdk.pc names; testpmd comes with the latter."""
    given = re.findall(r'"name": "cpu".*?"value": "([^"]*)"|"value": "([^"]*)"[^{}]*"name": "cpu"',
                       output("meson", "introspect", "--buildoptions", str(build)))
    ours = next((a or b for a, b in given if a or b), None)
    packaged = first(r"-march=(\S+)", output("pkg-config", "--cflags", "libdpdk"), "the compiler's")
    return ours or packaged


def describe(build, cpu):
    info, memory = Path("/proc/cpuinfo").read_text(), Path("/proc/meminfo").read_text()
    return {
        "cpu": first(r"^model name\s*: (.*)", info, platform.machine()),
        "cpus": os.cpu_count(),
        "measured_on_cpu": cpu,
        "mhz": float(first(r"^cpu MHz\s*: (.*)", info, "0")),
        "virtual": first(r"^flags.*\b(hypervisor)\b", info) is not None,
        "caches": caches(),
        "memory_mib": int(first(r"^MemTotal:\s*(\d+)", memory, "0")) >> 10,
        "hugepages_2m": int(first(r"^HugePages_Total:\s*(\d+)", memory, "0")),
        "kernel": platform.release(),
        "compiler": output("cc", "--version").splitlines()[0] if output("cc", "--version") else "",
        "march": march(build),
        "dpdk": output("pkg-config", "--modversion", "libdpdk").strip(),
        "mbuf_data_room": 256,
        "forward_pool": "the capture's packets and 32,768 more",
        "cold_packets": "memory (flushed from every cache)",
        "load": round(os.getloadavg()[0], 2),
        "commit": output("git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD").strip(),
    }
