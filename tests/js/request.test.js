// Requests and their answers, as the machine decides about them: facts in, effects out, time by hand. What the session makes of
// it (promises, callbacks, a reload) is in request_session.test.js.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { MessageTooBig, RequestFailed, RequestInDoubt, RequestTimeout, SendBufferFull, SessionClosed } from "../../resumehub/static/resumehub.js";
import { Play } from "./play.js";

/** The machine asks; the text is the id, to be told apart by. */
const ask = (play, id = "a1", options = {}) => play.call("request", { id, event: "sum", ...options }, id, 10, play.now);
const arrive = (play, message) => play.call("arrived", { event: "", payload: null, ...message }, 10, play.now);
const settled = (play) => play.all("settle").map(({ id, payload, error }) => [id, error ? error.constructor : payload]);
const numbers = (items) => items.map(({ number }) => number);

/** A play whose application holds what it gets, until the test says what comes of it. */
function slow(kept = null) {
  const play = new Play({ ackDelay: 1_000 }, kept);
  play.connected(kept ? { resumed: true, replay_from: kept.head.pending[0] ?? kept.head.handled + 1 } : {}).forget();
  play.slow = true;
  return play;
}

describe("a request of ours", () => {
  it("is written, and settled by the answer that names it", () => {
    const play = new Play().connected();
    ask(play, "a1");
    ask(play, "a2");
    arrive(play, { payload: 5, re: "a2" });
    arrive(play, { payload: null, re: "a1" });
    assert.deepEqual(play.written, ["a1", "a2"]);
    assert.deepEqual(settled(play), [["a2", 5], ["a1", null]]);
  });

  it("is settled by a refusal, with its code and its text", () => {
    const play = new Play().connected();
    ask(play, "a1");
    ask(play, "a2");
    arrive(play, { re: "a1", error: { code: "no_such_room", message: "There is none" } });
    arrive(play, { re: "a2", error: { code: "internal_error" } });
    const [one, other] = play.all("settle").map(({ error }) => error);
    assert.ok(one instanceof RequestFailed);
    assert.deepEqual([one.code, one.message, other.code, other.message], ["no_such_room", "There is none", "internal_error", "internal_error"]);
  });

  it("waits for its timeout, which goes on while there is no connection, and no longer", () => {
    const play = new Play({ pause: () => Infinity }).connected();
    ask(play, "a1", { timeout: 5_000 });
    ask(play, "a2");
    play.closed(1006);
    play.advance(4_999);
    assert.deepEqual(settled(play), []);
    play.advance(1);
    assert.deepEqual(settled(play), [["a1", RequestTimeout]]);
    play.advance(24_999);
    assert.equal(settled(play).length, 1);
    play.advance(1);
    assert.deepEqual(settled(play)[1], ["a2", RequestTimeout]);
    assert.equal(play.machine.deadline, Infinity);
  });

  for (const timeout of [null, Infinity]) {
    it(`waits for ever with ${timeout}, and then sets no timer`, () => {
      const play = new Play().connected();
      play.call("request", { id: "a1", event: "sum", timeout }, "x", 1, 0);
      arrive(play, { re: "nobody" });
      play.control("$ack", { received: 1 });
      play.advance(1e12);
      assert.equal(play.machine.deadline, Infinity);
      assert.deepEqual(settled(play), []);
    });
  }

  for (const timeout of [0, -1, NaN, "5", {}]) {
    it(`is not sent with a timeout of ${JSON.stringify(timeout)}`, () => {
      const play = new Play().connected();
      assert.throws(() => ask(play, "a1", { timeout }), RangeError);
      assert.deepEqual(play.written, []);
    });
  }

  it("is sent again after a drop, like any message, and answered once", () => {
    const play = new Play({ firstPause: 0 }).connected();
    ask(play);
    play.closed(1006);
    play.advance(0);
    play.connected({ resumed: true, received: 0 });
    arrive(play, { payload: 1, re: "a1" });
    play.closed(1006);                           // our acknowledgement of the answer is lost with it
    play.advance(0);
    play.opened();
    play.hello({ resumed: true, received: 1, replay_from: 1 });
    arrive(play, { payload: 1, re: "a1" });
    assert.deepEqual(play.written, ["a1", "a1"]);
    assert.deepEqual(settled(play), [["a1", 1]]);
  });

  it("has its answer past the messages that wait, and the answer counts as handled in its turn", () => {
    const play = slow();
    play.data(2);
    ask(play);
    arrive(play, { payload: "at once", re: "a1" });
    assert.deepEqual(settled(play), [["a1", "at once"]]);
    assert.equal(play.machine.head.handled, 0);
    play.finish();
    play.finish();
    assert.equal(play.machine.head.handled, 2);
    assert.equal(play.held[0].kind, "answer");
    play.finish();
    assert.equal(play.machine.head.handled, 3);
  });

  it("has no second answer, and a late one or a stranger's is ignored; each counts as handled", () => {
    const play = new Play().connected();
    ask(play, "a1", { timeout: 10 });
    ask(play, "a2");
    play.advance(10);
    arrive(play, { payload: "late", re: "a1" });
    arrive(play, { payload: "first", re: "a2" });
    arrive(play, { payload: "second", re: "a2" });
    arrive(play, { payload: "of the page before", re: "b7" });
    assert.deepEqual(settled(play), [["a1", RequestTimeout], ["a2", "first"]]);
    assert.deepEqual([play.machine.head.handled, play.machine.stats.late, play.machine.stats.requests], [4, 3, 2]);
    assert.deepEqual(play.delivered, []);        // nothing of it is a message for the application
  });

  it("can be abandoned", () => {
    const play = new Play().connected();
    ask(play);
    play.machine.abandon("a1");
    arrive(play, { payload: 1, re: "a1" });
    play.control("$ack", { received: 1 });
    assert.deepEqual(settled(play), []);
    play.advance(1e9);
    assert.equal(play.machine.deadline, Infinity);
  });

  it("is refused when too many are open, or when there is no room, or on a session that is over", () => {
    const play = new Play({ maxRequests: 2, sendBuffer: 3 }).connected({ max_message_size: 100 });
    ask(play, "a1");
    ask(play, "a2");
    assert.throws(() => ask(play, "a3"), (error) => error instanceof SendBufferFull && /maxRequests/.test(error.message));
    arrive(play, { re: "a1" });
    ask(play, "a3");
    arrive(play, { re: "a2" });
    assert.throws(() => ask(play, "a4"), (error) => error instanceof SendBufferFull && /3 messages/.test(error.message));
    play.control("$ack", { received: 3 });
    assert.throws(() => play.call("request", { id: "a4", event: "sum" }, "x", 101, 0), MessageTooBig);
    play.call("close");
    assert.throws(() => ask(play, "a4"), SessionClosed);
  });

  it("is in doubt when the session ends, unless it was never written", () => {
    const play = new Play({ pause: () => Infinity }).connected();
    ask(play, "a1");
    play.control("$ack", { received: 1 });       // it was handled; its answer is not here
    ask(play, "a2");
    play.closed(1006);
    ask(play, "a3");
    play.call("close");
    assert.deepEqual(settled(play), [["a1", RequestInDoubt], ["a2", RequestInDoubt], ["a3", SessionClosed]]);
    assert.equal(play.machine.deadline, Infinity);
  });

  it("is in doubt when the session expires or is replaced, and the new session does not wait for it", () => {
    for (const end of [(play) => play.closed(4100, "session expired"), (play) => play.hello({ resumed: false })]) {
      const play = new Play({ firstPause: 0 }).connected();
      ask(play);
      play.closed(1006);
      play.advance(0);
      end(play);
      assert.deepEqual(settled(play), [["a1", RequestInDoubt]]);
      assert.deepEqual(play.told("expired")[0].inDoubt.map(({ text }) => text), ["a1"]);
      play.connected();
      arrive(play, { payload: 1, re: "a1" });
      assert.equal(play.machine.stats.late, 1);
    }
  });

  it("fails, and was not handled, when the server rejects it", () => {
    const play = new Play({ firstPause: 0 }).connected();
    ["a1", "a2", "a3"].forEach((id) => ask(play, id));
    play.control("$rejected", { number: 1, reason: "no such codec" });
    play.control("$ack", { received: 1 });
    play.closed(1008, "bad");
    play.advance(0);
    play.opened();
    play.hello({ resumed: true, received: 1, max_message_size: 9 });
    const errors = play.all("settle").map(({ id, error }) => [id, error.constructor, error.code]);
    assert.deepEqual(errors, [["a1", RequestFailed, "rejected"], ["a2", MessageTooBig, undefined], ["a3", MessageTooBig, undefined]]);
    assert.equal(play.told("rejected").length, 3);
  });

  it("takes the blame when the connection ends for it", () => {
    const play = new Play({ firstPause: 0 }).connected();
    ask(play);
    play.closed(1008, "bad");
    play.advance(0);
    play.connected({ resumed: true, received: 0 });
    const [{ error }] = play.all("settle");
    assert.deepEqual([error.constructor, error.code, error.message], [RequestFailed, "rejected", "bad"]);
  });

  it("is written once in a plain session, and waits through a drop for an answer", () => {
    const play = new Play({ plain: true, firstPause: 0 });
    play.opened();
    play.data();
    ask(play);
    play.closed(1006);
    play.advance(0);
    play.opened();
    arrive(play, { payload: 1, re: "a1" });
    assert.deepEqual(play.written, ["a1"]);
    assert.deepEqual(settled(play), [["a1", 1]]);
  });
});

