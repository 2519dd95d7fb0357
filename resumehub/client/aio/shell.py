"""The shell of a client on an event loop: each of its workers is a task, and each step that waits is awaited.

A step that must wait is called again (``loop_runtime.py``); what a step returns is awaited, if it can be: so
the application's functions may be async. It knows neither sessions nor what the steps do. The loop's thread
only, but for ``settle``, which a test's clock may call on any thread. Made by ``connect``.
Read next: ``../steps.py``.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Callable
from typing import Any

from ...clock import Timeline
from ...runtime.base import ThreadMustLeave
from ...runtime.command_loop import CommandLoop
from .. import commands as c
from ..dialing import AddressOrder, Guard, TcpOpener
from ..steps import Aborted, ClientWorker, Steps, T
from .loop_runtime import EventLoopRuntime, MustWait, when_possible

_STEPS_AT_A_TIME = 64
"""So many steps that do not wait, then the other tasks of the loop have their turn."""


class EventLoopShell:
    """The tasks of one client, on the loop in which ``enter`` was called."""

    def __init__(self) -> None:
        self.runtime = EventLoopRuntime()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._workers: list[_LoopWorker] = []

    def enter(self) -> None:
        """The client's tasks belong to the running loop from now on. Raises: RuntimeError the second time."""
        if self.loop is not None:
            raise RuntimeError("a client can be entered once; call connect again for another session")
        self.loop = asyncio.get_running_loop()

    def start(self, name: str, steps: Callable[[], Steps[None]]) -> ClientWorker:
        self._workers = [worker for worker in self._workers if worker.is_alive()]
        self._workers.append(_LoopWorker(name, steps(), self.runtime))
        return self._workers[-1]

    def timeline(
        self, commands: CommandLoop[c.Command], next_deadline: Callable[[], float | None]
    ) -> Timeline:
        return _LoopTimeline(self, commands, next_deadline)

    def when_driver_ends(self, call: Callable[[], None]) -> None:
        """Have ``call`` called when the task that was started first has ended, however it did."""
        self._workers[0].task.add_done_callback(lambda task: call())

    async def join(self, timeout: float) -> None:
        """Wait up to ``timeout`` real seconds until all tasks have ended."""
        await self._wait_for([worker.task for worker in self._workers], timeout)

    async def dismiss(self) -> None:
        """Cancel the tasks that are left, and wait up to a second for their end."""
        tasks = [worker.task for worker in self._workers]
        for task in tasks:
            if task is not asyncio.current_task():
                task.cancel()
        await self._wait_for(tasks, 1.0)

    @staticmethod
    async def _wait_for(tasks: list[asyncio.Task[None]], timeout: float) -> None:
        left = {task for task in tasks if not task.done() and task is not asyncio.current_task()}
        if left:
            await asyncio.wait(left, timeout=timeout)


class _LoopWorker:
    """One flow of steps, as a task."""

    def __init__(self, name: str, steps: Steps[None], runtime: EventLoopRuntime) -> None:
        self._runtime = runtime
        self._steps_done = 0
        # Whether it awaits what a step has returned: then no socket ends that.
        self._awaits = self._cancelled_by_us = False
        self.task = asyncio.get_running_loop().create_task(self._run(steps), name=name)

    def is_alive(self) -> bool:
        return not self.task.done()

    def is_current(self) -> bool:
        return asyncio.current_task() is self.task

    def join(self, timeout: float) -> bool:
        return self.task.done()

    def interrupt(self, number: int | None) -> None:
        if number is not None:
            self._runtime.forget(number)
        if self._awaits and not self._cancelled_by_us:
            self._cancelled_by_us = True
            self.task.cancel()

    async def _run(self, steps: Steps[None]) -> None:
        leaving: asyncio.CancelledError | None = None
        try:
            step = next(steps)
            while True:
                try:
                    # Who is cancelled waits for nothing any more, and lets go of what it has.
                    result = await self._result_of(step) if leaving is None else step()
                except asyncio.CancelledError as cancelled:
                    meant = self._meaning_of(cancelled)
                    leaving = cancelled if isinstance(meant, ThreadMustLeave) else leaving
                    step = steps.throw(meant)
                except BaseException as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except (StopIteration, ThreadMustLeave):
            if leaving is not None:
                raise leaving from None

    def _meaning_of(self, cancelled: asyncio.CancelledError) -> BaseException:
        ours, self._cancelled_by_us = self._cancelled_by_us, False
        if ours and self.task.uncancel() == 0:
            return Aborted()
        if self.task.cancelling():
            return ThreadMustLeave()
        return cancelled  # of a task that a callback awaited: an error like others

    async def _result_of(self, step: Callable[[], Any]) -> Any:
        self._steps_done += 1
        if self._steps_done % _STEPS_AT_A_TIME == 0:
            await asyncio.sleep(0)
        result = await when_possible(step)
        if not inspect.isawaitable(result):
            return result
        self._awaits = True
        try:
            return await result
        finally:
            self._awaits = False


class _LoopTimeline:
    """What a clock steps that a test moves by hand: on the loop's thread, or on another one."""

    def __init__(
        self,
        shell: EventLoopShell,
        commands: CommandLoop[c.Command],
        next_deadline: Callable[[], float | None],
    ) -> None:
        self._shell = shell
        self._commands = commands
        self._next_deadline = next_deadline

    def settle(self) -> float | None:
        loop = self._shell.loop
        if loop is None or loop.is_closed():
            return None
        try:
            here = asyncio.get_running_loop() is loop
        except RuntimeError:
            here = False
        return self._settle() if here else asyncio.run_coroutine_threadsafe(self._there(), loop).result()

    async def _there(self) -> float | None:
        return self._settle()

    def _settle(self) -> float | None:
        if not self._commands.put(c.TimePassed()):
            return None
        try:
            self._commands.run()
        except MustWait:
            return self._next_deadline()
        return None


class LoopOpener:
    """Over TCP, as ``TcpOpener``; names are resolved by the loop."""

    def __init__(self, runtime: EventLoopRuntime, order: AddressOrder) -> None:
        self._tcp = TcpOpener(runtime, order, _resolve)

    async def __call__(self, host: str, port: int, guard: Guard) -> socket.socket:
        return await _carry_out(self._tcp.steps(host, port, guard))


def _resolve(host: str, port: int) -> Any:
    return asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


async def _carry_out(steps: Steps[T]) -> T:
    """Take the steps within a step: what is raised, a cancellation included, goes through them."""
    try:
        step = next(steps)
        while True:
            try:
                result = await when_possible(step)
                if inspect.isawaitable(result):
                    result = await result
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as end:
        done: T = end.value
        return done
