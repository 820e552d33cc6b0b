"""Find: the pictures of a collection that show what a few examples show."""

from handful.find.collection import Index
from handful.find.finder import Finder

__all__ = ["Finder", "Index"]
