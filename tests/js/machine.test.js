// The decisions of the client, stepped one by one: no socket, no timer, no waiting.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { MessageTooBig, SendBufferFull, SessionClosed } from "../../resumehub/static/resumehub.js";
import { HELLO, Play } from "./play.js";

const KEPT = {
  head: { tab: "tab", live: true, token: "t7", id: "ada", handled: 17, acked: 4, attempt: 3 },
  unacked: [{ text: "five", size: 4 }, { text: "six", size: 3 }],
};

describe("dialing", () => {
  it("asks for no session that it never had", () => {
    const { dial } = new Play();

    assert.deepEqual(dial.protocols, ["resumehub.v1"]);
    assert.deepEqual(dial.query, { reject: "close", attempt: 1, instance: "tab" });
  });

  it("presents its newest token and its count when it resumes, and a higher attempt", () => {
    const play = new Play().connected();
    play.data(3);

    play.closed(1006);
    play.advance(500);

    assert.deepEqual(play.dial.query, { reject: "close", attempt: 2, instance: "tab", resume: "true", received: 3 });
    assert.deepEqual(play.dial.protocols, ["resumehub.v1", "resumehub.token.t1"]);
  });

  it("goes on after a reload with what the page before has kept", () => {
    const play = new Play({}, KEPT);

    assert.deepEqual(play.dial.query, { reject: "close", attempt: 4, instance: "tab", resume: "true", received: 17 });
    play.connected({ resumed: true, received: 5, replay_from: 18 });
    assert.deepEqual(play.written, ["six"]);
    assert.equal(play.machine.head.acked, 5);
  });

  it("takes the handlers off the old socket before it counts and dials", () => {
    const play = new Play().connected().forget();

    play.call("reconnect", play.now);

    const order = play.effects.map((effect) => effect.do).filter((what) => what === "detach" || what === "dial");
    assert.deepEqual(order, ["detach", "dial"]);
  });

  it("waits for a random time below a bound that doubles up to a limit", () => {
    const play = new Play({ firstPause: 100, longestPause: 500 });
    for (let i = 0; i < 4; i += 1) {
      play.closed(1006);
      play.advance(500);
    }

    assert.deepEqual(play.told("state").filter(({ state }) => state === "waiting").map(({ pause }) => pause), [100, 200, 400, 500]);
    const calm = new Play({ firstPause: 100, random: () => 0.25 });
    calm.closed(1006);
    assert.equal(calm.told("state").at(-1).pause, 25);
  });

  it("does not double the bound behind a pause shorter than half of it", () => {
    const drawn = [0.49, 0, 0.5, 0.1, 1, 0.5];
    const play = new Play({ firstPause: 100, longestPause: 800, random: () => drawn.shift() });
    for (let i = 0; i < 6; i += 1) {
      play.closed(1006);
      play.advance(500);
    }
    const pauses = play.told("state").filter(({ state }) => state === "waiting").map(({ pause }) => pause);
    assert.deepEqual(pauses, [49, 0, 50, 20, 200, 200]);
  });

  it("waits as long as a full hub says, five minutes at most", () => {
    for (const [reason, told] of [["try again later (in 7 seconds)", 7_000], ["(in 999999 seconds)", 300_000], ["later", 0]]) {
      const play = new Play({ firstPause: 100 });
      play.closed(4503, reason);
      assert.equal(play.told("state").at(-1).pause, told + 100);
    }
  });

  it("gives a server that restarts a moment: up to two seconds, at random", () => {
    for (const [drawn, pause] of [[1, 2_000], [0.25, 500]]) {
      const play = new Play({ firstPause: 100, random: () => drawn }).connected();
      play.closed(1012, "service restart");
      assert.equal(play.told("state").at(-1).pause, pause);
    }
    const hasty = new Play({ firstPause: 100, longestPause: 400 }).connected();
    hasty.closed(1012, "service restart");
    assert.equal(hasty.told("state").at(-1).pause, 400);
  });

  it("begins with short pauses again once a connection has lasted", () => {
    const play = new Play({ firstPause: 100, stableAfter: 5_000 });
    play.closed(1006);
    play.advance(100);
    play.connected();
    play.advance(5_000);
    play.closed(1006);

    assert.equal(play.told("state").at(-1).pause, 100);
  });

  it("does not take a server that accepts and drops at once for a good one", () => {
    const play = new Play({ firstPause: 100 });
    for (const pause of [100, 200, 400]) {
      play.connected();
      play.closed(1011, "handler error");
      assert.equal(play.told("state").at(-1).pause, pause);
      play.advance(pause);
    }
  });

  it("gives up after so many dials that came to nothing, and hands back what it could not send", () => {
    const play = new Play({ retries: 2, firstPause: 1 });
    play.send("hello");
    for (let i = 0; i < 3; i += 1) {
      play.closed(1006);
      play.advance(10);
    }

    assert.equal(play.machine.state, "closed");
    assert.deepEqual(play.told("closed")[0].inDoubt.map(({ text }) => text), ["hello"]);
    assert.throws(() => play.send(), SessionClosed);
  });

  it("does not give up on a network that is only bad", () => {
    const play = new Play({ retries: 1, firstPause: 1, longestPause: 1 });
    for (let i = 0; i < 10; i += 1) {
      play.closed(1006);
      play.advance(1);
      play.connected({ resumed: i > 0 });
      play.closed(1006);
      play.advance(1);
    }

    assert.equal(play.machine.state, "connecting");
  });

  it("does not wait for ever for an answer", () => {
    const play = new Play({ dialTimeout: 10_000 });
    play.opened();                     // a socket is open, but nobody says $hello

    play.advance(10_000);

    assert.equal(play.machine.state, "waiting");
    assert.equal(play.all("detach").length, 2);
  });

  it("leaves it to the application for how long to stay away", () => {
    const play = new Play({ pause: () => Infinity }).connected();
    play.closed(1006);
    play.advance(1e9);
    play.call("awake", play.now, true);
    assert.equal(play.machine.state, "waiting");

    play.call("reconnect", play.now);
    assert.equal(play.machine.state, "connecting");
  });
});

