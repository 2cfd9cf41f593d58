"""The commands train, prove, draw, derive and predict: run folders, the page, what is refused, Ctrl-C."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from html import escape
from html.parser import HTMLParser
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

import autodiff as ad
from nets import __main__ as command
from nets import data, report, run
from nets.prove import Differences, Proof, Row, prove_model
from nets.train import predict

pytestmark = pytest.mark.skipif(
    any(find_spec(module) is None for module in command.EXTRAS), reason="needs scikit-learn, tqdm and matplotlib"
)
FILES = "backprop.html checkpoint.npz config.json confusion.png graph.svg layers.png learning.png report.html report.json weights.png"
SMALL = ["--data", "iris", "--model", "tanh:5", "--epochs", "3", "--quiet"]
EVIL = "<script>alert('$x$')</script>"


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "iris"
    assert command.main(["train", *SMALL, "--epochs", "30", "--lr", "0.05", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def no_pictures(monkeypatch):
    """Pictures take most of the time of a short run."""
    monkeypatch.setattr(command, "pictures", lambda run: {})


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(path, rows):
    Path(path).write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n", encoding="utf-8")
    return str(path)


def iris_rows(count=6):
    found = data.iris()
    rows = np.linspace(0, 149, count).astype(int)
    return found.x[rows].tolist(), [found.classes[k] for k in found.t[rows]]


# ---------------------------------------------------------------- train


def test_a_run_folder_is_whole(iris):
    assert sorted(p.name for p in iris.iterdir()) == FILES.split()
    config = json.loads((iris / "config.json").read_text())
    assert {k: config[k] for k in run.DEFAULTS} == {**run.DEFAULTS, "data": "iris", "model": "tanh:5", "epochs": 30, "lr": 0.05}
    assert config["classes"] == ["setosa", "versicolor", "virginica"] and len(config["features"]) == len(config["mean"]) == 4
    found = json.loads((iris / "report.json").read_text())
    assert len(found["history"]) == 30 and found["test_accuracy"] > 0.85 and all(row["proven"] for row in found["proof"])
    assert [row["result"] for row in found["proof"]] == ["dE/dW1", "dE/db1", "dE/dW2", "dE/db2"]


class Page(HTMLParser):
    """The tags and attributes of a page, and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, text):
        self.words.append(text)


def test_the_page_shows_all_and_asks_for_nothing(iris):
    html = (iris / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(images) == 4 and all(a["src"].startswith("data:image/png;base64,") and a["alt"] for a in images)
    (frame,) = [attrs for tag, attrs in page.tags if tag == "iframe"]
    assert "<script" in frame["srcdoc"] and frame["sandbox"] == "allow-scripts"
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "object")]
    links = [v for tag, attrs in page.tags for k, v in attrs.items() if k in ("src", "href", "xlink:href", "action") and v]
    assert all(v.startswith(("data:", "#")) for v in links)
    text = " ".join(page.words)
    assert "4 of 4 results proven" in text and "dE/dW2 = (softmax(z2, axis=1) - t).T @ y1 / m" in text and "tanh:5 on iris" in text
    assert "default-src 'none'" in html


def test_the_page_escapes_everything(here):
    found = data.xor(40)
    rows = [["x1", EVIL, "kind"], *([a, b, EVIL if c else "b&b"] for (a, b), c in zip(found.x.tolist(), found.t.tolist(), strict=True))]
    name = table("a&<b>.csv", rows)
    assert command.main(["train", "--data", name, "--model", "linear", "--epochs", "1", "--quiet", "--out", "o"]) == 0
    page = Page((here / "o" / "report.html").read_text(encoding="utf-8"))
    assert not [tag for tag, _ in page.tags if tag == "script"] and EVIL in " ".join(page.words) and "a&<b>.csv" in " ".join(page.words)
    assert (here / "o" / "regions.png").exists()


