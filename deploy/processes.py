"""Child processes that are servers: starting on a free port, ending in order, stale ones."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Final

START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 10.0
START_TRIES: Final = 4
LOOK_AGAIN_S: Final = 0.1
_STILL_DYING: Final = "pre-existing shared memory block"
FREE_DISK_BYTES: Final = 500 * 1024 * 1024


class EmbeddedError(Exception):
    """A server could not be started; the sentence says what to do about it."""


class Launcher:
    """How to run a program that refuses to be root, and where its files live."""

    def __init__(
        self, home: Path, *, prefix: Sequence[str] = (), account: pwd.struct_passwd | None = None
    ) -> None:
        self.home = home
        self.prefix = tuple(prefix)
        self.user = account.pw_uid if account else None
        self.group = account.pw_gid if account else None
        self.groups: list[int] | None = [] if account else None

    def write_secret(self, path: Path, word: str) -> None:
        """Write one line into *path*, which the server's user alone may read."""
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(word + "\n", encoding="ascii")
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)


def free_port() -> int:
    """
    Return a port that was free a moment ago, each time another one.

    It lies below the range from which the system takes ports for connections going
    out, so that none of those can take it before its server does.
    """
    for port in islice(_PORTS, 17_000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise EmbeddedError("No port between 15000 and 32000 is free")


def _shuffled_ports() -> Iterator[int]:
    ports = list(range(15_000, 32_000))
    secrets.SystemRandom().shuffle(ports)
    return cycle(ports)


_PORTS: Final = _shuffled_ports()


def require_disk(directory: Path) -> None:
    """Raise EmbeddedError if there is no room for a server's files at *directory*."""
    free = shutil.disk_usage(directory).free
    if free < FREE_DISK_BYTES:
        raise EmbeddedError(
            f"Only {free // 2**20} MiB are free at {directory}, "
            f"{FREE_DISK_BYTES // 2**20} are needed"
        )


def start_on_a_port(
    spawn: Callable[[int], subprocess.Popen[bytes]],
    answers: Callable[[int], bool],
    *,
    name: str,
    port: int,
    fixed: bool,
    log: Path,
) -> tuple[subprocess.Popen[bytes], int]:
    """
    Start on *port* if it is *fixed*, else on a free one, trying again if somebody took it.

    After a SIGKILL the last processes of a former PostgreSQL hold its memory for a moment: then
    the same port is tried until they are gone.
    """
    deadline, tries = time.monotonic() + START_TIMEOUT_S, 0
    while True:
        chosen = port if fixed else free_port()
        begin = log.stat().st_size if log.exists() else 0
        process = spawn(chosen)
        wait_until(
            partial(_dead_or_ready, process, answers, chosen),
            timeout_s=START_TIMEOUT_S,
        )
        if process.poll() is None and answers(chosen):
            return process, chosen
        end(process, (signal.SIGKILL,))
        said = log.read_text(encoding="utf-8", errors="replace")[begin:]
        tries += 1
        if _STILL_DYING in said and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN_S)
        elif fixed or "in use" not in said or tries == START_TRIES:
            break
    raise EmbeddedError(f"{name} did not start on port {chosen}; {log} says:\n{said[-2000:]}")


def _dead_or_ready(
    process: subprocess.Popen[bytes], answers: Callable[[int], bool], port: int
) -> bool:
    return process.poll() is not None or answers(port)


def spawn(command: Sequence[str], log: Path, launcher: Launcher) -> subprocess.Popen[bytes]:
    """Start in a session of its own, so that Ctrl-C reaches us alone and we stop in order."""
    with log.open("ab") as out:
        return subprocess.Popen(
            [*launcher.prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=launcher.user,
            group=launcher.group,
            extra_groups=launcher.groups,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
        )


def pid_of(process: subprocess.Popen[bytes] | None) -> int | None:
    """Return the id of *process* while it runs."""
    return process.pid if process is not None and process.poll() is None else None


def end(process: subprocess.Popen[bytes] | None, numbers: Sequence[signal.Signals]) -> None:
    """Send *numbers* in turn, each with time to act, until *process* is gone and reaped."""
    for number in numbers:
        if process is None or process.poll() is not None:
            return
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)


def wait_until(condition: Callable[[], bool], *, timeout_s: float) -> None:
    """Return when *condition* holds or *timeout_s* has passed; the caller looks which."""
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def process_runs(pid: int, *, needle: str) -> bool:
    """Return whether *pid* lives and *needle* stands in its command line."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
        shown = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        line = shown.stdout
    except (ProcessLookupError, PermissionError):
        return False
    return needle in line.replace("\0", " ")


def end_process(pid: int, *, needle: str, numbers: Sequence[signal.Signals]) -> None:
    """Send *numbers* in turn, each with time to act, until the process *pid* is gone."""
    for number in numbers:
        if not process_runs(pid, needle=needle):
            return
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
        wait_until(lambda: not process_runs(pid, needle=needle), timeout_s=STOP_TIMEOUT_S)


def end_stale(pid_file: Path, *, needle: str) -> None:
    """End the server that an earlier run left in *pid_file*, if it is still that server."""
    with suppress(OSError, ValueError, IndexError):
        pid = int(pid_file.read_text(encoding="ascii").split()[0])
        end_process(pid, needle=needle, numbers=(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL))
