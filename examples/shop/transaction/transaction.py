"""transaction: executes purchases and keeps a ledger of their ids.

POST /transactions   {"id": "...", "item": "...", "quantity": 1} -> 201
GET  /ids            how often each id was executed
GET  /health         200 when ready

On purpose there is no protection against executing an id twice: that no id is
executed twice is what the mesh promises, and the ledger is there to check it.

Each executed id is one line in the ledger of this instance. With
SHOP_LEDGER_DIR the ledgers are files DIR/INSTANCE.ids, appended to before the
answer is sent; they outlive a kill, and GET /ids counts over all files there,
so any instance answers for all of them. Without it the ledger is in memory,
and GET /ids speaks of this instance since its start.
"""

import collections
import json
import os
import pathlib
import re
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SERVICE = os.environ.get("OUTRIGGER_SERVICE", "transaction")
INSTANCE = os.environ.get("OUTRIGGER_INSTANCE", SERVICE)
DRAIN_SECONDS = 0.5
BODY_LIMIT = 64 * 1024
ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class MemoryLedger:
    """Counts in memory: this instance, since its start."""

    def __init__(self):
        self.seen = collections.Counter()
        self.lock = threading.Lock()

    def append(self, key):
        with self.lock:
            self.seen[key] += 1

    def counts(self):
        with self.lock:
            return dict(self.seen)


class FileLedger:
    """One file per instance, one line per execution; counts over all of them."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        # Unbuffered and in append mode: a line is whole and survives our death.
        self.file = open(self.folder / f"{INSTANCE}.ids", "ab", buffering=0)

    def append(self, key):
        self.file.write(f"{key}\n".encode())

    def counts(self):
        seen = collections.Counter()
        for file in self.folder.glob("*.ids"):
            seen.update(file.read_text().split())
        return dict(seen)


class InFlight:
    """Counts the requests being answered, so that a stop can wait for them."""

    def __init__(self):
        self.count = 0
        self.draining = False
        self.changed = threading.Condition()

    def __enter__(self):
        with self.changed:
            self.count += 1

    def __exit__(self, *_):
        with self.changed:
            self.count -= 1
            self.changed.notify_all()

    def wait(self, seconds):
        """Waits until nothing is in flight."""
        with self.changed:
            self.changed.wait_for(lambda: self.count == 0, seconds)


IN_FLIGHT = InFlight()


class Refused(Exception):
    """A request that we do not execute, and why."""

    def __init__(self, status, why):
        super().__init__(why)
        self.status = status


def purchase(body):
    """Reads a purchase, or refuses it before anything is executed."""
    try:
        order = json.loads(body)
    except ValueError:
        raise Refused(400, "the body is not JSON") from None
    if not isinstance(order, dict):
        raise Refused(400, "the body is not a JSON object")
    key, item, quantity = order.get("id"), order.get("item"), order.get("quantity", 1)
    if not isinstance(key, str) or not ID.fullmatch(key):
        raise Refused(400, "id: 1 to 64 letters, digits, '_', '.' or '-'")
    if not isinstance(item, str) or not ID.fullmatch(item):
        raise Refused(400, "item: 1 to 64 letters, digits, '_', '.' or '-'")
    if type(quantity) is not int or not 1 <= quantity <= 99:
        raise Refused(400, "quantity: a whole number from 1 to 99")
    return key, item, quantity


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "transaction"
    sys_version = ""
    timeout = 300  # idle connections: longer than any caller keeps one
    disable_nagle_algorithm = True
    wbufsize = 16384  # head and body leave in one packet

    def do_GET(self):
        with IN_FLIGHT:
            path = self.path.partition("?")[0]
            if path == "/health":
                return self.answer(200, b"ok\n", "text/plain")
            if path != "/ids":
                return self.tell(404, {"error": "there is nothing here"})
            counts = self.server.ledger.counts()
            self.tell(200, {
                "executed": sum(counts.values()),
                "distinct": len(counts),
                "more-than-once": {key: n for key, n in counts.items() if n > 1},
                "counts": counts,
            })

    do_HEAD = do_GET

    def do_POST(self):
        with IN_FLIGHT:
            try:
                body = self.body()
                if self.path != "/transactions":
                    raise Refused(404, "there is nothing here")
                key, item, quantity = purchase(body)
            except Refused as no:
                return self.tell(no.status, {"error": str(no)})
            self.server.ledger.append(key)
            self.tell(201, {"id": key, "item": item, "quantity": quantity})

    def body(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > BODY_LIMIT:
            # The body stays unread, so this connection cannot be used again.
            self.close_connection = True
            raise Refused(411 if not length else 413, "a Content-Length of at most 64 KiB is needed")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionResetError("the caller went away within the body")
        return body

    def tell(self, status, content):
        self.answer(status, json.dumps({"instance": INSTANCE, **content}).encode())

    def answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Shop-Instance", INSTANCE)
        if IN_FLIGHT.draining or self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()  # before the request stops counting as in flight

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        # A caller that went away is not our error.
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


def main():
    port = os.environ.get("PORT")
    if not port:
        sys.exit("transaction: PORT is not set; it names the port to listen on")
    folder = os.environ.get("SHOP_LEDGER_DIR")
    # Blocked before any thread exists, so that only sigwait below takes them.
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    server = Server(("127.0.0.1", int(port)), Handler)
    server.ledger = FileLedger(folder) if folder else MemoryLedger()
    threading.Thread(target=server.serve_forever, args=(0.2,), daemon=True).start()
    print(f"{INSTANCE}: listening on 127.0.0.1:{port}", flush=True)
    signal.sigwait(stops)
    IN_FLIGHT.draining = True  # each answer from now on ends its connection
    server.shutdown()
    server.server_close()
    IN_FLIGHT.wait(DRAIN_SECONDS)


if __name__ == "__main__":
    main()