describe("hints that the network has changed", () => {
  it("dials at once when it is back", () => {
    const play = new Play().connected();
    play.closed(1006);

    play.call("awake", play.now, true);

    assert.equal(play.dial.query.resume, "true");
    assert.equal(play.machine.state, "connecting");
  });

  it("takes over from a socket that may be dead without knowing", () => {
    const play = new Play().connected();

    play.call("awake", play.now, true);

    assert.equal(play.machine.state, "connecting");
    assert.equal(play.told("drop").length, 1);
  });

  it("leaves a connection alone when somebody only looks at the page", () => {
    const play = new Play().connected().forget();

    play.call("awake", play.now, false);

    assert.deepEqual(play.effects, []);
  });

  it("takes a connection for dead on which it sends and nothing ever comes back", () => {
    const play = new Play({ stallTimeout: 30_000 }).connected();
    play.advance(100_000);                       // silence alone proves nothing
    assert.equal(play.machine.state, "open");
    play.send("anybody there?");

    play.advance(29_999);
    assert.equal(play.machine.state, "open");
    play.advance(1);

    assert.equal(play.told("drop")[0].reason, "no sign of life");
    assert.equal(play.machine.state, "connecting");
  });

  it("takes anything that comes for a sign of life", () => {
    const play = new Play({ stallTimeout: 30_000 }).connected();
    play.send("your handler is slow today");
    play.advance(29_999);
    play.data(1);
    play.advance(29_999);

    assert.equal(play.machine.state, "open");
  });
});

