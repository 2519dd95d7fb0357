// Pages that share a storage: the frames of a tab its sessionStorage, all tabs a localStorage. Each has a session of its own, and
// finds it again after a reload; no page touches what another one has kept.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";

import { Locks, settle, Storage, SURROUNDINGS, Tab } from "./pages.js";

const tabs = [];
afterEach(() => Promise.all(tabs.splice(0).map((tab) => tab.leave())));

function open(browser = new Locks(), platform = {}) {
  const tab = new Tab(browser, platform);
  tabs.push(tab);
  return tab;
}

/** A duplicate of a tab. */
function twin(tab) {
  const copy = tab.duplicate();
  tabs.push(copy);
  return copy;
}

/** Load the client in a page, and wait until it dials. */
async function dial(page, options) {
  await page.connect(options);
  for (let i = 0; i < 4 && page.sockets.length === 0; i += 1) {
    await settle();
    await page.wait();
  }
  return page;
}

/** A page with a session of its own, and a message that nobody has acknowledged. */
async function begin(page, name, options) {
  await dial(page, options);
  assert.equal(page.socket.token, null, `${name} is to begin a session`);
  page.socket.hello({ token: `token of ${name}`, connection_id: name });
  page.session.send("say", `unsent by ${name}`);
  return page;
}

/** A page that goes on with the session of the page that `begin` called so. */
async function goesOn(page, name, options) {
  await dial(page, options);
  assert.equal(page.socket.token, `token of ${name}`);
  page.socket.hello({ resumed: true, token: `token of ${name}`, connection_id: name });
  assert.deepEqual(page.socket.said, [`unsent by ${name}`]);
  return page;
}

