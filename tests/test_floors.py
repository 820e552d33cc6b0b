"""The house: a floor imports only from floors below it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINT = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()"]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LINT, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_no_floor_imports_from_above() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_violation_is_found(tmp_path: Path) -> None:
    """The same contract fails on a house that breaks it, so the test above can fail."""
    contract = (ROOT / "pyproject.toml").read_text().partition("[tool.importlinter]")[2]
    assert contract
    (tmp_path / "pyproject.toml").write_text("[tool.importlinter]" + contract)
    package = tmp_path / "handful"
    package.mkdir()
    for module in {"__init__", *re.findall(r'"?handful\.(\w+)', contract)}:
        (package / f"{module}.py").touch()
    assert lint(tmp_path).returncode == 0
    (package / "files.py").write_text("from handful.images import nothing\n")
    broken = lint(tmp_path)
    assert broken.returncode != 0
    assert "handful.files" in broken.stdout
