// The browser client of resumehub: one module, no dependencies, nothing to build.
//
//   import { connect } from "./resumehub.js";
//   const session = connect("/ws", { onMessage: (event, payload) => console.log(event, payload) });
//   session.send("chat.say", { text: "hello" });
//   const members = await session.request("chat.members");
//
// A WebSocket drops; the session must not. This client comes back by itself, in the same page or in the page that
// a reload makes of it, and asks the hub for what it missed. The protocol is docs/reference/lossless.md; how to use
// the client, with a table of its options, is docs/howto/javascript-client.md; the types are in resumehub.d.ts.
//
// Three parts, to be read in this order:
//
//   Machine   decides. No socket, no timer, no storage, no clock in it: facts go in, with the time at which they
//             happened, and *effects* come out, a list of plain objects that say what is to be done. So a test can
//             step it through any order of events, and every decision is in one place.
//   Session   does it: owns the socket, the timer, the storage and your callbacks, and decides nothing.
//   claim     finds a record for this page in the storage that it sees, which no other page uses. (Two pages with one
//             session would take it from each other for ever.)
//
// Times are milliseconds here, as everywhere in JavaScript; on the wire they are seconds.

const PROTOCOL = "resumehub.v1";
const TOKEN = "resumehub.token.";

/** What we close a socket with that we have given up: anything but 1000, which would end the session. */
const REPLACED = 4000;

/** A server that restarts: all its pages come back to a process that has just started, each within so many milliseconds. */
const SERVICE_RESTART = 1012;
const RESTART_PAUSE = 2_000;

/** The reason of a 1008 that blames no message of ours: the page has handled, and acknowledged, nothing for long. */
const NO_ACK = "no $ack came while the window was full";

/** Characters of the id of a request, and of the code of a refusal. */
const LONGEST_ID = 128;
const LONGEST_CODE = 64;

/** The code of RequestFailed when the server did not read our request: it was not handled. No server sends it. */
const REJECTED = "rejected";

/** What a close code means for the session. Every other code, and a lost network (1006): dial again, and resume. */
const FATES = {
  1000: "over",      // the application closed it, kicked us, or somebody else has our id now
  4101: "over",      // a newer connection has the session: to come back would be to fight with it
  4403: "over",      // forbidden; also: the token was wrong
  4409: "over",      // the id is in use, and the hub keeps the first
  4100: "expired",   // the session is gone: what is missed is missed
  1002: "blamed",    // these four blame what we sent: likely the first message that was not acknowledged, and if
  1007: "blamed",    // we sent that again and again we would never get any further
  1008: "blamed",
  1009: "blamed",
};

const DEFAULTS = {
  plain: false,                  // true: no subprotocol; any hub, fewer promises
  sendBuffer: 256,               // messages that may wait for their acknowledgement; the server's window, if smaller
  sendBufferBytes: 1 << 20,
  firstPause: 500,               // the pause before a dial is random, up to this …
  longestPause: 10_000,          // … which doubles behind every pause of half of it or more, up to this
  pause: null,                   // (failures, cause) => milliseconds: a rule of your own; Infinity: until reconnect()
  retries: Infinity,             // dials in a row that came to nothing, after which the client gives up
  dialTimeout: 10_000,           // for the whole way from the dial to the server's $hello
  stableAfter: 5_000,            // a connection that lasted this long ends the row of failures
  stallTimeout: 30_000,          // sent something, and nothing at all came back for so long: the connection is dead
  ackDelay: 1_000,               // the longest that an acknowledgement waits for company
  requestTimeout: 30_000,        // for the answer to a request that says nothing else
  maxRequests: 1_000,            // requests without an answer, each way
  renew: true,                   // begin a new session when the old one has expired
  trace: false,                  // tell onTrace about every dial, message and acknowledgement
  random: Math.random,           // draws pauses, and puts acknowledgements out of step with those of other pages
};

/**
 * Milliseconds. A refused dial shows an open socket, too, until its close frame comes (see `reject=close`). The hub holds that back
 * for up to 375 ms. So a plain dial has made a session when a message has come, or when it has been open for twice as long.
 */
const PLAIN_PROOF = 750;

/** `send` has no room: more messages wait for their acknowledgement than the window allows. Nothing was sent. */
export class SendBufferFull extends Error {
  name = "SendBufferFull";
}

/** `send` on a session that is over. */
export class SessionClosed extends Error {
  name = "SessionClosed";
}

/** `send` of a message that no waiting would make room for: it is over a bound of the server's, or of `sendBufferBytes`. */
export class MessageTooBig extends RangeError {
  name = "MessageTooBig";
}

/**
 * Throw it in `onMessage`, to refuse a request. `code` is for programs, 1 to 64 characters; `message` is for people. The asker is told
 * both. What else is thrown is `internal_error` to the asker, without its text.
 */
export class RequestError extends Error {
  name = "RequestError";
  constructor(code, message = "") {
    if (!isName(code, LONGEST_CODE)) throw new TypeError(`the code of a RequestError is a string of 1 to ${LONGEST_CODE} characters`);
    if (typeof message !== "string") throw new TypeError(`the message of a RequestError is a string, not ${typeof message}`);
    super(message);
    this.code = code;
  }
}

/** The other end has refused a request: `code`, and `message`, which is the code again if it said no more. Do not trust the message. */
export class RequestFailed extends Error {
  name = "RequestFailed";
  constructor(code, message = "") {
    super(message || code);
    this.code = code;
  }
}

/** No answer in time. The request may have been handled, or may still be. */
export class RequestTimeout extends Error {
  name = "RequestTimeout";
  constructor(event, timeout) {
    super(`no answer to the request "${event}" within ${timeout} ms`);
    this.event = event;
  }
}

/** The session was over before the answer: the request may have been handled, or not. It is no SessionClosed, which says: not sent. */
export class RequestInDoubt extends Error {
  name = "RequestInDoubt";
  constructor(event) {
    super(`the session was over before the request "${event}" was answered; it may have been handled, so ask in a new session before you send it again`);
    this.event = event;
  }
}

// What outlives a reload, apart from the messages that wait for their acknowledgement.
const newHead = (tab) => ({
  tab,                // the name of this tab; see claim()
  live: false,        // there is a session to resume
  doubtful: false,    // … or perhaps there is: a plain dial was open, and died before it was proven
  token: null,        // what to present for it (never in a plain session)
  id: null,           // the connection's id, as the hub said
  handled: 0,         // how many of the server's messages the application has dealt with …
  pending: [],        // … but for these requests among them (their numbers, rising), which it is still at
  acked: 0,           // how many of ours the server has dealt with
  attempt: 0,         // dials, of all sessions of this tab
  began: 0,           // the dial with which this session began: which one it is
});

// -- the machine ----------------------------------------------------------------------

/**
 * Decides. Each method takes a fact and the time, and gives the effects: `{ do: "dial" | "detach" | "write" | "deliver" | "tell" |
 * "settle" |
 * "save" | "keep" | "forget" | "report" | "release", … }`. After each, set a timer for `deadline` and call `tick` then.
 *
 * Messages are numbered by counting, in each direction; no number is on the wire. Ours: `unacked[i]` has the
 * number `acked + 1 + i`. The server's: `#next` is the number of what comes next on this connection, `#accepted` the highest
 * that was ever taken in, `handled` the highest that the application is done with.
 *
 * A request, either way, is a message like any other: it has a number, it is acknowledged, and it is sent again after a drop. So
 * is its answer. That answer goes to the asker as soon as it is here, past all that waits for `onMessage` (which may itself wait for
 * it), and counts as handled in its turn.
 */
export class Machine {
  state = "idle";            // idle → connecting → open → waiting → connecting …; and closed, from where nothing leads back
  unacked = [];              // {text, size, written, rejected}: ours, in order, until the server has dealt with them
  stats = {
    dials: 0, drops: 0, resumes: 0, sent: 0, resent: 0, received: 0, skipped: 0, missed: 0, rejected: 0,
    requests: 0, late: 0,
  };

  #options;
  #effects = [];
  #head;
  #bytes = 0;                // of `unacked`
  #window;                   // {messages, bytes}: what may be unacknowledged, each way
  #largest = Infinity;       // bytes of one message of ours
  #written = 0;              // how many of `unacked` are on their way on this connection
  #writtenBytes = 0;
  #blamed = null;            // {code, reason}: the first of `unacked` is suspected of having broken the connection
  #inbox = [];               // what waits for the application, in order
  #busy = null;              // what the application has now
  #next = 1;
  #accepted = 0;
  #redo = new Set();         // numbers up to `#accepted` that come again all the same: requests that the page before was still at
  #asked = new Map();        // our requests without an answer: id → {id, event, entry, timeout, until}
  #owed = new Map();         // the server's requests without an answer: id → the item that brought it
  #ackSent = 0;
  #ackBytes = 0;
  #phase = 1;                // of this connection, and what share of half a window the next acknowledgement may wait for;
  #ackShare = 1;             // see #acknowledge
  #replaying = false;
  #resuming = false;         // the current dial asked for a resume
  #proven = false;           // this connection has a session: the server has spoken on it
  #failures = 0;             // since the last connection that lasted, and how often the bound of the pause has doubled
  #doublings = 0;
  #inVain = 0;               // dials in a row that led to no session
  #dialAt = Infinity;        // deadlines; Infinity: none
  #dialBy = Infinity;
  #ackAt = Infinity;
  #proofAt = Infinity;
  #askBy = Infinity;
  #left = false;             // the page was left: what is kept now the next page will read
  #elsewhere = 0;            // messages that other pages have handled while this one was left
  #lastSign = 0;             // when the server last gave a sign of life, or we began to wait for one
  #openedAt = 0;