describe("what a close code means", () => {
  for (const [code, reason] of [[1000, ""], [1000, "kicked"], [4101, "superseded"], [4403, "forbidden"], [4409, "connection id in use"]]) {
    it(`stays away after ${code} ${reason}`, () => {
      const play = new Play().connected();
      play.send("hello");

      play.closed(code, reason);
      play.advance(1e9);

      assert.equal(play.machine.state, "closed");
      const [{ inDoubt, ...cause }] = play.told("closed");
      assert.deepEqual(cause, { code, reason });
      assert.equal(inDoubt[0].text, "hello");
      assert.equal(play.all("release").length, 1);
      assert.equal(play.all("dial").length, 1);
    });
  }

  for (const code of [1001, 1005, 1006, 1011, 1012, 1013, 1014, 4503]) {
    it(`resumes after ${code}`, () => {
      const play = new Play().connected();

      play.closed(code);
      play.advance(code === 1012 ? 2_000 : 500);

      assert.equal(play.dial.query.resume, "true");
    });
  }

  it("begins a new session after 4100, and hands over what is in doubt", () => {
    const play = new Play({}, KEPT);
    play.opened();
    play.forget();

    play.closed(4100, "session expired");

    const [{ reason, inDoubt }] = play.told("expired");
    assert.equal(reason, "expired");
    assert.deepEqual(inDoubt.map(({ text }) => text), ["five", "six"]);
    assert.deepEqual(play.all("forget").map(({ number }) => number), [5, 6]);
    assert.deepEqual(play.dial.query, { reject: "close", attempt: 5, instance: "tab" });
    assert.deepEqual(play.dial.protocols, ["resumehub.v1"]);
    play.connected();
    assert.deepEqual(play.written, []);
  });

  it("tells a gap from an expired session", () => {
    const play = new Play({}, KEPT);

    play.closed(4100, '{"reason": "gap", "first_available": 42}');

    const [{ reason, firstAvailable }] = play.told("expired");
    assert.deepEqual([reason, firstAvailable], ["gap", 42]);
  });

  it("stays away after 4100 if it is told to", () => {
    const play = new Play({ renew: false }, KEPT);

    play.closed(4100, "session expired");

    assert.equal(play.machine.state, "closed");
    assert.deepEqual(play.told("closed")[0].inDoubt, []);
  });

  it("does not take a network that is down for an expired session", () => {
    const play = new Play({ firstPause: 1, longestPause: 1 }, KEPT);
    for (let i = 0; i < 50; i += 1) {
      play.closed(1006);
      play.advance(1);
    }

    assert.deepEqual(play.told("expired"), []);
    assert.equal(play.dial.query.resume, "true");
  });

  for (const code of [1002, 1007, 1008, 1009]) {
    it(`gives the first message that the server has not handled the blame for ${code}`, () => {
      const play = new Play().connected();
      ["one", "two", "three"].forEach((text) => play.send(text));

      play.closed(code, "bad");
      play.advance(500);
      play.forget();
      play.connected({ resumed: true, received: 1 });      // "one" had been handled: it was not that

      assert.deepEqual(play.told("rejected").map(({ message, ...cause }) => [message.text, cause]), [["two", { code, reason: "bad" }]]);
      assert.deepEqual(play.written, ["three"]);
      assert.deepEqual(play.all("keep").map(({ number, text }) => [number, text]), [[2, "three"]]);
    });
  }

  it("blames no message when it is itself too slow to acknowledge", () => {
    const play = new Play().connected();
    ["one", "two"].forEach((text) => play.send(text));

    play.closed(1008, "no $ack came while the window was full");
    play.advance(500);
    play.connected({ resumed: true, received: 0 });

    assert.deepEqual(play.told("rejected"), []);
  });

  describe("a message that the server could not decode", () => {
    const odd = { number: 2, reason: "JSON that is nested too deeply" };
    const sent = () => {
      const play = new Play().connected();
      ["one", "two", "three"].forEach((text) => play.send(text));
      return play;
    };
    const told = (play) => play.told("rejected").map(({ message, ...cause }) => [message.text, cause]);

    it("is told before it is forgotten, and the connection goes on", () => {
      const play = sent();
      play.control("$rejected", odd);
      play.control("$ack", { received: 3 });
      assert.deepEqual(told(play), [["two", { code: null, ...odd }]]);
      assert.deepEqual([play.machine.state, play.machine.unacked, play.machine.stats.rejected], ["open", [], 1]);
    });

    it("is told once, also when it is told again, or was lost on the way", () => {
      const play = sent();
      play.control("$rejected", odd);
      play.closed(1006);
      play.advance(500);
      play.connected({ resumed: true, received: 3, rejected: [odd, { number: 3, reason: "late" }] });
      play.closed(1006);
      play.advance(1_000);
      play.connected({ resumed: true, received: 3, rejected: [odd, { number: 3, reason: "late" }] });
      assert.deepEqual(told(play).map(([text]) => text), ["two", "three"]);
    });

    it("is not in doubt", () => {
      const play = sent();
      play.control("$rejected", odd);
      play.closed(4100);
      assert.deepEqual(play.told("expired")[0].inDoubt.map(({ text }) => text), ["one", "three"]);
      assert.equal(play.all("forget").length, 3);
    });

    it("may be one that is not ours, or no message at all", () => {
      const play = sent();
      for (const number of [null, 0, 4, 1e9, "2x"]) play.control("$rejected", { number, reason: "a control message" });
      assert.deepEqual([told(play), play.machine.state], [[], "open"]);
    });
  });

  it("blames nobody when the server turns out to have handled everything", () => {
    const play = new Play().connected();
    play.send("one");
    play.closed(1009);
    play.advance(500);

    play.connected({ resumed: true, received: 1 });

    assert.deepEqual(play.told("rejected"), []);
  });
});

