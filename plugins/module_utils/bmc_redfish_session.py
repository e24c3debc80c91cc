# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS with a Redfish service: certificate checked, one attempt to log in, one session, ended at the end.

The connection is pyghmi's. Its Redfish commands are not used: with a wrong password they log in several times,
they never end their session, of which a BMC has few, and they do not tell the status of an answer.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import re
import socket
import ssl
import traceback
import typing as t
import urllib.parse

from ansible_collections.weft.fabric.plugins.module_utils.bmc_model import (
    BmcError,
    NoAnswer,
    Refused,
    Transient,
    Unsupported,
    Way,
)

try:
    from pyghmi.exceptions import UnrecognizedCertificate
    from pyghmi.util.webclient import SecureHTTPConnection
except ImportError:
    MISSING: t.Optional[str] = traceback.format_exc()
else:
    MISSING = None

ROOT = "/redfish/v1/"
_SESSIONS = ROOT + "SessionService/Sessions"
_HEADERS = {"Accept": "application/json", "OData-Version": "4.0", "User-Agent": "weft.fabric"}

# 409 is what some answer to a power command that comes while the last one is still worked on.
_BUSY_STATUS = (409, 412, 423, 429, 502, 503, 504)
# How BMCs say in words that another time would be better; most have a status of 400 or 500 with it.
_BUSY_TEXT = re.compile(r"during.{0,12}POST\b|temporarily|ResourceInUse|not ready", re.IGNORECASE)
# Comes with any status, 401 among them.
_SESSION_LIMIT = re.compile(
    r"session ?limit|simultaneous sessions|maximum (number of )?(user )?sessions|RAC0218", re.IGNORECASE
)
_ABSENT = (404, 405, 501)

Body = t.Dict[str, t.Any]


class Answer(object):
    """What a service answered."""

    def __init__(self, status: int, headers: t.Mapping[str, str], text: str):
        self.status = status
        self.headers = headers
        self.text = text

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def body(self) -> Body:
        if not self.text:
            return {}
        try:
            found = json.loads(self.text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise BmcError("what it answers is no Redfish", "Look whether the port is that of its Redfish service")
        return found

    @property
    def reason(self) -> str:
        """Return what the service says about its refusal, with its status."""
        said: t.List[str] = []
        with contextlib.suppress(BmcError, AttributeError, TypeError):
            error = self.body.get("error") or {}
            for message in error.get("@Message.ExtendedInfo") or [error]:
                said.append(str(message.get("Message") or message.get("message") or message.get("MessageId")))
        return "HTTP %d: %s" % (self.status, " ".join(" ".join(said).split())[:300] or "no reason given")


class Session(object):
    """Requests to one service."""

    def __init__(self, to: Way):
        self.to = to
        self._headers = dict(_HEADERS)
        #: where our session is at the service, when it has sessions
        self._location: t.Optional[str] = None
        self._connection = SecureHTTPConnection(
            to.address, to.port, verifycallback=_check_certificate(to), timeout=to.connect_timeout
        )

    # Logging in and out

    def log_in(self) -> Body:
        """Log in, once, and return the root of the service, which anybody may read."""
        root = self.get(ROOT)
        sessions = ((root.get("Links") or {}).get("Sessions") or {}).get("@odata.id")
        if not sessions and "SessionService" not in root:
            self._use_basic()
            return root
        credentials = {"UserName": self.to.username, "Password": self.to.password}
        answer = self._send("POST", sessions or _SESSIONS, credentials)
        token = answer.headers.get("X-Auth-Token")
        if answer.good and token:
            self._headers["X-Auth-Token"] = token
            self._location = _path(answer.headers.get("Location") or answer.body.get("@odata.id"))
        elif answer.good or answer.status in _ABSENT:
            self._use_basic()
        else:
            self._fail("open a session", answer, logging_in=True)
        return root

    def _use_basic(self) -> None:
        pair = "%s:%s" % (self.to.username, self.to.password)
        self._headers["Authorization"] = "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")

    def close(self) -> None:
        """End the session. What goes wrong here is not what the user wants to hear of."""
        with contextlib.suppress(Exception):
            if self._location:
                self._send("DELETE", self._location)
        with contextlib.suppress(Exception):
            self._connection.close()

    # Requests

    def get(self, url: str) -> Body:
        return self.fetch(url).body

    def fetch(self, url: str) -> Answer:
        try:
            answer = self._send("GET", url)
        except NoAnswer as error:
            # A connection that was kept open may have been closed meanwhile.
            if not isinstance(error.__cause__, (http.client.BadStatusLine, ConnectionError)):
                raise
            answer = self._send("GET", url)
        if not answer.good:
            self._fail("tell %s" % url, answer)
        return answer

    def write(self, what: str, method: str, url: str, body: Body, etag: t.Optional[str] = None) -> None:
        # On a new connection: nobody can say whether a write on one that broke has arrived.
        self._connection.close()
        answer = self._send(method, url, body, {"If-Match": etag} if etag else {})
        if not answer.good:
            self._fail(what, answer)

    def _send(
        self, method: str, url: str, body: t.Optional[Body] = None, more: t.Optional[t.Mapping[str, str]] = None
    ) -> Answer:
        headers = dict(self._headers, **(more or {}))
        data = None
        if body is not None:
            data = json.dumps(body)
            headers["Content-Type"] = "application/json"
        try:
            if self._connection.sock is None:
                self._connection.connect()
            if self._connection.sock is not None:
                self._connection.sock.settimeout(self.to.timeout)
            self._connection.request(method, url, data, headers)
            response = self._connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        except UnrecognizedCertificate as error:
            raise _other_certificate(error) from error
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise _explain(error, self.to) from error
        if response.will_close:
            self._connection.close()
        return Answer(response.status, response.headers, text)

    def _fail(self, what: str, answer: Answer, logging_in: bool = False) -> t.NoReturn:
        busy = answer.status in _BUSY_STATUS or (answer.status not in (401, 403) and _BUSY_TEXT.search(answer.text))
        if busy or _SESSION_LIMIT.search(answer.text):
            raise Transient(
                "it cannot %s now (%s)" % (what, answer.reason),
                "It was tried again for as long as retry_timeout says; look whether the machine is in its self-test, "
                "and whether others hold all of the BMC's sessions",
            )
        if answer.status == 401 or (logging_in and answer.status in (400, 403)):
            raise Refused(
                "it refuses user %s with the password that was given (%s)" % (self.to.username, answer.reason),
                "Correct the credentials. One attempt was made, so that no account is locked",
            )
        if answer.status == 403:
            raise Refused(
                "user %s may not do that: %s (%s)" % (self.to.username, what, answer.reason),
                "Give the user the role Operator at the BMC",
            )
        kind = Unsupported if answer.status in (400, *_ABSENT) else BmcError
        raise kind("it cannot %s (%s)" % (what, answer.reason), "Look at the BMC's own log, and at the machine")


