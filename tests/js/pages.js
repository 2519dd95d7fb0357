// What a page has around it, as far as the client uses it: storage, locks, windows, a way to be left and to come back. One
// process can't leave its page, so each page here imports a copy of the client of its own.

/** A storage that outlives pages. A duplicated tab gets a `copy`. */
export class Storage {
  #map = new Map();
  getItem(key) { return this.#map.get(key) ?? null; }
  setItem(key, value) { this.#map.set(key, String(value)); }
  removeItem(key) { this.#map.delete(key); }
  get size() { return this.#map.size; }
  get content() { return Object.fromEntries(this.#map); }
  copy() {
    const copy = new Storage();
    this.#map.forEach((value, key) => copy.setItem(key, value));
    return copy;
  }
}

/** The Web Locks of one browser. Each page has its own `client`, and its locks go with it. */
export class Locks {
  #queues = new Map();         // name → requests, the first of which has the lock

  client() {
    const mine = new Set();
    return {
      request: (name, options, run) => this.#request(name, options, run, mine),
      /** The page is gone: what it held is free, and what it waits for it does not get. */
      drop: () => [...mine].forEach((one) => this.#remove(one)),
    };
  }

  get held() { return [...this.#queues.keys()]; }

  #request(name, { signal, ifAvailable = false }, run, mine) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(aborted());
      const queue = this.#queues.get(name) ?? [];
      if (ifAvailable && queue.length > 0) return resolve(run(null));
      const one = { name, mine, granted: false, grant: () => {
        one.granted = true;
        // Not at once: the browser grants from another thread.
        Promise.resolve().then(() => run({ name })).then(resolve, reject).finally(() => this.#remove(one));
      } };
      signal?.addEventListener("abort", () => {
        if (one.granted) return;
        this.#remove(one);
        reject(aborted());
      });
      mine.add(one);
      queue.push(one);
      this.#queues.set(name, queue);
      if (queue.length === 1) one.grant();
    });
  }

  #remove(one) {
    one.mine.delete(one);
    const queue = this.#queues.get(one.name) ?? [];
    const place = queue.indexOf(one);
    if (place < 0) return;
    queue.splice(place, 1);
    if (queue.length === 0) this.#queues.delete(one.name);
    else if (place === 0) queue[0].grant();
  }
}

const aborted = () => Object.assign(new Error("aborted"), { name: "AbortError" });

let copies = 0;

/** What a browser may lack, as options of a Tab: pages must find their records in each of these. */
export const SURROUNDINGS = {
  "with Web Locks": {},
  "without Web Locks": { locks: undefined, BroadcastChannel },
  "without locks and channels": { locks: undefined },
};

/** The client as a page of its own loads it. */
export function load() {
  return import(`../../resumehub/static/resumehub.js?page=${copies += 1}`);
}

/** Let everything happen that can happen by itself. */
export async function settle(turns = 20) {
  for (let i = 0; i < turns; i += 1) await new Promise((resolve) => { setImmediate(resolve); });
}

/** A socket whose other end is the test. */
class Socket {
  readyState = 0;
  sent = [];
  constructor(url, protocols) {
    this.query = Object.fromEntries(new URL(url).searchParams);
    this.token = protocols.find((one) => one.startsWith("resumehub.token."))?.slice("resumehub.token.".length) ?? null;
  }
  send(text) { this.sent.push(JSON.parse(text)); }
  close(code) {
    this.readyState = 3;
    this.closedWith = code;
  }

  /** The payloads of the messages that are no control messages. */
  get said() { return this.messages.map(({ payload }) => payload); }

  /** The messages that are no control messages. */
  get messages() { return this.sent.filter(({ event = "" }) => !event.startsWith("$")); }

  hello(change = {}) {
    this.readyState = 1;
    this.onopen?.();
    this.#arrive("$hello", {
      connection_id: "ada", token: "t1", resumed: false, received: 0, replay_from: 1, window: { messages: 16, bytes: 1 << 20 },
      resume_window: 30, ping_interval: 20, max_message_size: 65_536, ...change,
    });
    if (change.resumed) this.#arrive("$replayed", { messages: 0 });
  }

  news(payload) { this.#arrive("news", payload); }

  /** A whole message arrives: a request, or an answer. */
  message(message) { this.onmessage?.({ data: JSON.stringify(message) }); }

  ack(received) { this.#arrive("$ack", { received }); }

  end(code, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  #arrive(event, payload) { this.message({ event, payload }); }
}

/**
 * One page: its client, its surroundings, and what it was told. Timers are run by the test (`wait`). Pages of one tab share a
 * `storage`, pages of one browser its locks. Anything else replaces a part of the platform.
 */
export class Page {
  told = [];
  sockets = [];
  reported = [];
  channels = [];
  #timers = [];

  constructor({ storage = new Storage(), browser = new Locks(), ...platform } = {}) {
    Object.assign(this, { storage, browser, change: platform });
    this.mine = browser.client();
  }

  async connect(options = {}, url = "ws://hub/ws") {
    this.client ??= await load();
    const { sockets, told, mine, channels, change } = this;
    const note = (kind) => (detail) => told.push([kind, detail]);
    const platform = {
      WebSocket: class extends Socket { constructor(...address) { super(...address); sockets.push(this); } },
      setTimeout: (run, pause) => this.#timers.push({ run, pause }),
      clearTimeout: (number) => { if (number) this.#timers[number - 1] = null; },
      locks: mine, BroadcastChannel: undefined, window: new EventTarget(), document: undefined,
      sessionStorage: this.storage, base: "http://hub/",
      report: (error) => this.reported.push(error),
      ...change,
      ...(change.BroadcastChannel && { BroadcastChannel: class extends change.BroadcastChannel {
        constructor(name) { super(name); channels.push(this); }
      } }),
    };
    this.platform ??= platform;
    this.session = this.client.connect(url, {
      storage: this.storage,
      pause: () => 0,
      onConnect: note("connect"), onRestore: note("restore"), onExpired: note("expired"), onClosed: note("closed"),
      onMessage: (event, payload) => told.push(["message", payload]),
      ...options,
      platform: this.platform,
    });
    return this.session;
  }

  get socket() { return this.sockets.at(-1); }

  /** Messages that were handed back, by any callback. */
  get inDoubt() { return this.told.flatMap(([, detail]) => detail?.inDoubt ?? []).map(({ payload }) => payload); }

  /** All timers that are set now run out. */
  async wait() {
    for (const timer of this.#timers.splice(0, this.#timers.length, ...this.#timers.map(() => null))) timer?.run();
    await settle();
  }

  /** The visitor goes to another page. This one may be kept in the back/forward cache: then it does not run, and has no timers. */
  async leave() {
    this.platform.window.dispatchEvent(new Event("pagehide"));
    await settle();
  }

  /** The visitor comes back, and the page goes on as it was. */
  async comeBack() {
    this.platform.window.dispatchEvent(new Event("pageshow"));
    await settle();
  }

  /** The page is gone, without a word to anybody. */
  async die() {
    this.sockets.forEach((socket) => { socket.onopen = socket.onmessage = socket.onclose = null; });
    this.#timers.fill(null);
    this.mine.drop();
    this.channels.forEach((channel) => channel.close());
    await settle();
  }
}

/** A window of a tab, with frames in it. Another origin sees of it what browsers let it see. */
class Window extends EventTarget {
  length = 0;
  constructor(parent = null) {
    super();
    this.parent = parent ?? this;
    this.top = parent ? parent.top : this;
  }

  add(frame) {
    this[this.length] = frame;
    this.length += 1;
    return frame;
  }

  remove(frame) {
    const rest = Array.from(this).filter((one) => one !== frame);
    for (let index = 0; index < this.length; index += 1) delete this[index];
    this.length = 0;
    rest.forEach((one) => this.add(one));
  }

  get foreign() {
    return new Proxy(this, { get: (window, name) => {
      if (["length", "parent", "top"].includes(name) || /^\d+$/.test(String(name))) return window[name];
      throw Object.assign(new Error(`Blocked a frame from accessing ${String(name)}`), { name: "SecurityError" });
    } });
  }
}

/** A tab of a browser: a page, its frames, and the sessionStorage that they share. */
export class Tab {
  storage = new Storage();
  pages = [];
  #window;

  constructor(browser, platform = {}) {
    Object.assign(this, { browser, platform });
  }

  page() {
    this.#window = new Window();
    return this.#load(this.#window);
  }

  frame(parent = this.#window) { return this.#load(parent.add(new Window(parent))); }

  /** A frame of another origin. */
  stranger() { return this.#window.add(new Window(this.#window).foreign); }

  async remove(page) {
    page.window.parent.remove(page.window);
    await page.die();
  }

  /** The page is gone, with its frames. */
  async leave() { await Promise.all(this.pages.splice(0).map((page) => page.die())); }

  duplicate() { return Object.assign(new Tab(this.browser, this.platform), { storage: this.storage.copy() }); }

  #load(window) {
    const { storage, browser, platform } = this;
    const page = Object.assign(new Page({ storage, browser, window, ...platform }), { window });
    this.pages.push(page);
    return page;
  }
}
