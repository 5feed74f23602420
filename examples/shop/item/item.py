"""item: what we know about one item.

GET /items/ID      one item
GET /items/today   the item of the day
GET /items         their ids
GET /health        200 when ready
"""

import datetime
import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SERVICE = os.environ.get("OUTRIGGER_SERVICE", "item")
INSTANCE = os.environ.get("OUTRIGGER_INSTANCE", SERVICE)
DRAIN_SECONDS = 0.5

ITEMS = {
    "paddle": ("Ash paddle", 6400, "One piece of ash, oiled four times. Light enough for a whole day, stiff enough for the last mile."),
    "lantern": ("Storm lantern", 3850, "Burns for twenty hours and does not mind the wind. The glass is a standard size, and we keep spares."),
    "rope": ("Mooring rope, 12 m", 2100, "Three strands, soft in the hand, spliced eye at one end. It stretches, so your cleats need not."),
    "compass": ("Deck compass", 8900, "A slow, well damped card that can be read from where you sit. Swung and signed before it leaves us."),
    "kettle": ("Galley kettle", 4500, "Wide at the bottom, so that it stays where you put it. Tea for four in six minutes."),
    "buoy": ("Net buoy", 1750, "Bright, hollow and honest. It floats, and it can be seen doing so."),
    "chart": ("Coastal chart", 1200, "The bay and its shoals at 1:25,000, on paper that survives being sat on wet."),
    "anchor": ("Folding anchor", 5400, "Four flukes that fold flat. Three kilograms, which is all a small boat needs on sand."),
}

# Each answer is made once: the data does not change while we run.
BODIES = {
    key: json.dumps(
        {"instance": INSTANCE, "id": key, "name": name, "cents": cents, "text": text}
    ).encode()
    for key, (name, cents, text) in ITEMS.items()
}
INDEX = json.dumps({"instance": INSTANCE, "ids": list(ITEMS)}).encode()


def todays():
    """The item of the day: each in turn, the same for all instances."""
    ids = list(ITEMS)
    return ids[datetime.date.today().toordinal() % len(ids)]


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


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "item"
    sys_version = ""
    timeout = 300  # idle connections: longer than any caller keeps one
    disable_nagle_algorithm = True
    wbufsize = 16384  # head and body leave in one packet

    def do_GET(self):
        with IN_FLIGHT:
            path = self.path.partition("?")[0]
            if path == "/health":
                return self.answer(200, b"ok\n", "text/plain")
            if path == "/items":
                return self.answer(200, INDEX)
            key = path.removeprefix("/items/")
            body = BODIES.get(todays() if key == "today" else key)
            if body is None:
                return self.answer(404, b'{"error": "there is no such item"}')
            self.answer(200, body)

    do_HEAD = do_GET

    def answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Shop-Instance", INSTANCE)
        if IN_FLIGHT.draining:
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
        sys.exit("item: PORT is not set; it names the port to listen on")
    # Blocked before any thread exists, so that only sigwait below takes them.
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    server = Server(("127.0.0.1", int(port)), Handler)
    threading.Thread(target=server.serve_forever, args=(0.2,), daemon=True).start()
    print(f"{INSTANCE}: listening on 127.0.0.1:{port}", flush=True)
    signal.sigwait(stops)
    IN_FLIGHT.draining = True  # each answer from now on ends its connection
    server.shutdown()
    server.server_close()
    IN_FLIGHT.wait(DRAIN_SECONDS)


if __name__ == "__main__":
    main()
