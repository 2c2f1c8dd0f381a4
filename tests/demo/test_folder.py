from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from otel_coverage.demo.folder import TemporaryFolder


def test_a_folder_goes_though_a_file_is_written_just_before_it_would_be_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    remove, asked = os.rmdir, []

    def late(path: Any, **options: Any) -> None:
        asked.append(path)
        if len(asked) < 3:
            (folder / "sender.json").write_text("{}")
        remove(path, **options)

    with TemporaryFolder() as name:
        folder = Path(name)
        monkeypatch.setattr(os, "rmdir", late)
    assert len(asked) == 3
    assert not folder.exists()


def test_what_cannot_be_deleted_for_another_reason_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(path: Any, **options: Any) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", path)

    folder = TemporaryFolder()
    with monkeypatch.context() as patched:
        patched.setattr(os, "rmdir", busy)
        with pytest.raises(OSError, match="busy"):
            folder.cleanup()
    folder.cleanup()
