# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A BMC of the lab that speaks Redfish, over TLS on loopback: sessions, one computer system, its power and boot source.

What the machine does is chassis.py's business. Usage: redfish_bmc.py SETTINGS
"""

from __future__ import annotations

import base64
import hmac
import http.server
import json
import secrets
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = "/redfish/v1/"
SYSTEMS = "/redfish/v1/Systems"
SYSTEM = f"{SYSTEMS}/1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
SERVICE = "/redfish/v1/SessionService"
SESSIONS = f"{SERVICE}/Sessions"
# As few as BMCs of metal have, so that who does not log out is found out; and who was killed is forgotten.
MAX_SESSIONS = 8
IDLE_SECONDS = 60
SECONDS = 10

# What a reset is to the machine: the words for chassis.py.
RESETS = {
    "On": ("power", "1"),
    "ForceOn": ("power", "1"),
    "ForceOff": ("power", "0"),
    "GracefulShutdown": ("shutdown", "1"),
    "ForceRestart": ("reset", "1"),
}
TARGETS = {"None": "none", "Pxe": "pxe", "Hdd": "disk", "UefiHttp": "http"}
NAMES = {device: target for target, device in TARGETS.items()}
MODES = {"bios": "Legacy", "uefi": "UEFI"}

Body = dict[str, Any]


class Problem(Exception):
    """An answer other than the one that was hoped for."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Sessions:
    """Who is logged in. A session that nobody uses ends by itself."""

    def __init__(self) -> None:
        self._tokens: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def open(self) -> tuple[str, str]:
        with self._lock:
            now = time.monotonic()
            self._tokens = {name: one for name, one in self._tokens.items() if now - one[1] < IDLE_SECONDS}
            if len(self._tokens) >= MAX_SESSIONS:
                raise Problem(503, "The number of simultaneous sessions exceeds the limit.")
            name, token = secrets.token_hex(4), secrets.token_hex(16)
            self._tokens[name] = token, now
        return name, token

    def knows(self, given: str) -> bool:
        with self._lock:
            for name, (token, _used) in self._tokens.items():
                if hmac.compare_digest(token.encode(), given.encode()):
                    self._tokens[name] = token, time.monotonic()
                    return True
        return False

    def end(self, name: str) -> None:
        with self._lock:
            self._tokens.pop(name, None)


