"""A headless Chromium, spoken to over a pipe in the DevTools protocol.

It needs the standard library alone: a message is JSON that ends with a zero byte.
https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
EXECUTABLE = next(filter(None, map(shutil.which, NAMES)), None)

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
    *("--no-first-run", "--disable-background-networking", "--disable-sync"),
    *("--disable-component-update", "--disable-dev-shm-usage", "--disable-quic"),
    "--remote-debugging-pipe",
)
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}
PATIENCE = 60.0
"""Seconds for an answer, on a machine that has other work."""


class Browser:
    """One page of a browser; `problems` gathers what its console complains of."""

    def __init__(self, profile: Path) -> None:
        assert EXECUTABLE is not None
        command, self._write = os.pipe()
        self._read, answer = os.pipe()
        # The browser reads from descriptor 3 and writes to 4.
        redirect = f'exec "$@" 3</dev/fd/{command} 4>/dev/fd/{answer}'
        flags = [*FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["sh", "-c", redirect, "sh", EXECUTABLE, *flags],
            pass_fds=(command, answer),
            stderr=subprocess.DEVNULL,
        )
        os.close(command)
        os.close(answer)
        self._buffer = b""
        self._last = 0
        self._session: str | None = None
        self._events: list[dict[str, Any]] = []
        self.problems: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        """Ends the browser."""
        self._session = None
        self.call("Browser.close")
        self._process.wait(PATIENCE)
        os.close(self._read)
        os.close(self._write)

    def open(self, path: Path, *, width: int, height: int = 900) -> None:
        """Loads a file into a window of a size in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.problems.clear()
        self._events.clear()
        self.call("Page.navigate", url=path.as_uri())
        while not any(e["method"] == "Page.loadEventFired" for e in self._events):
            self._events.append(self._receive())

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, *, shift: bool = False) -> None:
        """Presses a key and lets it go, as a person would."""
        event: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": KEYS[key]}
        event |= {"code": key.strip() or "Space", "modifiers": 8 * shift}
        text = {"Enter": "\r", " ": " "}.get(key)
        self.call(
            "Input.dispatchKeyEvent",
            **event,
            type="keyDown" if text else "rawKeyDown",
            **({"text": text} if text else {}),
        )
        self.call("Input.dispatchKeyEvent", **event, type="keyUp")

    def picture(self, path: Path, *, height: int) -> None:
        """Saves what the page shows from its top, as PNG."""
        width = self.run("innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self.call(
            "Page.captureScreenshot", clip=clip, captureBeyondViewport=True
        )
        path.write_bytes(base64.b64decode(shot["data"]))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A method of the protocol and its result."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._last:
            self._events.append(answer)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _receive(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select(
                [self._read], [], [], max(end - time.monotonic(), 0)
            )
            received = os.read(self._read, 1 << 20) if ready else b""
            assert received, "the browser does not answer"
            self._buffer += received
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._note(message)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        """Keeps errors and warnings, and whatever would have left the machine."""
        parameters = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                thrown = details.get("exception", {}).get("description", "")
                self.problems.append(f"{details['text']} {thrown}")
            case "Runtime.consoleAPICalled" if parameters["type"] in _BAD:
                self.problems.append(str(parameters["args"]))
            case "Log.entryAdded" if parameters["entry"]["level"] in _BAD:
                self.problems.append(parameters["entry"]["text"])
            case "Network.requestWillBeSent":
                url = parameters["request"]["url"]
                if not url.startswith(("file:", "data:")):
                    self.problems.append(f"asks for {url}")


_BAD = ("error", "warning", "assert")
