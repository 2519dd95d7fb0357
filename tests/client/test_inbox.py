"""Messages that wait for the application: which transport may add to them, and when they are taken."""

from __future__ import annotations

from resumehub import Message
from resumehub.client.inbox import MAX_WAITING, Arrival, Inbox
from resumehub.client.steps import Steps, carry_out
from resumehub.runtime.system import SystemRuntime
from tests.support import Call


def inbox() -> tuple[Inbox, list[tuple[str, int, int]]]:
    """An inbox, and what it reports."""
    told: list[tuple[str, int, int]] = []
    made = Inbox(
        SystemRuntime(),
        lambda number, size: told.append(("handled", number, size)),
        lambda first, last: told.append(("missed", first, last)),
    )
    made.begin(1, 0)
    return made, told


def n(number: int) -> Arrival:
    return Arrival(Message("n", number), size=10)


def test_a_transport_that_was_given_up_adds_nothing() -> None:
    """It may have read on for a moment: what it brings comes again over the next, and must come once."""
    box, _ = inbox()
    assert box.put(1, n(1))
    box.freeze(replay=True)
    assert not box.put(1, n(2))
    box.begin(2, 0)
    assert not box.put(1, n(2))
    assert box.put(2, n(1))
    assert box.take() == Message("n", 1)
    assert box.take(0) is None


def test_a_message_is_handled_when_the_next_is_asked_for() -> None:
    """And a gap is reported when it is the turn of the messages that are missing."""
    box, told = inbox()
    for arrival in (n(1), Arrival(None, missed_to=4), n(5)):
        box.put(1, arrival)
    assert box.take() == Message("n", 1)
    assert told == []
    assert box.take() == Message("n", 5)
    assert told == [("handled", 1, 10), ("missed", 2, 4), ("handled", 4, 0)]
    assert box.last_taken() == 5


def test_a_transport_waits_while_too_many_messages_wait() -> None:
    """A program that is slower than its server does not fill its own memory."""
    box, _ = inbox()
    for number in range(MAX_WAITING):
        box.put(1, n(number))
    assert box.is_full()
    one_more = Call(lambda: box.put(1, n(MAX_WAITING)))
    assert box.take() == Message("n", 0)
    assert one_more.result()
    given_up = Call(lambda: box.put(1, n(MAX_WAITING + 1)))
    box.freeze(replay=False)
    assert not given_up.result()


def test_callbacks_come_ahead_of_messages_and_the_last_ones_behind() -> None:
    """A restore is told before the first message behind it, the end after the last."""
    box, _ = inbox()
    order: list[object] = []
    box.put(1, n(1))

    def note(what: object) -> Steps[None]:
        yield lambda: order.append(what)

    box.add_call(lambda: note("over"), last=True)
    box.add_call(lambda: note("back"))
    box.end()
    while (call := box.next_call(lambda message: note(message.payload))) is not None:
        carry_out(call())
    assert order == ["back", 1, "over"]
