"""The lines of a text file: decoded, without blank lines and comments, counted."""

from __future__ import annotations

import codecs
import contextlib
import io
from collections import deque
from pathlib import Path

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.archives import Unpacked

_CHUNK_BYTES = 1 << 18
_LONGEST = 1 << 20


def encoding_of(head: bytes) -> str:
    """The encoding that the first bytes show: UTF-16 and UTF-32 by their mark or zeros, or UTF-8."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = head[0:1000:2].count(0), head[1:1000:2].count(0)
    if max(even, odd) > 0.4 * len(head[:1000]) / 2 and min(even, odd) == 0:
        return "utf-16-le" if odd else "utf-16-be"
    return "utf-8"


class Lines:
    """What pandas reads: whole lines of text, the next ones with each call.

    count: lines handed out so far. comments: lines left out. odd_quotes: the first line of the file in which
    quotes have no partner, 0 for none.
    """

    def __init__(
        self,
        source: Unpacked,
        path: Path,
        encoding: str | None,
        comment: str | None,
        cut: tuple[str, str] | None = None,
    ) -> None:
        """cut: what separates cells in the file, and what stands there in what is read."""
        self.encoding = encoding or encoding_of(source.head)
        self._cut = cut
        self._source, self._path, self._comment = source, path, comment
        self._decoder = io.IncrementalNewlineDecoder(_decoder(path, self.encoding), translate=True)
        self._waiting: deque[str] = deque()
        self._rest = ""
        self._line = 0
        self._ended = False
        self.count = self.comments = self.odd_quotes = 0

    def next(self) -> str | None:
        """One line without its end; None after the last."""
        while not self._waiting and not self._ended:
            self._fill()
        if not self._waiting:
            return None
        self.count += 1
        return self._waiting.popleft()

    def put_back(self, line: str) -> None:
        self._waiting.appendleft(line)
        self.count -= 1

    def read(self, size: int = -1) -> str:
        """Lines with their ends, about a buffer of them whatever the size; nothing at the end."""
        while not self._waiting and not self._ended:
            self._fill()
        lines, self._waiting = self._waiting, deque()
        self.count += len(lines)
        return "\n".join(lines) + "\n" if lines else ""

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        line = self.next()
        if line is None:
            raise StopIteration
        return line + "\n"

    def _fill(self) -> None:
        data = self._source.read(_CHUNK_BYTES)
        self._ended = not data
        try:
            text = self._decoder.decode(data, final=not data)
        except UnicodeError as error:
            raise self._undecodable(error) from error
        *lines, self._rest = (self._rest + text).split("\n")
        if self._ended and self._rest:
            lines, self._rest = [*lines, self._rest], ""
        if "\0" in text:
            raise FedMFError(f"{self._path}: cannot be read: it is no text, it holds zero bytes")
        if len(self._rest) > _LONGEST:
            line = self._line + len(lines)
            raise FedMFError(
                f"{self._path}: cannot be read: a line after line {line} has over {_LONGEST:,} characters"
            )
        if not self.odd_quotes and '"' in text:
            odd = (at for at, line in enumerate(lines, self._line + 1) if line.count('"') % 2)
            self.odd_quotes = next(odd, 0)
        self._line += len(lines)
        kept = [line for line in lines if not line.isspace() and line]
        if self._cut:
            kept = [line.replace(*self._cut) for line in kept]
        if self._comment:
            comment, before = self._comment, len(kept)
            kept = [line for line in kept if not line.startswith(comment)]
            self.comments += before - len(kept)
        self._waiting.extend(kept)

    def _undecodable(self, error: UnicodeError) -> FedMFError:
        line = self._line + 1
        if isinstance(error, UnicodeDecodeError):
            line += error.object[: error.start].count(b"\n")
        return FedMFError(
            f"{self._path}: line {line} is not {self.encoding.upper()} text: set ratings.encoding, "
            "for example to latin-1 or cp1252"
        )


def _decoder(path: Path, encoding: str) -> codecs.IncrementalDecoder:
    try:
        with contextlib.suppress(UnicodeError):
            b"a".decode(encoding)  # encodings of other things than text are unknown here
        name = codecs.lookup(encoding).name
        return codecs.getincrementaldecoder("utf-8-sig" if name == "utf-8" else name)("strict")
    except (LookupError, ValueError):
        raise FedMFError(
            f"{path}: ratings.encoding: {encoding!r} is no encoding: for example utf-8, utf-16, latin-1"
        ) from None
