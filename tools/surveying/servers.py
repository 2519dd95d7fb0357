"""Which servers are asked, in which version, and how each is started. To add one, add a line here."""

from __future__ import annotations

from dataclasses import dataclass

OURS = ("werkzeug==3.1.9", "simple-websocket==1.1.0", "wsproto==1.3.2")
"""What resumehub needs, pinned as the servers are. (The page says with which versions it was made.)"""

APP = "tools.surveying.app:app"
BEHIND_A2WSGI = "tools.surveying.asgi:app"
BIND = "127.0.0.1:{port}"


@dataclass(frozen=True)
class Server:
    name: str
    packages: tuple[str, ...]
    """What pip installs; the first one is named on the page, with its version."""
    command: tuple[str, ...]
    """Behind ``python -m``, or with a path of the environment's ``bin`` in front (``bin/uwsgi``)."""
    needs: str = ""
    """What has to be there beside pip; said when it can't be installed."""

    @property
    def version(self) -> str:
        name, _, version = self.packages[0].partition("==")
        return f"{name.partition('[')[0]} {version}"


def own(name: str, how: str, *packages: str, needs: str = "") -> Server:
    """One that ``app.py`` starts."""
    return Server(name, packages, ("tools.surveying.app", how, "{port}"), needs)


def gunicorn(name: str, *options: str, packages: tuple[str, ...] = (), app: str = APP) -> Server:
    command = ("gunicorn", "--bind", BIND, "--no-control-socket", *options, app)
    return Server(name, ("gunicorn==27.0.1", *packages), command)


def uvicorn(name: str, *options: str, packages: tuple[str, ...] = (), app: str = APP) -> Server:
    command = ("uvicorn", "--port", "{port}", *options, app)
    return Server(name, (*UVICORN, *packages), command)


UVICORN = ("uvicorn==0.54.0",)
WEBSOCKETS = ("websockets==17.4",)
A2WSGI = ("a2wsgi==1.10.10",)

SERVERS = (
    own("Werkzeug, threaded", "werkzeug-threaded", OURS[0]),
    own("Werkzeug, not threaded", "werkzeug-single", OURS[0]),
    own("Werkzeug, `processes=4`", "werkzeug-processes", OURS[0]),
    gunicorn("gunicorn, gthread", "--threads", "8"),
    gunicorn("gunicorn, sync"),
    gunicorn("gunicorn, gevent", "-k", "gevent", packages=("gevent==26.9.0", "packaging==26.4")),
    gunicorn("gunicorn, tornado", "-k", "tornado", packages=("tornado==6.6.1",)),
    gunicorn("gunicorn, asgi, the WSGI application", "-k", "asgi"),
    gunicorn("gunicorn, asgi, with a2wsgi", "-k", "asgi", packages=A2WSGI, app=BEHIND_A2WSGI),
    gunicorn(
        "gunicorn, uvicorn worker, with a2wsgi",
        *("-k", "uvicorn_worker.UvicornWorker"),
        packages=("uvicorn-worker==0.4.0", *UVICORN, *WEBSOCKETS, *A2WSGI),
        app=BEHIND_A2WSGI,
    ),
    own("gevent, `pywsgi`", "pywsgi", "gevent==26.9.0"),
    own("eventlet, `wsgi`", "eventlet", "eventlet==0.41.3"),
    Server("waitress", ("waitress==3.0.2",), ("waitress", "--listen", BIND, APP)),
    Server("cheroot", ("cheroot==11.1.2",), ("cheroot", "--bind", BIND, APP)),
    own("bjoern", "bjoern", "bjoern==3.2.2", needs="a C compiler and libev (apt-get install gcc libev-dev)"),
    Server(
        "uWSGI, `--http-socket`",
        ("pyuwsgi==2.0.30.post1",),
        ("bin/uwsgi", "--master", "--enable-threads", "--die-on-term", "--http-socket", BIND, "-w", APP),
    ),
    Server(
        "uWSGI, `--http`",
        ("pyuwsgi==2.0.30.post1",),
        ("bin/uwsgi", "--master", "--enable-threads", "--die-on-term", "--http", BIND, "-w", APP),
    ),
    Server(
        "mod_wsgi",
        ("mod_wsgi==6.1.1",),
        (
            *(
                "bin/mod_wsgi-express",
                "start-server",
                "--log-to-terminal",
                "--port",
                "{port}",
                "--host",
                "127.0.0.1",
            ),
            *("--server-root", "{folder}/apache", "--user", "{user}", "--group", "{user}"),
            *("--application-type", "module", "--processes", "1", "--threads", "5", "tools.surveying.app"),
        ),
        "Apache and its headers (apt-get install apache2-dev), and a Python that Apache's user may read",
    ),
    Server(
        "granian, `--interface wsgi`",
        ("granian==2.8.9",),
        ("bin/granian", "--interface", "wsgi", "--port", "{port}", APP),
    ),
    Server("hypercorn, `wsgi:`", ("hypercorn==0.18.0",), ("hypercorn", "--bind", BIND, f"wsgi:{APP}")),
    uvicorn("uvicorn, `--interface wsgi`", "--interface", "wsgi", packages=WEBSOCKETS),
    uvicorn("uvicorn, `--interface wsgi`, without `websockets`", "--interface", "wsgi"),
    uvicorn("uvicorn, the WSGI application", packages=WEBSOCKETS),
    uvicorn("uvicorn, with a2wsgi", packages=WEBSOCKETS + A2WSGI, app=BEHIND_A2WSGI),
)

NOTES = {
    "gunicorn, sync": "Only [behind a proxy](../howto/deploy-gunicorn-nginx.md#gunicorn)",
    "Werkzeug, threaded": "For development",
    "Werkzeug, not threaded": "For development",
}
"""What the page says beside what was seen."""
