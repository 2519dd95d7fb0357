// A page that is left may be kept by the browser as it is (the back/forward cache), and come back. Meanwhile another page of the
// tab may have gone on with the session: a return is a beginning, not a reconnect.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";

import { Locks, settle, SURROUNDINGS, Tab } from "./pages.js";

const tabs = [];
afterEach(() => Promise.all(tabs.splice(0).map((tab) => tab.leave())));

function open(platform = {}) {
  const tab = new Tab(new Locks(), platform);
  tabs.push(tab);
  return tab;
}

/** Wait until it dials, and give the socket. */
async function dials(page, count = 1) {
  for (let i = 0; i < 6 && page.sockets.length < count; i += 1) {
    await settle();
    await page.wait();
  }
  assert.equal(page.sockets.length, count);
  return page.socket;
}

/** A page with a session that has handled "one", and has sent "ours", which nobody has acknowledged. */
async function begin(tab, options = {}) {
  const page = tab.page();
  const session = await page.connect(options);
  const socket = await dials(page);
  socket.hello({ token: "t1" });
  socket.news("one");
  session.send("say", "ours");
  return page;
}

/** The next page of the tab, where the session goes on. */
async function next(tab, options = {}, hello = {}) {
  const page = tab.page();
  await page.connect(options);
  (await dials(page)).hello({ resumed: true, token: "t2", replay_from: 2, ...hello });
  return page;
}

const told = (page, kind) => page.told.filter(([one]) => one === kind).map(([, detail]) => detail);
const asked = ({ query: { resume, received }, token }) => ({ resume, received, token });

