# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Power of one node: read, change where needed, and believe that it is off when it has been read twice."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.bmc_link import MARGIN_SECONDS, Link, Task
from ansible_collections.weft.fabric.plugins.module_utils.bmc_model import OFF, ON, BmcError, NoAnswer, Unsupported
from ansible_collections.weft.fabric.plugins.module_utils.bmc_watch import Watch

# Some BMCs fall over when they are asked too often. Most machines are quick, so that the first looks come sooner.
FIRST_POLL_SECONDS, POLL_SECONDS = 0.25, 1.0
# While a machine is reset, a BMC may say "off" for a moment. "On" none says of a machine that is off.
CONFIRM_SECONDS = 0.5

#: what the module takes for each node besides what all for BMCs do
OPTIONS = dict(
    state=dict(type="str", choices=["on", "off", "restarted"], required=True),
    soft_timeout=dict(type="float", default=120.0),
    hard=dict(type="bool", default=True),
    power_timeout=dict(type="float", default=60.0),
)


def task(check_mode: bool) -> Task:
    """Return what the module does for each node."""
    return lambda node, link, watch: Power(link, watch, node).run(check_mode)


class Power(object):
    """Brings a node to a power state."""

    def __init__(self, link: Link, watch: Watch, wanted: t.Mapping[str, t.Any]):
        self.link = link
        self.watch = watch
        self.state: str = wanted["state"]
        self.soft_timeout: float = wanted["soft_timeout"]
        self.hard: bool = wanted["hard"]
        self.power_timeout: float = wanted["power_timeout"]
        #: whether the BMC has said that it took the last command
        self.answered = True

    def run(self, check_mode: bool) -> None:
        before = self._settled()
        after = OFF if self.state == OFF else ON
        self.watch.report.update(before=before, state=before, forced=False)
        if self.state == before:
            return
        text = "restart" if self.state == "restarted" and before == ON else "power %s -> %s" % (before, after)
        arrived = ", restarted" if text == "restart" else ""
        self.watch.plan(text, "power %s" % before, "power %s%s" % (after, arrived))
        if not check_mode:
            if before == ON:
                self._off()
            if after == ON:
                self._on()
        self.watch.done()
        self.watch.report["state"] = after

    def _settled(self) -> str:
        """Return on or off: what is on its way to one of them is waited for, as a command now may be lost."""
        state = self.link.ask("tell its power state", lambda client: client.power())
        if state in (ON, OFF):
            return state
        what = "be done with %s" % state
        for possible in (ON, OFF):
            if self._reaches((ON, OFF), self.power_timeout, what) == possible:
                return possible
        raise BmcError(
            "it has been %s for more than %g s" % (state, self.power_timeout),
            "Look at the machine's console, or raise power_timeout. No command was sent",
        )

    def _on(self) -> None:
        self._command("power on", lambda client: client.power_on())
        if not self._reaches((ON,), self.power_timeout, "power on"):
            raise self._stuck(OFF, "power on")

    def _off(self) -> None:
        if self.soft_timeout and self._off_softly():
            return
        self._command("power off", lambda client: client.power_off())
        if not self._reaches((OFF,), self.power_timeout, "power off"):
            raise self._stuck(ON, "power off")

    def _off_softly(self) -> bool:
        """Have the operating system power off. Return False when the power is to be cut."""
        try:
            self._command("soft off", lambda client: client.shut_down())
        except Unsupported as error:
            if not self.hard:
                raise
            self.watch.warn("it was not shut down softly: %s" % error.cause)
            return False
        if self._reaches((OFF,), self.soft_timeout, "shut down"):
            return True
        if not self.hard:
            raise BmcError(
                "its operating system did not power off within %g s, and is not to be cut off (hard: false)"
                % self.soft_timeout,
                "Look at its console, or raise soft_timeout",
            )
        self.watch.report["forced"] = True
        return False

    def _command(self, text: str, command: t.Callable[[t.Any], None]) -> None:
        self.watch.command(text)
        self.answered = True
        try:
            self.link.ask(text, command)
        except NoAnswer:
            # A BMC that shares its port with the machine may lose its link, and its answer, when the power changes.
            # What has become of the command is read; it is not sent a second time.
            self.answered = False
            self.link.close()

    def _reaches(self, states: t.Sequence[str], seconds: float, what: str) -> t.Optional[str]:
        """Return which of the states was reached in time; off only when it was told twice."""
        end = self.watch.now() + seconds
        to, pause = self.link.to, FIRST_POLL_SECONDS
        with self.watch.step(what, seconds + to.timeout + to.connect_timeout + MARGIN_SECONDS):
            while True:
                state = self._look()
                if state in states and self._stays(state):
                    return state
                left = end - self.watch.now()
                if left <= 0:
                    return None
                self.watch.sleep(min(pause, left))
                pause = min(pause * 2, POLL_SECONDS)

    def _stays(self, state: t.Optional[str]) -> bool:
        if state == OFF:
            self.watch.sleep(CONFIRM_SECONDS)
            return self._look() == state
        return True

    def _look(self) -> t.Optional[str]:
        return self.link.try_to_ask("tell its power state", lambda client: client.power())

    def _stuck(self, state: str, command: str) -> BmcError:
        self.watch.report["state"] = state
        return BmcError(
            "it %s the command to %s, but %g s later its power is still not %s"
            % (
                "obeyed" if self.answered else "did not answer",
                command,
                self.power_timeout,
                OFF if state == ON else ON,
            ),
            "Look at the machine: its power supply, its front panel, its BMC's log. Restart the BMC if that is what is "
            "stuck, or raise power_timeout if the machine is merely slow",
        )
