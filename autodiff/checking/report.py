"""What a check found: a verdict for each claim, and the report that prints, shows itself in a notebook, and counts points."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import WrongClaim
from .mistakes import Mistake
from .ulps import Comparison

RIGHT, WRONG, CARRIED, UNDECIDED = "right", "wrong", "carried forward", "undecided"
MARKS = {RIGHT: "✓", WRONG: "✗", CARRIED: "→", UNDECIDED: "?"}
POINTING = ' style="white-space:pre;font-family:monospace"'  # lines that show by columns where a formula cannot be read
LABEL = 16  # characters of a label, at most, that the columns make room for
HTML_COLORS = {RIGHT: "#1a7f37", WRONG: "#b42318", CARRIED: "#8a6100", UNDECIDED: "#175cd3"}


@dataclass(frozen=True)
class Verdict:
    """One claim judged.

    `status` is right, wrong, "carried forward" (it follows correctly from an earlier mistake) or undecided (the numbers are too
    coarse).  `mistake` and `sentence` say what was done, `others` what else fits as well; `fix` what to write instead;
    `counterexample` small numbers where it fails.  `layout` is denominator (the variable's shape), numerator (its transpose),
    entrywise (a Jacobian given by its diagonal) or "" where all are the same; `assumptions` is what the claim needs to be right;
    `notes` are further remarks.
    `how` is "algebra" if the formula was shown to be that of the graph's own rules for all values (under the assumptions), or
    "numbers" if it was compared at `points` points; `comparison` is that at the recorded point, in ulps.  `node` is what the
    claim is about, `edge` the result and the number of its operand between which the mistake was made.
    """

    label: str
    target: str
    status: str
    mistake: Mistake | None = None
    sentence: str = ""
    others: tuple[str, ...] = ()
    fix: str = ""
    counterexample: str = ""
    layout: str = ""
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    comparison: Comparison | None = None
    how: str = "numbers"
    points: int = 1
    text: str = ""
    node: Any = field(default=None, repr=False, compare=False)
    edge: tuple[Any, int] | None = field(default=None, repr=False, compare=False)

    @property
    def ulps(self) -> float:
        """How far the claim is from the truth at the recorded point, in ulps; inf if the shapes differ."""
        return self.comparison.ulps if self.comparison is not None else float("inf")

    def lines(self) -> list[str]:
        """What is said beyond the status, line by line."""
        said = []
        if self.sentence:
            said.append(self.sentence)
        said += [f"or: {other}" for other in self.others]
        if self.assumptions:
            said.append(f"needs {' and '.join(self.assumptions)}")
        said += self.notes
        if self.fix:
            said.append(f"fix: {self.fix}")
        if self.counterexample:
            said.append(f"example: {self.counterexample}")
        return [line for text in said for line in text.splitlines()]

    def __str__(self) -> str:
        return "\n".join(["  ".join(self.head()).rstrip(), *(f"      {line}" for line in self.lines())])

    def head(self, width: int = 0, wide: int = 0) -> list[str]:
        """Mark, label, target, status and how exactly."""
        how = self.layout if self.layout == "numerator" else ""
        shown = self.comparison is not None and self.status == RIGHT and self.comparison.ulps <= self.comparison.bound
        at = f"; compared at {self.points} points" if self.points > 1 else ""
        exact = "the same formula" if self.how == "algebra" else f"{self.comparison}{at}" if shown else ""
        return [
            MARKS[self.status],
            f"{self.label:<{width}}",
            f"{self.target:<{wide}}",
            self.status,
            "; ".join(x for x in (exact, how and f"{how} layout") if x),
        ]

    def as_dict(self) -> dict[str, Any]:
        """The verdict as plain data."""
        return {
            "label": self.label,
            "target": self.target,
            "status": self.status,
            "mistake": self.mistake.value if self.mistake else None,
            "sentence": self.sentence,
            "others": list(self.others),
            "fix": self.fix,
            "counterexample": self.counterexample,
            "layout": self.layout,
            "assumptions": list(self.assumptions),
            "notes": list(self.notes),
            "how": self.how,
            "points": self.points,
            "ulps": self.ulps if self.ulps < float("inf") else None,
            "compared": str(self.comparison) if self.comparison is not None else None,
        }


def _short(target: str) -> tuple[str, ...]:
    """What a gradient dE/dW1 is called as well."""
    name = target.partition("/d")[2]
    return (name, f"d{name}") if name else ()


@dataclass(frozen=True)
class Report:
    """What `ad.check` returns: `verdicts` in the order in which the claims follow one another, and `remarks` on them all."""

    verdicts: tuple[Verdict, ...]
    remarks: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Is every claim right, and is there one?"""
        return bool(self.verdicts) and all(v.status == RIGHT for v in self.verdicts)

    @property
    def first_wrong(self) -> Verdict | None:
        """The first claim that is wrong; those after it may only follow from it."""
        return next((v for v in self.verdicts if v.status == WRONG), None)

    def __getitem__(self, label: str) -> Verdict:
        for v in self.verdicts:
            if v.label == label:
                return v
        raise KeyError(f"no claim is labelled {label!r}; there are {', '.join(v.label for v in self.verdicts)}")

    def score(self, points: Mapping[str, float] | float = 1.0) -> float:
        """The points earned: those of every claim that is right or correctly carried forward from an earlier mistake.

        `points` are points by label or by what a claim is about ("dW1", "dE/dW1" or "W1"), claims that it does not name earning
        none, or one number for each claim.  Raises KeyError for points of a claim that there is not.

        >>> from autodiff.checking.report import Report, Verdict
        >>> Report((Verdict("W2", "dE/dW2", "wrong"), Verdict("W1", "dE/dW1", "carried forward"))).score({"W2": 2, "W1": 3})
        3.0
        """
        earning = [v for v in self.verdicts if v.status in (RIGHT, CARRIED)]
        if not isinstance(points, Mapping):
            return float(points * len(earning))
        named = {k: v for v in self.verdicts for k in (*_short(v.target), v.target, v.label)}
        if unknown := sorted(set(points) - set(named)):
            raise KeyError(f"no claim is labelled {unknown[0]!r}; there are {', '.join(v.label for v in self.verdicts)}")
        return float(sum(p for label, p in points.items() if any(v is named[label] for v in earning)))

    def require(self) -> None:
        """Raise WrongClaim, with the text of the report, unless every claim is right.

        >>> Report((Verdict("W2", "dE/dW2", "right"),)).require()
        """
        if not self.ok:
            raise WrongClaim("\n".join([f"{self._summary()}.", *self._lines()]))

    def _summary(self) -> str:
        if not self.verdicts:
            return "no claim was judged"
        first = self.first_wrong
        right = sum(v.status == RIGHT for v in self.verdicts)
        if first is None:
            return (
                f"all {right} claims are right"
                if self.ok
                else f"{right} of {len(self.verdicts)} claims are right; the others cannot be decided"
            )
        return f"{right} of {len(self.verdicts)} claims are right; the first wrong one is {first.label}"

    def __str__(self) -> str:
        return "\n".join([*self._lines(), *([f"{self._summary()}."] if len(self.verdicts) != 1 else [])])

    def _lines(self) -> list[str]:
        """Every verdict with what is said of it, and the remarks."""
        width = min(LABEL, max((len(v.label) for v in self.verdicts), default=0))
        wide = max((len(v.target) for v in self.verdicts), default=0)
        lines = []
        for v in self.verdicts:
            lines.append("  ".join(v.head(width, wide)).rstrip())
            lines += [f"   {'':{width}}{line}" for line in v.lines()]
        return [*lines, *self.remarks]

    def __repr__(self) -> str:
        return str(self)

    @property
    def json(self) -> str:
        """The report as a JSON text."""
        return json.dumps(self.as_dict(), indent=2, ensure_ascii=False)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        first = self.first_wrong
        return {
            "ok": self.ok,
            "first_wrong": first.label if first is not None else None,
            "verdicts": [v.as_dict() for v in self.verdicts],
            "remarks": list(self.remarks),
        }

    @property
    def html(self) -> str:
        """The report as an HTML table, complete but for the page around it."""
        rows = []
        for v in self.verdicts:
            said = "".join(f"<div{POINTING if line.startswith(' ') else ''}>{html.escape(line)}</div>" for line in v.lines())
            status = f'<span style="color:{HTML_COLORS[v.status]};font-weight:600">{MARKS[v.status]} {v.status}</span>'
            exact = html.escape(v.head()[-1])
            cells = (html.escape(v.label), html.escape(v.target), status + (f"<br><small>{exact}</small>" if exact else ""), said)
            rows.append(
                "<tr>" + "".join(f'<td style="text-align:left;vertical-align:top;padding:0 1em .4em 0">{c}</td>' for c in cells) + "</tr>"
            )
        head = "".join(f'<th scope="col" style="text-align:left">{h}</th>' for h in ("claim", "of", "verdict", "why"))
        below = "".join(f"<p>{html.escape(r)}</p>" for r in (*self.remarks, self._summary() + "."))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{below}"

    def _repr_html_(self) -> str:
        return self.html
