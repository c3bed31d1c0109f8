"""Getting the images that readers await from the server: in pieces that outlast a lost network, a full disk and a
kill, and never at the cost of a result."""

import asyncio
import errno
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx

from hub import exchange, web
from hub.awaited import IMAGES_MAX, Kept
from hub.errors import HubError, Malformed, StoreError
from hub.events import Events
from hub.exchange import Image
from hub.image_files import ImageFiles
from hub.store import Store
from hub.writer import Writer
from reader import wire

_log = logging.getLogger(__name__)

PIECE_BYTES = 64 * 1024  # written and synced at once
FAILURES_TOLD = 3
BACKOFF_FIRST_S = 5.0
BACKOFF_CAP_S = 900.0
LIST_AGAIN_S = 60.0  # while as many readers await one as when the list was asked for
LIED_PAUSE_S = 3600.0  # a server that sends something else than it named is not asked for it again at once
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_PROBLEMS = ("image-wrong", "image-not-got", "image-not-kept")
T = TypeVar("T")


class NotGot(HubError):
    """An image or the list of them did not come; trying again later is right."""

    code = "image-not-got"


class NotAsNamed(HubError):
    """The server sent something else than it named."""

    code = "image-wrong"


class _Refused(Exception):
    """The token was not accepted."""


class Images:
    """Brings what `hub.awaited` says. `bearer` gives a token, and with True a new one."""

    def __init__(
        self,
        files: ImageFiles,
        exchange_url: str,
        bearer: Callable[[bool], Awaitable[str]],
        writer: Writer,
        events: Events,
        http: httpx.AsyncClient,
        chance: random.Random | None = None,
    ) -> None:
        self._files, self._bearer = files, bearer
        self._arrived: Callable[[], None] = lambda: None
        self._url = exchange_url.removesuffix(wire.EXCHANGE_PATH) + wire.IMAGES_PATH
        self._writer, self._events, self._http = writer, events, http
        self._chance = chance or random.Random()  # noqa: S311  jitter, no secret
        self._awaiting: int | None = None
        self._heard = asyncio.Event()
        self._lied: dict[Image, float] = {}

    def on_arrived(self, arrived: Callable[[], None]) -> None:
        """`arrived` is called after each image that is whole."""
        self._arrived = arrived

    async def content(self, image: Image) -> bytes | None:
        """The bytes of an image, checked, or None. One that is not what it was when it came is brought again."""
        try:
            content = await asyncio.to_thread(self._files.read, image)
        except OSError as error:
            await self._tell(error, 1)
            return None
        if content is None:
            await self._writer(Store.hold_image, image.image_id, 0)
        return content

    def heard(self, awaiting: int) -> None:
        """The server has said how many readers await an image, and has no records of ours to wait for."""
        self._awaiting = awaiting
        self._heard.set()

    async def run(self) -> None:
        """Bring images until cancelled: after each time the server was heard. Raises only StoreError."""
        await self.look()
        failures = 0
        brought: int | None = None  # for how many readers all is here, and when to ask for them again
        again_s = 0.0
        while True:
            await self._heard.wait()
            self._heard.clear()
            awaiting, now_s = self._awaiting, asyncio.get_running_loop().time()
            if awaiting == brought and now_s < again_s:
                continue
            brought = None
            try:
                await self.bring()
            except StoreError:
                raise
            except (HubError, OSError) as error:
                failures += 1
                await self._tell(error, failures)
                longest = min(BACKOFF_CAP_S, BACKOFF_FIRST_S * 2 ** min(failures, 16))
                await asyncio.sleep(self._chance.uniform(longest / 2, longest))
                continue
            failures = 0
            brought, again_s = awaiting, now_s + LIST_AGAIN_S
            await self._events.solved(*_PROBLEMS)

    async def look(self) -> None:
        """See what is here: after a kill, or when somebody removed files. Raises StoreError."""
        try:
            for kept in await self._writer(Store.images):
                content = await asyncio.to_thread(self._files.read, kept.image)
                held = len(content) if content else await asyncio.to_thread(self._files.begun, kept.image)
                await self._writer(Store.hold_image, kept.image.image_id, _short_of_whole(kept.image, held, content))
        except OSError as error:
            await self._tell(error, 1)

    async def bring(self) -> None:
        """Ask what is awaited, remove what is not, and bring what is missing. Raises HubError, OSError."""
        awaited = await self._list() if self._awaiting else dict[bytes, Image]()
        await self._writer(Store.await_images, awaited)
        images = await self._writer(Store.images)
        await asyncio.to_thread(self._files.keep_only, [kept.image.image_id for kept in images])
        now_s, failed = asyncio.get_running_loop().time(), list[Exception]()
        for kept in images:
            if kept.whole or self._lied.get(kept.image, 0) > now_s:
                continue
            try:
                await self._get(kept)
            except StoreError:
                raise
            except (HubError, OSError) as error:  # the others are brought all the same
                failed.append(error)
        if failed:
            raise failed[0]

    async def _list(self) -> Mapping[bytes, Image]:
        async def ask(headers: Mapping[str, str]) -> Mapping[bytes, Image]:
            async with web.asked(self._http, "GET", self._url, headers) as response:
                answer = await web.whole(response, exchange.IMAGES_MAX_BYTES)
            _check(answer.status, (200,))
            if answer.media != wire.EXCHANGE_MEDIA_TYPE:
                raise NotGot(f"a list of type {answer.media[:60] or 'none'} is not the server's")
            try:
                return exchange.read_images(answer.body)
            except Malformed as error:
                raise NotAsNamed(str(error)) from error

        return await self._authorised(ask)

    async def _get(self, kept: Kept) -> None:
        image = kept.image
        if not await asyncio.to_thread(self._files.has_room, image):
            await asyncio.to_thread(self._files.drop, image)
            await self._writer(Store.hold_image, image.image_id, 0)
            raise OSError(errno.ENOSPC, "the disk is nearly full")
        try:
            if await asyncio.to_thread(self._files.begun, image) < image.size:
                gone = await self._authorised(lambda headers: self._pieces(image, headers))
                if gone:
                    await asyncio.to_thread(self._files.drop, image)
                    await self._writer(Store.drop_image, image.image_id)
                    return
            whole = await asyncio.to_thread(self._files.complete, image)
        except OSError as error:
            if error.errno in _NO_ROOM:  # what it took is given back: results come first
                await asyncio.to_thread(self._files.drop, image)
                await self._writer(Store.hold_image, image.image_id, 0)
            raise
        await self._writer(Store.hold_image, image.image_id, image.size if whole else 0)
        if not whole:
            self._doubt(image)
            raise NotAsNamed("its bytes are not those that the server named")
        self._events.emit("image", image=image.image_id.hex(), size=image.size)
        self._arrived()

    async def _pieces(self, image: Image, headers: Mapping[str, str]) -> bool:
        """Bring the rest of an image; True when the server has it no longer."""
        at = await asyncio.to_thread(self._files.begun, image)
        asked = {**headers, "Accept": "application/octet-stream", **({"Range": f"bytes={at}-"} if at else {})}
        async with web.asked(self._http, "GET", f"{self._url}/{image.image_id.hex()}", asked) as response:
            if response.status_code == 404 and _media(response) == "application/problem+json":
                return True
            if response.status_code == 416:
                await asyncio.to_thread(self._files.drop, image)
                raise NotGot("the server does not go on from where it stopped")
            _check(response.status_code, (200, 206))
            if _media(response) != "application/octet-stream":
                raise NotGot(f"an answer of type {_media(response)[:60] or 'none'} is not the server's")
            if response.status_code == 200:
                at = 0
            elif response.headers.get("content-range") != f"bytes {at}-{image.size - 1}/{image.size}":
                await asyncio.to_thread(self._files.drop, image)
                raise NotGot("the server sends another part than the one asked for")
            await self._keep(image, at, response)
        return False

    async def _keep(self, image: Image, at: int, response: httpx.Response) -> None:
        """Write the body as it comes; what is not yet written when it breaks off is asked for again."""
        waiting = bytearray()
        try:
            async for chunk in response.aiter_raw():
                waiting += chunk
                if at + len(waiting) > image.size:
                    waiting.clear()
                    await asyncio.to_thread(self._files.drop, image)
                    self._doubt(image)
                    raise NotAsNamed("it has more bytes than the server named")
                if len(waiting) >= PIECE_BYTES:
                    at = await self._write(image, at, waiting)
        finally:
            if waiting:
                at = await self._write(image, at, waiting)
        if at < image.size:
            raise NotGot("it broke off")

    async def _write(self, image: Image, at: int, waiting: bytearray) -> int:
        content = bytes(waiting)
        waiting.clear()
        await asyncio.to_thread(self._files.append, image, at, content)
        at += len(content)
        await self._writer(Store.hold_image, image.image_id, _short_of_whole(image, at, None))
        return at

    async def _authorised(self, ask: Callable[[Mapping[str, str]], Awaitable[T]]) -> T:
        """Ask with a token; with a new one when it is not accepted."""
        for new in (False, True):
            try:
                headers = {"Authorization": f"Bearer {await self._bearer(new)}"}
                return await ask(headers)
            except _Refused:
                continue
        raise NotGot("the token was not accepted")

    def _doubt(self, image: Image) -> None:
        self._lied.pop(image, None)
        self._lied[image] = asyncio.get_running_loop().time() + LIED_PAUSE_S
        while len(self._lied) > IMAGES_MAX:
            del self._lied[next(iter(self._lied))]

    async def _tell(self, error: Exception, failures: int) -> None:
        if isinstance(error, OSError):
            await self._events.problem("image-not-kept", "", error.strerror or type(error).__name__)
        elif isinstance(error, NotAsNamed):
            await self._events.problem(error.code, "", str(error))
        else:
            _log.warning("image not got", extra={"detail": str(error)})
            if failures >= FAILURES_TOLD:
                await self._events.problem(NotGot.code, "", str(error))


def _check(status: int, good: tuple[int, ...]) -> None:
    if status == 401:
        raise _Refused
    if status not in good:
        raise NotGot(f"status {status}")


def _media(response: httpx.Response) -> str:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def _short_of_whole(image: Image, held: int, content: Any) -> int:
    """What is held, for the store: all of it only when it was checked."""
    return image.size if content is not None else min(held, image.size - 1)
