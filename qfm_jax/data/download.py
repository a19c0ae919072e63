"""Files from the first mirror that delivers them, verified by SHA-256."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

_TIMEOUT = (5, 30)
"""Seconds to wait for a connection and for the next bytes."""


class DownloadError(OSError):
    """No mirror delivered every file; says why for each."""


def download(
    checksums: Mapping[str, str], mirrors: Sequence[str], folder: Path
) -> None:
    """Completes `folder`; files that it holds with the right checksum stay.

    Args:
        checksums: SHA-256 of each file, by name.
        mirrors: addresses to which a name is appended, tried in this order.
        folder: is made if need be.

    Raises:
        DownloadError: if no mirror delivers what is missing.

    Example:
        >>> download({}, ["https://nowhere.invalid/"], Path("nothing to do"))
    """
    failures = []
    for mirror in mirrors:
        try:
            for file, sha256 in checksums.items():
                _retrieve(mirror, file, sha256, folder)
            return
        except (OSError, ValueError) as error:  # those of requests are OSErrors
            reason = textwrap.shorten(f"{type(error).__name__}: {error}", 100)
            failures.append(f"{mirror} ({reason})")
    raise DownloadError("; ".join(failures))


def _retrieve(mirror: str, file: str, sha256: str, folder: Path) -> None:
    """Downloads a file unless `folder` holds it with the right checksum.

    Pooch writes to a temporary name in `folder`, verifies and only then renames, so
    an interrupted download leaves nothing under the name that a later run reads.
    """
    import pooch

    with _DownloadBar(file) as bar:
        downloader = pooch.HTTPDownloader(
            progressbar=bar,
            chunk_size=2**16,
            timeout=_TIMEOUT,
            # Some servers would unpack a .gz on its way.
            headers={"Accept-Encoding": "identity"},
        )
        url = mirror + file
        pooch.retrieve(url, sha256, fname=file, path=folder, downloader=downloader)


class _DownloadBar:
    """What pooch asks of a progress bar, drawn by rich from the first bytes on."""

    def __init__(self, file: str) -> None:
        self.total = 0
        self._file = file
        self._progress: Progress | None = None

    def __enter__(self) -> "_DownloadBar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def update(self, n_bytes: int) -> None:
        if self._progress is None:
            self._progress = _started_progress(self._file, self.total)
        self._progress.advance(self._progress.task_ids[0], n_bytes)

    def reset(self) -> None:
        if self._progress is not None:
            self._progress.reset(self._progress.task_ids[0])

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()


def _started_progress(file: str, n_bytes: int) -> "Progress":
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TimeRemainingColumn(),
    )
    progress = bars.Progress(*columns, console=Console(stderr=True))
    progress.add_task(file, total=n_bytes or None)
    progress.start()
    return progress
