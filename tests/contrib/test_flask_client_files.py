"""The JavaScript client of an application: one URL for ever, one that is asked each time."""

from __future__ import annotations

from importlib.resources import files

import pytest
from flask import render_template_string, session

from resumehub.contrib.flask import ResumeHub
from tests.contrib.flask_apps import make_app

CODE = files("resumehub").joinpath("static", "resumehub.js").read_bytes()
PAGE = '<script type="module">import { connect } from "{{ resumehub_js() }}";</script>'


def test_a_template_gets_a_url_that_may_be_kept_for_ever() -> None:
    app = make_app(ResumeHub())

    @app.get("/")
    def page() -> str:
        return render_template_string(PAGE)

    browser = app.test_client()
    text = browser.get("/").text
    url = text.split('"')[3]
    assert text == f'<script type="module">import {{ connect }} from "{url}";</script>'
    answer = browser.get(url)
    assert answer.data == CODE
    assert answer.mimetype == "text/javascript"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert browser.get("/", base_url="http://localhost/app").text.count("/app/resumehub.") == 1


def test_the_plain_url_is_asked_each_time_and_answered_shortly() -> None:
    browser = make_app(ResumeHub()).test_client()
    first = browser.get("/resumehub.js")
    assert (first.status_code, first.data) == (200, CODE)
    assert first.headers["Cache-Control"] == "no-cache"
    again = browser.get("/resumehub.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert browser.get("/resumehub.js", headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_page_of_another_release_gets_a_client_that_is_not_kept() -> None:
    answer = make_app(ResumeHub()).test_client().get("/resumehub.0123456789abcdef.js")
    assert (answer.status_code, answer.data) == (200, CODE)
    assert answer.headers["Cache-Control"] == "no-cache"


def test_the_url_can_be_another_one_or_none() -> None:
    elsewhere = make_app(ResumeHub(), RESUMEHUB_JS_URL="/static/js/live.js")
    assert elsewhere.test_client().get("/static/js/live.js").data == CODE
    with elsewhere.test_request_context():
        assert render_template_string("{{ resumehub_js() }}").startswith("/static/js/live.")

    nowhere = make_app(ResumeHub(js_url=None))
    assert nowhere.test_client().get("/resumehub.js").status_code == 404
    with nowhere.test_request_context(), pytest.raises(RuntimeError, match="RESUMEHUB_JS_URL is None"):
        render_template_string("{{ resumehub_js() }}")


def test_no_cookie_is_set_on_what_everybody_may_keep() -> None:
    """A shared cache would give one user's session to others."""
    app = make_app(ResumeHub())

    @app.before_request
    def count() -> None:
        session["visits"] = session.get("visits", 0) + 1

    browser = app.test_client()
    with app.test_request_context():
        url = render_template_string("{{ resumehub_js() }}")
    assert not {"Set-Cookie", "Vary"} & set(browser.get(url).headers.keys())
    assert "Set-Cookie" in browser.get("/nothing").headers
