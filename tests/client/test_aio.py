"""What only a client on an event loop does: it is cancelled, awaits callbacks, and leaves no task behind.

All other tests of this folder that ask for ``server`` play against it as well (``on_a_loop.py``). Each loop
here is in asyncio's debug mode.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest

from resumehub import Hub, Message
from resumehub.client import aio
from resumehub.client.aio import AsyncClient, State
from resumehub.client.aio.loop_runtime import EventLoopRuntime, when_possible
from resumehub.client.inbox import MAX_WAITING
from resumehub.errors import ConnectionClosed, ReceiveTimeout, RequestFailed, SendBufferFull
from resumehub.testing.wire import server_frame
from tests.client.fake_server import FakeServer, Peer
from tests.client.network import ANY, Cut, Network
from tests.support import PATIENCE, from_query


def play(story: Coroutine[Any, Any, None]) -> None:
    """Run it on a loop of its own. A task that it leaves, or what a task raises for nobody, is a failure."""
    problems: list[Any] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = PATIENCE
        loop.set_exception_handler(lambda loop, context: problems.append(context))
        async with asyncio.timeout(PATIENCE):
            await story
        left = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, f"tasks are left: {left}"

    asyncio.run(run(), debug=True)
    assert not problems, problems


@pytest.fixture
def client(threaded_server: FakeServer) -> Callable[..., AsyncClient]:
    """Makes clients of the server, with its clock, whose pauses are none."""

    def make(**options: Any) -> AsyncClient:
        options = {"clock": threaded_server.clock, "random": lambda: 0.0} | options
        return aio.connect(threaded_server.url, **options)

    return make


async def welcome(server: FakeServer, **fields: Any) -> Peer:
    return await asyncio.to_thread(lambda: server.welcome(**fields))


async def said(peer: Peer) -> tuple[str, Any]:
    return await asyncio.to_thread(peer.read)


async def answer_close(peer: Peer) -> None:
    """Read until the client's close frame, and answer it."""
    while (await asyncio.to_thread(peer.frame)).kind != "close":
        pass
    peer.close(1000)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


# -- cancellation ---------------------------------------------------------------------------


def test_a_receive_that_is_cancelled_takes_nothing(threaded_server: FakeServer, client: Any) -> None:
    """Also one that is cancelled when the message is there already, and it has not gone on yet."""

    async def story() -> None:
        async with client() as session:
            peer = await welcome(threaded_server)
            waiting = asyncio.create_task(session.receive())
            await until(lambda: session._receiving)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            late = asyncio.create_task(session.receive())
            await until(lambda: session._receiving)
            peer.send("n", 1)
            await until(lambda: bool(session._loop.inbox._waiting))
            late.cancel()
            with pytest.raises(asyncio.CancelledError):
                await late
            assert (await session.receive()).payload == 1
            with pytest.raises(ReceiveTimeout):
                await session.receive(timeout=0.0)
            assert session.stats().received == 1
            await session.close(timeout=0.0)

    play(story())


def test_sends_wait_for_room_in_their_order_and_may_be_cancelled(
    threaded_server: FakeServer, client: Any
) -> None:
    """The one that was given up is not sent; the one behind it is."""

    async def story() -> None:
        async with client(send_buffer=1) as session:
            peer = await welcome(threaded_server)
            await session.send("n", 1)
            with pytest.raises(SendBufferFull):
                session.send_nowait("n", 0)
            second, third = (asyncio.create_task(session.send("n", number)) for number in (2, 3))
            assert await said(peer) == ("n", 1)
            second.cancel()
            await asyncio.wait([second])
            assert second.cancelled()
            assert not third.done()
            peer.send("$ack", {"received": 1})
            await third
            assert await said(peer) == ("n", 3)
            peer.send("$ack", {"received": 2})
            await until(lambda: not session.stats().waiting)
            await session.close(timeout=0.0)
        assert session.in_doubt == []

    play(story())


