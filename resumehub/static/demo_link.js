// One session, seen from the page: dials, notices how a socket ended, and decides what to do next.
// It knows sockets and timers and nothing of the DOM. Everything it does is reported through
// `report(kind, facts)`:
//
//   "phase"            this.phase changed: idle, dialing, open, away, over
//   "outcome" {key, …} a verdict, one of the keys of OUTCOMES in demo_story.js
//   "dial" "open" "close" "message" "sent"    what happened on a socket, as it happens
//
// A browser never shows the status of a refused upgrade, so every dial says `reject=close`: the server
// then accepts and closes at once with a code (4100 for 410, 4409 for 409, …). An open
// socket is therefore no proof of anything yet; the first message of the demo's server is.

const FIRST_PAUSE = 400;
const LONGEST_PAUSE = 10_000;

export class Link {
  /** `address(resume)` gives the URL of a dial. */
  constructor({ address, report }) {
    this._address = address;
    this._report = report;
    this._socket = null;
    this._old = null;        // still open beside the current one, see takeOver()
    this._beside = "";
    this._timer = 0;
    this._attempt = 0;
    this._hold = null;       // seconds to stay away after the coming, planned cut
    this._resume = false;    // what the latest dial asked for
    this._replayed = 0;
    this._leaving = false;
    this.auto = true;
    this.phase = "idle";
    this.proven = false;     // the server has confirmed the session of the open socket
    this.droppedAt = null;   // milliseconds, performance.now()
    this.nextDialAt = null;
  }

  /** Open a session, without asking to resume one. */
  start() {
    this._dial(false);
  }

  /** Go on with a session that may be waiting; also when the old socket is still open. */
  resume() {
    this._dial(true);
  }

  /** Announce that the coming drop is planned: stay away for `seconds`, Infinity for "until comeBack()". */
  plan(seconds) {
    this._hold = seconds;
  }

  /** End the time away now. */
  comeBack() {
    if (this.phase === "away") this._dial(true);
  }

  /** Resume with a second socket while the first is still open, which the hub then closes with 4101. */
  takeOver() {
    if (this.phase === "open") this._dial(true, { beside: "tookover" });
  }

  /** Connect with the same id, but without asking to resume. */
  connectAnew() {
    this._dial(false, { beside: this.phase === "open" ? "anew" : "" });
  }

  /** Say goodbye: the session ends at once. */
  leave() {
    if (this._socket && this.phase === "open") {
      this._leaving = true;
      this._socket.close(1000);
      return;
    }
    this._forget();
    this._end("left");
  }

  /** Send now; false while there is nothing to send on. */
  send(event, payload) {
    if (this.phase !== "open" || this._socket.readyState !== WebSocket.OPEN) return false;
    this._socket.send(JSON.stringify({ event, payload }));
    this._report("sent", { event, payload });
    return true;
  }

