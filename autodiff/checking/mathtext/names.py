"""What a written name means: `W^{(2)}`, `\\mathbf{W}_2`, `W_2` and `W2` are all the user's W2; delta2 is dE/dz2.

Nothing here reads formulas: it is told a name's letter, its subscripts and its layer.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

_LETTERS = """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi psi omega"""
GREEK = dict(zip("αβγδεζηθικλμνξοπρστυφχψω", _LETTERS.split(), strict=True))
GREEK |= {k.upper(): v.capitalize() for k, v in GREEK.items()}
_SHORT = {"lam": "lambda", "lambd": "lambda", "eps": "epsilon", "varepsilon": "epsilon", "varphi": "phi", "varsigma": "sigma"}
_LOSSES = ("E", "L", "J", "C", "loss", "Loss", "cost", "ell", "mathcalL")


def _key(name: str) -> str:
    """The same for all spellings of one name."""
    name = "".join(GREEK.get(c, c) for c in name.replace("_", "").replace("^", "").replace("\\", ""))
    letters, digits = re.fullmatch(r"(.*?)(\d*)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    return _SHORT.get(letters, letters) + digits


class Names:
    """The names a formula may use, and how people spell them."""

    def __init__(self, names: Iterable[str] | Mapping[str, Any], root: str) -> None:
        self.root = root
        self.means = {root: root, **{name: name for name in names}}
        if isinstance(names, Mapping):
            self.means |= {name: meant for name, meant in names.items() if isinstance(meant, str)}
        self._spelt: dict[str, str] = {}
        for name, meant in self.means.items():
            self._spelt.setdefault(_key(name), meant)
        self._folded: dict[str, set[str]] = {}
        for name, meant in self.means.items():
            self._folded.setdefault(_key(name).lower(), set()).add(meant)

    def find(self, text: str, fold: bool = False) -> str | None:
        """The user's name for a spelling, or None; `fold`: also in the other case, if that is one name only."""
        if text in self.means:
            return self.means[text]
        key = _key(text)
        if key in self._spelt:
            return self._spelt[key]
        if fold:
            found = self._folded.get(key.lower(), set())
            return next(iter(found)) if len(found) == 1 else None
        return None

    def loss(self, text: str) -> bool:
        """Does a name mean the graph's root?"""
        if text == self.root or self.find(text) == self.root:
            return True
        return text in _LOSSES and self.find(text) is None

    def resolve(self, base: str, subscripts: list[str], layer: str = "") -> tuple[str, tuple[str, ...]] | None:
        """A written name as the user's name and the index letters it carries, or None.

        >>> Names(["W2", "y2"], "E").resolve("w", ["uv"], "2"), Names(["W2", "y2"], "E").resolve("y", ["2", "k"])
        (('W2', ('u', 'v')), ('y2', ('k',)))
        """
        if base in self.means and not (subscripts or layer):
            return self.means[base], ()
        base, *more = base.split("_")
        subs = [*(s for s in more if s), *subscripts]
        for fold in (False, True):
            for parts in ([base, layer, *subs], [base, *subs, layer]):
                name = self.find("".join(parts), fold)
                if name is not None:
                    return name, ()
            digits, letters = _split(subs)
            if letters and not (layer and digits):
                name = self.find(base + layer + digits, fold)
                if name is not None:
                    return name, letters
        return None

    def derivative(self, base: str, subscripts: list[str], layer: str = "") -> tuple[str, str, tuple[str, ...]] | None:
        """What is derived, by what, and the indices, for names that mean a derivative: delta2, dW2, dE_dW2, dy1_dz1."""
        base = "".join(GREEK.get(c, c) for c in base)
        if re.fullmatch(r"(delta|Delta)_?\w*", base):
            found = self.resolve("z" + base[5:], subscripts, layer)
            return (self.root, *found) if found else None
        two = re.fullmatch(r"d(\w+?)_?d(\w+)", base)
        if two and (of := self.variable(two[1])):
            found = self.resolve(two[2], subscripts, layer)
            if found:
                return of, *found
        one = re.fullmatch(r"(?:d|grad_?|g_)(\w+)", base)
        found = self.resolve(one[1], subscripts, layer) if one else None
        return (self.root, *found) if found and found[0] != self.root else None

    def variable(self, text: str) -> str | None:
        """A name, or the root if it means the loss."""
        return self.root if self.loss(text) else (self.resolve(text, []) or (None,))[0]

    def pieces(self, text: str) -> list[str]:
        """Names written without a space, such as "Wx" or "W2y1"; none if it does not come apart."""
        out: list[str] = []
        while text:
            cut = next((n for n in range(len(text), 0, -1) if self.find(text[:n]) is not None and not _torn(text, n)), 0)
            if not cut:
                return []
            out.append(text[:cut])
            text = text[cut:]
        return out if len(out) > 1 else []

    def nearest(self, text: str, others: Iterable[str] = ()) -> str:
        """A hint at the names that look like this one, or at all if they are few."""
        known = [*self.means, *others]
        near = difflib.get_close_matches(text, known, n=3, cutoff=0.5)
        near = near or [k for k in known if _key(k).lower() == _key(text).lower()]
        if near:
            return f"; did you mean {' or '.join(near)}?"
        names = sorted(self.means)
        return f"; the names are {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}" if names else ""


def _torn(text: str, n: int) -> bool:
    """Would a cut there separate a letter from its digits?"""
    return n < len(text) and text[n].isdigit()


def _split(subscripts: list[str]) -> tuple[str, tuple[str, ...]]:
    """The digits and the index letters of subscripts; no letters if there is anything else among them."""
    text = "".join(subscripts).replace(",", "").replace(" ", "")
    if {*subscripts} & {"hat", "bar", "tilde"} or not re.fullmatch(r"\d*[a-z]{1,4}\d*", text):
        return text, ()
    return "".join(c for c in text if c.isdigit()), tuple(c for c in text if not c.isdigit())
