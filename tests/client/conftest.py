import pytest

from tests.client.fake_server import FakeServer


@pytest.fixture
def server():
    """A server that says what the test has it say."""
    with FakeServer() as fake:
        yield fake
