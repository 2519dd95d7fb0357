// The types of resumehub.js. What each thing is for: docs/howto/javascript-client.md.

export interface Message {
  event: string;
  payload: any;
  /** It is of the history of a room. From a client it means nothing. */
  history?: boolean;
  /** It is a request, and this is its id, by which its answer names it. */
  id?: string | null;
  /** It is the answer to the request with this id … */
  re?: string | null;
  /** … or its refusal. */
  error?: { code: string; message?: string } | null;
}

/** What onMessage gets beside the message. `reply`, `refuse` and `defer` are for requests, and throw TypeError if `id` is null. */
export interface Received {
  /** The number of the message in its session. */
  number: number;
  /** It is of the history of a room: it was said before this session entered the room. */
  history: boolean;
  /** It comes after a resume, and was kept for that. */
  replayed: boolean;
  /** Of a request, which wants an answer; null: it wants none. */
  id: string | null;
  /** Answer, once; what onMessage returns then means nothing. Throws for an answer too many, SessionClosed, and what `send` does. */
  reply(payload?: unknown): void;
  /** Refuse, once. `code`: for programs, 1 to 64 characters; `text`: for people. */
  refuse(code: string, text?: string): void;
  /** Answer later. The message counts as handled when onMessage has returned, whatever that promises. */
  defer(): void;
}

export type State = "idle" | "connecting" | "open" | "waiting" | "closed";

/** Why a connection ended: its close code, 1006 where there was none, and a reason. */
export interface Cause {
  code: number;
  reason: string;
}

export type StateDetail =
  /** The page is left. If it comes back (out of the browser's back/forward cache), it begins again. */
  | ({ state: "idle" } & Cause)
  | { state: "connecting"; resume: boolean }
  | { state: "open"; resumed: boolean }
  /** `pause`: milliseconds until the next dial. `reachable`: there was a session; false: the dial got no answer. */
  | ({ state: "waiting"; pause: number; reachable: boolean } & Cause)
  | ({ state: "closed" } & Cause);

export interface Expired {
  /** "expired", "gap" (the hub no longer has all that is missing), or "replaced" (another page of the tab has ended it). */
  reason: string;
  /** After a gap: the number of the first message that could still have been had. */
  firstAvailable: number | null;
  /** What was sent and may have been handled, or not. It is not sent again by itself. A request among it has its `id`. */
  inDoubt: Message[];
}

export interface Callbacks {
  /**
   * A message. It counts as handled when this has returned, or when the promise that it returns has settled. For a request that value is
   * the answer; a RequestError that it throws is the refusal.
   */
  onMessage?(event: string, payload: any, message: Received): unknown;
  /** A new session has begun. `id` is null in plain mode. */
  onConnect?(detail: { id: string | null }): void;
  /** The connection is lost; the session waits. */
  onDrop?(cause: Cause): void;
  /**
   * The session goes on, and all that was missed has been handed over. `replayed` is null in plain mode. `elsewhere`: how many
   * messages other pages of the tab have handled while this one was left; 0 unless it came out of the back/forward cache.
   */
  onRestore?(detail: { replayed: number | null; elsewhere: number }): unknown;
  /** The numbers `from` to `to` were broadcasts that found the window full, and will never come. */
  onMissed?(detail: { from: number; to: number; count: number }): unknown;
  /** The session is gone. Unless `renew` is false, a new one begins. */
  onExpired?(detail: Expired): void;
  /**
   * The server did not accept this message; it is not sent again. `code` null: its codec could not decode it, `number` says which
   * message of the session it was, and the connection goes on. Else it ended the connection for it, or would (1009).
   */
  onRejected?(detail: { code: number | null; reason: string; number?: number; message: Message }): void;
  /** The session is over, and the client does not come back. */
  onClosed?(detail: Cause & { inDoubt: Message[] }): void;
  onState?(detail: StateDetail): void;
  /** With `trace: true`: every dial, message and acknowledgement. For debugging; the details may change. */
  onTrace?(detail: { kind: string; [detail: string]: unknown }): void;
}

