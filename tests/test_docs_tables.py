"""Tables and numbers that pages have by hand agree with the code: options, codes, attributes, fields.

What the tools draw is compared by ``test_docs_generated.py``; that every name has its place, too.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator

import pytest
from werkzeug.wrappers import Response

from resumehub import CloseCode, Hub, JSONCodec, codes, metrics
from resumehub import client as python_client
from resumehub.client import Client, State, Stats, aio
from resumehub.client.aio import AsyncClient
from resumehub.client.arguments import HOOKS
from resumehub.client.verdicts import DialVerdict, of_close
from resumehub.config import Config
from resumehub.core.states import SessionEvent
from resumehub.protocol.control_messages import Hello
from resumehub.server import refusal_reports
from resumehub.stats import Stats as LedgerStats
from resumehub.testing.lab import SEAMS
from resumehub.wsgi.refusals import close_of
from tests.contract.contract_page import rules
from tests.test_docs import ROOT, RUN, blocks_of, name_of
from tests.test_docs_generated import all_errors, public_members, text_of
from tools.soaking import __main__ as soaking


def rows_of(text: str) -> list[list[str]]:
    """The rows of all tables of a page, each as its cells."""
    lines = re.findall(r"^\|(.+)\|$", text, re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]


def rows_below(page: str, first_cell: str) -> list[list[str]]:
    """The rows of the first table that has ``first_cell`` at the head of its first column."""
    _, found, rest = text_of(page).partition(f"\n| {first_cell} |")
    assert found, f"{page} has no table of {first_cell}"
    return rows_of("|" + rest.partition("\n\n")[0])[2:]


def in_code_marks(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# -- examples -------------------------------------------------------------------------


def asserts_that_say_nothing(source: str) -> Iterator[int]:
    """Lines of asserts that always hold: of a tuple, or with a comparison in the place of a text."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Assert(test=ast.Tuple()):
                yield node.lineno
            case ast.Assert(msg=ast.expr() as said) if not isinstance(said, ast.Constant | ast.JoinedStr):
                yield node.lineno


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_every_assert_of_an_example_can_fail(page) -> None:
    blocks = [block for block in blocks_of(page.read_text("utf-8")) if block.language == "python"]
    found = [block.line + line - 1 for block in blocks for line in asserts_that_say_nothing(block.code)]
    assert not found, "in these lines"


@pytest.mark.parametrize("source", ["assert a, b == (1, 2)", "assert (a == 1, b == 2)"])
def test_an_assert_that_holds_whatever_happens_is_found(source: str) -> None:
    assert list(asserts_that_say_nothing(source)) == [1]
    assert not list(asserts_that_say_nothing("assert (a, b) == (1, 2), f'{a} {b}'"))


# -- options --------------------------------------------------------------------------

UNITS = {"": 1, "ms": 1, "s": 1, "seconds": 1, "messages": 1, "KiB": 1024, "MiB": 1024 * 1024}
NUMBER = re.compile(
    r"`(\w+)`,? \(?(?:default )?(\d[\d,]*)(?!\.?\d)(?: (s|seconds|KiB|MiB|messages)\b)?",
)


def defaults_of_the_hub() -> dict[str, object]:
    signature = inspect.signature(Hub.__init__).parameters
    depth = inspect.signature(JSONCodec.__init__).parameters["max_depth"].default
    return {name: parameter.default for name, parameter in signature.items()} | {"max_depth": depth}


def numbers_said_in(text: str) -> Iterator[tuple[str, int]]:
    """Options with the number behind them: "`ping_interval` (20 s)", "`send_buffer_bytes` 1 MiB"."""
    for found in NUMBER.finditer(text):
        yield found[1], int(found[2].replace(",", "")) * UNITS[found[3] or ""]


def test_wherever_a_page_names_an_options_default_it_is_the_default() -> None:
    """A page may speak of 0, which is no option's default: it is what turns something off."""
    defaults = defaults_of_the_hub()
    said = [
        (name_of(page), name, number)
        for page in RUN
        for name, number in numbers_said_in(page.read_text("utf-8"))
        if isinstance(defaults.get(name), int | float) and number and number not in set(CloseCode)
    ]
    assert len(said) > 12, "the pattern finds what it is meant to find"
    assert [(page, name, number) for page, name, number in said if number != defaults[name]] == []


def test_the_docstring_of_the_options_has_all_of_them() -> None:
    said = inspect.getdoc(Config.build) or ""
    assert [name for name in inspect.signature(Config.build).parameters if f"``{name}``" not in said] == []


