// The client with Node's own WebSocket, which tells of a failed dial otherwise than browsers do; also in a thread of Node's.
// Node 20 has one with --experimental-websocket.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Worker } from "node:worker_threads";

import { connect } from "../../resumehub/static/resumehub.js";
import { ModelServer, until } from "./model_server.js";

let server;
let session;

beforeEach(async () => { server = await ModelServer.start(); });

afterEach(async () => {
  session?.close();
  await server.close();
  assert.deepEqual(server.complaints, []);
});

/** A client that would wait for a day for the answer to a dial. `addresses`: one for each dial, then the server's. */
function open(addresses, options = {}) {
  const states = [];
  session = connect(() => addresses.shift() ?? server.url, {
    firstPause: 1, longestPause: 1, dialTimeout: 86_400_000, storage: null, onState: ({ state, code }) => states.push([state, code]), ...options,
  });
  return states;
}

const WAITED = ["waiting", 1006];
const waits = (states) => states.filter(([state]) => state === "waiting");

describe("with Node's own WebSocket", { timeout: 45_000 }, () => {
  it("a closed port ends the dial at once", async () => {
    const other = await ModelServer.start();
    const { url } = other;
    await other.close();                             // its port is closed now
    const states = open([url, url]);

    await until(() => session.state === "open");

    assert.deepEqual(waits(states), [WAITED, WAITED]);
    assert.equal(session.stats.dials, 3);
  });

  for (const [what, answer] of [
    ["a refused handshake", (socket) => socket.end("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")],
    ["a server that hangs up", (socket) => socket.destroy()],
  ]) {
    it(`${what} ends the dial at once`, async () => {
      const refusing = http.createServer();
      refusing.on("upgrade", (request, socket) => answer(socket));
      refusing.listen(0, "127.0.0.1");
      await once(refusing, "listening");
      const url = `ws://127.0.0.1:${refusing.address().port}/ws`;
      const states = open([url, url]);

      await until(() => session.state === "open");
      await new Promise((resolve) => { refusing.close(resolve); });

      assert.deepEqual(waits(states), [WAITED, WAITED]);
      assert.equal(session.stats.dials, 3);
    });
  }

  it("a connection that dies is one drop, and is resumed", async () => {
    const states = open([]);
    await until(() => session.state === "open");
    server.cut();
    await until(() => session.stats.resumes === 1);

    assert.deepEqual(waits(states), [WAITED]);
    assert.deepEqual([session.stats.drops, session.stats.dials], [1, 2]);
  });

  it("no storage is used that no reload would ever find again", async () => {
    const touched = [];
    const has = globalThis.sessionStorage;           // Node 25 has one, and Deno
    const record = (name) => (key) => { touched.push([name, key]); return null; };
    const value = { getItem: record("getItem"), setItem: record("setItem"), removeItem: record("removeItem") };
    Object.defineProperty(globalThis, "sessionStorage", { value, configurable: true });
    const others = [];
    try {
      open([], { storage: undefined });
      others.push(connect(server.url));              // so two sessions need no names
      await until(() => session.state === "open");
    } finally {
      others.forEach((other) => other.close());
      Object.defineProperty(globalThis, "sessionStorage", { value: has, configurable: true });
    }

    assert.deepEqual(touched, []);
  });

  it("a thread of Node's can have a session", async () => {
    const code = `
      const { parentPort, workerData } = require("node:worker_threads");
      import(workerData.module).then(({ connect }) => {
        const session = connect(workerData.url, { onMessage: (event, payload) => { session.close(); parentPort.postMessage(payload); } });
        session.send("say", "from a thread");
      });`;
    const module = new URL("../../resumehub/static/resumehub.js", import.meta.url).href;
    const worker = new Worker(code, { eval: true, workerData: { module, url: server.url } });
    const exit = once(worker, "exit");
    await until(() => server.handled.length === 1);
    server.push("to a thread");

    const [heard] = await once(worker, "message");
    await exit;

    assert.deepEqual([server.handled, heard], [["from a thread"], "to a thread"]);
  });
});
