"""The documents' code runs, their commands exist, and their figures are those of the results."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from handful.cli.main import build
from handful.evaluation.tables import fill

ROOT = Path(__file__).parents[1]
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
}


def blocks(language: str) -> list[str]:
    return [
        block
        for text in DOCUMENTS.values()
        for block in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    ]


@pytest.mark.parametrize("code", blocks("python"))
def test_code_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code, "document", "exec"), names)
    answers, sample = names["answers"], names["sample"]
    assert [a.image for a in answers] == [str(q.path) for q in sample.queries]  # type: ignore[attr-defined]
    assert (tmp_path / "my-characters").is_dir()


def handful_commands() -> list[list[str]]:
    lines = [line.split("#")[0] for block in blocks("bash") for line in block.splitlines()]
    words = [shlex.split(line) for line in lines]
    return [w[1:] for w in words if w and w[0].endswith("bin/handful")]


@pytest.mark.parametrize("words", handful_commands(), ids=" ".join)
def test_commands_parse(words: list[str]) -> None:
    command, bound, _ = build().parse_args(words, exit_on_error=False, print_error=False)
    assert command.__name__ in words
    assert bound.arguments


def test_make_targets_exist() -> None:
    targets = {line.split()[1] for block in blocks("bash") for line in block.splitlines()
               if line.startswith("make ")}  # fmt: skip
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets == {"demo", "test"}
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_tables_are_the_results(document: str) -> None:
    assert fill(DOCUMENTS[document], ROOT / "results") == DOCUMENTS[document]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_and_pictures_exist(document: str) -> None:
    folder = (ROOT / document).parent
    for target in re.findall(r"\]\(([^)#]+)\)", DOCUMENTS[document]):
        assert target.startswith("https://") or (folder / target).exists(), target
