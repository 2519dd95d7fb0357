// The reload: every worker process is replaced while this page is connected, and a count of what that did to it. An echo
// is asked for twenty times a second, and each answer says which process gave it. What matters is counted by
// the one who must know: the page. It knows neither the link nor the server; both come in as functions.

const GAP = 50;              // milliseconds between two echoes
const LAST = 3_000;          // how long the last answers may take
const OVER = 60_000;         // a reload that never ends

export class Reload {
  /** `ask()` has the server begin; `send(event, payload)` may throw when there is no room; `show(counts)` gets every change. */
  constructor({ ask, send, show }) {
    Object.assign(this, { ask, send, show });
    this.running = false;
  }

  async start(tag) {
    this.running = true;
    this.tag = tag;
    this.asked = new Map();  // number -> when it was sent
    this.back = new Set();
    this.began = performance.now();
    this.replaced = false;   // the server says that no old worker is left
    this.counts = { sent: 0, back: 0, lost: null, repeated: 0, longest: 0, breaks: 0, processes: [], problem: "", running: true };
    this.show(this.counts);
    this._next();
    try {
      await this.ask();
    } catch (error) {
      this.counts.problem = error.message;
      this._finish();
    }
  }

  /** An answer of the server, by the process with this id. */
  answer({ tag, i, pid }) {
    if (tag !== this.tag || !this.running) return;
    const { counts } = this;
    counts.repeated += this.back.has(i) ? 1 : 0;
    this.back.add(i);
    counts.back = this.back.size;
    counts.longest = Math.max(counts.longest, performance.now() - this.asked.get(i));
    if (counts.processes.at(-1) !== pid) counts.processes.push(pid);
    this.show(counts);
  }

  /** A socket ended meanwhile. */
  broke() {
    if (this.running) this.counts.breaks += 1;
  }

  /** What the server says of its workers. */
  progress({ reloading, since }) {
    if (this.running && !reloading && since > this.began) this.replaced = true;
  }

  _next() {
    if (!this.running) return;
    const { counts } = this;
    const now = performance.now();
    const over = now - this.began > OVER;
    this._stopped ??= this.replaced || over ? now : null;
    if (this._stopped !== null) {
      if (counts.back === counts.sent || now - this._stopped > LAST) {
        if (over && !this.replaced) counts.problem = "the old workers have not ended";
        return this._finish();
      }
    } else {
      this._send(now);
    }
    setTimeout(() => this._next(), GAP);
  }

  _send(now) {
    const i = this.counts.sent + 1;
    try {
      this.send("demo.echo", { tag: this.tag, i });
      this.asked.set(i, now);
      this.counts.sent = i;
    } catch {
      // No room, or no session: it is tried again, and what was sent counts.
    }
  }

  _finish() {
    this.running = false;
    this._stopped = null;
    this.counts.lost = this.counts.sent - this.counts.back;
    this.counts.running = false;
    this.show(this.counts);
  }
}
