"""Run in the guest: gives its kernel a Bluetooth adapter whose controller is at a Bumble transport.

The kernel speaks as soon as the adapter is there, so the controller is reached first. The controller has no public
address: with one, the kernel would not be given ACL data.
"""

import asyncio
import sys

from bumble.transport import open_transport


async def carry(radio: str) -> None:
    """Carry HCI packets between the kernel and the controller, until either has gone."""
    controller = await open_transport(radio)
    kernel = await open_transport("vhci")
    controller.source.set_packet_sink(kernel.sink)
    kernel.source.set_packet_sink(controller.sink)
    gone = [asyncio.ensure_future(transport.source.terminated) for transport in (controller, kernel)]
    await asyncio.wait(gone, return_when=asyncio.FIRST_COMPLETED)


asyncio.run(carry(sys.argv[1]))
