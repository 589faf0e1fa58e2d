"""Where servers stand, and the key that they ask for."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from reghar.errors import InputError


def base_urls(text: str) -> tuple[str, ...]:
    """The servers of `URL[,URL...]`, each up to and including its `/v1`. Raises `InputError`."""
    urls = tuple(_base_url(entry.strip()) for entry in text.split(",") if entry.strip())
    if not urls:
        raise InputError("--base-url is empty; give the address of a server, such as http://localhost:8000")
    if len(set(urls)) < len(urls):
        raise InputError(f"--base-url names a server twice: {text}")
    return urls


def _base_url(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise InputError(f"--base-url {text!r} is not an address: {error}") from error
    if parts.username or parts.password or parts.query:
        raise InputError(
            "--base-url must not hold a key or a query; put the key into an environment variable and "
            "name that with --api-key-env"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"--base-url {text!r} is not an address such as http://localhost:8000")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"


def headers(api_key_env: str | None) -> dict[str, str]:
    """The key out of the environment as HTTP headers. Raises `InputError` where it is not set."""
    if api_key_env is None:
        return {}
    key = os.environ.get(api_key_env, "").strip()
    if not key:
        raise InputError(f"--api-key-env names {api_key_env!r}, which is not set; export it")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InputError(f"the key in {api_key_env!r} holds characters that no key has; export it again")
    return {"Authorization": f"Bearer {key}"}
