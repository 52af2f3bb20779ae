"""A browser in a room: Chromium without a window, with LiveKit's own JavaScript client.

    browser.py LIVEKIT_CLIENT URL TOKEN [--publish vp8|vp9|h264|av1] [--size 1280x720] [--fps 30] [--simulcast]
               [--quality low|medium|high] [--secret TEXT] [--chromium PROGRAM]

LIVEKIT_CLIENT is the file livekit-client.umd.js; beside it is the worker that encrypts. What the page tells is printed line by line, in the form of publish.py and
subscribe.py; `mute video` and the like are taken as there. At the end of input it leaves. Everything stays on
loopback: the page comes from here, and the browser is told that no other name exists.
"""

import argparse
import http.server
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.parse

HERE = pathlib.Path(__file__).parent
KINDS = {".html": "text/html", ".js": "text/javascript"}

# How long the page may take to leave, and a question to wait for its answer.
LEAVE_S = 10
ASK_S = 20

# A page that is not looked at is as busy as any other here, and plays sound without being clicked.
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--mute-audio",
    "--autoplay-policy=no-user-gesture-required", "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
    "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns",
]  # fmt: skip


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: dict[str, pathlib.Path] = {}
    orders: "queue.Queue[str]" = queue.Queue()
    has_left = threading.Event()

    def do_GET(self) -> None:
        path = urllib.parse.urlparse(self.path).path
        if path == "/next":
            try:
                self.answer(self.orders.get(timeout=ASK_S).encode(), "text/plain")
            except queue.Empty:
                self.answer(b"nothing", "text/plain")
        elif path in self.files:
            self.answer(self.files[path].read_bytes(), KINDS[self.files[path].suffix])
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        line = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.answer(b"", "text/plain")
        if line == "left":
            self.has_left.set()
        else:
            print(line, flush=True)

    def answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


def main(args: argparse.Namespace) -> None:
    Handler.files = {f"/{name}": HERE / name for name in ("page.html", "page.js", "mark.js")}
    client = pathlib.Path(args.livekit_client)
    Handler.files |= {f"/{path.name}": path for path in (client, client.with_name("livekit-client.e2ee.worker.js"))}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    wish = {"url": args.url, "token": args.token, "size": args.size, "fps": args.fps}
    wish |= {"publish": args.publish or "", "simulcast": int(args.simulcast), "quality": args.quality or ""}
    wish |= {"secret": args.secret or ""}
    page = f"http://127.0.0.1:{server.server_port}/page.html?{urllib.parse.urlencode(wish)}"
    profile = tempfile.mkdtemp(prefix="otc-browser-")
    # The browser ends with this program, however that ends.
    command = ["setpriv", "--pdeathsig", "KILL", "--", args.chromium, *FLAGS, f"--user-data-dir={profile}", page]
    quiet = None if os.environ.get("BROWSER_LOG") else subprocess.DEVNULL
    browser = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=quiet, stderr=quiet)
    try:
        for line in sys.stdin:
            Handler.orders.put(line.strip())
        Handler.orders.put("leave")
        if not Handler.has_left.wait(LEAVE_S):
            raise SystemExit("the page did not leave")
    finally:
        browser.terminate()
        try:
            browser.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            browser.kill()
            browser.wait()
        shutil.rmtree(profile, ignore_errors=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("livekit_client")
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("--publish", choices=("vp8", "vp9", "h264", "av1"))
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--simulcast", action="store_true")
    parser.add_argument("--quality", choices=("low", "medium", "high"))
    parser.add_argument("--secret")
    parser.add_argument("--chromium", default="chromium")
    return parser.parse_args()


if __name__ == "__main__":
    main(arguments())
