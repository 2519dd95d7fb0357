// Asks the server what it saw. Polls /timeline: quickly while things happen, slowly when nothing does,
// not at all while the page is hidden. It also learns how the server's clock and the page's relate, from
// the answer with the shortest round trip, so that both sides fit on one time axis.
// All times it gives are seconds of this page's performance.now().

const BUSY = 400;
const IDLE = 2_500;
const BUSY_FOR = 6_000;

export class Events {
  /** `query()` gives {room, who}, or null while there is nothing to ask; `deliver(event)` gets `at` converted. */
  constructor({ query, deliver, settings, workers, restarted }) {
    this._query = query;
    this._workers = workers;
    this._deliver = deliver;
    this._settings = settings;
    this._restarted = restarted;
    this._after = 0;
    this._asked = 0;
    this._run = null;
    this._roundTrip = Infinity;
    this._offset = null;
    this._timer = 0;
    this._asking = false;
    this._again = false;
    this._busyUntil = 0;
    document.addEventListener("visibilitychange", () => this.poke());
  }

  /** Something just happened: ask now, and often for a while. */
  poke() {
    this._busyUntil = performance.now() + BUSY_FOR;
    this._schedule(30);
  }

  /** Ask from the first event again: who we are has only now become known. */
  restart() {
    this._asked += 1; // an answer that is still under way was for somebody else
    this._after = 0;
    this.poke();
  }

  /** Turn a time of the server into one of the page; null before the first answer. */
  toPage(at) {
    return this._offset === null ? null : at - this._offset;
  }

  // The times of the workers are those of the timeline, too.
  _onPage({ processes, hub, reload_at: reloadAt, ...rest }) {
    return {
      ...rest,
      processes: processes.map((one) => ({ ...one, since: this.toPage(one.since) })),
      hub: hub && { ...hub, since: this.toPage(hub.since) },
      reload_at: reloadAt === null ? null : this.toPage(reloadAt),
    };
  }

  _schedule(pause) {
    clearTimeout(this._timer);
    if (!document.hidden) this._timer = setTimeout(() => this._ask(), pause);
  }

  async _ask() {
    const query = this._query();
    if (!query) return;
    if (this._asking) {
      this._again = true;
      return;
    }
    this._asking = true;
    let more = false;
    const asked = this._asked;
    try {
      const began = performance.now();
      const parameters = new URLSearchParams({ ...query, after: String(this._after) });
      const answer = await fetch(`timeline?${parameters}`, { cache: "no-store" });
      if (!answer.ok) throw new Error(`timeline answered ${answer.status}`);
      const page = await answer.json();
      more = asked === this._asked ? this._take(page, began, performance.now()) : true;
    } catch {
      // The server is away, which the link notices by itself: try again later.
      this._busyUntil = 0;
    }
    this._asking = false;
    const soon = more || this._again;
    this._again = false;
    this._schedule(soon ? 30 : performance.now() < this._busyUntil ? BUSY : IDLE);
  }

  _take(page, began, ended) {
    if (this._run !== null && this._run !== page.run) {
      // Another process answers: its numbers and its clock begin anew.
      this._run = page.run;
      this._roundTrip = Infinity;
      this._restarted();
      if (this._after > 0) {
        this._after = 0;
        return true;
      }
    }
    this._run = page.run;
    if (ended - began <= this._roundTrip) {
      this._roundTrip = ended - began;
      this._offset = page.now - (began + ended) / 2000;
    }
    this._settings(page.settings);
    this._workers(page.workers && this._onPage(page.workers));
    this._after = page.next;
    for (const event of page.events) this._deliver({ ...event, at: this.toPage(event.at) });
    if (page.events.length > 0) this._busyUntil = performance.now() + BUSY_FOR;
    return page.more;
  }
}
