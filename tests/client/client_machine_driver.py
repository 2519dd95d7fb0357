"""Drives a client's machine, records its effects, and answers what it asks."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from resumehub.client import commands as c
from resumehub.client import effects as e
from resumehub.client.machine import ClientMachine
from resumehub.client.states import ClientRules, ClientState
from resumehub.protocol.control_messages import Hello

T = TypeVar("T")

HELLO = Hello(
    connection_id="ada",
    token="one",
    resumed=False,
    received=0,
    replay_from=1,
    window_messages=8,
    window_bytes=1000,
    ping_interval=20.0,
    max_message_size=1000,
)


def hello(resumed: bool = False, asked: int = 0, **fields: object) -> Hello:
    """A ``$hello`` that fits a dial that said ``asked``."""
    return replace(HELLO, resumed=resumed, replay_from=asked + 1, **fields)  # type: ignore[arg-type]


class Bench:
    """Drive a machine, and remember all that it asked for. ``chance`` is what is drawn of every pause."""

    def __init__(self, chance: float = 0.5, **rules: object) -> None:
        self.machine = ClientMachine(ClientRules(**rules))  # type: ignore[arg-type]
        self.chance = chance
        self.now = 0.0
        self.heard_at = 0.0
        self.done: list[e.Effect] = []
        self.do(c.Start())

    def do(self, *commands: c.Command) -> list[e.Effect]:
        """Handle commands at the present time; give the effects, those of the answers included."""
        effects: list[e.Effect] = []
        waiting = list(commands)
        while waiting:
            for effect in self.machine.handle(waiting.pop(0), self.now):
                effects.append(effect)
                if isinstance(effect, e.DrawPause):
                    waiting.append(c.Drawn(effect.at_least + self.chance * effect.upto))
                elif isinstance(effect, e.AskLastHeard):
                    waiting.append(c.LastHeard(effect.dial, self.heard_at))
        self.done += effects
        return effects

    def wait(self, seconds: float) -> list[e.Effect]:
        """Let time pass, from deadline to deadline."""
        until = self.now + seconds
        effects: list[e.Effect] = []
        while (at := self.machine.next_deadline()) is not None and at <= until:
            self.now = at
            effects += self.do(c.TimePassed())
        self.now = until
        return effects

    def wait_for_retry(self) -> list[e.Effect]:
        """Let the pause pass, and no more."""
        at = self.machine.next_deadline()
        assert at is not None, "it does not wait for anything"
        return self.wait(at - self.now)

    def open(
        self, resumed: bool = False, asked: int = 0, phase: float = 1.0, **fields: object
    ) -> list[e.Effect]:
        """The present dial succeeds, at a ``resumehub.v1`` server."""
        return self.do(c.Opened(self.machine.dial, hello(resumed, asked, **fields), asked, phase))

    def lose(self, code: int = 1006, reason: str = "") -> list[e.Effect]:
        """The present transport ends; with another code than 1006 the server has said so."""
        return self.do(c.Lost(self.machine.dial, code, reason, by_peer=code != 1006))

    @property
    def state(self) -> ClientState:
        return self.machine.state

    def hooks(self) -> list[str]:
        """The callbacks so far."""
        return [effect.hook for effect in self.done if isinstance(effect, e.QueueCallback)]


def of(effects: list[e.Effect], kind: type[T]) -> list[T]:
    """Those of one kind."""
    return [effect for effect in effects if isinstance(effect, kind)]