describe("sending", () => {
  it("keeps what is sent until the server has handled it", () => {
    const play = new Play().connected();
    ["one", "two", "three"].forEach((text) => play.send(text));
    assert.deepEqual(play.all("keep").map(({ number, text }) => [number, text]), [[1, "one"], [2, "two"], [3, "three"]]);

    play.control("$ack", { received: 2 });

    assert.deepEqual(play.all("forget").map(({ number }) => number), [1, 2]);
    assert.deepEqual(play.machine.inFlight, { messages: 1, bytes: 5 });
  });

  it("sends the rest again after a resume, in order, before anything new", () => {
    const play = new Play().connected();
    ["one", "two", "three"].forEach((text) => play.send(text));
    play.closed(1006);
    play.send("four");
    play.advance(500);
    play.forget();

    play.connected({ resumed: true, received: 1 });

    assert.deepEqual(play.written, ["two", "three", "four"]);
    assert.equal(play.machine.stats.resent, 2);
  });

  it("keeps what is sent before it is connected, and behind what the page before has kept", () => {
    const play = new Play({}, KEPT);
    play.send("seven");
    play.connected({ resumed: true, received: 4, replay_from: 18 });

    assert.deepEqual(play.written, ["five", "six", "seven"]);
    assert.deepEqual(play.all("keep").map(({ number, text }) => [number, text]), [[7, "seven"]]);
  });

  it("says so when the window is full, by messages or by bytes, and sends nothing", () => {
    const play = new Play().connected({ window: { messages: 2, bytes: 10 } });
    play.send("1234567");
    assert.throws(() => play.send("1234"), SendBufferFull);
    play.send("89");
    assert.throws(() => play.send(""), SendBufferFull);
    assert.deepEqual(play.written, ["1234567", "89"]);

    play.control("$ack", { received: 1 });
    play.send("12345678");
    assert.equal(play.written.length, 3);
  });

  it("does not overrun a window that turns out smaller than what already waits", () => {
    const play = new Play();
    ["one", "two", "three"].forEach((text) => play.send(text));

    play.connected({ window: { messages: 2, bytes: 100 } });
    assert.deepEqual(play.written, ["one", "two"]);
    play.control("$ack", { received: 1 });
    assert.deepEqual(play.written, ["one", "two", "three"]);
  });

  it("refuses what the server would not take, also when it learns that late", () => {
    const play = new Play();
    play.send("too big");
    play.send("fits");

    play.connected({ max_message_size: 5 });

    assert.deepEqual(play.told("rejected").map(({ code, message }) => [code, message.text]), [[1009, "too big"]]);
    assert.deepEqual(play.written, ["fits"]);
    assert.throws(() => play.send("123456"), MessageTooBig);
  });

  describe("a message over the server's window", () => {
    const narrow = { window: { messages: 16, bytes: 10 } };

    it("goes when nothing else is unacknowledged, and the others behind it", () => {
      const play = new Play();
      ["1", "12345678901", "2"].forEach((text) => play.send(text));     // before the window is known

      play.connected(narrow);
      assert.deepEqual(play.written, ["1"]);
      play.control("$ack", { received: 1 });
      assert.deepEqual(play.written, ["1", "12345678901"]);
      play.control("$ack", { received: 2 });
      assert.deepEqual(play.written, ["1", "12345678901", "2"]);
    });

    it("is taken as soon as nothing else waits, and with nothing behind it", () => {
      const play = new Play().connected(narrow);
      play.send("1");
      assert.throws(() => play.send("12345678901"), SendBufferFull);
      play.control("$ack", { received: 1 });

      play.send("12345678901");

      assert.deepEqual(play.written, ["1", "12345678901"]);
      assert.throws(() => play.send("2"), SendBufferFull);
      play.control("$ack", { received: 2 });
      play.send("2");
      assert.deepEqual(play.machine.inFlight, { messages: 1, bytes: 1 });
    });

    it("goes again after a resume, also when the window has become smaller meanwhile", () => {
      const play = new Play().connected();
      play.send("12345678901");
      play.closed(1006);
      play.advance(500);
      play.forget();

      play.connected({ resumed: true, ...narrow });

      assert.deepEqual(play.written, ["12345678901"]);
    });
  });

  it("says at once what could never be sent, before and after it knows the server, and whatever waits", () => {
    const play = new Play({ sendBufferBytes: 10 });
    const tooBig = { name: "MessageTooBig", message: /has 11 bytes, more than sendBufferBytes \(10\)/ };
    assert.throws(() => play.send("12345678901"), tooBig);
    play.connected({ max_message_size: 5 });
    play.send("12345");
    assert.throws(() => play.send("12345678901"), { name: "MessageTooBig", message: /the server takes 5/ });
    play.send("12345");

    assert.throws(() => play.send("123456"), { name: "MessageTooBig" });      // not "later", though the buffer is full
    assert.throws(() => play.send("1"), { name: "SendBufferFull" });
    const plain = new Play({ sendBufferBytes: 10, plain: true });
    assert.throws(() => plain.send("12345678901"), tooBig);
  });

  it("hands back what a hub of a smaller limit would not take, and goes on", () => {
    const play = new Play().connected();
    ["one", "too big", "two"].forEach((text) => play.send(text));
    play.closed(1006);
    play.send("also too big");
    play.advance(500);
    play.forget();

    play.connected({ resumed: true, received: 1, max_message_size: 5 });

    assert.deepEqual(play.told("rejected").map(({ code, message }) => [code, message.text]), [[1009, "too big"], [1009, "also too big"]]);
    assert.deepEqual(play.written, ["two"]);
    assert.deepEqual(play.all("keep").map(({ number, text }) => [number, text]), [[2, "two"]]);
  });

  it("is not confused by a record that is older than what the server knows", () => {
    const play = new Play({}, KEPT);

    play.connected({ resumed: true, received: 9, replay_from: 18 });
    play.send("ten");

    assert.deepEqual(play.written, ["ten"]);
    assert.equal(play.all("keep").at(-1).number, 10);
  });
});

