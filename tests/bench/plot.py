# SPDX-License-Identifier: Apache-2.0
# A picture without a library: ns a packet over flows, lines of Sluice and of the bare limit.
import math

import rows

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 820, 460, 70, 190, 50, 60
COLOURS = ["#777777", "#0b6e99", "#c2571a", "#4d8c2b", "#7b4ea3", "#b0244e"]


def lines_of(out):
    """(label, [(flows, ns)]) of established IPv4 TCP flows."""
    found = {r["name"]: r["ns_per_packet"] for r in out["rows"] if r["valid"] and r["kind"] in ("limit", "pipeline")}
    wanted = [("bare limit", dict(kind="limit"))]
    wanted += [(f"{mode}, {way}" if way != "forward" else mode, dict(kind="pipeline", mode=mode, direction=way))
               for mode, ways in rows.MODES.items() for way in ways]
    for label, words in wanted:
        points = [(n, found[name]) for n in rows.FLOWS if (name := rows.Row(flows=n, **words).name) in found]
        if points:
            yield label, points


def nice_step(top):
    rough = top / 6
    unit = 10 ** math.floor(math.log10(rough))
    return next(unit * k for k in (1, 2, 5, 10) if unit * k >= rough)


class Axes:
    def __init__(self, top):
        self.step = nice_step(top)
        self.top = self.step * math.ceil(top / self.step)
        self.last = math.log10(rows.FLOWS[-1])

    def x(self, flows):
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log10(flows) / self.last

    def y(self, ns):
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - ns / self.top)

    def draw(self):
        for i in range(round(self.top / self.step) + 1):
            y = self.y(i * self.step)
            yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#dddddd"/>'
            yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{i * self.step:g}</text>'
        for flows in rows.FLOWS:
            label = f"{flows // 1_000_000} M" if flows >= 1_000_000 else f"{flows:,}"
            yield f'<text x="{self.x(flows):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{label}</text>'
        yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 15}" text-anchor="middle">flows</text>'
        yield f'<text x="{LEFT - 50}" y="{TOP - 15}">ns a packet</text>'


def draw_line(axes, label, points, colour, at):
    where = " ".join(f"{axes.x(n):.1f},{axes.y(ns):.1f}" for n, ns in points)
    dash = ' stroke-dasharray="6 4"' if label == "bare limit" else ""
    yield f'<polyline points="{where}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
    for n, ns in points:
        yield f'<circle cx="{axes.x(n):.1f}" cy="{axes.y(ns):.1f}" r="3" fill="{colour}"><title>{label}, {n:,} flows: {ns} ns</title></circle>'
    yield f'<text x="{WIDTH - RIGHT + 14}" y="{at:.1f}" fill="{colour}">{label}</text>'


def spread_labels(axes, lines):
    """Where each line's label stands: beside its last point, none over another."""
    at = {}
    last = HEIGHT
    for label, points in sorted(lines, key=lambda line: line[1][-1][1]):
        last = at[label] = min(axes.y(points[-1][1]) + 4, last - 16)
    return at


def svg(out):
    lines = list(lines_of(out))
    if not lines:
        raise SystemExit("nothing to draw: no valid rows of established flows")
    axes = Axes(max(ns for _, points in lines for _, ns in points))
    labels = spread_labels(axes, lines)
    body = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            f'<text x="{LEFT}" y="20" font-size="15">One core, established TCP flows, IPv4, 64-byte packets, 1,000 frontends</text>']
    body += axes.draw()
    for (label, points), colour in zip(lines, COLOURS):
        body += draw_line(axes, label, points, colour, labels[label])
    return "\n".join([*body, "</svg>", ""])