def test_a_send_does_not_overtake_one_that_waits(threaded_server: FakeServer, client: Any) -> None:
    """There is room just then, and the task that waits for it has not gone on yet."""

    async def story() -> None:
        async with client(send_buffer=1) as session:
            peer = await welcome(threaded_server)
            await session.send("n", 1)
            second = asyncio.create_task(session.send("n", 2))
            assert await said(peer) == ("n", 1)

            async def go_on() -> None:
                assert await said(peer) == ("n", 2)
                peer.send("$ack", {"received": 2})
                assert await said(peer) == ("n", 3)

            server = asyncio.create_task(go_on())
            assert session._loop.sender.acknowledge(1, 1)
            await session.send("n", 3)
            await asyncio.gather(second, server)
            await session.close(timeout=0.0)

    play(story())


def test_a_send_that_waits_is_told_at_once_that_the_client_closes(
    threaded_server: FakeServer, client: Any
) -> None:
    """And not when all that went before is acknowledged."""

    async def story() -> None:
        async with client(send_buffer=1) as session:
            peer = await welcome(threaded_server)
            await session.send("n", 1)
            waiting = asyncio.create_task(session.send("n", 2))
            assert await said(peer) == ("n", 1)
            closing = asyncio.create_task(session.close())
            with pytest.raises(ConnectionClosed):
                await waiting
            assert session.state is State.CONNECTED
            peer.send("$ack", {"received": 1})
            await answer_close(peer)
            await closing

    play(story())


def test_a_send_that_waits_ends_with_the_session(threaded_server: FakeServer, client: Any) -> None:
    """There will be no room any more."""

    async def story() -> None:
        async with client(send_buffer=1) as session:
            peer = await welcome(threaded_server)
            await session.send("n", 1)
            waiting = asyncio.create_task(session.send("n", 2))
            assert await said(peer) == ("n", 1)
            peer.close(1000)
            with pytest.raises(ConnectionClosed):
                await waiting
        assert session.in_doubt == [Message("n", 1)]

    play(story())


def test_a_plain_server_has_room_again_when_the_message_is_written(
    threaded_server: FakeServer, client: Any
) -> None:
    """It acknowledges nothing."""

    async def story() -> None:
        async with client(plain=True, send_buffer=1) as session:
            first = asyncio.create_task(session.send("n", 1))
            second = asyncio.create_task(session.send("n", 2))
            peer = await asyncio.to_thread(threaded_server.accept)
            peer.switch()
            await asyncio.gather(first, second)
            assert [await said(peer), await said(peer)] == [("n", 1), ("n", 2)]
            await session.close(timeout=0.0)

    play(story())


def test_a_request_that_is_cancelled_is_given_up(threaded_server: FakeServer, client: Any) -> None:
    """Its answer is nobody's, and the next one's is its own."""

    async def story() -> None:
        async with client() as session:
            peer = await welcome(threaded_server)
            asking = asyncio.create_task(session.request("ask", 1))
            first = await asyncio.to_thread(peer.message)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            peer.say(event="ask", re=first["id"], payload="late")
            again = asyncio.create_task(session.request("ask", 2))
            second = await asyncio.to_thread(peer.message)
            peer.say(event="ask", re=second["id"], payload="mine")
            assert await again == "mine"
            assert session.stats().answers_ignored == 1
            # Its deadline is gone, too:
            await until(lambda: not session._loop._commands._mailbox._items)
            assert not session._loop._machine._requests._until
            await session.close(timeout=0.0)

    play(story())


# -- the end --------------------------------------------------------------------------------


def test_an_exception_closes_the_session(threaded_server: FakeServer, client: Any) -> None:
    """And goes on."""

    async def story() -> None:
        session = client()
        peers: list[Peer] = []

        async def work() -> None:
            async with session:
                peers.append(await welcome(threaded_server))
                await session.wait_connected()
                answer = asyncio.create_task(answer_close(peers[0]))
                try:
                    raise LookupError
                finally:
                    answer.add_done_callback(lambda task: task.result())

        with pytest.raises(LookupError):
            await work()
        assert session.state is State.CLOSED
        with pytest.raises(ConnectionClosed):
            await session.send("n", 1)
        with pytest.raises(ConnectionClosed):
            await session.receive()

    play(story())


