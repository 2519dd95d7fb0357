// What the timeline shows, as plain data: bars, dots and sentences, made from events of both sides.
// Pure: no DOM, no clock, no socket. Times are seconds of the page's performance.now().
//
// The page reports what it did and saw (`page`), the server what the hub did (`server`). Both
// describe the same story, so each lane has one source: the page's and the transport's lanes come from
// the page, the session's and the buffer's from the server.

const KEEP = 900; // seconds

export class Model {
  constructor() {
    this.clear();
  }

  clear() {
    this.transports = [];  // {from, to, label, kind: "handshake"|"live"|"refused", end, title}
    this.sessions = [];    // {from, to, reason}
    this.waits = [];       // {from, to, window, end: "restored"|"closed"}
    this.held = [];        // {from, to, row, end: "replayed"|"lost"}
    this.arrows = [];      // {at, direction: "down"|"up", kind: "live"|"replayed"|"own"|"again", title, text}
    this.acks = [];        // {at, ours, title, text}
    this.levels = [];      // {at, used, title, text}: how much the hub keeps for the session
    this.unproven = [];    // the same of the page: sent, and not acknowledged
    this.ticks = [];       // {at, kind, title, text}: what the hub sent at once, and what it received
    this.marks = [];       // {at, lane, kind, label, title, text}
    this.words = [];       // {at, text, tone, key, count}
    this.window = 30;
    this.began = null;
    this.version = 0;
    this._number = 0;
  }

  /** The server's process has changed: what its hub held is gone with it. */
  serverRestarted(at) {
    this._endSession(at, "hub_close");
    this._note(at, "Another server process answers: its sessions begin anew.", "bad");
  }

  page(kind, at, facts) {
    PAGE[kind]?.call(this, at, facts);
    this._touch(at);
  }

  server(event) {
    SERVER[event.kind]?.call(this, event.at, event);
    this._touch(event.at);
  }

  /** Forget what is too old to be looked at. */
  prune(now) {
    const old = now - KEEP;
    const ended = (thing) => thing.to !== null && thing.to < old;
    for (const list of ["transports", "sessions", "waits", "held"]) {
      this[list] = this[list].filter((thing) => !ended(thing));
    }
    for (const list of ["arrows", "acks", "levels", "unproven", "ticks", "marks", "words"]) this[list] = this[list].filter((thing) => thing.at >= old);
  }

  /** Is something growing, so that the picture changes without any event? */
  get waiting() {
    return this.waits.some((wait) => wait.to === null);
  }

  /** How many messages were sent while the page was away, and not replayed. What it had not acknowledged before is not among them. */
  get keptWhileAway() {
    const wait = this._wait;
    return wait ? this.held.filter((held) => held.from >= wait.from && held.end !== "replayed").length : 0;
  }

  get _session() {
    const last = this.sessions.at(-1);
    return last && last.to === null ? last : null;
  }

  get _wait() {
    const last = this.waits.at(-1);
    return last && last.to === null ? last : null;
  }

  _touch(at) {
    this.version += 1;
    if (this.began === null || at < this.began) this.began = at;
  }

  _level(at, used, capacity) {
    this.levels.push({ at, used, title: `Kept by the hub: ${used} of ${capacity}`, text: "Messages that wait for this page." });
  }

  _mark(at, lane, kind, label, title, text) {
    this.marks.push({ at, lane, kind, label, title, text });
  }

  // Alike ones in a row become one sentence with a count.
  _note(at, text, tone = "", key = "") {
    const last = this.words.at(-1);
    if (key && last?.key === key) {
      last.count += 1;
      last.text = text;
      return;
    }
    this.words.push({ at, text, tone, key, count: 1 });
  }

  _openSession(at) {
    if (this._session) return;
    this.sessions.push({ from: at, to: null, reason: "" });
  }

  _endSession(at, reason) {
    this._endWait(at, "closed");
    const session = this._session;
    if (session) Object.assign(session, { to: at, reason });
    for (const held of this.held) if (held.to === null) Object.assign(held, { to: at, end: "lost" });
  }

  _endWait(at, end) {
    const wait = this._wait;
    if (wait) Object.assign(wait, { to: Math.max(at, wait.from), end });
  }