def _path(location: t.Optional[str]) -> t.Optional[str]:
    """Return the path of what may be a whole URL."""
    return urllib.parse.urlsplit(location).path if location else None


# Certificates and connections


def _check_certificate(to: Way) -> t.Optional[t.Callable[[bytes], bool]]:
    """Return what is asked about the certificate before anything is sent; None has it checked as a browser does."""
    if to.certificate_fingerprint:
        wanted = plain_fingerprint(to.certificate_fingerprint)
        return lambda certificate: hashlib.sha256(certificate).hexdigest() == wanted
    return None if to.validate_certs else lambda certificate: True


def plain_fingerprint(text: str) -> str:
    """Return a fingerprint in lower case, without colons and the name of its hash."""
    return re.sub(r"^sha-?256[:=]?(?:\s*fingerprint=)?", "", text.strip().lower()).replace(":", "").strip()


def _other_certificate(error: t.Any) -> BmcError:
    shown = hashlib.sha256(error.certdata or b"").hexdigest()
    return BmcError(
        "it shows a certificate with another fingerprint than certificate_fingerprint: %s" % shown,
        "If the BMC's certificate was renewed, set certificate_fingerprint to that. Nothing was sent to it",
    )


def _explain(error: BaseException, to: Way) -> BmcError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return BmcError(
            "its certificate is not trusted: %s" % (error.verify_message or error),
            "Set certificate_fingerprint to the SHA-256 fingerprint of the BMC's certificate, or have it signed by an "
            "authority that this machine trusts. Nothing was sent to it",
        )
    if isinstance(error, ssl.SSLError):
        return BmcError("no TLS came about: %s" % error, "Look whether the port is that of its HTTPS service")
    if isinstance(error, socket.gaierror):
        return BmcError("its address is not known: %s" % error, "Correct it, or give an IP address")
    if isinstance(error, socket.timeout):
        said = "it does not answer within %g s" % max(to.timeout, to.connect_timeout)
    else:
        said = "it does not answer: %s" % (str(error) or type(error).__name__)
    return NoAnswer(
        said,
        "Look whether address and port are the BMC's, whether it has power and network, and whether Redfish is enabled",
    )
