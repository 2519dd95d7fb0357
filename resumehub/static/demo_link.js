// One session, seen from the demo page. The work is done by resumehub.js, the client that any application would use; this
// turns what that tells into the verdicts and pictures of the page, and adds what only a demo wants: to stay away on
// purpose, and to let a second connection loose on the first. It knows nothing of the DOM. Everything is reported
// through `report(kind, facts)`:
//
//   "phase"            this.phase changed: idle, dialing, open, away, over
//   "outcome" {key, …} a verdict, one of the keys of OUTCOMES in demo_story.js
//   "dial" "open" "close" "message" "sent" "ack"    what happened on a socket, as it happens

import { connect } from "./resumehub.js";

const FIRST_PAUSE = 400;
const LONGEST_PAUSE = 10_000;
const HURRY = 150;           // during a storm: the network is cut faster than anybody should come back

const PROOFS = ["demo.welcome", "demo.restored"];

export class Link {
  /** `address({tab, fresh})` gives the URL of a dial; `slots` remembers under which of two names the session is kept. */
  constructor({ address, slots, report }) {
    this._address = address;
    this._slots = slots;
    this._report = report;
    this._session = null;
    this._rival = null;      // a second session that wants the first one's id, see connectAnew()
    this._timer = 0;
    this._hold = null;       // seconds to stay away after the coming, planned cut
    this._verdict = "";      // of the next proof, where it is not the usual one
    this._resume = false;    // what the latest dial asked for
    this._replayed = 0;
    this._opened = false;    // the latest socket was open, for whatever reason
    this._told = false;      // the hub has heard that the visitor leaves
    this.plain = false;
    this.auto = true;
    this.hurry = false;
    this.phase = "idle";
    this.proven = false;     // the server has confirmed the session of the open socket
    this.droppedAt = null;   // milliseconds, performance.now()
    this.nextDialAt = null;
  }

  /** The client's counters, for the storm. */
  get stats() {
    return this._session?.stats ?? {};
  }

  /** Begin: with the session that this tab had before a reload, if there was one. */
  start() {
    this._session?.close();
    this._session = this._connect(this._slots.current);
  }

  /** Announce that the coming drop is planned: stay away for `seconds`, Infinity for "until comeBack()". */
  plan(seconds) {
    this._hold = seconds;
  }

  /** End the time away now. */
  comeBack() {
    if (this.phase === "away") this._session.reconnect();
  }

  /** Resume with a second socket while the first is open, which the hub then closes with 4101. */
  takeOver() {
    if (this.phase !== "open") return;
    this._verdict = "tookover";
    this._session.reconnect();
  }

  /** Connect with the same id, but as somebody who knows nothing of the session. */
  connectAnew() {
    if (this.phase !== "open") return this.start();
    this._rival = this._connect(this._slots.other, { isRival: true });
  }

  /** Say goodbye: the session ends at once. */
  leave() {
    this._told = this.phase === "open";
    if (this._session) this._session.close();
    else this._end("left", { told: false });
  }

  /** Send, now or when the connection is back. Throws what the client throws. */
  send(event, payload) {
    this._session.send(event, payload);
  }

  _connect(name, { isRival = false } = {}) {
    let session;
    const ours = (method) => (...facts) => {
      if (session === this._session) return method.call(this, ...facts);
      if (session === this._rival) return this._onRival(method, facts);
      return undefined;
    };
    session = connect(({ tab }) => this._address({ tab, isRival }), {
      name,
      plain: this.plain,
      renew: false,
      trace: true,
      // Not the client's own pauses: the visitor decides for how long to stay away.
      pause: (failures) => this._pause(failures),
      onMessage: ours(this._onMessage),
      onConnect: ours(this._onConnect),
      onRestore: ours(this._onRestore),
      onState: ours(this._onState),
      onExpired: ours(this._onExpired),
      onClosed: ours(this._onClosed),
      onTrace: ours(this._onTrace),
    });
    return session;
  }

  // The rival has the id as soon as the server has spoken to it, and has lost if it is closed before.
  _onRival(method, facts) {
    if (method === this._onClosed) {
      this._rival = null;
      this._report("outcome", { key: facts[0].code === 4409 ? "conflict" : "ended", ...facts[0] });
    }
    const begun = method === this._onConnect || (method === this._onMessage && this.plain);
    if (!begun) return undefined;
    this._session.close();   // it has heard 1000 "duplicate connection id", or is about to
    this._session = this._rival;
    this._rival = null;
    this._slots.swap();
    this._report("dial", { resume: false });
    this._begin({ verdict: "anew" });
    return method.call(this, ...facts);
  }

