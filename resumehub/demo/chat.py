"""The chat behind the demo page: an application like any other, on the public hub API.

It knows who is in a room, passes on what they say, and tells a room when a person's transport
drops and comes back. It knows nothing of HTTP, which is for ``app.py``. Read next: ``bursts.py``.

The hub calls the handlers of one connection id one at a time, and those of different ids in parallel, so
the list of people has a lock. That lock is held around ``hub.send`` and ``hub.broadcast``, which never wait
for a network: two changes of the list reach the room in the order in which they were made.

On several workers the hub moves from process to process, and this list is in one. So each session takes along
what the next process must know of it and of its room, in ``connection.data``: ``_on_release``, ``_on_adopt``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Final

from resumehub import Connection, ConnectionClosed, Hub, Message, TransportLost
from resumehub.demo.bursts import BurstPlan, Bursts, send_if_possible
from resumehub.demo.timeline import DemoTimeline, handle_of
from resumehub.runtime.base import Runtime
from resumehub.runtime.system import SystemRuntime

MAX_TEXT: Final = 2_000
MAX_ROSTER: Final = 200
MAX_BURST_MESSAGES: Final = 50
MAX_BURST_SECONDS: Final = 60.0
MAX_STORM: Final = 1_000


@dataclass(slots=True)
class ChatMember:
    """One person in a room, as the others see them."""

    name: str
    dropped_at: float | None = None
    """On the timeline's clock; None while connected."""


@dataclass(slots=True)
class ChatRoom:
    """Who is in a room, by handle, and how many messages it has had."""

    members: dict[str, ChatMember] = field(default_factory=dict)
    messages: int = 0


@dataclass(slots=True)
class Storm:
    """Numbered messages of one person, as they were handled."""

    tag: str
    seen: set[int] = field(default_factory=set)
    repeated: int = 0


