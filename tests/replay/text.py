# SPDX-License-Identifier: Apache-2.0
# One packet as one line of text <-> the fields of packet.py. README.md describes the language.
import re

import packet
import net as site


class Var(str):
    """A variable in an expectation: equal to its value once bound, bound by the first match."""


ANY = Var("*")

# name: (type, code) in IPv4, in IPv6
ICMP = {
    "echo": ((8, 0), (128, 0)),
    "echo-reply": ((0, 0), (129, 0)),
    "too-big": ((3, 4), (2, 0)),
    "port-unreachable": ((3, 3), (1, 4)),
    "host-unreachable": ((3, 1), (1, 3)),
    "prohibited": ((3, 13), (1, 1)),
    "time-exceeded": ((11, 0), (3, 0)),
    "parameter-problem": ((12, 0), (4, 0)),
    "redirect": ((5, 1), (137, 0)),
    "timestamp": ((13, 0), (139, 0)),
    "router-solicitation": ((10, 0), (133, 0)),
    "router-advertisement": ((9, 0), (134, 0)),
}
NUMBERS = set("""ttl tos id frag ihl version total proto label pad trunc vlan priority ethertype seq ack win mss doff
urg udplen len type code rest mtu ident number cut rhtype op hrd pro hln pln""".split())
HEX = {"ipopt", "tcpopt", "data", "l4"}


class Bad(Exception):
    """A line that is not in the language."""


class Reader:
    """Reads lines for one case: its family, its bound variables."""

    def __init__(self, family, values):
        self.family, self.values = family, values

    def unbound(self, line):
        return [v for v in re.findall(r"\$(\w+)", line) if v not in self.values]

    def word(self, token, convert):
        """A token that may be a wildcard or a variable."""
        if token == "*":
            return ANY
        found = re.fullmatch(r"\$(\w+)([+-]\d+)?", token)
        if not found:
            return convert(token)
        name, plus = found.groups()
        if name not in self.values:
            return Var(name)
        value = self.values[name]
        return value + int(plus) if plus else value

    def address(self, token):
        def convert(text):
            known = site.address(text, self.family)
            if known:
                return known
            try:
                packet.addr(text)
            except ValueError:
                raise Bad(f"not an address: {text}")
            return text
        return self.word(token, convert)

    def mac(self, token):
        def convert(text):
            if text in site.MACS:
                return site.MACS[text]
            if not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", text):
                known = site.mac_of(text)
                if not known:
                    raise Bad(f"not a MAC address: {text}")
                return known
            return text
        return self.word(token, convert)

    def endpoint(self, token):
        """ADDRESS, ADDRESS:PORT or [ADDRESS6]:PORT -> (address, port or None)."""
        found = re.fullmatch(r"\[(.*)\](?::(.*))?", token)
        if found:
            host, port = found.groups()
        elif token.count(":") > 1:
            host, port = token, None
        else:
            host, _, port = token.partition(":")
        return self.address(host), self.word(port, int) if port else None

    def packet(self, line):
        tokens = line.split()
        if not tokens:
            raise Bad("no packet")
        if tokens[0] == "ARP":
            return self.arp(tokens[1:])
        if tokens[0] == "RAW":
            return {"kind": "RAW", "data": bytes.fromhex("".join(tokens[1:]))}
        if len(tokens) < 4 or tokens[1] != ">":
            raise Bad(f"not a packet: {line}")
        f = {"kind": tokens[3]}
        f["src"], sport = self.endpoint(tokens[0])
        f["dst"], dport = self.endpoint(tokens[2])
        if sport is not None:
            f["sport"], f["dport"] = sport, dport
        rest = tokens[4:]
        if f["kind"] == "TCP" and rest and re.fullmatch(rf"[{packet.FLAGS}]+|-", rest[0]):
            f["flags"] = "".join(sorted(rest.pop(0).strip("-"), key=packet.FLAGS.index))
        elif f["kind"] == "ICMP" and rest and rest[0] in ICMP:
            f["type"], f["code"] = ICMP[rest.pop(0)][self.family == 6]
        elif f["kind"] in ("NS", "NA"):
            f["target"] = self.address(rest.pop(0))
        elif f["kind"] not in ("TCP", "UDP", "ICMP", "IP"):
            raise Bad(f"not a kind of packet: {f['kind']}")
        if "quoting" in rest:
            at = rest.index("quoting")
            f["quote"] = self.packet(" ".join(rest[at + 1:]))
            f["cut"] = f["quote"].pop("cut", None)
            rest = rest[:at]
        for token in rest:
            self.attribute(f, token)
        return f

    def attribute(self, f, token):
        key, eq, value = token.partition("=")
        if key in ("df", "mf") and not eq:
            f[key] = 1
        elif key == "csum":
            f["csum"] = value if value in ("ok", "bad") else int(value, 0)
        elif key == "ipcsum":
            f["ipcsum"] = value
        elif key in HEX:
            f[key] = bytes.fromhex(value)
        elif key == "ext":
            f["ext"] = value.split(",")
        elif key in ("smac", "dmac", "lla"):
            f[key] = self.mac(value) if value != "none" else None
        elif key == "naflags":  # R S O, the first letters
            f["naflags"] = sum({"R": 1 << 31, "S": 1 << 30, "O": 1 << 29}[c] for c in value)
        elif key in NUMBERS and eq:
            number = self.word(value, lambda text: int(text, 0))
            if key == "len":
                f["data"] = packet.payload(number)
            elif key == "mtu":
                f["rest"] = number
            elif key == "ident":
                f["rest"] = f.get("rest", 0) | number << 16
            elif key == "number":
                f["rest"] = f.get("rest", 0) | number
            else:
                f[key] = number
        else:
            raise Bad(f"unknown word: {token}")

    def arp(self, tokens):
        """who-has TARGET tell SENDER [sha= tha=] | TARGET is-at MAC to ASKER"""
        if len(tokens) >= 4 and tokens[0] == "who-has":
            f = {"kind": "ARP", "op": 1, "tpa": self.address(tokens[1]), "spa": self.address(tokens[3])}
            rest = tokens[4:]
        elif len(tokens) >= 5 and tokens[1] == "is-at":
            f = {"kind": "ARP", "op": 2, "spa": self.address(tokens[0]), "sha": self.mac(tokens[2]),
                 "tpa": self.address(tokens[4])}
            rest = tokens[5:]
        else:
            raise Bad("not ARP: " + " ".join(tokens))
        for token in rest:
            key, _, value = token.partition("=")
            if key in ("sha", "tha"):
                f[key] = self.mac(value)
            else:
                self.attribute(f, token)
        return f


