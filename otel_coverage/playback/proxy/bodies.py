"""What is kept of bodies that pass: requests as a whole, in files where they are large, answers as their beginning."""

from __future__ import annotations

import tempfile
import zlib
from mmap import ACCESS_READ, mmap

from otel_coverage.playback.converting.exchange import KEPT_TEXT

MAX_BODY = 256  # megabytes of a request's body
_IN_MEMORY = 1024 * 1024
_BYTES_OF_TEXT = 4 * KEPT_TEXT  # of UTF-8


class RequestBody:
    """The body of a request. A large one lies in a file without a name: nothing of it is left, however it ends.

    Attributes:
        lost: why it is not known; empty where it is.
    """

    def __init__(self, limit: int) -> None:
        """
        Args:
            limit: in bytes.
        """
        self.lost = ""
        self._limit = limit
        self._length = 0
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - it ends with the object

    def write(self, chunk: bytes) -> None:
        """Keep a piece of it, where there is room. Never raises."""
        self._length += len(chunk)
        if self.lost:
            return
        if self._length > self._limit:
            self.lose(f"its body has more than {self._limit / 1e6:g} MB (--max-body) and was not recorded")
            return
        try:
            self._file.write(chunk)
        except OSError as error:
            self.lose(f"its body was not recorded: {error.strerror or error}, in {tempfile.gettempdir()}")

    def lose(self, reason: str) -> None:
        """Forget it."""
        self.lost = reason
        self._file.close()

    def content(self) -> bytes | mmap:
        """All of it."""
        if self._length <= _IN_MEMORY:
            self._file.seek(0)
            return self._file.read()
        self._file.flush()
        return mmap(self._file.fileno(), 0, access=ACCESS_READ)


class AnswerText:
    """The beginning of an answer that is HTML or JSON; what else is sent is not looked at."""

    def __init__(self, media_type: str, coding: str) -> None:
        """
        Args:
            media_type: of the answer, with its character set.
            coding: its content coding; empty for none.
        """
        kind, _, parameters = media_type.lower().partition(";")
        _, _, charset = parameters.partition("charset=")
        self._charset = charset.partition(";")[0].strip(" \"'") or "utf-8"
        self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 32) if coding in ("gzip", "x-gzip", "deflate") else None
        is_known = self._decoder is not None or coding in ("", "identity")
        self._room = _BYTES_OF_TEXT if is_known and ("html" in kind or "json" in kind) else 0
        self._kept: list[bytes] = []

    def write(self, chunk: bytes) -> None:
        """Keep a piece of it, where there is room. Never raises."""
        if not self._room:
            return
        try:
            text = chunk if self._decoder is None else self._decoder.decompress(chunk, self._room)
        except zlib.error:  # deflate without the header that it should have, or not compressed at all
            self._room = 0
            return
        self._kept.append(text[: self._room])
        self._room -= len(self._kept[-1])

    def text(self) -> str:
        """What was kept."""
        content = b"".join(self._kept)
        try:
            return content.decode(self._charset, "replace")[:KEPT_TEXT]
        except LookupError:
            return content.decode("utf-8", "replace")[:KEPT_TEXT]
