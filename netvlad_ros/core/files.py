"""Files that are read only if they are plain, and written completely or not at all."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from netvlad_ros.core.errors import NetvladError

AT_FDCWD = -100  # renameat2: paths are relative to the working directory
RENAME_EXCHANGE = 2  # renameat2: swap the two


def read_plain(path: Path, most_bytes: int, what: str) -> bytes:
    """Read a file that open_plain opens, for its arguments and errors."""
    try:
        with open_plain(path, most_bytes, what) as file:
            return file.read(min(os.fstat(file.fileno()).st_size, most_bytes))
    except OSError as error:
        raise NetvladError(f'{what} cannot be read: {error.strerror}') from error


def open_plain(path: Path, most_bytes: int, what: str) -> BinaryIO:
    """Open a plain file of limited size; a FIFO or device, which may never end, is refused.

    Args:
        path: the file.
        most_bytes: largest size.
        what: names the file in errors.

    Raises:
        NetvladError: the file is missing, no plain file, too large, or cannot be read.
    """
    try:
        # Without O_NONBLOCK, opening a FIFO waits for somebody who writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise NetvladError(f'{what} cannot be read: {error.strerror}') from error
    found = os.fstat(descriptor)
    problem = ''
    if not stat.S_ISREG(found.st_mode):
        problem = 'is no plain file'
    elif found.st_size > most_bytes:
        problem = f'is larger than {most_bytes} bytes'
    if problem:
        os.close(descriptor)
        raise NetvladError(f'{what} {problem}')
    return os.fdopen(descriptor, 'rb')


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, completely or not at all.

    Raises:
        NetvladError: the file cannot be written; what was there before stays.
    """
    try:
        write_durably(path, lambda temporary: temporary.write_bytes(data))
    except OSError as error:
        raise NetvladError(f'{path} cannot be written: {error.strerror}') from error


def write_durably(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file, sync it to the disk and rename it to `path`.

    A crash, a full disk or a killed process leaves the file that was there before, or none.

    Raises:
        OSError: from the system, such as a full disk; the temporary file is removed.
    """
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        write(temporary)
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)  # the new name, too, must survive a power failure
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a temporary directory beside `target`, which replaces it when the block succeeds.

    If the block raises (Ctrl-C included) the temporary directory is removed and `target` stays as
    it was.

    Args:
        target: the directory to write.
        overwrite: whether a directory that exists is replaced.

    Raises:
        NetvladError: target exists and overwrite is False, or it cannot be written.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100, resolve() would follow a link
    if target.exists() and not overwrite:
        raise NetvladError(f'{target} exists already; choose another folder or pass --overwrite')
    temporary = target.with_name(f'.{target.name}.tmp-{os.getpid()}')
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_orphans(target)
        temporary.mkdir()
    except OSError as error:
        raise NetvladError(f'{target} cannot be written: {error.strerror}') from error
    try:
        yield temporary
        for path in [*temporary.rglob('*'), temporary]:
            _sync(path)
        _put_in_place(temporary, target)
    except OSError as error:
        raise NetvladError(f'{target} cannot be written: {error.strerror}') from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put_in_place(temporary: Path, target: Path) -> None:
    if not target.exists():
        temporary.rename(target)
    elif not _exchange(temporary, target):
        # This file system has no atomic exchange. After a crash between the two renames, the old
        # directory is complete under the temporary name.
        aside = target.with_name(f'.{target.name}.old-{os.getpid()}')
        target.rename(aside)
        temporary.rename(target)
        shutil.rmtree(aside)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two directories in one step (renameat2 of Linux); False where that is unsupported."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), 'renameat2', None)
    if renameat2 is None:
        return False
    if renameat2(AT_FDCWD, os.fsencode(a), AT_FDCWD, os.fsencode(b), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code))


def _remove_orphans(target: Path) -> None:
    """Remove the temporary directories beside target whose processes no longer run."""
    for orphan in target.parent.glob(f'.{target.name}.tmp-*'):
        pid = orphan.name.rpartition('-')[2]
        if pid.isdigit() and not Path(f'/proc/{pid}').exists():
            shutil.rmtree(orphan, ignore_errors=True)


def _sync(path: Path) -> None:
    """Sync a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
