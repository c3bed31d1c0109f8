"""A small server on a real socket that speaks protocol section 5, written from the protocol alone, and misbehaves
when told to."""

import gzip
import hashlib
import io
import json
import os
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import cbor2
from joserfc import jwt
from joserfc.jwk import ECKey


class ModelServer:
    """`misbehave` maps a path to a function(handler) that answers in its place; it is asked for each request."""

    def __init__(self):
        self.epoch = b"epoch--1"
        self.code = "one-time-code"
        self.keys, self.jtis, self.tokens = {}, set(), set()
        self.held, self.requests, self.sightings = {}, [], []
        self.tickets, self.commands = [], []
        self.registrar = None  # a server of an earlier version takes no registrations, and refuses a body with one
        self.registered, self.registration_answer = {}, lambda sealed: None
        self.receipts = True
        self.refuse_record = lambda sealed: False
        self.disposition = lambda sealed: None
        self.misbehave = {}
        self.images, self.image_count = {}, None  # by reader id; how many readers the header says await one
        self.seal_receipt = lambda reader_id, number, sealed: cbor2.dumps(["receipt", number])
        self.clock_ms = lambda: int(time.time() * 1000)
        self.lock = threading.Lock()

    def __enter__(self):
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def date_time_string(self, timestamp=None):
                return formatdate(model.clock_ms() / 1000, usegmt=True)

            def do_POST(self):
                self.body = self.rfile.read(int(self.headers["Content-Length"]))
                model.requests.append((self.path, dict(self.headers), self.body))
                wrong = model.misbehave.get(self.path)
                if wrong is not None and wrong(self):
                    return
                {"/oauth/token": model.token, "/hub/v1/exchange": model.exchange, "/hub/v1/enrol": model.enrol}[
                    self.path
                ](self)

            def do_GET(self):
                model.requests.append((self.path, dict(self.headers), b""))
                wrong = model.misbehave.get(self.path)
                if wrong is None or not wrong(self):
                    model.give_images(self)

            def answer(self, status, media, body, **headers):
                self.send_response(status)
                self.send_header("Content-Type", media)
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)
                return True

            def problem(self, status, code, **headers):
                return self.answer(status, "application/problem+json", json.dumps({"code": code}).encode(), **headers)

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # the hub hangs up on what it does not want

        self.httpd = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_port}"
        threading.Thread(target=self.httpd.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.httpd.shutdown()
        self.httpd.server_close()

    def enrol(self, handler):
        said = json.loads(handler.body)
        if said["code"] != self.code:
            return handler.problem(403, "enrolment-refused")
        assert "d" not in said["key"], "the private key stays on the laptop"
        hub_id = os.urandom(8).hex()
        self.keys[hub_id] = ECKey.import_key(said["key"])
        urls = {"token_url": f"{self.url}/oauth/token", "exchange_url": f"{self.url}/hub/v1/exchange"}
        return handler.answer(
            201, "application/json", json.dumps({"hub_id": hub_id, "epoch": self.epoch.hex(), **urls}).encode()
        )

    def token(self, handler):
        form = {name: value[0] for name, value in parse_qs(handler.body.decode()).items()}
        try:
            assert form["grant_type"] == "client_credentials"
            assert form["client_assertion_type"].endswith("jwt-bearer")
            hub_id = json.loads(_unpadded(form["client_assertion"].split(".")[1]))["sub"]
            claims = jwt.decode(form["client_assertion"], self.keys[hub_id], algorithms=["ES384"]).claims
            now = self.clock_ms() / 1000
            assert claims["iss"] == hub_id
            assert claims["aud"] == f"{self.url}/oauth/token"
            assert claims["jti"] not in self.jtis
            assert now - 60 < claims["exp"] <= now + 300
        except Exception:  # noqa: BLE001  one answer for all, as the protocol says
            return handler.problem(401, "unauthorised")
        self.jtis.add(claims["jti"])
        token = os.urandom(16).hex()
        self.tokens.add(token)
        return handler.answer(
            200,
            "application/json",
            json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 300}).encode(),
        )

    def exchange(self, handler):
        if handler.headers["Authorization"].removeprefix("Bearer ") not in self.tokens:
            return handler.problem(401, "unauthorised")
        items = self.items(handler)
        assert items[0][0] == 0
        assert items[0][1][1] == 1
        records = [item[1] for item in items if item[0] == 1]
        if any(self.refuse_record(sealed) for sealed in records):
            return handler.problem(400, "bad-item")
        registrations = [item[1] for item in items if item[0] == 8]
        if registrations and (self.registrar is None or any(self.refuse_record(one) for one in registrations)):
            return handler.problem(400, "bad-item")
        with self.lock:
            self.sightings += [item[1] for item in items if item[0] == 2]
            reply = [[0, {1: 1, 2: self.clock_ms(), 3: self.epoch}], *map(self._take, range(len(records)), records)]
            awaiting = len(self.images) if self.image_count is None else self.image_count
            if awaiting:
                reply[0][1][7] = awaiting
            for reader_id, numbers in self.held.items() if self.receipts else ():
                top = next(number for number in range(1, max(numbers) + 2) if number not in numbers) - 1
                if top:
                    reply.append([2, reader_id, top, self.seal_receipt(reader_id, top, numbers[top])])
            if self.registrar is not None:
                reply[0][1][6] = self.registrar.public_key().public_bytes_raw()
            reply += map(self._register, registrations)
        reply += [[3, *ticket] for ticket in self.tickets] + [[4, *command] for command in self.commands]
        return handler.answer(
            200, "application/cbor-seq", b"".join(cbor2.dumps(item, canonical=True) for item in reply)
        )

    def give_images(self, handler):
        if handler.headers["Authorization"].removeprefix("Bearer ") not in self.tokens:
            return handler.problem(401, "unauthorised")
        if handler.path == "/hub/v1/images":
            items = [
                [9, reader_id, image_id(image), len(image), hashlib.sha256(image).digest()]
                for reader_id, image in self.images.items()
            ]
            return handler.answer(200, "application/cbor-seq", b"".join(cbor2.dumps(item) for item in items))
        named = {f"/hub/v1/images/{image_id(image).hex()}": image for image in self.images.values()}
        image = named.get(handler.path)
        if image is None:
            return handler.problem(404, "not-found")
        asked = handler.headers["Range"]
        if asked is None:
            return handler.answer(200, "application/octet-stream", image)
        at = int(asked.removeprefix("bytes=").removesuffix("-"))
        if at >= len(image):
            return handler.answer(416, "application/problem+json", b"{}", Content_Range=f"bytes */{len(image)}")
        said = f"bytes {at}-{len(image) - 1}/{len(image)}"
        return handler.answer(206, "application/octet-stream", image[at:], Content_Range=said)

    def _register(self, sealed):
        registration_id = cbor2.loads(sealed)[2]
        forced = self.registration_answer(sealed)
        if forced:
            return [8, registration_id, *forced]
        old = self.registered.setdefault(registration_id, sealed)
        return [8, registration_id, 1 if old is sealed else 2 if old == sealed else 3, None]

    def _take(self, index, sealed):
        header = cbor2.loads(cbor2.loads(sealed).value[0])
        reader_id, number = header[4], header[-70001]
        forced = self.disposition(sealed)
        if forced:
            return [1, index, reader_id, number, *forced]
        there = self.held.setdefault(reader_id, {})
        old = there.setdefault(number, sealed)
        return [1, index, reader_id, number, 1 if old is sealed else 2 if old == sealed else 3, None]

    def items(self, handler):
        body = gzip.decompress(handler.body) if handler.headers.get("Content-Encoding") == "gzip" else handler.body
        stream, items = io.BytesIO(body), []
        while stream.tell() < len(body):
            items.append(cbor2.load(stream))
        return items

    def count(self, path):
        return sum(1 for request in self.requests if request[0] == path)


def image_id(image):
    """In place of the hash of a manifest."""
    return hashlib.sha256(b"manifest of " + image).digest()[:16]


def _unpadded(part):
    import base64

    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
