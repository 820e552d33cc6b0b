"""Pictures to features at the speed of the machine: decoding and network side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from handful.allocator import keep_freed_memory
from handful.backbones import NetworkEmbedder
from handful.data.class_folders import ClassFolders
from handful.data.pictures import BATCH, Batch, Picture, bare_reason, cores, decode_ahead
from handful.data.progress import track
from handful.errors import InputError
from handful.methods.decoding import enough_side
from handful.methods.matcher import Matcher


def encode_pictures(
    matcher: Matcher,
    pictures: Iterable[Picture],
    skipped: list[tuple[str, str]] | None = None,
) -> Iterator[tuple[Batch, Tensor]]:
    """Encode pictures a batch at a time, the next ones being decoded and encoded meanwhile.

    Parameters
    ----------
    matcher : Matcher
        The method.
    pictures : iterable of pictures
        Consumed a bounded number ahead.
    skipped : list, optional
        Where given, a picture that cannot be read is appended with the reason, and left out.

    Yields
    ------
    batch, features : Batch, Tensor
        The pictures in the order given, and their features (n, ...).

    Raises
    ------
    InputError
        A picture cannot be read, and `skipped` is None.

    Notes
    -----
    A network on the CPU takes several batches at once, each on one thread, and the decoders are
    of the same threads: as many as there are cores are busy, no more. One batch on several
    threads would have them wait for one another at every layer, spinning on the cores that the
    decoders need: with two cores so, a photo costs eight times the processor time.
    """
    keep_freed_memory()
    embedder = getattr(matcher, "embedder", None)
    network = embedder if isinstance(embedder, NetworkEmbedder) else None
    size = BATCH if network is None else min(BATCH, network.batch)
    side, threads = enough_side(matcher), torch.get_num_threads()
    if network is None or network.device != "cpu" or threads == 1:
        for batch in decode_ahead(pictures, skipped, size, side):
            yield batch, matcher.encode(batch.images)
        return
    workers = cores()
    pool = ThreadPoolExecutor(workers, "encode", torch.set_num_threads, (1,))
    waiting: deque[tuple[Batch, Future[Tensor]]] = deque()
    try:
        for batch in decode_ahead(pictures, skipped, size, side, pool):
            waiting.append((batch, pool.submit(matcher.encode, batch.images)))
            if len(waiting) > workers:
                done, features = waiting.popleft()
                yield done, features.result()
        while waiting:
            done, features = waiting.popleft()
            yield done, features.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        # what the threads of the pool set holds for all that come later
        torch.set_num_threads(threads)


@dataclass(frozen=True, eq=False)
class EncodedFolder:
    """The features of a folder of classes.

    Attributes
    ----------
    folder : ClassFolders
        The images that could be read; the others are among its ``skipped``.
    features : Tensor
        (N, ...), one row per image.
    """

    folder: ClassFolders
    features: Tensor


def encode_folder(
    matcher: Matcher,
    folder: ClassFolders,
    after: Callable[[Tensor], Tensor] | None = None,
) -> EncodedFolder:
    """Encode every image of a folder; files that cannot be read are skipped.

    Parameters
    ----------
    matcher : Matcher
        The method.
    folder : ClassFolders
        The images.
    after : callable, optional
        What is kept of the features (n, ...) of some images, (n, ...).

    Raises
    ------
    InputError
        No image can be read, or the features are not numbers.
    """
    unread: list[tuple[str, str]] = []
    kept: list[int] = []
    features: Tensor | None = None
    pictures = track(folder.pictures, f"encoding with {matcher.name}", len(folder))
    for batch, part in encode_pictures(matcher, pictures, unread):
        if not part.isfinite().all():
            raise InputError(
                f"{matcher.name}: its features are not numbers; its weights are damaged"
            )
        part = part if after is None else after(part)
        if features is None:  # the whole is allocated once: two copies of it may be gigabytes
            features = part.new_empty(len(folder), *part.shape[1:])
        features[len(kept) : len(kept) + len(part)] = part
        kept += batch.places
    if features is None:
        raise InputError(f"{folder.root}: none of its images can be read ({unread[0][1]})")
    skipped = [(folder.name(path), bare_reason(why, path)) for path, why in unread]
    return EncodedFolder(folder.take(kept, skipped), features[: len(kept)])
