"""A run as one HTML page: numbers, pictures, formulas, proofs and the player, in one file that needs no network."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from html import escape
from typing import Any

from .plots import DPI
from .prove import COMPARED, Proof, Row

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"  # nothing from anywhere
STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1b1f24; --muted: #505a66; --line: #d1d9e0; --code: #f5f7fa;
  --ok: #187033; --bad: #b3152b; }
@media (prefers-color-scheme: dark) { :root { --ground: #0d1117; --text: #e6edf3; --muted: #a3afbb; --line: #303b47; --code: #141b24;
  --ok: #7ee2a8; --bad: #ff9a8f; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--ground);
  max-width: 1200px; margin: 0 auto; padding: 1.2rem; }
h1 { font-size: 1.7rem; margin: .4rem 0; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
p { margin: .3rem 0; overflow-wrap: anywhere; } .note { color: var(--muted); font-size: .9rem; }
.verdict { font-weight: 700; } .ok { color: var(--ok); } .bad { color: var(--bad); }
.numbers { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.numbers div { border: 1px solid var(--line); border-radius: 8px; padding: .4rem .8rem; font-size: .9rem; }
.numbers b { display: block; font-size: 1.4rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1.2rem 2rem; } figure { margin: 0; max-width: 100%; }
figcaption { font-weight: 600; margin-bottom: .3rem; }
img { display: block; max-width: max(100%, 640px); height: auto; background: #fff; border-radius: 8px; }
.scroll { overflow-x: auto; } .graph svg { display: block; }
pre { background: var(--code); border-radius: 8px; padding: .8rem 1rem; overflow-x: auto; font-size: .85rem; }
table { border-collapse: collapse; font-size: .88rem; } th, td { text-align: left; padding: .3rem .8rem .3rem 0; vertical-align: top; }
tr { border-top: 1px solid var(--line); } tr.more { border-top: 0; } th { font-weight: 600; }
.proof td { white-space: nowrap; } .proof td:nth-child(2) { white-space: normal; } code { overflow-wrap: anywhere; }
iframe { width: 100%; height: 720px; border: 1px solid var(--line); border-radius: 8px; }
summary { cursor: pointer; font-weight: 600; } :focus-visible { outline: 3px solid #0969da; }
@media (max-width: 700px) { .proof thead { display: none; } .proof tr, .proof td { display: block; } .proof tr { padding: .4rem 0; }
  .proof td { padding: .1rem 0; white-space: normal; } .proof td:first-child { font-weight: 600; }
  .proof td:empty, .proof tr.more td:first-child { display: none; } .proof td::before { content: attr(data-is); color: var(--muted); } }
"""


def page(
    title: str,
    numbers: Iterable[tuple[str, str]],
    model: str,
    images: Iterable[tuple[str, bytes]],
    drawing: Any,
    derivation: Any,
    proof: Proof,
    config: dict[str, Any],
) -> str:
    """The page; every text is escaped, pictures are in it as data, and the player stands in a frame of its own.

    `images` are titles and PNG files; `drawing` is what `ad.draw` returned, `derivation` what `ad.derive` did,
    or why it did not.
    """
    by_hand = any(row.by_hand for row in proof.rows)
    turned = " Formulas by hand, and those beside them, are the exercise's, where columns are examples." if by_hand else ""
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>
<h1>{escape(title)}</h1>
<div class="numbers">{"".join(f"<div><b>{escape(value)}</b>{escape(name)}</div>" for name, value in numbers)}</div>
<h2>Proof</h2>
<p class="verdict {"ok" if proof.ok else "bad"}">{escape(proof.verdict)}</p>
{f"<p>{escape(proof.note)}</p>" if proof.note else ""}
<p class="note">Each gradient of the network, on the hardest held-out examples, beside independent computations of it: within the
rounding of both, in ulps, and within the error bar of the differences.{turned}</p>
{_scroll("the proof", _table(proof.rows))}
<h2>The gradients as formulas</h2>
<p class="note">Derived from the recorded graph, and run against its gradient at random points before they were shown.</p>
{_pre("the formulas", getattr(derivation, "text", derivation))}
<details><summary>Step by step</summary>{_pre("the derivation", str(derivation))}</details>
<h2>Training</h2>
{_pre("the network", model)}
<div class="figures">{"".join(map(_figure, images))}</div>
<h2>The graph of one example</h2>
{_scroll("the graph", drawing.svg, "graph")}
<details><summary>Step through it, forward and backward</summary>
<iframe title="the player" sandbox="allow-scripts" srcdoc="{escape(drawing.html)}"></iframe></details>
<h2>Settings</h2>
{_scroll("the settings", f"<table>{''.join(map(_setting, config.items()))}</table>")}
</main></body></html>
"""


def _scroll(name: str, html: str, kind: str = "") -> str:
    """What may be wider than the page, to be moved by mouse and keyboard; the name is HTML."""
    return f'<div class="scroll {kind}" role="region" tabindex="0" aria-label="{name}">{html}</div>'


def _pre(name: str, text: str) -> str:
    return f'<pre role="region" tabindex="0" aria-label="{name}">{escape(text)}</pre>'


def _figure(image: tuple[str, bytes]) -> str:
    title, png = image
    data, width = b64encode(png).decode(), int.from_bytes(png[16:20]) * 96 // DPI
    caption = escape(title)
    img = f'<img alt="{caption}" width="{width}" src="data:image/png;base64,{data}">'
    return f"<figure><figcaption>{caption}</figcaption>{_scroll(caption, img)}</figure>\n"


def _setting(item: tuple[str, Any]) -> str:
    name, value = item
    return f'<tr><th scope="row">{escape(str(name))}</th><td>{escape(_short(value))}</td></tr>'


def _table(rows: list[Row]) -> str:
    head = "".join(f'<th scope="col">{h}</th>' for h in ("result", "formula", *COMPARED))
    return f'<table class="proof"><thead><tr>{head}</tr></thead><tbody>{"".join(map(_rows, rows))}</tbody></table>'


def _rows(row: Row) -> str:
    mark = '<span class="ok">✓</span>' if row.ok else '<span class="bad">✗</span>'
    out = []
    for k, (how, formula, *verdicts) in enumerate(row.lines):
        name = "" if k else f"{mark} {escape(row.name)}"
        formula = f'<span class="note">{how}</span> <code>{escape(formula)}</code>'
        compared = "".join(
            f'<td data-is="{which}: ">{escape(text)}</td>' if text else "<td></td>" for which, text in zip(COMPARED, verdicts, strict=True)
        )
        out.append(f"<tr{' class=more' if k else ''}><td>{name}</td><td>{formula}</td>{compared}</tr>")
    return "".join(out)


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value[:12])) + (f", … ({len(value)})" if len(value) > 12 else "")
    return "none" if value is None else str(value)
