// The client that docs/tour/quickstart.md has its reader copy, with a WebSocket and timers that the test moves by hand.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, beforeEach, describe, it, mock } from "node:test";

const page = await readFile(new URL("../../docs/tour/quickstart.md", import.meta.url), "utf8");
const [, code] = page.match(/```js\n([^]*?)```/);
const { live } = await import(`data:text/javascript,${encodeURIComponent(code)}`);

let dialled;         // every socket that was made
let events;
let replaced;        // what this file puts in the place of a browser's

class Socket {
  static OPEN = 1;
  readyState = 1;
  sent = [];
  constructor(url) { this.url = url; dialled.push(this); }
  send(text) { this.sent.push(text); }
  close(code) { this.lose(code); }
  lose(code = 1006) { this.readyState = 3; this.onclose?.({ code, reason: "" }); }
  say(event) { this.onmessage?.({ target: this, data: JSON.stringify({ event }) }); }
}

before(() => {
  mock.timers.enable({ apis: ["setTimeout"] });
  replaced = { WebSocket: globalThis.WebSocket, addEventListener: globalThis.addEventListener, removeEventListener: globalThis.removeEventListener };
  globalThis.WebSocket = Socket;
  globalThis.addEventListener = (...what) => events.addEventListener(...what);
  globalThis.removeEventListener = (...what) => events.removeEventListener(...what);
});

after(() => {
  mock.timers.reset();
  Object.assign(globalThis, replaced);
});

beforeEach(() => {
  dialled = [];
  events = new EventTarget();
});

const goOnline = () => events.dispatchEvent(new Event("online"));
const start = () => live("ws://host/ws/lobby?id=ada", { onmessage() {} });

describe("the client of the quickstart", () => {
  it("dials again after a pause", () => {
    start();
    dialled[0].say("arrived");
    dialled[0].lose();
    mock.timers.tick(1000);

    assert.deepEqual(dialled.map(({ url }) => url.endsWith("&resume=true")), [false, true]);
  });

  it("does not cut the connection that it dialled because the network is back, when the pause is over", () => {
    const chat = start();
    dialled[0].say("arrived");
    dialled[0].lose();
    goOnline();
    dialled[1].say("said");
    assert.ok(chat.send("say", "hello"));
    mock.timers.tick(20_000);

    assert.equal(dialled.length, 2);
    assert.equal(dialled[1].sent.length, 1);
  });

  const ends = [
    ["was left", (chat) => chat.leave()],
    ["was left while it was away", (chat) => { dialled[0].lose(); chat.leave(); }],
    ["is over", () => dialled[0].lose(4403)],
  ];
  for (const [what, end] of ends) {
    it(`does not come back to a session that ${what} because the network is back`, () => {
      const chat = start();
      dialled[0].say("arrived");
      end(chat);
      goOnline();
      mock.timers.tick(20_000);

      assert.equal(dialled.length, 1);
    });
  }
});
