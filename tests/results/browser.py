"""A real browser without a window, for tests that need one: chromium."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


def browse(page: Path, *options: str) -> str:
    """Open a page; returns its elements as they are once its script has run.

    Fails where the page writes anything to the console, as it does when its policy is broken.

    Args:
        page: a file, beside which the browser keeps its profile.
        options: further ones of the browser.
    """
    words = [
        CHROMIUM or "", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
        f"--user-data-dir={page.parent / 'profile'}", *options, "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    if said := re.findall(r".*CONSOLE.*", done.stderr):
        raise AssertionError("\n".join(said))
    return done.stdout


def browse_with(page: str, script: str, folder: Path) -> str:
    """Open a page that has one more script at its end, which its policy is lifted for.

    Returns:
        What the script left as the page's title.
    """
    lifted = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    file = folder / "page.html"
    file.write_text(lifted.replace("</body>", f"<script>{script}</script></body>"), "utf-8")
    title = re.search(r"<title>(.*?)</title>", browse(file), re.S)
    assert title
    return title[1]
