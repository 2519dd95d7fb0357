// A client of resumehub.js that counts, in node (node_clients.mjs) and in a page (page_app.py): it sends numbers and takes
// down those that come. The same as `Ours` in tests/cluster/members.py, whose verdict is made of what `tell` gives.

export const pad = (n) => "x".repeat((n * 37) % 211);
const LIFE = 1;

export class Counting {
  sent = 0;
  echoes = 0;
  gap = 0;                     // the longest time between two echoes, in seconds
  lanes = {};                  // "echo", "broadcast WHO", "send WHO" → numbers, in the order in which they came
  damaged = [];
  #lastEcho = 0;
  #firstDials = 0;             // until it was connected
  #inDoubt = [];
  #cause = "";

  constructor(connect, url, name) {
    this.name = name;
    this.session = connect(url, {
      storage: null,
      firstPause: 100,
      onConnect: () => { this.#firstDials ||= this.session.stats.dials; },
      onMessage: (event, payload) => this.#take(event, payload),
      onExpired: ({ inDoubt }) => this.#end("expired", inDoubt),
      onClosed: ({ code, reason, inDoubt }) => this.#end(`${code} ${reason}`, inDoubt),
    });
  }

  /** Send the next number, if no more than `window` have no echo. */
  say(window) {
    if (!this.#firstDials || this.#cause || this.sent - this.echoes >= window) return;
    this.session.send("up", [LIFE, this.sent + 1, pad(this.sent + 1)]);
    this.sent += 1;
  }

  /** Count the gaps between echoes from now on. */
  again() { this.gap = this.#lastEcho = 0; }

  /** How it is now. */
  look() {
    const { dials } = this.session.stats;
    return {
      sent: this.sent, echoes: this.echoes, gap: this.gap, connected: this.#firstDials > 0,
      dials: dials - this.#firstDials, refused: this.#firstDials - 1, why: this.#cause,
    };
  }

  /** All that it has taken down. */
  tell() { return { ...this.look(), lanes: this.lanes, damaged: this.damaged, doubtful: this.#inDoubt }; }

  close() { this.session.close(); }

  #take(event, payload) {
    const [who, n, padding] = Array.isArray(payload) ? payload : [];
    if (!["echo", "broadcast", "send"].includes(event) || padding !== pad(n) || (event === "echo" && who !== LIFE)) {
      this.damaged.push(JSON.stringify([event, payload]));
      return;
    }
    const lane = event === "echo" ? event : `${event} ${who}`;
    (this.lanes[lane] ??= []).push(n);
    if (event !== "echo") return;
    const now = performance.now() / 1000;
    this.echoes += 1;
    if (this.#lastEcho) this.gap = Math.max(this.gap, now - this.#lastEcho);
    this.#lastEcho = now;
  }

  #end(cause, inDoubt = []) {
    this.#cause ||= cause;
    this.#inDoubt.push(...inDoubt.filter(({ event }) => event === "up").map(({ payload }) => payload[1]));
  }
}
