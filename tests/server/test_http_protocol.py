"""The server's HTTP/1.1 over real connections: what it answers, and that whatever comes is bounded."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server import http_protocol
from server.http_protocol import HEAD_MAX, PIPELINED_MAX, BoundedHttp

PLAIN = b"GET /plain HTTP/1.1\r\nHost: here\r\n\r\n"
# More than any bound, in time and bytes; none of it is used up by a server that keeps them.
PATIENCE_S = 20
FLOOD = 4 * 1024 * 1024


async def _tell(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the path and how much came."""
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message["more_body"]:
            break
    if scope["path"] == "/wait":
        await asyncio.sleep(0.2)
    content = json.dumps({"path": scope["path"], "size": size}).encode()
    head = [(b"content-length", str(len(content)).encode()), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": content})


@dataclass
class Answer:
    """One answer of a connection."""

    status: int
    headers: dict[str, str]
    content: Any


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server with no application to speak of."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(_tell, http=BoundedHttp, ws="none", lifespan="off", log_config=None, access_log=False)
        serving = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: serving.run(sockets=[listener]), daemon=True)
        thread.start()
        end = time.monotonic() + PATIENCE_S
        while not serving.started:
            assert time.monotonic() < end
            time.sleep(0.01)
        yield listener.getsockname()[1]
        serving.should_exit = True
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def _said(port: int, *pieces: bytes, finish: bool = False) -> list[Answer]:
    """The answers on one connection to those pieces, until the server ends it or, with `finish`, has nothing to add."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                link.sendall(piece)
            if finish:
                link.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has ended the connection, and what it said before may still be read
        return _answers(_all_of(link))


def _all_of(link: socket.socket) -> bytes:
    got = bytearray()
    try:
        while piece := link.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return bytes(got)


def _answers(got: bytes) -> list[Answer]:
    answers: list[Answer] = []
    while got:
        head, _, rest = got.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        size = int(headers["content-length"])
        answers.append(Answer(int(status.split(" ")[1]), headers, json.loads(rest[:size])))
        got = rest[size:]
    return answers


def _closing(target: bytes = b"/last") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


def _refused(answers: list[Answer], status: int, code: str) -> None:
    assert [one.status for one in answers] == [status], answers
    (only,) = answers
    assert only.headers["content-type"] == "application/problem+json"
    assert only.headers["connection"] == "close"
    assert only.content["code"] == code
    assert only.content["status"] == status
    assert only.content["detail"]


def _alive(port: int) -> None:
    assert [one.content for one in _said(port, _closing())] == [{"path": "/last", "size": 0}]


def test_requests_are_answered_in_turn(port: int) -> None:
    chunked = (
        b"POST /chunked HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    sized = b"POST /sized HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\nabcd"
    said = _said(port, PLAIN + chunked, sized[:20], sized[20:-2], sized[-2:] + _closing())
    assert [(one.status, one.content["path"], one.content["size"]) for one in said] == [
        (200, "/plain", 0), (200, "/chunked", 5), (200, "/sized", 4), (200, "/last", 0),
    ]  # fmt: skip


def test_a_byte_at_a_time_is_the_same_request(port: int) -> None:
    request = b"POST /slow HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    said = _said(port, *(request[at : at + 1] for at in range(len(request))))
    assert [one.content for one in said] == [{"path": "/slow", "size": 3}]


_HEAD = b"GET / HTTP/1.1\r\nHost: here\r\n"
_CHUNKED = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
_ENDLESS = {
    "a target": b"GET /" + b"a" * FLOOD,
    "a field's name": _HEAD + b"a" * FLOOD,
    "a field's value": _HEAD + b"a: " + b"b" * FLOOD,
    "fields": _HEAD + b"a: b\r\n" * (FLOOD // 6),
    "blanks before a value": _HEAD + b"a:" + b" " * FLOOD,
    "empty lines before a request": b"\r\n" * (FLOOD // 2),
    "a chunk's extension": _CHUNKED + b"1;a=" + b"b" * FLOOD,
    "trailers": _CHUNKED + b"1\r\na\r\n0\r\n" + b"a: b\r\n" * (FLOOD // 6),
    "a trailer": _CHUNKED + b"1\r\na\r\n0\r\na: " + b"b" * FLOOD,
}


@pytest.mark.parametrize("what", _ENDLESS)
def test_what_has_no_end_is_refused(port: int, what: str) -> None:
    whole = _ENDLESS[what]
    said = _said(port, *(whole[at : at + 8192] for at in range(0, len(whole), 8192)))
    # Where so much is still under way that the connection is reset, the answer may be lost with it.
    if said:
        _refused(said, 431, "head-too-large")
    _alive(port)


@pytest.mark.parametrize("size", [HEAD_MAX - 1024, HEAD_MAX + 1024])
def test_a_head_has_its_bound_in_one_piece_too(port: int, size: int) -> None:
    said = _said(port, _HEAD + b"Connection: close\r\na: " + b"b" * size + b"\r\n\r\n")
    if size < HEAD_MAX:
        assert [one.status for one in said] == [200]
    else:
        _refused(said, 431, "head-too-large")


_AMBIGUOUS = {
    "two lengths": b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a length and chunks": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a signed length": b"Content-Length: +3\r\n\r\nabc",
    "a length in two": b"Content-Length: 3, 3\r\n\r\nabc",
    "a chunk's length that is none": b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk longer than it says": b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
    "a name with a blank": b"Content-Length : 3\r\n\r\nabc",
    "a null": b"a: b\x00c\r\n\r\n",
    "a bare return": b"a: b\rc: d\r\n\r\n",
    "another version": None,
    "no request": None,
}


@pytest.mark.parametrize("what", _AMBIGUOUS)
def test_what_two_might_read_differently_is_refused(port: int, what: str) -> None:
    rest = _AMBIGUOUS[what]
    request = (
        b"POST / HTTP/1.1\r\nHost: here\r\n" + rest
        if rest is not None
        else {"another version": b"GET / HTTP/3.0\r\n\r\n", "no request": b"\x16\x03\x01\x02\x00\x01\x00"}[what]
    )
    _refused(_said(port, request), 400, "not-readable")
    _alive(port)


@pytest.mark.parametrize("after", [b"\x16\x03", PLAIN[:-2] + b"a:" + b"b" * FLOOD])
def test_no_request_is_answered_with_what_is_wrong_with_the_next(port: int, after: bytes) -> None:
    waited = b"GET /wait HTTP/1.1\r\nHost: here\r\n\r\n"
    assert [one.status for one in _said(port, waited, after)] in ([], [200])
    _alive(port)


def test_another_protocol_is_not_taken_up(port: int) -> None:
    said = _said(port, b"GET /old HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", PLAIN)
    assert [(one.status, one.content["path"]) for one in said] == [(200, "/old")]


def test_too_many_at_once_end_the_connection(port: int) -> None:
    said = _said(port, PLAIN * 5_000)
    assert len(said) <= PIPELINED_MAX + 1
    _alive(port)


def test_as_many_as_may_wait_are_answered(port: int) -> None:
    said = _said(port, PLAIN * PIPELINED_MAX + _closing())
    assert [one.status for one in said] == [200] * (PIPELINED_MAX + 1)


@pytest.mark.parametrize("begun", [PLAIN[:-2], b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\nabc"])
def test_a_request_that_does_not_end_is_told_so(port: int, begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "WHOLE_SECONDS", 0.3)
    _refused(_said(port, begun), 408, "too-slow")


def test_one_that_trickles_is_told_so_too(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "WHOLE_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as link:
        link.sendall(PLAIN)
        assert link.recv(65536).startswith(b"HTTP/1.1 200 ")
        link.sendall(_HEAD)
        link.settimeout(0.02)
        end, got = time.monotonic() + PATIENCE_S, b""
        while not got:
            assert time.monotonic() < end
            link.sendall(b"a")
            try:
                got = link.recv(65536)
            except TimeoutError:
                continue
        link.settimeout(PATIENCE_S)
        _refused(_answers(got + _all_of(link)), 408, "too-slow")


def test_who_asks_nothing_is_let_go_without_a_word(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "WHOLE_SECONDS", 0.3)
    assert _said(port) == []


_PARTS = st.sampled_from(
    [
        PLAIN, _HEAD, _CHUNKED, b"\r\n", b"\n", b"0\r\n\r\n", b"5\r\nabcde\r\n", b"ffffffffffffffff\r\n", b"a: b\r\n",
        b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n",
        b"Expect: 100-continue\r\n", b"GET http://[ HTTP/1.1\r\n", b"POST /%zz?a HTTP/1.1\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(_PARTS | st.binary(max_size=64), max_size=12))
def test_whatever_comes_is_answered_or_ended(port: int, pieces: list[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                link.sendall(piece)
            link.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has ended the connection
        got = _all_of(link)
    assert not got or got.startswith(b"HTTP/1.1 ")
    _alive(port)