  // `beside` leaves the old socket open, for the hub to decide about, and names the outcome if it yields.
  _dial(resume, { beside = "" } = {}) {
    clearTimeout(this._timer);
    if (beside) this._keepBeside();
    else this._forget();
    this._beside = beside;
    this._resume = resume;
    this._replayed = 0;
    this._hold = null;
    this._leaving = false;
    this.proven = false;
    this.nextDialAt = null;
    const socket = this._socket = new WebSocket(this._address(resume));
    this._setPhase("dialing");
    this._report("dial", { resume });
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this._report("open", { resume });
    };
    socket.onmessage = ({ data }) => this._onMessage(socket, data);
    socket.onclose = ({ code, reason }) => this._onClose(code, reason, opened);
  }

  // Forget the sockets. Handlers go first: what an old socket still says must not be taken for the next one's.
  _forget({ close = true } = {}) {
    for (const socket of [this._socket, this._old]) {
      if (!socket) continue;
      socket.onopen = socket.onmessage = socket.onclose = null;
      if (close && socket.readyState < WebSocket.CLOSING) socket.close(4000, "replaced by the page");
    }
    this._socket = this._old = null;
  }

  _keepBeside() {
    const old = this._old = this._socket;
    old.onclose = ({ code, reason }) => {
      if (this._old === old) this._old = null;
      this._report("close", { code, reason, old: true, opened: true });
    };
  }

  _onMessage(socket, data) {
    const received = performance.now();
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    const { event = "", payload = null } = message;
    if (socket !== this._socket) return this._report("message", { event, payload, replayed: false, received });
    const isProof = event === "demo.welcome" || event === "demo.restored";
    const replayed = !this.proven && !isProof;
    if (replayed) this._replayed += 1;
    this._report("message", { event, payload, replayed, received });
    if (event === "demo.welcome") this._prove("joined", {});
    if (event === "demo.restored") this._prove("resumed", payload);
  }

  _prove(key, payload) {
    if (this.proven) return;
    this.proven = true;
    this._attempt = 0;
    const away = payload?.away ?? (this.droppedAt === null ? 0 : (performance.now() - this.droppedAt) / 1000);
    const facts = { away, replayed: this._replayed, asked: this._resume };
    this._report("outcome", { key: this._beside || key, ...facts });
    this._beside = "";
    this.droppedAt = null;
    this._setPhase("open");
  }

  _onClose(code, reason, opened) {
    const wasProven = this.proven;
    this._report("close", { code, reason, old: false, opened });
    if (code === 4409 && this._old) return this._goOnWithOld();
    this._forget({ close: false });
    const away = this.droppedAt === null ? 0 : (performance.now() - this.droppedAt) / 1000;
    if (code === 1000 || code === 1005) {
      if (this._leaving) return this._end("left");
      if (reason === "kicked") return this._end("kicked");
      if (reason === "duplicate connection id") return this._end("displaced");
      return this._end("ended", { code, reason });
    }
    if (code === 4100) return this._end("gone", { away });
    if (code === 4101) return this._end("superseded");
    if (code === 4403) return this._end("forbidden");
    if (code === 4409) return this._end("conflict");
    if (code === 1013) return this._stayAway("full", { away });
    if (!opened) return this._stayAway("unreachable", { away });
    if (wasProven || this.droppedAt === null) this.droppedAt = performance.now();
    return this._stayAway(code === 1001 ? "closing" : "dropped", { code });
  }

  // The server kept the first of the two sockets.
  _goOnWithOld() {
    const socket = this._socket = this._old;
    this._old = null;
    this._beside = "";
    this.proven = true;
    socket.onclose = ({ code, reason }) => this._onClose(code, reason, true);
    this._report("outcome", { key: "conflict" });
    this._setPhase("open");
  }

  _end(key, facts = {}) {
    clearTimeout(this._timer);
    this.nextDialAt = null;
    this.droppedAt = null;
    this._hold = null;
    this._report("outcome", { key, ...facts });
    this._setPhase("over");
  }

  _stayAway(key, facts) {
    const planned = this._hold !== null;
    const pause = planned ? this._hold * 1000 : this.auto ? this._pause() : Infinity;
    this._hold = null;
    this.nextDialAt = pause === Infinity ? null : performance.now() + pause;
    // A session that was never confirmed has nothing to resume.
    const resume = this.droppedAt !== null || this._resume;
    if (this.nextDialAt !== null) this._timer = setTimeout(() => this._dial(resume), pause);
    const until = this.nextDialAt === null ? "asked" : planned && pause > 0 ? "hold" : "retry";
    this._report("outcome", { key, planned, until, ...facts });
    this._setPhase("away");
  }

  // Grows, with a random part: after an outage not all pages may come back in the same instant.
  _pause() {
    const most = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this._attempt);
    this._attempt += 1;
    return most * (0.5 + Math.random() / 2);
  }

  _setPhase(phase) {
    this.phase = phase;
    this._report("phase", { phase });
  }
}
