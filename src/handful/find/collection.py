"""A collection of pictures that can be searched: its files and their features, kept on disk.

The verb knows people's folders; how features lie on disk is a matter of `handful.index`.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from torch import Tensor

from handful import methods, zoo
from handful.answers import Synced
from handful.backbones import NetworkEmbedder
from handful.data.pictures import bare_reason, name
from handful.data.progress import track
from handful.errors import InputError
from handful.images import read
from handful.index.changes import check_folder, compare, content_digest, list_stamps, stamp
from handful.index.manifest import NAME as MANIFEST
from handful.index.manifest import Manifest, Stamp
from handful.index.store import Snapshot, Store
from handful.methods.choice import LOOKED_AT, choose_model
from handful.methods.encoding import encode_pictures
from handful.methods.matcher import Matcher
from handful.methods.prototypes import Prototypes

HIDDEN = ".handful-index"
"""Where the index of a folder lies by default, inside it: hidden, so that it is not searched."""

COMMIT_ROWS, COMMIT_SECONDS = 1024, 5.0
"""Encoded pictures are written after so many, or so long: a kill loses no more than these."""

_LOOK = 256


class Index:
    """The pictures of a folder with their features; it knows no category.

    `build` makes one or goes on with it, `open` opens it.

    Parameters
    ----------
    store : Store
        What is on disk.
    model : Matcher, optional
        The method that encoded the pictures; by default it is loaded by its name when needed.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ...

    Attributes
    ----------
    folder : Path
        The index itself.
    root : Path
        The folder that was indexed.
    model, backbone : str
        What encoded the pictures.
    synced_ : Synced
        What the last `sync` of this object did.

    Notes
    -----
    Killed at any moment, it opens and holds the pictures that were committed; `sync` goes on from
    there. One process writes at a time, others search what was there when they opened it.

    Examples
    --------
    >>> import tempfile
    >>> from handful.data.samples import omniglot
    >>> where = Path(tempfile.mkdtemp()) / "index"
    >>> index = Index.build(omniglot().folder / "query", where)
    >>> index.model, len(index) == index.synced_.added > 40
    ('omniglot-small', True)
    >>> index.sync().added
    0
    """

    synced_: Synced

    def __init__(self, store: Store, model: Matcher | None = None, device: str = "auto") -> None:
        self.store = store
        self.device = device
        about = store.manifest.about
        self.folder = store.folder
        self.root = Path(json.loads(about["root"]))
        self.model, self.backbone = about["model"], about["backbone"]
        self.chosen = about["chosen"]
        self._weights = about["weights"]
        self._matcher: Matcher | None = None
        if model is not None:
            self._matcher = self._same(model)

    @classmethod
    def build(
        cls,
        folder: str | os.PathLike[str],
        out: str | os.PathLike[str] | None = None,
        model: str | os.PathLike[str] | Matcher = "auto",
        device: str = "auto",
    ) -> Self:
        """Index the pictures of a folder, or bring the index that is there up to date.

        Parameters
        ----------
        folder : path-like
            The pictures, in sub-folders too.
        out : path-like, optional
            The folder of the index; by default `HIDDEN` inside the folder of the pictures.
        model : str, path or Matcher
            ``"auto"`` (drawings or photos, see `handful.methods.choice`), a name of the zoo,
            the directory of a saved entry, or a method object.
        device : str
            ``"auto"``, ``"cpu"``, ``"cuda"``, ...

        Raises
        ------
        InputError
            No folder, no image in it, another model or folder than those of the index, or a
            model that does not compare by cosine.
        """
        root = Path(folder).absolute()
        where = Path(out) if out is not None else root / HIDDEN
        if Manifest.exists(where):
            index = cls._reopen(root, where, model, device)
        else:
            index = cls._begin(root, where, model, device)
        index.sync()
        return index

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        model: Matcher | None = None,
        device: str = "auto",
    ) -> Self:
        """Open what `build` made: the folder of the index, or the folder that was indexed.

        Raises
        ------
        InputError
            No index there, or a damaged one.
        """
        folder = Path(path)
        if not Manifest.exists(folder) and Manifest.exists(folder / HIDDEN):
            folder = folder / HIDDEN
        return cls(Store(folder), model, device)

    @classmethod
    def _begin(
        cls, root: Path, where: Path, model: str | os.PathLike[str] | Matcher, device: str
    ) -> Self:
        others = where.iterdir() if where.is_dir() else ()
        # a manifest that a killed process had only begun is no obstacle
        if not all(found.name.startswith(MANIFEST) for found in others):
            raise InputError(f"{where}: holds other files; give a folder for the index alone")
        paths = [root / found.path for found in list_stamps(root)]
        if not paths:
            raise InputError(f"{root}: no images in this folder; give one that holds some")
        matcher, named, chosen = _load(model, device, paths)
        if not isinstance(matcher, Prototypes):
            raise InputError(f"{matcher.name}: does not compare by cosine; take another --model")
        about = {
            "root": json.dumps(str(root)),
            "model": named,
            "backbone": matcher.backbone,
            "chosen": chosen,
            "weights": weights_digest(matcher),
        }
        return cls(Store.create(where, about), matcher, device)

    @classmethod
    def _reopen(
        cls, root: Path, where: Path, model: str | os.PathLike[str] | Matcher, device: str
    ) -> Self:
        if isinstance(model, str | os.PathLike):
            index = cls(Store(where), None, device)
            if str(model) != "auto" and _absolute(model) != index.model:
                raise InputError(f"{where}: is of {index.model}, not {model}; give another --out")
        else:
            index = cls(Store(where), model, device)
        if index.root != root:
            if index.root.is_dir() and not index.root.samefile(root):
                raise InputError(f"{where}: is of {index.root}; give another --out for {root}")
            with index.store.writing(), index.store.manifest.change():
                index.store.manifest.tell("root", json.dumps(str(root)))
            index.root = root
        return index

    def __len__(self) -> int:
        return len(self.store)

    @property
    def images(self) -> list[str]:
        """The paths of the pictures, in the order of their rows."""
        return [str(self.root / path) for path in self.store.entries()]

    @property
    def matcher(self) -> Matcher:
        """The method that encoded the pictures.

        Raises
        ------
        InputError
            Its weights are not those that the pictures were encoded with.
        """
        if self._matcher is None:
            self._matcher = self._same(methods.load(self.model, device=self.device))
        return self._matcher

    def _same(self, matcher: Matcher) -> Matcher:
        if weights_digest(matcher) != self._weights:
            raise InputError(
                f"{self.folder}: was made with other weights than those of {matcher.name} now;"
                " index the folder anew with another --out"
            )
        return matcher

    def sync(self) -> Synced:
        """Bring the index up to its folder: new, changed, moved and removed files.

        Returns
        -------
        Synced
            How many there were of each, and what cannot be read.

        Raises
        ------
        InputError
            The folder is gone or empty, or another process is writing.
        """
        manifest, start = self.store.manifest, time.perf_counter()
        with self.store.writing():
            now, before = list_stamps(self.root), self.store.entries()
            check_folder(self.root, now, len(before))
            changes = compare(self.root, now, before)
            bad = manifest.unreadable()
            still = {found.path for found in now if bad.get(found.path, (None,))[0] == found}
            with manifest.change():
                manifest.remove(changes.removed)
                manifest.restamp([*changes.moved, *changes.touched])
                manifest.forget_unreadable(bad.keys() - still)
            todo = [s for s in (*changes.new, *changes.changed) if s.path not in still]
            added = self._read(todo)
            self.store.merge()
        changed = added & {found.path for found in changes.changed}
        skipped = [(str(self.root / path), why) for path, (_, why) in manifest.unreadable().items()]
        self.synced_ = Synced(
            index=str(self.folder),
            images=len(self),
            added=len(added) - len(changed),
            changed=len(changed),
            moved=len(changes.moved),
            removed=len(changes.removed),
            skipped=tuple(skipped),
            model=self.model,
            backbone=self.backbone,
            chosen=self.chosen,
            seconds=round(time.perf_counter() - start, 3),
        )
        return self.synced_

    def _read(self, todo: Sequence[Stamp]) -> set[str]:
        """Encode files and add them, a commit at a time; return the paths that were added."""
        pending: dict[str, tuple[Stamp, bytes]] = {}
        stamps = {str(self.root / found.path): found for found in todo}
        skipped: list[tuple[str, str]] = []
        files: list[tuple[Stamp, bytes]] = []
        features: list[Tensor] = []
        added: set[str] = set()
        if not todo:
            return added

        def feed() -> Iterator[Path]:
            for found in track(todo, "Indexing", len(todo)):
                # the look comes first: a file that is written meanwhile will look changed
                fresh = stamp(self.root, found.path)
                path = self.root / found.path
                digest = content_digest(path)
                if fresh is not None and digest is not None:
                    pending[str(path)] = fresh, digest
                yield path

        def commit() -> None:
            self._note_unreadable(skipped, stamps)
            skipped.clear()
            if files:
                rows = np.concatenate([part.numpy() for part in features])
                self.store.append(files, rows)
                added.update(found.path for found, _ in files)
            files.clear()
            features.clear()

        last = time.monotonic()
        for batch, encoded in encode_pictures(self.matcher, feed(), skipped):
            known = [pending.pop(str(name(picture)), None) for picture in batch.pictures]
            inside = [place for place, found in enumerate(known) if found is not None]
            files += [found for found in known if found is not None]
            features.append(encoded[inside])
            if len(files) >= COMMIT_ROWS or time.monotonic() - last >= COMMIT_SECONDS:
                commit()
                last = time.monotonic()
        commit()
        return added

    def _note_unreadable(
        self, skipped: Sequence[tuple[str, str]], stamps: dict[str, Stamp]
    ) -> None:
        with self.store.manifest.change():
            for path, why in skipped:
                found = stamps[path]
                entry = self.store.manifest.place_of(found.path)
                if entry is not None:
                    self.store.manifest.remove([entry[0].id])
                if (self.root / found.path).exists():
                    self.store.manifest.set_unreadable(found, bare_reason(why, path))

    def snapshot(self) -> Snapshot:
        """Return the rows as they are now."""
        return self.store.snapshot()

    def row_of(self, snapshot: Snapshot, path: str | os.PathLike[str]) -> int | None:
        """Return the row of a picture by its path, None where it is not indexed as it is now."""
        # links inside the folder are followed when it is listed; the folder may be behind one too
        full, root = Path(os.path.abspath(path)), self.root  # noqa: PTH100
        if not full.is_relative_to(root):
            full, root = full.resolve(), root.resolve()
        if not full.is_relative_to(root):
            return None
        inside = full.relative_to(root).as_posix()
        found = self.store.find(snapshot, inside)
        if found is None or stamp(self.root, inside) != found[0].stamp:
            return None
        return found[1]

    def paths(self, snapshot: Snapshot, rows: Sequence[int]) -> list[str]:
        """Return the paths of the pictures of some rows."""
        return [str(self.root / path) for path in self.store.paths(snapshot, rows)]


def weights_digest(matcher: Matcher) -> str:
    """Return the SHA-256 of the weights that a method encodes with; of none, that of nothing."""
    digest = hashlib.sha256()
    embedder = getattr(matcher, "embedder", None)
    if isinstance(embedder, NetworkEmbedder):
        for key, value in sorted(embedder.network.state_dict().items()):
            digest.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
            digest.update(value.detach().cpu().contiguous().view(-1).numpy().tobytes())
        # the same weights at another size give other features
        digest.update(f"side {embedder.side}".encode())
    return digest.hexdigest()


def _absolute(model: str | os.PathLike[str]) -> str:
    return str(Path(model).resolve()) if zoo.is_entry(model) else str(model)


def _load(
    model: str | os.PathLike[str] | Matcher, device: str, paths: Sequence[Path]
) -> tuple[Matcher, str, str]:
    """Return the method, the name to load it by again, and why it was chosen."""
    if not isinstance(model, str | os.PathLike):
        return model, model.name, "as given"
    if str(model) != "auto":
        return methods.load(model, device=device), _absolute(model), "as asked"
    step = (len(paths) - 1) / max(1, min(len(paths), LOOKED_AT) - 1)
    looked = []
    for place in range(min(len(paths), LOOKED_AT)):
        try:
            looked.append(read(paths[round(place * step)], at_least=_LOOK))
        except InputError:
            continue  # a file that cannot be read is told of where all are
    if not looked:
        raise InputError(f"{paths[0].parent}: none of its images can be read; see {paths[0]}")
    named, chosen = choose_model(len(looked), looked.__getitem__)
    return methods.load(named, device=device), named, chosen