  // What the client tells.

  _onTrace({ kind, ...facts }) {
    TRACES[kind]?.call(this, facts);
  }

  _begin({ verdict = this._verdict } = {}) {
    clearTimeout(this._timer);
    this._verdict = verdict;
    this._replayed = 0;
    this._hold = null;
    this._opened = false;
    this.proven = false;
    this.nextDialAt = null;
  }

  _onMessage(event, payload, { number, replayed }) {
    const received = performance.now();
    const isProof = PROOFS.includes(event);
    // A plain client is not told what is replayed: all that comes before the server's first own word is.
    const isReplayed = this.plain ? !this.proven && !isProof : replayed && !isProof;
    this._replayed += isReplayed ? 1 : 0;
    this._report("message", { event, payload, number, replayed: isReplayed, received });
    if (this.plain && isProof) this._prove(event === "demo.welcome" ? "joined" : "resumed", payload.away);
  }

  _onConnect() {
    if (!this.plain) this._prove("joined");
  }

  _onRestore() {
    if (!this.plain) this._prove("resumed");
  }

  _prove(key, away = this.droppedAt === null ? 0 : (performance.now() - this.droppedAt) / 1000) {
    if (this.proven) return;
    this.proven = true;
    this._report("outcome", { key: this._verdict || key, away, replayed: this._replayed, asked: this._resume });
    this._verdict = "";
    this.droppedAt = null;
    this._setPhase("open");
  }

  _onState({ state, code, reason, pause, reachable }) {
    if (state === "connecting") return this._setPhase("dialing");
    if (state === "waiting") return this._stayAway({ code, reason, pause, reachable });
    return undefined;
  }

  _stayAway({ code, pause, reachable }) {
    if (reachable && (this.proven || this.droppedAt === null)) this.droppedAt = performance.now();
    const planned = this._hold !== null;
    const away = this.droppedAt === null ? 0 : (performance.now() - this.droppedAt) / 1000;
    const wait = planned ? this._hold * 1000 : pause;
    this._hold = null;
    this.proven = false;
    this.nextDialAt = wait === Infinity ? null : performance.now() + wait;
    if (planned && wait !== Infinity) this._timer = setTimeout(() => this.comeBack(), wait);
    const until = wait === Infinity ? "asked" : planned && wait > 0 ? "hold" : "retry";
    const key = code === 4503 ? "full" : !reachable ? "unreachable" : code === 1001 ? "closing" : "dropped";
    this._report("outcome", { key, code, planned, until, away });
    this._setPhase("away");
  }

  // A planned time away is ended by our own timer: the client must not shorten it when somebody looks at the page.
  _pause(failures) {
    if (this._hold !== null || !this.auto) return Infinity;
    if (this.hurry) return Math.random() * HURRY;
    return Math.random() * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** failures);
  }

  _onExpired() {
    const away = this.droppedAt === null ? 0 : (performance.now() - this.droppedAt) / 1000;
    this._end("gone", { away });
  }

  _onClosed({ code, reason }) {
    if (this._rival) {                    // displaced by our own second connection, which is about to be told
      this._report("close", { code, reason, old: true, opened: true });
      return;
    }
    if (code === 4100) return;            // told by _onExpired
    if (reason === "closed by this page") this._report("close", { code, reason: "", old: false, opened: true });
    const key = reason === "closed by this page" ? "left"
      : { 4101: "superseded", 4403: "forbidden", 4409: "conflict" }[code]
        ?? { kicked: "kicked", "duplicate connection id": "displaced" }[reason] ?? "ended";
    this._end(key, { code, reason, told: this._told });
  }

  _end(key, facts = {}) {
    clearTimeout(this._timer);
    this._session = null;
    this.nextDialAt = null;
    this.droppedAt = null;
    this._hold = null;
    this._report("outcome", { key, ...facts });
    this._setPhase("over");
  }

  _setPhase(phase) {
    this.phase = phase;
    this._report("phase", { phase });
  }
}

// The client's trace, in the page's words.
const TRACES = {
  dial({ resume }) {
    this._begin();
    this._resume = resume;
    this._report("dial", { resume });
  },
  opened() {
    this._opened = true;
    this._report("open", {});
  },
  closed({ code, reason }) {
    this._report("close", { code, reason, old: false, opened: this._opened });
  },
  out({ number, again, text }) {
    this._report("sent", { ...JSON.parse(text), number: this.plain ? null : number, again });
  },
  ack({ received }) {
    if (received > 0) this._report("ack", { ours: true, received });
  },
  acked({ received }) {
    this._report("ack", { ours: false, received });
  },
};
