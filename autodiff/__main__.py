"""The command line: `python -m autodiff draw script.py:loss -o graph.svg`.

Each sub-command is one function that adds its arguments and one that runs it; it prints sentences, not
tracebacks, and exits with 0 for done, 1 for a script or graph that cannot be used, 2 for wrong arguments.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any

from .errors import AutodiffError
from .node import Node, trace_lines


class Stop(Exception):
    """What keeps a command from being done, as a sentence for the person who gave it."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m autodiff", description="Look at what a script computed with autodiff.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    _add_draw(commands)
    given = parser.parse_args(arguments)
    try:
        given.run(given)
    except (Stop, AutodiffError) as problem:
        print(f"python -m autodiff {given.command}: {problem}", file=sys.stderr)
        return 1
    return 0


def variable_of(target: str) -> tuple[Any, dict[str, Any]]:
    """Run the script of `script.py:name`, and return that variable and all the script's variables."""
    path, colon, name = target.rpartition(":")
    if not colon or not path or not name:
        raise Stop(f"{target!r} names no variable; write script.py:loss for the variable loss of script.py")
    if not Path(path).is_file():
        raise Stop(f"there is no file {path}")
    kept = sys.argv, sys.path
    sys.argv, sys.path = [path], [str(Path(path).resolve().parent), *sys.path]
    try:
        with trace_lines(), contextlib.redirect_stdout(sys.stderr):  # what the script prints is not the picture
            found = runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        raise Stop(f"{path} ended itself, with exit code {end.code}, before its variables could be read") from None
    except Exception as error:
        where = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).resolve() == Path(path).resolve()]
        line = where[-1].lineno if where else getattr(error, "lineno", None)
        raise Stop(f"{path} raised {type(error).__name__}{f' in line {line}' if line else ''}: {error}") from None
    finally:
        sys.argv, sys.path = kept
    if name not in found:
        nodes = sorted(n for n, x in found.items() if isinstance(x, Node))
        others = f"it has the nodes {', '.join(nodes)}" if nodes else "none of its variables is a node"
        raise Stop(f"{path} has no variable {name}; {others}")
    return found[name], found


# ---------------------------------------------------------------- draw


def _add_draw(commands: Any) -> None:
    about = "Run a script and draw the graph of one of its variables, in the form that the suffix of the output says."
    draw = commands.add_parser("draw", help="draw the graph of a variable of a script", description=about)
    draw.add_argument("target", metavar="script.py:variable", help="what to run, and what to draw")
    draw.add_argument("-o", "--output", metavar="FILE", help=".svg, .html, .dot, .txt or .json; without it the tree is printed")
    draw.add_argument("--level", type=int, metavar="N", help="how many levels of scopes are open")
    draw.add_argument("--focus", action="append", default=[], metavar="NAME", help="only the paths from this node to the result")
    draw.add_argument("--collapse", action="append", default=[], metavar="SCOPE", help="draw this scope as one box, such as layer1/neuron0")
    draw.add_argument("--expand", action="append", default=[], metavar="SCOPE", help="keep this scope open")
    draw.add_argument("--derivatives", action="store_true", help="write the local derivatives on the edges")
    draw.add_argument("--rankdir", choices=["LR", "TB"], default="", help="left to right, or top to bottom")
    draw.add_argument("--engine", choices=["built-in", "dot"], default="built-in", help="what lays out and draws an SVG")
    draw.set_defaults(run=_draw)


def _draw(given: argparse.Namespace) -> None:
    from .drawing import drawing_of
    from .naming import names_in

    root, found = variable_of(given.target)
    try:
        drawing = drawing_of(
            root,
            names_in([found]),
            level=given.level,
            focus=given.focus,
            collapse=given.collapse,
            expand=given.expand,
            derivatives=given.derivatives,
            rankdir=given.rankdir,
            engine=given.engine,
        )
        if given.output:
            drawing.save(given.output)
        else:
            print(drawing)
    except (ValueError, OSError) as error:
        raise Stop(str(error)) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