def matches(want, got, bound):
    """Whether the got fields are those of the expectation; variables that this binds are put into bound."""
    for key, value in want.items():
        if key == "cut":
            continue
        if key == "quote":
            if "quote" not in got or not matches(value, got["quote"], bound):
                return False
        elif key == "rest" and got["kind"] == "ICMP" and isinstance(value, int) and got.get("type") in (3, 2):
            if got.get("rest", 0) & 0xFFFF != value:
                return False
        elif isinstance(value, Var):
            if key not in got:
                return False
            if value == ANY:
                continue
            if value in bound and bound[value] != got[key]:
                return False
            bound[str(value)] = got[key]
        elif key == "csum":
            if (value == "ok" and got["l4_ok"] is not True) or (value == "bad" and got["l4_ok"] is not False) \
                    or (isinstance(value, int) and got.get("csum") != value):
                return False
        elif got.get(key) != value:
            return False
    return True


def describe(got):
    """A packet for a person, in the language as far as it goes."""
    kind = got["kind"]
    if kind == "RAW":
        return f"RAW {got['data'][:64].hex()}" + (" ..." if len(got["data"]) > 64 else "")
    if kind == "ARP":
        if got["op"] == 1:
            return f"ARP who-has {site.name_of(got['tpa'])} tell {site.name_of(got['spa'])}"
        return f"ARP {site.name_of(got['spa'])} is-at {got['sha']} to {site.name_of(got['tpa'])}"

    def end(which, port):
        name = site.name_of(got[which])
        return name if got.get(port) is None else f"[{name}]:{got[port]}" if ":" in name else f"{name}:{got[port]}"

    words = [end("src", "sport"), ">", end("dst", "dport"), kind]
    if kind == "TCP":
        words += [got.get("flags") or "-", f"seq={got.get('seq')}", f"ack={got.get('ack')}"]
        words += [f"mss={got['mss']}"] if got.get("mss") is not None else []
    elif kind == "ICMP":
        pair, v6 = (got.get("type"), got.get("code")), ":" in got["src"]
        words.append(next((n for n, both in ICMP.items() if both[v6] == pair), f"type={pair[0]} code={pair[1]}"))
        words.append(f"rest={got.get('rest', 0):#x}")
    elif kind in ("NS", "NA"):
        words += [site.name_of(got["target"]), f"lla={got.get('lla')}", f"naflags={got.get('naflags', 0) >> 29:03b}"]
    words += [f"vlan={got['vlan']}"] if got.get("vlan") else []
    words += [f"ttl={got.get('ttl')}", f"len={len(got.get('data', b''))}", f"dmac={got.get('dmac')}"]
    words += ["ipcsum=bad"] if got.get("ip_ok") is False else []
    words += ["csum=bad"] if got.get("l4_ok") is False and not got.get("frag") else []
    if got.get("quote"):
        words += ["quoting", describe(got["quote"])]
    return " ".join(words)