def test_the_options_of_the_python_client_are_in_its_table_with_their_defaults() -> None:
    parameters = inspect.signature(python_client.connect).parameters.items()
    options = {
        name: parameter.default
        for name, parameter in parameters
        if not name.startswith(("_", "on_")) and name != "url"
    }
    rows = [row for row in rows_below("reference/client.md", "option") if row[0] != "`on_…`"]
    said = {
        name: eval(default)
        for row in rows
        for name, default in zip(in_code_marks(row[0]), in_code_marks(row[1]), strict=True)
    }
    assert said == options


def test_the_options_of_the_javascript_client_have_their_defaults_in_its_table() -> None:
    """That each of them is in it, and in the types, is held by ``js/test_node.py``."""
    module = (ROOT / "resumehub" / "static" / "resumehub.js").read_text("utf-8")
    defaults = module.partition("const DEFAULTS = {")[2].partition("\n};")[0]
    numbers = dict(re.findall(r"^  (\w+): ([\d_]+(?: << \d+)?),", defaults, re.MULTILINE))
    said = {
        name: default
        for row in rows_below("howto/javascript-client.md", "option")
        for name, default in zip(in_code_marks(row[0]), row[1].split(", "), strict=False)
    }
    assert len(numbers) > 7
    for name, number in numbers.items():
        digits, _, unit = said[name].partition(" ")
        assert int(digits.replace(",", "")) * UNITS[unit] == eval(number), name


def test_the_options_of_the_soak_are_in_its_table() -> None:
    source = inspect.getsource(soaking)
    said = [in_code_marks(row[0])[0].split()[0] for row in rows_below("howto/soak.md", "option")]
    assert sorted(said) == sorted(re.findall(r'add_argument\(\s*"(--[\w-]+)"', source))


# -- codes ----------------------------------------------------------------------------


def test_the_answers_on_the_wire_page_come_in_the_order_of_the_contract() -> None:
    """The first that applies is the answer: the order is a promise. The wire page tells some rules apart."""
    answers = iter(
        status[0] if (status := re.findall(r"\b[1-5]\d\d\b", row[1])) else "http"
        for row in rows_below("reference/wire.md", "what")
    )
    contract = [rule.id[2:6].strip("-") for rule in rules() if re.match(r"A\.(\d|http)", rule.id)]

    assert len(contract) > 15
    assert [answer for answer in contract if answer not in answers] == []


def test_each_status_that_becomes_a_close_code_is_on_the_wire_page() -> None:
    below = text_of("reference/wire.md").partition("## Refused by a close code")[2]
    said = {int(status): int(code) for status, code in re.findall(r"^\| (\d{3}) \| (\d{4})", below, re.M)}
    becomes = {status: close_of(Response(status=status)) for status in range(400, 600)}

    assert said == {status: close[0] for status, close in becomes.items() if close is not None}


def test_all_clients_stay_away_after_the_close_codes_that_the_wire_page_says() -> None:
    """Both clients, and the one of the quickstart. (1005 is never sent by a hub.)"""
    rows = rows_below("reference/wire.md", "code")
    stays_away = {int(row[0]) for row in rows if re.search("stays away|asks the user", row[4])}
    module = (ROOT / "resumehub" / "static" / "resumehub.js").read_text("utf-8")
    quickstart = re.search(r"const STAY_AWAY = \[(.+)\]", text_of("tour/quickstart.md"))[1]

    assert {int(code) for code in re.findall(r'^  (\d{4}): "over"', module, re.MULTILINE)} == stays_away
    assert {int(code) for code in quickstart.split(", ")} == stays_away
    python = {code for code in CloseCode if of_close(code, True) in (DialVerdict.ENDED, DialVerdict.REFUSED)}
    assert python - {CloseCode.NO_STATUS} == stays_away


def test_both_clients_blame_a_message_for_the_same_close_codes_as_the_page() -> None:
    module = (ROOT / "resumehub" / "static" / "resumehub.js").read_text("utf-8")
    (said,) = re.findall(r"^After \d{4}, .+?:", text_of("reference/lossless.md"), re.MULTILINE | re.DOTALL)
    blamed = {int(code) for code in re.findall(r"\b1\d{3}\b", said)}

    assert blamed == {code for code in CloseCode if of_close(code, True) is DialVerdict.MESSAGE_REJECTED}
    assert blamed == {int(code) for code in re.findall(r'^  (\d{4}): "blamed"', module, re.MULTILINE)}