  _endTransport(at, end, title) {
    const transport = this.transports.at(-1);
    if (transport && transport.to === null) Object.assign(transport, { to: at, end, title });
  }
}

const REASONS = {
  normal: "the client left or the session was closed",
  kick: "kicked",
  transport_lost: "the transport was lost and resumption is off",
  grace_expired: "the grace window ran out",
  hub_close: "the server shut down",
  duplicate: "a newer connect took its id",
  handler_error: "a handler failed",
  gap: "a resume could not be met without a gap",
};

export const reasonWords = (reason) => REASONS[reason] ?? reason;

const seconds = (value) => `${value.toFixed(1)} s`;

const PAGE = {
  dial(at, { resume }) {
    this._endTransport(at, "replaced", "Replaced by the next one");
    this.transports.push({ from: at, to: null, kind: "handshake", label: "", end: "", title: "Handshake under way" });
    this._mark(at, "page", "dial", "", resume ? "Dial with resume=true" : "Dial", resume
      ? "The page asks for its session back." : "The page asks for a new session.");
    this._note(at, resume ? "The page dials and asks for its session back (resume=true)." : "The page dials for a new session.");
  },

  proven(at, { key, replayed }) {
    const transport = this.transports.at(-1);
    if (!transport || transport.to !== null) return;
    this._number = key === "joined" || key === "anew" ? 1 : this._number + 1;
    Object.assign(transport, { kind: "live", label: `#${this._number}`, title: `Transport ${this._number} of this session` });
    const resumed = key === "resumed" || key === "tookover";
    this._note(at, resumed
      ? `101: the session goes on with its transport number ${this._number}${replayed ? `; ${replayed} kept messages came first` : ""}.`
      : "101: connected, a new session.", "good");
  },

  close(at, { code, reason, old, opened }) {
    const said = reason ? ` “${reason}”` : "";
    if (old) {
      this._mark(at, "transport", "end", String(code), `The first socket ended: ${code}${said}`, "The hub closed it when the second one took its place.");
      this._note(at, `The first socket was closed with ${code}${said}.`);
      return;
    }
    const transport = this.transports.at(-1);
    if (transport?.kind === "handshake") transport.kind = "refused";
    this._endTransport(at, String(code), transport?.kind === "refused"
      ? (opened ? `Refused: close code ${code}${said}` : "No answer from the server")
      : `Transport ended: close code ${code}${said}`);
    this._mark(at, "transport", code === 1000 || code === 1005 ? "end" : "cut", opened ? String(code) : "✕",
      opened ? `Close code ${code}${said}` : "No answer", opened && code === 1006 ? "The connection went away without a close frame." : "");
    this._note(at, opened ? `The socket ended with close code ${code}${said}.` : "The server did not answer.", code === 1000 ? "" : "bad");
  },

  got(at, { title, text, replayed }) {
    this.arrows.push({ at, direction: "down", kind: replayed ? "replayed" : "live", title, text });
    this._note(at, replayed ? "A kept message arrived, replayed." : `Arrived: ${title}.`, "", replayed ? "got-replayed" : "got");
  },

  said(at, { title, text, again }) {
    this.arrows.push({ at, direction: "up", kind: again ? "again" : "own", title, text });
    this._note(at, again ? `The page sent again: ${title}.` : `The page sent: ${title}.`, "", again ? "again" : "said");
  },

  unproven(at, { used }) {
    if (this.unproven.at(-1)?.used === used) return;
    this.unproven.push({ at, used, title: `Kept by the page: ${used}`, text: "Messages that the server has not acknowledged yet." });
  },

  ack(at, { ours, received }) {
    this.acks.push({ at, ours, title: `$ack ${received}`, text: ours
      ? `The page has handled the server's messages up to number ${received}.`
      : `The server has handled the page's messages up to number ${received}.` });
    this._note(at, `${ours ? "The page" : "The server"} acknowledged up to number ${received}.`, "", ours ? "ack" : "acked");
  },
};