describe("a request of the server's", () => {
  const asked = (play, id) => arrive(play, { event: "sure", id });
  const promise = (play) => play.call("promised", play.held[0], play.now);
  const answer = (play, item, text = `re ${item.id}`) => play.call("answer", item, text, 10, play.now);

  it("is answered once", () => {
    const play = slow();
    asked(play, "q1");
    const [item] = play.held;
    assert.ok(play.machine.owes(item));
    answer(play, item);
    assert.ok(!play.machine.owes(item));
    assert.throws(() => answer(play, item), /answered already/);
    assert.throws(() => play.machine.defer(item, 0), /answered already/);
    assert.deepEqual(play.written, ["re q1"]);
  });

  it("that is promised lets the next messages come, and holds back the acknowledgement until it is done", () => {
    const play = slow();
    asked(play, "q1");
    play.data(2);
    assert.deepEqual(play.delivered, [1]);
    const [item] = play.held;
    promise(play);
    play.held.shift();
    play.finish();
    play.finish();
    assert.deepEqual(play.delivered, [1, 2, 3]);
    play.advance(5_000);
    assert.deepEqual(play.acks, []);
    assert.deepEqual([play.machine.head.handled, play.machine.head.pending], [3, [1]]);

    play.call("handled", item, play.now);
    play.advance(5_000);
    assert.deepEqual([play.machine.head.pending, play.acks], [[], [3]]);
  });

  it("that was promised comes again in the page behind a reload, and nothing else does", () => {
    const before = slow();
    asked(before, "q1");
    promise(before);
    before.held.shift();
    before.data(2);
    before.finish();
    before.finish();
    const { head } = before.all("save").at(-1);

    const play = slow({ head, unacked: [] });
    assert.equal(play.machine.head.tab, "tab");
    asked(play, "q1");
    play.data(3);
    assert.deepEqual(numbers(play.held), [1]);
    assert.equal(play.machine.stats.skipped, 2);
    answer(play, play.held[0]);
    play.finish();
    assert.deepEqual([play.machine.head.handled, play.machine.head.pending], [3, []]);
    assert.deepEqual(numbers(play.held), [4]);
  });

  it("that was promised is asked for from the server after a drop, and not given twice to one page", () => {
    const play = slow();
    asked(play, "q1");
    promise(play);
    const item = play.held.shift();
    play.data(1);
    play.finish();
    play.closed(1006);
    play.advance(500);
    assert.equal(play.dial.query.received, 0);
    play.connected({ resumed: true, replay_from: 1 }).forget();
    asked(play, "q1");
    play.data(1);
    assert.deepEqual(play.delivered, []);
    play.call("handled", item, play.now);
    play.advance(1_000);
    assert.deepEqual([play.acks, play.all("report")], [[2], []]);
  });

  it("that was promised is counted from in a plain session, too", () => {
    const play = new Play({ plain: true, firstPause: 0 });
    play.slow = true;
    play.opened();
    asked(play, "q1");
    promise(play);
    play.held.shift();
    play.data(1);
    play.finish();
    play.closed(1006);
    play.advance(0);
    assert.equal(play.dial.query.received, 0);
    play.opened();
    asked(play, "q1");
    play.data(2);
    play.finish();                               // of onRestore
    assert.deepEqual([numbers(play.held), play.machine.stats.skipped], [[3], 2]);
  });

  it("that a page before was at is expected again in its own session only", () => {
    const play = slow({ head: { ...slow().machine.head, tab: "tab", live: true, handled: 1, pending: [1] }, unacked: [] });
    play.slow = false;
    play.closed(4100, "session expired");
    play.advance(500);
    play.connected();
    play.data(1);
    play.closed(1006);
    play.advance(1_000);
    play.connected({ resumed: true, replay_from: 1 });
    play.data(1);
    assert.equal(play.machine.stats.skipped, 1);
  });

  it("that waited while its session was lost is none of the next one's", () => {
    const play = slow();
    play.data(1);
    asked(play, "q1");
    play.closed(4100, "session expired");
    play.advance(500);
    play.connected();
    play.finish();
    const [item] = play.held;
    assert.equal(item.id, "q1");
    promise(play);
    assert.deepEqual([play.machine.head.handled, play.machine.head.pending], [0, []]);
  });

  it("that is deferred counts as handled as soon as the application has returned", () => {
    const play = slow();
    asked(play, "q1");
    play.call("defer", play.held[0], 0);
    promise(play);
    assert.deepEqual([play.machine.head.handled, play.machine.head.pending], [1, []]);
    asked(play, "q2");
    play.held.shift();
    promise(play);
    assert.deepEqual(play.machine.head.pending, [2]);
    const [item] = play.held;
    play.call("defer", item, 0);
    assert.deepEqual(play.machine.head.pending, []);
    answer(play, item);
    assert.deepEqual(play.written, ["re q2"]);
  });

  it("is answered although the buffer is full, and waits with the rest", () => {
    const play = slow();
    const small = new Play({ sendBuffer: 1 });
    small.connected();
    small.slow = true;
    small.send("full");
    asked(small, "q1");
    assert.throws(() => small.send("more"), SendBufferFull);
    answer(small, small.held[0]);
    assert.deepEqual(small.written, ["full"]);
    small.control("$ack", { received: 1 });
    assert.deepEqual(small.written, ["full", "re q1"]);
    assert.throws(() => { asked(play, "q1"); play.machine.answer(play.held[0], "x", 1e9, 0); }, MessageTooBig);
    assert.ok(play.machine.owes(play.held[0]));  // so it can be answered otherwise
  });

  it("with the id of one that is open is no message, and with a free id it is one", () => {
    const play = slow();
    asked(play, "q1");
    asked(play, "q1");
    assert.equal(play.all("report").length, 1);
    answer(play, play.held[0]);
    play.finish();
    assert.equal(play.held[0].broken, true);
    play.finish();
    asked(play, "q1");
    assert.deepEqual([play.held[0].broken, play.machine.head.handled], [false, 2]);
    answer(play, play.held[0]);
  });

  it("is one too many behind maxRequests", () => {
    const play = new Play({ maxRequests: 1 });
    play.connected();
    play.slow = true;
    asked(play, "q1");
    asked(play, "q2");
    assert.equal(play.held[0].refusal, undefined);
    answer(play, play.held[0]);
    play.finish();
    assert.equal(play.held[0].refusal.code, "too_many_requests");
  });

  it("of a session that is over has nobody who waits for an answer", () => {
    const play = slow();
    asked(play, "q1");
    const [item] = play.held;
    play.closed(4100, "session expired");
    play.advance(500);
    play.connected();
    assert.ok(!play.machine.owes(item));
    assert.throws(() => answer(play, item), SessionClosed);
    play.call("handled", item, play.now);
    assert.equal(play.machine.head.handled, 0);  // it was the other session's
    play.held.shift();
    play.finish();                               // of onRestore
    asked(play, "q1");
    answer(play, play.held[0]);
    assert.deepEqual(play.written, ["re q1"]);
  });
});
