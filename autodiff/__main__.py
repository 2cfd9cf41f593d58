"""The command line: `python -m autodiff draw script.py:loss -o graph.svg`, `python -m autodiff grade exercise.py answers/`.

Each sub-command is one function that adds its arguments and one that runs it; it prints sentences, not
tracebacks, and exits with 0 for done, 1 for a script or graph that cannot be used, 2 for wrong arguments.
"""

from __future__ import annotations

import argparse
import contextlib
import math
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
    _add_grade(commands)
    given = parser.parse_args(arguments)
    try:
        given.run(given)
    except (Stop, AutodiffError) as problem:
        print(f"python -m autodiff {given.command}: {problem}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read the output has gone, and wants no more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
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


# ---------------------------------------------------------------- grade

GRADE = """Run an exercise, which records a graph, and judge a folder of answers against it.

An answer is a JSON file of arrays or formulas by name, {"W1": [[...]], "dE/dW2": "(y2 - t) @ y1.T"}, or a Python file that
defines a function gradients(x, t, W1, ...) that returns a dict, or a dict `claims`, or variables such as dW1.  The exercise
may define points = {"W1": 2, ...}; else each variable's gradient is worth 1.  What follows correctly from an earlier
mistake earns its points.

Each answer runs in a process of its own with limits, so a crash, an endless loop or hunger for memory in one does not touch
the others.  This guards against accidents, not against malice: an answer can read and write files as you can.  Run answers
that may be hostile in a container."""


def _add_grade(commands: Any) -> None:
    raw = argparse.RawDescriptionHelpFormatter
    after = "exit codes: 0 all answers were judged (right or wrong), 1 exercise, folder or limits cannot be used, 2 wrong arguments"
    grade = commands.add_parser(
        "grade", help="judge a folder of answers to an exercise", description=GRADE, epilog=after, formatter_class=raw
    )
    grade.add_argument(
        "exercise", metavar="exercise.py[:E]", help="the script that records the graph, and its result's variable, E if not said"
    )
    grade.add_argument("answers", metavar="answers/", type=Path, help="the folder of answers")
    grade.add_argument("-o", "--output", metavar="DIR", type=Path, default=Path("graded"), help="where the reports go (default: graded)")
    grade.add_argument("--time", type=_positive, metavar="SECONDS", default=10.0, help="what one answer may take (default: 10)")
    grade.add_argument("--memory", type=_positive, metavar="MB", default=1024, help="the memory of one answer (default: 1024)")
    grade.set_defaults(run=_grade)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def _grade(given: argparse.Namespace) -> None:
    from .checking.check import numbers_among
    from .checking.grade import answers_in, grade, points_of, summary, write
    from .checking.points import Recorded
    from .naming import names_in

    path = given.exercise
    target = path if ":" in Path(path).name else f"{path}:E"
    root, found = variable_of(target)
    if not isinstance(root, Node):
        raise Stop(f"{target} is a {type(root).__name__}; an exercise's result is a Value or a Tensor")
    if not root.active or math.prod(root.shape) != 1:
        found_one = f"has the shape {root.shape}" if root.active else "is a constant, for nothing that it was computed from is a variable"
        raise Stop(f"{target} {found_one}; an exercise's result is one number that was computed from variables, such as a loss")
    if not given.answers.is_dir():
        raise Stop(f"there is no folder {given.answers}")
    if given.output.resolve() == given.answers.resolve():
        raise Stop(f"the reports would stand among the answers in {given.answers}; name another folder with -o")
    if given.output.exists() and not given.output.is_dir():
        raise Stop(f"{given.output} is a file, and the reports go into a folder")
    answers, others = answers_in(given.answers, Path(target.rpartition(":")[0]))
    if not answers:
        raise Stop(f"{given.answers} holds no answers: no file ends in .py or .json")
    worth = found.get("points", {})
    if not isinstance(worth, dict):
        raise Stop(f"{path} defines points, which must be a dict of numbers by name, not {type(worth).__name__}")
    graph = Recorded(root, names_in([found]))
    graph.numbers = numbers_among(found, graph)
    points = points_of(graph, worth)
    graded = grade(graph, points, answers, given.time, given.memory)
    try:
        write(graded, points, given.output)
    except OSError as error:
        raise Stop(f"the reports cannot be written: {error}") from None
    for g in graded:
        said = [g.brief] if g.failure else [f"nothing was said of {', '.join(g.missing)}"] if g.missing else []
        said += [f"undecided: {', '.join(g.undecided)}"] if g.undecided else []
        print("; ".join([f"{g.name}: {g.score:g} of {sum(points.values()):g}", *said]))
    print(f"{summary(graded)}\nThe reports are in {given.output}.")
    if others:
        print(f"Not judged, being no files that end in .py or .json: {', '.join(others)}.")


if __name__ == "__main__":
    sys.exit(main())
