"""`make demo`, as a reader of the README runs it."""

from __future__ import annotations

import subprocess
import sys


def test_the_demo_shows_the_main_job_and_stops_by_itself() -> None:
    """Issue 2, demo: sign-up, a version-1 client, a room, a refusal, a receipt, an edit, a kept message, a file."""
    done = subprocess.run(
        [sys.executable, "-m", "quicchat.tools.demo"], capture_output=True, text=True, timeout=55, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for line in (
        "carol signs up and logs in protocol version 1",
        "carol < general alice: Good morning!",
        "bob > garden Hello? refused: NOT_MEMBER, nothing is stored",
        "alice < garden bob: Now I may speak here.",
        "bob is told alice has garden #4: delivered",
        "alice < garden bob: Roses are red.",
        "bob < @alice,bob alice: Only you can read this.",
        "bob < @alice,bob alice: Read this when you are back.",
        "bob has roses.jpg 1234567 bytes, each chunk verified",
        "server stops exit code 0",
    ):
        assert line in lines