class Bmc(http.server.ThreadingHTTPServer):
    """The service of one node. Settings: name, serial, port, username, password, certificate, chassis, boot_mode."""

    daemon_threads = True

    def __init__(self, settings: Body) -> None:
        super().__init__(("127.0.0.1", settings["port"]), Handler)
        self.settings = settings
        self.sessions = Sessions()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(settings["certificate"])

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        connection.settimeout(SECONDS)
        # The greeting comes with the first read, in the connection's own thread.
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not like the certificate hangs up."""

    def knows(self, username: object, password: object) -> bool:
        given = f"{username}:{password}".encode()
        return hmac.compare_digest(given, f"{self.settings['username']}:{self.settings['password']}".encode())

    def chassis(self, *words: str) -> str:
        done = subprocess.run(
            [*self.settings["chassis"], *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Problem(500, f"The machine does not obey: {done.stderr.strip()[-200:]}")
        return done.stdout

    def system(self) -> Body:
        told = json.loads(self.chassis("get", "all"))
        enabled = "Continuous" if told["persistent"] else "Once"
        uefi = self.settings["boot_mode"] == "uefi"
        return {
            "@odata.id": SYSTEM,
            "Id": "1",
            "Name": self.settings["name"],
            "Manufacturer": "weft.fabric",
            "Model": "lab node",
            "SerialNumber": self.settings["serial"],
            "PowerState": "On" if told["power"] else "Off",
            "Actions": {"#ComputerSystem.Reset": {"target": RESET, "ResetType@Redfish.AllowableValues": list(RESETS)}},
            "Boot": {
                "BootSourceOverrideEnabled": "Disabled" if told["device"] == "none" else enabled,
                "BootSourceOverrideTarget": NAMES[told["device"]],
                "BootSourceOverrideMode": MODES[self.settings["boot_mode"]],
                "BootSourceOverrideTarget@Redfish.AllowableValues": [
                    target for target in TARGETS if uefi or target != "UefiHttp"
                ],
            },
        }

    def reset(self, body: Body) -> None:
        kind = body.get("ResetType")
        if kind not in RESETS:
            raise Problem(400, f"The value {kind!r} for the parameter ResetType is not in the list.")
        self.chassis("set", *RESETS[kind])

    def patch(self, body: Body) -> None:
        boot = body.get("Boot")
        if not isinstance(boot, dict) or set(body) != {"Boot"}:
            raise Problem(400, "Only the property Boot is writable.")
        system = self.system()["Boot"]
        known = {"BootSourceOverrideEnabled", "BootSourceOverrideTarget", "BootSourceOverrideMode"}
        for name in sorted(set(boot) - known):
            raise Problem(400, f"The property {name} is not writable.")
        if boot.get("BootSourceOverrideMode", system["BootSourceOverrideMode"]) != system["BootSourceOverrideMode"]:
            raise Problem(400, "This machine has one boot mode: BootSourceOverrideMode is not writable.")
        target = boot.get("BootSourceOverrideTarget", system["BootSourceOverrideTarget"])
        enabled = boot.get("BootSourceOverrideEnabled", system["BootSourceOverrideEnabled"])
        if target not in system["BootSourceOverrideTarget@Redfish.AllowableValues"]:
            raise Problem(400, f"The value {target!r} for BootSourceOverrideTarget is not in the list.")
        if enabled not in ("Disabled", "Once", "Continuous"):
            raise Problem(400, f"The value {enabled!r} for BootSourceOverrideEnabled is not in the list.")
        device = "none" if enabled == "Disabled" else TARGETS[target]
        self.chassis("set", "boot", device, *(["always"] if enabled == "Continuous" else []))


class Handler(http.server.BaseHTTPRequestHandler):
    server: Bmc
    protocol_version = "HTTP/1.1"
    # An answer goes out in one piece; otherwise each waits 40 ms for an acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_words: object) -> None:
        """Say nothing: chassis.py logs what matters."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        try:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(data or b"{}")
            status, answer, headers = self._answer(body if isinstance(body, dict) else {})
        except ValueError:
            status, answer, headers = 400, problem("The body is no JSON."), {}
        except Problem as error:
            status, answer, headers = error.status, problem(str(error)), {}
        text = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _answer(self, body: Body) -> tuple[int, Body | None, Mapping[str, str]]:
        """Return status, body and headers."""
        path = self.path.rstrip("/")
        if (self.command, path) == ("GET", ROOT.rstrip("/")):
            return 200, root(self.server.settings["name"]), {}
        if (self.command, path) == ("POST", SESSIONS):
            return self._log_in(body)
        self._check_session()
        if self.command == "DELETE" and path.startswith(f"{SESSIONS}/"):
            self.server.sessions.end(path.rpartition("/")[2])
        elif (self.command, path) == ("GET", SYSTEMS):
            return 200, {"@odata.id": SYSTEMS, "Members": [{"@odata.id": SYSTEM}], "Members@odata.count": 1}, {}
        elif (self.command, path) == ("GET", SYSTEM):
            return 200, self.server.system(), {}
        elif (self.command, path) == ("PATCH", SYSTEM):
            self.server.patch(body)
        elif (self.command, path) == ("POST", RESET):
            self.server.reset(body)
        else:
            raise Problem(404, "There is no such resource.")
        return 204, None, {}

    def _log_in(self, body: Body) -> tuple[int, Body, Mapping[str, str]]:
        if not self.server.knows(body.get("UserName"), body.get("Password")):
            raise Problem(401, "The user name or password is incorrect.")
        name, token = self.server.sessions.open()
        location = f"{SESSIONS}/{name}"
        return 201, {"@odata.id": location, "Id": name}, {"X-Auth-Token": token, "Location": location}

    def _check_session(self) -> None:
        token, given = self.headers.get("X-Auth-Token", ""), self.headers.get("Authorization", "")
        if token and self.server.sessions.knows(token):
            return
        kind, _space, pair = given.partition(" ")
        if kind == "Basic":
            username, _colon, password = base64.b64decode(pair).decode("utf-8", "replace").partition(":")
            if self.server.knows(username, password):
                return
        raise Problem(401, "There is no valid session.")


def root(name: str) -> Body:
    return {
        "@odata.id": ROOT,
        "Name": f"BMC of {name}",
        "RedfishVersion": "1.6.0",
        "Systems": {"@odata.id": SYSTEMS},
        "SessionService": {"@odata.id": SERVICE},
        "Links": {"Sessions": {"@odata.id": SESSIONS}},
    }


def problem(text: str) -> Body:
    return {"error": {"@Message.ExtendedInfo": [{"MessageId": "Base.1.0.GeneralError", "Message": text}]}}


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with Bmc(settings) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
