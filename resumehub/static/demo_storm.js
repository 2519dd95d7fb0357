// The storm: many messages while the network is cut at random, and a count of what became of them. Each is numbered, handled by
// the server, and answered with a message of its own, so that both directions are counted by the one who must
// know: the receiver. It knows neither the link nor the page; both come in as functions.

const GAP = 15;              // milliseconds between two messages, on average,
const RUSH = 1;              // and while a cut is under way: what is in the air then is what can get lost
const CALM = [100, 600];     // and between two cuts
const OVER = 20_000;         // a server that does not answer at all ends the count, too

export class Storm {
  /** `send(event, payload)` may throw when there is no room; `cut()` cuts the network; `show(counts)` gets every change. */
  constructor({ send, cut, show }) {
    Object.assign(this, { send, cut, show });
    this.running = false;
  }

  start(total, tag) {
    this.running = true;
    this.tag = tag;
    this.back = new Set();   // numbers of the answers
    this.counts = { total, sent: 0, handled: 0, back: 0, repeated: 0, lost: null, cuts: 0, running: true };
    this.show(this.counts);
    this._next();
    this._cutSoon();
  }

  /** An answer of the server: `handled` and `repeated` are its own counts so far. */
  answer({ tag, i, handled, repeated, last }) {
    if (tag !== this.tag || !this.running) return;
    const { counts } = this;
    counts.handled = handled;
    this.theirRepeats = repeated;
    if (last) return this._finish();
    counts.repeated += this.back.has(i) ? 1 : 0;
    this.back.add(i);
    counts.back = this.back.size;
    this.show(counts);
  }

  /** The session has ended in the middle of it. */
  stop() {
    if (this.running) this._finish();
  }

  _next() {
    if (!this.running) return;
    const { counts, tag } = this;
    const i = counts.sent + 1;
    const last = i > counts.total;
    try {
      this.send("demo.storm", last ? { tag, last } : { tag, i });
      if (last) {
        this._timeout = setTimeout(() => this._finish(), OVER);
        return;
      }
      counts.sent = i;
      this.show(counts);
    } catch {
      // No room: as many messages as the window holds are under way. Pressure, not loss: try again.
    }
    setTimeout(() => this._next(), Math.random() * 2 * (this._cutting ? RUSH : GAP));
  }

  async _cutSoon() {
    const [least, most] = CALM;
    await new Promise((resolve) => { setTimeout(resolve, least + Math.random() * (most - least)); });
    const { counts } = this;
    if (!this.running || counts.sent === counts.total) return;
    this._cutting = true;
    const done = await this.cut();
    this._cutting = false;
    if (done) {
      counts.cuts += 1;
      this.show(counts);
    }
    this._cutSoon();
  }

  _finish() {
    clearTimeout(this._timeout);
    this.running = false;
    const { counts } = this;
    counts.repeated += this.theirRepeats ?? 0;
    counts.lost = counts.sent - counts.back;
    counts.running = false;
    this.show(counts);
  }
}
