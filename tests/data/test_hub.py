"""The hub is asked once, and not waited for."""

import os

import pytest

from fedseed.hub import prepare_hub


@pytest.mark.parametrize(
    ("endpoint", "proxy", "offline"),
    [("http://127.0.0.1:9", None, "1"), ("http://127.0.0.1:9", "http://127.0.0.1:9", None)],
)
def test_out_of_reach(
    endpoint: str, proxy: str | None, offline: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_OFFLINE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    if proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
    prepare_hub.cache_clear()
    prepare_hub()
    assert os.environ.get("HF_HUB_OFFLINE") == offline
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    prepare_hub.cache_clear()
