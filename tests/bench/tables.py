# SPDX-License-Identifier: Apache-2.0
# Results as text: aligned for a terminal, against an earlier run, and as the tables of docs/performance.md.
import re
from pathlib import Path

import rows

BEGIN, END = "<!-- tools/bench --markdown: begin -->", "<!-- end -->"


def number(value, digits=1):
    return "-" if value is None else f"{value:,.{digits}f}"


def aligned(lines):
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        cells = [line[0].ljust(widths[0])] + [cell.rjust(w) for cell, w in zip(line[1:], widths[1:])]
        yield "  ".join(cells).rstrip()


def fault(row):
    if row["valid"]:
        return ""
    found = [f"{n} {reason}" for reason, n in row.get("drops", {}).items()]
    if "flows_found" in row:
        found.append(f"{row['flows_found']} flows in place of {row.get('flows_expected', row['flows'])}")
    why = row.get("error") or ", ".join(found)
    return "not valid" + (f": {why}" if why else "")


def human(out):
    m = out["machine"]
    print(f"{m['cpu']}, {m['cpus']} CPUs, caches {' '.join(m['caches'].values())}, -march={m['march']}, DPDK {m['dpdk']}, "
          f"{'2 MiB' if m.get('huge_tables') else '4 KiB'} pages, load {m['load']}")
    rated = [r for r in out["rows"] if r["kind"] != "control"]
    if rated:
        lines = [["row", "cycles", "ns", "spread", "Mpps", "ceiling", "ratio", ""]]
        for r in rated:
            lines.append([r["name"], number(r["cycles_per_packet"]), number(r["ns_per_packet"]),
                          "-" if r["spread"] is None else f"{100 * r['spread']:.0f} %", number(r["mpps"], 2),
                          number(r["ceiling_mpps"], 2), number(r["ratio"], 2), fault(r)])
        print("", *aligned(lines), sep="\n")
    values = [r for r in out["rows"] if r["kind"] == "control"]
    if values:
        lines = [["row", "value", "unit"]] + [[r["name"], number(r["value"], 2), r["unit"] + " " + fault(r)] for r in values]
        print("", *aligned(lines), sep="\n")
    for part, title in PARTS.items():
        if lines := by_part(out, part):
            print("", f"cycles a packet, {title}:", *aligned(lines), sep="\n")


PARTS = {"short": "passes of the short way", "stages": "stages, which take what the short way leaves"}


def by_part(out, part):
    """Cycles of each pass or stage, a column for each mode and direction; IPv4, TCP, 65,536 flows."""
    found = {name: raw[part] for name, raw in out.get("stages", {}).items() if raw.get("valid")}
    if not found:
        return []
    steps = next(iter(found.values()))
    return [["", *found]] + [[s, *(number(v[s]) for v in found.values())] for s in steps] + \
        [["together", *(number(sum(v.values())) for v in found.values())]]


def compare(before, after):
    old = {r["name"]: r for r in before["rows"]}
    lines = [["row", "before", "after", "change", ""]]
    for r in after["rows"]:
        what = "value" if r["kind"] == "control" else "ns_per_packet"
        a, b = old.get(r["name"], {}).get(what), r.get(what)
        if a is None or b is None:
            continue
        noise = max(old[r["name"]].get("spread") or 0, r.get("spread") or 0)
        change = (b - a) / a if a else 0
        lines.append([r["name"], number(a), number(b), f"{100 * change:+.1f} %", "" if abs(change) > noise else "within the spread"])
    print(*aligned(lines), sep="\n")


# --- docs/performance.md ---

def pipe(title, head, lines):
    """Lines without a figure are left out, and so is a table without lines."""
    lines = [line for line in lines if any(line[1:])]
    if not lines:
        return
    yield f"{title}:\n"
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for line in lines:
        yield "| " + " | ".join(line) + " |"
    yield ""


def short(flows):
    return f"{flows // 1_000_000} M" if flows >= 1_000_000 else f"{flows:,}"


