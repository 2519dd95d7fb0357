"""A chat in sixty lines: `python docs/tour/toy.py`, then `nc localhost 5000`, and say your name first."""

import queue
import socket
import threading
from contextlib import suppress


class Hub:
    """One thread decides. Each client has one that reads, and one that writes what is in its outbox."""

    def __init__(self):
        self.users = {}  # name → outbox; only the hub's thread looks in here
        self.inbox = queue.Queue()
        self.clients = []
        self.thread = threading.Thread(target=self.decide, name="hub")
        self.thread.start()

    def decide(self):
        while True:
            what, name, value = self.inbox.get()
            if what == "join":
                self.users[name] = value
            elif what == "say":
                for outbox in self.users.values():
                    outbox.put(f"{name}: {value}")
            elif what == "leave":
                self.users.pop(name, None)
                value.put(None)
            elif what == "end":
                return

    def start(self, line):
        """Serve a client, on threads of its own."""
        reader = threading.Thread(target=self.serve, args=(line,), name=f"reader {len(self.clients) + 1}")
        self.clients.append((reader, line))
        reader.start()

    def serve(self, line):
        outbox = queue.Queue()
        writer = threading.Thread(target=write, args=(line, outbox), name="writer")
        writer.start()
        lines = read(line)
        name = next(lines, "nobody")
        self.inbox.put(("join", name, outbox))
        for text in lines:
            self.inbox.put(("say", name, text))
        self.inbox.put(("leave", name, outbox))
        writer.join()
        line.close()

    def close(self):
        """Let everybody finish, then end. Nobody may be started any more."""
        for _, line in self.clients:
            with suppress(OSError):  # it has gone already
                line.shutdown(socket.SHUT_RD)  # its reader sees the end, and leaves
        for reader, _ in self.clients:
            reader.join()
        self.inbox.put(("end", None, None))
        self.thread.join()


def read(line):
    with suppress(OSError):  # the client is gone, however
        for text in line.makefile():
            yield text.rstrip("\n")


def write(line, outbox):
    with suppress(OSError):
        for text in iter(outbox.get, None):
            line.sendall(f"{text}\n".encode())


if __name__ == "__main__":
    hub = Hub()
    with socket.create_server(("localhost", 5000)) as server:
        try:
            while True:
                hub.start(server.accept()[0])
        except KeyboardInterrupt:
            hub.close()
