// Requests and their answers, as the page sees them: promises, what `onMessage` gives back, a reload, a page that comes back.
// What is decided about them, step by step, is in request.test.js.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import WebSocket from "ws";

import { connect, jsonCodec, RequestError, RequestFailed, RequestInDoubt, RequestTimeout, SessionClosed } from "../../resumehub/static/resumehub.js";
import { ModelServer, until } from "./model_server.js";
import { load, Locks, Page, settle, Storage, Tab } from "./pages.js";

/** How a promise ends: its value, or the name of its error. */
const outcome = (promise) => promise.then((value) => value, ({ name }) => name);

describe("a request over real sockets", { timeout: 45_000 }, () => {
  let server;
  let session;
  let reported;
  const open = (options = {}) => {
    session = connect(server.url, {
      firstPause: 1, longestPause: 5, ackDelay: 5, storage: null, ...options,
      platform: { WebSocket, window: new EventTarget(), report: (error) => reported.push(error), ...options.platform },
    });
    return session;
  };

  beforeEach(async () => {
    server = await ModelServer.start();
    reported = [];
  });

  afterEach(async () => {
    session.close();
    await server.close();
    assert.deepEqual([server.complaints, reported], [[], []]);
  });

  it("has the payload of its answer for a result", async () => {
    server.answer = ({ event, payload }) => ({ payload: [event, payload] });
    open();
    assert.deepEqual(await session.request("sum", [1, 2]), ["sum", [1, 2]]);
    assert.deepEqual(await session.request("sum"), ["sum", null]);
    server.answer = () => ({});
    assert.equal(await session.request("void", 1), null);
  });

  it("fails with the code and the text of a refusal", async () => {
    server.answer = () => ({ error: { code: "no_such_room", message: "There is none" } });
    await assert.rejects(open().request("join"), (error) => {
      assert.ok(error instanceof RequestFailed && error instanceof Error);
      assert.deepEqual([error.name, error.code, error.message], ["RequestFailed", "no_such_room", "There is none"]);
      return true;
    });
  });

  it("may be made by what handles another message, or an answer, without waiting for its own turn", async () => {
    const done = [];
    open({ onMessage: async (event, payload) => { done.push(await session.request("more", payload)); } });
    await until(() => session.state === "open");
    server.push(1);
    server.push(2);
    await until(() => done.length === 2);
    assert.deepEqual(done, [1, 2]);
  });

  it("is answered once, whichever way it goes, however often the network dies", async () => {
    const asked = [];
    const seen = [];
    let given = 0;
    let seed = 11;           // of a linear congruential generator: the same cuts every time
    // The network dies each time that the server has handled so many more: at least three times, on any machine.
    const more = () => 10 + 30 * (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
    let cutAt = more();
    open({ onMessage: async (event, payload) => {
      seen.push(payload);
      for (let i = payload % 4; i > 0; i -= 1) await new Promise((resolve) => { setImmediate(resolve); });
      return payload * 2;
    } });
    while (asked.length < 150 || server.answers.length < 150 || server.handled.length < 150) {
      if (asked.length < 150 && session.stats.unacked < 12) asked.push(outcome(session.request("up", asked.length)));
      if (given < 150 && server.live && server.sent.length - server.acked < 12) {
        server.pushWhole({ event: "down", payload: given, id: `q${given}` });
        given += 1;
      }
      if (server.live && server.handled.length >= cutAt) {
        cutAt += more();
        server.cut();
      }
      if (asked.length === 150) server.ack();
      await new Promise((resolve) => { setImmediate(resolve); });
    }

    const numbers = Array.from({ length: 150 }, (_, index) => index);
    assert.deepEqual(await Promise.all(asked), numbers);
    assert.deepEqual(server.handled, numbers);
    assert.deepEqual(seen, numbers);
    const answers = server.answers.map(({ re, payload }) => [re, payload]).sort(([, a], [, b]) => a - b);
    assert.deepEqual(answers, numbers.map((number) => [`q${number}`, number * 2]));
    assert.ok(session.stats.drops >= 3, `only ${session.stats.drops} drops`);
    assert.equal(session.stats.late, 0);
  });
});

/** A page with a session, connected; `ask(id, …)` is a request of the server's. */
async function page(options = {}, surroundings = {}) {
  const one = new Page(surroundings);
  await one.connect(options);
  await settle();
  one.socket.hello();
  one.ask = (id, event = "sure", payload = null) => one.socket.message({ event, payload, id });
  one.answers = () => one.socket.messages.filter(({ re }) => re).map(({ re, payload, error }) => [re, error ? error.code : payload ?? null]);
  return one;
}

describe("who asks", { timeout: 45_000 }, () => {
  it("can stop waiting, and gets the signal's reason", async () => {
    const one = await page();
    const control = new AbortController();
    const asked = one.session.request("sum", 1, { signal: control.signal });
    const other = outcome(one.session.request("sum", 2, { signal: control.signal }));
    control.abort(new Error("the user has left the dialog"));
    await assert.rejects(asked, /left the dialog/);
    assert.equal(await other, "Error");
    one.socket.message({ payload: 3, re: one.socket.messages[0].id });
    assert.equal(one.session.stats.late, 1);

    await assert.rejects(one.session.request("sum", 3, { signal: AbortSignal.abort() }), { name: "AbortError" });
    assert.deepEqual(one.socket.said, [1, 2]);   // the third was never sent
  });

  it("does not hear of the signal any more when there was an answer", async () => {
    const one = await page();
    const listening = new Set();
    const signal = {
      throwIfAborted() {},
      addEventListener: (type, listener) => listening.add(listener),
      removeEventListener: (type, listener) => listening.delete(listener),
    };
    const asked = one.session.request("sum", 1, { signal });
    assert.equal(listening.size, 1);
    one.socket.message({ payload: 3, re: one.socket.messages[0].id });
    assert.deepEqual([await asked, listening.size], [3, 0]);
  });

  it("may stop waiting in the very moment in which the answer comes", async () => {
    const control = new AbortController();
    const one = await page({ trace: true, onTrace: ({ kind }) => { if (kind === "answer") control.abort(); } });
    const asked = outcome(one.session.request("sum", 1, { signal: control.signal }));
    one.socket.message({ payload: 3, re: one.socket.messages[0].id });
    assert.deepEqual([await asked, one.reported], ["AbortError", []]);
  });

  it("sets no timer for what it does not wait for any more", async () => {
    const timers = new Map();
    let last = 0;
    const one = await page({ stallTimeout: Infinity }, {
      setTimeout: (run) => { timers.set(last += 1, run); return last; }, clearTimeout: (timer) => timers.delete(timer),
    });
    timers.clear();
    const control = new AbortController();
    const asked = outcome(one.session.request("sum", 1, { signal: control.signal }));
    assert.equal(timers.size, 1);
    control.abort();
    assert.deepEqual([await asked, timers.size], ["AbortError", 0]);
  });

  it("is told when nobody answers in time, by the client's own timer", async () => {
    const timers = [];
    let now = 0;
    const one = await page({}, { now: () => now, setTimeout: (run, pause) => timers.push({ run, pause }), clearTimeout: () => {} });
    const asked = outcome(one.session.request("sum", 1, { timeout: 2_000 }));
    const { run, pause } = timers.at(-1);
    assert.equal(pause, 2_000);
    now = 2_000;
    run();
    assert.equal(await asked, "RequestTimeout");
    assert.match(new RequestTimeout("sum", 2_000).message, /"sum" within 2000 ms/);
  });

  it("is told of everything by the promise", async () => {
    const one = await page({ maxRequests: 1 });
    const { session } = one;
    assert.equal(await outcome(session.request("$sum")), "TypeError");
    assert.equal(await outcome(session.request("sum", NaN)), "TypeError");
    assert.equal(await outcome(session.request("sum", 1, { timeout: 0 })), "RangeError");
    assert.equal(await outcome(session.request("sum", "x".repeat(70_000))), "MessageTooBig");
    const open = outcome(session.request("sum"));
    assert.equal(await outcome(session.request("sum")), "SendBufferFull");
    session.close();
    assert.equal(await outcome(session.request("sum")), "SessionClosed");
    assert.equal(await open, "RequestInDoubt");
    assert.deepEqual(one.inDoubt.length, 1);     // it is a message of ours that was not acknowledged
    assert.deepEqual(one.reported, []);
  });

  it("is told that a codec leaves out what makes a message a request", async () => {
    const encode = ({ event, payload }) => JSON.stringify({ event, payload });
    const one = await page({ codec: { encode, decode: JSON.parse } });
    await assert.rejects(one.session.request("sum"), /the codec leaves out id/);
    assert.deepEqual(one.socket.said, []);
  });

  it("finds the request, with its id, among what is in doubt, and no answer of its own", async () => {
    const one = await page({ onMessage: () => "yes" });
    const asked = outcome(one.session.request("sum", 1));
    one.ask("q1");
    one.session.send("say", 2);
    one.socket.end(4403, "forbidden");
    const [, { inDoubt }] = one.told.find(([kind]) => kind === "closed");
    assert.deepEqual(inDoubt.map(({ event, payload, id }) => [event, payload, typeof id]), [["sum", 1, "string"], ["say", 2, "undefined"]]);
    assert.deepEqual(one.answers(), [["q1", "yes"]]);
    assert.equal(await asked, "RequestInDoubt");
  });

  it("has ids that no other page of the tab has had", async () => {
    const storage = new Storage();
    const ids = new Set();
    for (let i = 0; i < 3; i += 1) {
      const one = await page({}, { storage });
      one.session.request("sum").catch(() => {});
      one.session.request("sum").catch(() => {});
      one.socket.messages.forEach(({ id }) => ids.add(id));
      assert.ok([...ids].every((id) => id.length <= 32));
      await one.die();
    }
    assert.equal(ids.size, 6);
  });
});

/** A tab with its first page, which has asked and waits. */
async function asking() {
  const tab = new Tab(new Locks());
  const first = tab.page();
  await first.connect();
  await settle();
  first.socket.hello();
  first.session.request("sum", 1).catch(() => {});
  return { tab, first };
}

describe("a page that is left while it waits", { timeout: 45_000 }, () => {
  it("is not there to be answered: the next page sends the request, and ignores the answer", async () => {
    const { tab, first } = await asking();
    await tab.leave();

    const second = tab.page();
    await second.connect();
    await settle();
    second.socket.hello({ resumed: true, token: "t2", received: 0 });
    const [{ id, payload }] = second.socket.messages;
    assert.equal(payload, 1);
    second.socket.message({ payload: 3, re: id });
    second.socket.news("after");

    assert.deepEqual(second.told.filter(([kind]) => kind !== "restore"), [["message", "after"]]);
    assert.deepEqual([second.session.stats.late, second.session.stats.received, second.reported], [1, 2, []]);
    await second.leave();
    assert.equal(JSON.parse(tab.storage.getItem(`resumehub.default.${second.session.tab}`)).handled, 2);
    await tab.leave();
  });

  it("hands the request back if the session is gone by then", async () => {
    const { tab, first } = await asking();
    const [{ id }] = first.socket.messages;
    await tab.leave();

    const second = tab.page();
    await second.connect();
    await settle();
    second.socket.end(4100, "session expired");
    const [, { inDoubt }] = second.told.find(([kind]) => kind === "expired");
    assert.deepEqual(inDoubt, [{ event: "sum", payload: 1, id }]);
    await tab.leave();
  });

  /** Ask, go to another page (and back). `there`: what happens on that other page, if there is one. */
  async function away(there) {
    const tab = new Tab(new Locks());
    const first = tab.page();
    await first.connect();
    await settle();
    first.socket.hello();
    const asked = outcome(first.session.request("sum", 1));
    const [{ id }] = first.socket.messages;
    await first.leave();
    if (there) {
      const second = tab.page();
      await second.connect();
      await settle();
      second.socket.hello({ resumed: true, token: "t2", received: 1 });
      await there(second, id);
      await second.leave();
    }
    await first.comeBack();
    await first.wait();
    first.socket.hello({ resumed: true, token: "t3", received: 1, replay_from: Number(first.socket.query.received ?? 0) + 1 });
    first.socket.message({ payload: "here", re: id });
    const said = await Promise.race([asked, settle().then(() => "nothing")]);
    await tab.leave();
    return said;
  }

  it("gets its answer when it comes back and no other page has had it", async () => {
    assert.equal(await away(null), "here");
    assert.equal(await away(() => {}), "here");
  });

  it("is in doubt when it comes back and another page has had messages, or has ended the session", async () => {
    assert.equal(await away((second, id) => second.socket.message({ payload: "there", re: id })), "RequestInDoubt");
    assert.equal(await away((second) => second.session.close()), "RequestInDoubt");
  });

  /** A page with a session, in a tab; `next` is the page behind it, where that goes on. */
  async function visit(options = {}) {
    const tab = new Tab(new Locks());
    const one = tab.page();
    await one.connect(options);
    await settle();
    one.socket.hello();
    const next = async (change = {}) => {
      const other = tab.page();
      await other.connect();
      await settle();
      other.socket.hello({ resumed: true, token: "t2", ...change });
      return other;
    };
    const back = async () => {
      await one.comeBack();
      await one.wait();
    };
    return { tab, one, next, back };
  }

  it("is in doubt, not unsent, if it asked while it was left: the next page may have sent that", async () => {
    for (const there of [false, true]) {
      const { tab, one, next, back } = await visit();
      const leaving = one.leave();
      const asked = outcome(one.session.request("in a pagehide listener"));
      await leaving;
      if (there) {
        await (await next()).leave();
        await back();
      }
      one.session.close();
      assert.equal(await asked, "RequestInDoubt");
      await tab.leave();
    }
  });

  it("waits on for what it asked when it was back, and had not sent yet", async () => {
    const { tab, one, next } = await visit();
    await one.leave();
    const second = await next();
    second.socket.news("elsewhere");
    await second.leave();
    const coming = one.comeBack();
    const asked = outcome(one.session.request("in a pageshow listener"));
    await coming;
    await one.wait();
    one.socket.hello({ resumed: true, token: "t3", replay_from: 2 });
    one.socket.message({ payload: "here", re: one.socket.messages[0].id });
    assert.equal(await asked, "here");
    await tab.leave();
  });

  it("has a request again that it was at when it was left, if no other page has answered that", async () => {
    const got = [];
    const { tab, one, next, back } = await visit({ onMessage: (event, payload) => {
      got.push(payload);
      return got.length === 1 ? new Promise(() => {}) : "yes";
    } });
    one.socket.message({ event: "ask", payload: "sure?", id: "q1" });
    await one.leave();
    await (await next()).leave();
    await back();
    assert.equal(one.socket.query.received, "0");
    one.socket.hello({ resumed: true, token: "t3" });
    one.socket.message({ event: "ask", payload: "sure?", id: "q1" });
    assert.deepEqual(one.socket.messages, [{ event: "ask", payload: "yes", re: "q1" }]);
    assert.deepEqual([got, one.reported], [["sure?", "sure?"], []]);
    await tab.leave();
  });

  it("may answer what it has deferred when it is back, in that session only", async () => {
    for (const ended of [false, true]) {
      let deferred;
      const { tab, one, next, back } = await visit({ onMessage: (event, payload, message) => { message.defer(); deferred = message; } });
      one.socket.message({ event: "ask", id: "q1" });
      await one.leave();
      const second = await next({ replay_from: 2 });
      if (ended) second.session.close();
      else await second.leave();
      await back();
      one.socket.hello({ resumed: !ended, token: "t3", replay_from: ended ? 1 : 2 });
      if (ended) assert.throws(() => deferred.reply(1), one.client.SessionClosed);
      else deferred.reply(1);
      assert.deepEqual(one.socket.said, ended ? [] : [1]);
      await tab.leave();
    }
  });

  it("has asked in vain, and nothing was sent, when it is mounted twice, as by React's StrictMode", async () => {
    const one = new Page();
    const early = await one.connect();
    const asked = early.request("hello");
    early.close();
    const session = await one.connect({ onMessage: () => "from the second" });
    const second = session.request("hello");
    await assert.rejects(asked, (error) => error instanceof one.client.SessionClosed && /before .* was sent/.test(error.message));
    await settle();
    assert.equal(one.sockets.length, 1);
    one.socket.hello();
    const [{ id }, ...more] = one.socket.messages;
    assert.deepEqual(more, []);
    one.socket.message({ event: "sure", id: "q1" });
    one.socket.message({ payload: 1, re: id });
    assert.equal(await second, 1);
    assert.equal(one.socket.messages[1].payload, "from the second");
    await one.die();
  });

  it("is mounted twice with both asking while connected, and each session has its own answers", async () => {
    const client = await load();
    const pages = [new Page({ storage: null }), new Page({ storage: null })].map((one) => Object.assign(one, { client }));
    const asked = [];
    for (const one of pages) {
      await one.connect({ storage: null });
      await settle();
      one.socket.hello();
      asked.push(outcome(one.session.request("hello")));
    }
    const ids = pages.map(({ socket }) => socket.messages[0].id);
    assert.notEqual(ids[0], ids[1]);
    pages[0].socket.message({ payload: "not mine", re: ids[1] });
    pages[0].session.close();
    pages[1].socket.message({ payload: "mine", re: ids[1] });
    assert.deepEqual(await Promise.all(asked), ["RequestInDoubt", "mine"]);
    assert.equal(pages[0].session.stats.late, 1);
  });
});

describe("onMessage", { timeout: 45_000 }, () => {
  it("answers with what it returns, a value or a promise of it", async () => {
    const one = await page({ onMessage: (event, payload) => ({ now: 1, soon: Promise.resolve([2]), nothing: undefined, never: null })[payload] });
    ["now", "soon", "nothing", "never"].forEach((payload, index) => one.ask(`q${index}`, "sure", payload));
    await settle();
    assert.deepEqual(one.answers(), [["q0", 1], ["q2", null], ["q3", null], ["q1", [2]]]);
    assert.deepEqual(one.socket.messages.map(({ event }) => event), ["sure", "sure", "sure", "sure"]);
  });

  it("says nothing by what it returns for a message that is no request", async () => {
    const got = [];
    const one = await page({ onMessage: (event, payload, message) => { got.push(message); return "nobody asked"; } });
    one.socket.news("a");
    assert.deepEqual(one.socket.messages, []);
    const [{ number, history, replayed, id, reply, refuse, defer }] = got;
    assert.deepEqual([number, history, replayed, id], [1, false, false, null]);
    for (const method of [reply, refuse, defer]) assert.throws(method, /is no request; .*look at message.id first/);
  });

  it("is told what is of the history of a room, and so is an async one", async () => {
    const got = [];
    const one = await page({ onMessage: async (event, payload, { number, history }) => { got.push([number, payload, history]); } });
    one.socket.message({ event: "said", payload: "old", history: true });
    one.socket.message({ event: "said", payload: "no sign of it", history: "yes" });
    one.socket.message({ event: "said", payload: "live" });
    await settle();
    assert.deepEqual(got, [[1, "old", true], [2, "no sign of it", false], [3, "live", false]]);
  });

  it("refuses by throwing a RequestError, or one derived of it; everything else is an internal_error, and reported", async () => {
    class Full extends RequestError { constructor() { super("full", "There are 12 already"); } }
    const one = new Page();
    one.client = { connect };
    await one.connect({ onMessage: async (event, payload) => {
      if (payload === "full") throw new Full();
      if (payload === "asked") throw new RequestFailed("secret", "of another");
      throw new Error("the application's own secret");
    } });
    await settle();
    one.socket.hello();
    ["full", "asked", "fault"].forEach((payload) => one.socket.message({ event: "join", payload, id: payload }));
    await settle();
    assert.deepEqual(one.socket.messages, [
      { event: "join", error: { code: "full", message: "There are 12 already" }, re: "full" },
      { event: "join", error: { code: "internal_error", message: "" }, re: "asked" },
      { event: "join", error: { code: "internal_error", message: "" }, re: "fault" },
    ]);
    assert.deepEqual(one.reported.map(({ name }) => name), ["RequestFailed", "Error"]);
  });

  it("refuses at once, too, and without it every event is unknown", async () => {
    const one = await page({ onMessage: () => { throw new one.client.RequestError("no"); } });
    one.ask("q1");
    const other = await page({ onMessage: undefined });
    other.ask("q1");
    other.socket.news("ignored");
    assert.deepEqual([one.answers(), other.answers()], [[["q1", "no"]], [["q1", "unknown_event"]]]);
    assert.deepEqual([one.reported, other.reported], [[], []]);
  });

  it("may reply or refuse before it returns, once", async () => {
    const one = await page({ onMessage: (event, payload, message) => {
      if (payload) message.reply(payload);
      else message.refuse("empty", "Say something");
      assert.throws(() => message.reply("again"), /answered already/);
      return "not this";
    } });
    one.ask("q1", "sure", "this");
    one.ask("q2");
    assert.deepEqual([one.answers(), one.reported], [[["q1", "this"], ["q2", "empty"]], []]);
  });

  it("that has answered and throws then is reported, whatever it throws", async () => {
    const one = await page({ onMessage: (event, payload, message) => {
      message.reply("yes");
      throw new one.client.RequestError("no");
    } });
    one.ask("q1");
    assert.deepEqual([one.answers(), one.reported.map(({ code }) => code)], [[["q1", "yes"]], ["no"]]);
  });

  it("may defer, and answer when it likes", async () => {
    const later = [];
    const one = await page({ onMessage: (event, payload, message) => { message.defer(); later.push(message); } });
    one.ask("q1");
    one.ask("q2");
    one.ask("q3");
    await settle();
    assert.deepEqual(one.answers(), []);
    later[1].reply(2);
    later[0].refuse("no");
    assert.throws(() => later[2].refuse("x".repeat(65)), TypeError);
    assert.throws(() => later[2].reply(NaN), TypeError);
    later[2].reply();
    assert.deepEqual(one.answers(), [["q2", 2], ["q1", "no"], ["q3", null]]);
    assert.throws(() => later[0].defer(), /answered already/);
  });

  it("that defers in a promise, or fails behind that, keeps nobody waiting", async () => {
    let go;
    const gate = new Promise((resolve) => { go = resolve; });
    const one = await page({ ackDelay: 0, onMessage: async (event, payload, message) => {
      if (!message.id) return;
      message.defer();
      await gate;
      if (payload) throw new Error(payload);
      message.reply("late");
    } });
    one.ask("q1");
    one.ask("q2", "sure", "a fault");
    one.socket.news("");
    await one.wait();
    assert.equal(one.socket.sent.filter(({ event }) => event === "$ack").at(-1).payload.received, 3);
    go();
    await settle();
    assert.deepEqual(one.answers(), [["q1", "late"], ["q2", "internal_error"]]);
    assert.deepEqual(one.reported.map(({ message }) => message), ["a fault"]);
  });

  it("whose answer can't be encoded is an internal_error, and told as an error", async () => {
    const one = await page({ onMessage: (event, payload) => ({ map: new Map(), big: "x".repeat(70_000) })[payload] });
    one.ask("q1", "sure", "map");
    one.ask("q2", "sure", "big");
    assert.deepEqual(one.answers(), [["q1", "internal_error"], ["q2", "internal_error"]]);
    assert.deepEqual(one.reported.map(({ name }) => name), ["TypeError", "MessageTooBig"]);
  });

  it("keeps the order of ordinary messages while a request takes its time", async () => {
    const got = [];
    const finish = {};
    const one = await page({ onMessage: (event, payload) => {
      got.push(payload);
      return payload === "quick" ? null : new Promise((resolve) => { finish[payload] = resolve; });
    } });
    one.ask("q1", "sure", "request");
    one.socket.news("slow");
    one.socket.news("quick");
    await settle();
    assert.deepEqual(got, ["request", "slow"]);  // a promise for a message that is no request holds the next one
    finish.slow();
    await settle();
    assert.deepEqual(got, ["request", "slow", "quick"]);
    finish.request("done");
    await settle();
    assert.deepEqual(one.answers(), [["q1", "done"]]);
  });

  it("has a request again in the next page that this one was still at, and that page answers it", async () => {
    const tab = new Tab(new Locks());
    const got = [];
    const options = { onMessage: (event, payload) => {
      got.push(payload);
      return payload === "sure?" && got.length === 1 ? new Promise(() => {}) : "yes";
    } };
    const first = tab.page();
    await first.connect(options);
    await settle();
    first.socket.hello();
    first.socket.message({ event: "ask", payload: "sure?", id: "q1" });
    first.socket.news("behind it");
    await tab.leave();

    const second = tab.page();
    await second.connect(options);
    await settle();
    assert.equal(second.socket.query.received, "0");
    second.socket.hello({ resumed: true, token: "t2" });
    second.socket.message({ event: "ask", payload: "sure?", id: "q1" });
    second.socket.news("behind it");
    assert.deepEqual(got, ["sure?", "behind it", "sure?"]);
    assert.deepEqual(second.socket.messages, [{ event: "ask", payload: "yes", re: "q1" }]);
    await tab.leave();
  });

  it("has nobody to answer when the session is over: what it returns is dropped, and reply says so", async () => {
    let message;
    let finish;
    const one = await page({ onMessage: (event, payload, its) => {
      message = its;
      return new Promise((resolve) => { finish = resolve; });
    } });
    one.ask("q1");
    one.session.close();
    assert.throws(() => message.reply(1), one.client.SessionClosed);
    message.defer();
    finish("too late");
    await settle();
    assert.deepEqual([one.answers(), one.reported], [[], []]);
  });

  it("never sees what is neither a request nor an answer, with any codec", async () => {
    const { encode } = jsonCodec();
    const one = await page({ codec: { encode, decode: JSON.parse } });
    for (const message of [{ id: 7 }, { id: "a", re: "a" }, { id: "a", error: { code: "x" } }, { re: "a", error: [] }]) one.socket.message({ event: "odd", ...message });
    one.socket.news("fine");
    assert.deepEqual(one.told.filter(([kind]) => kind === "message"), [["message", "fine"]]);
    assert.deepEqual([one.reported.length, one.session.stats.received], [4, 5]);
  });
});

it("errors of requests are told apart", () => {
  for (const code of ["", "x".repeat(65), "👋".repeat(65), 7, undefined]) assert.throws(() => new RequestError(code), TypeError);
  assert.throws(() => new RequestError("a", 7), TypeError);
  const error = new RequestError("👋".repeat(64), "full");
  assert.deepEqual([error.name, error.message, error instanceof Error], ["RequestError", "full", true]);
  assert.ok(!(new RequestInDoubt("sum") instanceof SessionClosed));
  assert.equal(new RequestInDoubt("sum").event, "sum");
});
