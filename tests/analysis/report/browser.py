"""A headless Chromium that the tests drive through its DevTools protocol."""

import asyncio
import base64
import json
import os
import shutil
import subprocess
import tempfile
import urllib.request
from contextlib import contextmanager
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
]


class Page:
    """One page; ``requests`` are the addresses that it asked for, ``problems`` what the console said."""

    def __init__(self, socket):
        self._socket, self._number = socket, 0
        self.requests, self.problems = [], []

    async def call(self, method, **parameters):
        self._number += 1
        await self._socket.write_message(
            json.dumps({"id": self._number, "method": method, "params": parameters})
        )
        while True:
            message = json.loads(await asyncio.wait_for(self._socket.read_message(), 30))
            self._note(message)
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]

    def _note(self, message):
        parameters = message.get("params", {})
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.problems.append(json.dumps(parameters)[:500])

    async def open(self, path, *, width=1280, height=900, dark=False, scripts=True):
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.call(f"{domain}.enable")
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        await self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        await self.call("Page.navigate", url=Path(path).resolve().as_uri())
        for _ in range(100):
            await asyncio.sleep(0.1)
            if await self.run("document.readyState") == "complete":
                return

    async def run(self, expression):
        """The value of a JavaScript expression."""
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def screenshot(self, path):
        data = (await self.call("Page.captureScreenshot"))["data"]
        Path(path).write_bytes(base64.b64decode(data))


@contextmanager
def chromium():
    """The address of a page's DevTools."""
    with tempfile.TemporaryDirectory() as profile:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        process = subprocess.Popen(
            [CHROMIUM, *FLAGS, *sandbox, f"--user-data-dir={profile}", "about:blank"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        try:
            line = next(line for line in process.stderr if line.startswith("DevTools listening on"))
            port = line.split("127.0.0.1:")[1].split("/")[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as reply:
                pages = json.load(reply)
            yield next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        finally:
            process.terminate()
            process.communicate()


def browse(script):
    """Run the coroutine function ``script(page)`` in a fresh browser; gives what it returns."""
    from tornado.websocket import websocket_connect

    async def session(address):
        socket = await websocket_connect(address, max_message_size=64 << 20)
        try:
            return await asyncio.wait_for(script(Page(socket)), 120)
        finally:
            socket.close()
            while await asyncio.wait_for(socket.read_message(), 10) is not None:
                pass  # closed once it says so

    with chromium() as address:
        return asyncio.run(session(address))