describe("acknowledging", () => {
  it("does so at once after $hello, and again a second after the first message", () => {
    const play = new Play().connected();
    assert.deepEqual(play.acks, [0]);

    play.data(2);
    play.advance(999);
    play.data(1);
    assert.deepEqual(play.acks, [0]);
    play.advance(1);

    assert.deepEqual(play.acks, [0, 3]);
    play.advance(100_000);
    assert.deepEqual(play.acks, [0, 3]);
  });

  it("does so when half of the window is used up, by messages or by bytes", () => {
    const play = new Play().connected({ window: { messages: 10, bytes: 1_000 } });
    play.data(5);
    assert.deepEqual(play.acks, [0, 5]);
    play.data(1, 500);
    assert.deepEqual(play.acks, [0, 5, 6]);
  });

  describe("out of step with the other pages of a room", () => {
    const phases = [0, 0.01, 0.125, 0.3, 0.5, 0.77, 0.999, 1];
    const room = (phase, window) => new Play({ random: () => phase }).connected({ window });
    const after = (first, step, end) => Array.from({ length: Math.floor((end - first) / step) + 1 }, (_, i) => first + i * step);

    for (const phase of phases) {
      it(`does so first at a random share of half of the window, then at every half (${phase})`, () => {
        const byMessages = room(phase, { messages: 256, bytes: 1 << 20 });
        byMessages.data(1_000, 1);
        assert.deepEqual(byMessages.acks, [0, ...after(Math.max(1, Math.ceil(phase * 128)), 128, 1_000)]);

        const byBytes = room(phase, { messages: 256, bytes: 2_000 });
        byBytes.data(1_000, 10);
        assert.deepEqual(byBytes.acks, [0, ...after(Math.max(1, Math.ceil(phase * 100)), 100, 1_000)]);
      });
    }

    it("waits for company between half of its time and all of it, always as long", () => {
      const play = room(0.5, { messages: 256, bytes: 1 << 20 });
      for (const [number, wait] of [[1, 750], [2, 750], [3, 750]]) {
        play.data(1);
        play.advance(wait - 1);
        assert.equal(play.acks.at(-1), number - 1);
        play.advance(1);
        assert.equal(play.acks.at(-1), number);
      }
    });

    it("begins anew after a pause, in which all have acknowledged everything", () => {
      const play = room(0.25, { messages: 16, bytes: 1 << 20 });
      play.data(1);
      play.advance(2_000);
      assert.deepEqual(play.acks, [0, 1]);
      for (let number = 0; number < 20; number++) play.data(1);
      assert.deepEqual(play.acks, [0, 1, 3, 11, 19]);
    });

    for (const messages of [16, 17]) {
      it(`never does so at the same message as a page with another phase (window ${messages})`, () => {
        const half = Math.ceil(messages / 2);
        const moments = [];
        for (let step = 1; step <= half; step += 1) {
          const play = room((2 * step) / messages, { messages, bytes: 1 << 20 });
          play.data(5_000, 1);
          moments.push(...play.acks.slice(1));
        }
        assert.deepEqual(moments.sort((one, other) => one - other), after(1, 1, 5_000));
      });
    }

    it("is never late for it", () => {
      for (const phase of [...phases, -1, 1.5, Infinity]) {
        for (const messages of [1, 2, 3, 8, 9, 256]) {
          const play = room(phase, { messages, bytes: 1_000 });
          let first = 0;
          let waiting = [];
          for (let number = 1; number < 500; number += 1) {
            const size = [1, 40, 300][Math.floor(number / 50) % 3];
            first = waiting.length === 0 ? play.now : first;
            waiting.push(size);
            play.data(1, size);
            waiting = waiting.slice(waiting.length - (number - play.acks.at(-1)));
            if (play.acks.at(-1) === number) waiting = [];
            assert.ok(2 * waiting.length < messages, `${phase}: ${waiting.length} messages of ${messages}`);
            assert.ok(2 * waiting.reduce((sum, bytes) => sum + bytes, 0) < 1_000);
            assert.ok(waiting.length === 0 || play.machine.deadline <= first + 1_000);
            play.advance([0, 30, 300][Math.floor(number / 150) % 3]);
            if (play.acks.at(-1) === number) waiting = [];
          }
        }
      }
    });

    it("draws anew on each connection", () => {
      let phase = 0.5;
      const play = new Play({ random: () => phase }).connected({ window: { messages: 16, bytes: 1 << 20 } });
      play.data(12);
      assert.deepEqual(play.acks, [0, 4, 12]);
      play.closed(1006);
      play.advance(500);
      phase = 0.25;
      play.connected({ resumed: true, replay_from: 13, window: { messages: 16, bytes: 1 << 20 } });
      play.data(10);
      assert.deepEqual(play.acks.slice(3), [12, 14, 22]);
    });
  });

  it("counts a message when the application is done with it, and not before", () => {
    const play = new Play().connected();
    play.slow = true;
    play.data(3);
    play.advance(10_000);
    assert.deepEqual([play.delivered, play.acks], [[1], [0]]);

    play.finish();
    assert.deepEqual(play.delivered, [1, 2]);
    assert.equal(play.machine.head.handled, 1);
    play.advance(1_000);
    assert.deepEqual(play.acks, [0, 1]);
  });

  it("gives the application no message twice that it was at when the connection was lost", () => {
    const play = new Play().connected();
    play.slow = true;
    play.data(3);                                          // it is at 1; 2 and 3 wait
    play.closed(1006);
    play.advance(500);
    assert.equal(play.dial.query.received, 0);
    play.finish();                                         // 1 is done, during the dial

    play.connected({ resumed: true, replay_from: 1 });
    play.finish();                                         // 2 is done as well
    play.advance(1_000);
    assert.deepEqual(play.acks, [0, 0]);                   // neither: on this connection they have not come yet
    play.data(4);
    while (play.held.length > 0) play.finish();

    assert.deepEqual(play.delivered, [1, 2, 3, 4]);
    assert.equal(play.machine.stats.skipped, 3);
    play.advance(1_000);
    assert.equal(play.acks.at(-1), 4);
  });

  it("takes what was missed for handled, in its place", () => {
    const play = new Play().connected();
    play.data(1);
    play.control("$missed", { from: 2, to: 6 });
    play.data(1);
    play.advance(1_000);

    assert.deepEqual(play.delivered, [1, 7]);
    const missed = play.all("deliver").find(({ item }) => item.kind === "missed");
    assert.deepEqual(missed.item.detail, { from: 2, to: 6, count: 5 });
    assert.equal(play.acks.at(-1), 7);
  });

  it("says that it is back behind what was replayed", () => {
    const play = new Play().connected();
    play.closed(1006);
    play.advance(500);
    play.forget();
    play.opened();
    play.hello({ resumed: true });
    play.data(2);
    play.control("$replayed", { messages: 2 });
    play.data(1);

    const order = play.all("deliver").map(({ item }) => (item.kind === "message" ? item.replayed : item.kind));
    assert.deepEqual(order, [true, true, "restore", false]);
  });

  it("does not count a message of the old session in the new one", () => {
    const play = new Play().connected();
    play.slow = true;
    play.data(2);
    play.closed(1006);
    play.advance(500);
    play.closed(4100, "session expired");
    play.connected();

    play.finish();
    assert.deepEqual(play.delivered, [1, 2]);              // it had arrived: it is not thrown away
    play.finish();
    assert.equal(play.machine.head.handled, 0);
  });

  it("keeps the new token before it lets the server know that it has it", () => {
    const play = new Play();
    play.opened();

    const effects = play.hello({ token: "t2" });

    const saved = effects.findLastIndex((effect) => effect.do === "save" && effect.head.token === "t2");
    const acked = effects.findIndex((effect) => effect.do === "write");
    assert.ok(saved >= 0 && saved < acked);
  });

  it("skips control messages that it does not know", () => {
    const play = new Play().connected();
    play.control("$future", { anything: true });
    play.control("$ack", { received: "many" });

    assert.equal(play.machine.state, "open");
    assert.equal(play.machine.head.handled, 0);
  });
});

