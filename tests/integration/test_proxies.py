"""The files of docs/howto/deploy in real proxies: clients come through, resume, and are told the truth.

Only what a machine decides is put in: ports, and where the certificate and the application are.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trustme

from resumehub.config import Config
from tests.contract.peers import until
from tests.contract.raw_client import HANDSHAKE, Client, Wire, head
from tests.integration.servers import HOST, ROOT, ServerProcess, gunicorn

FILES = ROOT / "docs" / "howto" / "deploy"
NAME = "chat.example.com"
CERTIFICATE = f"/etc/ssl/private/{NAME}.pem"
OTHER_ADDRESS = "127.0.0.9"
"""Where the clients are: not where the proxy is."""

PROXIES: dict[str, Callable[[str], list[str]]] = {
    "nginx.conf": lambda file: ["nginx", "-c", file, "-p", str(Path(file).parent), "-g", FOREGROUND],
    "haproxy.cfg": lambda file: ["haproxy", "-db", "-f", file],
}
FOREGROUND = "daemon off; pid nginx.pid; error_log stderr;"

SEARCHED = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"])

PATIENCE = 20.0


class Proxy:
    """A proxy with a file of the documentation, in front of gunicorn."""

    def __init__(self, file: str, folder: Path) -> None:
        program = PROXIES[file](file)[0]
        if shutil.which(program, path=SEARCHED) is None:
            pytest.skip(f"needs {program}: apt-get install {program}")
        # Bound here and inherited: nobody else can have the ports.
        listeners = [socket.create_server((HOST, 0), backlog=128) for _ in range(2)]
        self.plain, self.port = (listener.getsockname()[1] for listener in listeners)
        fds = [listener.fileno() for listener in listeners]
        self.app: ServerProcess = gunicorn(
            "tests.integration.proxied_app:app", "--threads", "4", probe="/who"
        )
        authority = trustme.CA()
        self.context = ssl.create_default_context()
        authority.configure_trust(self.context)
        pem = folder / "chat.pem"
        authority.issue_cert(NAME).private_key_and_cert_chain_pem.write_to_path(str(pem))
        put_in = {
            CERTIFICATE: str(pem),
            "127.0.0.1:8000": f"{HOST}:{self.app.port}",
            "80;": f"{HOST}:{self.plain};",
            "443 ssl;": f"{HOST}:{self.port} ssl;",
            "bind :80\n": f"bind fd@{fds[0]}\n",
            "bind :443": f"bind fd@{fds[1]}",
        }
        # The machine of a test may have fewer descriptors.
        put_in |= {
            "65536;": "512;",
            "worker_connections 32768;": "worker_connections 200;",
            "maxconn 32768": "maxconn 200",
        }
        (folder / "logs").mkdir()
        configured = folder / file
        configured.write_text(with_these(put_in, (FILES / file).read_text("utf-8")), "utf-8")
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                PROXIES[file](str(configured)),
                stdout=log,
                stderr=log,
                pass_fds=fds,
                env={**os.environ, "PATH": SEARCHED, "NGINX": "".join(f"{fd};" for fd in fds)},
            )
        for listener in listeners:
            listener.close()
        until(self._answers)

    def _answers(self) -> bool:
        assert self._process.poll() is None, self.log()
        with socket.socket() as sock:
            return sock.connect_ex((HOST, self.port)) == 0

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def close(self) -> str:
        """End both; give the proxy's log."""
        self._process.terminate()
        self._process.wait(PATIENCE)
        self.app.stop()
        return self.log()

    def tls(self) -> socket.socket:
        """A connection from another address. One thread reads and writes it: OpenSSL asks for that."""
        sock = socket.create_connection((HOST, self.port), PATIENCE, (OTHER_ADDRESS, 0))
        return self.context.wrap_socket(sock, server_hostname=NAME)

    def ask(self, path: str, origin: str | None = None) -> Wire:
        """A handshake has been sent, by a page of that origin; None: of the site's own."""
        mine = f"{NAME}:{self.port}"
        headers = {**HANDSHAKE, "Host": mine, "Origin": origin or f"https://{mine}"}
        return Wire(self.port, self.tls()).send(head("GET", path, headers))

    @contextmanager
    def dial(self, path: str) -> Iterator[Client]:
        """A WebSocket."""
        ws = self.ask(path).websocket()
        with ws.sock:
            yield ws

    def refusal(self, path: str, origin: str | None = None) -> int:
        """The status that a WebSocket is refused with."""
        wire = self.ask(path, origin)
        with wire.sock:
            return wire.reply().status

    def get(self, path: str) -> str:
        """The body of a plain request through the proxy."""
        client = http.client.HTTPConnection(NAME, self.port)
        with closing(client):
            client.sock = self.tls()
            client.request("GET", path)
            return client.getresponse().read().decode()

    def is_suspended(self, name: str) -> bool:
        return self.get(f"/suspended/{name}") == "True"