export interface Storage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

export interface Codec {
  encode(message: Message): string;
  /** What it throws means: this is no message. */
  decode(text: string): Message;
}

/** JSON, like the hub's `JSONCodec(max_depth=…)`. `maxDepth`: arrays and objects in one another in a payload, 1 to 500. Default 100. */
export function jsonCodec(options?: { maxDepth?: number }): Codec;

export interface Options extends Callbacks {
  /** No subprotocol: for any hub, with fewer promises. Default false. */
  plain?: boolean;
  /** One for each session of a page. Default "default". */
  name?: string;
  /** What outlives a reload; pages may share it. Default sessionStorage; null: nothing does. */
  storage?: Storage | null;
  /** Messages that may wait for their acknowledgement. Default 256. */
  sendBuffer?: number;
  /** The same in bytes. Default 1 MiB. */
  sendBufferBytes?: number;
  /** Milliseconds: the most that the first pause lasts; each pause of half of that or more doubles it. Default 500. */
  firstPause?: number;
  /** Milliseconds: the most that any pause lasts. Default 10,000. */
  longestPause?: number;
  /** Milliseconds until the next dial, in place of the two above and of what a busy server asks for (`cause`). Infinity: until `reconnect()`. */
  pause?: ((failures: number, cause: Cause) => number) | null;
  /** Dials in a row that come to nothing, after which the client gives up. Default Infinity. */
  retries?: number;
  /** Milliseconds from a dial to the server's first word. Default 10,000. */
  dialTimeout?: number;
  /** Milliseconds after which a connection counts as a good one, and the pauses begin small again. Default 5,000. */
  stableAfter?: number;
  /** Milliseconds without a sign of life while something is sent and not acknowledged. Default 30,000. */
  stallTimeout?: number;
  /** Milliseconds that an acknowledgement may wait; the first one on each connection, a random part of them, half at least. Default 1,000. */
  ackDelay?: number;
  /** Milliseconds that `request` waits for the answer if it is not told otherwise; null: no limit. Default 30,000. */
  requestTimeout?: number | null;
  /** Requests without an answer, each way. Default 1,000. */
  maxRequests?: number;
  /** Begin a new session when the old one has expired. Default true. */
  renew?: boolean;
  /** Call onTrace. Default false. */
  trace?: boolean;
  /** From 0 to 1: draws the pauses, and the share of half a window at which a connection first acknowledges. Default Math.random. */
  random?(): number;
  /** Must make text. Default `jsonCodec()`, like the hub's. */
  codec?: Codec;
  /** What is used in place of the browser's own: for tests, and for other runtimes. */
  platform?: Partial<Platform>;
}

export interface Platform {
  WebSocket: new (url: string, protocols?: string[]) => any;
  now(): number;
  setTimeout(run: () => void, pause: number): any;
  clearTimeout(timer: any): void;
  locks: any;
  BroadcastChannel: any;
  /** What fires `online` and `pageshow`: the window, or a Worker's own scope. */
  window: any;
  navigator: any;
  document: any;
  /** The default of `storage`, and where a page looks which record of a shared storage was its own. */
  sessionStorage: Storage | null;
  /** What a relative address is relative to. */
  base: string | undefined;
  /** Gets what callbacks throw, and what could not be decoded or kept. */
  report(error: unknown): void;
}

export interface Stats {
  dials: number;
  drops: number;
  resumes: number;
  sent: number;
  resent: number;
  received: number;
  /** Came again, and were not handed over again. */
  skipped: number;
  missed: number;
  rejected: number;
  /** What `request` has sent. */
  requests: number;
  /** Answers that nobody waited for: after a timeout, or to the page before a reload. */
  late: number;
  unacked: number;
  unackedBytes: number;
}