describe("the end", () => {
  it("says 1000, forgets everything, and tells nothing afterwards", () => {
    const play = new Play().connected();
    play.slow = true;
    play.data(2);
    play.send("hello");

    play.call("close");
    play.finish();
    play.call("close");
    play.advance(1e9);

    assert.equal(play.all("detach").at(-1).code, 1000);
    assert.deepEqual(play.delivered, [1]);
    assert.equal(play.told("closed").length, 1);
    assert.equal(play.machine.deadline, Infinity);
  });

  it("can come before the first dial", () => {
    const play = new Play();
    play.call("close");
    play.closed(1006);
    assert.equal(play.machine.state, "closed");
  });
});

describe("plain", () => {
  const plain = (options) => new Play({ plain: true, ...options });

  it("has a nonce instead of a token, and no subprotocol", () => {
    const { dial } = plain();
    assert.deepEqual(dial.protocols, []);
    assert.deepEqual(dial.query, { reject: "close", attempt: 1, instance: "tab" });
  });

  it("says how many messages it has handled", () => {
    const play = plain();
    play.opened();
    play.data(2);
    play.closed(1006);
    play.advance(500);

    assert.deepEqual(play.dial.query, { reject: "close", attempt: 2, instance: "tab", resume: "true", received: 2 });
    play.opened();
    play.data(1);
    assert.deepEqual(play.delivered, [1, 2, 3]);
    assert.deepEqual(play.acks, []);
  });

  it("sends once, and again only what it never wrote", () => {
    const play = plain();
    play.send("early");
    play.opened();
    assert.deepEqual(play.written, []);                    // it may be a refusal: that would swallow it
    play.advance(750);
    play.send("written");
    assert.deepEqual(play.written, ["early", "written"]);
    play.closed(1006);
    play.send("away");
    play.advance(500);
    play.forget();
    play.opened();
    play.data(1);

    assert.deepEqual(play.written, ["away"]);
    assert.deepEqual(play.machine.inFlight, { messages: 0, bytes: 0 });
  });

  it("hands back what it could not write to a session that is gone", () => {
    const play = plain();
    play.opened();
    play.data(1);
    play.closed(1006);
    play.send("hello");
    play.advance(500);
    play.opened();                                         // open for a moment, for the sake of the close code
    play.closed(4100, "session expired");

    assert.deepEqual(play.told("expired")[0].inDoubt.map(({ text }) => text), ["hello"]);
    assert.equal(play.dial.query.resume, undefined);
  });

  describe("at a full hub, where each dial is open before it is refused", () => {
    const refusals = [[4503, "try again later (in 5 seconds)"], [1013, "too many sessions"], [1001, "server shutting down"]];
    for (const [code, reason] of [...refusals, [1006, ""]]) {
      it(`is not connected, and loses no session and no message, by ${code}`, () => {
        const play = plain({ firstPause: 100, longestPause: 800 });
        play.send("hello");
        const pauses = [];
        for (let i = 0; i < 4; i += 1) {
          play.opened();
          play.advance(374);
          play.closed(code, reason);
          pauses.push(play.told("state").at(-1).pause % 5_000);
          play.advance(5_800);
          if (!play.dial.query.resume) continue;
          assert.equal(code, 1006);                        // a close frame that was lost: it can't know
          play.opened();
          play.closed(4100, "session expired");
        }
        assert.deepEqual(pauses, [100, 200, 400, 800]);
        assert.deepEqual(["expired", "connect", "drop"].flatMap((name) => play.told(name)), []);
        assert.ok(play.told("state").every(({ state }) => state !== "open"));
        assert.deepEqual(play.written, []);
        assert.equal(play.dial.query.resume, undefined);

        play.opened();
        play.data(1);

        assert.deepEqual(play.told("connect"), [{ id: null }]);
        assert.deepEqual(play.written, ["hello"]);
      });
    }

    it("goes on asking for the session that it has", () => {
      const play = plain();
      play.opened();
      play.data(2);
      for (const [code, reason] of refusals) {
        play.closed(code, reason);
        play.advance(play.told("state").at(-1).pause);
        play.opened();
      }
      assert.deepEqual(play.dial.query, { reject: "close", attempt: 4, instance: "tab", resume: "true", received: 2 });
    });
  });

  it("goes on with a session of which it was not sure when the connection broke", () => {
    const play = plain();
    play.send("hello");
    play.opened();
    play.closed(1006);
    play.advance(500);
    assert.equal(play.dial.query.resume, "true");          // a new one would displace it, if it is there

    play.opened();
    play.advance(750);

    assert.deepEqual([play.told("connect"), play.told("restore"), play.written], [[{ id: null }], [], ["hello"]]);
    play.closed(1006);
    play.advance(1_000);
    play.opened();
    play.closed(4100, "session expired");
    assert.deepEqual(play.told("expired").map(({ reason }) => reason), ["expired"]);
  });

  it("believes in a silent connection after twice the time that a refusal is held back", () => {
    const play = plain();
    play.opened();
    play.advance(749);
    assert.deepEqual([play.machine.state, play.told("connect")], ["connecting", []]);
    play.advance(1);
    assert.deepEqual([play.machine.state, play.told("connect")], ["open", [{ id: null }]]);
  });
});

