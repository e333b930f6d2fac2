"""`make chat`: a server on this machine and a client to talk with; both end together. (spec README)"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, NoReturn

from quicchat.config import LOOPBACK, home

PORT: Final = 55667
#: Seconds that the server may take to stop in good order.
_PATIENCE: Final = 10.0
#: Said before the client starts, and by the client, which covers that.
_HINT: Final = "New here? Log in as user1 with pass1, or as user2 with pass2, or make an account."
_CANNOT_START: Final = 3
_INTERRUPTED: Final = 130


def main(words: Sequence[str] = ()) -> int:
    """Start a server, talk, stop the server; `words` are further flags of the client."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    if _is_free(PORT):
        data = home(os.environ) / "chat"
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        code = _talk(data, PORT, words)
        if code is not None:
            return code
    print(f"Port {PORT} is taken; this server takes another one, and forgets everything at the end.")
    with tempfile.TemporaryDirectory(prefix="quicchat-chat-") as name:
        return _talk(Path(name), 0, words) or 0


def _talk(data: Path, wanted: int, words: Sequence[str]) -> int | None:
    """Talk at a server of ours; the exit code, None where somebody else took the port before the server did."""
    log = data / "server.log"
    with _server(data, wanted) as port:
        if port is None:
            if wanted and not _is_free(wanted):
                return None
            print(f"quicchat: the server did not start; see {log}", file=sys.stderr)
            print(*log.read_text(errors="replace").splitlines()[-3:], sep="\n", file=sys.stderr)
            return _CANNOT_START
        print(f"A server listens on port {port}; its log is {log}.")
        print(_HINT)
        print(f"A friend at this machine: python echo.py client -p {port}", flush=True)
        code = _client(data, port, words)
        return 0 if code == _INTERRUPTED else code


@contextmanager
def _server(data: Path, port: int) -> Iterator[int | None]:
    """A server process; gives its port, or None where it ended before it listened. Ends it by its pid."""
    flags = ("-p", str(port), "--data", str(data / "server"), "--demo", "--log-format", "json")
    process = subprocess.Popen(
        [sys.executable, "-m", "quicchat", "server", *flags],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # Ctrl-C is for the client; the server lives as long as we do.
        start_new_session=True,
    )
    assert process.stderr is not None
    rest: threading.Thread | None = None
    with process, (data / "server.log").open("ab") as log:
        try:
            found = _listening(process.stderr, log)
            rest = threading.Thread(target=_copy, args=(process.stderr, log))
            rest.start()
            yield found
        finally:
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
            if rest is not None:
                rest.join()


def _listening(lines: IO[bytes], log: IO[bytes]) -> int | None:
    """The port that the log names."""
    for line in lines:
        log.write(line)
        log.flush()
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if found.get("event") == "listening":
            return int(found["port"])
    return None


def _copy(lines: IO[bytes], log: IO[bytes]) -> None:
    for line in lines:
        log.write(line)
        log.flush()


def _client(data: Path, port: int, words: Sequence[str]) -> int:
    flags = ("-p", str(port), "--data", str(data / "client"), "--hint", _HINT)
    client = subprocess.Popen([sys.executable, "-m", "quicchat", "client", *flags, *words])
    # From here on an interrupt is the client's to answer; it says goodbye, and we go when it has gone.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return client.wait()
    finally:
        signal.signal(signal.SIGINT, before)
        client.terminate()
        client.wait()


def _leave(number: int, _: object) -> NoReturn:
    """An exception, so that the server is stopped on the way out."""
    sys.exit(128 + number)


def _is_free(port: int) -> bool:
    """Whether the usual port can be had on every loopback address that there is."""
    for host in LOOPBACK:
        try:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
