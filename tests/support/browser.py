"""A page in a real browser: headless Chromium shows it in frames of several widths, where a script looks at it."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

HARNESS = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body><script>
const tell = (result) => fetch("/result", { method: "POST", body: JSON.stringify(result) });
(async () => {
  const result = {};
  for (const width of WIDTHS) {
    const frame = document.createElement("iframe");
    frame.style.cssText = `border: 0; width: ${width}px; height: 900px`;
    frame.src = "/page.html";
    const loaded = new Promise((resolve) => { frame.onload = resolve; });
    document.body.append(frame);
    await loaded;
    result[width] = await look(frame.contentWindow, frame.contentDocument, width);
    frame.remove();
  }
  await tell(result);
})().catch((error) => tell({ error: String(error.stack || error) }));
SCRIPT
</script></body>"""


@dataclass(frozen=True)
class Seen:
    """What came of a page in a browser.

    Attributes:
        result: by width what ``look`` returned.
        asked: the paths that the browser asked for, but for those of the harness.
        console: lines of the browser's console.
    """

    result: dict[str, Any]
    asked: list[str]
    console: list[str]


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, *arguments: Any, site: Site) -> None:
        self._site = site
        super().__init__(*arguments)

    def do_GET(self) -> None:
        body = {"/": self._site.harness, "/page.html": self._site.page}.get(self.path)
        if self.path != "/":
            self._site.asked.append(self.path)
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(body or b"")

    def do_POST(self) -> None:
        self._site.result = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        self._site.told.set()

    def log_message(self, *_: Any) -> None:
        pass


class Site:
    """The page and the harness that shows it, on loopback."""

    def __init__(self, page: bytes, harness: bytes) -> None:
        self.page, self.harness = page, harness
        self.asked: list[str] = []
        self.result: dict[str, Any] = {}
        self.told = threading.Event()


def look_at(page: Path, script: str, folder: Path, widths: tuple[int, ...] = (390, 820, 1400)) -> Seen:
    """Show a page in frames of these widths, in pixels; skips the test where there is no browser.

    Args:
        page: an HTML file.
        script: defines ``async function look(window, document, width)``, whose result is plain data.
        folder: an empty one for the browser's files.
        widths: of the frames.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"needs a browser ({', '.join(BROWSERS)}): install the package chromium")
    harness = HARNESS.replace("WIDTHS", json.dumps(widths)).replace("SCRIPT", script)
    site = Site(page.read_bytes(), harness.encode())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, site=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    log = folder / "stderr"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--window-size=1500,1000"]
    options += [f"--user-data-dir={folder / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
    with log.open("wb") as stderr:
        process = subprocess.Popen([browser, *options, f"http://127.0.0.1:{server.server_port}/"], stderr=stderr)
        try:
            assert site.told.wait(300), log.read_text(errors="replace")[-2000:]
        finally:
            process.terminate()
            process.wait(30)
            server.shutdown()
            server.server_close()
    console = [line for line in log.read_text(errors="replace").splitlines() if ":CONSOLE" in line]
    return Seen(site.result, [path for path in site.asked if path != "/page.html"], console)
