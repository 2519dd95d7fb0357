// The card that shows the worker processes: which there are, which of them holds the hub and since when, and what the hub's
// moves did to this page's WebSocket. It takes what the server says with each timeline, in seconds of the
// page's performance.now(), and puts it into the document as text.

import { $, el } from "./demo_page.js";
import { lineWords, reloadWords } from "./demo_story.js";

export class WorkersCard {
  constructor() {
    this.found = null;
    this.reload = null;      // of the latest reload: its counts
    this.opened = null;      // when this page's socket was opened; null while there is none
    this.base = null;        // how many moves there had been by then
    this.broken = false;     // a socket of this page has ended without being asked to
  }

  /** Where there is one process only, `found` is null, and the card is not shown. */
  update(found) {
    this.found = found;
    $("workers").hidden = !found;
    if (!found) return;
    const { hub } = found;
    if (hub && this.opened !== null && (this.base === null || hub.since <= this.opened)) {
      this.base = hub.since <= this.opened ? hub.moves : hub.moves - 1;
    }
  }

  /** This page's socket is open. */
  open(at) {
    this.opened = at;
    this.base = this.found?.hub?.moves ?? null;
  }

  /** It is not. */
  close() {
    this.opened = null;
    this.base = null;
  }

  tick(now) {
    const { found } = this;
    if (!found) return;
    $("workers-count").textContent = String(found.processes.length);
    $("processes").replaceChildren(...found.processes.map((one) => this._process(one, now)));
    const moves = this.opened !== null && this.base !== null && found.hub ? found.hub.moves - this.base : 0;
    $("line").dataset.tone = this.opened === null ? "wait" : "good";
    $("line").dataset.moves = String(moves);
    $("line").textContent = lineWords(this.opened === null ? null : now - this.opened, moves);
    $("reload").disabled = !found.may_reload || found.reloading || this.opened === null || this.reload?.running === true;
    $("reload").textContent = found.reloading || this.reload?.running ? "Reloading …" : "Reload the workers";
    $("reload-words").textContent = this.reload ? reloadWords(this.reload) : found.may_reload
      ? "Every process is replaced, as in a deploy. Meanwhile this page asks for an echo twenty times a second."
      : "Only who sits at the server's own machine may reload them.";
    $("reload-words").dataset.tone = !this.reload || this.reload.running ? "" : isGood(this.reload) ? "good" : "bad";
  }

  _process({ pid, since }, now) {
    const { hub, reload_at: reloadAt, reloading } = this.found;
    const holds = hub?.pid === pid;
    const leaves = reloading && since <= reloadAt;
    const row = el("li", "process", el("b", "", `Process ${pid}`),
      el("span", "", holds ? `holds the hub, for ${ago(now - hub.since)}` : "a worker"),
      el("small", "", leaves ? "is leaving" : `started ${ago(now - since)} ago`));
    row.dataset.hub = String(holds);
    row.dataset.leaves = String(leaves);
    return row;
  }
}

export const isGood = ({ lost, repeated, breaks, problem }) => !problem && lost === 0 && repeated === 0 && breaks === 0;

function ago(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return whole < 100 ? `${whole} s` : whole < 6000 ? `${Math.floor(whole / 60)} min` : `${Math.floor(whole / 3600)} h`;
}
