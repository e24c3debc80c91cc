# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Redfish service on loopback, over TLS, with one or more computer systems, and with faults on demand."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import hashlib
import http.server
import json
import ssl
import threading
import time
import typing as t
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "weft", "s3cret-of-the-bmc"
SYSTEMS = "/redfish/v1/Systems"
SESSIONS = "/redfish/v1/SessionService/Sessions"
RESET = "/Actions/ComputerSystem.Reset"

Body = dict[str, t.Any]


@dataclasses.dataclass
class Faults:
    """What it does not do well. A number is how often."""

    no_session: int = 0
    busy: int = 0
    basic_only: bool = False
    stuck: bool = False
    deaf: bool = False
    #: it says 200 to a PATCH of these fields, and keeps what it had
    forgets: tuple[str, ...] = ()
    #: it refuses a PATCH with these fields
    refuses: tuple[str, ...] = ()
    #: it wants If-Match
    wants_etag: bool = False
    silent: bool = False
    no_role: bool = False


def certificate(directory: Path) -> tuple[Path, str]:
    """Make a certificate that nobody has signed. Return its file, with the key, and its fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bmc")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file = directory / "bmc.pem"
    file.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return file, hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest()


class RedfishServer(http.server.ThreadingHTTPServer):
    """The service, and its machines."""

    daemon_threads = True

    def __init__(self, directory: Path, systems: t.Iterable[str] = ("1",), power: str = "Off", **faults: t.Any) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults = Faults(**faults)
        self.systems = {f"{SYSTEMS}/{name}": _system(f"{SYSTEMS}/{name}", power) for name in systems}
        self.sessions: set[str] = set()
        #: method, path and body of every request, without passwords
        self.requests: list[tuple[str, str, Body]] = []
        #: attempts to log in
        self.attempts: list[str] = []
        self.over = threading.Event()
        file, self.fingerprint = certificate(directory)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(file)

    def get_request(self) -> tuple[t.Any, t.Any]:
        connection, address = super().get_request()
        connection.settimeout(10)
        # The greeting comes with the first read, in the connection's own thread.
        wrapped = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return wrapped, address

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """A client that does not like the certificate hangs up."""

    def __enter__(self) -> RedfishServer:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()

    def bmc(self, **more: t.Any) -> Body:
        """Return the module's argument `bmc`."""
        return {
            "protocol": "redfish",
            "address": "127.0.0.1",
            "port": self.server_address[1],
            "username": USER,
            "password": PASSWORD,
            "certificate_fingerprint": self.fingerprint,
            **more,
        }

    @property
    def system(self) -> Body:
        return next(iter(self.systems.values()))

    @property
    def writes(self) -> list[Body]:
        """Return what was to change something, logging in and out aside."""
        return [body for method, path, body in self.requests if method != "GET" and not path.startswith(SESSIONS)]

    def wait_for(self, condition: t.Callable[[], bool], what: str, seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited {seconds} s until {what}"
            self.over.wait(0.01)


def _system(url: str, power: str) -> Body:
    return {
        "@odata.id": url,
        "Id": url.rsplit("/", 1)[-1],
        "Manufacturer": "Contoso",
        "Model": "R1",
        "SerialNumber": "0042",
        "BiosVersion": "1.7.2",
        "PowerState": power,
        "Actions": {
            "#ComputerSystem.Reset": {
                "target": url + RESET,
                "ResetType@Redfish.AllowableValues": ["On", "ForceOff", "GracefulShutdown", "ForceRestart"],
            }
        },
        "Boot": {
            "BootSourceOverrideEnabled": "Disabled",
            "BootSourceOverrideTarget": "None",
            "BootSourceOverrideMode": "UEFI",
            "BootSourceOverrideTarget@Redfish.AllowableValues": ["None", "Pxe", "Hdd", "Cd", "BiosSetup", "UefiHttp"],
        },
    }


class _Handler(http.server.BaseHTTPRequestHandler):
    server: RedfishServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_words: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PATCH(self) -> None:
        self._serve("PATCH")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        faults = self.server.faults
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        shown = {name: value for name, value in body.items() if name != "Password"}
        self.server.requests.append((method, self.path, shown))
        if faults.silent:
            self.server.over.wait(60)
            return
        if method == "GET" and self.path == "/redfish/v1/":
            self._answer(200, self._root())
        elif method == "POST" and self.path == SESSIONS and not faults.basic_only:
            self._log_in(body)
        elif not self._known():
            self._refuse(401, "There is no valid session established with the implementation.")
        elif method == "DELETE":
            self.server.sessions.discard(self.path.rsplit("/", 1)[-1])
            self._answer(204)
        elif method == "GET" and self.path == SYSTEMS:
            self._answer(200, {"Members": [{"@odata.id": url} for url in self.server.systems]})
        else:
            self._serve_system(method, body)

    def _root(self) -> Body:
        root: Body = {"Systems": {"@odata.id": SYSTEMS}}
        if not self.server.faults.basic_only:
            root["SessionService"] = {"@odata.id": "/redfish/v1/SessionService"}
            root["Links"] = {"Sessions": {"@odata.id": SESSIONS}}
        return root

    # Sessions

    def _log_in(self, body: Body) -> None:
        self.server.attempts.append(body.get("UserName", ""))
        if self.server.faults.no_session:
            self.server.faults.no_session -= 1
            text = "The session establishment failed due to the number of simultaneous sessions exceeding the limit."
            self._refuse(503, text)
        elif (body.get("UserName"), body.get("Password")) != (USER, PASSWORD):
            self._refuse(401, "The user name or password is incorrect. Retry with others.")
        else:
            name = f"s{len(self.server.attempts)}"
            self.server.sessions.add(name)
            where = f"https://127.0.0.1:{self.server.server_address[1]}{SESSIONS}/{name}"
            self._answer(201, {"Id": name}, {"X-Auth-Token": name, "Location": where})

    def _known(self) -> bool:
        if self.headers.get("X-Auth-Token") in self.server.sessions:
            return True
        given = self.headers.get("Authorization")
        if given is None:
            return False
        self.server.attempts.append("basic")
        return given == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    # Systems

    def _serve_system(self, method: str, body: Body) -> None:
        faults = self.server.faults
        url = self.path.removesuffix(RESET)
        system = self.server.systems.get(url)
        if system is None:
            self._refuse(404, "No such resource.")
        elif method == "GET":
            self._answer(200, system, {"ETag": self._etag(system)})
        elif faults.no_role:
            self._refuse(403, "The account has insufficient privileges.")
        elif faults.busy:
            faults.busy -= 1
            self._refuse(409, "The previous request is still being worked on.")
        elif method == "POST":
            self._reset(system, body)
        elif faults.wants_etag and self.headers.get("If-Match") != self._etag(system):
            self._refuse(428, "If-Match is required.")
        else:
            self._patch(system, body)

    def _etag(self, system: Body) -> str:
        digest = hashlib.sha256(json.dumps(system, sort_keys=True).encode()).hexdigest()
        return f'"{digest[:12]}"'

    def _reset(self, system: Body, body: Body) -> None:
        faults = self.server.faults
        kind = body.get("ResetType")
        if kind == "On" and not faults.stuck:
            system["PowerState"] = "On"
        if (kind == "ForceOff" and not faults.stuck) or (kind == "GracefulShutdown" and not faults.deaf):
            system["PowerState"] = "Off"
        self._answer(204)

    def _patch(self, system: Body, body: Body) -> None:
        boot = body.get("Boot", {})
        refused = sorted(set(boot) & set(self.server.faults.refuses))
        if refused:
            self._refuse(400, f"The property {refused[0]} is not writable.")
            return
        system["Boot"].update({key: value for key, value in boot.items() if key not in self.server.faults.forgets})
        self._answer(200, {})

    # Answers

    def _refuse(self, status: int, text: str) -> None:
        self._answer(status, {"error": {"@Message.ExtendedInfo": [{"MessageId": "Base.1.0.Error", "Message": text}]}})

    def _answer(self, status: int, body: Body | None = None, headers: t.Mapping[str, str] | None = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
