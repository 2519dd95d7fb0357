// A small server of the lossless protocol, written from docs/reference/lossless.md and not from the hub: it
// holds the client to the rules (see `complaints`) and can be told to misbehave. One session, as many sockets as it takes.

import { once } from "node:events";
import { WebSocketServer } from "ws";

const WINDOW = { messages: 16, bytes: 1 << 20 };

export class ModelServer {
  static async start(options = {}) {
    const server = new ModelServer(options);
    await once(server.wss, "listening");
    return server;
  }

  constructor({ plain = false } = {}) {
    this.plain = plain;
    this.wss = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    this.wss.on("connection", (socket, request) => this.#arrive(socket, request));
    this.refuse = null;        // [code, reason]: what to answer the next dials with
    this.dials = [];           // the query of each
    this.complaints = [];      // rules that the client broke
    this.handled = [];         // payloads of the client's messages, as an application would see them
    this.onDial = () => {};
    this.answer = ({ payload }) => ({ payload });   // what a request is answered with; null: nothing
    this.answers = [];         // the client's, to our requests: whole messages
    this.reset();
  }

  /** Forget the session, as one forgets it that has expired. */
  reset() {
    this.sent = [];            // payloads, or {whole: message}; number n is sent[n - 1]
    this.acked = 0;
    this.received = 0;
    this.token = null;
    this.live = false;
    this.socket = null;
  }

  get url() { return `ws://127.0.0.1:${this.wss.address().port}/ws?room=r`; }

  /** Send if the window has room; false if not. */
  push(payload) {
    if (this.sent.length - this.acked >= WINDOW.messages && !this.plain) return false;
    this.sent.push(payload);
    this.#write({ event: "news", payload });
    return true;
  }

  /** Send a request, or an answer. */
  pushWhole(message) {
    this.sent.push({ whole: message });
    this.#write(message);
  }

  /** Send a text that may be no message; it has a number like any other. */
  pushText(text) {
    this.sent.push(null);
    this.socket.send(text);
  }

  /** Acknowledge all that was handled. */
  ack() { this.#write({ event: "$ack", payload: { received: this.received } }); }

  /** The network dies: no close frame. */
  cut() { this.socket?.terminate(); }

  /** Close the current connection with a code. */
  end(code, reason = "") { this.socket?.close(code, reason); }

  async close() {
    for (const socket of this.wss.clients) socket.terminate();
    this.wss.close();
    await once(this.wss, "close");
  }

  #write(message) {
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify(message));
  }

  #expect(holds, rule) {
    if (!holds) this.complaints.push(rule);
  }

  #arrive(socket, request) {
    const query = Object.fromEntries(new URL(request.url, "ws://x").searchParams);
    const offered = (request.headers["sec-websocket-protocol"] ?? "").split(/, */);
    this.dials.push({ ...query, token: offered.find((one) => one.startsWith("resumehub.token."))?.slice(16) ?? null });
    socket.on("error", () => {});
    this.onDial(this.dials.length);
    if (this.refuse) return socket.close(...this.refuse);
    if (query.resume === "true" && !this.live) return socket.close(4100, "session expired");
    if (query.resume === "true") this.#resume(query, this.dials.at(-1).token);
    else this.reset();
    this.live = true;
    this.socket?.terminate();
    this.socket = socket;
    const from = Number(query.received ?? 0);
    if (!this.plain) this.#greet(query.resume === "true", from);
    this.sent.slice(from).forEach((one) => this.#write(one?.whole ?? { event: "news", payload: one }));
    if (!this.plain && query.resume === "true") this.#write({ event: "$replayed", payload: { messages: this.sent.length - from } });
    socket.on("message", (data) => this.#hear(socket, JSON.parse(data)));
  }

  #resume(query, token) {
    this.#expect(this.plain || token === this.token, "presents the newest token");
    this.#expect(Number(query.received) >= this.acked, "does not count backwards");
    this.#expect(Number(query.received) <= this.sent.length, "does not count what was never sent");
    this.acked = Number(query.received);
  }

  #greet(resumed, from) {
    this.token = `t${this.dials.length}`;
    this.greeting = true;      // an $ack is due at once
    this.#write({
      event: "$hello",
      payload: {
        connection_id: "ada", token: this.token, resumed, received: this.received, replay_from: from + 1, window: WINDOW,
        resume_window: 30, ping_interval: 20, max_message_size: 65_536,
      },
    });
  }

  #hear(socket, message) {
    const { event, payload, id, re } = message;
    if (socket !== this.socket) return;          // superseded
    if (event === "$ack") {
      this.#expect(payload.received >= this.acked, "acknowledges forwards");
      this.#expect(payload.received <= this.sent.length, "acknowledges what was sent");
      this.acked = payload.received;
      this.greeting = false;
      return;
    }
    if (!this.plain) this.#expect(!this.greeting, "acknowledges before it sends");
    this.received += 1;
    if (re === undefined) this.handled.push(payload);
    else this.answers.push(message);
    const answer = id === undefined ? null : this.answer(message);
    if (answer) this.pushWhole({ event, ...answer, re: id });
    if (!this.plain && this.received % 4 === 0) this.ack();
  }
}

/** Resolves when `condition` holds; looked at after each turn of the event loop. The test runner's timeout guards it. */
export async function until(condition) {
  while (!condition()) await new Promise((resolve) => { setImmediate(resolve); });
}
