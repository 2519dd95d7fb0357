"""Who sees the inspector, and which requests may change something."""

from __future__ import annotations

import re
from typing import Any

import pytest
from werkzeug.exceptions import Unauthorized

from resumehub import Hub
from resumehub.inspector import Inspector
from tests.inspector.operator_stage import BASE, Operator

PATHS = ["", "/", "/sessions", "/rooms", "/users", "/ended", "/inspector.css", "/session/x", "/no/where"]


class Panic(BaseException):
    """Of an extension that is no Exception."""


def raising(error: BaseException) -> Any:
    def authorize(request: Any) -> bool:
        raise error

    return authorize


def test_nobody_is_let_in_by_default() -> None:
    """There is no inspector without a function that says who may look."""
    with pytest.raises(TypeError, match="needs authorize=…, a function of the request that returns True"):
        Inspector(Hub())


async def in_a_while(request: Any) -> bool:
    return True


@pytest.mark.parametrize(
    ("hub", "options", "says"),
    [
        (Hub(), {"authorize": in_a_while}, r"Inspector\(authorize\) takes a function of \(request\)"),
        (Hub(), {"authorize": lambda: True}, r"Inspector\(authorize\) takes a function of \(request\)"),
        (Hub(), {"authorize": bool, "secret": 7}, "secret must be a str or bytes, not int"),
        (Hub(), {"authorize": bool, "actions": "no"}, "actions must be True or False, not 'no'"),
        (object(), {"authorize": bool}, r"takes a resumehub.Hub, not object; in a Flask application write"),
    ],
)
def test_wrong_arguments_are_told(hub: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        Inspector(hub, **options)


def test_an_inspector_that_comes_too_late_is_told(stage) -> None:
    """There are sessions of which nothing was kept."""
    one = stage()
    one.open()
    with pytest.raises(RuntimeError, match="comes too late: the hub runs"):
        Inspector(one.hub, authorize=bool)


@pytest.mark.parametrize(
    ("authorize", "status"),
    [
        (lambda request: False, 403),
        (lambda request: None, 403),
        (lambda request: "yes", 403),
        (lambda request: 1, 403),
        (raising(ValueError("who?")), 500),
        (raising(Panic()), 500),
        (raising(Unauthorized()), 401),
    ],
)
def test_who_is_not_let_in_learns_nothing(stage, authorize: Any, status: int) -> None:
    """Not even whether there is a page, or a session."""
    one = stage()
    operator = Operator(one.hub, authorize=lambda request: authorize(request))
    one.open("u1", room="secret-room")
    browser = operator.browser
    answers = [ask(BASE + path) for path in PATHS for ask in (browser.get, browser.post, browser.put)]
    assert {answer.status_code for answer in answers} == {status}
    assert len({answer.text for answer in answers}) == 1
    assert "secret" not in answers[0].text
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
    assert all("Set-Cookie" not in answer.headers for answer in answers)


def test_what_authorize_gives_instead_of_a_bool_is_logged_and_what_it_raises(stage, caplog) -> None:
    one = stage()
    seen: list[Any] = ["yes", ValueError("who?")]

    def authorize(request: Any) -> Any:
        wanted = seen.pop(0)
        if isinstance(wanted, Exception):
            raise wanted
        return wanted

    operator = Operator(one.hub, authorize=authorize)
    operator.get()
    operator.get()
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "returned a str: only True lets a request in" in caplog.records[0].getMessage()
    assert caplog.records[1].exc_info is not None


def test_every_answer_runs_no_script_is_in_no_frame_and_is_kept_by_no_cache() -> None:
    operator = Operator(Hub())
    for path in PATHS:
        headers = operator.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script" not in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy
        assert (headers["X-Frame-Options"], headers["Cache-Control"]) == ("DENY", "no-store")
        assert headers["X-Content-Type-Options"] == "nosniff"
    for path in PATHS:
        page = operator.get(path).text
        assert "<script" not in page
        assert " style=" not in page
        assert " on" not in re.sub(">[^<]*<", "><", page)
        assert "http:" not in page
        assert "https:" not in page


def test_the_cookie_is_for_this_host_and_its_pages_alone() -> None:
    operator = Operator(Hub())
    cookie = operator.get().headers["Set-Cookie"]
    assert all(text in cookie for text in ("HttpOnly", "SameSite=Strict", f"Path={BASE}"))
    assert "Secure" not in cookie
    assert "Set-Cookie" not in operator.get().headers
    new = Operator(Hub()).browser.get(f"{BASE}/", base_url="https://localhost")
    assert "Secure" in new.headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"token": ""}, "its token is missing or wrong"),
        ({"token": "é"}, "its token is missing or wrong"),
        ({"of": "other"}, "its token is missing or wrong"),
        ({"deed": "expire"}, "its token is missing or wrong"),
        ({"Sec_Fetch_Site": "cross-site"}, "a page of another site"),
        ({"Sec_Fetch_Site": "same-site"}, "a page of another site"),
        ({"Sec_Fetch_Site": "none"}, "a page of another site"),
        ({"Origin": "http://evil.example", "Sec_Fetch_Site": None}, "a page of another host"),
        ({"Origin": "http://evil.example"}, "a page of another host"),
        ({"Origin": "null", "Sec_Fetch_Site": None}, "a page of another host"),
        ({"Origin": None, "Sec_Fetch_Site": None}, "it comes from no page"),
        ({"cookie": "gone"}, "its token is missing or wrong"),
        ({"cookie": "short"}, "its token is missing or wrong"),
    ],
)
def test_a_request_that_comes_from_elsewhere_changes_nothing(stage, how: dict[str, Any], says: str) -> None:
    one = stage()
    operator = Operator(one.hub)
    one.open("u1")
    gone = one.open("other")
    one.recorder.wait_for("connect", count=2)
    one.drop(gone, "other")
    life = operator.life("u1")
    token = how.pop("token", None)
    if token is None:
        deed = how.pop("deed", "kick")
        of = operator.life(how.pop("of", "other" if deed == "expire" else "u1"))
        token = operator.token(of, deed)
    cookie = how.pop("cookie", None)
    if cookie is not None:
        operator.browser.delete_cookie("resumehub_inspector", path=BASE)
        if cookie == "short":
            operator.browser.set_cookie("resumehub_inspector", "x", path=BASE)
    answer = operator.post(life, "kick", token, **how)
    assert answer.status_code == 403
    assert says in answer.text
    assert one.hub.get("u1") is not None


