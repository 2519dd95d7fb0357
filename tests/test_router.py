"""Which handlers a router runs for a message, and in which order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from resumehub.message import Message
from resumehub.router import Handler, Router


class Journal:
    """Handlers that write down their name, so that a test can compare the order."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def handler(self, name: str) -> Handler:
        def handle(connection: Any, message: Message) -> None:
            self.entries.append(name)

        return handle

    def middleware(self, name: str) -> Callable[[Any, Message, Handler], None]:
        def around(connection: Any, message: Message, next: Handler) -> None:
            self.entries.append(f"{name} in")
            next(connection, message)
            self.entries.append(f"{name} out")

        return around


@pytest.fixture
def router() -> Router:
    return Router()


@pytest.fixture
def journal() -> Journal:
    return Journal()


# --- handlers ---------------------------------------------------------------------------------------


def test_a_handler_gets_the_connection_and_the_message_of_its_event(router: Router) -> None:
    """A handler is called as on_message would be, for its own event only."""
    seen: list[tuple[Any, Message]] = []

    @router.on("chat.message")
    def chat(connection: Any, message: Message) -> None:
        seen.append((connection, message))

    router("ada", Message("chat.message", "hi"))
    router("ada", Message("chat.typing"))
    assert seen == [("ada", Message("chat.message", "hi"))]


def test_handlers_of_one_event_run_in_order_of_registration(router: Router, journal: Journal) -> None:
    """Two features may listen to one event."""
    for name in "cab":
        router.on("chat")(journal.handler(name))
    router(None, Message("chat"))
    assert journal.entries == ["c", "a", "b"]


def test_a_message_without_an_event_has_its_handlers_too(router: Router, journal: Journal) -> None:
    """An application may name some of its messages and leave the usual one nameless."""
    router.on("")(journal.handler("nameless"))
    router(None, Message("", "hi"))
    router(None, Message("chat"))
    assert journal.entries == ["nameless"]


@pytest.mark.parametrize("order", ["forwards", "backwards"])
def test_the_most_specific_pattern_comes_first(router: Router, journal: Journal, order: str) -> None:
    """The exact name runs before prefixes, long ones before short ones, however they were registered."""
    patterns = ["*", "chat.*", "chat.room.*", "chat.room.joined"]
    for pattern in patterns if order == "forwards" else reversed(patterns):
        router.on(pattern)(journal.handler(pattern))
    router(None, Message("chat.room.joined"))
    assert journal.entries == ["chat.room.joined", "chat.room.*", "chat.*", "*"]


@pytest.mark.parametrize(
    ("pattern", "event", "matches"),
    [
        ("chat.*", "chat.message", True),
        ("chat.*", "chat.room.joined", True),
        ("chat.*", "chat.", True),
        ("chat.*", "chat", False),
        ("chat.*", "chatter", False),
        ("chat*", "chatter", True),
        ("*", "", True),
        ("chat", "chat.message", False),
        ("chat", "Chat", False),
    ],
)
def test_a_prefix_matches_what_begins_with_it(
    router: Router, journal: Journal, pattern: str, event: str, matches: bool
) -> None:
    """The star stands for any rest, dots included, and there are no other special characters."""
    router.on(pattern)(journal.handler("ran"))
    router(None, Message(event))
    assert journal.entries == (["ran"] if matches else [])


def test_one_function_may_serve_several_events(router: Router) -> None:
    """The decorator returns the function as it is, so it can be stacked."""
    seen: list[str] = []

    @router.on("join")
    @router.on("leave")
    def presence(connection: Any, message: Message) -> None:
        seen.append(message.event)

    router(None, Message("join"))
    router(None, Message("leave"))
    assert seen == ["join", "leave"]


def test_an_exception_ends_the_message_and_reaches_the_hub(router: Router, journal: Journal) -> None:
    """The hub learns of a handler that failed, and later handlers do not build on its work."""

    @router.on("chat")
    def broken(connection: Any, message: Message) -> None:
        raise LookupError("broken")

    router.on("chat")(journal.handler("later"))
    with pytest.raises(LookupError, match="broken"):
        router(None, Message("chat"))
    assert journal.entries == []


# --- fallback ---------------------------------------------------------------------------------------


def test_the_fallback_gets_what_nothing_else_matches(router: Router, journal: Journal) -> None:
    """An unknown event can be answered with an error message of the application's own."""
    router.on("chat.*")(journal.handler("chat"))
    router.fallback(journal.handler("fallback"))
    router(None, Message("chat.message"))
    router(None, Message("chta.message"))
    assert journal.entries == ["chat", "fallback"]


def test_without_a_fallback_an_unknown_event_is_ignored(router: Router) -> None:
    """A client with a typo does not lose its connection."""
    router(None, Message("chta"))


def test_a_second_fallback_is_refused(router: Router, journal: Journal) -> None:
    """Two modules that both think they have the last word are told so at start-up."""
    router.fallback(journal.handler("one"))
    with pytest.raises(ValueError, match="is the fallback already"):
        router.fallback(journal.handler("two"))
    router(None, Message("x"))
    assert journal.entries == ["one"]


# --- middleware --------------------------------------------------------------------------------------


def test_middleware_wraps_every_message_the_first_one_outermost(router: Router, journal: Journal) -> None:
    """A rate limit sees unknown events, too."""
    router.on("chat")(journal.handler("chat"))
    router.use(journal.middleware("outer"))
    router.use(journal.middleware("inner"))
    router(None, Message("chat"))
    assert journal.entries == ["outer in", "inner in", "chat", "inner out", "outer out"]
    journal.entries.clear()
    router(None, Message("unknown"))
    assert journal.entries == ["outer in", "inner in", "inner out", "outer out"]


