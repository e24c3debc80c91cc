# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to a switch's NETCONF server: host key checked, one attempt to log in, and a bound on all of it.

ncclient opens SSH too, but tries a password after a key has failed, checks a host key only by the types
that the newest algorithms no longer have, and waits for ever for a server that says nothing. So it gets
a connection that stands, and does what comes after.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import hashlib
import os
import socket
import threading
import time
import traceback
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

try:
    import paramiko
    from ncclient import NCClientError, manager
    from ncclient.operations import RaiseMode
    from ncclient.transport import session as ncclient_session
    from ncclient.transport.ssh import SSHSession
except ImportError:
    MISSING: t.Optional[str] = traceback.format_exc()
else:
    MISSING = None
    # How long ncclient's thread sleeps before it looks whether there is something to send. A tenth of a second
    # for each of ten requests is most of a session, and the switch is locked meanwhile.
    ncclient_session.TICK = 0.01

#: host keys, each as its type and its bytes
Keys = t.List[t.Tuple[str, bytes]]

# A key of a family is used with signatures that have other names.
_SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}


@dataclasses.dataclass(frozen=True)
class Way(object):
    """How a switch is reached."""

    name: str
    address: str
    port: int = 830
    username: str = ""
    password: t.Optional[str] = None
    key_file: t.Optional[str] = None
    host_key: t.Optional[str] = None
    known_hosts: t.Optional[str] = None
    host_key_checking: bool = True
    timeout: float = 30
    connect_timeout: float = 8

    def __str__(self) -> str:
        return "switch %s (%s port %d)" % (self.name, self.address, self.port)


def way(switch: t.Mapping[str, t.Any]) -> Way:
    """Return the way that the argument `switch` describes."""
    given = {field.name: switch.get(field.name) for field in dataclasses.fields(Way)}
    given.update(key_file=switch.get("ssh_key_file"), name=switch.get("name") or switch["address"])
    return Way(**{field: value for field, value in given.items() if value is not None})


def connect(to: Way) -> t.Any:
    """Return ncclient's manager of a session that has exchanged greetings."""
    if MISSING:
        raise FabricError("%s: the Python package ncclient is missing on this machine" % to)
    # What is missing on this side needs no switch to be found out.
    keys = _known_keys(to) if to.host_key_checking else None
    credentials = _private_key(to) if to.key_file else to.password
    if credentials is None:
        raise FabricError("%s: neither a password nor an ssh_key_file was given" % to)
    deadline = time.monotonic() + to.connect_timeout
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(_open(to, deadline))
        transport = paramiko.Transport(connection)
        # Several of paramiko's steps have no bound of their own.
        watch = threading.Timer(max(0.1, deadline - time.monotonic()), transport.close)
        watch.daemon = True
        watch.start()
        try:
            made = _greet(to, transport, keys, credentials, deadline)
        except (paramiko.SSHException, NCClientError, EOFError, OSError) as error:
            late = time.monotonic() >= deadline
            raise FabricError("%s: %s" % (to, _late(to) if late else _explain(error))) from error
        finally:
            watch.cancel()
        # It is the session's from here on.
        stack.pop_all()
    return made


def _late(to: Way) -> str:
    return (
        "something answers there, but did not finish its greeting within %g s. Look whether its NETCONF server runs"
        % to.connect_timeout
    )


def _explain(error: BaseException) -> str:
    return "no NETCONF session came about: %s" % (str(error) or type(error).__name__)


def _open(to: Way, deadline: float) -> socket.socket:
    """Return a connection to the first of the switch's addresses that answers."""
    try:
        found = socket.getaddrinfo(to.address, to.port, socket.AF_UNSPEC, socket.SOCK_STREAM)
    except OSError as error:
        raise FabricError("%s: its address is not known: %s" % (to, error)) from error
    reason: t.Union[str, OSError] = "no address"
    for family, kind, protocol, _name, address in found:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(left)
        try:
            connection.connect(address)
        except OSError as error:
            connection.close()
            reason = error
        else:
            return connection
    if isinstance(reason, socket.timeout):
        reason = "no answer within %g s" % to.connect_timeout
    raise FabricError("%s cannot be reached: %s" % (to, reason))


