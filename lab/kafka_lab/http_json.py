"""JSON over HTTP, for services on this machine."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from .errors import RefusedError, UnavailableError

READ_TIMEOUT = 5.0
WRITE_TIMEOUT = 15.0


def get_json(url: str, parameters: dict[str, str] | None = None) -> Any:
    query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
    return _json(urllib.request.Request(url + query), READ_TIMEOUT)


def post_json(url: str, body: Any, token: str | None = None) -> Any:
    """Raises `RefusedError` with the service's own words where it says no."""
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    return _json(request, WRITE_TIMEOUT)


def delete(url: str) -> None:
    _json(urllib.request.Request(url, method="DELETE"), WRITE_TIMEOUT)


def answers(url: str) -> bool:
    """Whether the service answers with a 2xx status."""
    try:
        with urllib.request.urlopen(url, timeout=READ_TIMEOUT):
            return True
    except (OSError, http.client.HTTPException):
        return False


def _json(request: urllib.request.Request, timeout: float) -> Any:
    name = f"{request.get_method()} {request.full_url.split('?')[0]}"
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        words = error.read().decode(errors="replace")[:300]
        kind = UnavailableError if error.code >= 500 else RefusedError
        raise kind(f"{name}: status {error.code}: {words}") from error
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"{name}: {error}") from error
    except ValueError as error:
        raise UnavailableError(f"{name}: the answer is not JSON: {error}") from error
