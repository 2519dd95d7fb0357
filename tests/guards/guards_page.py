"""Draws the tables of docs/explanation/guards.md. Used by tools/docs; compared by the tests."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial

from tests.guards import (
    cluster_guards,
    ending_guards,
    limit_guards,
    registration_guards,
    report_guards,
    request_guards,
    resume_guards,
    shell_guards,
    time_guards,
    transport_guards,
    v1_shell_guards,
)
from tests.guards.guard import Guard
from tests.guards.sentences import is_claim
from tests.guards.shell_guard import ShellGuard

MACHINE = time_guards.GUARDS + registration_guards.GUARDS + ending_guards.GUARDS
RESUMES = resume_guards.GUARDS
TRANSPORTS = report_guards.GUARDS + transport_guards.GUARDS
LIMITS = limit_guards.GUARDS
SHELL = shell_guards.GUARDS + v1_shell_guards.GUARDS + request_guards.GUARDS + cluster_guards.GUARDS
PARTS: dict[str, Sequence[Guard]] = {
    "guards of the machine": MACHINE,
    "guards of who may resume": RESUMES,
    "guards of the transports": TRANSPORTS,
    "guards of limits": LIMITS,
    "guards of the shell": SHELL,
}


def counts() -> str:
    """How many guards there are, and of how many it is shown that a schedule needs them."""
    lines = ["| | guards | a schedule needs it | explained |", "|---|---|---|---|"]
    rows = [*PARTS.items(), ("all", [*MACHINE, *RESUMES, *TRANSPORTS, *LIMITS, *SHELL])]
    for name, guards in rows:
        proven = sum(guard.proven for guard in guards)
        lines.append(f"| {name} | {len(guards)} | {proven} | {len(guards) - proven} |")
    return "\n".join(lines) + "\n"


def proven(name: str) -> str:
    """The guards of one part that a schedule needs."""
    lines = ["| guard | what it protects against | without it, this goes wrong |", "|---|---|---|"]
    for guard in PARTS[name]:
        if guard.proven:
            lines.append(f"| {_title(guard)} | {guard.protects} | {_story(guard)} |")
    return "\n".join(lines) + "\n"


def explained() -> str:
    """All guards that no schedule needs, and why they are there all the same."""
    lines = ["| guard | what it looks after | why no schedule needs it |", "|---|---|---|"]
    for guard in (*MACHINE, *RESUMES, *TRANSPORTS, *LIMITS, *SHELL):
        if not guard.proven:
            both = f" Without *{guard.besides}*, too: {_story(guard)}" if guard.besides else ""
            lines.append(f"| {_title(guard)} | {guard.protects} | {guard.because}{both} |")
    return "\n".join(lines) + "\n"


def _title(guard: Guard) -> str:
    return f"**{guard.name}** ([`{guard.file}`](../../resumehub/{guard.file}))"


def _story(guard: Guard) -> str:
    if isinstance(guard, ShellGuard):
        what = " ".join((inspect.getdoc(guard.scene) or "").split())
        return f"{what} (`{guard.scene.__name__}`, `{guard.replay}`)"
    options = [f"{name}={value:g}" for name, value in guard.options.items() if name != "takes"]
    if "takes" in guard.options:
        options.append("a peer that takes one message")
    before = f"(With {', '.join(options)}.) " if options else ""
    *steps, last = guard.schedule
    if not is_claim(last):
        return f"{before}{'; '.join(guard.schedule)}: *{guard.says}*"
    return f"{before}{'; '.join(steps)}. Not so: **{last}** (*{guard.says.rpartition('and is ')[2]}*)"


DRAWN: dict[str, Callable[[], str]] = {
    "counts of guards": counts,
    **{name: partial(proven, name) for name in PARTS},
    "explained guards": explained,
}
"""The generated parts of the page."""
