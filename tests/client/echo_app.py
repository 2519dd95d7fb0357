"""A WSGI application for servers in processes of their own: it sends back what it gets."""

from resumehub import Connection, Hub, Message

app = Hub(lambda request: ("lobby", request.args.get("id")))


@app.on_message
def echo(connection: Connection, message: Message) -> None:
    connection.send(message)