  constructor(options = {}) {
    this.#options = { ...DEFAULTS, ...options };
    this.#window = { messages: this.#options.sendBuffer, bytes: this.#options.sendBufferBytes };
    this.#head = newHead("");
  }

  get head() { return this.#head; }

  get inFlight() { return { messages: this.unacked.length, bytes: this.#bytes }; }

  /** The earliest time at which `tick` has something to do. */
  get deadline() {
    return Math.min(this.#dialAt, this.#dialBy, this.#ackAt, this.#proofAt, this.#stallAt, this.#askBy);
  }

  get #stallAt() {
    const waits = this.state === "open" && !this.#options.plain && this.#written > 0;
    return waits ? this.#lastSign + this.#options.stallTimeout : Infinity;
  }

  // The facts.

  /** Begin. `kept` is what an earlier page of this tab left: `{ head, unacked: [{ text, size }] }`. */
  start(now, tab, kept = null) {
    if (this.state !== "idle") return [];           // close() came first
    this.#adopt(tab, kept, this.unacked);
    this.#dial(now);
    return this.#take();
  }

  /** The page is left. It may be frozen as it is and come back, and other pages of the tab may go on with the session meanwhile. */
  leave() {
    if (this.state === "idle" || this.state === "closed") return [];
    const cause = { code: 1001, reason: "the page was left" };
    if (this.state === "open") this.#drop(cause);
    this.#emit({ do: "detach", code: REPLACED });
    this.#calm();
    this.#left = true;
    this.#become("idle", cause);
    return this.#take();
  }

  /** The page is back: the record may be another page's by now. `again` comes when it is known. */
  back() { this.#left = false; }

  /**
   * Begin again, with what the record says now. A return is no reconnect: if another page has dialed since, our token and our counts
   * are old, and what is not acknowledged is that page's business. `kept` null, or another `tab`: our record is gone.
   */
  again(now, tab, kept = null) {
    if (this.state !== "idle") return [];
    this.#left = false;
    this.#failures = this.#inVain = 0;
    const { attempt, began, handled } = this.#head;
    const live = this.#head.live && !this.#head.doubtful;
    if (tab === this.#head.tab && kept?.head.attempt === attempt) {
      this.state = "connecting";
      this.unacked.forEach((entry, index) => this.#store(entry, this.#head.acked + 1 + index));
      this.#dial(now);
      return this.#take();
    }
    const same = tab === this.#head.tab && kept?.head.began === began;
    const ours = this.unacked.filter((entry) => !entry.kept);   // sent since we are back; and in a plain session
    const inDoubt = same ? [] : ours.filter(({ written }) => written);
    this.#inbox.length = 0;                         // it has come to those pages, or will come again
    for (const [id, item] of this.#owed) if (!same || !item.deferred) this.#owed.delete(id);
    this.#elsewhere = same ? kept.head.handled - handled : 0;
    this.#adopt(tab, kept, ours.filter((entry) => !inDoubt.includes(entry)));
    // Those pages ignore what answers us. If they have had messages, an answer may have been among them.
    for (const { id, event, entry } of [...this.#asked.values()]) {
      if (this.unacked.includes(entry)) continue;
      entry.written = true;                         // as far as we know
      if (!same || this.#elsewhere > 0) this.#settle(id, { error: new RequestInDoubt(event) });
    }
    if (live && !same) this.#tell("expired", { reason: "replaced", firstAvailable: null, inDoubt });
    if (live && !kept && !this.#options.renew) this.#end({ code: 4100, reason: "the session has expired" });
    else this.#dial(now);
    return this.#take();
  }

  /** The socket is open. In the subprotocol that proves nothing yet (see `reject=close`): `$hello` does. */
  opened(now) {
    this.#trace("opened", {});
    if (this.#options.plain && this.state === "connecting") {
      if (!this.#head.live) Object.assign(this.#head, { live: true, doubtful: true, began: this.#head.attempt });
      this.#save();
      this.#dialBy = Infinity;
      this.#proofAt = now + PLAIN_PROOF;            // until then nothing is written: a refused socket swallows it
    }
    return this.#take();
  }

  /** A message came: decoded, and how many bytes it had. `broken` if it could not be decoded: it counts all the same. */
  arrived(message, size, now) {
    const { event, payload } = message;
    this.#lastSign = now;
    if (this.#options.plain) {
      this.#prove(now);
      this.#takeIn(message, size);
    } else if (event.startsWith("$")) {
      this.#control(event, payload ?? {}, now);
    } else if (this.state === "open") {
      this.#takeIn(message, size);
      this.#acknowledge(now);                       // it may be one that the application had finished during the dial
    }
    return this.#take();
  }

  /** The application is done with `item`, which it got by a "deliver". */
  handled(item, now) {
    if (item !== this.#busy && !item.promised) return [];   // the session was closed meanwhile; or it was deferred
    if (item === this.#busy) this.#busy = null;
    item.promised = false;
    if (item.head === this.#head) this.#count(item, now);
    this.#deliver();
    return this.#take();
  }

  /** The application is at `item`, a request, and has promised to be done with it: what came behind that need not wait. */
  promised(item, now) {
    if (item !== this.#busy) return [];
    if (item.deferred) return this.handled(item, now);
    this.#busy = null;
    item.promised = true;
    const head = this.#head;
    if (item.head === head && item.number > head.handled) {
      Object.assign(head, { handled: item.number, pending: [...head.pending, item.number] });
      this.#save();
    }
    this.#deliver();
    return this.#take();
  }

  /** The application will answer `item` later: it counts as handled when `onMessage` has returned, whatever that has promised. */
  defer(item, now) {
    if (item.answered) throw answeredAlready(item);
    item.deferred = true;
    return item.promised ? this.handled(item, now) : [];
  }

  /** Whether anybody waits for the answer to `item`. */
  owes(item) { return this.#owed.get(item.id) === item; }

  /** The application answers `item`: the encoded answer and its size. There is always room for it: there are `maxRequests` at most. */
  answer(item, text, size, now) {
    if (item.answered) throw answeredAlready(item);
    if (!this.owes(item)) throw new SessionClosed(`the session in which "${item.event}" was asked is over: nobody waits for the answer`);
    this.#checkSize(size);
    this.#owed.delete(item.id);
    item.answered = true;
    this.#put({ text, size, written: false });
    this.#pump(now);
    return this.#take();
  }

  /** The socket has ended. */
  closed(code, reason, now) {
    if (this.state !== "connecting" && this.state !== "open") return [];
    this.#trace("closed", { code, reason });
    const cause = { code, reason };
    const fate = FATES[code] ?? "resume";
    if (fate === "over") this.#end(cause);
    else if (fate === "expired") this.#expire(cause, now);
    else {
      if (fate === "blamed" && reason !== NO_ACK && this.#written > 0) this.#blamed = cause;
      // A plain dial that the hub refused for the moment has made no session.
      if (!this.#proven && (code === 4503 || code === 1013 || code === 1001) && !this.#resuming) Object.assign(this.#head, { live: false, doubtful: false });
      this.#lose(cause, now);
    }
    return this.#take();
  }

  /** The application sends: the encoded message and its size in bytes. */
  send(text, size, now) {
    this.#checkRoom(size);
    this.#put({ text, size, written: false });
    this.#pump(now);
    return this.#take();
  }

  /** The application asks: the encoded request and its size. What comes of it is one `{ do: "settle", id, payload or error }`. */
  request({ id, event, timeout = this.#options.requestTimeout }, text, size, now) {
    const limit = timeout ?? Infinity;
    if (typeof limit !== "number" || !(limit > 0)) throw new RangeError(`timeout: milliseconds, more than 0, or null for no limit; not ${String(timeout)}`);
    this.#checkRoom(size);
    const { maxRequests } = this.#options;
    if (this.#asked.size >= maxRequests) throw new SendBufferFull(`${maxRequests} requests wait for their answers (maxRequests): ask less, or later`);
    const entry = { text, size, id, written: false };
    this.stats.requests += 1;
    this.#asked.set(id, { id, event, entry, timeout: limit, until: now + limit });
    this.#askBy = Math.min(this.#askBy, now + limit);
    this.#put(entry);
    this.#pump(now);
    return this.#take();
  }

  /** The application does not wait for the answer to this request of its own any more. */
  abandon(id) {
    this.#asked.delete(id);
    this.#watchRequests();
  }

  #checkRoom(size) {
    if (this.state === "closed") throw new SessionClosed("the session is over: connect() makes a new one");
    this.#checkSize(size);
    const { messages, bytes } = this.#window;
    // One message always may, however small the server's window is: else it could never be sent.
    if (this.unacked.length > 0 && (this.unacked.length >= messages || this.#bytes + size > bytes)) {
      throw new SendBufferFull(
        `${this.unacked.length} messages (${this.#bytes} bytes) wait for the server, and this one has ${size} bytes; `
        + `there is room for ${messages} (${bytes} bytes): send less, or later`);
    }
  }

  #checkSize(size) {
    const { sendBufferBytes } = this.#options;
    if (size > this.#largest) throw this.#tooBig(size);
    if (size > sendBufferBytes) throw new MessageTooBig(`the message has ${size} bytes, more than sendBufferBytes (${sendBufferBytes}): send it in parts, or raise that`);
  }

  #tooBig(size) { return new MessageTooBig(`the message has ${size} bytes, and the server takes ${this.#largest}: send it in parts`); }

  #put(entry) {
    this.stats.sent += 1;
    this.#keep(entry);
    this.#bytes += entry.size;
  }


  /** Dial now: the network is back (the old socket may be dead and not know it), or the application says so. */
  reconnect(now, reason = "asked to reconnect") {
    if (this.state === "idle" || this.state === "closed") return [];
    if (this.state === "open") this.#drop({ code: 1006, reason });
    this.#dial(now);
    return this.#take();
  }

  /** The page is looked at, or the network is back. `maybeDead`: so that an open connection is not to be trusted. */
  awake(now, maybeDead) {
    const holding = this.state === "waiting" && this.#dialAt === Infinity;
    return holding || (this.state !== "waiting" && !maybeDead) ? [] : this.reconnect(now, "the network is back");
  }

  /** The application ends the session. */
  close() {
    if (this.state !== "closed") this.#end({ code: 1000, reason: "closed by this page" });
    return this.#take();
  }

  /** The time has come for whatever `deadline` said. */
  tick(now) {
    if (now >= this.#dialAt) this.#dial(now);
    else if (now >= this.#dialBy) this.#lose({ code: 1006, reason: "no answer" }, now);
    if (now >= this.#ackAt) this.#acknowledge(now);
    if (now >= this.#proofAt) this.#prove(now);
    if (now >= this.#askBy) this.#giveUpWaiting(now);
    if (now >= this.#stallAt) {
      this.#drop({ code: 1006, reason: "no sign of life" });
      this.#dial(now);
    }
    return this.#take();
  }

  // Dialing, and what becomes of it.

  #dial(now) {
    // First the old socket loses its handlers, then we count, then we dial: a message that slipped in between would
    // be counted by us and not by the server, or the other way round.
    this.#emit({ do: "detach", code: REPLACED });
    const head = this.#head;
    head.attempt += 1;                              // so that the server knows the latest of two dials that overtake each other
    this.#save();
    const query = { reject: "close", attempt: head.attempt };
    query.instance = head.tab;
    if (head.live) Object.assign(query, { resume: "true", received: this.#done });
    const protocols = this.#options.plain ? [] : head.token ? [PROTOCOL, TOKEN + head.token] : [PROTOCOL];
    this.#resuming = head.live;
    this.#proven = false;
    this.#next = this.#done + 1;
    this.#calm();
    this.#dialBy = now + this.#options.dialTimeout;
    this.stats.dials += 1;
    this.#emit({ do: "dial", query, protocols, resume: head.live });
    this.#trace("dial", { resume: head.live, received: this.#done, attempt: head.attempt });
    this.#become("connecting", { resume: head.live });
  }

  #open(now) {
    this.#dialBy = Infinity;
    this.#openedAt = this.#lastSign = now;
    this.#become("open", { resumed: this.#resuming });
  }

  // The server has spoken on this connection.
  #prove(now) {
    if (this.#proven) return;
    this.#proven = true;
    this.#inVain = 0;
    this.#proofAt = Infinity;
    if (this.#head.doubtful) this.#resuming = false;        // the application knows of no session that this one goes on with
    if (this.#resuming) this.stats.resumes += 1;
    if (!this.#options.plain) return;
    this.#head.doubtful = false;
    this.#save();
    this.#open(now);
    if (this.#resuming) this.#restore(null);
    else this.#tell("connect", { id: null });
    this.#pump(now);
  }

  #drop(cause) {
    this.stats.drops += 1;
    this.#tell("drop", cause);
  }

  // The connection is lost, or never came about: wait, then dial again.
  #lose(cause, now) {
    const wasOpen = this.state === "open";
    if (wasOpen) this.#drop(cause);
    if (wasOpen && now - this.#openedAt >= this.#options.stableAfter) this.#failures = this.#doublings = 0;
    this.#emit({ do: "detach", code: REPLACED });
    this.#calm();
    this.#inVain += this.#proven ? 0 : 1;
    if (this.#inVain > this.#options.retries) return this.#end({ ...cause, reason: `gave up: ${cause.reason || cause.code}` });
    const pause = this.#pause(cause);
    this.#failures += 1;
    this.#dialAt = now + pause;
    this.#become("waiting", { ...cause, pause, reachable: wasOpen });
  }

  // "Full jitter": anywhere between nothing and the most. After an outage all pages come back, and not all at once.
  #pause(cause) {
    const { pause, firstPause, longestPause, random } = this.#options;
    if (pause) return pause(this.#failures, cause);
    const restarts = cause.code === SERVICE_RESTART;
    const bound = Math.min(longestPause, restarts ? RESTART_PAUSE : firstPause * 2 ** this.#doublings);
    const drawn = random() * bound;
    // The bound doubles behind a long pause only, so it is never more than about twice the time that has passed.
    this.#doublings += drawn * 2 >= bound ? 1 : 0;
    return drawn + toldToWait(cause);
  }

  #expire(cause, now) {
    const wasResuming = this.#resuming;
    if (this.#head.doubtful) {                      // so there never was one, and what is to be sent was not written
      this.#head = { ...newHead(this.#head.tab), attempt: this.#head.attempt };
      this.#save();
      return wasResuming ? this.#dial(now) : this.#lose(cause, now);
    }
    const inDoubt = this.#loseSession();
    this.#tell("expired", { ...explain(cause.reason), inDoubt });
    if (!this.#options.renew) this.#end({ ...cause, reason: "the session has expired" });
    else if (wasResuming) this.#dial(now);
    else this.#lose(cause, now);                    // whoever says "gone" to a new session is to be asked slowly
  }

  #end(cause) {
    const ours = cause.code === 1000 && this.state !== "idle";
    const inDoubt = this.#loseSession();
    this.#inbox.length = 0;
    this.#busy = null;
    this.#calm();
    this.#emit({ do: "detach", code: ours ? 1000 : REPLACED });
    this.#emit({ do: "release" });
    this.#become("closed", cause);
    this.#tell("closed", { ...cause, inDoubt });
  }

  // Go on with what a record says, and with what was sent before we knew it: behind that.
  #adopt(tab, kept, early) {
    this.#head = kept ? { ...newHead(tab), ...kept.head, tab } : newHead(tab);
    this.unacked = (kept?.unacked ?? []).map(({ text, size }) => ({ text, size, written: true, kept: true }));
    this.#blamed = null;
    this.state = "connecting";
    early.forEach((entry) => this.#keep(entry));
    this.#bytes = this.unacked.reduce((sum, { size }) => sum + size, 0);
    this.#accepted = this.#head.handled;
    this.#redo = new Set(this.#head.pending);
  }

  // Gives the messages of ours that nobody knows the fate of. What has arrived and waits for the application stays.
  #loseSession() {
    const inDoubt = this.unacked.filter((entry) => !entry.rejected);
    for (const { id, event, entry } of [...this.#asked.values()]) {
      // While this page was left, another one may have sent what it kept.
      const unsent = !entry.written && !(entry.kept && this.state === "idle");
      const error = unsent ? new SessionClosed(`the session was over before the request "${event}" was sent`) : new RequestInDoubt(event);
      this.#settle(id, { error });
    }
    this.#owed.clear();
    this.#redo.clear();
    this.#forget(1, this.unacked.length);
    this.unacked = [];
    this.#bytes = this.#written = this.#writtenBytes = this.#accepted = 0;
    this.#blamed = null;
    // The numbers of the dials go on: a dial for the session that is gone may still be under way.
    this.#head = { ...newHead(this.#head.tab), attempt: this.#head.attempt };
    this.#save();
    return inDoubt;
  }

  #calm() {
    this.#dialAt = this.#dialBy = this.#ackAt = this.#proofAt = Infinity;
    this.#written = this.#writtenBytes = 0;
  }

  // What the server tells us.

  #control(event, payload, now) {
    if (event === "$hello" && this.state === "connecting") return this.#hello(payload, now);
    if (this.state !== "open") return;
    if (event === "$ack") {
      this.#releaseUpTo(payload.received);
      this.#trace("acked", { received: payload.received });
      this.#pump(now);
    } else if (event === "$replayed") {
      this.#replaying = false;
      this.#trace("replayed", payload);
      this.#restore(payload.messages);
    } else if (event === "$missed") {
      this.#miss(payload, now);
    } else if (event === "$rejected") {
      this.#reject(payload);
    }                                               // unknown ones are for newer clients
  }

  #hello(payload, now) {
    const head = this.#head;
    if (head.live && !payload.resumed) this.#tell("expired", { reason: "replaced", firstAvailable: null, inDoubt: this.#loseSession() });
    this.#resuming = payload.resumed;
    this.#prove();
    Object.assign(this.#head, { live: true, token: payload.token, id: payload.connection_id });
    if (!payload.resumed) this.#head.began = this.#head.attempt;
    const { sendBuffer, sendBufferBytes } = this.#options;
    this.#window = {
      messages: Math.min(sendBuffer, payload.window.messages),
      bytes: Math.min(sendBufferBytes, payload.window.bytes),
    };
    this.#largest = payload.max_message_size ?? Infinity;
    this.#next = payload.replay_from;
    this.#ackSent = payload.replay_from - 1;
    this.#ackBytes = 0;
    this.#replaying = payload.resumed;
    (payload.rejected ?? []).forEach((rejection) => this.#reject(rejection));   // before they are forgotten
    this.#releaseUpTo(payload.received);
    this.#dropUnsendable();
    this.#save();                                   // the new token is safe before the server learns that we have it
    this.#trace("hello", payload);
    this.#open(now);
    this.#sendAck(Math.min(this.#done, this.#ackSent));
    this.#ackShare = this.#phase = Math.min(1, this.#options.random());
    if (!payload.resumed) this.#tell("connect", { id: payload.connection_id });
    this.#pump(now);
  }

  // `from` and the numbers up to `to` were broadcasts that found our window full. They count as handled.
  #miss({ from, to }, now) {
    const first = Math.max(from, this.#accepted + 1);
    this.#next = to + 1;
    if (first <= to) {
      this.stats.missed += to - first + 1;
      this.#accepted = to;
      this.#queue({ kind: "missed", number: to, size: 0, head: this.#head, detail: { from: first, to, count: to - first + 1 } });
    }
    this.#acknowledge(now);
  }

  #takeIn({ event, payload, broken = false, history = false, id = null, re = null, error = null }, size) {
    const number = this.#next++;
    const known = number <= this.#accepted && !this.#redo.delete(number);   // taken in before the drop; the application may be at it right now
    this.#trace("in", { number, event, skipped: known });
    if (known) {
      this.stats.skipped += 1;
      return;
    }
    this.#accepted = Math.max(this.#accepted, number);
    this.stats.received += 1;
    const item = { kind: "message", number, size, head: this.#head, event, payload, broken, history, replayed: this.#replaying };
    if (re !== null) {
      item.kind = "answer";                         // for its number: the application has no more to do with it
      this.#answered(re, payload, error);
    } else if (id !== null) this.#owe(Object.assign(item, { id }));
    this.#queue(item);
  }

  #answered(id, payload, error) {
    const late = !this.#asked.has(id);
    this.#trace("answer", { id, late });
    if (late) this.stats.late += 1;
    else this.#settle(id, error ? { error: new RequestFailed(error.code, error.message) } : { payload: payload ?? null });
  }

  // A request of the server's. Two with one id could not be told apart.
  #owe(item) {
    if (this.#owed.has(item.id)) {
      item.broken = true;
      return this.#emit({ do: "report", error: new TypeError("a request with the id of another one that is not answered yet") });
    }
    if (this.#owed.size >= this.#options.maxRequests) item.refusal = new RequestError("too_many_requests");
    this.#owed.set(item.id, item);
  }

  #restore(replayed) {
    this.#queue({ kind: "restore", detail: { replayed, elsewhere: this.#elsewhere } });
    this.#elsewhere = 0;
  }

  // The application is done with it.
  #count(item, now) {
    const head = this.#head;
    if (item.number > head.handled) head.handled = item.number;
    else if (head.pending.includes(item.number)) head.pending = head.pending.filter((number) => number !== item.number);
    else return;                                    // it has no number
    this.#ackBytes += item.size;
    this.#save();
    this.#acknowledge(now);
  }

  // Up to here it is done with all of them.
  get #done() { return Math.min(this.#head.handled, (this.#head.pending[0] ?? Infinity) - 1); }

  // One at a time, in order: the next one waits until the application is done with this one.
  #queue(item) {
    this.#inbox.push(item);
    this.#deliver();
  }

  #deliver() {
    if (this.#busy || this.#inbox.length === 0) return;
    this.#busy = this.#inbox.shift();
    this.#emit({ do: "deliver", item: this.#busy });
  }

  // At once when half of the window is used up, else with company, a second after the first. The first time on each
  // connection, and after each pause, it is a random share of that (of the time, always, half at least): the pages of a room
  // get the same broadcasts, and if all began to count at nought, all would acknowledge in the same moment, again and again.
  #acknowledge(now) {
    if (this.#options.plain || this.state !== "open") return;
    // Not more than this connection has brought: what was handled during a dial is about to be sent again.
    const upTo = Math.min(this.#done, this.#next - 1);
    const due = upTo - this.#ackSent;
    if (due <= 0) return;
    const share = this.#ackShare;
    if (this.#ackAt === Infinity) this.#ackAt = now + this.#options.ackDelay * (1 + this.#phase) / 2;
    const enough = due * 2 >= share * this.#window.messages || this.#ackBytes * 2 >= share * this.#window.bytes;
    if (enough || now >= this.#ackAt) this.#sendAck(upTo, enough ? 1 : this.#phase);
  }

  #sendAck(received, share = 1) {
    this.#ackSent = received;
    this.#ackBytes = 0;
    this.#ackShare = share;
    this.#ackAt = Infinity;
    this.#emit({ do: "write", message: { event: "$ack", payload: { received } } });
    this.#trace("ack", { received });
  }

  // What we ask.

  #settle(id, outcome) {
    this.#asked.delete(id);
    this.#watchRequests();
    this.#emit({ do: "settle", id, ...outcome });
  }

  #watchRequests() {
    this.#askBy = Infinity;
    for (const { until } of this.#asked.values()) this.#askBy = Math.min(this.#askBy, until);
  }

  #giveUpWaiting(now) {
    for (const { id, event, timeout, until } of [...this.#asked.values()]) {
      if (now >= until) this.#settle(id, { error: new RequestTimeout(event, timeout) });
    }
  }

  // What we send.

  #keep(entry) {
    this.unacked.push(entry);
    this.#store(entry, this.#head.acked + this.unacked.length);
  }

  #store(entry, number) {
    // Not before start(), which knows the numbers; and not for a plain session, which does not learn what arrived.
    if (this.#options.plain || entry.kept || (this.state === "idle" && !this.#left)) return;
    entry.kept = true;
    this.#emit({ do: "keep", number, text: entry.text });
  }

  // Write what the window has room for; the first one always, since no acknowledgement would ever make more room for it.
  #pump(now) {
    if (this.state !== "open") return;
    const { messages, bytes } = this.#window;
    while (this.#written < this.unacked.length) {
      const entry = this.unacked[this.#written];
      if (this.#written > 0 && (this.#written >= messages || this.#writtenBytes + entry.size > bytes)) return;
      if (this.#written === 0) this.#lastSign = Math.max(this.#lastSign, now);
      this.#written += 1;
      this.#writtenBytes += entry.size;
      this.#write(entry, this.#head.acked + this.#written);
    }
  }

  #write(entry, number) {
    this.#emit({ do: "write", text: entry.text });
    this.stats.resent += entry.written ? 1 : 0;
    this.#trace("out", { number, again: entry.written, text: entry.text });
    entry.written = true;
    if (this.#options.plain) this.#releaseFirst();      // nobody will acknowledge it
  }

  #releaseUpTo(received) {
    if (!Number.isInteger(received)) return;
    while (this.#head.acked < received && this.unacked.length > 0) this.#releaseFirst();
    this.#head.acked = Math.max(this.#head.acked, received);
    this.#save();
  }

  #releaseFirst() {
    const { size } = this.unacked.shift();
    this.#forget(1, 1);
    this.#head.acked += 1;
    this.#bytes -= size;
    if (this.#written > 0) {
      this.#written -= 1;
      this.#writtenBytes -= size;
    }
  }

  // The server could not decode this message. It says so before it acknowledges it, and may say it again on the next connection.
  #reject({ number, reason }) {
    this.#trace("rejected", { number, reason });
    const entry = this.unacked[number - this.#head.acked - 1];
    if (!entry || entry.rejected) return;
    entry.rejected = true;
    this.stats.rejected += 1;
    if (this.#asked.has(entry.id)) this.#settle(entry.id, { error: new RequestFailed(REJECTED, reason) });
    this.#tell("rejected", { code: null, reason, number, message: entry });
  }

  // Only now, with the server's count in hand, is it known which message is the first that was not handled.
  #dropUnsendable() {
    const blamed = this.#blamed;
    this.#blamed = null;
    const refused = this.unacked.filter((entry, index) => (blamed && index === 0 && entry.written) || entry.size > this.#largest);
    if (refused.length === 0) return;
    this.#forget(1, this.unacked.length);
    this.unacked = this.unacked.filter((entry) => !refused.includes(entry));
    this.#bytes = this.unacked.reduce((sum, { size }) => sum + size, 0);
    this.unacked.forEach(({ text }, index) => this.#emit({ do: "keep", number: this.#head.acked + 1 + index, text }));
    for (const entry of refused) {
      this.stats.rejected += 1;
      const tooBig = entry.size > this.#largest;
      const cause = tooBig ? { code: 1009, reason: "message too big" } : blamed;
      const error = tooBig ? this.#tooBig(entry.size) : new RequestFailed(REJECTED, cause.reason);
      if (this.#asked.has(entry.id)) this.#settle(entry.id, { error });
      this.#tell("rejected", { ...cause, message: entry });
    }
  }

  // Effects.

  #forget(first, count) {
    if (!this.#head.tab) return;                    // not started: those numbers are those of a former page
    for (let i = 0; i < count; i += 1) this.#emit({ do: "forget", number: this.#head.acked + first + i });
  }

  #save() {
    if (this.#head.tab) this.#emit({ do: "save", head: { ...this.#head } });   // "": not started, so nothing is ours yet
  }

  #become(state, detail) {
    this.state = state;
    this.#tell("state", { state, ...detail });
  }

  #trace(kind, detail) {
    if (this.#options.trace) this.#tell("trace", { kind, ...detail });
  }

  #tell(name, detail) { this.#emit({ do: "tell", name, detail }); }

  #emit(effect) { this.#effects.push(effect); }

  #take() { return this.#effects.splice(0); }
}

const answeredAlready = ({ event }) => new Error(`the request "${event}" is answered already: an answer goes out once`);

/** The longest that a server may have us wait before the next pause, whatever it says. */
const LONGEST_TOLD = 300_000;

// A hub that is full says in its close reason when to come back.
function toldToWait({ code, reason }) {
  const told = code === 4503 ? /\(in (\d{1,9}) seconds\)$/.exec(reason) : null;
  return told ? Math.min(LONGEST_TOLD, told[1] * 1_000) : 0;
}

// A gap says in its close reason what could still be had.
function explain(reason) {
  try {
    const { reason: why, first_available: firstAvailable = null } = JSON.parse(reason);
    return { reason: why, firstAvailable };
  } catch {
    return { reason: "expired", firstAvailable: null };
  }
}

// -- the session ----------------------------------------------------------------------

/**
 * JSON, as the hub's default codec has it, under the same rules: what one end encodes, the other one decodes to the same, or
 * `encode` throws; and what is decoded can be encoded. docs/reference/wire.md has them. `maxDepth`: how many arrays and objects may
 * lie in one another in a payload; give the hub the same number.
 */
export function jsonCodec({ maxDepth = 100 } = {}) {
  if (!Number.isInteger(maxDepth) || maxDepth < 1 || maxDepth > 500) {
    throw new RangeError(`maxDepth must be a whole number from 1 to 500, not ${maxDepth}`);
  }
  const mostOpen = maxDepth + 1;                    // with the message itself
  return {
    encode({ event, payload, id, re, error }) {
      // What is empty is left out.
      const message = { event: event || undefined, payload: payload ?? undefined, id: id ?? undefined, re: re ?? undefined, error: error ?? undefined };
      const text = JSON.stringify(message, refuseWhatIsNoJson);
      if (deepest(text) > mostOpen) throw new RangeError(`the payload is nested too deeply; maxDepth is ${maxDepth}`);
      return text;
    },
    decode(text) {
      if (typeof text !== "string") throw new TypeError("a binary frame: this codec reads text frames only");
      if (deepest(text) > mostOpen) throw new RangeError("JSON that is nested too deeply");
      const message = JSON.parse(text);
      if (LONG_NUMBER.test(text)) refuseOtherNumbers(text);
      if (SURROGATE_ESCAPE.test(text)) JSON.stringify(message, refuseWhatIsNoJson);
      if (message === null || typeof message !== "object" || Array.isArray(message)) throw new TypeError("JSON that is not an object");
      const { event = "", payload = null } = message;
      if (typeof event !== "string") throw new TypeError("JSON whose event is not a string");
      return { event, payload, ...(message.history === true && { history: true }), ...correlation(message) };
    },
  };
}

/**
 * What makes a message a request, `{ id }`, or an answer, `{ re }` or `{ re, error }`; {} if it is neither. null is the same as absent.
 * Throws if they do not fit each other: then it is no message. The hub's rules are the same.
 */
function correlation({ id = null, re = null, error = null }) {
  if (id === null && re === null && error === null) return {};
  for (const [name, value] of Object.entries({ id, re })) {
    if (value !== null && !isName(value, LONGEST_ID)) throw new TypeError(`a message whose ${name} is not a string of 1 to ${LONGEST_ID} characters`);
  }
  if (id !== null && re !== null) throw new TypeError("a message with id and re: it can't be a request and an answer");
  if (error === null) return re === null ? { id } : { re };
  if (re === null) throw new TypeError("a message with an error and no re: an error answers a request");
  if (typeof error !== "object" || Array.isArray(error)) throw new TypeError("a message whose error is not an object");
  if (!isName(error.code, LONGEST_CODE)) throw new TypeError(`a message whose error has no code that is a string of 1 to ${LONGEST_CODE} characters`);
  if (!["string", "undefined"].includes(typeof error.message)) throw new TypeError("a message whose error has a message that is not a string");
  return { re, error };
}

// Characters are code points, as in Python: an emoji is one. It has two of JavaScript's units at most.
function isName(value, longest) {
  return typeof value === "string" && value !== "" && value.length <= 2 * longest && [...value].length <= longest;
}

// How many arrays and objects are open at once in a JSON text.
function deepest(text) {
  let most = 0;
  for (let at = 0, open = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (char === 0x22) {                            // a string: to its end
      for (at += 1; at < text.length && text.charCodeAt(at) !== 0x22; at += 1) if (text.charCodeAt(at) === 0x5c) at += 1;
    } else if (char === 0x5b || char === 0x7b) {
      open += 1;
      if (open > most) most = open;
    } else if (char === 0x5d || char === 0x7d) open -= 1;
  }
  return most;
}

const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;
const LONG_NUMBER = /[\d.]{16}|\d[eE]\+?\d{2}/;      // only then a look at each number is worth its time
const NUMBERS = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/gs;

const LONE_SURROGATE = /\p{Surrogate}/u;            // a pair is another character for this expression
const isCut = String.prototype.isWellFormed ? (text) => !text.isWellFormed() : (text) => LONE_SURROGATE.test(text);

// For JSON.stringify, which makes {} of a Map, null of NaN, and leaves a function out, all without a word.
function refuseWhatIsNoJson(key, value) {
  const refuse = (what) => { throw new TypeError(`JSON has no ${what}${key && !isCut(key) ? `; see "${key}"` : ""}`); };
  if (isCut(key)) refuse("half of a surrogate pair in a name");
  switch (typeof value) {
    case "string": if (isCut(value)) refuse("half of a surrogate pair: a text was cut in the middle of an emoji"); break;
    case "number": if (!Number.isFinite(value)) refuse(String(value)); break;
    case "bigint": refuse("BigInt: send String(value)"); break;
    case "function": case "symbol": refuse(typeof value); break;
    case "object": {
      if (value === null || Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype) break;
      const kind = Object.prototype.toString.call(value).slice(8, -1);
      if (kind !== "Object") refuse(`${kind}: turn it into an object, an array or a string first`);
      break;
    }
    default:                                        // a boolean; undefined, which JSON leaves out (in an array: null)
  }
  return value;
}

// A number that is no number of JavaScript's: it would be rounded, or be infinite, and come back as another one.
function refuseOtherNumbers(text) {
  for (const [token] of text.matchAll(NUMBERS)) {
    if (token.startsWith('"')) continue;
    const number = Number(token);
    if (!Number.isFinite(number)) throw new RangeError("JSON with a number that is too large");
    if (Number.isSafeInteger(number) || /[.eE]/.test(token)) continue;
    if (significant(token) !== significant(String(number))) throw new RangeError("JSON with an integer beyond 2 ** 53 - 1, which would be rounded");
  }
}

// The digits of a number without sign, point, exponent, and the zeros around them.
const significant = (number) => number.replace(/e.*|[.-]/g, "").replace(/^0+|0+$/g, "");

// What the surroundings offer. Tests, and other runtimes, give `platform` with some of it replaced.
const surroundings = () => ({
  WebSocket: globalThis.WebSocket,
  now: () => performance.now(),
  setTimeout: (run, pause) => setTimeout(run, pause),
  clearTimeout: (timer) => clearTimeout(timer),
  locks: globalThis.navigator?.locks,
  BroadcastChannel: globalThis.BroadcastChannel,
  window: globalThis,                               // or a Worker's scope, which is told of the network as well
  navigator: globalThis.navigator,
  document: globalThis.document,
  sessionStorage: sessionStorageOrNone(),
  base: globalThis.location?.href,
  report: (error) => (globalThis.reportError ?? console.error)(error),
});

// What a message that is no request has in place of a request's ways to be answered.
const NO_REQUEST = Object.fromEntries([["id", null], ...["reply", "refuse", "defer"].map((method) => [method, () => {
  throw new TypeError(`${method}: this message is no request; only one with an id wants an answer, so look at message.id first`);
}])]);

const refused = ({ code, message }) => ({ error: { code, message } });
const INTERNAL_ERROR = refused({ code: "internal_error", message: "" });

function checkEvent(event) {
  if (typeof event !== "string" || event.startsWith("$")) throw new TypeError(`event ${String(event)}: a string that does not begin with $`);
}

const names = new Set();     // of the sessions of this page that keep something in a storage
const bytesOf = (text) => new TextEncoder().encode(text).length;

class Session {
  #options;
  #platform;
  #codec;
  #url;
  #machine;
  #name = null;
  #records = null;           // where something may outlive a reload; null: nowhere
  #notebook = null;          // the record that is ours; null: none (yet)
  #claiming = new AbortController();   // ends the wait for it
  #release = () => {};       // lets others have it
  #away = false;             // the page was left; it may be in the browser's back/forward cache now
  #socket = null;
  #turn = 0;                 // of dials: an address that took too long is not dialed any more
  #timer = null;
  #todo = [];
  #running = false;
  #listening = [];
  #asking = new Map();       // requests that wait for their answer: id → what to do with it
  #ids = `${randomName().slice(0, 16)}.`; // how the ids of this page's requests begin: an answer to the page before must not be taken for ours
  #requests = 0;

  constructor(url, { name = "default", storage, platform, codec = jsonCodec(), ...options }) {
    this.#platform = { ...surroundings(), ...platform };
    this.#options = options;
    this.#codec = codec;
    this.#url = typeof url === "function" ? url : () => url;
    if (typeof url !== "function") this.#address(url, {});   // a bad one fails here, in the caller's face
    this.#machine = new Machine(options);
    const where = storage === undefined ? this.#platform.sessionStorage : storage;
    if (where) {
      if (names.has(name)) throw new Error(`this page has a session named "${name}" already: give each a name of its own`);
      names.add(name);
      this.#name = name;
      const key = options.plain ? `resumehub.plain.${name}` : `resumehub.${name}`;   // a session is one or the other, for life
      this.#records = new Records(where, key, this.#platform);
    }
    this.#listen();
    this.#begin();
  }

  /** "idle", "connecting", "open", "waiting" or "closed". */
  get state() { return this.#machine.state; }

  /** The id of the connection, as the hub said; null before, and in plain mode. */
  get id() { return this.#machine.head.id; }

  /** The random name of this tab: it survives a reload, and no other tab has it. "" before the first dial. */
  get tab() { return this.#machine.head.tab; }

  /** Counts since this page was loaded, and what waits now. */
  get stats() {
    const { messages, bytes } = this.#machine.inFlight;
    return { ...this.#machine.stats, unacked: messages, unackedBytes: bytes };
  }

  /** Send, now or when the connection is back. Throws SendBufferFull, SessionClosed, MessageTooBig, or what JSON does. */
  send(event, payload = null) {
    checkEvent(event);
    const text = this.#codec.encode({ event, payload });
    this.#run(this.#machine.send(text, bytesOf(text), this.#now()));
  }

  /**
   * Ask, now or when the connection is back, and get the answer's payload. `timeout`: milliseconds, null for no limit. `signal` ends the
   * waiting; the request may be handled all the same. Rejects with RequestFailed, RequestTimeout, RequestInDoubt; with what `send` throws.
   */
  async request(event, payload = null, { timeout, signal } = {}) {
    checkEvent(event);
    signal?.throwIfAborted();
    const id = `${this.#ids}${this.#requests += 1}`;
    const text = this.#codec.encode({ event, payload, id });
    // Else it would be a message like any other, and nobody would answer.
    if (this.#requests === 1 && this.#codec.decode(text).id !== id) throw new TypeError("the codec leaves out id: encode and decode have to keep id, re and error for requests");
    const effects = this.#machine.request({ id, event, timeout }, text, bytesOf(text), this.#now());
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#asking.delete(id);
        this.#machine.abandon(id);
        this.#arm();
        reject(signal.reason);
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#asking.set(id, (payload, error) => {
        signal?.removeEventListener("abort", abort);
        if (error) reject(error);
        else resolve(payload);
      });
      this.#run(effects);
    });
  }

  /** Dial now instead of after the pause, or in place of a connection that only looks alive. */
  reconnect() { this.#run(this.#machine.reconnect(this.#now())); }

  /** End the session, on the server as well if it can be reached. */
  close() { this.#run(this.#machine.close()); }

  async #begin() {
    const { signal } = this.#claiming = new AbortController();
    await null;                                     // whoever called connect() has its result before the first callback
    if (signal.aborted) return;
    const { head } = this.#machine;
    // Back on a page that can't keep anything: our memory is the record.
    if (head.tab && !this.#notebook?.isWritable) return this.#run(this.#machine.again(this.#now(), head.tab, { head }));
    const { tab, notebook, kept, release } = await claim(this.#records, this.#platform, signal, head.tab);
    if (signal.aborted) return release();
    this.#notebook = notebook;
    this.#release = release;
    this.#run(this.#machine[head.tab ? "again" : "start"](this.#now(), tab, kept));
  }

  // The page may be frozen now, with all that it has. The next page of the tab must not wait for it.
  #goAway() {
    this.#away = true;
    this.#claiming.abort();
    this.#notebook?.lend();
    this.#run(this.#machine.leave());
    this.#release();
    this.#release = () => {};
  }

  #comeBack() {
    this.#away = false;
    this.#machine.back();
    this.#begin();
  }

  // Effects are done one after the other, also when a callback in the middle of it asks for more.
  #run(effects) {
    this.#todo.push(...effects);
    if (this.#running) return;
    this.#running = true;
    while (this.#todo.length > 0) {
      try {
        this.#perform(this.#todo.shift());
      } catch (error) {
        this.#platform.report(error);
      }
    }
    this.#running = false;
    this.#arm();
  }

  #perform(effect) {
    switch (effect.do) {
      case "dial": return this.#dial(effect);
      case "detach": return this.#detach(effect.code);
      case "write": return this.#write(effect.text ?? this.#codec.encode(effect.message));
      case "deliver": return this.#deliver(effect.item);
      case "tell": return this.#tell(effect.name, effect.detail);
      case "settle": return this.#settle(effect);
      case "report": return this.#platform.report(effect.error);
      case "save": return this.#notebook?.save(effect.head);
      case "keep": return this.#notebook?.keep(effect.number, effect.text);
      case "forget": return this.#notebook?.forget(effect.number);
      case "release": return this.#leave();
      default: throw new Error(`unknown effect ${effect.do}`);
    }
  }

  // A socket that is closing, and has not said so yet, throws it away, and Chromium complains in the page's console.
  #write(text) {
    if (this.#socket.readyState === 1) this.#socket.send(text);
  }

  #dial({ query, protocols, resume }) {
    const turn = this.#turn += 1;
    const go = (url) => { if (turn === this.#turn) this.#open(this.#address(url, query), protocols); };
    const fail = (error) => {
      this.#platform.report(error);
      if (turn === this.#turn) this.#run(this.#machine.closed(1006, "no address to dial", this.#now()));
    };
    try {
      const url = this.#url({ tab: this.tab, resume });
      if (typeof url?.then === "function") url.then(go).catch(fail);
      else go(url);
    } catch (error) {
      fail(error);
    }
  }

  #open(address, protocols) {
    const socket = this.#socket = new this.#platform.WebSocket(address, protocols);
    const closed = (code, reason) => this.#run(this.#machine.closed(code, reason, this.#now()));
    // In a browser `close` follows. In Node 20 and 22 it does not, if the socket has never been open: there this is the end of the
    // dial. Where a `close` comes all the same, #detach has made sure that nobody hears it. On an open socket it does follow.
    socket.onerror = () => closed(1006, "");
    socket.onopen = () => {
      socket.onerror = () => {};
      this.#run(this.#machine.opened(this.#now()));
    };
    socket.onclose = ({ code, reason }) => closed(code, reason);
    socket.onmessage = ({ data }) => {
      let message;
      try {
        message = this.#codec.decode(data);
        if (typeof message?.event !== "string") throw new TypeError("the codec gave no { event, payload }");
        correlation(message);                       // any codec's message has to keep these rules
      } catch (error) {
        this.#platform.report(error);
        message = { event: "", payload: null, broken: true };
      }
      this.#run(this.#machine.arrived(message, bytesOf(data), this.#now()));
    };
  }

  // What an old socket still has to say must not be taken for the next one's.
  #detach(code) {
    const socket = this.#socket;
    this.#turn += 1;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.onerror = () => {};                      // not null: to the package "ws" an error that nobody hears is a crash
    if (socket.readyState <= 1) socket.close(code);
  }

  #settle({ id, payload, error }) {
    const settle = this.#asking.get(id);
    this.#asking.delete(id);
    settle?.(payload, error);                       // not there: a callback has just aborted it
  }

  #deliver(item) {
    if (item.id && !item.broken) return this.#handle(item);
    const done = () => this.#run(this.#machine.handled(item, this.#now()));
    const result = this.#give(item);
    // The message counts when the application is done with it, well or badly: to be given it again would not help.
    if (typeof result?.then === "function") result.then(done, (error) => { this.#platform.report(error); done(); });
    else done();
  }

  #give({ kind, detail, event, payload, broken, number, history, replayed }) {
    if (kind === "answer" || broken) return undefined;
    if (kind !== "message") return this.#tell(kind, detail);
    return this.#call("onMessage", event, payload, { number, history, replayed, ...NO_REQUEST });
  }

  // A request: what `onMessage` gives back is the answer, unless it has answered already or will do so later.
  #handle(item) {
    const { event, payload, number, history, replayed, id } = item;
    const done = () => this.#run(this.#machine.handled(item, this.#now()));
    const finish = (value) => {
      if (!item.deferred) this.#conclude(item, { payload: value });
      done();
    };
    const fail = (error) => {
      const refusal = error instanceof RequestError && !item.answered;
      if (!refusal) this.#platform.report(error);
      this.#conclude(item, refusal ? refused(error) : INTERNAL_ERROR);
      done();
    };
    const request = {
      number, history, replayed, id,
      reply: (answer) => this.#answer(item, { payload: answer }),
      refuse: (code, text) => this.#answer(item, refused(new RequestError(code, text))),
      defer: () => this.#run(this.#machine.defer(item, this.#now())),
    };
    try {
      if (item.refusal) throw item.refusal;
      if (!this.#options.onMessage) throw new RequestError("unknown_event");
      const result = this.#options.onMessage(event, payload, request);
      if (typeof result?.then !== "function") return finish(result);
      result.then(finish, fail);
      this.#run(this.#machine.promised(item, this.#now()));
    } catch (error) {
      fail(error);
    }
  }

  // The application is done with it: what is wrong with its answer is told the asker, and reported.
  #conclude(item, answer) {
    for (const one of [answer, INTERNAL_ERROR]) {
      if (!this.#machine.owes(item)) return;
      try {
        return this.#answer(item, one);
      } catch (error) {
        this.#platform.report(error);
      }
    }
  }

  #answer(item, answer) {
    const text = this.#codec.encode({ event: item.event, payload: null, re: item.id, ...answer });
    this.#run(this.#machine.answer(item, text, bytesOf(text), this.#now()));
  }

  #tell(name, detail) {
    const told = { ...detail };
    // An answer of ours is no message to be sent again: who has asked is gone with the session.
    if (told.inDoubt) told.inDoubt = told.inDoubt.map((entry) => this.#ours(entry.text)).filter(({ re = null }) => re === null);
    if (told.message) told.message = this.#ours(told.message.text);
    return this.#call(`on${name[0].toUpperCase()}${name.slice(1)}`, told);
  }

  // A message of ours, which a page before this one may have encoded by other rules.
  #ours(text) {
    try {
      return this.#codec.decode(text);
    } catch (error) {
      this.#platform.report(error);
      return { event: "", payload: null };
    }
  }

  #call(callback, ...values) {
    try {
      return this.#options[callback]?.(...values);
    } catch (error) {
      return this.#platform.report(error);
    }
  }

  #arm() {
    this.#platform.clearTimeout(this.#timer);
    const pause = this.#machine.deadline - this.#now();
    if (pause === Infinity) return;
    this.#timer = this.#platform.setTimeout(() => this.#run(this.#machine.tick(this.#now())), Math.min(Math.max(pause, 0), 1e9));
  }

  // A page sees no pings, so an open socket may have been dead for minutes. What it does see is taken for a hint.
  #listen() {
    const { window, document, navigator } = this.#platform;
    const hear = (target, type, listener) => {
      target?.addEventListener?.(type, listener);   // in Node there is nobody to tell
      this.#listening.push(() => target?.removeEventListener?.(type, listener));
    };
    const awake = (maybeDead) => this.#run(this.#machine.awake(this.#now(), maybeDead));
    hear(window, "online", () => awake(true));
    // Chromium's Workers get no such event; but what they know of the connection changes at the same moment.
    let online = navigator?.onLine;
    hear(window && "ononline" in window ? null : navigator?.connection, "change", () => {
      const wasOnline = online;
      online = navigator.onLine;
      if (online && !wasOnline) awake(true);
    });
    hear(window, "pagehide", () => this.#goAway());
    hear(window, "pageshow", () => { if (this.#away) this.#comeBack(); });
    hear(document, "resume", () => awake(true));    // the browser had frozen the page
    hear(document, "visibilitychange", () => { if (document.visibilityState === "visible") awake(false); });
  }

  #leave() {
    this.#listening.splice(0).forEach((stop) => stop());
    names.delete(this.#name);
    this.#claiming.abort();
    // A session that ends before it has begun (React's StrictMode does so on every load) has no record yet: what a former page
    // has kept stays for the next connect().
    this.#notebook?.clear();
    this.#release();
  }

  // `url` may be relative and http(s): it is where the page itself would look.
  #address(url, query) {
    const address = new URL(url, this.#platform.base);
    address.protocol = address.protocol.replace(/^http/, "ws");
    if (!/^wss?:$/.test(address.protocol)) throw new TypeError(`address ${address.href}: begin it with ws, wss, http or https`);
    for (const [name, value] of Object.entries(query)) address.searchParams.set(name, value);
    return address.href;
  }

  #now() { return this.#platform.now(); }
}

/**
 * Begin a session, or go on with the one that this tab had before it was reloaded. `url` is where the hub listens, relative to the page
 * or not, or a function `({ tab, resume }) => url` (or a promise of it) that is asked before every dial.
 */
export function connect(url, options = {}) {
  return new Session(url, options);
}

// -- what outlives a reload, and whose it is -------------------------------------------------------------

// A storage may be shared: the frames of a tab have one sessionStorage, all tabs one localStorage. So each page has a record of its
// own in it, whose name is random, and nobody touches a record that another page uses. For the session "default":
//
//   resumehub.default             a list of the records: the name (`tab`) of each, and the *place* of the page that made it
//   resumehub.default.<tab>       the head of a record
//   resumehub.default.<tab>.<n>   our message n, as long as it is not acknowledged

/** All records of one session's name in a storage. */
class Records {
  #storage;
  #key;
  #platform;
  #place;

  constructor(storage, key, platform) {
    this.#storage = storage;
    this.#key = key;
    this.#platform = platform;
    // A duplicated tab has a copy of its sessionStorage. Nothing else is ever copied: it is shared.
    this.copied = storage === platform.sessionStorage;
    this.#place = pathOf(platform.window);
  }

  /** What this page may go on with, best first: `[tab, patience]`. */
  candidates() {
    const { window } = this.#platform;
    const mine = this.#place + this.#mark();
    const places = (fits) => this.#list().filter(([, place]) => fits(place)).map(([tab]) => tab);
    const ours = places((place) => place === mine);
    // Frames may have been removed and added, so that their indexes have changed: then another's record is free.
    const beside = ours.some((tab) => isInUse(tab, window)) ? places((place) => place !== mine && parentOf(place) === parentOf(mine)) : [];
    const others = this.copied ? beside : places((place) => place !== mine);
    return [...ours.map((tab) => [tab, CLAIM_PATIENCE]), ...others.map((tab) => [tab, this.copied ? CLAIM_PATIENCE : 0])];
  }

  /** Another tab has this record of ours: ours is a copy, or the mark is that says which one in a shared storage is ours. */
  disown(tab) {
    if (this.copied) this.notebook(tab).clear();
    else if (this.#list().some(([other, place]) => other === tab && place === this.#place + this.#mark())) this.#mark(randomName());
  }

  notebook(tab) { return new Notebook(this.#storage, this, `${this.#key}.${tab}`, tab, this.#platform.report); }

  has(tab) { return (this.#storage.getItem(this.#key) ?? "").includes(tab); }

  /** Enter a record, at this page's place; or beside it, if another page of this tab has a record that was made here. */
  add(tab) {
    const list = this.#list();
    const mine = this.#place + this.#mark();
    const taken = (place) => list.some(([other, its]) => its === place && isInUse(other, this.#platform.window));
    let place = mine;
    for (let index = 0; taken(place); index += 1) place = parentOf(mine) + index + this.#mark();
    this.#storage.setItem(this.#key, JSON.stringify([...list, [tab, place]]));
  }

  remove(tab) {
    const list = this.#list().filter(([other]) => other !== tab);
    if (list.length > 0) this.#storage.setItem(this.#key, JSON.stringify(list));
    else this.#storage.removeItem(this.#key);
  }

  #list() {
    try {
      return JSON.parse(this.#storage.getItem(this.#key)).filter(Array.isArray);
    } catch {
      return [];                                    // nothing there, or nothing of ours
    }
  }

  // Tells the pages apart that are in the same place of different tabs. It outlives a reload.
  #mark(change = null) {
    if (this.copied) return "";
    try {
      const { sessionStorage } = this.#platform;
      const mark = change ?? sessionStorage.getItem("resumehub.mark") ?? randomName();
      sessionStorage.setItem("resumehub.mark", mark);
      return `@${mark}`;
    } catch {
      return "";                                    // then any record that no page uses will do
    }
  }
}

/** One record. */
class Notebook {
  #storage;
  #records;
  #key;
  #tab;
  #report;
  #last = null;              // the head as we know it: whoever finds another one there has lost the record
  #lent = false;             // other pages may have it

  constructor(storage, records, key, tab, report) {
    this.#storage = storage;
    this.#records = records;
    this.#key = key;
    this.#tab = tab;
    this.#report = report;
  }

  /** `{ head, unacked }` as the page before left it, or null. */
  load() {
    try {
      this.#last = this.#storage.getItem(this.#key);
      const head = JSON.parse(this.#last);
      const unacked = [];
      const next = () => this.#storage.getItem(this.#entry(head.acked + 1 + unacked.length));
      for (let text = next(); text !== null; text = next()) unacked.push({ text, size: bytesOf(text) });
      return { head, unacked };
    } catch {
      return null;                                  // nothing there, or nothing of ours
    }
  }

  save(head) {
    if (!this.#isOurs) return;
    this.#last = JSON.stringify(head);
    this.#write(this.#key, this.#last);
  }

  keep(number, text) { if (this.#isOurs) this.#write(this.#entry(number), text); }

  forget(number) { if (this.#isOurs) this.#storage?.removeItem(this.#entry(number)); }

  /** From now on other pages may use it: if it is gone, one of them has ended the session. */
  lend() { this.#lent = true; }

  get isWritable() { return this.#storage !== null; }

  // Where nobody could be asked whose it is, or while it was lent, another page may have gone on with it: then it is theirs.
  get #isOurs() {
    const head = this.#storage?.getItem(this.#key) ?? null;
    return head === this.#last || (head === null && !this.#lent);
  }

  /** Remove it, unless somebody else has gone on with it. */
  clear() {
    const known = this.#last;
    const kept = this.#storage && this.load();
    if (!kept || (known ?? this.#last) !== this.#last) return;
    kept.unacked.forEach((_, index) => this.forget(kept.head.acked + 1 + index));
    this.#storage.removeItem(this.#key);
    this.#records.remove(this.#tab);
  }

  // A full storage costs the next page its resume, and nothing else; half a record would cost it messages.
  #write(key, text) {
    try {
      this.#storage?.setItem(key, text);
      // Of two tabs that enter their records in one list at once one may be left out: so it looks.
      if (this.#storage && !this.#records.has(this.#tab)) this.#records.add(this.#tab);
    } catch (error) {
      this.#report(error);
      this.#last = null;
      this.clear();
      this.#storage = null;
    }
  }

  #entry(number) { return `${this.#key}.${number}`; }
}

/** How long to wait for a page that is just going away (a reload), or for the answer of one that is here. */
const CLAIM_PATIENCE = 1_000;

/**
 * Find a record for this page that no other page uses: its `own` if it had one before it was left, or that of the page before in
 * the same place; or a new one.
 *
 * Whoever uses a record says so in its window (frames of a tab can see each other's: `isInUse`), and holds a lock of the record's
 * name for as long as the page lives. Who does not get the lock although no page of the tab has the record, has a copy of it: a
 * duplicated tab begins with a copy of the original's sessionStorage, and must not present the original's token.
 */
async function claim(records, platform, signal, own) {
  if (!records) return { tab: randomName(), notebook: null, kept: null, release() {} };
  for (const [tab, patience] of own ? [[own, CLAIM_PATIENCE]] : records.candidates()) {
    if (isInUse(tab, platform.window)) continue;
    const release = await take(tab, platform, patience, signal);
    // Nobody waits for it any more: not to have the lock says nothing about whose record it is.
    if (signal.aborted) return { release: release ?? (() => {}) };
    const notebook = records.notebook(tab);
    const kept = release && notebook.load();        // only now: until it was ours the page before may have written in it
    if (kept) return { tab, notebook, kept, release };
    if (release) release();
    else records.disown(tab);
  }
  const tab = randomName();
  // Nobody else can have a fresh name, so there is nothing to be impatient about: not to hold it would invite a thief.
  const release = await take(tab, platform, null, signal) ?? (() => {});
  return { tab, notebook: records.notebook(tab), kept: null, release };
}

/** Under this key each window has the records that it uses: `{ tab }`. */
const IN_USE = Symbol.for("resumehub.records");

/** Whether a page of this tab has the record: this one, or any frame of the same origin. */
function isInUse(tab, window) {
  const look = (one) => {
    try {
      for (const used of one[IN_USE] ?? []) if (used.tab === tab) return true;
    } catch { /* a frame of another origin; it has another storage as well */ }
    for (let index = 0; index < (one?.length ?? 0); index += 1) if (look(one[index])) return true;
    return false;
  };
  return look(window?.top ?? window);
}

// Say that we use the record, and hold its lock. The first without waiting: no frame can come in between. When `signal` ends it,
// the record is free at once, for a connect() in the same tick.
async function take(tab, platform, patience, signal) {
  const used = platform.window && (platform.window[IN_USE] ??= new Set());
  const ours = { tab };
  const leave = () => used?.delete(ours);
  used?.add(ours);
  signal.addEventListener("abort", leave);
  const release = await hold(`resumehub.${tab}`, platform, patience, signal);
  if (!release) leave();
  return release && (() => {
    leave();
    release();
  });
}

/** Where in its tab a page is: the indexes of the frames on the way to it. "0" is the page itself, "0.1" its second frame. */
function pathOf(window) {
  const path = [];
  let one = window;
  for (; one?.parent && one.parent !== one; one = one.parent) {
    let index = 0;
    while (index < one.parent.length && one.parent[index] !== one) index += 1;
    path.unshift(index);
  }
  return [0, ...path].join(".");
}

const parentOf = (place) => place.replace(/\d+(@.*)?$/, "");

// Give a function that lets go of the name; or null if somebody else keeps it, or `signal` has ended the wait. Where the
// browser has neither locks nor channels, or refuses them, nobody can be asked, and the name is taken for free.
async function hold(name, platform, patience, signal) {
  for (const [offered, way] of [[platform.locks, holdByLock], [platform.BroadcastChannel, holdByChannel]]) {
    if (!offered) continue;
    try {
      return await way(name, platform, patience, signal);
    } catch {
      if (signal.aborted) return null;
    }
  }
  return () => {};
}

// The browser lets go of the lock when the page dies.
function holdByLock(name, { locks, setTimeout, clearTimeout }, patience, signal) {
  return new Promise((resolve, reject) => {
    const tooLong = new AbortController();
    const giveUp = () => tooLong.abort();
    const timer = patience ? setTimeout(giveUp, patience) : null;
    signal.addEventListener("abort", giveUp);
    const options = patience === 0 ? { ifAvailable: true } : { signal: tooLong.signal };
    locks.request(name, options, (lock) => {
      clearTimeout(timer);
      return lock ? new Promise((release) => { resolve(release); }) : resolve(null);
    }).catch((error) => {
      clearTimeout(timer);
      if (tooLong.signal.aborted) resolve(null);
      else reject(error);
    });
  });
}

// Where there are no locks (plain http): ask whether anybody has that name. Of two who ask at once the smaller one stays.
function holdByChannel(name, { BroadcastChannel, setTimeout, clearTimeout }, patience, signal) {
  return new Promise((resolve) => {
    const me = randomName();
    const channel = new BroadcastChannel(name);
    let mine = false;
    const giveUp = () => {
      clearTimeout(timer);
      channel.close();
      resolve(null);
    };
    const timer = setTimeout(() => {
      mine = true;
      resolve(() => channel.close());
    }, patience === null ? 0 : CLAIM_PATIENCE);
    signal.addEventListener("abort", () => { if (!mine) giveUp(); });
    channel.onmessage = ({ data: { ask, taken } }) => {
      if (ask) channel.postMessage(mine || me < ask ? { taken: ask } : { ask: me });
      if (taken === me && !mine) giveUp();
    };
    channel.postMessage({ ask: me });
  });
}

function randomName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Where cookies are blocked even looking at it throws. Without a page (Node 25, Deno) nothing is ever reloaded, so it is of no use.
function sessionStorageOrNone() {
  try {
    return globalThis.document ? globalThis.sessionStorage ?? null : null;
  } catch {
    return null;
  }
}
