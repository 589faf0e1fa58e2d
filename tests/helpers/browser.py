"""A headless Chromium for the page's tests; its logs say what it fetched and what went wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from helpers.needs import missing

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1200,900",
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MISSING = "no browser for the page's tests: apt-get install chromium chromium-driver"


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile; see `needs` for where there is none."""
    from selenium import webdriver

    binary = next((found for found in map(shutil.which, BROWSERS) if found), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        missing(MISSING)
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield Browser(started)
    finally:
        started.quit()


class Browser:
    """What the tests do with a page."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        driver.set_page_load_timeout(60)

    def run(self, script: str, *arguments: Any) -> Any:
        """The value that a function body returns in the page."""
        return self.driver.execute_script(script, *arguments)

    def open(self, address: str) -> None:
        """Loads an address afresh and waits for its view."""
        self.driver.get("about:blank")
        self.driver.get(address)
        self.settle()

    def settle(self) -> None:
        """Waits until the view of the present address is drawn."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 60, poll_frequency=0.05).until(
            lambda _: self.run(
                "const main = document.getElementById('main');"
                "if (!main || !main.dataset.ready) return false;"
                "const now = main.dataset.ready + location.hash;"
                "const same = window.settled === now; window.settled = now; return same;"
            )
        )

    def press(self, *keys: str) -> None:
        """Types keys, each a key of the page, letting every view settle."""
        from selenium.webdriver import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()
            self.run("window.settled = ''")
            self.settle()

    def text(self, selector: str) -> str:
        """The text of the first element that the selector finds; empty for none."""
        found = self.run("return document.querySelector(arguments[0])?.innerText", selector)
        return found or ""

    def texts(self, selector: str) -> list[str]:
        """The texts of all of them."""
        found: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)", selector
        )
        return found

    def media(self, *, scheme: str = "light", width: int = 1200, height: int = 850) -> None:
        """Colour scheme and size, as the reader's machine has them."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def complaints(self) -> list[str]:
        """Errors and warnings on the console since the last call, those of the CSP among them."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> set[str]:
        """Addresses asked for since the last call."""
        events = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        return {
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        }
