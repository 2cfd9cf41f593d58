"""A run as one HTML page: numbers, pictures, formulas, proofs and the player, in one file that needs no network."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from html import escape
from typing import Any

from .plots import DPI
from .prove import Proof, Row

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"  # nothing from anywhere
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; background: #fff; max-width: 1000px; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
p { margin: .3rem 0; } .note { color: #59636e; font-size: .9rem; }
.numbers { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.numbers div { border: 1px solid #d1d9e0; border-radius: 8px; padding: .5rem 1rem; } .numbers b { display: block; font-size: 1.4rem; }
figure { margin: 1rem 0; } figcaption { font-weight: 600; margin-bottom: .3rem; } img, .graph svg { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; } pre { background: #f6f8fa; border-radius: 8px; padding: .8rem 1rem; overflow-x: auto; font-size: .85rem; }
table { border-collapse: collapse; font-size: .88rem; } th, td { text-align: left; padding: .3rem .8rem .3rem 0; vertical-align: top; }
tr { border-bottom: 1px solid #d1d9e0; } td:first-child { white-space: nowrap; } td code { white-space: pre-wrap; }
.ok { color: #006d4a; } .bad { color: #b3261e; font-weight: 700; }
iframe { width: 100%; height: 720px; border: 1px solid #d1d9e0; border-radius: 8px; }
summary { cursor: pointer; font-weight: 600; }
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
<title>{escape(title)}</title><style>{STYLE}</style></head><body>
<h1>{escape(title)}</h1>
<div class="numbers">{"".join(f"<div><b>{escape(value)}</b>{escape(name)}</div>" for name, value in numbers)}</div>
<pre>{escape(model)}</pre>
{"".join(map(_figure, images))}
<h2>The graph of one example</h2>
<div class="graph scroll">{drawing.svg}</div>
<details><summary>Step through it, forward and backward</summary>
<iframe title="the player" sandbox="allow-scripts" srcdoc="{escape(drawing.html)}"></iframe></details>
<h2>The gradients as formulas</h2>
<p class="note">Derived from the recorded graph, and run against its gradient at random points before they were shown.</p>
<pre>{escape(getattr(derivation, "text", derivation))}</pre>
<details><summary>Step by step</summary><pre>{escape(str(derivation))}</pre></details>
<h2>Proof</h2>
<p class="{"ok" if proof.ok else "bad"}">{escape(proof.verdict)}</p>
<p>{escape(proof.note)}</p>
<p class="note">Each gradient of the trained network, on the hardest held-out examples, beside independent computations of it: within the
rounding of both, in ulps, and within the error bar of the differences.{turned}</p>
<div class="scroll"><table><tr><th>result</th><th>formula</th><th>graph = formula</th><th>graph = differences</th></tr>
{"".join(map(_rows, proof.rows))}</table></div>
<h2>Settings</h2>
<table>{"".join(f"<tr><td>{escape(str(k))}</td><td>{escape(_short(v))}</td></tr>" for k, v in config.items())}</table>
</body></html>
"""


def _figure(image: tuple[str, bytes]) -> str:
    title, png = image
    data, width = b64encode(png).decode(), int.from_bytes(png[16:20]) * 96 // DPI
    caption = escape(title)
    return f'<figure><figcaption>{caption}</figcaption><img alt="{caption}" width="{width}" src="data:image/png;base64,{data}"></figure>\n'


def _rows(row: Row) -> str:
    lines = []
    if row.by_hand is not None:
        lines.append(("by hand", row.by_hand, str(row.closed)))
    if row.derived is not None:
        lines.append(("derived", row.derived.text, str(row.derived.closed)))
    mark = '<span class="ok">✓</span>' if row.ok else '<span class="bad">✗</span>'
    out = []
    for k, (how, formula, verdict) in enumerate(lines):
        name = f"{mark} {escape(row.name)}" if k == 0 else ""
        numeric = escape(str(row.differences)) if k == 0 and row.differences is not None else ""
        formula = f'<span class="note">{how}</span> <code>{escape(formula)}</code>'
        out.append(f"<tr><td>{name}</td><td>{formula}</td><td>{escape(verdict)}</td><td>{numeric}</td></tr>")
    return "".join(out)


def _short(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) > 12:
        return f"{', '.join(map(str, value[:12]))}, … ({len(value)})"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
