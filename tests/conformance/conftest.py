"""Which server the cases over QUIC speak to: one of our own, or the one that --target names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from quicchat.transport.dial import probe
from quicchat.transport.identity import Trust
from tests.conformance.house import House, Place, caller, serving


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--target",
        metavar="HOST:PORT",
        help="a server started by hand, which lets anybody sign up; cases that need another policy are left out",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --target, only the cases that speak to that server are of interest."""
    of_interest = [item for item in items if "house" in getattr(item, "fixturenames", ())]
    for item in of_interest:
        item.add_marker(pytest.mark.socket)
    if config.getoption("--target", default=None) is None:
        return
    config.hook.pytest_deselected(items=[item for item in items if item not in of_interest])
    items[:] = of_interest


@pytest.fixture(scope="session")
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    """One server for all cases."""
    target: str | None = request.config.getoption("--target", default=None)
    with asyncio.Runner() as runner:
        if target is not None:
            host, _, port = target.rpartition(":")
            found = House(runner, runner.run(_found(host.strip("[]"), int(port))))
            yield found
            runner.run(found.quiet())
            return
        loop = runner.get_loop()
        ready: asyncio.Future[Place] = loop.create_future()
        over = asyncio.Event()

        async def keep() -> None:
            try:
                async with serving() as place:
                    ready.set_result(place)
                    await over.wait()
            except BaseException as error:
                if not ready.done():
                    ready.set_exception(error)
                raise

        async def finish() -> None:
            over.set()
            await server

        server = loop.create_task(keep())
        try:
            found = House(runner, runner.run(_awaited(ready)))
            yield found
            runner.run(found.quiet())
        finally:
            runner.run(finish())


async def _awaited(ready: asyncio.Future[Place]) -> Place:
    return await ready


async def _found(host: str, port: int) -> Place:
    """A server that somebody else started; the certificate that it shows is trusted."""
    chain = await probe(host, port)
    anchor = x509.load_der_x509_certificate(chain[-1]).public_bytes(Encoding.PEM)
    return Place(call=caller(host, port, Trust(anchor)), iterations=600_000)
