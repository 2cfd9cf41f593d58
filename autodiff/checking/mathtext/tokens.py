"""From formula text to tokens: NumPy, plain mathematics and LaTeX alike.  Knows no names and no grammar.

Length is bounded here, before anything is parsed; an error shows the line and points at the column.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from ...errors import BadFormula

LONGEST = 4_000  # characters; a page of LaTeX has about 3,000
LONGEST_NAME = 60


class Token(NamedTuple):
    """One word or sign.  `kind` is number, name, layer, command, words, text, sign or end; `start` is its place in the text.

    A transpose is the sign ', however it is written; a layer is the 2 of `W^{(2)}`.
    """

    kind: str
    text: str
    start: int
    bold: bool = False


# What only places or sizes signs on the page.
_LAYOUT = """left right big Big bigg Bigg bigl bigr Bigl Bigr displaystyle textstyle limits nolimits nonumber notag
    quad qquad enspace hfill because therefore Rightarrow Longrightarrow implies hence mathstrut , ; ! : >"""
_IGNORED = set(_LAYOUT.split())
_SAME = {  # what stands for a sign or a command that has one spelling below
    **dict.fromkeys(["⊙", "∘", ".*", r"\odot", r"\circ", "⊗."], "⊙"),
    **dict.fromkeys(["./", r"\oslash", "⊘"], "⊘"),
    **dict.fromkeys(["·", "⋅", r"\cdot", r"\bullet"], "·"),
    **dict.fromkeys(["×", r"\times"], "×"),
    **dict.fromkeys(["−", "–"], "-"),
    **dict.fromkeys(["≠", "!=", r"\neq", r"\ne"], "≠"),
    **dict.fromkeys(["≤", "<=", r"\le", r"\leq"], "≤"),
    **dict.fromkeys(["≥", ">=", r"\ge", r"\geq"], "≥"),
    **dict.fromkeys([r"\lt"], "<"),
    **dict.fromkeys([r"\gt"], ">"),
    **dict.fromkeys(["∂", r"\partial"], "∂"),
    **dict.fromkeys(["∑", "Σ", r"\sum"], "∑"),
    **dict.fromkeys(["∇", r"\nabla"], "∇"),
    **dict.fromkeys(["′", r"\prime", "⊤", "ᵀ", r"\top", r"\intercal"], "'"),
    **dict.fromkeys([r"\{"], "("),
    **dict.fromkeys([r"\}"], ")"),
    **dict.fromkeys([r"\lbrack"], "["),
    **dict.fromkeys([r"\rbrack"], "]"),
    **dict.fromkeys([r"\|", r"\lVert", r"\rVert", r"\Vert", "‖", "||"], "‖"),
    **dict.fromkeys([r"\lvert", r"\rvert", r"\vert", "|"], "|"),
    **dict.fromkeys([r"\langle", "⟨"], "⟨"),
    **dict.fromkeys([r"\rangle", "⟩"], "⟩"),
    **dict.fromkeys([r"\tfrac", r"\dfrac", r"\cfrac"], r"\frac"),
}
_SUPER = {"²": "2", "³": "3", "¹": "1", "⁻": "-"}
_LETTER = r"[^\W\d_²³¹⁻ᵀΣ½]"
_NAME = rf"{_LETTER}(?:[^\W²³¹⁻ᵀ½]*[^\W_²³¹⁻ᵀ½])?(?:_(?!\s*{{|[\w\\(]))?"  # x_ is a name, x_{{1}} has a subscript
_STYLE = r"mathbf|boldsymbol|bm|vec|pmb|mathrm|mathit|mathsf|mathcal|operatorname\*?|text|textbf|textrm|mbox|mathbb"
_ACCENT = r"hat|bar|tilde|widehat|overline"
_BOLD = {"mathbf", "boldsymbol", "bm", "vec", "pmb", "textbf"}
_T = r"(?:T|⊤|'|\\top|\\intercal)"
_TOKEN = re.compile(
    rf"""(?P<turned>\^\s*(?:{_T}|\{{\s*{_T}\s*\}}))
    | (?P<inverse>\^\s*\{{\s*-\s*{_T}\s*\}})
    | (?P<layer>\^\s*(?:\{{\s*(?:\((?P<l1>\d+)\)|\[(?P<l2>\d+)\])\s*(?P<too>{_T}\s*)?\}}|[(](?P<l3>\d+)[)]))
    | (?P<raised>⁽[⁰¹²³⁴-⁹]+⁾)
    | (?P<total>sum(?=_(?:[a-z]{{1,3}}\b|\{{)))
    | (?P<subscripts>(?<=einsum\()\s*(?P<quote>["'])(?P<form>[a-zA-Z,>. -]*)(?P=quote))
    | (?P<bracket>\\(?:left|right|[bB]igg?[lr]?)\s*[\[\]])
    | (?P<space>\s+|~|&|\$+|[%\#].*|\\\s)
    | (?P<accented>\\(?P<accent>{_ACCENT})\s*(?:\{{\s*(?:\\(?:{_STYLE})\s*\{{?)?\s*(?P<under>[A-Za-z]\w*)[\s}}]*\}}|(?P<letter>[A-Za-z])))
    | (?P<step>\\mathrm\{{H\}}_\{{1/2\}})
    | (?P<styled>\\(?P<style>{_STYLE})\s*(?:\{{\s*(?P<content>\\?\w+|(?:\\_|[\w\s,.])*)\s*\}}|(?P<one>\\[A-Za-z]+|\w)))
    | (?P<stack>\\(?:stackrel|overset)\s*\{{[^{{}}]*\}}\s*\{{\s*=\s*\}})
    | (?P<tag>\\(?:tag|label|phantom|vspace|hspace)\*?\s*\{{[^{{}}]*\}})
    | (?P<environment>\\(?:begin|end)\s*\{{\s*(?P<which>[A-Za-z]+)\*?\s*\}}(?:\{{[lcr]*\}})?)
    | (?P<command>\\[A-Za-z]+|\\[^A-Za-z\s])
    | (?P<name>{_NAME})
    | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+|\d+\.)
    | (?P<super>[²³¹⁻]+)
    | (?P<sign>\*\*|\.\*|\./|==|!=|<=|>=|\|\||½|\S)""",
    re.VERBOSE,
)


def problem(text: str, start: int, what: str) -> BadFormula:
    """The error of `what` at a place in the text, which is shown with a caret below it.

    >>> print(problem("y2 -* t", 4, "a factor is missing"))
    a factor is missing, at column 5:
        y2 -* t
            ^
    """
    start = min(start, len(text))
    begin = text.rfind("\n", 0, start) + 1
    end = text.find("\n", start)
    line = text[begin : len(text) if end < 0 else end]
    column = start - begin
    shift = max(0, column - 60)  # a long line is shown around its column
    shown = "".join(c if c.isprintable() else "�" for c in line[shift : shift + 100])
    where = f"column {column + 1}" if "\n" not in text.strip() else f"line {text.count(chr(10), 0, start) + 1}, column {column + 1}"
    return BadFormula(f"{what}, at {where}:\n    {shown}\n    {' ' * (column - shift)}^")


def tokens(text: str) -> list[Token]:
    """The tokens of a formula, "end" last; raises BadFormula for text that is too long or a sign without meaning."""
    if not isinstance(text, str):
        raise BadFormula(f"a formula is text, not {type(text).__name__}")
    if len(text) > LONGEST:
        raise BadFormula(f"the formula has {len(text)} characters; more than {LONGEST} are not read. Give one line at a time")
    found: list[Token] = []
    place, inside = 0, 0
    while place < len(text):
        m = _TOKEN.match(text, place)
        if m is None:
            raise problem(text, place, f"{text[place]!r} has no meaning here")
        kind, start = m.lastgroup or "", m.start()
        place = m.end()
        if m["space"]:
            if m["space"] == "&" and inside:
                found.append(Token("sign", "&", start))
        elif m["turned"]:
            found.append(Token("sign", "'", start))
        elif m["inverse"]:
            found += [*_power("-1", start), Token("sign", "'", start)]
        elif m["layer"]:
            found.append(Token("layer", m["l1"] or m["l2"] or m["l3"], start))
            found += [Token("sign", "'", start)] if m["too"] else []
        elif m["subscripts"]:
            found.append(Token("text", m["form"], start))
        elif m["step"]:
            found.append(Token("name", "heaviside", start))
        elif m["bracket"]:  # sized, so a parenthesis and not NumPy's
            found.append(Token("sign", "(" if m["bracket"][-1] == "[" else ")", start))
        elif m["raised"]:
            found.append(Token("layer", unicodedata.normalize("NFKC", m["raised"])[1:-1], start))
        elif m["total"]:
            found.append(Token("sign", "∑", start))
        elif m["accented"]:  # \hat{y} is called y_hat
            accent = m["accent"].replace("wide", "").replace("overline", "bar")
            found.append(Token("name", (m["under"] or m["letter"]) + "_" + accent, start))
        elif m["styled"]:
            found += _styled(m)
        elif m["stack"]:
            found.append(Token("sign", "=", start))
        elif m["environment"]:
            if m["which"] in ("cases", "dcases", "rcases"):
                opening = "begin" in m["environment"]
                inside += 1 if opening else -1
                found.append(Token("command", r"\cases" if opening else r"\endcases", start))
        elif m["command"]:
            found += _command(m["command"], start)
        elif m["name"]:
            if len(m["name"]) > LONGEST_NAME:
                raise problem(text, start, f"a name of {len(m['name'])} letters")
            found.append(Token("name", unicodedata.normalize("NFKC", m["name"]), start))
        elif m["number"]:
            found.append(Token("number", unicodedata.normalize("NFKC", m["number"]), start))
        elif m["super"]:
            found += _power("".join(_SUPER[c] for c in m["super"]), start)
        elif kind == "sign":
            sign = m["sign"]
            found.append(Token("number", "0.5", start) if sign == "½" else Token("sign", _SAME.get(sign, sign), start))
    return [*_joined(found), Token("end", "the end", len(text.rstrip()))]


def _power(digits: str, start: int) -> list[Token]:
    """An exponent as it would stand in braces."""
    minus = [Token("sign", "-", start)] if "-" in digits else []
    exponent = Token("number", digits.replace("-", "") or "1", start)
    return [Token("sign", "^", start), Token("sign", "{", start), *minus, exponent, Token("sign", "}", start)]


def _styled(m: re.Match[str]) -> list[Token]:
    """What is set in another type: bold names, words, and the bold or double-struck 1."""
    start = m.start()
    content = (m["one"] or m["content"] or "").strip().replace(r"\_", "_")
    bold = m["style"] in _BOLD
    if content.startswith("\\"):
        return [t._replace(bold=bold) for t in _command(content, start)]
    if content == "1":
        return [Token("name", "𝟙" if m["style"] == "mathbb" else "𝟏", start)]
    if content.isdigit():
        return [Token("number", unicodedata.normalize("NFKC", content), start)]
    if re.fullmatch(_NAME, content):
        kind = "words" if content in WORDS or content.lower() in WORDS else "name"
        return [Token(kind, unicodedata.normalize("NFKC", content), start, bold)]
    if m["style"] in _BOLD and re.fullmatch(_NAME, content.replace(" ", "")):
        return [Token("name", content.replace(" ", ""), start, True)]
    return [Token("words", content, start)] if content else []


WORDS = {"when", "if", "for", "where", "otherwise", "else", "and", "all", "with", "in"}


def _command(command: str, start: int) -> list[Token]:
    same = _SAME.get(command, command)
    if not same.startswith("\\"):
        return [Token("sign", same, start)]
    if same == "\\\\":
        return [Token("sign", "\\\\", start)]
    if same[1:] in _IGNORED:
        return []
    return [Token("command", same, start)]


def _joined(found: list[Token]) -> list[Token]:
    """`\\cdot *`, as some write the entrywise product, is one sign."""
    out: list[Token] = []
    for t in found:
        if out and t.text == "*" and out[-1].text == "·":
            out[-1] = out[-1]._replace(text="⊙")
        else:
            out.append(t)
    return out