for (const [where, platform] of Object.entries(SURROUNDINGS)) {
  describe(`frames of one origin in one tab, ${where}`, { timeout: 45_000 }, () => {
    it("have sessions of their own, and keep them over a reload of the page", async () => {
      const tab = open(undefined, platform);
      await begin(tab.page(), "page");
      await begin(tab.frame(), "first frame");
      await begin(tab.frame(), "second frame");

      await tab.leave();

      const [page, first, second] = [tab.page(), tab.frame(), tab.frame()];
      // In whatever order they are loaded.
      await goesOn(second, "second frame");
      await goesOn(page, "page");
      await goesOn(first, "first frame");
    });

    it("may begin at the same time", async () => {
      const tab = open(undefined, platform);
      await begin(tab.page(), "page");
      await tab.leave();

      const pages = [tab.page(), tab.frame(), tab.frame(), tab.frame()];
      await Promise.all(pages.map((page) => dial(page)));

      assert.deepEqual(pages.map(({ socket }) => socket.token), ["token of page", null, null, null]);
      assert.equal(new Set(pages.map(({ session }) => session.tab)).size, 4);
    });

    it("go on when they are removed and added again", async () => {
      const tab = open(undefined, platform);
      const page = await begin(tab.page(), "page");
      const frame = await begin(tab.frame(), "frame");
      await tab.remove(frame);

      await goesOn(tab.frame(), "frame");

      await page.die();
      await tab.leave();
      await goesOn(tab.page(), "page");
    });

    it("do not take a session that another one has when their places have changed", async () => {
      const tab = open(undefined, platform);
      await begin(tab.page(), "page");
      const first = await begin(tab.frame(), "first");
      await begin(tab.frame(), "second");
      await tab.remove(first);                       // now the second one has the place of the first

      const added = await goesOn(tab.frame(), "first");
      await begin(tab.frame(), "third");

      await tab.remove(added);
      await tab.leave();
      await goesOn(tab.page(), "page");
      for (const name of ["first", "second", "third"]) await goesOn(tab.frame(), name);
    });

    it("may lie in each other, and beside frames of another origin", async () => {
      const tab = open(undefined, platform);
      await begin(tab.page(), "page");
      tab.stranger();
      const outer = await begin(tab.frame(), "outer");
      await begin(tab.frame(outer.window), "inner");
      await tab.leave();

      await goesOn(tab.page(), "page");
      tab.stranger();
      const again = await goesOn(tab.frame(), "outer");
      await goesOn(tab.frame(again.window), "inner");
    });

    it("end without a trace in the others", async () => {
      const tab = open(undefined, platform);
      await begin(tab.page(), "page");
      const frame = await begin(tab.frame(), "frame");
      frame.socket.end(4403, "forbidden");
      assert.deepEqual(frame.inDoubt, ["unsent by frame"]);

      await tab.leave();

      await goesOn(tab.page(), "page");
      await begin(tab.frame(), "another");
    });

    it("count as pages of their own where a page has the client twice", async () => {
      const tab = open(undefined, platform);
      const page = await begin(tab.page(), "page");
      const copy = await begin(Object.assign(tab.frame(), { change: page.change }), "copy");
      assert.notEqual(copy.session.tab, page.session.tab);
      await tab.leave();

      const again = await goesOn(tab.page(), "page");
      await goesOn(Object.assign(tab.frame(), { change: again.change }), "copy");
    });

    if (where === "without locks and channels") return;

    it("of a duplicated tab begin sessions of their own, and leave nothing of the copies", async () => {
      const tab = open(undefined, platform);
      await begin(tab.page(), "page");
      await begin(tab.frame(), "frame");

      const other = twin(tab);
      await begin(other.page(), "other page");
      await begin(other.frame(), "other frame");

      assert.ok(!JSON.stringify(other.storage.content).includes("token of page"));
      await other.leave();
      await tab.leave();
      await goesOn(other.page(), "other page");
      await goesOn(other.frame(), "other frame");
      await goesOn(tab.page(), "page");
      await goesOn(tab.frame(), "frame");
    });
  });

  if (where === "without locks and channels") continue;

  describe(`tabs with one localStorage, ${where}`, { timeout: 45_000 }, () => {
    it("have sessions of their own, and keep them over reloads", async () => {
      const browser = new Locks();
      const storage = new Storage();
      const [one, two] = [open(browser, platform), open(browser, platform)];
      await begin(one.page(), "one", { storage });
      await begin(two.page(), "two", { storage });

      await one.leave();
      await two.leave();

      await goesOn(two.page(), "two", { storage });
      await goesOn(one.page(), "one", { storage });
      await two.leave();                             // the other one is still there
      await goesOn(two.page(), "two", { storage });
    });

    it("go on with what a tab that was closed has left", async () => {
      const browser = new Locks();
      const storage = new Storage();
      const [one, two, three] = [open(browser, platform), open(browser, platform), open(browser, platform)];
      await begin(one.page(), "one", { storage });
      await begin(two.page(), "two", { storage });
      await one.leave();

      await goesOn(three.page(), "one", { storage });
      await begin(open(browser, platform).page(), "four", { storage });
    });

    it("have frames", async () => {
      const browser = new Locks();
      const storage = new Storage();
      const tab = open(browser, platform);
      await begin(tab.page(), "page", { storage });
      await begin(tab.frame(), "frame", { storage });
      await tab.leave();

      tab.page();
      await goesOn(tab.frame(), "frame", { storage });
    });

    it("may be duplicated", async () => {
      const browser = new Locks();
      const storage = new Storage();
      const tab = open(browser, platform);
      await begin(tab.page(), "tab", { storage });
      const other = twin(tab);
      await begin(other.page(), "other", { storage });

      await tab.leave();
      await other.leave();

      await goesOn(other.page(), "other", { storage });
      await goesOn(tab.page(), "tab", { storage });
    });

    it("do not lose a record that two tabs have entered at once", async () => {
      const browser = new Locks();
      const storage = new Storage();
      const tab = open(browser, platform);
      const page = await begin(tab.page(), "tab", { storage });
      storage.setItem("resumehub.default", "[]");    // another tab had read the list before we wrote it

      page.session.send("say", "second");
      await tab.leave();

      const again = await dial(tab.page(), { storage });
      assert.equal(again.socket.token, "token of tab");
    });

    it("leave nothing behind when they end", async () => {
      const storage = new Storage();
      const page = await begin(open(new Locks(), platform).page(), "tab", { storage });

      page.session.close();

      assert.equal(storage.size, 0);
    });
  });
}

it("what somebody else has stored under our name is nothing of ours", async () => {
  for (const other of ['{"tab":"x"}', "null", "[1, null]", "plain text"]) {
    const tab = open();
    tab.storage.setItem("resumehub.default", other);
    await begin(tab.page(), "page");
    await tab.leave();
    await goesOn(tab.page(), "page");
  }
});