class Chat:
    """Presence, messages and bursts of all rooms of one hub.

    Threads: the handlers run where the hub runs callbacks; ``close`` on any thread.
    """

    def __init__(
        self, hub: Hub, timeline: DemoTimeline, resume_window: float, runtime: Runtime | None = None
    ) -> None:
        self._hub = hub
        self._timeline = timeline
        self._resume_window = resume_window
        runtime = runtime or SystemRuntime()
        self._lock = runtime.lock()
        self._rooms: dict[str, ChatRoom] = {}
        self._storms: dict[str, Storm] = {}
        """By connection id; each is touched by the handlers of that connection only, one at a time."""
        self._bursts = Bursts(timeline, runtime)
        hub.on_connect(self._on_connect)
        hub.on_message(self._on_message)
        hub.on_transport_drop(self._on_transport_drop)
        hub.on_transport_restore(self._on_transport_restore)
        hub.on_disconnect(self._on_disconnect)
        hub.on_release(self._on_release)
        hub.on_adopt(self._on_adopt)

    def close(self) -> None:
        """Stop all bursts. Threads: any. Blocks: until each has ended, after one more message at most."""
        self._bursts.close(timeout=1.0)

    # Handlers.

    def _on_connect(self, connection: Connection) -> None:
        handle = handle_of(connection.id)
        with self._lock:
            room = self._rooms.setdefault(connection.room_id, ChatRoom())
            room.members[handle] = member = ChatMember(str(connection.data.get("name", "somebody")))
            self._tell(connection, "demo.welcome", {"you": handle, **self._roster(room)})
            self._announce(connection, member, "connected")

    def _on_message(self, connection: Connection, message: Message) -> None:
        payload = message.payload if isinstance(message.payload, dict) else {}
        tag = str(payload.get("tag", ""))[:40]
        self._timeline.record(
            "received", connection.room_id, connection.id, event=message.event[:40], tag=tag
        )
        match message.event:
            case "chat.say":
                self._say(connection, payload.get("text"), tag)
            case "demo.kick":
                self._hub.kick(connection.id)
            case "demo.storm":
                self._storm(connection, payload, tag)
            case "demo.burst":
                self._burst(connection, payload)
            case "demo.echo":
                self._tell(connection, "demo.echo", {"i": payload.get("i"), "tag": tag, "pid": os.getpid()})
            case _:
                self._tell(connection, "demo.problem", {"text": "The demo does not know that event."})

    def _on_transport_drop(self, connection: Connection, error: Exception | None) -> None:
        self._timeline.record(
            "drop", connection.room_id, connection.id, takeover=error is None, **_cause(error)
        )
        if error is None:
            return  # a takeover: the next callback is the restore, so the room is told nothing
        with self._lock:
            member = self._member(connection)
            if member is not None:
                member.dropped_at = self._timeline.now()
                self._announce(connection, member, "suspended")
        self._bursts.fire(connection)

    def _on_transport_restore(self, connection: Connection) -> None:
        with self._lock:
            member = self._member(connection)
            if member is None:
                return
            away = 0.0 if member.dropped_at is None else self._timeline.now() - member.dropped_at
            member.dropped_at = None
            # Sent behind everything that was replayed: when the page reads this, it has read all of that.
            roster = self._roster(self._rooms[connection.room_id])
            self._tell(connection, "demo.restored", {"away": round(away, 3), **roster})
            self._announce(connection, member, "connected")
        self._timeline.record("restore", connection.room_id, connection.id, away=round(away, 3))

    def _on_disconnect(self, connection: Connection, error: Exception | None) -> None:
        self._bursts.disarm(connection)
        self._storms.pop(connection.id, None)
        with self._lock:
            room = self._rooms.get(connection.room_id)
            member = room.members.pop(handle_of(connection.id), None) if room else None
            if room is None or member is None:
                return
            if not room.members:
                del self._rooms[connection.room_id]
                return
            self._announce(connection, member, "expired" if isinstance(error, TransportLost) else "gone")

    def _on_release(self, connection: Connection) -> None:
        """The session goes on in another process: it takes along what that one can't know."""
        storm = self._storms.pop(connection.id, None)
        bursts = self._bursts.release(connection, timeout=0.5)
        with self._lock:
            room = self._rooms.get(connection.room_id)
            member = room.members.pop(handle_of(connection.id), None) if room else None
            connection.data["moves"] = {
                "messages": room.messages if room else 0,
                "dropped_at": member.dropped_at if member else None,
                "storm": storm and {"tag": storm.tag, "seen": sorted(storm.seen), "repeated": storm.repeated},
                "bursts": bursts,
            }
            if room is not None and not room.members:
                del self._rooms[connection.room_id]

    def _on_adopt(self, connection: Connection) -> None:
        brought = connection.data.pop("moves", None) or {}
        if storm := brought.get("storm"):
            self._storms[connection.id] = Storm(storm["tag"], set(storm["seen"]), storm["repeated"])
        with self._lock:
            room = self._rooms.setdefault(connection.room_id, ChatRoom())
            room.messages = max(room.messages, brought.get("messages", 0))
            room.members[handle_of(connection.id)] = ChatMember(
                str(connection.data.get("name", "somebody")), brought.get("dropped_at")
            )
        self._timeline.record("moved", connection.room_id, connection.id, pid=os.getpid())
        if bursts := brought.get("bursts"):
            self._bursts.adopt(connection, bursts)

    # What a message asks for.

    def _say(self, connection: Connection, text: object, tag: str) -> None:
        if not isinstance(text, str) or not 0 < len(text.strip()) <= MAX_TEXT:
            self._tell(connection, "demo.problem", {"text": f"A message has 1 to {MAX_TEXT} characters."})
            return
        with self._lock:
            room = self._rooms.get(connection.room_id)
            member = self._member(connection)
            if room is None or member is None:
                return
            room.messages += 1
            said = {
                "from": member.name,
                "who": handle_of(connection.id),
                "text": text.strip(),
                "at": round(self._timeline.now(), 4),
                "n": room.messages,
                "tag": tag,
            }
            self._broadcast(connection.room_id, Message("chat.message", said))

    def _burst(self, connection: Connection, payload: dict[str, Any]) -> None:
        count, seconds = payload.get("count", 10), payload.get("seconds", 0)
        if not _is_number(count) or not _is_number(seconds):
            self._tell(connection, "demo.problem", {"text": "A burst needs a count and a number of seconds."})
            return
        plan = BurstPlan(
            int(min(max(count, 1), MAX_BURST_MESSAGES)),
            float(min(max(seconds, 0), MAX_BURST_SECONDS)),
            str(payload.get("tag", ""))[:40],
        )
        if payload.get("when") == "away":
            self._bursts.arm(connection, plan)
            self._tell(connection, "demo.armed", {"count": plan.count, "tag": plan.tag})
        elif not self._bursts.start(connection, plan):
            self._tell(connection, "demo.problem", {"text": "Too many bursts are under way; try again soon."})

    def _storm(self, connection: Connection, payload: dict[str, Any], tag: str) -> None:
        """Count a message of a storm, and answer it: the page compares the counts of both sides."""
        storm = self._storms.get(connection.id)
        if storm is None or storm.tag != tag:
            storm = self._storms[connection.id] = Storm(tag)
        number, last = payload.get("i"), payload.get("last") is True
        if not last:
            if type(number) is not int or not 0 < number <= MAX_STORM:
                self._tell(connection, "demo.problem", {"text": "A message of a storm needs a number."})
                return
            storm.repeated += number in storm.seen
            storm.seen.add(number)
        counts = {"tag": tag, "i": number, "handled": len(storm.seen), "repeated": storm.repeated}
        at = round(self._timeline.now(), 4)
        self._tell(connection, "demo.storm", {**counts, "at": at, "last": last})

    # What people are told.

    def _member(self, connection: Connection) -> ChatMember | None:
        room = self._rooms.get(connection.room_id)
        return room.members.get(handle_of(connection.id)) if room else None

    def _roster(self, room: ChatRoom) -> dict[str, Any]:
        people = [self._seen(handle, member) for handle, member in list(room.members.items())[-MAX_ROSTER:]]
        return {
            "people": people,
            "total": len(room.members),
            "n": room.messages,
            "window": self._resume_window,
            "at": round(self._timeline.now(), 4),
        }

    def _seen(self, handle: str, member: ChatMember, state: str = "") -> dict[str, Any]:
        suspended = member.dropped_at is not None
        # The point in time, not the seconds left: a person who is away reads this only after the replay.
        until = round(member.dropped_at + self._resume_window, 3) if member.dropped_at is not None else None
        state = state or ("suspended" if suspended else "connected")
        return {"who": handle, "name": member.name, "state": state, "until": until}

    def _announce(self, connection: Connection, member: ChatMember, state: str) -> None:
        room = self._rooms[connection.room_id]
        news = {**self._seen(handle_of(connection.id), member, state), "total": len(room.members)}
        self._broadcast(connection.room_id, Message("presence", news), exclude=[connection.id])

    def _broadcast(self, room_id: str, message: Message, exclude: list[str] | None = None) -> None:
        try:
            self._hub.broadcast(room_id, message, exclude=exclude or ())
        except ConnectionClosed:
            pass  # the hub is closing

    def _tell(self, connection: Connection, event: str, payload: dict[str, Any]) -> None:
        send_if_possible(connection, Message(event, payload))


def _cause(error: Exception | None) -> dict[str, str | int]:
    if error is None:
        return {"cause": "takeover"}
    if isinstance(error, TransportLost):
        return {"cause": type(error).__name__, "code": error.code}
    return {"cause": type(error).__name__}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
