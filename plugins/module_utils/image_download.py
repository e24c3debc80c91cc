# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading a file over HTTP, piece by piece, without ever waiting longer than is allowed.

A connection that breaks is taken up again where it broke. What a server says no to is final.
"""

from __future__ import annotations

import base64
import http.client
import re
import socket
import time
import typing as t
import urllib.parse

from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

CONNECT_SECONDS = 10.0
MAX_REDIRECTS = 5
MAX_CONNECTIONS = 20

# So much within the time that a server may be silent; less is as good as nothing.
LEAST_PROGRESS = 64 << 10

_REDIRECTS = (301, 302, 303, 307, 308)
_RANGE = re.compile(r"^bytes (\d+)-\d+/(\d+)$")


class DownloadError(FabricError):
    """What went wrong on the way from the server."""


class _Broken(Exception):
    """The connection is of no use any more; another one may be."""


class Download(object):
    """One file, from its first byte to its last."""

    def __init__(self, url: str, stall_timeout: float, until: float, validate_certs: bool = True):
        self.url = hide(url)
        self.received = 0
        self.total: t.Optional[int] = None
        self._url = url
        self._stall = stall_timeout
        self._until = until
        self._validate = validate_certs
        self._tag: t.Optional[str] = None
        self._connection: t.Optional[http.client.HTTPConnection] = None
        self._response: t.Optional[http.client.HTTPResponse] = None
        self._connections = 0
        self._moved = 0
        self._waited = 0.0  # for the network, since it moved last; a disk may take its time
        self._entered = time.monotonic()
        self._why = "too slow"  # what went wrong last
        self._aborted = False
        self._pending = b""

    def open(self) -> None:
        """Connect. After it, total is known if the server tells it."""
        self._again(self._connect)

    def peek(self, length: int) -> bytes:
        """Return the first bytes; reading begins with them all the same."""
        while len(self._pending) < length:
            piece = self._again(self._piece)
            if not piece:
                break
            self._pending += piece
        return self._pending[:length]

    def read(self) -> bytes:
        """Return what comes next, or nothing when the file is complete."""
        if self._pending:
            piece, self._pending = self._pending, b""
            return piece
        return self._again(self._piece)

    def abort(self) -> None:
        """Let whoever waits for the server wait no longer."""
        self._aborted = True
        connection = self._connection
        if connection is not None and connection.sock is not None:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._response = None

    def _again(self, work: t.Callable[[], t.Any]) -> t.Any:
        """Do something, with other connections as long as there is hope."""
        pause = 0.2
        self._entered = time.monotonic()
        while True:
            if self._aborted:
                raise DownloadError("loading %s was ended" % self.url)
            try:
                result = work()
                self._waited += time.monotonic() - self._entered
                return result
            except (_Broken, OSError, http.client.HTTPException) as error:
                self.close()
                if self._aborted:
                    raise DownloadError("loading %s was ended" % self.url) from None
                self._still_hope(error)
            time.sleep(pause)
            pause = min(pause * 2, 5.0)

    def _still_hope(self, error: Exception) -> None:
        told = self._why = _reason(error)
        if isinstance(error, _certificate_error()):
            raise DownloadError("the certificate of %s was not accepted: %s" % (self.url, told)) from None
        if self._connections >= MAX_CONNECTIONS:
            raise DownloadError(
                "%s came in pieces: the connection broke %d times, after %s the last time (%s). Look at the "
                "server's log" % (self.url, self._connections, self._so_far(), told)
            ) from None
        if self._remaining() <= 0:
            raise DownloadError(
                "the server of %s sent less than %d KiB in %g s, after %s (%s). Look at the server, and at the network "
                "to it" % (self.url, LEAST_PROGRESS >> 10, self._stall, self._so_far(), told)
            ) from None
        if time.monotonic() >= self._until:
            raise DownloadError("the time for loading %s was over after %s" % (self.url, self._so_far())) from None

    def _so_far(self) -> str:
        return "%d of %s bytes" % (self.received, "unknown" if self.total is None else self.total)

    def _remaining(self) -> float:
        return self._stall - self._waited - (time.monotonic() - self._entered)

    def _patience(self, most: float) -> float:
        """Return how long to wait for the network now."""
        return max(0.1, min(most, self._remaining(), self._until - time.monotonic()))

    def _piece(self) -> bytes:
        if self._response is None:
            if self.total is not None and self.received >= self.total:
                return b""
            self._connect()
        response, connection = self._response, self._connection
        if response is None or connection is None:
            raise _Broken("no answer")
        if self._remaining() <= 0 or time.monotonic() >= self._until:
            raise _Broken(self._why)
        # Half of the time, so that another connection is tried before all of it is over.
        if connection.sock is not None:
            connection.sock.settimeout(self._patience(self._stall / 2))
        piece = response.read1(1 << 20)
        if not piece and self.total is not None and self.received < self.total:
            raise _Broken("the server ended it early")
        self.received += len(piece)
        if self.total is not None and self.received > self.total:
            raise DownloadError("%s is longer than the %d bytes that its server told" % (self.url, self.total))
        if self.received >= self._moved + LEAST_PROGRESS:
            self._progress()
        return piece

    def _progress(self) -> None:
        self._moved, self._waited, self._entered = self.received, 0.0, time.monotonic()

    def _connect(self) -> None:
        self._connections += 1
        url = self._url
        for _turn in range(MAX_REDIRECTS + 1):
            response = self._ask(url)
            if response.status not in _REDIRECTS:
                self._take(response)
                return
            target = urllib.parse.urljoin(url, response.headers.get("Location", ""))
            if urllib.parse.urlsplit(url).scheme == "https" and not target.startswith("https:"):
                raise DownloadError(
                    "%s leads from HTTPS to %s, which is not encrypted. Give that address itself if it is to be trusted"
                    % (hide(url), hide(target))
                )
            self.close()
            url = target
        raise DownloadError("%s leads from one address to the next, %d times" % (self.url, MAX_REDIRECTS + 1))

    def _ask(self, url: str) -> http.client.HTTPResponse:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DownloadError(
                "%s is no address that can be loaded from; it begins with http:// or https://" % hide(url)
            )
        patience = self._patience(CONNECT_SECONDS)
        if parts.scheme == "https":
            import ssl  # takes a while to load, and is mostly not needed

            context = ssl.create_default_context()
            if not self._validate:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            self._connection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=patience, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=patience)
        headers = {"User-Agent": "weft-fabric", "Accept-Encoding": "identity"}
        if parts.username is not None:
            user = "%s:%s" % (urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or ""))
            headers["Authorization"] = "Basic " + base64.b64encode(user.encode("utf-8")).decode("ascii")
        if self.received:
            headers["Range"] = "bytes=%d-" % self.received
            if self._tag and not self._tag.startswith("W/"):
                headers["If-Range"] = self._tag
        self._connection.connect()
        if self._connection.sock is not None:
            self._connection.sock.settimeout(self._patience(self._stall / 2))
        path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        self._connection.request("GET", path, headers=headers)
        return self._connection.getresponse()

    def _take(self, response: http.client.HTTPResponse) -> None:
        status, headers = response.status, response.headers
        if status >= 500:
            raise _Broken("the server answered %d %s" % (status, response.reason))
        if status not in (200, 206) or (status == 206 and not self.received):
            raise DownloadError(
                "the server of %s answered %d %s. Look whether that is the image's address, and whether this machine "
                "may have it" % (self.url, status, response.reason)
            )
        if headers.get("Content-Encoding", "identity") != "identity":
            raise DownloadError("the server of %s packs it once more (%s)" % (self.url, headers["Content-Encoding"]))
        tag = headers.get("ETag") or headers.get("Last-Modified")
        if self.received and tag != self._tag:
            raise DownloadError("%s was changed on its server while it was loaded. Run again" % self.url)
        self._tag = tag
        self._response = response
        if status == 206:
            self._check_range(headers.get("Content-Range", ""))
            return
        length = headers.get("Content-Length")
        total = int(length) if length is not None and length.isdigit() else None
        if self.received:
            if total != self.total:
                raise DownloadError("%s was changed on its server while it was loaded. Run again" % self.url)
            self._skip(self.received)
        self.total = total

    def _check_range(self, told: str) -> None:
        found = _RANGE.match(told)
        if not found or int(found.group(1)) != self.received or self.total not in (None, int(found.group(2))):
            raise DownloadError(
                "asked for what follows byte %d of %s, and the server sent something else (%s)"
                % (self.received, self.url, told or "no Content-Range")
            )

    def _skip(self, count: int) -> None:
        """Read over what is known already, from a server that begins at the beginning each time."""
        while count:
            if time.monotonic() >= self._until:
                raise _Broken(self._why)
            piece = self._response.read1(min(count, 1 << 20)) if self._response is not None else b""
            if not piece:
                raise _Broken("the server ended it early")
            count -= len(piece)
            self._progress()


def hide(url: str) -> str:
    """Return an address without a password that may be in it."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _certificate_error() -> t.Tuple[t.Type[BaseException], ...]:
    import sys

    ssl = sys.modules.get("ssl")
    return (ssl.SSLCertVerificationError,) if ssl is not None else ()


def _reason(error: Exception) -> str:
    if isinstance(error, socket.timeout):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "its name is not known: %s" % error.strerror
    return str(error) or type(error).__name__
