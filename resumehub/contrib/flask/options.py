"""The extension's options: keyword arguments of ``ResumeHub``, and ``RESUMEHUB_…`` in app.config.

Each option of ``Hub`` is one here, and there are a few more, about Flask. What app.config says goes before a
keyword argument. Each mistake is told when the application is initialised: an unknown name with the one that
was probably meant, and a wrong value with where it stands. It knows names and places; values are checked by
``Hub``. Called on the thread that builds the application. Read next: ``extension.py``.
"""

from __future__ import annotations

import difflib
import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ...cluster.local import LocalCluster
from ...handlers import check_handler
from ...hub import Hub

PREFIX: Final = "RESUMEHUB_"

LEAST_TOKEN: Final = 16
"""Characters of ``RESUMEHUB_ADMIN_TOKEN``: one that can be guessed would let everybody in."""

_HUB_OPTIONS: Final = tuple(
    name
    for name, parameter in inspect.signature(Hub).parameters.items()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not name.startswith("_")
)

_FLASK_OPTIONS: Final = ("js_url", "admin_token", "probes", "inspector", "inspector_url")

OPTIONS: Final = (*_HUB_OPTIONS, *_FLASK_OPTIONS)
"""All of them: those of ``Hub``, then those of the extension."""

_USUAL: Final = {
    "js_url": "/resumehub.js",
    "admin_token": None,
    "probes": False,
    "inspector": None,
    "inspector_url": "/resumehub/inspector",
}

_KEYS: Final = {name: PREFIX + name.upper() for name in OPTIONS}


@dataclass(frozen=True, slots=True)
class AppOptions:
    """What one application is to have. ``hub``: arguments of ``Hub``.

    ``js_url``: the path of the JavaScript client; None: it is not served. ``admin_token``: what
    ``flask resumehub …`` must know; None: the application does not answer it. ``probes``: whether it answers
    ``/livez`` and ``/readyz``. ``inspector``: who may see the inspector; None: it is not there;
    ``inspector_url``: where it is.
    """

    hub: Mapping[str, Any]
    js_url: str | None
    admin_token: str | None
    probes: bool
    inspector: Callable[..., Any] | None
    inspector_url: str
    from_config: frozenset[str]


def check_names(given: Iterable[str]) -> None:
    """Make sure that all are options. Raises: TypeError."""
    for name in given:
        if name not in OPTIONS:
            raise TypeError(f"ResumeHub({name}=…): {_unknown(name, {name: name for name in OPTIONS})}")


def read_options(config: Mapping[str, Any], given: Mapping[str, Any]) -> AppOptions:
    """What ``config`` says, and for the rest what ``given`` says.

    Raises: TypeError, ValueError, which name the key in ``config``.
    """
    found = config_of(config)
    for key in found:
        if key not in _KEYS.values():
            raise ValueError(f'app.config["{key}"]: {_unknown(key, _KEYS)}')
    from_config = {key.removeprefix(PREFIX).lower(): value for key, value in found.items()}
    all_of_them = {**_USUAL, **given, **from_config}
    places = frozenset(from_config)
    if "cluster" in all_of_them:
        all_of_them["cluster"] = _cluster(all_of_them["cluster"], places)
    return AppOptions(
        hub={name: all_of_them[name] for name in _HUB_OPTIONS if name in all_of_them},
        js_url=_js_url(all_of_them["js_url"], places),
        admin_token=_admin_token(all_of_them["admin_token"], places),
        probes=_probes(all_of_them["probes"], places),
        inspector=_inspector(all_of_them["inspector"], places),
        inspector_url=_inspector_url(all_of_them["inspector_url"], places),
        from_config=places,
    )


def make_hub(options: AppOptions) -> Hub:
    """The application's hub. Raises: TypeError, ValueError, which say where the wrong option stands."""
    try:
        return Hub(**options.hub)
    except (TypeError, ValueError) as error:
        # Each of these texts begins with the name of the option.
        named = re.match(r"\w+", str(error))
        name = named.group() if named else ""
        if name not in options.from_config:
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{_place(name, options.from_config)}: {error}") from None


def config_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of app.config that is ours."""
    return {key: value for key, value in config.items() if str(key).startswith(PREFIX)}


def _unknown(wrong: str, known: Mapping[str, str]) -> str:
    """``known``: options, and how they are written here."""
    # Without the prefix: it would make any two keys alike.
    near = difflib.get_close_matches(wrong.removeprefix(PREFIX).lower(), known, 1)
    meant = f"did you mean {known[near[0]]}? There" if near else "there"
    return f"no option has this name; {meant} are {', '.join(sorted(known.values()))}"


def _place(name: str, from_config: frozenset[str]) -> str:
    return f'app.config["{PREFIX}{name.upper()}"]' if name in from_config else f"ResumeHub({name}=…)"


def _js_url(value: object, from_config: frozenset[str]) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"/[^<>?#\s]*\.js", value):
        kind = ValueError if isinstance(value, str) else TypeError
        raise kind(
            f"{_place('js_url', from_config)} is {value!r}: it must be a path such as "
            '"/static/resumehub.js", or None, and the client is not served'
        )
    return value


def _probes(value: object, from_config: frozenset[str]) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{_place('probes', from_config)} is {value!r}: it must be True or False")
    return value


def _inspector(value: object, from_config: frozenset[str]) -> Callable[..., Any] | None:
    if value is None:
        return None
    place = _place("inspector", from_config)
    if not callable(value):
        raise TypeError(
            f"{place} is {value!r}: it must be a function of the request that returns True for whoever may "
            "see all sessions, and kick them; or None, and there is no inspector"
        )
    check_handler(value, place, "request")
    return value


def _inspector_url(value: object, from_config: frozenset[str]) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"(/[^<>?#\s/]+)+", value):
        kind = ValueError if isinstance(value, str) else TypeError
        raise kind(
            f"{_place('inspector_url', from_config)} is {value!r}: it must be a path such as "
            '"/admin/sockets", without a slash at its end'
        )
    return value


def _cluster(value: object, from_config: frozenset[str]) -> LocalCluster | None:
    # A configuration that comes from the environment or a file has no objects, so a path will do.
    if value is None or isinstance(value, LocalCluster):
        return value
    place = _place("cluster", from_config)
    if not isinstance(value, str | os.PathLike):
        raise TypeError(
            f"{place} is {value!r}: it must be the path of the folder that the processes share, such as "
            '"/var/lib/chat", or a resumehub.cluster.LocalCluster, or None'
        )
    try:
        return LocalCluster(value)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{place}: {error}") from None


def _admin_token(value: object, from_config: frozenset[str]) -> str | None:
    # No text of these has the value: it is a secret.
    place = _place("admin_token", from_config)
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{place} is of type {type(value).__name__}: it must be a str, or None")
    if len(value) < LEAST_TOKEN or not re.fullmatch("[!-~]+", value):
        raise ValueError(
            f"{place} has {len(value)} characters: it must have {LEAST_TOKEN} at least, and be ASCII without "
            "spaces; python -c 'import secrets; print(secrets.token_urlsafe())' makes one"
        )
    return value
