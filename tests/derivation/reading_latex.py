"""Computes the LaTeX of a formula in which every axis is equally long, to prove that it says what the source computes.

Vectors are columns, a bold 1 is a column of ones; products are matrix products unless one side is a number.  A name with
indices, and what is computed from it, is an array with an axis for every letter that there is, of length 1 where it does not vary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from autodiff.derivation.latex import symbol
from autodiff.ops import TABLE

LETTERS = "ijklabcdefghopqrstuvwxyz"
TOKEN = re.compile(r"\\left\\?.|\\right\\?.|\\[a-zA-Z]+|\\[,;|]|\d+\.?\d*|[a-zA-Z]+|\S")
FUNCTIONS = {rf"\{name}": getattr(np, name) for name in ("exp", "log", "sin", "cos", "tanh")} | {r"\sigma": TABLE["sigmoid"].forward}


class NotRead(Exception):
    """Something this reader does not know."""


def indexed(x: Any) -> bool:
    """Is it a number for each choice of indices?"""
    return np.ndim(x) == len(LETTERS)


def column(x: Any) -> Any:
    """A value as the formulas see it: a number, a column or a matrix; a row is a row."""
    x = np.asarray(x, float)
    return x if indexed(x) else float(np.reshape(x, ())) if x.size == 1 else x[:, None] if x.ndim == 1 else x


class Reader:
    """Recursive descent over the tokens of one formula."""

    def __init__(self, text: str, root: str, values: Mapping[str, Any], n: int) -> None:
        self.values: list[Any] = []
        self.n = n
        self.summed = set[int]()  # over what the sums around go
        for name in sorted(values, key=len, reverse=True):
            plain = name.removeprefix("∂")
            written = symbol(plain, np.size(values[name]) > 1)
            if name[0] == "∂":
                written = rf"\frac{{\partial {symbol(root, False)}}}{{\partial {written}}}"
            text = re.sub(r"(?<![a-zA-Z\\])" + re.escape(written) + r"(?![^\W_])", rf"\\val{{{len(self.values)}}}", text)
            self.values.append(column(values[name]))
        self.tokens = TOKEN.findall(text)
        self.at = 0

    def read(self) -> Any:
        z = self.sum()
        assert self.at == len(self.tokens), self.tokens[self.at :]
        return z

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, *expected: str) -> str:
        token = self.peek()
        assert not expected or token in expected, (token, expected, self.tokens)
        self.at += 1
        return token

    def group(self) -> Any:
        self.take("{")
        z = self.sum()
        self.take("}")
        return z

    def sum(self) -> Any:
        sign = -1 if self.peek() == "-" and self.take() else 1
        z = sign * self.product()
        while self.peek() in ("+", "-"):
            plus = self.take() == "+"
            y = self.product()
            assert np.shape(z) == np.shape(y) or indexed(z) or indexed(y), "a sum of different shapes"
            z = z + y if plus else z - y
        return z

    def product(self) -> Any:
        z = self.power()
        while self.peek() not in ("", "+", "-", "}", ",", ">", r"\ge", "=") and not self.peek().startswith(r"\right"):
            sign = self.take() if self.peek() in (r"\,", r"\odot", r"\oslash", r"\cdot") else r"\,"
            y = self.power()
            if sign in (r"\odot", r"\oslash"):
                assert np.shape(z) == np.shape(y), "entry by entry, of different shapes"
                z = z * y if sign == r"\odot" else z / y
            else:
                z = z * y if {np.ndim(z), np.ndim(y)} & {0, len(LETTERS)} else z @ y
                z = float(np.reshape(z, ())) if np.size(z) == 1 and not indexed(z) else z
        return z

    def indices(self) -> list[int]:
        """The axes of a list of letters."""
        found = []
        self.take("_"), self.take("{")
        while self.peek() != "}":
            found += [LETTERS.index(c) for c in self.take() if c != ","]
        self.take("}")
        return found

    def entry(self, z: Any, axes: list[int]) -> Any:
        """One for each choice of indices."""
        out = np.reshape(z, [self.n] * len(axes))
        for i, k in [(i, k) for i, k in enumerate(axes) if k in axes[:i]][::-1]:  # a diagonal
            out = np.moveaxis(np.diagonal(out, axis1=axes.index(k), axis2=i), -1, axes.index(k))
        axes = list(dict.fromkeys(axes))
        return np.transpose(out, np.argsort(axes)).reshape([self.n if k in axes else 1 for k in range(len(LETTERS))])

    def array(self, z: Any, axes: list[int]) -> Any:
        """The array of these entries."""
        full = np.broadcast_to(z, [self.n if k in axes else 1 for k in range(len(LETTERS))])
        return column(np.transpose(full.reshape([self.n] * len(axes)), np.argsort(np.argsort(axes))))

    def power(self) -> Any:
        z = self.primary()
        while self.peek() == "_":
            z = self.entry(z, self.indices())
        while self.peek() == "^":
            self.take()
            self.take("{")
            if self.peek() == r"\top":
                self.take()
                z = np.transpose(z)
            elif self.peek() == "-" and self.tokens[self.at + 1] in ("1", r"\top") and np.ndim(z) == 2 and z.shape[1] > 1:
                self.take()
                z = np.linalg.inv(z).T if self.take() == r"\top" else np.linalg.inv(z)
            else:
                if self.peek() == r"\circ":
                    self.take()
                z = z ** self.sum()
            self.take("}")
        return z

    def call(self, close: str = ")") -> Any:
        self.take(r"\left" + {")": "(", "]": "["}[close])
        z = self.sum()
        self.take(r"\right" + close)
        return z

    def primary(self) -> Any:
        token = self.take()
        if token == r"\val":
            self.take("{")
            z = self.values[int(self.take())]
            self.take("}")
            return z
        if re.match(r"\d", token):
            return float(token)
        if token == r"\left(":
            self.at -= 1
            return self.call()
        if token == r"\left[":
            self.at -= 1
            z = self.call("]")
            axes = self.indices()
            return self.array(z, axes) if indexed(z) or np.ndim(z) == 0 else self.entry(z, axes)
        if token == r"\sum":
            over = self.indices()
            assert not self.summed & {*over}, "a sum within a sum over the same letter"
            self.summed |= {*over}
            z = self.product()
            self.summed -= {*over}
            shape = [self.n if k in over else 1 for k in range(len(LETTERS))]
            z = np.sum(np.broadcast_to(z, np.broadcast_shapes(np.shape(z), shape)), axis=tuple(over), keepdims=True)
            return z if z.size > 1 else float(z.item())
        if token == r"\delta":
            return self.entry(np.eye(self.n), self.indices())
        if token in FUNCTIONS:
            if token == r"\log" and self.peek() == r"\left|":
                self.take()
                self.take(r"\det")
                z = np.linalg.slogdet(self.call())[1]
                self.take(r"\right|")
                return z
            return FUNCTIONS[token](self.call())
        if token == r"\frac":
            return self.group() / self.group()
        if token == r"\sqrt":
            return np.sqrt(self.group())
        if token == r"\left|":
            z = np.abs(self.sum())
            self.take(r"\right|")
            return z
        if token == r"\left\|":
            z = np.linalg.norm(self.sum())
            self.take(r"\right\|")
            if self.peek() == "_":
                self.take()
                self.take("F")
                if self.peek() == "^":
                    self.take(), self.take("2")
                    z = z**2
            return z
        if token == r"\left\l":
            self.take("angle")
            a = self.sum()
            self.take(",")
            b = self.sum()
            self.take(r"\right\r"), self.take("angle")
            return np.sum(a * b)
        if token == r"\mathbb":
            self.take("{"), self.take("1"), self.take("}"), self.take(r"\left[")
            left = self.sum()
            sign = self.take(">", r"\ge", "=")
            right = self.sum()
            self.take(r"\right]")
            found = {">": np.greater, r"\ge": np.greater_equal, "=": np.equal}[sign](left, right)
            return found.astype(float) if np.ndim(found) else float(found)
        if token == r"\mathbf":
            self.take("{")
            what = self.take("1", "I", "0")
            self.take("}")
            return {"1": np.ones((self.n, 1)), "I": np.eye(self.n), "0": 0.0}[what]
        if token == r"\mathrm":
            return self.named()
        raise NotRead(token)

    def named(self) -> Any:
        self.take("{")
        name = self.take()
        while self.peek() != "}":
            name += self.take()
        self.take("}")
        axis = None
        if name == "H":  # a step, with 1/2 at 0
            while self.take() != "}":
                pass
            return np.heaviside(self.call(), 0.5)
        if self.peek() == "_" and len(self.tokens[self.at + 2]) == 1:
            along = tuple(self.indices())
            x, options = self.call(), {} if name == "softmax" else {"keepdims": True}
            return TABLE[name].forward(x, axis=along if len(along) > 1 else along[0], **options)
        if self.peek() == "_":
            while self.peek() != "=":
                self.take()
            self.take()
            axis = int(self.take())
            self.take("}")
        x = self.call()
        if name == "diag":
            return np.diag(x[:, 0]) if x.shape[1] == 1 else np.diag(x)[:, None]
        if name == "softmax":
            e = np.exp(x - np.max(x, axis=axis, keepdims=True))
            return e / np.sum(e, axis=axis, keepdims=True)
        if name in ("max", "min", "logsumexp"):
            z = TABLE[name].forward(x, axis=axis)
            return z if axis is None else z[:, None]
        return TABLE[name].forward(x)


def latex_reads_as(text: str, root: str, values: Mapping[str, Any], n: int, truth: Any) -> bool:
    """Does the LaTeX give these numbers, as a column where they are a vector?"""
    found = Reader(text, root, values, n).read()
    truth = column(truth)
    return bool(np.allclose(found, truth, rtol=1e-6, atol=1e-8 * (1 + np.abs(truth).max(initial=0)))) and (
        np.shape(found) == np.shape(truth) or np.ndim(found) == 0
    )
