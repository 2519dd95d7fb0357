"""``flask resumehub sessions`` and ``flask resumehub kick``: they ask the application that serves.

A command loads the application, as each command of Flask, and has its configuration, the token in it too. But
the sessions are in the server's process: ``admin.py`` answers there. With a cluster the command asks the hub
by the cluster's folder, and needs no token: who may use the folder may do all that. Knows HTTP/1.1 to this
machine, by a port or a Unix socket, and follows no redirect: the token goes nowhere else. Main thread. Read
next: ``admin.py``.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from ...errors import ClusterError
from ...hub import Hub
from .admin import PATH
from .admin import kick as kick_now
from .admin import sessions as sessions_now
from .app_hub import AppHub

_TIMEOUT = 10.0

_URL_HELP = (
    "Where the server listens on this machine: http://127.0.0.1:5000, or unix:/run/app.sock. With the path "
    "at which the application is mounted, if it is. Not needed with RESUMEHUB_CLUSTER."
)


def add_commands(app: Flask) -> None:
    """Give the application the commands."""
    group = AppGroup("resumehub", help="See and end the sessions of a running server.")
    url = click.option("--url", envvar="RESUMEHUB_URL", show_envvar=True, help=_URL_HELP)

    @group.command("sessions")
    @url
    @click.option("--room", help="Only those in this room.")
    @click.option("--user", help="Only those of this user.")
    @click.option("--json", "as_json", is_flag=True, help="As JSON, one object a line.")
    def sessions(url: str | None, room: str | None, user: str | None, as_json: bool) -> None:
        """List the sessions: id, state, user, rooms (the home room first)."""
        query = urlencode(
            {name: value for name, value in (("room", room), ("user", user)) if value is not None}
        )
        found = (
            _by_folder(lambda hub: sessions_now(hub, user, room))
            if _has_cluster(url)
            else _ask(url, "GET", f"sessions?{query}", None)
        )
        if as_json:
            for one in found:
                click.echo(json.dumps(one))
            return
        rows = [("ID", "STATE", "USER", "ROOMS")]
        rows += [(one["id"], one["state"], one["user"] or "-", " ".join(one["rooms"])) for one in found]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
            click.echo("  ".join([*cells, row[3]]))

    @group.command("kick")
    @url
    @click.argument("connection_id", metavar="ID", required=False)
    @click.option("--user", help="All sessions of this user.")
    def kick(url: str | None, connection_id: str | None, user: str | None) -> None:
        """End the session with this ID, or all sessions of a user, for good."""
        if (connection_id is None) == (user is None):
            raise click.UsageError("give either an ID or --user")
        wanted = {"id": connection_id} if user is None else {"user": user}
        answer = (
            _by_folder(lambda hub: kick_now(hub, wanted))
            if _has_cluster(url)
            else _ask(url, "POST", "kick", wanted)
        )
        count = answer["kicked"]
        who = f"a session with the id {connection_id!r}" if user is None else f"a session of {user!r}"
        if not count:
            raise click.ClickException(f"the server does not have {who}")
        click.echo(f"kicked {count}")

    app.cli.add_command(group)


def _has_cluster(url: str | None) -> bool:
    return url is None and _app_hub().hub.member is not None


def _app_hub() -> AppHub:
    found: AppHub = current_app.extensions["resumehub"]
    return found


def _by_folder(ask: Callable[[Hub], Any]) -> Any:
    """What the hub of the cluster answers. Raises: click.ClickException."""
    try:
        return ask(_app_hub().hub)
    except ClusterError as error:
        raise click.ClickException(str(error)) from None


def _ask(url: str | None, method: str, what: str, body: Any) -> Any:
    """The server's answer. Raises: click.ClickException, which says what to do."""
    token = _app_hub().options.admin_token
    if token is None:
        raise click.ClickException(
            "RESUMEHUB_ADMIN_TOKEN is not set in app.config, so the server does not answer these commands. "
            "Set it, the same for the server and for this command, and restart the server: "
            "python -c 'import secrets; print(secrets.token_urlsafe())' makes one"
        )
    url = url or f"http://127.0.0.1:{os.environ.get('FLASK_RUN_PORT', '5000')}"
    client, prefix = _client(url)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        client.request(method, f"{prefix}{PATH}/{what}", json.dumps(body) if body else None, headers)
        answer = client.getresponse()
        status, text = answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise click.ClickException(
            f"no answer from {url}: {error}. Where does it listen? See --url"
        ) from None
    finally:
        client.close()
    if status == 200:
        try:
            return json.loads(text)
        except ValueError:
            pass
    raise click.ClickException(_ADVICE.get(status, _OTHER).format(url=url, status=status))


_ADVICE = {
    403: "{url} answered 403: the server has another RESUMEHUB_ADMIN_TOKEN, or a before_request refuses",
    404: (
        "{url} answered 404: the server runs without RESUMEHUB_ADMIN_TOKEN, the application is mounted at a "
        "path that --url does not have, or a proxy is in between: ask the server itself"
    ),
}

_OTHER = (
    "{url} answered {status}: is it this application? A before_request that asks for a login, or an "
    "extension that asks for a CSRF token, must let the blueprint resumehub_admin pass"
)


def _client(url: str) -> tuple[http.client.HTTPConnection, str]:
    """A connection that is not open yet, or one to a Unix socket; and the path before ours."""
    if url.startswith("unix:"):
        client = http.client.HTTPConnection("localhost")
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(url.removeprefix("unix:"))
        except OSError as error:
            sock.close()
            raise click.ClickException(f"no answer from {url}: {error}") from None
        client.sock = sock
        return client, ""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        parts, local = urlsplit(""), False
    if parts.scheme != "http" or not local:
        # Over a network, or under a name that leads elsewhere, the token would be told to others.
        raise click.BadParameter(
            f"{url!r} is not on this machine: write http://127.0.0.1:PORT or unix:PATH", param_hint="--url"
        )
    return http.client.HTTPConnection(host, port or 80, timeout=_TIMEOUT), quote(parts.path.rstrip("/"), "/%")