def test_a_task_that_is_cancelled_leaves_at_once(threaded_server: FakeServer, client: Any) -> None:
    """In a TaskGroup, for example: what was not acknowledged is in doubt, and no time passes."""
    made: list[AsyncClient] = []

    async def work() -> None:
        async with client() as session:
            made.append(session)
            await session.send("n", 1)
            async for _ in session:
                pass

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work())
            peer = await welcome(threaded_server)
            assert await said(peer) == ("n", 1)
            task.cancel()
        assert made[0].state is State.CLOSED
        assert made[0].in_doubt == [Message("n", 1)]

    play(story())


def test_a_close_that_is_cancelled_has_closed(threaded_server: FakeServer, client: Any) -> None:
    """It waits for an acknowledgement that does not come."""

    async def story() -> None:
        async with client() as session:
            peer = await welcome(threaded_server)
            await session.send("n", 1)
            assert await said(peer) == ("n", 1)
            closing = asyncio.create_task(session.close(timeout=1000.0))
            await until(lambda: session._loop._machine.closing)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            assert (session.state, session.error) == (State.CLOSED, None)
            assert session.in_doubt == [Message("n", 1)]

    play(story())


def test_a_loop_that_ends_first_leaves_no_socket(threaded_server: FakeServer, client: Any) -> None:
    """The program has forgotten to leave: the loop cancels its tasks, and the server sees the end."""
    peers: list[Peer] = []

    async def forgetful() -> None:
        asyncio.get_running_loop().slow_callback_duration = PATIENCE
        session = await client(on_message=print).__aenter__()
        peers.append(await welcome(threaded_server))
        await session.wait_connected()

    asyncio.run(forgetful(), debug=True)
    assert peers[0].read_until_end() == []
    threaded_server.clock.advance(1.0)  # nothing waits for the loop that is gone


def test_a_loop_that_cancels_all_tasks_at_once(threaded_server: FakeServer, client: Any) -> None:
    """Also those of the client, before the task that uses it has left: it ends, and says what is in doubt."""
    made: list[AsyncClient] = []
    left: list[State] = []

    async def work() -> None:
        async with client() as session:
            made.append(session)
            try:
                await session.send("n", 1)
                await session.receive()
            finally:
                left.append(session.state)

    async def story() -> None:
        asyncio.get_running_loop().slow_callback_duration = PATIENCE
        working = asyncio.create_task(work())
        assert await said(await welcome(threaded_server)) == ("n", 1)
        assert not working.done()

    asyncio.run(story(), debug=True)
    assert left == [State.CONNECTED]
    assert made[0].state is State.CLOSED
    assert made[0].in_doubt == [Message("n", 1)]


def test_a_client_is_entered_once(client: Any, threaded_server: FakeServer) -> None:
    """And before that it does not run; what would wait says so."""

    async def story() -> None:
        session = client()
        with pytest.raises(RuntimeError, match="async with"):
            await session.receive()
        await session.close()
        async with client() as session:
            with pytest.raises(RuntimeError, match="once"):
                await session.__aenter__()
            await welcome(threaded_server)
            first = asyncio.create_task(session.receive())
            await until(lambda: session._receiving)
            with pytest.raises(RuntimeError, match="another task receives"):
                await session.receive()
            first.cancel()
            await session.close(timeout=0.0)

    play(story())


# -- back-pressure --------------------------------------------------------------------------


def test_a_slow_consumer_stops_the_reading(threaded_server: FakeServer, client: Any) -> None:
    """At 1,024 messages; the others wait on their way, and come in order."""
    count = MAX_WAITING + 300

    async def story() -> None:
        async with client() as session:
            peer = await welcome(threaded_server)
            sending = asyncio.create_task(
                asyncio.to_thread(lambda: [peer.send("n", number) for number in range(count)])
            )
            await until(session._loop.inbox.is_full)
            await sending
            for _ in range(100):
                await asyncio.sleep(0)
            assert len(session._loop.inbox._waiting) == MAX_WAITING
            assert [(await session.receive()).payload for _ in range(count)] == [*range(count)]
            await session.close(timeout=0.0)

    play(story())


