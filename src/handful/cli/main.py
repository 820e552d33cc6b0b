"""The command ``handful``: finds the command asked for and turns errors into exit codes."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from difflib import get_close_matches

from cyclopts import App, CycloptsError

from handful._version import __version__
from handful.allocator import keep_freed_memory
from handful.errors import InputError

COMMANDS = {
    "demo": "Recognize real characters from one example each, and write a report.",
    "recognize": "Name what images show, from a few labelled examples.",
    "segment": "Find the pixels of things, from a few examples with masks.",
    "verify": "Say whether two images show the same.",
    "explain": "Show where pictures are alike or different, and how much it matters.",
    "index": "Keep the features of a folder of pictures, so that it can be searched.",
    "find": "Find the pictures of an index that show what a few examples show.",
    "models": "List the models, or show the card of one.",
    "train": "Make a model by a recipe.",
    "evaluate": "Measure models by a protocol of the papers.",
    "report": "Draw the figures of a protocol.",
}


def build() -> App:
    """Return the application; a command's module is imported when the command is called."""
    app = App(
        name="handful",
        help="Work with images from a handful of labelled examples.",
        version=__version__,
        help_format="markdown",
    )
    for name, summary in COMMANDS.items():
        app.command(f"handful.cli.{name}:{name}", name=name, help=summary)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line after ``handful``.

    Returns
    -------
    int
        0; 2 where what was given cannot be used; 1 where handful itself failed.
    """
    tokens = sys.argv[1:] if arguments is None else list(arguments)
    # cyclopts would import every command to tell them apart
    if tokens and not tokens[0].startswith("-") and tokens[0] not in COMMANDS:
        near = get_close_matches(tokens[0], COMMANDS, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
        return _fail(2, f"no command {tokens[0]!r}: {hint}")
    keep_freed_memory()
    # a photo has a limit of handful's own, above the size at which Pillow begins to warn
    warnings.filterwarnings("ignore", "Image size .* exceeds limit")
    try:
        build()(
            tokens,
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        sys.stdout.flush()
    except (InputError, CycloptsError) as error:
        return _fail(2, str(error))
    except BrokenPipeError:
        # whoever read us has gone; keep the interpreter from complaining at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _fail(130, "interrupted")
    except Exception as error:
        if os.environ.get("HANDFUL_DEBUG"):
            traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
        return _fail(1, f"failed ({reason}); HANDFUL_DEBUG=1 shows where")
    return 0


def _fail(status: int, message: str) -> int:
    print("handful:", " ".join(message.split()), file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
