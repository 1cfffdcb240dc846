"""Headless Chromium, spoken to by the WebDriver protocol (W3C) that Debian's chromium-driver offers."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

PROGRAMS = ("chromium", "chromedriver")
# Nothing but what a page asks for; no network of its own.
_ARGUMENTS = (
    "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
    "disable-component-update", "disable-sync", "disable-dev-shm-usage", "hide-scrollbars")


def missing() -> str | None:
    """Why there is no browser here, or None."""
    absent = [p for p in PROGRAMS if shutil.which(p) is None]
    return f"no {' and no '.join(absent)} on the PATH" if absent else None


class Browser:
    """A browser window; close it by leaving the context.

    Args:
        folder: for its profile.

    Example:

    ```python
    with Browser(tmp_path) as browser:
        browser.open("file:///tmp/report.html", width=390, scheme="dark")
        browser.run("return document.title")
    ```
    """

    def __init__(self, folder: pathlib.Path):
        self._folder = folder

    def __enter__(self) -> Browser:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._base = f"http://127.0.0.1:{port}"
        self._wait_until_ready()
        self._session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {
                "binary": shutil.which("chromium"),
                "args": [*_ARGUMENTS, f"user-data-dir={self._folder / 'profile'}"]}}}})["sessionId"]
        return self

    def __exit__(self, *_) -> None:
        try:
            self._call("DELETE", f"/session/{self._session}")
        finally:
            self._driver.terminate()
            self._driver.wait(20)

    def open(self, url: str, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        """Loads a page as a screen of that size, in pixels, shows it; `scheme` is `light` or `dark`."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                 mobile=width < 600)
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._command("url", {"url": url})

    def run(self, script: str):
        """What a script returns."""
        return self._command("execute/sync", {"script": script, "args": []})

    def wait_for(self, script: str, seconds: float = 20) -> None:
        """Waits until a script returns something true."""
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, f"still not so after {seconds} s: {script}; {self.console()}"
            time.sleep(0.05)

    def console(self) -> list[str]:
        """Messages of the console since the last call: warnings, errors and what could not be loaded."""
        return [f"{e['level']}: {e['message']}" for e in self._command("se/log", {"type": "browser"})
                if e["level"] in ("WARNING", "SEVERE")]

    def screenshot(self, path: pathlib.Path) -> None:
        """The whole page as PNG, also what lies below the window's end."""
        size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
        shot = self.cdp("Page.captureScreenshot", captureBeyondViewport=True, clip={**size, "scale": 1})
        path.write_bytes(base64.b64decode(shot["data"]))

    def cdp(self, command: str, **parameters) -> dict:
        """A command of the Chrome DevTools protocol."""
        return self._command("goog/cdp/execute", {"cmd": command, "params": parameters})

    def _command(self, name: str, values: dict):
        return self._call("POST", f"/session/{self._session}/{name}", values)

    def _call(self, method: str, path: str, values: dict | None = None):
        request = urllib.request.Request(
            self._base + path, method=method, data=json.dumps(values).encode() if values is not None else None,
            headers={"Content-Type": "application/json"})
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()[:500]}") from error

    def _wait_until_ready(self) -> None:
        for _ in range(200):
            try:
                if self._call("GET", "/status")["ready"]:
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"chromedriver did not start on {self._base} ({os.getpid()})")
