"""A simulated network, shipped so that programs are tested without sockets, on a bad line if need be. (ARCHITECTURE)

    async def main() -> None:
        network = Network(seed=7, latency=0.050, loss=0.02, split=0.5)
        network.listen(door.accept)  # the server: it gets a link for each client
        link = network.dial()  # a client's link, to be driven like any other
        ...
        network.loss = 0.2  # conditions may change at any time
        network.partition(link.address)

    virtual.run(main())

Links behave as QUIC connections do. Streams are reliable and ordered each, but not among each other: what a lost
packet carried is sent again a round trip later, and holds up no other stream. Datagrams may be lost, doubled and
overtaken. A close is sent once. Equal seeds and equal programs give equal runs on the virtual loop; on a real
one all this takes its time.
"""

from quicchat.transport.memory.link import MemoryLink
from quicchat.transport.memory.network import SERVER, Network, Sent, pair

__all__ = ["SERVER", "MemoryLink", "Network", "Sent", "pair"]