const SERVER = {
  opened(at) {
    this._endSession(at, "duplicate");
    this._openSession(at);
    this._note(at, "The hub opened a session.");
  },

  closed(at, { reason, lived }) {
    const lost = this.keptWhileAway;
    this._openSession(at - (lived ?? 0));
    this._endSession(at, reason);
    const bad = reason !== "normal";
    this._mark(at, "session", reason === "normal" ? "end" : "gone", "", `Session ended: ${reasonWords(reason)}`,
      lost ? `${lost} kept message${lost === 1 ? "" : "s"} went with it.` : "");
    this._note(at, `The hub ended the session: ${reasonWords(reason)}${lost ? `; ${lost} kept message${lost === 1 ? " is" : "s are"} lost` : ""}.`, bad ? "bad" : "");
  },

  drop(at, { takeover, cause, code }) {
    if (takeover) {
      this._note(at, "on_transport_drop: the old transport was taken over.");
      return;
    }
    this._openSession(at);
    this._endWait(at, "restored");
    this.waits.push({ from: at, to: null, window: this.window, end: "" });
    this._note(at, `on_transport_drop (${cause}${code ? ` ${code}` : ""}): the session is suspended for up to ${seconds(this.window)}.`, "wait");
  },

  resumed(at, { buffered }) {
    this._openSession(at);
    this._endWait(at, "restored");
    this._mark(at, "session", "resumed", "101", "Resumed", buffered ? `${buffered} kept messages are about to be replayed.` : "Nothing was kept.");
    this._note(at, `The hub resumed the session${buffered ? ` and replays ${buffered} messages` : ""}.`, "good");
  },

  restore(at, { away }) {
    this._note(at, `on_transport_restore, after ${seconds(away)} away.`);
  },

  moved(at, { pid }) {
    this._openSession(at);
    this._mark(at, "session", "moved", `→ ${pid}`, `The hub moved to process ${pid}`, "The session went along, and so did its open WebSocket.");
    this._note(at, `The hub moved: process ${pid} goes on with the session.`, "good");
  },

  resume_refused(at, { status }) {
    this._mark(at, "session", "refused", String(status), status === 410 ? "410 Gone" : "4100 expired", status === 410
      ? "A resume was asked for, and the session was no longer there." : "The session died while the upgrade was under way.");
    this._note(at, `The hub refused to resume: ${status === 410 ? "410 Gone" : "4100, it died during the upgrade"}.`, "bad");
  },

  superseded(at) {
    this._mark(at, "session", "resumed", "4101", "Superseded", "A resume came while the old transport looked alive: the new one wins.");
    this._note(at, "The hub superseded the old transport (4101).");
  },

  buffered(at, { used, capacity }) {
    this._level(at, used, capacity);
    if (!this._wait) return; // a slow moment of an open connection, over in milliseconds
    this.held.push({ from: at, to: null, row: used, end: "", used, capacity });
    this._note(at, `The hub keeps a message for later (buffer: ${used} of ${capacity}).`, "wait", "buffered");
  },

  released(at, { used, capacity }) {
    this._level(at, used, capacity);
  },

  replayed(at) {
    const held = this.held.find((one) => one.to === null);
    if (held) Object.assign(held, { to: at, end: "replayed" });
    this._note(at, "The hub replayed a kept message.", "good", "replayed");
  },

  dropped(at, { reason }) {
    const held = this.held.find((one) => one.to === null);
    if (held) Object.assign(held, { to: at, end: "lost" });
    this._note(at, `The hub dropped a message (${reason}).`, "bad", "dropped");
  },

  heartbeat_failed(at) {
    this._mark(at, "session", "gone", "♥", "Heartbeat failed", "A ping was not answered in time.");
    this._note(at, "A ping was not answered in time.", "bad");
  },

  cut(at) {
    this._note(at, "The server cut the transport, as you asked.", "bad");
  },

  received(at, { event }) {
    this._openSession(at);
    this.ticks.push({ at, kind: "own", title: "on_message", text: `The hub handed ${event || "a message"} to the application.` });
  },

  sent(at, { size }) {
    this._openSession(at); // its beginning may be too long ago for the server to remember
    this.ticks.push({ at, kind: "live", title: "Sent straight away", text: `${size} bytes, written to the open transport.` });
  },
};