export interface Session {
  readonly state: State;
  /** The id of the connection; null before it is known, and in plain mode. */
  readonly id: string | null;
  /** The random name of this tab (or frame): a reload keeps it, a duplicate of the tab has another. "" before the first dial. */
  readonly tab: string;
  readonly stats: Stats;
  /** Send, now or when the connection is back. Throws SendBufferFull, SessionClosed, MessageTooBig, TypeError. */
  send(event: string, payload?: unknown): void;
  /**
   * Ask, now or when the connection is back, and get the payload of the answer. `timeout`: milliseconds, null for no limit. `signal` ends
   * the waiting; the request may be handled all the same. Rejects with RequestFailed, RequestTimeout, RequestInDoubt, the reason of the
   * signal, RangeError for another timeout, and with what `send` throws.
   */
  request<Answer = any>(event: string, payload?: unknown, options?: { timeout?: number | null; signal?: AbortSignal }): Promise<Answer>;
  /** Dial now: instead of after the pause, or in place of a connection that only looks alive. */
  reconnect(): void;
  /** End the session; on the server as well, if it can be reached. Before the first dial what an earlier page has kept stays. */
  close(): void;
}

export type Address = string | URL;

/** Begin a session, or go on with the one that this tab had before it was reloaded. */
export function connect(
  url: Address | ((dial: { tab: string; resume: boolean }) => Address | Promise<Address>),
  options?: Options,
): Session;

export class SendBufferFull extends Error {}
export class SessionClosed extends Error {}
/** Over the server's `max_message_size` or over `sendBufferBytes`: to send it later would not help. */
export class MessageTooBig extends RangeError {}

/** Throw it in onMessage, or a class derived of it: the refusal of a request. The asker is told both. */
export class RequestError extends Error {
  constructor(code: string, message?: string);
  readonly code: string;
}
/** The server has refused a request; or, with the code "rejected", did not accept it as a message. Do not trust the message. */
export class RequestFailed extends Error {
  constructor(code: string, message?: string);
  readonly code: string;
}
/** No answer in time. The request may have been handled, or may still be. */
export class RequestTimeout extends Error {
  constructor(event: string, timeout: number);
  readonly event: string;
}
/** The session was over before the answer. The request may have been handled, or not; after SessionClosed it was not sent. */
export class RequestInDoubt extends Error {
  constructor(event: string);
  readonly event: string;
}

/** One thing that the machine wants done. */
export interface Effect {
  do: "dial" | "detach" | "write" | "deliver" | "tell" | "settle" | "save" | "keep" | "forget" | "report" | "release";
  [detail: string]: any;
}

/** The decisions of a session without its socket, timers and storage; see the module. */
export class Machine {
  constructor(options?: Options);
  readonly state: State;
  readonly head: { tab: string; live: boolean; doubtful: boolean; token: string | null; id: string | null; handled: number; pending: number[]; acked: number; attempt: number; began: number };
  readonly unacked: { text: string; size: number; id?: string; written: boolean; rejected?: boolean }[];
  readonly stats: Omit<Stats, "unacked" | "unackedBytes">;
  readonly inFlight: { messages: number; bytes: number };
  readonly deadline: number;
  start(now: number, tab: string, kept?: { head: object; unacked: { text: string; size: number }[] } | null): Effect[];
  leave(): Effect[];
  back(): void;
  again(now: number, tab: string, kept?: { head: object; unacked?: { text: string; size: number }[] } | null): Effect[];
  opened(now: number): Effect[];
  arrived(message: Message & { broken?: boolean }, size: number, now: number): Effect[];
  handled(item: object, now: number): Effect[];
  promised(item: object, now: number): Effect[];
  defer(item: object, now: number): Effect[];
  owes(item: object): boolean;
  answer(item: object, text: string, size: number, now: number): Effect[];
  closed(code: number, reason: string, now: number): Effect[];
  send(text: string, size: number, now: number): Effect[];
  request(asked: { id: string; event: string; timeout?: number | null }, text: string, size: number, now: number): Effect[];
  abandon(id: string): void;
  reconnect(now: number, reason?: string): Effect[];
  awake(now: number, maybeDead: boolean): Effect[];
  close(): Effect[];
  tick(now: number): Effect[];
}