def _greet(to: Way, transport: t.Any, keys: t.Optional[Keys], credentials: t.Any, deadline: float) -> t.Any:
    handler = manager.make_device_handler({"name": "default"})
    handler.add_additional_netconf_params({})
    session = SSHSession(handler)
    try:
        _prefer(transport, keys)
        transport.start_client(timeout=max(0.1, deadline - time.monotonic()))
        if keys is not None:
            _check_key(to, transport.get_remote_server_key(), keys)
        _log_in(to, transport, credentials)
        channel = transport.open_session(timeout=max(0.1, deadline - time.monotonic()))
        channel.invoke_subsystem("netconf")
        session._host, session._transport, session._channel = to.address, transport, channel
        session._channel_id, session._connected = channel.get_id(), True
        _exchange_greetings(session, max(0.1, deadline - time.monotonic()))
    except BaseException:
        if session.is_alive():
            session.close()
        transport.close()
        raise
    made = manager.Manager(session, handler, timeout=to.timeout)
    # What is an error and what a warning is judged by the session.
    made.raise_mode = RaiseMode.NONE
    return made


def _exchange_greetings(session: t.Any, seconds: float) -> None:
    try:
        session._post_connect(seconds)
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        # ncclient takes each capability apart, and trusts it to be one.
        raise FabricError(
            "its list of capabilities cannot be read (%s). An empty entry, or one without a version, is what does that"
            % error
        ) from error


# Host keys


def _known_keys(to: Way) -> Keys:
    """Return the keys that the switch may have, as (type, bytes)."""
    if to.host_key:
        return [_parse_key(to, to.host_key)]
    names = [to.known_hosts] if to.known_hosts else ["~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"]
    hosts = paramiko.HostKeys()
    for name in names:
        _load(to, hosts, name)
    found = [
        (key.get_name(), key.asbytes())
        for host in ("[%s]:%d" % (to.address, to.port), to.address)
        for key in (hosts.lookup(host) or {}).values()
    ]
    if not found:
        raise FabricError(
            "%s: its host key is not known. Put it into host_key, as `ssh-keyscan -p %d %s` prints it and after "
            "comparing it with what the switch shows, or into %s." % (to, to.port, to.address, " or ".join(names))
        )
    return found


def _load(to: Way, hosts: t.Any, name: str) -> None:
    try:
        hosts.load(os.path.expanduser(name))
    except OSError as error:
        # Only a file that was asked for has to be there.
        if to.known_hosts:
            raise FabricError("%s: its host key cannot be looked up: %s" % (to, error)) from error


def _parse_key(to: Way, line: str) -> t.Tuple[str, bytes]:
    # As ssh-keyscan prints it, a host may stand in front, and a comment behind.
    words = line.split()
    for kind, data in zip(words, words[1:]):
        if kind.startswith(("ssh-", "ecdsa-", "sk-")):
            with contextlib.suppress(binascii.Error):
                return kind, base64.b64decode(data, validate=True)
    raise FabricError("%s: host_key is no public key; it looks like `ssh-ed25519 AAAA...`" % to)


def _prefer(transport: t.Any, known: t.Optional[Keys]) -> None:
    """Ask for a key of a type that is known: a server has several, and shows the one it is asked for."""
    if known is None:
        return
    options = transport.get_security_options()
    wanted = {name for kind, _data in known for name in _SIGNATURES.get(kind, (kind,))}
    possible = [name for name in options.key_types if name in wanted]
    if possible:
        options.key_types = possible


def _check_key(to: Way, shown: t.Any, known: Keys) -> None:
    if (shown.get_name(), shown.asbytes()) in known:
        return
    raise FabricError(
        "%s: it shows another host key (%s %s) than the one it should have. Nothing was sent to it. Either the switch "
        "was replaced or reset, or this is not the switch." % (to, shown.get_name(), _fingerprint(shown))
    )


def _fingerprint(key: t.Any) -> str:
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    return "SHA256:" + digest


# Logging in


def _log_in(to: Way, transport: t.Any, credentials: t.Any) -> None:
    """Log in with the one thing that was given, once: switches lock accounts out."""
    try:
        if to.key_file:
            transport.auth_publickey(to.username, credentials)
        else:
            transport.auth_password(to.username, credentials)
    except paramiko.AuthenticationException as error:
        if not transport.is_active():
            raise paramiko.SSHException("the connection ended while user %s logged in" % to.username) from error
        kind = "the key %s" % to.key_file if to.key_file else "the password"
        raise FabricError(
            "%s refuses user %s with %s. It was tried once and is not tried again." % (to, to.username, kind)
        ) from error


def _private_key(to: Way) -> t.Any:
    path = os.path.expanduser(to.key_file or "")
    try:
        try:
            return paramiko.PKey.from_path(path)
        except (paramiko.PasswordRequiredException, TypeError):
            return paramiko.PKey.from_path(path, (to.password or "").encode())
    except (OSError, ValueError, TypeError, paramiko.SSHException) as error:
        raise FabricError("%s: the key %s cannot be used: %s" % (to, path, error)) from error
