"""Start a program as somebody who is not root, without making a user and without touching a folder's mode.

PostgreSQL refuses to run as root. In a user namespace the server sees itself as `nobody` while its files stay
root's, in folders only root can enter. Where namespaces are forbidden (many containers), the process changes
its user id instead, and the data folder must belong to that id.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Final

NOBODY: Final = 65534
_CLONE_NEWUSER: Final = 0x10000000
_PR_SET_PDEATHSIG: Final = 1


def is_root() -> bool:
    """Whether this process has root's user id."""
    return os.geteuid() == 0


@cache
def can_use_namespace() -> bool:
    """Whether this machine lets us make a user namespace."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        subprocess.run([sys.executable, "-c", ""], preexec_fn=_enter_namespace, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


class Guise(Enum):
    """As whom the server runs: as we do, as root's shadow in a namespace, or as the unprivileged user itself."""

    OURSELVES = "ourselves"
    NAMESPACE = "namespace"
    NOBODY = "nobody"

    @property
    def owner_id(self) -> int | None:
        """The user id that must own the data folder, or None when our own will do."""
        return NOBODY if self is Guise.NOBODY else None


def fitting_guise() -> Guise:
    """How to run a server here: as ourselves unless we are root, and without changing any owner if that can be."""
    if not is_root():
        return Guise.OURSELVES
    return Guise.NAMESPACE if can_use_namespace() else Guise.NOBODY


def preparation(guise: Guise) -> Callable[[], None]:
    """What a child does between fork and exec: take on the guise, then ask to die with its parent.

    The order matters: a change of identity cancels the request. The request follows the parent's *thread*,
    so a server is started from a thread that lives as long as the process.
    """
    take_on = {Guise.OURSELVES: _stay, Guise.NAMESPACE: _enter_namespace, Guise.NOBODY: _become_nobody}[guise]

    def prepare() -> None:
        take_on()
        die_with_parent()

    return prepare


def _stay() -> None:
    """Nothing to leave: we are not root."""


def _enter_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    if _libc().unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {gid} 1")


def _become_nobody() -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def die_with_parent() -> None:
    """Ask the kernel for an orderly shutdown signal when the parent is gone, however it went. Linux only."""
    if sys.platform.startswith("linux"):
        _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
