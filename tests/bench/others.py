"""What the same bytes take elsewhere, on the same machine: HTTPS fetched by curl, and scp. Where it is installed."""

from __future__ import annotations

import grp
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from getpass import getuser
from pathlib import Path

from tests.certs import Authority

_PATIENCE = 10.0
_NGINX = """
daemon off; worker_processes 1; user {user} {group}; pid {home}/nginx.pid; error_log {home}/error.log;
events {{}}
http {{
    access_log off; sendfile on;
    client_body_temp_path {home}/tmp; proxy_temp_path {home}/tmp; fastcgi_temp_path {home}/tmp;
    uwsgi_temp_path {home}/tmp; scgi_temp_path {home}/tmp;
    server {{
        listen 127.0.0.1:{port} ssl; root {folder};
        ssl_certificate {home}/chain.pem; ssl_certificate_key {home}/key.pem; ssl_protocols TLSv1.3;
    }}
}}
"""
_SSHD = """
Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host
AuthorizedKeysFile {home}/user.pub
PidFile none
PermitRootLogin yes
StrictModes no
UsePAM no
Subsystem sftp internal-sftp
"""

#: Fetches the file to a place.
Fetch = Callable[[Path], None]


@contextmanager
def https(file: Path, home: Path) -> Iterator[Fetch | None]:
    """By curl from nginx, or from openssl where there is no nginx; None where there is neither."""
    nginx, openssl, curl = which("nginx"), which("openssl"), which("curl")
    if curl is None or (nginx is None and openssl is None):
        yield None
        return
    authority, port, group = Authority(), free_port(), grp.getgrgid(os.getgid()).gr_name
    identity = authority.issue()
    (home / "chain.pem").write_bytes(identity.chain)
    (home / "key.pem").write_bytes(identity.key)
    (home / "ca.pem").write_bytes(authority.trust.ca_pem or b"")
    (home / "nginx.conf").write_text(
        _NGINX.format(home=home, port=port, folder=file.parent, user=getuser(), group=group)
    )
    if nginx is not None:
        command = [nginx, "-c", str(home / "nginx.conf"), "-e", str(home / "error.log")]
    else:
        command = [str(openssl), "s_server", "-quiet", "-WWW", "-accept", f"127.0.0.1:{port}"]
        command += ["-cert", str(home / "chain.pem"), "-key", str(home / "key.pem"), "-tls1_3"]

    def fetch(to: Path) -> None:
        url = f"https://127.0.0.1:{port}/{file.name}"
        run([curl, "--silent", "--fail", "--cacert", str(home / "ca.pem"), "--output", str(to), url])

    with running(command, port, file.parent):
        yield fetch


@contextmanager
def ssh(file: Path, home: Path) -> Iterator[Fetch | None]:
    """By scp; None where there is no sshd."""
    sshd, scp, keygen = which("sshd"), which("scp"), which("ssh-keygen")
    if sshd is None or scp is None or keygen is None:
        yield None
        return
    port = free_port()
    for name in ("host", "user"):
        run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)])
    (home / "sshd.conf").write_text(_SSHD.format(home=home, port=port))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)

    def fetch(to: Path) -> None:
        options = ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={os.devnull}", "-o", "LogLevel=ERROR"]
        source = f"{getuser()}@127.0.0.1:{file}"
        run([scp, "-q", "-P", str(port), "-i", str(home / "user"), *options, source, str(to)])

    with running([sshd, "-D", "-e", "-f", str(home / "sshd.conf")], port, home):
        yield fetch


def which(name: str) -> str | None:
    """Where a program is; servers are not in everybody's path."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def answers(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def running(command: Sequence[str], port: int, place: Path) -> Iterator[None]:
    """A server, from when its port is open until the end of the block."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=place, stdin=quiet, stdout=quiet, stderr=quiet) as process:
        try:
            end = time.monotonic() + _PATIENCE
            while not answers(port):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{command[0]} did not start")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
