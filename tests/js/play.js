// Steps a Machine by hand: facts in, effects out, and a clock that only the test moves.

import { Machine } from "../../resumehub/static/resumehub.js";

export const HELLO = {
  connection_id: "ada", token: "t1", resumed: false, received: 0, replay_from: 1, window: { messages: 256, bytes: 1 << 20 },
  resume_window: 30, ping_interval: 20, max_message_size: 65_536,
};

/**
 * A machine, the time, and all effects so far. Messages are handled at once unless `slow`. What is drawn is the most: the
 * longest pauses, and no acknowledgement before half of the window.
 */
export class Play {
  now = 0;
  effects = [];
  slow = false;
  held = [];             // items that a slow application has not finished

  constructor(options = {}, kept = null) {
    this.machine = new Machine({ random: () => 1, trace: false, ...options });
    this.#take(this.machine.start(this.now, "tab", kept));
  }

  opened() { return this.#take(this.machine.opened(this.now)); }

  hello(change = {}) { return this.control("$hello", { ...HELLO, ...change }); }

  control(event, payload) { return this.#take(this.machine.arrived({ event, payload }, 10, this.now)); }

  /** `count` data messages arrive. */
  data(count = 1, size = 10) {
    for (let i = 0; i < count; i += 1) this.#take(this.machine.arrived({ event: "news", payload: null }, size, this.now));
  }

  /** The slow application finishes the oldest message it has. */
  finish() { return this.#take(this.machine.handled(this.held.shift(), this.now)); }

  send(text = "x", size = text.length) { return this.#take(this.machine.send(text, size, this.now)); }

  closed(code, reason = "") { return this.#take(this.machine.closed(code, reason, this.now)); }

  call(method, ...values) { return this.#take(this.machine[method](...values)); }

  /** Move the clock, stopping at each deadline on the way. */
  advance(milliseconds) {
    const until = this.now + milliseconds;
    while (this.machine.deadline <= until) {
      this.now = Math.max(this.now, this.machine.deadline);
      this.#take(this.machine.tick(this.now));
    }
    this.now = until;
  }

  /** Connected, with a session. */
  connected(change) {
    this.opened();
    this.hello(change);
    this.control("$replayed", { messages: 0 });
    return this;
  }

  /** Effects of one kind since the last call of `forget`. */
  all(kind) { return this.effects.filter((effect) => effect.do === kind); }

  told(name) { return this.all("tell").filter((effect) => effect.name === name).map(({ detail }) => detail); }

  get written() { return this.all("write").flatMap(({ text }) => text ?? []); }

  get acks() { return this.all("write").flatMap(({ message }) => message?.payload.received ?? []); }

  get delivered() { return this.all("deliver").map(({ item }) => item).filter(({ kind }) => kind === "message").map(({ number }) => number); }

  get dial() { return this.all("dial").at(-1); }

  forget() {
    this.effects = [];
    return this;
  }

  #take(effects) {
    this.effects.push(...effects);
    for (const { do: what, item } of effects) {
      if (what !== "deliver") continue;
      if (this.slow) this.held.push(item);
      else this.#take(this.machine.handled(item, this.now));
    }
    return effects;
  }
}
