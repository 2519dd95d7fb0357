"""The server's side of the soak: whom it asks, and until when."""

from __future__ import annotations

import threading
from typing import Any

from resumehub import Message
from tests.support import PATIENCE
from tools.soaking.asking import EVENT
from tools.soaking.partners import Partners
from tools.soaking.rows import write


class Session:
    """A client's; it answers what it is asked."""

    def __init__(self, name: str) -> None:
        self.id = name
        self.asked = 0
        self.was_asked = threading.Event()

    def request(self, event: str, payload: Any, timeout: float | None) -> Any:
        assert event == EVENT
        self.asked += 1
        self.was_asked.set()
        return {"of": payload}


def test_a_client_is_asked_from_its_first_word_until_the_hush() -> None:
    partners, ada = Partners(0.0001, asks=True), Session("ada")
    assert partners.hear(ada, write("ada", 1, 0.0)) is None
    assert ada.was_asked.wait(PATIENCE)

    partners.hush()
    (partner,) = partners.present()
    partner.asker._thread.join(PATIENCE)
    told = partners.told()["ada"]
    assert told["asked"] == {"answered": ada.asked, "stuck": 0}
    assert told["received"] == 1


def test_a_client_whose_first_word_comes_behind_the_hush_is_not_asked() -> None:
    """The network has broken each of its connections until then. Its requests would never end."""
    partners, bob = Partners(0.0001, asks=True), Session("bob")
    partners.hush()
    assert partners.hear(bob, Message(EVENT, ["bob", 1], id="1")) == {"of": ["bob", 1]}
    assert partners.told()["bob"]["asked"] == {"stuck": 0}
    assert partners.told()["bob"]["answered"]["handled"] == 1


def test_a_client_of_a_soak_without_requests_is_not_asked() -> None:
    partners = Partners(0.0001, asks=False)
    partners.hear(Session("ada"), write("ada", 1, 0.0))
    assert partners.told()["ada"]["asked"] == {"stuck": 0}
