"""A real browser without a window: the system's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from integration.processes import ROOT

WEB = ROOT / "integration" / "web"
MODULES = WEB / "node_modules"
PATIENCE = 20.0
"""Seconds after which a page that should have done something has not."""


def lacking(what: str) -> NoReturn:
    """Skip for want of ``what``; where everything is meant to be tested, fail."""
    missing = f"{what} (tools/setup.sh does, where it may)"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def program() -> str:
    """Return the browser; skip the test where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    return found or lacking("chromium is not installed")


def package(path: str) -> Path:
    """Return a file of an npm package; skip the test where it is not installed."""
    file = MODULES / path
    return (
        file
        if file.exists()
        else lacking(f"npm has not installed {path.split('/', maxsplit=1)[0]}")
    )


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser, and end it."""
    executable = program()
    with sync_playwright() as playwright:
        # Its sandbox needs what containers and root do not have; pages are our own.
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[Page]:
    """Open a page of its own; nothing on it may go wrong."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})
    context.set_default_timeout(PATIENCE * 1e3)
    page = context.new_page()
    wrong: list[str] = []

    def told(message: ConsoleMessage) -> None:
        if message.type == "error":
            wrong.append(message.text)

    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", told)
    yield page
    context.close()
    # Replies that a test makes fail are told to the console by the browser itself.
    wrong = [one for one in wrong if not one.startswith("Failed to load resource")]
    assert not wrong, "\n".join(wrong)


def until(page: Page, expression: str) -> None:
    """Wait until something holds in the page.

    Playwright's own way needs ``eval`` in the page, which the policy of a good page forbids.
    """
    end = time.monotonic() + PATIENCE
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(5)


def serious(page: Page) -> list[str]:
    """Return what axe finds that keeps people out: serious and critical."""
    # The page's own policy lets no script in; this goes past it, as developer tools do.
    page.evaluate(package("axe-core/axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert len(found["passes"]) > 10
    return [
        f"{one['id']}: {[node['target'] for node in one['nodes']]}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
    ]