def test_middleware_may_stop_a_message(router: Router, journal: Journal) -> None:
    """A message that a check refuses reaches no handler."""
    router.on("chat")(journal.handler("chat"))

    @router.use
    def only_ada(connection: Any, message: Message, next: Handler) -> None:
        if connection == "ada":
            next(connection, message)

    router("eve", Message("chat"))
    assert journal.entries == []
    router("ada", Message("chat"))
    assert journal.entries == ["chat"]


def test_middleware_may_pass_on_another_message(router: Router, journal: Journal) -> None:
    """Old names of events can be translated in one place: routing looks at what middleware passes on."""
    router.on("chat.message")(journal.handler("new name"))

    @router.use
    def rename(connection: Any, message: Message, next: Handler) -> None:
        next(connection, Message("chat.message", message.payload))

    router(None, Message("msg", "hi"))
    assert journal.entries == ["new name"]


# --- mistakes ----------------------------------------------------------------------------------------


class Tools:
    def handle(self, connection: Any, message: Message) -> None: ...

    def around(self, connection: Any, message: Message, next: Handler) -> None: ...


def test_the_same_function_twice_is_refused(router: Router) -> None:
    """A module imported twice does not make every message count twice."""
    tools = Tools()
    router.on("chat")(tools.handle)
    with pytest.raises(ValueError, match=r"router\.on\('chat'\): Tools\.handle is registered for it already"):
        router.on("chat")(tools.handle)
    router.on("chat.*")(tools.handle)
    with pytest.raises(ValueError, match="already"):
        router.on("chat.*")(tools.handle)
    router.use(tools.around)
    with pytest.raises(ValueError, match=r"Tools\.around is in use already"):
        router.use(tools.around)


def test_the_decorator_without_parentheses_is_refused(router: Router) -> None:
    """A forgotten event name is noticed at once."""
    with pytest.raises(TypeError, match=r'write @router\.on\("chat\.message"\)'):

        @router.on  # type: ignore[arg-type]
        def chat(connection: Any, message: Message) -> None: ...


@pytest.mark.contract("C10")
@pytest.mark.parametrize("pattern", ["$ack", "$*"])
def test_reserved_events_cannot_be_routed(router: Router, pattern: str) -> None:
    """Nobody waits for a message that the hub keeps to itself."""
    with pytest.raises(ValueError, match="reserved"):
        router.on(pattern)


@pytest.mark.parametrize("pattern", ["*.message", "chat.*.joined", "**"])
def test_a_star_may_only_stand_at_the_end(router: Router, pattern: str) -> None:
    """A pattern of a richer language is refused, not taken literally."""
    with pytest.raises(ValueError, match="only stand at the end"):
        router.on(pattern)


async def asynchronous(connection: Any, message: Message) -> None: ...


class Asynchronous:
    async def __call__(self, connection: Any, message: Message) -> None: ...


def generator(connection: Any, message: Message) -> Any:
    yield


def too_few(connection: Any) -> None: ...


def too_many(connection: Any, message: Message, other: Any) -> None: ...


@pytest.mark.parametrize(
    ("handler", "complaint"),
    [
        (None, "not NoneType"),
        (asynchronous, "async or a generator"),
        (Asynchronous(), "async or a generator"),
        (generator, "async or a generator"),
        (too_few, "too many positional arguments"),
        (too_many, "missing a required argument: 'other'"),
    ],
)
def test_what_cannot_be_a_handler_is_refused_at_start_up(
    router: Router, handler: Any, complaint: str
) -> None:
    """A handler that could never run is noticed before the first client's message."""
    with pytest.raises(TypeError, match=r"function of \(connection, message\)") as caught:
        router.on("chat")(handler)
    assert complaint in str(caught.value)
    with pytest.raises(TypeError, match=r"router\.fallback takes"):
        router.fallback(handler)


def test_middleware_must_take_three_arguments(router: Router) -> None:
    """A handler passed to use by mistake is noticed."""
    with pytest.raises(TypeError, match=r"\(connection, message, next\)"):
        router.use(Tools().handle)  # type: ignore[type-var]


@pytest.mark.parametrize("handler", [print, max, lambda *arguments: None, Tools().handle])
def test_callables_of_every_kind_are_taken(router: Router, handler: Any) -> None:
    """Methods, catch-all functions and builtins, with or without a signature, may be handlers."""
    assert router.on("chat")(handler) is handler


# --- threads -----------------------------------------------------------------------------------------


def test_a_message_sees_the_handlers_there_were_when_it_began(router: Router, journal: Journal) -> None:
    """Registering while messages are handled is safe: a message sees all of it or nothing."""

    @router.on("chat")
    def register_another(connection: Any, message: Message) -> None:
        if not journal.entries:
            router.on("chat")(journal.handler("another"))
            router.use(journal.middleware("around"))
        journal.entries.append("first")

    router(None, Message("chat"))
    assert journal.entries == ["first"]
    router(None, Message("chat"))
    assert journal.entries == ["first", "around in", "first", "another", "around out"]


def test_no_registration_is_lost_between_threads(router: Router) -> None:
    """Modules that register from several threads all find their handlers called."""
    together = threading.Barrier(8)
    called: list[int] = []

    def register(number: int) -> None:
        together.wait()
        for index in range(50):
            router.on("chat")(lambda connection, message, key=number * 50 + index: called.append(key))
            router(None, Message("nothing"))

    threads = [threading.Thread(target=register, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    router(None, Message("chat"))
    assert sorted(called) == list(range(400))