for (const [where, platform] of Object.entries(SURROUNDINGS)) {
  describe(`a page that comes back, ${where}`, { timeout: 45_000 }, () => {
    it("goes on where the page that it was left for has stopped", async () => {
      const tab = open(platform);
      const first = await begin(tab);
      await first.leave();
      assert.equal(first.session.state, "idle");
      const second = await next(tab);
      assert.deepEqual(second.socket.said, ["ours"]);
      second.socket.ack(1);
      second.socket.news("two");
      second.session.send("say", "of the second page");
      await second.leave();

      await first.comeBack();

      const socket = await dials(first, 2);
      assert.deepEqual(asked(socket), { resume: "true", received: "2", token: "t2" });
      socket.hello({ resumed: true, token: "t3", received: 1, replay_from: 3 });
      assert.deepEqual(socket.said, ["of the second page"]);
      assert.deepEqual(told(first, "restore"), [{ replayed: 0, elsewhere: 1 }]);
      assert.deepEqual([told(first, "expired"), told(first, "closed"), first.inDoubt], [[], [], []]);
      assert.equal(first.session.stats.unacked, 1);

      await first.leave();
      await second.comeBack();
      assert.equal((await dials(second, 2)).token, "t3");
    });

    it("goes on with what it has when nobody has dialed meanwhile", async () => {
      const tab = open(platform);
      let finish;
      const got = [];
      const first = await begin(tab, { onMessage: (event, payload) => {
        got.push(payload);
        return new Promise((resolve) => { finish = resolve; });
      } });
      first.socket.news("two");                      // waits until "one" is done
      await first.leave();

      await first.comeBack();
      const socket = await dials(first, 2);
      assert.deepEqual(asked(socket), { resume: "true", received: "0", token: "t1" });
      socket.hello({ resumed: true, token: "t2" });
      ["one", "two", "three"].forEach((payload) => socket.news(payload));
      for (let i = 0; i < 3; i += 1) {
        finish();
        await settle();
      }

      assert.deepEqual(got, ["one", "two", "three"]);
      assert.deepEqual(socket.said, ["ours"]);
    });

    it("gives no message twice that waited when it was left, and that the other page has had", async () => {
      const tab = open(platform);
      let finish;
      const got = [];
      const first = await begin(tab, { onMessage: (event, payload) => {
        got.push(payload);
        return new Promise((resolve) => { finish = resolve; });
      } });
      first.socket.news("two");
      await first.leave();
      const second = await next(tab, {}, { replay_from: 1 });
      ["one", "two"].forEach((payload) => second.socket.news(payload));
      await second.leave();

      await first.comeBack();
      const socket = await dials(first, 2);
      assert.equal(socket.query.received, "2");
      socket.hello({ resumed: true, token: "t3", replay_from: 3 });
      socket.news("three");
      finish();
      await settle();

      assert.deepEqual(got, ["one", "three"]);
    });

    it("is told that the session is gone when the other page has closed it, and has a new one", async () => {
      const tab = open(platform);
      const first = await begin(tab);
      const before = first.session.tab;
      await first.leave();
      const second = await next(tab);
      second.session.close();
      assert.deepEqual(second.inDoubt, ["ours"]);    // told once, and there

      await first.comeBack();

      const socket = await dials(first, 2);
      assert.deepEqual(told(first, "expired"), [{ reason: "replaced", firstAvailable: null, inDoubt: [] }]);
      assert.deepEqual(asked(socket), { resume: undefined, received: undefined, token: null });
      assert.notEqual(first.session.tab, before);
      socket.hello({ token: "new" });
      assert.deepEqual(socket.said, []);
    });

    it("stays closed then, if it does not want a new one", async () => {
      const tab = open(platform);
      const first = await begin(tab, { renew: false });
      await first.leave();
      (await next(tab)).session.close();

      await first.comeBack();
      await first.wait();
      await first.wait();

      assert.equal(first.session.state, "closed");
      assert.equal(first.sockets.length, 1);
    });

    it("goes on in the session that the other page has begun instead, and is told so", async () => {
      const tab = open(platform);
      const first = await begin(tab);
      await first.leave();
      const second = tab.page();
      await second.connect();
      (await dials(second)).end(4100, "session expired");
      assert.deepEqual(second.inDoubt, ["ours"]);
      (await dials(second, 2)).hello({ token: "other" });
      second.session.send("say", "in the other session");
      await second.leave();

      await first.comeBack();

      const socket = await dials(first, 2);
      assert.deepEqual(told(first, "expired"), [{ reason: "replaced", firstAvailable: null, inDoubt: [] }]);
      assert.deepEqual(asked(socket), { resume: "true", received: "0", token: "other" });
      socket.hello({ resumed: true, token: "other 2" });
      assert.deepEqual(socket.said, ["in the other session"]);
    });

    it("loses nothing that is sent while it is left, or before it knows what is kept", async () => {
      const tab = open(platform);
      const first = await begin(tab);
      const leaving = first.leave();
      first.session.send("say", "in a pagehide listener");
      await leaving;
      const second = await next(tab);
      assert.deepEqual(second.socket.said, ["ours", "in a pagehide listener"]);
      second.session.send("say", "of the second page");
      await second.leave();

      const coming = first.comeBack();
      first.session.send("say", "in a pageshow listener");
      await coming;
      const socket = await dials(first, 2);
      socket.hello({ resumed: true, token: "t3", received: 2, replay_from: 2 });

      assert.deepEqual(socket.said, ["of the second page", "in a pageshow listener"]);
      const { tab: name } = first.session;
      assert.match(tab.storage.getItem(`resumehub.default.${name}.4`), /in a pageshow listener/);
    });

    it("may be left before it has dialed, and leaves what was kept", async () => {
      const tab = open(platform);
      await begin(tab);
      await tab.leave();
      const page = tab.page();
      await page.connect();
      page.platform.window.dispatchEvent(new Event("pagehide"));
      const before = JSON.stringify(tab.storage.content);
      await settle();
      await page.wait();
      assert.equal(page.sockets.length, 0);
      assert.equal(JSON.stringify(tab.storage.content), before);

      await page.comeBack();

      assert.deepEqual(asked(await dials(page)), { resume: "true", received: "1", token: "t1" });
    });

    it("can be closed before it knows what is kept, and takes nothing from the other page", async () => {
      const tab = open(platform);
      const first = await begin(tab);
      await first.leave();
      const second = await next(tab);
      second.session.send("say", "of the second page");
      await second.die();
      const before = JSON.stringify(tab.storage.content);

      const coming = first.comeBack();
      first.session.close();
      await coming;

      assert.equal(JSON.stringify(tab.storage.content), before);
    });

    it("can be closed while it is left, and then nothing is kept", async () => {
      const tab = open(platform);
      const first = await begin(tab);
      await first.leave();

      first.session.close();

      assert.deepEqual(first.inDoubt, ["ours"]);
      assert.equal(tab.storage.size, 0);
    });

    it("goes on without a storage, too", async () => {
      const first = await begin(open(platform), { storage: null });
      await first.leave();
      await first.comeBack();

      const socket = await dials(first, 2);
      assert.deepEqual(asked(socket), { resume: "true", received: "1", token: "t1" });
      socket.hello({ resumed: true, token: "t2", replay_from: 2 });
      assert.deepEqual(socket.said, ["ours"]);
    });

    it("goes on with a storage that was full, too", async () => {
      const tab = open(platform);
      const first = await begin(tab);
      tab.storage.setItem = () => { throw new Error("QuotaExceededError"); };
      first.session.send("say", "more");
      assert.equal(tab.storage.size, 0);
      await first.leave();
      await first.comeBack();

      const socket = await dials(first, 2);
      socket.hello({ resumed: true, token: "t2", replay_from: 2 });
      assert.deepEqual(socket.said, ["ours", "more"]);
      assert.deepEqual(told(first, "expired"), []);
    });

    it("counts as a plain client does", async () => {
      const tab = open(platform);
      const page = tab.page();
      await page.connect({ plain: true });
      (await dials(page)).end(1006);
      page.session.send("say", "not written yet");
      await page.leave();
      await page.comeBack();

      const socket = await dials(page, 2);
      socket.readyState = 1;
      socket.onopen();
      socket.news("one");
      assert.deepEqual(socket.said, ["not written yet"]);
    });
  });
}

it("a page that was left holds no lock, and waits for none", async () => {
  const tab = open();
  const first = await begin(tab);
  await first.leave();
  assert.deepEqual(tab.browser.held, []);
  const other = tab.browser.client();
  other.request(`resumehub.${first.session.tab}`, {}, () => new Promise(() => {}));
  await first.comeBack();
  assert.equal(first.session.state, "idle");         // the lock is another page's

  await first.leave();
  other.drop();
  await settle();

  assert.deepEqual(tab.browser.held, []);
});

it("a page that is refused clears no record that another one has written since", async () => {
  const tab = open({ locks: undefined });            // nobody can be asked who has it
  const first = await begin(tab);
  const { tab: name } = first.session;
  const key = `resumehub.default.${name}`;
  tab.storage.setItem(key, JSON.stringify({ ...JSON.parse(tab.storage.getItem(key)), token: "newer", attempt: 9 }));

  first.socket.end(4403, "forbidden");

  assert.equal(first.session.state, "closed");
  assert.equal(JSON.parse(tab.storage.getItem(key)).token, "newer");
});