def test_a_client_with_much_to_do_leaves_the_loop_to_others(threaded_server: FakeServer, client: Any) -> None:
    """A thousand messages that are there at once: no task has to wait for all of them."""
    count, turns, heard = 1000, 0, 0

    def on_message(session: AsyncClient, message: Message) -> None:
        nonlocal heard
        heard += 1

    async def story() -> None:
        nonlocal turns
        async with client(on_message=on_message) as session:
            peer = await welcome(threaded_server)
            peer.raw(count * server_frame("text", b'{"event": "n"}'))
            while heard < count:
                await asyncio.sleep(0)
                turns += 1
            assert turns >= count // 64
            await session.close(timeout=0.0)

    play(story())


def test_a_wait_for_a_socket_is_over_when_that_may_be_closed() -> None:
    """The next socket may get its number; what was registered for the old one would be the new one's."""

    async def story() -> None:
        runtime = EventLoopRuntime()
        ours, theirs = socket.socketpair()
        waits = [asyncio.create_task(when_possible(lambda: runtime.wait_readable(ours))) for _ in range(2)]
        await until(lambda: bool(runtime._watched))
        waits[0].cancel()
        await asyncio.wait(waits[:1])
        assert runtime._watched, "the other one waits still"
        waits[1].cancel()
        await asyncio.wait(waits[1:])
        assert not asyncio.get_running_loop().remove_reader(ours.fileno())
        last = asyncio.create_task(when_possible(lambda: runtime.wait_readable(ours)))
        await until(lambda: bool(runtime._watched))
        ours.shutdown(socket.SHUT_RDWR)
        runtime.forget(ours.fileno())
        assert not asyncio.get_running_loop().remove_reader(ours.fileno())
        await last
        ours.close()
        theirs.close()

    play(story())


# -- callbacks --------------------------------------------------------------------------------

NAME = contextvars.ContextVar("NAME", default="nobody")


def test_callbacks_may_be_async_and_run_one_at_a_time(threaded_server: FakeServer, client: Any) -> None:
    """They see the context of the task that has entered the client, may ask, and answer by returning."""
    order: list[Any] = []

    async def on_message(session: AsyncClient, message: Message) -> Any:
        order.append(("begins", message.payload, NAME.get()))
        answer = await session.request("more") if message.payload == 1 else 2
        order.append(("ends", message.payload))
        return answer

    async def story() -> None:
        NAME.set("ada")
        async with client(on_message=on_message) as session:
            peer = await welcome(threaded_server)
            peer.say(event="q", id="7", payload=1)
            peer.say(event="q", id="8", payload=2)
            asked = await asyncio.to_thread(peer.message)
            assert order == [("begins", 1, "ada")]
            peer.say(event="more", re=asked["id"], payload="so")
            answers = [await asyncio.to_thread(peer.message) for _ in range(2)]
            assert [(one["re"], one["payload"]) for one in answers] == [("7", "so"), ("8", 2)]
            assert order[1:] == [("ends", 1), ("begins", 2, "ada"), ("ends", 2)]
            assert session.state is State.CONNECTED
            await session.close(timeout=0.0)

    play(story())


