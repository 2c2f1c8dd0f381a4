"""Appending to a spool, and reading it as its sender does."""

from __future__ import annotations

import multiprocessing
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.framing import Damage, Frame
from otel_coverage.settings import Settings
from otel_coverage.spool import Spool
from otel_coverage.spool.folder import make_private, service_name, spool_folder
from otel_coverage.spool.spool_file import START, SpoolFile

T = TypeVar("T")
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


def messages(folder: Path) -> list[bytes]:
    return as_sender(lambda: [message for path in files(folder) for message in unsent(path)])


def unsent(path: Path) -> list[bytes]:
    return [frame.payload for frame in SpoolFile(path).unsent() if isinstance(frame, Frame)]


def as_sender(action: Callable[[], T]) -> T:
    """Call it in another process: a process that closes a file gives up all of its locks on it."""
    receiving, sending = FORK.Pipe(duplex=False)
    child = FORK.Process(target=lambda: sending.send(action()))
    child.start()
    answer: T = receiving.recv()
    child.join()
    return answer


def in_child(action: Callable[..., object], *args: object) -> None:
    process = FORK.Process(target=action, args=args)
    process.start()
    process.join()
    assert process.exitcode == 0


def test_what_a_process_and_its_forked_children_append_lies_in_one_private_file(folder: Path) -> None:
    spool = Spool(folder)
    assert spool.append(b"parent")
    in_child(spool.append, b"child")
    assert messages(folder) == [b"parent", b"child"]
    (file,) = files(folder)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_nothing_is_created_before_something_is_appended(folder: Path) -> None:
    Spool(folder)
    assert not folder.exists()


def _append_many(spool: Spool, name: bytes) -> None:
    for _ in range(300):
        assert spool.append(name * 5000)


def test_what_eight_children_append_at_once_stays_whole(folder: Path) -> None:
    spool = Spool(folder)
    assert spool.open()
    names = [bytes([65 + number]) for number in range(8)]
    children = [FORK.Process(target=_append_many, args=(spool, name)) for name in names]
    for child in children:
        child.start()
    for child in children:
        child.join()
    found = messages(folder)
    assert sorted(found) == sorted(name * 5000 for name in names for _ in range(300))
    assert len(files(folder)) == 1


def test_a_torn_frame_is_reported_and_what_follows_is_read(folder: Path) -> None:
    spool = Spool(folder)
    spool.append(b"first")
    (path,) = files(folder)
    with path.open("ab") as file:
        file.write(path.read_bytes()[START : START + 26])  # a process was killed while it wrote
    spool.append(b"second")
    found = list(SpoolFile(path).unsent())
    assert [item.payload for item in found if isinstance(item, Frame)] == [b"first", b"second"]
    assert [(item.end - item.start, item.is_tail) for item in found if isinstance(item, Damage)] == [(26, False)]


def test_what_was_acknowledged_is_not_read_again_and_its_space_is_freed(folder: Path) -> None:
    spool = Spool(folder)
    spool.append(b"first")
    spool.append(b"second")
    (path,) = files(folder)

    def acknowledge(number: int) -> bool:
        file = SpoolFile(path)
        file.acknowledge(list(file.unsent())[number - 1].end)
        return file.reclaim()

    assert not as_sender(lambda: acknowledge(1))
    assert messages(folder) == [b"second"]
    assert not as_sender(lambda: acknowledge(1))
    assert path.stat().st_size == START
    spool.append(b"third")
    assert messages(folder) == [b"third"]


def test_a_file_whose_owner_has_ended_goes_once_it_is_drained(folder: Path) -> None:
    spool = Spool(folder)

    def own() -> None:
        spool.append(b"first")

    in_child(own)
    (path,) = files(folder)
    file = SpoolFile(path)
    assert not file.reclaim()
    file.acknowledge(file.size)
    assert file.reclaim()
    assert files(folder) == []


def test_no_more_than_its_bytes_are_kept(folder: Path) -> None:
    spool = Spool(folder, max_bytes=10_000)
    outcomes = [spool.append(b"x" * 1000) for _ in range(20)]
    assert 5 <= sum(outcomes) < 10
    assert outcomes == sorted(outcomes, reverse=True)


def test_a_full_disk_leaves_no_torn_frame(folder: Path) -> None:
    spool = Spool(folder)

    def fill() -> None:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        assert spool.append(b"kept")
        assert not spool.append(b"x" * 10_000)
        assert spool.append(b"kept, too")

    in_child(fill)
    (path,) = files(folder)
    assert [type(item) for item in SpoolFile(path).unsent()] == [Frame, Frame]


def test_a_message_larger_than_what_is_read_at_once_arrives_whole(folder: Path) -> None:
    spool = Spool(folder)
    large = os.urandom(20 * 1024 * 1024)
    for message in (b"before", large, b"after"):
        assert spool.append(message)
    assert messages(folder) == [b"before", large, b"after"]


def test_without_a_folder_nothing_is_kept() -> None:
    assert not Spool(None).append(b"lost")


def test_a_folder_that_others_can_write_to_is_refused(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.mkdir(mode=0o700)
    folder.chmod(0o777)
    with pytest.raises(ConfigurationError, match="other users can write to it"):
        make_private(folder)
    assert not Spool(folder).append(b"lost")


def test_a_symbolic_link_in_place_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="is a symbolic link"):
        make_private(folder)


def test_the_folder_is_one_of_the_user_and_the_service(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path), "OTEL_SERVICE_NAME": "shop/web"}
    assert spool_folder(Settings(), environ) == tmp_path / "otel-coverage/spool/shop_web"
    assert spool_folder(Settings(spool="off"), environ) is None
    assert spool_folder(Settings(spool="/x"), environ) == Path("/x")
    assert service_name({"OTEL_RESOURCE_ATTRIBUTES": "a=b,service.name=shop%20web"}) == "shop_web"
    assert service_name({"OTEL_SERVICE_NAME": ".."}) == "unknown_service"


def test_a_file_of_the_applications_is_left_alone_where_it_has_got_the_spools_descriptor(
    folder: Path, tmp_path: Path
) -> None:
    spool = Spool(folder)
    assert spool.append(b"first")
    descriptor = spool._fd
    assert descriptor is not None
    theirs = os.open(tmp_path / "theirs", os.O_RDWR | os.O_CREAT)
    os.dup2(theirs, descriptor)  # as where a daemon closes all that it has inherited, and opens a file then
    try:
        assert spool.append(b"second")
        assert (tmp_path / "theirs").read_bytes() == b""
        os.fstat(descriptor)  # which is open
    finally:
        os.close(descriptor)
        os.close(theirs)
    assert len(list(folder.glob("*.spool"))) == 2
