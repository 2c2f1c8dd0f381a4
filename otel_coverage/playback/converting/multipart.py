"""The parts of a multipart/form-data body (RFC 7578), found without copying files that may be large."""

from __future__ import annotations

import re
from collections.abc import Iterator
from mmap import mmap
from urllib.parse import unquote

from otel_coverage.playback.converting.exchange import Part

_BOUNDARY = re.compile(r'(?i);\s*boundary=(?:"([^"]+)"|([^\s;]+))')
_PARAMETER = re.compile(r'(?i);\s*(name|filename)(\*?)=(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))')
_HEAD_BYTES = 64 * 1024  # of the headers of a part


def parts(kind: str, body: bytes | mmap) -> list[Part]:
    """The parts of a form, in order; one that is cut off, and all after it, are left out.

    Args:
        kind: the media type with its boundary.
        body: the whole body. The contents of files are views of it.
    """
    boundary = _BOUNDARY.search(kind)
    if boundary is None:
        return []
    return list(_parts(b"--" + (boundary[1] or boundary[2]).encode("utf-8", "surrogateescape"), body))


def _parts(delimiter: bytes, body: bytes | mmap) -> Iterator[Part]:
    at, view = body.find(delimiter), memoryview(body)
    while at >= 0:
        at += len(delimiter)
        if body[at : at + 2] == b"--":
            return
        end_of_head = body.find(b"\r\n\r\n", at)
        if end_of_head < 0 or end_of_head - at > _HEAD_BYTES:
            return
        begin = end_of_head + 4
        end = body.find(b"\r\n" + delimiter, begin)
        if end < 0:
            return
        part = _part(body[at:end_of_head].decode("utf-8", "replace"), view[begin:end])
        if part is not None:
            yield part
        at = end + 2


def _part(head: str, content: memoryview) -> Part | None:
    """A part; None for one without a name."""
    name = file = kind = None
    for line in head.split("\r\n"):
        header, _, value = line.partition(":")
        if header.strip().lower() == "content-type":
            kind = value.partition(";")[0].strip()
        elif header.strip().lower() == "content-disposition":
            found = {
                key.lower() + star: _text(quoted, token, star) for key, star, quoted, token in _PARAMETER.findall(value)
            }
            name, file = found.get("name"), found.get("filename*", found.get("filename"))
    if name is None:
        return None
    if file is None:
        return Part(name, bytes(content).decode("utf-8", "replace"))
    return Part(name, "", file, kind or None, content)


def _text(quoted: str, token: str, star: str) -> str:
    """A parameter. Browsers escape quotes and line breaks in names by percent, other clients by a backslash."""
    if star:
        return unquote(token.rpartition("'")[2])
    text = re.sub(r"\\([\\\"])", r"\1", quoted or token)
    return re.sub(r"%(22|0D|0A)", lambda found: chr(int(found[1], 16)), text)
