# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The BMCs of the lab's nodes, on loopback: OpenIPMI's simulator, or a Redfish service of the lab's own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import uuid
from pathlib import Path

from weft_lab.definition import Lab
from weft_lab.node_definition import BMC_USER, Node
from weft_lab.system import LabError, kill_all, process_start, run, search_path, wait_for, write_file

# In the role, beside this package; a lab that is up has its own copy, as the collection may go before the lab does.
FILES = Path(__file__).resolve().parent.parent / "node"
# Answers within a second, or a client says it again; so no site packages are looked for.
PYTHON = (sys.executable, "-E", "-s", "-S", "-B")
SECONDS = 15.0

LAN = """\
name "{name}"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid {guid}
  endlan
  chassis_control "{chassis}"
  user 1 true "" "" user 10 none md2 md5 straight
  user 2 true "{user}" "{password}" admin 10 none md2 md5 straight
"""
COMMANDS = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
mc_enable 0x20
"""
# RMCP's question whether somebody is there, which needs no session.
PING = bytes.fromhex("0600ff06000011be80000000")


def folder(lab: Lab, node: Node) -> Path:
    """Where all that a running lab knows of a node is."""
    return lab.state / "nodes" / node.name


def home(lab: Lab, node: Node) -> Path:
    return folder(lab, node) / "bmc"


def fingerprint_file(lab: Lab, node: Node) -> Path:
    return folder(lab, node) / "bmc_fingerprint"


def password_file(lab: Lab) -> Path:
    return lab.state / "bmc_password"


def ensure_password(lab: Lab) -> None:
    """The password of all BMCs of the lab, made when the first one comes up; IPMI has room for 16 characters."""
    if not password_file(lab).exists():
        write_file(password_file(lab), secrets.token_hex(8), 0o600)


def password(lab: Lab) -> str:
    return password_file(lab).read_text(encoding="utf-8")


def chassis_command(lab: Lab, node: Node) -> list[str]:
    return [*PYTHON, str(lab.state / "nodes-lib" / "chassis.py"), str(folder(lab, node))]


def identity(lab: Lab, node: Node) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_DNS, f"{node.name}.{lab.name}.node.weft.fabric")


def furnish_common(lab: Lab) -> None:
    """What all BMCs of the lab share: made once, before they are furnished side by side."""
    for file in sorted(FILES.glob("*.py")):
        write_file(lab.state / "nodes-lib" / file.name, file.read_text(encoding="utf-8"))
    ensure_password(lab)


def furnish(lab: Lab, node: Node) -> None:
    (home(lab, node) / "state").mkdir(mode=0o700, parents=True, exist_ok=True)
    if node.bmc.protocol == "ipmi":
        furnish_ipmi(lab, node)
    else:
        furnish_redfish(lab, node)


def furnish_ipmi(lab: Lab, node: Node) -> None:
    chassis = home(lab, node) / "chassis"
    write_file(chassis, f'#!/bin/sh\nexec {shlex.join(chassis_command(lab, node))} "$@"\n', 0o755)
    settings = LAN.format(
        name=node.name,
        port=node.bmc.port,
        guid=identity(lab, node).hex,
        chassis=chassis,
        user=BMC_USER,
        password=password(lab),
    )
    write_file(home(lab, node) / "lan.conf", settings, 0o600)
    write_file(home(lab, node) / "commands", COMMANDS)


def furnish_redfish(lab: Lab, node: Node) -> None:
    certificate = home(lab, node) / "certificate.pem"
    if not certificate.exists():
        make_certificate(certificate, node.name)
    settings = {
        "name": node.name,
        "serial": f"{lab.name}-{node.name}",
        "port": node.bmc.port,
        "username": BMC_USER,
        "password": password(lab),
        "certificate": str(certificate),
        "chassis": chassis_command(lab, node),
        "boot_mode": node.boot_mode,
    }
    write_file(home(lab, node) / "redfish.json", json.dumps(settings, indent=1) + "\n", 0o600)
    write_file(fingerprint_file(lab, node), fingerprint(certificate))


def make_certificate(file: Path, name: str) -> None:
    """A key and a certificate that nobody has signed, as a BMC has them from the factory; in one file."""
    scratch = file.with_name(".new.pem")
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-x509", "-days", "3650"]
    done = run(["openssl", "req", *kind, "-subj", f"/CN=bmc of {name}", "-keyout", "-", "-out", "-"])
    write_file(scratch, done.stdout, 0o600)
    scratch.replace(file)


def fingerprint(certificate: Path) -> str:
    text = certificate.read_text(encoding="utf-8")
    begin = text.index("-----BEGIN CERTIFICATE-----")
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text[begin:])).hexdigest()


def command(lab: Lab, node: Node) -> list[str]:
    if node.bmc.protocol == "ipmi":
        program = shutil.which("ipmi_sim", path=search_path()) or "ipmi_sim"
        # Whole paths, so that the process can be told from others of its kind.
        place = home(lab, node)
        return [program, "-c", str(place / "lan.conf"), "-f", str(place / "commands"), "-s", str(place / "state"), "-n"]
    return [*PYTHON, str(lab.state / "nodes-lib" / "redfish_bmc.py"), str(home(lab, node) / "redfish.json")]


def pid(lab: Lab, node: Node) -> int | None:
    with contextlib.suppress(FileNotFoundError, ValueError):
        number, _space, started = (home(lab, node) / "pid").read_text(encoding="utf-8").partition(" ")
        if process_start(int(number)) == started:
            return int(number)
    return None


def state(lab: Lab, node: Node) -> str:
    """running, silent (it was stopped as a fault), or off."""
    number = pid(lab, node)
    if number is None:
        return "off"
    return "silent" if stopped(number) else "running"


def stopped(number: int) -> bool:
    """Whether a process was told to do nothing, and does so."""
    try:
        stat = Path(f"/proc/{number}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] == "T"


def start(lab: Lab, node: Node) -> None:
    output = home(lab, node) / "output"
    with output.open("wb") as log:
        child = subprocess.Popen(
            command(lab, node),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=home(lab, node),
        )
    write_file(home(lab, node) / "pid", f"{child.pid} {process_start(child.pid)}")

    def ready() -> bool:
        if child.poll() is not None:
            words = output.read_text(encoding="utf-8", errors="replace").split("\n")
            raise LabError(
                f"{node.name}: its BMC ended at once; perhaps port {node.bmc.port} of 127.0.0.1 is somebody else's: "
                + " | ".join(line for line in words[-6:] if line)
            )
        return answers(node)

    wait_for(ready, timeout=SECONDS, what=f"the BMC of {node.name} to answer", interval=0.05)


def answers(node: Node) -> bool:
    kind = socket.SOCK_DGRAM if node.bmc.protocol == "ipmi" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.settimeout(0.1)
        try:
            probe.connect(("127.0.0.1", node.bmc.port))
            if kind == socket.SOCK_DGRAM:
                probe.send(PING)
                probe.recv(100)
        except OSError:
            return False
        return True


def resume(lab: Lab, node: Node) -> None:
    number = pid(lab, node)
    if number is not None:
        os.kill(number, signal.SIGCONT)


def stop(lab: Lab, node: Node) -> None:
    kill_all(lambda: [one for one in [pid(lab, node)] if one is not None], what=f"the BMC of {node.name}")
    (home(lab, node) / "pid").unlink(missing_ok=True)