def test_a_page_shows_what_is_not_proven():
    bad = Row("dE/dW1", None, None, None, Differences(1, 1, 1.0, 0.1))
    text = report.page("t", [], "", [], ad.draw(ad.Tensor([1.0]) * 2), "no formula: 1 < 2", Proof([bad]), {})
    assert "0 of 1 results proven" in text and 'class="verdict bad"' in text and "1 &lt; 2" in text
    assert "Not proven: &lt;why&gt;" in report.page("t", [], "", [], ad.draw(ad.Tensor([1.0]) * 2), "", Proof([], "Not proven: <why>"), {})


def test_a_run_that_cannot_be_proven_says_so_and_fails(no_pictures, here, monkeypatch, capsys):
    def impossible(*args):
        raise ad.NotVerified("nothing is finite")

    monkeypatch.setattr(run, "prove_model", impossible)
    monkeypatch.setattr(ad, "derive", impossible)
    assert command.main(["train", *SMALL, "--out", "o"]) == 1
    assert "0 of 0 results proven" in capsys.readouterr().out
    assert json.loads((here / "o" / "report.json").read_text())["proof_note"] == "Not proven: nothing is finite"
    assert "Not proven: nothing is finite" in (here / "o" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("model", "lr", "says"),
    [
        ("sigmoid:64", "1e3", "y2 is 0 in "),
        ("tanh:4", "1e100", "its largest gradient is "),
        ("linear", "1e100", "its largest gradient is 0e+00, and rounding alone may take it "),
    ],
)
def test_a_run_whose_numbers_are_saturated_says_so_and_proves_its_formulas(model, lr, says, no_pictures, here, capsys):
    asked = ["--data", "iris", "--model", model, "--optimizer", "sgd", "--lr", lr, "--epochs", "5"]
    assert command.main(["train", *asked, "--out", "o", "--quiet"]) == 0
    assert " results proven with smaller parameters; o: " in capsys.readouterr().out
    note = json.loads((here / "o" / "report.json").read_text())["proof_note"]
    assert note.startswith("The numbers of this network are saturated: ") and says in note
    assert escape(note) in (here / "o" / "report.html").read_text(encoding="utf-8")
    assert command.main(["prove", "--run", "o"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(note) and not err and "DIFFER" not in out and "different" not in out
    for argv in (["draw", "--run", "o"], ["derive", "--run", "o"]):
        assert command.main(argv) == 0 and not capsys.readouterr().err


def test_a_gradient_of_nearly_0_is_compared_within_its_own_rounding():
    model, points = run.model_of("linear", 2, 2, 0), data.moons(5, noise=0.0)
    model.load({"W1": np.zeros((2, 2)), "b1": [0.0, 20.0]})
    assert prove_model(model, points.x, np.ones(5, int)).verdict == "2 of 2 results proven"


@pytest.mark.slow
def test_runs_are_alike_and_resume_to_the_same_numbers(here, capsys):
    assert command.main(["train", *SMALL, "--epochs", "6", "--out", "a"]) == 0
    assert command.main(["train", *SMALL, "--out", "b"]) == 0
    assert command.main(["train", "--resume", "b", "--epochs", "6", "--quiet"]) == 0
    config = Path("b/config.json").read_bytes()
    for epochs in ("5", "6"):
        assert command.main(["train", "--resume", "b", "--epochs", epochs]) == 2
        assert "nothing is left to do: b has 6 epochs" in capsys.readouterr().err
    assert Path("b/config.json").read_bytes() == config
    a, b = (json.loads((here / n / "report.json").read_text()) for n in "ab")
    assert {k: v for k, v in a.items() if k != "seconds"} == {k: v for k, v in b.items() if k != "seconds"}
    for name in ("layers.png", "learning.png", "weights.png", "graph.svg"):
        assert (here / "a" / name).read_bytes() == (here / "b" / name).read_bytes()


def test_ctrl_c_saves_and_says_how_to_go_on(no_pictures, here):
    program = "import os, signal\nfrom nets import optim\nold = optim.Adam.step\ndef step(self):\n    old(self)\n"
    program += "    if self.steps == 7: os.kill(os.getpid(), signal.SIGINT)\n"
    program += f"optim.Adam.step = step\nfrom nets.__main__ import main\nraise SystemExit(main({['train', *SMALL, '--out', 'o']!r}))"
    environment = {**os.environ, "PYTHONPATH": str(Path(command.__file__).parent.parent)}
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=here)
    assert found.returncode == 130 and found.stderr == "python -m nets: stopped; go on with: python -m nets train --resume o\n"
    assert command.main(["train", "--resume", "o", "--quiet"]) == 0
    assert command.main(["train", *SMALL, "--out", "whole"]) == 0
    assert [json.loads((here / n / "report.json").read_text())["history"] for n in ("o", "whole")] == 2 * [
        json.loads((here / "whole" / "report.json").read_text())["history"]
    ]


def test_resuming_a_whole_run_says_that_nothing_is_left_and_writes_the_report_again(no_pictures, here, capsys):
    assert command.main(["train", *SMALL, "--out", "o"]) == 0
    before = {name: Path("o", name).read_bytes() for name in ("config.json", "checkpoint.npz")}
    Path("o/report.html").unlink()
    capsys.readouterr()
    assert command.main(["train", "--resume", "o"]) == 0
    assert capsys.readouterr().out.startswith("nothing is left to learn: all 3 epochs are done")
    assert Path("o/report.html").exists() and {name: Path("o", name).read_bytes() for name in before} == before
    assert command.main(["train", "--resume", "o", "--epochs", "2"]) == 2
    assert capsys.readouterr().err.startswith("python -m nets: nothing is left to do: o has 3 epochs, and --epochs counts them all")
    assert {name: Path("o", name).read_bytes() for name in before} == before


def test_a_run_on_few_examples_says_how_many_it_is_proven_on(no_pictures, here, capsys):
    Path("few.csv").write_text("".join(f"{k}.5,{k % 2}\n" for k in range(12)))
    assert command.main(["train", "--data", "few.csv", "--model", "tanh:2", "--epochs", "1", "--out", "few"]) == 0
    out = capsys.readouterr().out
    assert "8 examples to learn from, 2 held out, 2 to test on" in out and "the gradients on m = 2 held-out examples" in out


def test_a_run_that_learnt_nothing_leaves_nothing(here, capsys, monkeypatch):
    monkeypatch.setattr(run, "fit", lambda *a, **kw: signal.raise_signal(signal.SIGINT))
    assert command.main(["train", *SMALL, "--out", "o"]) == 130
    assert not list(here.iterdir()) and "stopped before" in capsys.readouterr().err


def test_of_two_runs_into_one_folder_one_goes_on(here, capsys, monkeypatch):
    """The other has looked at the folder while it was empty, too."""
    (here / "o").mkdir()
    monkeypatch.setattr(command, "reserve", lambda out, stem: Path(out))
    (here / "o" / "config.json").write_text("the first one's")
    assert command.main(["train", *SMALL, "--out", "o"]) == 2
    assert "another run has begun in o" in capsys.readouterr().err and (here / "o" / "config.json").read_text() == "the first one's"


def test_a_report_that_was_stopped_can_be_written_later(no_pictures, here, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(command, "measured", lambda run: signal.raise_signal(signal.SIGINT))
        assert command.main(["train", *SMALL, "--out", "o"]) == 130
    assert "stopped before the report was written" in capsys.readouterr().err and not (here / "o" / "report.html").exists()
    assert command.main(["train", "--resume", "o", "--quiet"]) == 0 and (here / "o" / "report.html").exists()


def test_a_folder_of_idx_files_is_data(no_pictures, here, capsys):
    rng = np.random.default_rng(0)
    for part, m in (("train", 30), ("t10k", 10)):
        for kind, array in (("images-idx3", rng.integers(0, 256, size=(m, 3, 3))), ("labels-idx1", np.arange(m) % 2)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (here / f"{part}-{kind}-ubyte").write_bytes(head + array.astype("u1").tobytes())
    assert command.main(["train", *SMALL, "--data", ".", "--out", "o"]) == 0
    config = json.loads((here / "o" / "config.json").read_text())
    assert config["mean"] == [0.0] * 9 and config["classes"] == ["0", "1"]


# ---------------------------------------------------------------- prove, draw, derive


@pytest.mark.parametrize("spec", ["linear", "sigmoid:4", "tanh:4", "relu:4,3", "sigmoid:3,3"])
def test_every_model_is_proven(spec, capsys, here):
    assert command.main(["prove", "--data", "moons", "--model", spec]) == 0
    out = capsys.readouterr().out
    assert "results proven on m = 5 held-out examples" in out and "DIFFER" not in out and "different" not in out
    assert ("by hand" in out) == (spec == "sigmoid:4")


def test_a_wrong_gradient_is_not_proven(monkeypatch):
    model, points = run.model_of("tanh:4", 2, 2, 0), data.moons(5)
    assert prove_model(model, points.x, points.t).ok
    before = {n: np.array(p.data) for n, p in model.parameters().items()}
    right = ad.gradient
    monkeypatch.setattr(ad, "gradient", lambda E, wrt, **kw: [g * (1 + 1e-7) for g in right(E, wrt, **kw)])
    for row in prove_model(model, points.x, points.t).rows:
        assert not row.ok and not row.differences.ok and row.derived.closed.verdict == "different"
    assert all(np.array_equal(p.data, before[n]) for n, p in model.parameters().items())


def test_a_run_is_proven_drawn_and_derived(iris, here, capsys):
    assert command.main(["prove", "--run", str(iris), "--examples", "3"]) == 0
    assert "4 of 4 results proven on m = 3" in capsys.readouterr().out
    for name in ("g.svg", "g.html", "g.json"):
        assert command.main(["draw", "--run", str(iris), "-o", name]) == 0
        assert (here / name).stat().st_size > 1000
    assert command.main(["draw", "--run", str(iris)]) == 0
    assert "tanh y1" in capsys.readouterr().out
    texts = {}
    for form in ("text", "steps", "latex", "numpy"):
        assert command.main(["derive", "--run", str(iris), f"--{form}"]) == 0
        texts[form] = capsys.readouterr().out
    assert "dE/dW2 = (softmax(z2, axis=1) - t).T @ y1 / m" in texts["text"] and len(texts["steps"]) > len(texts["text"])
    assert r"\frac" in texts["latex"] and "dE_dW2 = " in texts["numpy"]


# ---------------------------------------------------------------- predict


def predicted(argv, capsys):
    assert command.main(["predict", *argv]) == 0
    return list(csv.reader(StringIO(capsys.readouterr().out)))


def test_predictions_are_the_networks(iris, here, capsys):
    x, _ = iris_rows()
    rows = predicted([table("a.csv", x), "--run", str(iris)], capsys)
    assert rows[0] == ["class", "p(setosa)", "p(versicolor)", "p(virginica)"] and len(rows) == 7
    found, config = run.load_run(iris), json.loads((iris / "config.json").read_text())
    p = ad.softmax(predict(found.model, (np.array(x) - config["mean"]) / config["std"]), axis=1)
    assert np.allclose([[float(v) for v in row[1:]] for row in rows[1:]], p, rtol=1e-5)
    assert [row[0] for row in rows[1:]] == [config["classes"][k] for k in p.argmax(axis=1)]


def test_columns_are_found_by_name(iris, here, capsys):
    x, classes = iris_rows()
    plain = predicted([table("a.csv", x), "--run", str(iris)], capsys)
    names = list(data.iris().features)
    turned = [["id", "kind", *names[::-1]], *([k, c, *row[::-1]] for k, (row, c) in enumerate(zip(x, classes, strict=True)))]
    assert predicted([table("b.csv", turned), "--run", str(iris)], capsys) == plain
    Path("c.csv").write_text("\ufeff" + Path("b.csv").read_text().replace(",", ";"), encoding="utf-8")
    assert predicted(["c.csv", "--run", str(iris)], capsys) == plain
    assert command.main(["predict", "b.csv", "--run", str(iris), "-o", "out.csv"]) == 0
    assert list(csv.reader(StringIO(Path("out.csv").read_text()))) == plain
    assert command.main(["predict", "b.csv", "--run", str(iris), "-o", "out.csv"]) == 2
    assert "out.csv exists, and is not overwritten; name another file" in capsys.readouterr().err


def test_the_newest_run_is_meant(no_pictures, here, capsys):
    assert command.main(["predict", "a.csv"]) == 2 and "no run below runs/" in capsys.readouterr().err
    for k, name in enumerate(("moons", "xor")):
        assert command.main(["train", *SMALL, "--data", name, "--out", f"runs/{name}"]) == 0
        os.utime(f"runs/{name}/config.json", (1e9 + k, 1e9 + k))
    assert run.newest_run() == Path("runs/xor")
    capsys.readouterr()
    assert command.main(["predict", table("a.csv", [[1, 1]])]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2 and err == "the network of runs/xor\n"
    Path("b.csv").write_text("a,b\n1,2\n")
    assert command.main(["predict", "b.csv"]) == 2
    assert "b.csv has no column x1, x2; its columns are a, b, not those that runs/xor learnt from" in capsys.readouterr().err


def test_numbers_far_from_the_data_are_told(iris, here, capsys):
    assert command.main(["predict", table("a.csv", [[5, 3, 1, 0.2], [50, 3, 1, 0.2], [5, 3, 99, 0.2]]), "--run", str(iris)]) == 0
    out, err = capsys.readouterr()
    assert "beware: a.csv, line 2 has 50 in column 1, far from what the network learnt from, 4.4 to 7.7" in err and "1 more cell" in err
    assert len(out.splitlines()) == 4


# ---------------------------------------------------------------- what is refused

HEADER = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "a.csv is empty"),
        ("\n\n", "a.csv is empty"),
        (HEADER, "has names of columns, but no rows"),
        (
            "a,b,c,d\n1,2,3,4\n",
            "has no column sepal length (cm), sepal width (cm), petal length (cm), petal width (cm); its columns are a, b, c, d",
        ),
        (HEADER.replace("petal w", "Petal W") + "1,2,3,4\n", "has no column petal width (cm); its columns are"),
        (HEADER + "1,2,,4\n", "line 2, column petal length (cm): '' is no number"),
        (HEADER + "1,2,nan,4\n", "'nan' is no number"),
        (HEADER + "1,2,3,4\n1,2,3\n", "line 3: 3 cells, but the first line has 4"),
        ("1,2,3\n", "has 3 columns, but the network takes 4"),
        ("1,2,3,x\n", "line 1, column 4: 'x' is no number"),
        ("1,2,3,1_0\n", "'1_0' is no number"),
        ("a,a,c,d\n1,2,3,4\n", "has two columns called 'a'"),
        ("\xff\xfe", None),
    ],
)
def test_bad_csv_files_get_a_sentence(content, says, iris, here, capsys):
    Path("a.csv").write_bytes(content.encode("latin-1"))
    assert command.main(["predict", "a.csv", "--run", str(iris)]) == 2
    out, err = capsys.readouterr()
    assert (says or "is not a text file") in err and len(err.splitlines()) == 1 and not out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("1\n2\n", "has one column"),
        ("1,2.5\n2,3\n", "text or whole numbers, but one is 2.5"),
        ("1,a\n2,\n", "line 2: no class"),
        ("1,a\n2,nan\n", "line 2: nan is no class"),
        ("nan,a\n2,b\n", "line 1, column 1: 'nan' is no number"),
        ("1e400,a\n2,b\n3,a\n", "line 1, column 1: '1e400' is no number"),
        ("1,a\n2,a\n", "is a in every row; there is nothing to tell apart"),
        ("1,a\n2,b\n", "2 examples are too few"),
        ("1,a\nx,b\n", "line 2, column 1: 'x' is no number"),
    ],
)
def test_bad_training_files_get_a_sentence(content, says, here, capsys):
    Path("a.csv").write_text(content)
    assert command.main(["train", "--data", "a.csv"]) == 2
    assert says in capsys.readouterr().err
    assert [p.name for p in here.iterdir() if p.name != "runs"] == ["a.csv"] and not list(here.glob("runs/*"))


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["train", "--data", "nothing"], "--data: 'nothing' is none of digits, iris"),
        (["train", "--data", "."], ". holds no file train-images-idx?-ubyte"),
        (["train", "--model", "relu"], "neither linear nor hidden layers"),
        (["train", "--model", "gelu:3"], "neither linear nor hidden layers"),
        (["train", "--model", "relu:0"], "from 1 to 10000 units"),
        (["train", "--model", "relu:3,"], "neither linear nor hidden layers"),
        (["train", "--momentum", "0.5"], "--momentum is for --optimizer sgd"),
        (["train", "--resume", "nowhere"], "there is no run folder nowhere; name one that"),
        (["train", "--resume", "full"], "full is no run folder of `python -m nets train`: config.json is missing"),
        (["train", "--resume", "x", "--lr", "1"], "--resume goes on with the settings of its folder"),
        (["train", "--out", "full", "--data", "xor"], "full is not empty"),
        (["train", "--out", "full/precious"], "full/precious is a file; name a folder with --out"),
        (["train", "--data="], "--data: '' is none of digits, iris"),
        (["prove", "--run", "nowhere"], "there is no run folder nowhere"),
        (["prove", "--run", "x", "--data", "xor"], "leave out --data, --model and --seed, or --run"),
        (["draw", "--data", "xor", "-o", "a.png"], "there are .svg, .html, .dot, .txt and .json"),
        (["draw", "--data", "xor", "-o", "no/a.svg"], "No such file or directory: no/a.svg"),
        (["predict", "none.csv", "--run", "full"], "full is no run folder"),
    ],
)
def test_what_cannot_be_done_gets_a_sentence(argv, says, here, capsys):
    (here / "full").mkdir()
    (here / "full" / "precious").write_text("")
    assert command.main(argv) == 2
    err = capsys.readouterr().err
    assert says in err and len(err.splitlines()) == 1
    assert sorted(p.name for p in here.rglob("*")) == ["full", "precious"] or not list(here.glob("runs/*"))


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["train", "--lr", "0"], "--lr: needs a number larger than 0"),
        (["train", "--momentum", "1"], "--momentum: needs a number from 0 to below 1"),
        (["train", "--optimizer", "rmsprop"], "invalid choice: 'rmsprop'"),
        (["train", "--batch", "0"], "--batch: needs a whole number from 1"),
        (["prove", "--examples", "0"], "--examples: needs a whole number"),
        (["predict"], "the following arguments are required: file"),
        (["derive", "--latex", "--numpy"], "not allowed with"),
        (["trian"], "there is no command 'trian'; there are train, prove, draw, derive, predict"),
        (["--seed", "3", "train"], "unrecognized arguments: train"),
    ],
)
def test_bad_options_get_a_sentence(argv, says, here, capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(argv)
    err = capsys.readouterr().err
    assert stop.value.code == 2 and says in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("name", command.COMMANDS)
def test_every_command_has_help(name, capsys):
    for argv in ([name, "--help"], ["--help"]):
        with pytest.raises(SystemExit) as stop:
            command.main(argv)
        assert stop.value.code == 0 and name in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "spoil", "says"),
    [
        ("config.json", lambda b: b[:50], "config.json is not what"),
        ("config.json", lambda b: b"[]", "config.json is not what"),
        ("config.json", lambda b: b.replace(b'"low"', b'"lower"'), "config.json is not what"),
        ("config.json", lambda b: b.replace(b'"nets run": 1', b'"nets run": 2'), "format 2; this program reads formats up to 1"),
        ("config.json", lambda b: b.replace(b"tanh:5", b"tanh:6"), "the parameters are W1 (6, 4)"),
        ("checkpoint.npz", lambda b: b[: len(b) // 2], "checkpoint.npz is not a whole file"),
        ("checkpoint.npz", lambda b: b"", "checkpoint.npz is not a whole file"),
        ("checkpoint.npz", None, "checkpoint.npz is missing"),
    ],
)
def test_damaged_run_folders_get_a_sentence(name, spoil, says, iris, here, capsys):
    (here / "o").mkdir()
    for path in iris.iterdir():
        (here / "o" / path.name).write_bytes(path.read_bytes())
    if spoil is None:
        (here / "o" / name).unlink()
    else:
        (here / "o" / name).write_bytes(spoil((here / "o" / name).read_bytes()))
    before = {p.name: p.read_bytes() for p in (here / "o").iterdir()}
    for argv in (["predict", table("a.csv", [[1, 2, 3, 4]]), "--run", "o"], ["train", "--resume", "o", "--epochs", "40", "--quiet"]):
        assert command.main(argv) == 2
        err = capsys.readouterr().err
        assert says in err and len(err.splitlines()) == 1
    assert {p.name: p.read_bytes() for p in (here / "o").iterdir()} == before


def test_data_that_changed_are_refused(no_pictures, here, capsys):
    found = data.xor(40)
    rows = [[*row, t] for row, t in zip(found.x.tolist(), found.t.tolist(), strict=True)]
    table("a.csv", rows)
    assert command.main(["train", *SMALL, "--data", "a.csv", "--out", "o"]) == 0
    table("a.csv", rows[:-1])
    before = Path("o/config.json").read_bytes()
    assert command.main(["train", "--resume", "o", "--epochs", "9", "--quiet"]) == 2
    assert "cannot be resumed: it was made with data = " in capsys.readouterr().err
    assert Path("o/config.json").read_bytes() == before
    table("a.csv", rows)
    assert command.main(["train", "--resume", "o", "--epochs", "9", "--quiet"]) == 0
    assert json.loads(Path("o/config.json").read_text())["epochs"] == 9
    for other in ([[1, *row] for row in rows], [[a, b, k % 4] for k, (a, b, _) in enumerate(rows)]):
        table("a.csv", other)
        assert command.main(["prove", "--run", "o"]) == 2
        assert "a.csv has changed since o was trained on it" in capsys.readouterr().err


def test_the_extras_are_asked_for_before_training(here, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert command.main(["train", *SMALL]) == 2
    assert capsys.readouterr().err == 'python -m nets: matplotlib must be installed for this: pip install "autodiff-graph[nets]"\n'
    assert not list(here.iterdir())


def test_nets_needs_no_extra_to_be_imported():
    program = (
        "import nets, nets.scalar, nets.plots, nets.__main__, sys; print({'sklearn', 'matplotlib', 'tqdm', 'torch'} & set(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(command.__file__).parent.parent)}
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment).stdout == "set()\n"


@pytest.mark.slow
def test_a_reader_that_has_enough_is_no_error(iris):
    environment = {**os.environ, "PYTHONPATH": str(Path(command.__file__).parent.parent)}
    line = f"{sys.executable} -m nets derive --run {iris} --steps | head -c 10"
    found = subprocess.run(["bash", "-c", f"set -o pipefail; {line}"], capture_output=True, text=True, env=environment)
    assert found.stdout and not found.stderr and found.returncode in (0, 120)
