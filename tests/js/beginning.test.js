// A session may end before it has begun. What an earlier page of the tab has kept must survive that, or be handed back:
// it is either there for the next connect(), as it was, or told as in doubt. Never neither, never both.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";

import { Page, settle, Storage } from "./pages.js";

const EARLIER = ["not acknowledged", "typed in a tunnel"];

/** What a tab holds whose page is gone: a session with token t1, three messages of the server handled, two of ours unacknowledged. */
async function leftBehind() {
  const storage = new Storage();
  const page = new Page({ storage });
  const session = await page.connect();
  await settle();
  page.socket.hello();
  [1, 2, 3].forEach((number) => page.socket.news(number));
  EARLIER.forEach((text) => session.send("say", text));
  await page.die();
  return storage;
}

/** The next page of the tab: does it go on with the session? */
async function nextPage(storage) {
  const page = new Page({ storage });
  await page.connect();
  await settle();
  await page.wait();
  return page;
}

const insecure = Object.assign(new Error("The request was denied."), { name: "SecurityError" });
const inactive = Object.assign(new Error("The document is not fully active."), { name: "InvalidStateError" });
const dialed = (page) => page.sockets.length > 0;

// [what happens, on what page, what to do to it, what becomes of what an earlier page has kept]
const ENDS = [
  ["close() in the same tick, as React's StrictMode does it", {}, async (page) => {
    (await page.connect()).close();
  }, "stays"],
  ["close() behind a message that was sent too early", {}, async (page) => {
    const session = await page.connect();
    session.send("say", "too early");
    session.close();
    await settle();
    assert.deepEqual(page.inDoubt, ["too early"]);
    page.told.length = 0;
  }, "stays"],
  ["close() while it waits for a lock that the page before still has", { busy: true }, async (page) => {
    const session = await page.connect();
    await settle();
    assert.equal(session.state, "idle");
    session.close();
  }, "stays"],
  ["close(), and the lock comes afterwards", { busy: true }, async (page) => {
    const session = await page.connect();
    await settle();
    session.close();
    page.other.drop();
    await settle();
    assert.deepEqual(page.browser.held, []);
  }, "stays"],
  ["close() while it asks the other tabs, without locks", { locks: undefined, BroadcastChannel }, async (page) => {
    const session = await page.connect();
    await settle();
    session.close();
    await page.wait();
  }, "stays"],
  ["close() and connect() again at once, as StrictMode does it, without locks", { locks: undefined, BroadcastChannel }, async (page) => {
    (await page.connect()).close();
    await page.connect();
    await settle();
    await page.wait();
    assert.equal(page.socket.query.resume, "true");
    await page.die();
  }, "stays"],
  ["an address that is none", {}, async (page) => {
    await assert.rejects(page.connect({}, "http://"), TypeError);
    await page.connect();                          // the name is free
    await page.die();
  }, "stays"],
  ["an address that no WebSocket can have", {}, async (page) => {
    await assert.rejects(page.connect({}, "ftp://hub/ws"), TypeError);
  }, "stays"],
  ["an address function that throws", {}, async (page) => {
    await page.connect({}, () => { throw new Error("no ticket"); });
    await settle();
    await page.die();
  }, "stays"],
  ["an address function that never answers", {}, async (page) => {
    await page.connect({}, () => new Promise(() => {}));
    await settle();
    await page.die();
  }, "stays"],
  ["a WebSocket that can't be made", { WebSocket: class { constructor() { throw insecure; } } }, async (page) => {
    await page.connect();
    await settle();
    await page.die();
  }, "stays"],
  ["a browser that refuses locks", { locks: { request: async () => { throw insecure; } } }, async (page) => {
    await page.connect();
    await settle();
    assert.equal(page.socket.query.resume, "true");
    await page.die();
  }, "stays"],
  ["a browser that refuses locks at once", { locks: { request() { throw insecure; } } }, async (page) => {
    await page.connect();
    await settle();
    assert.equal(page.socket.query.resume, "true");
    await page.die();
  }, "stays"],
  ["a document that is going away", { locks: { request: async () => { throw inactive; } } }, async (page) => {
    await page.connect();
    await settle();
    await page.die();
  }, "stays"],
  ["a browser that refuses channels", { locks: undefined, BroadcastChannel: class { constructor() { throw insecure; } } }, async (page) => {
    await page.connect();
    await settle();
    assert.equal(page.socket.query.resume, "true");
    await page.die();
  }, "stays"],
  ["a page that is left before it has dialed", {}, async (page) => {
    await page.connect();
    await page.leave();
    assert.ok(!dialed(page));
  }, "stays"],
  ["a network that is down, and no patience with it", { }, async (page) => {
    await page.connect({ retries: 0 });
    await settle();
    page.socket.end(1006);
  }, "told"],
  ["410 to the first dial", {}, async (page) => {
    await page.connect();
    await settle();
    page.socket.end(4100, "session expired");
  }, "told"],
  ["410 to the first dial, and no wish for another session", {}, async (page) => {
    await page.connect({ renew: false });
    await settle();
    page.socket.end(4100, "session expired");
  }, "told"],
  ["403 to the first dial", {}, async (page) => {
    await page.connect();
    await settle();
    page.socket.end(4403, "forbidden");
  }, "told"],
  ["close() during the first dial", {}, async (page) => {
    const session = await page.connect();
    await settle();
    assert.ok(dialed(page));
    session.close();
  }, "told"],
];

describe("an end before the beginning leaves what was kept, or tells it", { timeout: 45_000 }, () => {
  const pages = [];
  afterEach(() => Promise.all(pages.splice(0).map((page) => page.die())));

  for (const [name, { busy, ...platform }, run, fate] of ENDS) {
    it(`${name}: ${fate}`, async () => {
      const storage = await leftBehind();
      const before = storage.content;
      const page = new Page({ storage, ...platform });
      if (busy) {
        page.other = page.browser.client();
        const { tab } = JSON.parse(Object.values(before).find((value) => value.includes('"tab"')));
        page.other.request(`resumehub.${tab}`, {}, () => new Promise(() => {}));
      }

      await run(page);
      await settle();
      const { inDoubt } = page;
      await page.die();

      if (fate === "told") return assert.deepEqual(inDoubt, EARLIER);
      assert.deepEqual(inDoubt, []);
      const next = await nextPage(storage);
      pages.push(next);
      assert.deepEqual([next.socket.query.resume, next.socket.query.received, next.socket.token], ["true", "3", "t1"]);
      next.socket.hello({ resumed: true, token: "t2", replay_from: 4 });
      assert.deepEqual(next.socket.said, EARLIER);
    });
  }
});
