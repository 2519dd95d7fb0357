// The client over real sockets, against a server that holds it to the protocol and breaks the network for it.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import WebSocket from "ws";

import { connect, SendBufferFull } from "../../resumehub/static/resumehub.js";
import { ModelServer, until } from "./model_server.js";

class Storage {
  #map = new Map();
  getItem(key) { return this.#map.get(key) ?? null; }
  setItem(key, value) { this.#map.set(key, String(value)); }
  removeItem(key) { this.#map.delete(key); }
  get size() { return this.#map.size; }
  copy() {
    const copy = new Storage();
    this.#map.forEach((value, key) => copy.setItem(key, value));
    return copy;
  }
}

// Locks as browsers have them, as far as the client uses them.
class Locks {
  #held = new Map();
  request(name, { signal }, run) {
    const before = this.#held.get(name) ?? Promise.resolve();
    const aborted = new Promise((_, reject) => { signal.addEventListener("abort", () => reject(new Error("AbortError"))); });
    let granted;
    const mine = new Promise((resolve) => { granted = resolve; });
    this.#held.set(name, before.then(() => mine));
    return Promise.race([before, aborted]).then(() => run({ name })).then(granted, (error) => { granted(); throw error; });
  }
}

let server;
let sessions;
let reported;
let locks;
const quick = ({ storage = null, ...options } = {}) => ({
  firstPause: 1, longestPause: 5, ackDelay: 5, storage, ...options, platform: platform({ sessionStorage: storage, ...options.platform }),
});
const platform = (change) => ({
  WebSocket, locks, BroadcastChannel: undefined, window: new EventTarget(), report: (error) => reported.push(error), ...change,
});

function open(options = {}, url = server.url) {
  const session = connect(url, quick(options));
  sessions.push(session);
  return session;
}

beforeEach(async () => {
  server = await ModelServer.start();
  sessions = [];
  reported = [];
  locks = new Locks();
});

afterEach(async () => {
  sessions.forEach((session) => session.close());
  await server.close();
  assert.deepEqual(server.complaints, []);
});

describe("a session", { timeout: 45_000 }, () => {
  it("talks, and ends with 1000 when the application says so", async () => {
    const got = [];
    const session = open({ onMessage: (event, payload) => got.push([event, payload]) });
    session.send("say", { text: "hello" });
    await until(() => server.handled.length === 1);
    server.push("news");
    await until(() => got.length === 1);
    const ended = new Promise((resolve) => { server.socket.once("close", resolve); });

    session.close();

    assert.equal(await ended, 1000);
    assert.deepEqual([server.handled, got], [[{ text: "hello" }], [["news", "news"]]]);
    assert.deepEqual([session.state, session.id], ["closed", null]);
  });

  it("loses nothing and repeats nothing, both ways, however often the network dies", async () => {
    const got = [];
    let sent = 0;
    let pushed = 0;
    // A linear congruential generator: the same cuts every time.
    let seed = 7;
    // The network dies each time that the server has handled so many more: at least three times, on any machine.
    const more = () => 10 + 30 * (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
    let cutAt = more();
    const session = open({ onMessage: async (event, payload) => { await null; got.push(payload); } });

    while (server.handled.length < 200 || got.length < 200) {
      if (sent < 200 && session.stats.unacked < 16) session.send("up", sent += 1);
      if (pushed < 200 && server.live && server.push(pushed + 1)) pushed += 1;
      if (server.live && server.handled.length >= cutAt) {
        cutAt += more();
        server.cut();
      }
      if (sent === 200) server.ack();
      await new Promise((resolve) => { setImmediate(resolve); });
    }

    const numbers = Array.from({ length: 200 }, (_, index) => index + 1);
    assert.deepEqual(server.handled, numbers);
    assert.deepEqual(got, numbers);
    assert.ok(session.stats.drops >= 3, `only ${session.stats.drops} drops`);
    assert.ok(session.stats.resent > 0);
  });

  it("tells an expired session from a network that is down", async () => {
    const told = [];
    const session = open({
      onExpired: ({ reason, inDoubt }) => told.push(reason, inDoubt),
      onState: ({ state, reachable }) => { if (state === "waiting") told.push(reachable); },
    });
    await until(() => session.state === "open");
    session.send("say", "in doubt");
    await until(() => server.handled.length === 1);
    const { port } = server.wss.address();
    await server.close();
    await until(() => told.length === 3);
    assert.deepEqual(told, [true, false, false]);

    server = await ModelServer.start();         // another process, which knows no session
    assert.notEqual(server.wss.address().port, port);
  });

  it("begins a new session when the old one has expired, and sends nothing again by itself", async () => {
    const expired = [];
    const session = open({ onExpired: (detail) => expired.push(detail) });
    await until(() => session.state === "open");
    session.send("say", "in doubt");
    await until(() => server.handled.length === 1);
    server.live = false;
    server.cut();
    await until(() => session.state === "open" && expired.length === 1);

    assert.deepEqual(expired, [{ reason: "expired", firstAvailable: null, inDoubt: [{ event: "say", payload: "in doubt" }] }]);
    assert.equal(server.dials.at(-1).resume, undefined);
    assert.deepEqual(server.handled, ["in doubt"]);
  });

  it("skips what is no message, reports it, and counts it as handled", async () => {
    const got = [];
    const session = open({ onMessage: (event, payload) => got.push(payload) });
    await until(() => session.state === "open");
    for (const text of ["7", "[]", '{"event":7}', '{"payload":1e999}', '{"payload":9007199254740993}']) server.pushText(text);
    server.push("news");
    await until(() => got.length === 1);
    assert.deepEqual([got, reported.length, session.stats.received], [["news"], 5, 6]);
    assert.throws(() => session.send("say", { n: NaN }), /JSON has no NaN; see "n"/);
    reported.length = 0;
  });

  it("lets a callback send and close, and outlives one that throws", async () => {
    const session = open({
      onConnect: () => session.send("say", "from onConnect"),
      onMessage: (event, payload) => {
        if (payload === "bad") throw new Error("the application's fault");
        session.close();
      },
    });
    await until(() => server.handled.length === 1);
    server.push("bad");
    server.push("stop");
    await until(() => session.state === "closed");

    assert.deepEqual(reported.map(({ message }) => message), ["the application's fault"]);
  });

  it("hears nothing more of a socket that it has given up", async () => {
    const got = [];
    const session = open({ onMessage: (event, payload) => got.push(payload) });
    await until(() => session.state === "open");
    const old = server.socket;
    server.onDial = () => old.send(JSON.stringify({ event: "news", payload: "from the old socket" }));

    session.reconnect();
    await until(() => session.state === "open" && old.readyState === WebSocket.CLOSED);
    server.push("from the new socket");
    await until(() => got.length === 1);

    assert.deepEqual(got, ["from the new socket"]);
    assert.deepEqual([session.stats.drops, session.stats.dials], [1, 2]);
  });

  it("writes nothing to a socket that is closing, and sends it again behind that", async () => {
    let closing = false;
    const lost = [];
    class Closing extends WebSocket {
      get readyState() { return closing ? WebSocket.CLOSING : super.readyState; }
      send(data) { return closing ? lost.push(data) : super.send(data); }
    }
    const session = open({ platform: { WebSocket: Closing } });
    await until(() => session.state === "open");
    closing = true;
    session.send("say", "just then");
    closing = false;
    server.cut();
    await until(() => server.handled.length === 1);

    assert.deepEqual([lost, server.handled], [[], ["just then"]]);
  });

  it("says that the buffer is full instead of growing, and sends when there is room", async () => {
    const session = open({ sendBuffer: 3 });
    [1, 2, 3].forEach((number) => session.send("say", number));
    assert.throws(() => session.send("say", 4), SendBufferFull);
    await until(() => server.handled.length === 3);
    server.ack();
    await until(() => session.stats.unacked === 0);

    session.send("say", 4);
    await until(() => server.handled.length === 4);
  });

  it("asks for the address before each dial, and tries again when there is none", async () => {
    const asked = [];
    const session = open({}, async ({ tab, resume }) => {
      asked.push([tab, resume]);
      if (asked.length === 1) throw new Error("the ticket office is closed");
      return server.url;
    });
    await until(() => session.state === "open");
    server.cut();
    await until(() => asked.length === 3 && session.state === "open");

    assert.deepEqual(asked.map(([, resume]) => resume), [false, false, true]);
    assert.deepEqual(new Set(asked.map(([tab]) => tab)), new Set([session.tab]));
    assert.equal(reported.length, 1);
  });

  it("refuses an address and an event that can't be", () => {
    assert.throws(() => connect("/relative/without/a/page", quick()), TypeError);
    assert.throws(() => open().send("$ack", {}), TypeError);
  });

  it("counts a message that can't be decoded, so that the numbers stay right", async () => {
    const got = [];
    open({ onMessage: (event, payload) => got.push(payload) });
    await until(() => server.live);
    server.sent.push("broken");
    server.socket.send("{");
    server.push("after");
    await until(() => got.length === 1);
    server.cut();
    await until(() => server.dials.length === 2);

    assert.equal(server.dials[1].received, "2");
    assert.equal(reported.length, 1);
  });
});

describe("a reload", { timeout: 45_000 }, () => {
  // What becomes of a page that is left: its socket and its locks go, its storage stays.
  const leave = async (session) => {
    server.cut();
    await until(() => session.state !== "open");
  };

  it("goes on with the session, its count and what was not acknowledged", async () => {
    const storage = new Storage();
    const first = open({ storage, name: "a", pause: () => Infinity });
    await until(() => first.state === "open");
    server.push(1);
    server.push(2);
    first.send("say", "acknowledged");
    await until(() => server.handled.length === 1 && first.stats.received === 2);
    server.ack();
    await until(() => first.stats.unacked === 0);
    await leave(first);
    first.send("say", "typed in a tunnel");
    server.push(3);

    const got = [];
    locks = new Locks();                        // the old page is gone, and its lock with it
    const restored = [];
    const session = connect(server.url, quick({ storage: renamed(storage, "a", "b"), name: "b",
      onMessage: (event, payload) => got.push(payload), onRestore: (detail) => restored.push(detail) }));
    sessions.push(session);
    await until(() => restored.length === 1 && server.handled.length === 2);

    assert.equal(session.tab, first.tab);
    assert.deepEqual(got, [3]);
    assert.deepEqual(server.handled, ["acknowledged", "typed in a tunnel"]);
    assert.deepEqual(restored, [{ replayed: 1, elsewhere: 0 }]);
  });

  it("of a duplicated tab begins a session of its own", async () => {
    const storage = new Storage();
    const first = open({ storage, name: "a" });
    await until(() => first.state === "open");
    first.send("say", "the original's");
    const copy = storage.copy();
    const other = await ModelServer.start();

    const second = open({ storage: renamed(copy, "a", "b"), name: "b" }, other.url);
    await until(() => second.state === "open");
    assert.equal(copy.size, 2);                 // its own record and its name; what it had copied is gone
    assert.deepEqual(other.handled, []);

    assert.notEqual(second.tab, first.tab);
    assert.deepEqual(other.dials, [{ room: "r", reject: "close", attempt: "1", instance: second.tab, token: null }]);
    assert.equal(first.state, "open");
    second.close();
    await other.close();
  });

  it("of a duplicated tab is told apart when the browser is slow to grant locks", async () => {
    const storage = new Storage();
    const grant = locks.request.bind(locks);
    let waiting = null;
    let timers = [];
    locks.request = (name, options, run) => new Promise((resolve, reject) => {
      options.signal.addEventListener("abort", () => reject(new Error("AbortError")));
      waiting = () => resolve(grant(name, options, run));
    });
    const first = open({ storage, name: "a", platform: { setTimeout: (run, pause) => (timers ? timers.push(run) : setTimeout(run, pause)) } });
    await until(() => waiting);
    timers.forEach((run) => run());             // all patience is at an end
    timers = null;
    await new Promise((resolve) => { setImmediate(resolve); });
    assert.equal(first.state, "idle");          // rather late than without its lock
    locks.request = grant;
    waiting();
    await until(() => first.state === "open");
    const other = await ModelServer.start();

    const second = open({ storage: renamed(storage.copy(), "a", "b"), name: "b" }, other.url);
    await until(() => second.state === "open");

    assert.notEqual(second.tab, first.tab);
    second.close();
    await other.close();
  });

  it("of a duplicated tab is told apart without locks, too", async () => {
    const channels = { locks: undefined, BroadcastChannel };
    const storage = new Storage();
    const first = open({ storage, name: "a", platform: channels });
    await until(() => first.state === "open");
    const other = await ModelServer.start();

    const second = open({ storage: renamed(storage.copy(), "a", "b"), name: "b", platform: channels }, other.url);
    await until(() => second.state === "open");

    assert.notEqual(second.tab, first.tab);
    assert.equal(other.dials[0].resume, undefined);
    second.close();
    await other.close();
  });

  it("finds nothing after the session was closed", async () => {
    const storage = new Storage();
    const session = open({ storage, name: "a" });
    await until(() => session.state === "open");
    session.send("say", "in doubt");

    session.close();

    assert.equal(storage.size, 0);
  });

  it("does without, when the storage is full", async () => {
    const storage = new Storage();
    const session = open({ storage, name: "a" });
    await until(() => session.state === "open");
    storage.setItem = () => { throw new Error("QuotaExceededError"); };

    session.send("say", "hello");
    await until(() => server.handled.length === 1);

    assert.equal(reported[0].message, "QuotaExceededError");
    assert.equal(storage.size, 0);
  });

  it("is told apart from a second session of the page by its name", () => {
    open({ storage: new Storage(), name: "a" });
    assert.throws(() => open({ storage: new Storage(), name: "a" }), /name of its own/);
  });

  // One process can't leave its page: the second page of a test has the same storage under another name.
  function renamed(storage, from, to) {
    const key = (name) => name.replace(`resumehub.${to}`, `resumehub.${from}`);
    return {
      getItem: (name) => storage.getItem(key(name)),
      setItem: (name, value) => storage.setItem(key(name), value),
      removeItem: (name) => storage.removeItem(key(name)),
    };
  }
});

describe("the page's surroundings", { timeout: 45_000 }, () => {
  const here = () => Object.assign(new EventTarget(), { visibilityState: "visible" });

  it("make it dial at once when the network comes back", async () => {
    const window = here();
    const session = open({ pause: () => 1e6, platform: { window } });
    await until(() => session.state === "open");
    server.cut();
    await until(() => session.state === "waiting");

    window.dispatchEvent(new Event("online"));

    await until(() => session.state === "open");
    assert.equal(server.dials[1].resume, "true");
  });

  it("make it dial at once when somebody looks at the page again", async () => {
    const document = here();
    const session = open({ pause: () => 1e6, platform: { document } });
    await until(() => session.state === "open");
    server.cut();
    await until(() => session.state === "waiting");

    document.dispatchEvent(new Event("visibilitychange"));

    await until(() => session.state === "open");
  });

  it("make it dial at once where there is no such event, as in a Worker of Chromium, but once for each time", async () => {
    const connection = here();
    const navigator = { onLine: true, connection };
    const session = open({ pause: () => 1e6, platform: { navigator } });
    await until(() => session.state === "open");
    connection.dispatchEvent(new Event("change"));         // another speed, perhaps
    assert.equal(session.state, "open");
    navigator.onLine = false;
    connection.dispatchEvent(new Event("change"));
    server.cut();
    await until(() => session.state === "waiting");
    navigator.onLine = true;

    connection.dispatchEvent(new Event("change"));
    connection.dispatchEvent(new Event("change"));

    await until(() => session.state === "open");
    assert.equal(session.stats.dials, 2);
  });

  it("may be able to tell nothing at all, as in React Native and in Node", async () => {
    const session = open({ platform: { window: {}, document: undefined, navigator: undefined } });
    await until(() => session.state === "open");
  });

  it("are left alone once the session is over", async () => {
    const listening = new Set();
    const window = {
      addEventListener: (type, listener) => listening.add(listener),
      removeEventListener: (type, listener) => listening.delete(listener),
    };
    const session = open({ platform: { window } });
    await until(() => session.state === "open");
    assert.ok(listening.size > 0);

    session.close();

    assert.equal(listening.size, 0);
  });
});
