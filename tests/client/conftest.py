import pytest

from resumehub.client import connect
from tests.client.fake_server import FakeServer
from tests.client.on_a_loop import KINDS


@pytest.fixture(params=KINDS)
def server(request):
    """A server that says what the test has it say."""
    with FakeServer(KINDS[request.param]) as fake:
        yield fake


@pytest.fixture
def threaded_server():
    """The same with the threaded client alone, for what only threads do."""
    with FakeServer(connect) as fake:
        yield fake
