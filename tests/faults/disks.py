"""Disks of their own: one that is soon full, and one that forgets what was not synced when its power is cut.

Both need the right to mount. Where it is lacking, what is used instead shows less, and a warning says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MEGABYTE = 1024 * 1024


class SmallDisk:
    """A folder with little space, and another writer that takes what is left.

    Attributes:
        path: the folder.
        is_real: whether it is a file system of its own.
    """

    def __init__(self, path: Path, *, is_real: bool) -> None:
        self.path = path
        self.is_real = is_real
        self._filler = path / "of-another-writer"

    def fill(self, *, leave: int = 0) -> None:
        """Have the other writer take all space but so many bytes."""
        free = os.statvfs(self.path)
        size = max(free.f_bavail * free.f_frsize - leave, 0)
        if self.is_real and size:
            with self._filler.open("ab") as file:
                for _ in range(0, size, MEGABYTE):
                    try:
                        file.write(b"\0" * min(size, MEGABYTE))
                        file.flush()
                    except OSError:
                        break  # it is full
                    size -= MEGABYTE

    def free(self) -> None:
        """Have the other writer delete what it has written."""
        self._filler.unlink(missing_ok=True)

    @contextmanager
    def contested(self, leave: int) -> Iterator[None]:
        """The other writer fills and frees the disk by turns meanwhile."""
        done = threading.Event()

        def write() -> None:
            while not done.is_set():
                self.fill(leave=leave)
                done.wait(0.3)
                self.free()
                done.wait(0.1)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """A file system in memory, of that size; else a plain folder, on which nothing runs full."""
    path = folder / "small"
    path.mkdir()
    with _mounted(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(path)], path) as error:
        if error:
            warnings.warn(
                pytest.PytestWarning(f"no full disk was tried, as nothing can be mounted: {error}"), stacklevel=2
            )
        yield SmallDisk(path, is_real=not error)


class CutDisk:
    """A disk whose power can be cut. What was written and not synced is gone then, but for what the system had written.

    Attributes:
        path: where it is mounted.
    """

    def __init__(self, folder: Path, megabytes: int) -> None:
        self._folder = folder
        self._megabytes = megabytes
        self._number = 0
        self._image = folder / "disk-0.img"
        self.path = folder / "disk-0"
        self.is_real = False

    def open(self) -> None:
        """Make and mount it."""
        self.path.mkdir()
        try:
            with self._image.open("wb") as file:
                file.truncate(self._megabytes * MEGABYTE)
            subprocess.run(["mkfs.ext4", "-q", "-F", self._image], check=True, capture_output=True)
            self._mount()
            self.is_real = True
        except (OSError, subprocess.CalledProcessError) as error:
            detail = getattr(error, "stderr", b"") or str(error).encode()
            warnings.warn(
                pytest.PytestWarning(f"no power was cut, as nothing can be mounted: {detail.decode().strip()}"),
                stacklevel=2,
            )

    def cut(self) -> None:
        """Continue with what is on the disk at this moment; ``path`` changes."""
        self._number += 1
        image, path = self._folder / f"disk-{self._number}.img", self._folder / f"disk-{self._number}"
        path.mkdir()
        if self.is_real:
            subprocess.run(["cp", "--sparse=always", self._image, image], check=True)
            self.close()
            self._image, self.path = image, path
            self._mount()
        else:
            shutil.copytree(self.path, path, dirs_exist_ok=True)
            self.path = path

    def close(self) -> None:
        """Unmount it."""
        if self.is_real:
            subprocess.run(["umount", "--lazy", self.path], check=True, capture_output=True)

    def _mount(self) -> None:
        # the system itself writes as late as it may
        command = ["mount", "-o", "loop,commit=600", str(self._image), str(self.path)]
        subprocess.run(command, check=True, capture_output=True)


@contextmanager
def cut_disk(folder: Path, megabytes: int = 1024) -> Iterator[CutDisk]:
    """A disk whose power can be cut; else a plain folder, whose content is copied."""
    disk = CutDisk(folder, megabytes)
    disk.open()
    try:
        yield disk
    finally:
        disk.close()


@contextmanager
def _mounted(command: list[str], path: Path) -> Iterator[str]:
    """Mounts; the error where that was refused."""
    try:
        error = subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()
    except OSError as refused:
        error = str(refused)
    try:
        yield error
    finally:
        if not error:
            subprocess.run(["umount", "--lazy", str(path)], check=True)
