"""The contract of the command line: JSON on stdout alone, exit codes, one clear line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from handful import __version__, zoo
from handful.cli.main import COMMANDS, main
from handful.data.samples import cells, nuclei, omniglot
from handful.files import write_text

SAMPLE = omniglot()
SUPPORT = str(SAMPLE.folder / "support")
QUERIES = [str(query.path) for query in SAMPLE.queries]
NEAREST = ["--model", "nearest-neighbour"]


@pytest.fixture
def calibrated(tmp_path: Path) -> str:
    """A model of one's own: pixels, calibrated so that a distance of 29 is the threshold."""
    calibration = {"slope": 1.0, "offset": 29.0, "temperature": 1.0, "reject": 0.5, "verify": 0.5}
    card = zoo.card("nearest-neighbour").model_copy(
        update={"name": "own", "calibration": calibration}
    )
    write_text(tmp_path / "own" / "card.json", card.model_dump_json())
    return str(tmp_path / "own")


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Run a command that has to succeed and print one JSON object, and nothing else."""
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refuse(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that has to end with 2 and one line on stderr."""
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("handful: ")
    assert output.err.count("\n") == 1
    return output.err


def test_recognize_answers_each_query(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    answer = ask(
        capsys,
        *("recognize", "--support", SUPPORT, "--query", *QUERIES[:3], *NEAREST, "--out", str(out)),
    )
    assert (answer["model"], answer["backbone"]) == ("nearest-neighbour", "none")
    calibration = zoo.card("nearest-neighbour").calibration
    assert calibration is not None
    assert answer["threshold"] == calibration["reject"]
    assert answer["skipped"] == []
    assert [row["image"] for row in answer["results"]] == QUERIES[:3]
    for row in answer["results"]:
        scores = [score for _, score in row["ranking"]]
        assert scores == sorted(scores, reverse=True)
        assert row["score"] == scores[0]
        assert row["label"] == row["ranking"][0][0]
        assert {label for label, _ in row["ranking"]} == set(SAMPLE.support.classes)
    with out.open(newline="") as file:
        assert [row["label"] for row in csv.DictReader(file)] == [
            row["label"] for row in answer["results"]
        ]


def test_a_folder_is_its_images(capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(SAMPLE.folder / "query")
    answer = ask(capsys, "recognize", "--support", SUPPORT, "--query", folder, *NEAREST)
    assert [row["image"] for row in answer["results"]] == sorted(QUERIES)


def test_threshold(capsys: pytest.CaptureFixture[str], calibrated: str) -> None:
    base = ["recognize", "--support", SUPPORT, "--query", *QUERIES, "--model", calibrated]
    for given, threshold in ([], 0.5), (["--reject", "auto"], 0.5), (["--reject", "0.9"], 0.9):
        answer = ask(capsys, *base, *given)
        assert answer["threshold"] == threshold
        labels = {row["label"] is None for row in answer["results"]}
        assert labels == {True, False}
        for row in answer["results"]:
            assert (row["label"] is None) == (row["score"] < threshold)
    never = ask(capsys, *base, "--reject", "none")
    assert never["threshold"] is None
    assert all(row["label"] for row in never["results"])


def test_saved_needs_no_support(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, calibrated: str
) -> None:
    saved = str(tmp_path / "saved")
    query = ["--query", *QUERIES[:5]]
    base = ["recognize", "--support", SUPPORT, *query, "--model", calibrated, "--reject", "0.7"]
    first = ask(capsys, *base, "--save", saved)
    again = ask(capsys, "recognize", *query, "--model", saved)
    assert again["results"] == first["results"]
    assert again["threshold"] == 0.7
    other = ask(capsys, "recognize", *query, "--model", saved, "--reject", "none")
    assert other["threshold"] is None
    line = refuse(capsys, "recognize", "--support", SUPPORT, *query, "--model", saved)
    assert "leave out --support" in line


def test_one_bad_query_is_skipped_and_all_bad_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bad, missing = tmp_path / "bad.png", tmp_path / "missing.png"
    bad.write_text("no picture")
    base = ["recognize", "--support", SUPPORT, *NEAREST, "--query"]
    answer = ask(capsys, *base, str(bad), QUERIES[0], str(missing))
    assert [row["image"] for row in answer["results"]] == [QUERIES[0]]
    assert [path for path, _ in answer["skipped"]] == [str(bad), str(missing)]
    assert "no query can be read" in refuse(capsys, *base, str(bad), str(missing))


def test_a_bad_example_is_skipped_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for query in SAMPLE.queries[:6]:
        target = tmp_path / "support" / str(query.label) / query.path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(query.path.read_bytes())
    bad = target.parent / "bad.png"
    bad.write_text("no picture")
    support = str(tmp_path / "support")
    answer = ask(capsys, "recognize", "--support", support, "--query", QUERIES[9], *NEAREST)
    assert [path for path, _ in answer["skipped"]] == [str(bad)]


def test_manifests_as_support_and_query(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A sheet of four drawings: two teach, all four are asked for by their boxes."""
    sheet = Image.new("L", (210, 210), 255)
    for place, query in enumerate([*SAMPLE.queries[:2]] * 2):
        drawing = Image.open(query.path).convert("L").resize((95, 95))
        sheet.paste(drawing, (5 + 105 * (place % 2), 5 + 105 * (place // 2)))
    sheet.save(tmp_path / "sheet.png")
    rows = ["sheet.png,first,5,5,95,95", "sheet.png,second,110,5,95,95"]
    taught, asked = tmp_path / "taught.csv", tmp_path / "asked.json"
    taught.write_text("\n".join(["path,label,x,y,width,height", *rows]))
    boxes = [[x / 210, y / 210, 95 / 210, 95 / 210] for y in (5, 110) for x in (5, 110)]
    found = [{"category": "1", "conf": 0.9, "bbox": box} for box in boxes]
    images = [{"file": "sheet.png", "detections": found}, {"file": "none.png", "detections": []}]
    asked.write_text(json.dumps({"images": images, "detection_categories": {"1": "animal"}}))
    out = tmp_path / "labels.csv"
    base = ["recognize", "--support", str(taught), *NEAREST, "--query", str(asked)]
    answer = ask(capsys, *base, "--out", str(out))
    assert [row["label"] for row in answer["results"]] == ["first", "second"] * 2
    assert [row["box"] for row in answer["results"]] == [
        pytest.approx([x, y, 95, 95]) for y in (5, 110) for x in (5, 110)
    ]
    assert answer["skipped"] == [[str(tmp_path / "none.png"), "no detection of 0.2 or surer"]]
    with out.open(newline="") as file:
        assert [float(row["x"]) for row in csv.DictReader(file)] == pytest.approx([5, 110] * 2)
    assert main(base) == 0
    output = capsys.readouterr()
    assert output.out.startswith(f"{tmp_path / 'sheet.png'} [5, 5, 95, 95]  ")
    assert output.out.splitlines()[0].split()[-2] == "first"
    assert f"skipped: {tmp_path / 'none.png'}: no detection" in output.err
    taught.write_text("path,label,x,y,width,height\nsheet.png,a,5,five,9,9\n")
    assert "line 2: y is 'five'" in refuse(capsys, *base)


def test_strangers_in_groups(
    capsys: pytest.CaptureFixture[str], calibrated: str, tmp_path: Path
) -> None:
    known = [q.label for q in SAMPLE.queries]
    out = tmp_path / "labels.csv"
    base = ["recognize", "--support", SUPPORT, "--query", *QUERIES, "--model", calibrated]
    answer = ask(capsys, *base, "--group-new", "--out", str(out))
    groups = [row.get("group") for row in answer["results"]]
    assert [group is None for group in groups] == [bool(r["label"]) for r in answer["results"]]
    order = list(dict.fromkeys(group for group in groups if group))
    assert order == [f"new-{number}" for number in range(1, len(order) + 1)]
    assert 1 < len(order) < len(known)
    with out.open(newline="") as file:
        assert [row["group"] or None for row in csv.DictReader(file)] == groups
    plain = ask(capsys, *base)
    assert not any("group" in row for row in plain["results"])
    line = refuse(capsys, *base[:-1], "colour-histogram", "--reject", "1", "--group-new")
    assert "never calibrated" in line


def test_verify(capsys: pytest.CaptureFixture[str], calibrated: str) -> None:
    same = ask(capsys, "verify", QUERIES[0], QUERIES[0], "--model", calibrated)
    assert same["same"] is True
    assert same["score"] > 0.99
    pairs = [ask(capsys, "verify", QUERIES[0], q, "--model", calibrated) for q in QUERIES[1:8]]
    assert {pair["same"] for pair in pairs} == {True, False}
    for pair in pairs:
        assert pair["threshold"] == 0.5
        assert pair["same"] == (pair["score"] >= 0.5)
    assert main(["verify", QUERIES[0], QUERIES[0], "--model", calibrated]) == 0
    assert capsys.readouterr().out.startswith("same ")


def test_models(capsys: pytest.CaptureFixture[str]) -> None:
    names = [entry["name"] for entry in ask(capsys, "models")["models"]]
    assert {"nearest-neighbour", "hausdorff"} <= set(names)
    card = ask(capsys, "models", "hausdorff")
    assert zoo.Card.model_validate(card) == zoo.card("hausdorff")
    assert main(["models"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in table] == ["name", *names]
    assert main(["models", "hausdorff"]) == 0
    assert "Modified Hausdorff" in capsys.readouterr().out
    assert "no model 'nope'" in refuse(capsys, "models", "nope")


def test_answers_are_explained(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    query = ["recognize", "--support", SUPPORT, "--query", *QUERIES[:2]]
    answer = ask(capsys, *query, "--explain", str(tmp_path / "why"))
    for found in answer["results"]:
        assert Path(found["explanation"]).parent == tmp_path / "why"
        assert Path(found["explanation"]).read_bytes().startswith(b"\x89PNG")
    assert len({found["explanation"] for found in answer["results"]}) == 2


def test_demo(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answer = ask(capsys, "demo", "--out", str(tmp_path / "demo"), *NEAREST)
    assert set(answer) == {"report", "seconds", "recognize", "segment", "find", "explain"}
    assert Path(answer["report"]) == tmp_path / "demo" / "report.html"
    page = Path(answer["report"]).read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    counts = answer["recognize"]
    assert (counts["known"], counts["strangers"], counts["classes"]) == (40, 6, 20)
    with (tmp_path / "demo" / "recognition.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    truth = [query.label for query in SAMPLE.queries]
    right = sum(row["label"] == label for row, label in zip(rows, truth, strict=True) if label)
    assert counts["right"] == right
    assert counts["accuracy"] == right / 40
    assert Path(counts["picture"]).read_bytes().startswith(b"\x89PNG")

    segmented = answer["segment"]
    assert segmented["objects"] == sum(len(set(t.ravel()) - {0}) for t in nuclei().truth)
    assert 0.3 < segmented["iou"] <= 1
    assert Path(segmented["picture"]).read_bytes().startswith(b"\x89PNG")

    matched = answer["find"]
    assert (matched["images"], matched["matches"]) == (136, 9)
    assert 5 <= matched["right"] <= 9

    explained = answer["explain"]
    assert explained["evidence"]["fall"] == pytest.approx(
        explained["evidence"]["before"] - explained["evidence"]["after"]
    )
    assert Path(explained["overlay"]).read_bytes().startswith(b"\x89PNG")
    assert all(f"<h2>{title}</h2>" in page for title in ("Count cells", "Explain a likeness"))

    found = counts["cells"]
    with Path(found["table"]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert found["objects"] == len(rows) == len(cells().queries) == 136
    for label, count in found["found"].items():
        assert sum((row["label"] or "none of these") == label for row in rows) == count
    assert Path(found["picture"]).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recognize", "--query", QUERIES[0]], "give --support DIR"),
        (["recognize", "--support", SUPPORT], "--query"),
        (["recognize", "--support", SUPPORT, "--query", "gone.png"], "gone.png: no such file"),
        (["recognize", "--support", "gone", "--query", QUERIES[0]], "gone: no such folder"),
        (
            ["recognize", "--support", SUPPORT, "--query", QUERIES[0], "--model", "x"],
            "no model 'x'",
        ),
        (
            ["recognize", "--support", SUPPORT, "--query", QUERIES[0], "--reject", "x"],
            "auto, none or a number from 0 to 1",
        ),
        (["recognize", "--support", SUPPORT, "--query", QUERIES[0], "--reject", "2"], "[0, 1]"),
        (["recognize", "--support", SUPPORT, "--query", SUPPORT, "--colour", "3"], "--colour"),
        (["verify", QUERIES[0]], "parameter B requires an argument"),
        (["verify", *QUERIES[:2], "--model", "colour-histogram"], "never calibrated"),
        (["recognise"], "did you mean recognize?"),
        (["xyz"], "there are demo, recognize"),
        (["demo"], "--out"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message.lower() in refuse(capsys, *arguments).lower()


def test_an_empty_folder_of_queries(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = refuse(capsys, "recognize", "--support", SUPPORT, "--query", str(tmp_path), *NEAREST)
    assert f"{tmp_path}: no images" in line


def test_a_failure_of_ours_is_1_and_debug_shows_where(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("of ours\nin two lines")

    monkeypatch.setattr(zoo, "cards", broken)
    assert main(["models"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("handful: failed (RuntimeError: of ours in two lines)")
    assert output.err.count("\n") == 1
    monkeypatch.setenv("HANDFUL_DEBUG", "1")
    assert main(["models"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: handful {command} ")
    assert "--json" in text or command in ("evaluate", "report")  # theirs have it


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from handful.cli.main import main; main(['--help']);"
        "print([m for m in ('numpy', 'torch', 'sklearn', 'pydantic') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_the_installed_command_keeps_stdout_for_json() -> None:
    code = f"import sys; from handful.cli.main import main; sys.exit(main({['models', '--json']}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    json.loads(found.stdout)