def test_a_callback_may_fail_be_cancelled_inside_and_close(
    threaded_server: FakeServer, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The first two cost a message, and the third one begins to close."""

    async def on_message(session: AsyncClient, message: Message) -> None:
        if message.payload == 1:
            raise LookupError("one")
        if message.payload == 2:
            inner = asyncio.create_task(asyncio.Event().wait())
            inner.cancel()
            await inner
        await session.close()

    async def story() -> None:
        async with client(on_message=on_message) as session:
            peer = await welcome(threaded_server)
            for number in (1, 2, 3):
                peer.send("n", number)
            await answer_close(peer)
            assert await session.wait_closed()
            assert session.stats().callback_errors == 2

    play(story())
    assert "LookupError: one" in caplog.text


def test_a_callback_that_does_not_end_is_cancelled_at_the_end(
    threaded_server: FakeServer, client: Any
) -> None:
    """No task is left, whatever it waits for."""
    begun = asyncio.Event()

    async def on_message(session: AsyncClient, message: Message) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def story() -> None:
        session = await client(on_message=on_message).__aenter__()
        peer = await welcome(threaded_server)
        peer.send("n", 1)
        await begun.wait()
        await session.close(timeout=0.0)
        assert session.state is State.CLOSED

    play(story())


@pytest.mark.parametrize("hook", [lambda client: 1, 5])
def test_a_callback_must_fit(threaded_server: FakeServer, client: Any, hook: Any) -> None:
    """As for threads, but for ``async def``."""
    with pytest.raises(TypeError, match="on_message takes a function"):
        client(on_message=hook)


# -- dialling ---------------------------------------------------------------------------------


def test_what_is_made_for_each_dial_may_be_async_and_is_given_up_with_the_dial(
    threaded_server: FakeServer, client: Any
) -> None:
    """A token server that hangs: behind open_timeout the next dial asks again."""
    asked: list[str] = []

    async def headers() -> dict[str, str]:
        asked.append("")
        if len(asked) == 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                asked[0] = "cancelled"
                raise
        return {"Authorization": "Bearer fresh"}

    async def story() -> None:
        async with client(headers=headers) as session:
            await until(lambda: len(asked) == 1)
            threaded_server.clock.advance(10.0)
            peer = await welcome(threaded_server)
            assert peer.headers["authorization"] == "Bearer fresh"
            assert asked == ["cancelled", ""]
            await session.close(timeout=0.0)

    play(story())


@pytest.fixture
def black_hole() -> Iterator[socket.socket]:
    """Answers no SYN: its queue is full, so the kernel drops what comes."""
    with socket.create_server(("127.0.0.4", 0), backlog=0) as listener:
        filling = []
        for _ in range(8):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            filling.append(one)
        yield listener
        for one in filling:
            one.close()


def test_an_address_that_does_not_answer_is_left(
    threaded_server: FakeServer, client: Any, black_hole: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has half of the dial's time, and the same dial goes on with the next one."""
    listeners = (black_hole, threaded_server.listener)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", one.getsockname()) for one in listeners]
    monkeypatch.setattr("resumehub.client.aio.shell._resolve", lambda host, port: found)

    async def story() -> None:
        async with client() as session:
            await until(lambda: bool(session._loop.runtime._watched))
            threaded_server.clock.advance(5.0)
            await welcome(threaded_server)
            assert await session.wait_connected()
            assert session.stats().dials == 1
            await session.close(timeout=0.0)

    play(story())


def test_leaving_while_it_dials(client: Any, black_hole: socket.socket, threaded_server: FakeServer) -> None:
    """Nothing of the dial is left."""
    host, port = black_hole.getsockname()

    async def story() -> None:
        async with aio.connect(f"ws://{host}:{port}/", clock=threaded_server.clock) as session:
            await until(lambda: bool(session._loop.runtime._watched))
        assert session.state is State.CLOSED
        assert not session._loop.runtime._watched

    play(story())


# -- with a hub -------------------------------------------------------------------------------


def conversation(network: Network, up: list[int], down: list[int]) -> Callable[[], Awaitable[None]]:
    """Both sides speak as soon as they can, and the client asks."""

    async def story() -> None:
        async with aio.connect(ANY, _opener=network, random=lambda: 0.0) as session:
            asking = asyncio.create_task(session.request("double", 21))
            for number in (1, 2, 3):
                await session.send("up", number)
            async for message in session:
                down.append(message.payload)
                if len(down) == 3:
                    break
            assert await asking == 42
            with pytest.raises(RequestFailed):
                await session.request("double", None)
        assert session.in_doubt == []

    return story


@pytest.mark.parametrize("to_server", [True, False], ids=["to the server", "from the server"])
def test_a_cut_at_many_bytes(to_server: bool) -> None:
    """In the handshake, in a message, in an acknowledgement: all of both sides, once, in order."""
    for after in range(0, 900, 100):
        up: list[int] = []
        down: list[int] = []
        with Hub(from_query, resume_window=30) as hub:

            @hub.on_connect
            def greet(connection: Any) -> None:
                for number in (1, 2, 3):
                    connection.send(Message("down", number))

            @hub.on_message
            def hear(connection: Any, message: Message, up: list[int] = up) -> Any:
                if message.event == "up":
                    up.append(message.payload)
                return None if message.id is None else 2 * message.payload

            network = Network(hub, None, Cut(1, after, to_server))
            play(conversation(network, up, down)())
            network.close()
        assert (up, down) == ([1, 2, 3], [1, 2, 3]), after
