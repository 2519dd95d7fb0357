"""The guards of time: ``core/deadlines.py``, and how ``core/machine.py`` goes through it."""

from __future__ import annotations

from tests.guards.guard import Guard

MACHINE = "core/machine.py"

GUARDS = (
    Guard(
        "time never goes back",
        MACHINE,
        "plan.now = until = max(plan.now, now)",
        "plan.now = until = now",
        "A thread takes the time, and is overtaken by another on its way to the queue.",
        (
            "u1 connects",
            "10 seconds pass",
            "transport 1 breaks, seen at 4 s",
            "the window of session 1 ends at 40 s",
        ),
        "it should be 40, and is 34",
    ),
    Guard(
        "an observation fires no deadlines",
        MACHINE,
        "if not isinstance(command, c.Seen):",
        "if True:",
        "What is due would fire inside the answer to something else that is due.",
        because="The hub answers an Inspect at the time of the command that asked, and all that "
        "was due by then has "
        "fired before that command. It holds for a caller that answers late.",
    ),
    Guard(
        "the hub has finished once",
        MACHINE,
        "if self.draining and not self.finished and",
        "if self.draining and",
        "Finish would be asked for again with each further command.",
        because="The hub thread takes no command after Finish. It makes the effect's promise the "
        "machine's own.",
    ),
    Guard(
        "the hub has not finished while a session is there",
        MACHINE,
        "and not self.sessions and",
        "and",
        "The hub thread would leave sessions behind.",
        because="A shutdown ends all sessions in one step, and behind it nobody gets in: with "
        "the transports, the "
        "sessions are gone. It says what Finish means, instead of why it is so.",
    ),
    Guard(
        "the hub has not finished while a transport is there",
        MACHINE,
        "and not self.sessions and not self.transports:",
        "and not self.sessions:",
        "The hub thread would leave before the close frames are out.",
        ("u1 connects", "the hub shuts down"),
        "the transports [1] were never aborted",
    ),
    Guard(
        "a deadline is due at its time",
        "core/deadlines.py",
        "self._heap[0][0] <= now",
        "True",
        "Every window would end at the next command.",
        ("u1 connects", "transport 1 breaks", "u1 resumes", "u1 is connected on transport 2"),
        "it should be connected on transport 2, and is gone",
    ),
    Guard(
        "a deadline that was moved does not fire at its old time",
        "core/deadlines.py",
        "return self._armed.get((kind, owner)) == (at, serial)",
        "return (kind, owner) in self._armed",
        "The window of the first drop would end the second one: too early, with a client on its way back.",
        (
            "u1 connects",
            "u2 connects",
            "transport 2 breaks",
            "5 seconds pass",
            "transport 1 breaks",
            "5 seconds pass",
            "u1 resumes",
            "transport 3 breaks",
            "25 seconds pass",
            "u1 is suspended",
        ),
        "it should be suspended, and is gone",
    ),
    Guard(
        "a deadline that is armed again goes behind its equals",
        "core/deadlines.py",
        "self._armed.get((kind, owner)) == (at, serial)",
        "self._armed.get((kind, owner), (None,))[0] == at",
        "Two windows that end at the same instant would end in the order of the first drops.",
        (
            "u1 connects",
            "u2 connects",
            "u3 connects",
            "transport 3 breaks",
            "transport 1 breaks",
            "transport 2 breaks",
            "u1 resumes",
            "transport 4 breaks",
            "30 seconds pass",
            "the last session to end is u1",
        ),
        "it should be u1, and is u2",
    ),
    Guard(
        "the heap of deadlines is cleaned up",
        "core/deadlines.py",
        "if len(self._heap) > 2 * len(self._armed) + self._SLACK:",
        "if False:",
        "A session that resumes all day would leave an entry each time.",
        because="It saves memory: what is cancelled never fires, cleaned up or not "
        "(`tests/core/test_deadlines.py` "
        "counts the entries).",
    ),
)
