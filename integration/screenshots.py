"""Pictures of the demo page for the README, as somebody sees it who has searched before.

    python -m integration.screenshots --url http://127.0.0.1:8080/ --out integration/web/pictures

The service is the one that `make run` starts. Pictures have 256 colours: a page of flat
surfaces needs no more, and a README should open at once.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page

from integration.browser import chromium, opened, until

NONE = Image.Dither.NONE
QUERIES = ("headphones", "running shoes")
PREFIX = "wa"
WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 800},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
PICTURES: dict[str, dict[str, Any]] = {
    "wide": WIDE,
    "dark": {**WIDE, "color_scheme": "dark"},
    "phone": PHONE,
}


def use(page: Page, url: str) -> None:
    """Search for something, then type the beginning of something else."""
    page.goto(url)
    page.locator("#starters button").first.wait_for()
    for query in QUERIES:
        page.locator("#q").fill(query)
        page.keyboard.press("Enter")
        page.locator("#results h2 bdi", has_text=query).wait_for()
    page.locator("#q").focus()
    for letter in PREFIX:
        page.keyboard.type(letter)
        page.wait_for_timeout(200)
    until(page, "document.querySelectorAll('#why .bars li').length > 0")
    until(page, "document.querySelectorAll('#list .moved.up').length > 0")
    until(page, "document.querySelector('#hint').textContent.startsWith('After')")
    page.wait_for_timeout(400)


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8080/")
    parser.add_argument("--out", type=Path, default=Path("integration/web/pictures"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for name, options in PICTURES.items():
            with opened(browser, reduced_motion="reduce", **options) as page:
                use(page, arguments.url)
                picture = Image.open(io.BytesIO(page.screenshot(caret="initial")))
            few = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=NONE)
            few.save(arguments.out / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
