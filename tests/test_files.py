"""Files are written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from handful.files import replacing, sha256, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_the_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    with replacing(target) as part:
        part.write_text("half")
        assert not target.exists()
        # same folder: a rename over file systems is a copy
        assert part.parent == target.parent
    assert target.read_text() == "half"
    assert names(target.parent) == ["a.txt"]


def test_a_file_may_be_read_by_whom_the_system_lets_read_new_files(tmp_path: Path) -> None:
    (tmp_path / "new.txt").touch()
    with replacing(tmp_path / "a.txt") as part:
        part.write_text("private")
        part.chmod(0o600)
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "new.txt").stat().st_mode


def test_an_exception_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail() -> None:
        with replacing(target) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_writer_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a.txt"):
        pass
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    script = (
        "import os, sys; from handful.files import replacing\n"
        "with replacing(sys.argv[1]) as part:\n"
        "    part.write_text('half'); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(target)])
    assert ended.returncode == -signal.SIGKILL
    assert target.read_text() == "old"


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("figure.png", ".png"), ("a.tar.gz", ".gz"), ("plain", ".part"), (".hidden", ".part")],
)
def test_the_temporary_name_is_hidden_and_keeps_the_suffix(
    tmp_path: Path, name: str, suffix: str
) -> None:
    with replacing(tmp_path / name) as part:
        assert part.suffix == suffix
        assert part.name.startswith(".")
        assert str(os.getpid()) in part.name
        part.touch()
    assert names(tmp_path) == [name]


def test_text_and_json(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "naïve – ナ")
    assert (tmp_path / "a.txt").read_bytes().decode("utf-8") == "naïve – ナ"
    value = {"b": [1, 2.5, None], "a": "ナ"}
    write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == value
    assert "ナ" in text
    assert text.endswith("}\n")
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"set": {1}})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == value


def test_sha256(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(data)
    assert sha256(tmp_path / "a") == hashlib.sha256(data).hexdigest()