def test_only_a_post_changes_something_and_a_long_one_does_not(stage) -> None:
    one = stage()
    operator = Operator(one.hub)
    one.open("u1")
    life = operator.life("u1")
    token = operator.token(life, "kick")
    assert operator.get(f"/session/{life}/kick", token=token).status_code == 404
    put = operator.browser.put(f"{BASE}/session/{life}/kick", data={"token": token})
    assert (put.status_code, put.headers["Allow"]) == (405, "GET, HEAD, POST")
    assert operator.post(life, "kick", token + "x" * 5000).status_code == 403
    assert one.hub.get("u1") is not None
    assert operator.post(life, "kick", token).status_code == 303
    assert one.hub.get("u1") is None


def test_where_nothing_may_be_done_there_is_no_form_and_no_way(stage) -> None:
    one = stage()
    operator = Operator(one.hub, actions=False)
    one.open("u1")
    life = operator.life("u1")
    assert '<form method="post"' not in operator.get(f"/session/{life}").text
    assert "Kick" not in operator.session("u1")
    assert operator.post(life, "kick", "x").status_code == 404
    assert one.hub.get("u1") is not None


def test_a_secret_makes_a_token_that_the_cookie_alone_does_not_give(stage) -> None:
    """Who can set a cookie, from another page of the domain, can forge no form."""
    one = stage()
    plain, secret = Operator(one.hub), Operator(one.hub, secret="of the application")
    one.open("u1")
    life = plain.life("u1")
    for operator in (plain, secret):
        operator.browser.set_cookie("resumehub_inspector", "c" * 43, path=BASE)
    assert plain.token(life, "kick") != secret.token(life, "kick")
    assert secret.post(life, "kick", plain.token(life, "kick")).status_code == 403