def with_these(put_in: Mapping[str, str], text: str) -> str:
    """The text with each of the given parts replaced, where it has it."""
    for old, new in put_in.items():
        text = re.sub(rf"(?<![\w.:]){re.escape(old)}", lambda _, new=new: new, text)
    return text


@pytest.fixture(scope="module", params=PROXIES)
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    proxy = Proxy(request.param, tmp_path_factory.mktemp("proxy"))
    yield proxy
    log = proxy.close()
    assert not re.search(r"(?i)\b(warn|error|emerg|alert|crit)", log), log


def test_the_application_knows_who_asks(proxy: Proxy) -> None:
    told = json.loads(proxy.get("/who"))

    assert told == {"scheme": "https", "host": f"{NAME}:{proxy.port}", "address": OTHER_ADDRESS}


def test_plain_http_is_sent_to_https(proxy: Proxy) -> None:
    client = http.client.HTTPConnection(HOST, proxy.plain)
    with closing(client):
        client.request("GET", "/who?a=b", headers={"Host": NAME})
        response = client.getresponse()
        assert (response.status, response.getheader("Location")) == (301, f"https://{NAME}/who?a=b")


def test_a_page_of_the_site_comes_in_and_a_foreign_one_does_not(proxy: Proxy) -> None:
    """The hub compares the page's origin with the Host that the proxy passes on."""
    with proxy.dial("/ws/lobby?id=ada") as ws:
        proxy.get("/say/hello")
        assert ws.read() == ("said", "hello")
    assert proxy.refusal("/ws/lobby?id=eve", origin="https://elsewhere.example") == 403


def test_what_was_missed_is_there_behind_a_resume(proxy: Proxy) -> None:
    with proxy.dial("/ws/lobby?id=bob") as ws:
        ws.sock.shutdown(socket.SHUT_RDWR)  # the network is gone: no close frame
        until(lambda: proxy.is_suspended("bob"))
        proxy.get("/say/while%20away")
    with proxy.dial("/ws/lobby?id=bob&resume=true") as again:
        assert again.read() == ("said", "while away")


def test_a_session_that_is_gone_is_410(proxy: Proxy) -> None:
    assert proxy.refusal("/ws/lobby?id=nobody&resume=true") == 410


@pytest.mark.parametrize(
    ("file", "limit"),
    [("nginx.conf", r"proxy_read_timeout (\d+)s"), ("haproxy.cfg", r"timeout tunnel (\d+)s")],
)
def test_an_idle_websocket_is_pinged_well_before_it_is_cut(file: str, limit: str) -> None:
    found = re.search(limit, (FILES / file).read_text("utf-8"))
    interval = Config.build().ping_interval

    assert found is not None
    assert interval is not None
    assert int(found[1]) >= 2 * interval


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """Every key and value of it; its program is put in."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze: apt-get install systemd")
    unit = tmp_path / "chat.service"
    text = (FILES / "chat.service").read_text("utf-8")
    put_in = {"/srv/app/venv/bin/gunicorn": f"{sys.executable} -m gunicorn"}
    unit.write_text(with_these(put_in, text), "utf-8")

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_check_of_a_reload_finds_what_cannot_be_imported() -> None:
    """The unit's first ExecReload."""
    found = re.search(r"^ExecReload=\S+/gunicorn (.*) app:app$", (FILES / "chat.service").read_text(), re.M)
    assert found is not None
    for module, right in (("tests.integration.proxied_app:app", True), ("no_such_module:app", False)):
        command = [sys.executable, "-m", "gunicorn", *found[1].split(), module]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=PATIENCE, check=False)
        assert (done.returncode == 0) == right
