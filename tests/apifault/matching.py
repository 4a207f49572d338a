# SPDX-License-Identifier: Apache-2.0
# Label and field selectors, as far as clients of services, slices and nodes use them.
import re

_SET = re.compile(r"^(\S+)\s+(in|notin)\s+\(([^)]*)\)$")


def _terms(text):
    return [t.strip() for t in re.split(r",(?![^(]*\))", text) if t.strip()]


def _label_term(term):
    if found := _SET.match(term):
        key, how, values = found.groups()
        values = {v.strip() for v in values.split(",")}
        return lambda labels: (labels.get(key) in values) == (how == "in")
    if term.startswith("!"):
        return lambda labels, key=term[1:].strip(): key not in labels
    for sign in ("!=", "==", "="):
        if sign in term:
            key, value = (x.strip() for x in term.split(sign, 1))
            return lambda labels: (labels.get(key) == value) == (sign != "!=")
    return lambda labels: term in labels


def _field(o, path):
    for key in path.split("."):
        o = o.get(key, "") if isinstance(o, dict) else ""
    return o if isinstance(o, str) else str(o)


def _field_term(term):
    path, sign, value = re.match(r"^([\w.]+?)(!=|==|=)(.*)$", term).groups()
    return lambda o: (_field(o, path) == value) == (sign != "!=")


def matcher(query):
    """A predicate on objects out of labelSelector and fieldSelector; None when everything matches."""
    labels = [_label_term(t) for t in _terms(query.get("labelSelector", ""))]
    fields = [_field_term(t) for t in _terms(query.get("fieldSelector", ""))]
    if not labels and not fields:
        return None

    def matches(o):
        have = o["metadata"].get("labels") or {}
        return all(t(have) for t in labels) and all(t(o) for t in fields)
    return matches