class Page:
    def __init__(self, out):
        self.rows = {r["name"]: r for r in out["rows"]}
        self.out = out

    def cell(self, **words):
        r = self.rows.get(rows.Row(**words).name)
        if not r or not r["valid"]:
            return ""
        return f"{r['ns_per_packet']:.1f}" + (f" ({r['times_limit']:.1f} x)" if r.get("times_limit") else "")

    def established(self, title, proto="tcp", **words):
        lines = []
        for family in rows.FAMILIES:
            lines.append([f"bare limit, IPv{family}"] + [
                self.cell(kind="limit", family=family, proto=proto, flows=n, packets=words.get("packets", "hot")) for n in rows.FLOWS])
            for mode, ways in rows.MODES.items():
                for way in ways:
                    lines.append([f"{mode}, {way}, IPv{family}"] + [
                        self.cell(kind="pipeline", mode=mode, family=family, proto=proto, direction=way, flows=n, **words)
                        for n in rows.FLOWS])
        yield from pipe(title + ", ns a packet (times the bare limit at as many flows)", ["flows", *map(short, rows.FLOWS)], lines)

    def fresh(self):
        head = ["", "TCP, 1 M", "TCP, 8 M", "UDP, 1 M", "UDP, 8 M", "1 % new, 65,536", "1 % new, 1 M", "full table"]
        cases = [dict(proto=p, flows=n, new_share=1) for p in rows.PROTOCOLS for n in (1_000_000, 8_000_000)]
        cases += [dict(flows=n, new_share=0.01) for n in (65_536, 1_000_000)]
        full = dict(flows=rows.CAPACITY, new_share=1, table="full")
        lines = [["bare limit"] + [self.cell(kind="limit", **c) for c in cases] + [""]]
        for mode in rows.MODES:
            lines.append([mode] + [self.cell(kind="pipeline", mode=mode, **c) for c in [*cases, full]])
        yield from pipe("New flows, IPv4, ns a packet (times the limit)", head, lines)

    def frontends(self):
        lines = []
        for mode in rows.MODES:
            pairs = [[self.cell(kind="pipeline", mode=mode, flows=f, frontends=n).split(" ")[0] for n in (1, 1000)] for f in rows.FLOWS]
            lines.append([mode] + [" / ".join(p) if all(p) else "" for p in pairs])
        yield from pipe("One frontend / 1,000, IPv4, TCP, ns a packet", ["flows", *map(short, rows.FLOWS)], lines)

    def forward(self):
        yield from pipe(
            "The daemon between net_pcap ports, beside testpmd macswap on the same ports and captures",
            ["row", "sluiced, Mpps", "testpmd, Mpps", "ratio", "ns a packet more"],
            [[r["name"], number(r["mpps"], 2), number(r["ceiling_mpps"], 2), number(r["ratio"], 2), number(r.get("ns_difference"))]
             for r in self.out["rows"] if r["kind"] == "forward" and r["valid"]])

    def control(self):
        yield from pipe("Control", ["row", "value", "unit"], [
            [r["name"], number(r["value"], 2), r["unit"]] for r in self.out["rows"] if r["kind"] == "control" and r["valid"]])

    def stages(self):
        for part, title in PARTS.items():
            if lines := by_part(self.out, part):
                yield from pipe(f"Cycles a packet, {title}; IPv4, TCP, 65,536 flows (reading the clock keeps work from overlapping, so the "
                                "sum is above a row's)", lines[0], lines[1:])

    def machine(self):
        m = self.out["machine"]
        yield (f"{m['cpu']}{' (virtual machine)' if m['virtual'] else ''}, {m['cpus']} CPUs, caches "
               f"{', '.join(f'{k.upper()} {v}' for k, v in m['caches'].items())}, kernel {m['kernel']}, {m['compiler']}, "
               f"-march={m['march']}, DPDK {m['dpdk']}, {'2 MiB' if m.get('huge_tables') else '4 KiB'} pages, commit {m['commit']}.\n")

    def lines(self):
        yield from self.machine()
        yield from self.established("TCP, established, packets hot")
        yield from self.established("UDP, established, packets hot", proto="udp")
        yield from self.established("TCP, established, packets cold (in memory)", packets="cold")
        yield from self.fresh()
        yield from self.frontends()
        yield from self.forward()
        yield from self.control()
        yield from self.stages()


def markdown(out, path):
    text = "\n".join(Page(out).lines())
    if path == "-":
        print(text)
        return
    page = Path(path).read_text()
    whole = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.S)
    if not whole.search(page):
        raise SystemExit(f"{path}: no marks ({BEGIN} ... {END})")
    Path(path).write_text(whole.sub(lambda _: f"{BEGIN}\n\n{text}\n{END}", page, count=1))