describe("a busy server", () => {
  for (const [reason, asked] of [
    ["try again later (in 5 seconds)", 5_000], ["try again later", 0], ["try again later (in 999999 seconds)", 300_000], ["(in -1 seconds)", 0],
  ]) {
    it(`is left alone for as long as it says, and a random pause more: ${reason}`, () => {
      const play = new Play({ firstPause: 100 });
      play.opened();
      play.closed(4503, reason);
      assert.equal(play.told("state").at(-1).pause, asked + 100);
      play.advance(asked + 99);
      assert.equal(play.all("dial").length, 1);
      play.advance(1);
      assert.equal(play.all("dial").length, 2);
      assert.deepEqual(play.told("expired"), []);
    });
  }

  it("does not make it forget its session", () => {
    const play = new Play({}, KEPT);
    play.opened();
    play.closed(4503, "try again later (in 5 seconds)");
    play.advance(5_500);
    assert.equal(play.dial.query.resume, "true");
    assert.deepEqual(play.dial.protocols, ["resumehub.v1", "resumehub.token.t7"]);
  });
});

it("tells, if asked, what happens on the wire", () => {
  const play = new Play({ trace: true }).connected();
  play.send("one");
  play.data(1);
  play.control("$ack", { received: 1 });

  assert.deepEqual(play.told("trace").map(({ kind }) => kind), ["dial", "opened", "hello", "ack", "replayed", "out", "in", "acked"]);
  assert.equal(HELLO.received, 0);
});
