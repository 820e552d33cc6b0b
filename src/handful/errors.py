"""Errors that a person can act on: one line, naming the file and the remedy."""

from __future__ import annotations


class HandfulError(Exception):
    """Any failure that handful explains in one line."""


class InputError(HandfulError, ValueError):
    """What was given cannot be used; the message names it and says what to do.

    The command line prints the message alone and ends with exit status 2.
    """