def test_the_close_codes_that_are_not_ours_are_marked() -> None:
    docstrings = dict(
        re.findall(r'^    ([A-Z_]+) = \d+\n    """(.+?)"""', inspect.getsource(codes), re.M | re.S)
    )
    api = text_of("reference/api.md")

    assert set(re.findall(r"`(\w+)` \(not ours\)", api)) == {
        name for name, said in docstrings.items() if said.startswith("Not sent by resumehub")
    }
    assert set(re.findall(r"`(\w+)` \(never sent\)", api)) == {
        name for name, said in docstrings.items() if said.startswith("Never on the wire")
    }


# -- names ----------------------------------------------------------------------------


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: error.__name__)
def test_the_attributes_of_an_error_stand_in_its_row(error: type[BaseException]) -> None:
    source = inspect.getsource(error)
    attributes = set(re.findall(r"^        self\.([a-z]\w*)(?:: .+)? =", source, re.MULTILINE))
    rows = [row for row in rows_of(text_of("reference/errors.md")) if row[0] == f"`{error.__name__}`"]
    said = {name for row in rows for cell in row[1:] for name in in_code_marks(cell)}

    assert attributes <= said


def test_the_reasons_in_the_tables_of_the_metrics_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", text_of("howto/metrics.md"), re.MULTILINE)
    columns = {field.name for field in dataclasses.fields(LedgerStats)}
    known = {
        *metrics.REASONS_CLOSED,
        *metrics.REASONS_DROPPED,
        *metrics.REASONS_REFUSED,
        *metrics.OUTCOMES_ASKED,
        *metrics.OUTCOMES_OF_CLIENTS,
        *metrics.CALLED_FROM,
        *metrics.CountersSnapshot.__annotations__,
    }

    assert set(rows) <= known | columns


def test_the_reasons_that_need_an_operator_come_first() -> None:
    """And the page says how many they are."""
    _, _, below = text_of("howto/metrics.md").partition("### Why an upgrade was refused")
    reasons = re.findall(r"^\| `(\w+)` \|", below, re.MULTILINE)
    number = ["four", "five", "six", "seven"].index(re.search(r"The first (\w+) are also", below)[1]) + 4

    assert set(reasons[:number]) == set(refusal_reports._ADVICE)


def test_the_python_client_is_on_its_page_name_by_name() -> None:
    page = text_of("reference/client.md")
    counters = in_code_marks(next(row for row in rows_of(page) if row[0] == "`stats()`")[1])
    callbacks = [in_code_marks(row[0])[0] for row in rows_below("reference/client.md", "callback")]

    assert counters == [field.name for field in dataclasses.fields(Stats)]
    assert [in_code_marks(row[0])[0] for row in rows_below("reference/client.md", "`State`")] == [
        state.name for state in State
    ]
    assert dict(re.match(r"(\w+)\(client(?:, )?(.*)\)", call).groups() for call in callbacks) == {
        name: ", ".join(arguments) for name, arguments in HOOKS.items()
    }
    assert [name for name in public_members(Client) if not re.search(rf"`{name}\b", page)] == []


def test_the_client_for_asyncio_is_on_that_page_and_takes_the_same_options() -> None:
    _, _, part = text_of("reference/client.md").partition("## With asyncio")
    said = public_members(AsyncClient)

    assert [name for name in said if not re.search(rf"`(await )?{name}\b", part)] == []
    threaded, looped = (
        {name: one.default for name, one in inspect.signature(connect).parameters.items() if name[0] != "_"}
        for connect in (python_client.connect, aio.connect)
    )
    assert looped == threaded


def test_the_fields_of_hello_are_those_that_the_python_client_reads() -> None:
    rows = {in_code_marks(row[0])[0] for row in rows_below("reference/lossless.md", "field")}
    read = {field.name for field in dataclasses.fields(Hello)}

    assert rows - {"window", "resume_window"} == read - {"window_messages", "window_bytes"}


def test_the_named_places_of_the_lab_are_in_its_table() -> None:
    rows = rows_below("reference/testing.md", "`SEAMS`")
    assert {in_code_marks(row[0])[0]: in_code_marks(row[1])[0] for row in rows} == SEAMS


def test_the_page_about_states_counts_its_events_right() -> None:
    """ "In five of the events a client has come in": those of the list below that sentence."""
    page = text_of("explanation/session-states.md")
    listed = page.partition("a client has come in.\n")[2]
    names = in_code_marks(" ".join(re.findall(r"^\* .+", listed.partition("\nBefore")[0], re.MULTILINE)))
    events = [name for name in names if name in SessionEvent.__members__]
    comes_in = [event.name for event in SessionEvent if event.value.startswith("a client")]

    assert sorted(events) == sorted(comes_in)
    assert (
        f"In {['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven'][len(events)]} of the events"
        in (text_of("explanation/session-states.md"))
    )
