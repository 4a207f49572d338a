# SPDX-License-Identifier: Apache-2.0
# The layers of docs/architecture.md hold: a folder includes only what its meson.build names, and some edges never exist.
"""usage: check_layers.py TOP. Prints TAP, one line a folder of lib/ and app/ and one a rule."""
import re
import sys
from pathlib import Path

FORBIDDEN = {  # on purpose, whatever the meson.build says
    "kube": {"tables", "compile", "dataplane"},
    "compile": {"dataplane"},
    "dataplane": {"model", "kube", "mgmt", "compile"},
    "tables": {"model", "kube", "dataplane"},
}
PURE = {"base", "net", "maglev", "sched", "flow", "rewrite", "model", "kube", "ipam", "compile", "doc", "config", "status", "probe"}
THIRD_PARTY = {  # header -> variables of the top meson.build, of which one must be named
    r"rte_.*": {"dpdk_headers", "dpdk_all"},
    r"jansson\.h": {"jansson"},
    r"yaml\.h": {"yaml"},
    r"event2/(http|http_struct|rpc)\.h": {"libevent_extra"},
    r"event2/.*": {"libevent", "libevent_extra"},
    r"curl/.*": {"libcurl"},
    r"pcap.*": {"libpcap"},
    r"numa.*\.h": {"numa"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^">]+)[">]', re.M)


def without_comments(text):
    return re.sub(r"(?m)^\s*#.*$", "", text)


class Folder:
    def __init__(self, path):
        self.path = path
        self.name = path.name
        build = path / "meson.build"
        words = set(re.findall(r"\w+", without_comments(build.read_text()))) if build.exists() else set()
        self.libs = {w[:-4] for w in words if w.endswith("_dep")} - {self.name}
        self.third = {v for names in THIRD_PARTY.values() for v in names} & words
        self.includes = {}  # library -> first file that includes it
        self.foreign = {}  # header in <> -> first file
        for file in sorted(f for f in path.rglob("*") if f.suffix in (".c", ".h")):
            for kind, header in INCLUDE.findall(file.read_text()):
                where = file.relative_to(path.parent.parent)
                (self.includes if kind == '"' else self.foreign).setdefault(header, where)

    def uses(self, libraries):
        """The libraries of "folder/file.h" includes, with the first file of each."""
        found = {}
        for header, where in self.includes.items():
            lib = header.split("/")[0]
            if "/" in header and lib in libraries and lib != self.name:
                found.setdefault(lib, where)
        return found

    def faults(self, libraries):
        for lib, where in self.uses(libraries).items():
            if lib not in self.libs:
                yield f"{where} includes {lib}/, which {self.path.name}/meson.build does not name"
        for header, where in self.foreign.items():
            for pattern, variables in THIRD_PARTY.items():
                if re.fullmatch(pattern, header):
                    if not variables & self.third:
                        yield f"{where} includes <{header}>, and meson.build names none of {', '.join(sorted(variables))}"
                    break


def cycle(edges):
    """A cycle of the graph as a list of names, or None."""
    done, path = set(), []

    def visit(node):
        if node in path:
            return path[path.index(node):] + [node]
        if node in done:
            return None
        path.append(node)
        for follower in sorted(edges.get(node, ())):
            found = visit(follower)
            if found:
                return found
        path.pop()
        done.add(node)
        return None

    return next(filter(None, map(visit, sorted(edges))), None)


def report(name, faults):
    faults = list(faults)
    print(f"{'not ok' if faults else 'ok'} - {name}")
    for fault in faults:
        print(f"#   {fault}")
    return not faults


def main():
    top = Path(sys.argv[1])
    libs = {p.name: Folder(p) for p in sorted((top / "lib").iterdir()) if p.is_dir() and any(p.glob("*.[ch]"))}
    apps = [Folder(p) for p in sorted((top / "app").iterdir()) if p.is_dir() and any(p.glob("*.[ch]"))]
    edges = {name: set(folder.uses(libs)) | (folder.libs & set(libs)) for name, folder in libs.items()}
    good = [report(f"{f.path.parent.name}/{f.name} includes only what its meson.build names", f.faults(libs))
            for f in [*libs.values(), *apps]]
    good.append(report("no forbidden edge", (
        f"lib/{a} reaches lib/{b}" for a, never in FORBIDDEN.items() for b in sorted(never & edges.get(a, set())))))
    good.append(report("pure libraries link no DPDK library", (
        f"lib/{name} names dpdk_all" for name in sorted(PURE & set(libs)) if "dpdk_all" in libs[name].third)))
    good.append(report("no library includes a program", (
        f"{where} includes {header}" for f in libs.values() for header, where in f.includes.items()
        if header.startswith("app/") or header.startswith("../"))))
    found = cycle(edges)
    good.append(report("the include graph has no cycle", [" -> ".join(found)] if found else []))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
