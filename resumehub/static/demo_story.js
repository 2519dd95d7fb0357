// What each outcome means, in one plain sentence. Pure: facts in, words out. Nothing here knows
// the page or a socket; `demo_link.js` decides which outcome it is, `demo_page.js` shows it.

const seconds = (value) => `${value < 10 && value % 1 ? value.toFixed(1) : Math.round(value)} s`;
const messages = (count) => (count === 1 ? "1 message" : `${count} messages`);

/** Code, title, sentence and tone ("good", "wait", "bad", "quiet") of an outcome. */
export const OUTCOMES = {
  connecting: () => ({
    code: "…", tone: "quiet", title: "Connecting",
    text: "The page asks for a WebSocket and waits for the server to agree.",
  }),
  joined: () => ({
    code: "101", tone: "good", title: "Connected: a new session",
    text: "The upgrade succeeded and there was nothing to resume. Cut the connection to see what the session is good for.",
  }),
  resumed: ({ away, replayed, window, asked }) => ({
    code: "101", tone: "good", title: "Resumed: the same session goes on",
    text: `You were away for ${seconds(away)}, within the window of ${seconds(window)}. `
      + (replayed > 0
        ? `${capital(messages(replayed))} had been kept for you and came first, in order.`
        : "Nothing had been sent to you meanwhile.")
      + (asked ? "" : " The page had not even asked to resume: the session was still waiting for this id."),
  }),
  tookover: () => ({
    code: "4101", tone: "good", title: "Taken over: the new socket has the session",
    text: "The hub closed the first socket with 4101 “superseded” and went on with the second one. The session never noticed more than a drop and a restore.",
  }),
  anew: () => ({
    code: "101", tone: "good", title: "Connected anew: another session",
    text: "The same id without resume=true: the hub ended the old session (close 1000 “duplicate connection id”) and made a new one. What the old one had kept is gone with it.",
  }),
  dropped: ({ code, planned, until, window }) => ({
    code: String(code), tone: "wait",
    title: `${planned ? "Cut" : "Dropped"}: ${window === 0 ? "the session is over" : "your session is suspended"}`,
    text: `${code === 1006 ? "The connection went away without a close frame." : `The connection ended with close code ${code}.`} `
      + (window === 0 ? "Resumption is off on this server, so the session ended with its connection. "
        : "The hub keeps the session and whatever is sent to it. ")
      + (until === "hold" ? "The page stays away for as long as you asked."
        : until === "retry" ? "The page is about to come back." : "The page waits until you come back."),
  }),
  unreachable: () => ({
    code: "1006", tone: "wait", title: "No answer",
    text: "The server can't be reached, so nothing is known about the session: it may still be waiting. That is a different thing from “gone”.",
  }),
  gone: ({ away, window, race, lost }) => ({
    code: race ? "4100" : "410", tone: "bad", title: race ? "Expired during the upgrade" : "Gone: the session has expired",
    text: (window === 0 ? "Resumption is off on this server: the session ended with its connection. "
      : away >= window ? `After ${seconds(away)} away, with a window of ${seconds(window)}, the session no longer exists. `
      : away > 0 ? `The session no longer exists, although the window of ${seconds(window)} was not over: it ended otherwise, or its server did. `
        : "The session no longer exists. ")
      + (lost > 0 ? `${capital(messages(lost))} kept for you went with it. ` : "")
      + (race
        ? "It died while the upgrade was under way, so the hub said so with close code 4100."
        : "The hub says so (HTTP 410, seen here as close code 4100) instead of silently starting a new one."),
  }),
  superseded: () => ({
    code: "4101", tone: "bad", title: "Superseded",
    text: "Another connection has taken this session over: a duplicate of this tab, perhaps. The page does not come back by itself, or the two would take it from each other for ever.",
  }),
  displaced: () => ({
    code: "1000", tone: "bad", title: "Displaced",
    text: "A newer connect without resume=true has taken this id: “duplicate connection id”. This session is over.",
  }),
  kicked: () => ({
    code: "1000", tone: "bad", title: "Kicked",
    text: "The server ended the session on purpose. There is nothing to resume: a later attempt gets 410.",
  }),
  late: () => ({
    code: "1006", tone: "bad", title: "Too late: the grace window has passed",
    text: "The hub has ended the session and keeps nothing for it any more. It will say so when the page comes back.",
  }),
  left: ({ told }) => told ? {
    code: "1000", tone: "quiet", title: "You left",
    text: "The page said goodbye with close code 1000: the session ended at once, without a grace window.",
  } : {
    code: "1000", tone: "quiet", title: "You left without a goodbye",
    text: "There was no connection to say it on: the hub keeps the session until its grace window is over.",
  },
  ended: ({ code, reason }) => ({
    code: String(code), tone: "bad", title: "The session has ended",
    text: reason ? `The server said: “${reason}”.` : "The server closed the connection for good.",
  }),
  conflict: () => ({
    code: "409", tone: "bad", title: "Conflict: this id is in use",
    text: "This server keeps the first of two connections with the same id and refuses the second (HTTP 409, seen here as close code 4409).",
  }),
  forbidden: () => ({
    code: "403", tone: "bad", title: "Refused",
    text: "The server does not let this page in (HTTP 403, seen here as close code 4403).",
  }),
  full: () => ({
    code: "503", tone: "wait", title: "The server is full",
    text: "It holds as many sessions as it may (HTTP 503, seen here as close code 4503). The page tries again later.",
  }),
  closing: () => ({
    code: "1001", tone: "wait", title: "The server is shutting down",
    text: "Sessions live in the server's memory, so this one ends with it. If the server starts again, it will answer 410.",
  }),
};

/** Words under the grace-window bar, while connected and while away. */
export function idleWords(window) {
  return window === 0 ? "This server keeps no sessions: resumption is off." : `The grace window: if the connection drops, the hub waits ${seconds(window)} for you`;
}

export function windowWords(left, window) {
  if (window === 0) return idleWords(window);
  return left > 0 ? `${seconds(left)} left of the grace window` : "The grace window has passed";
}

export function nextWords(phase, left) {
  if (phase === "dialing") return "coming back…";
  return left === null ? "" : `back in ${seconds(Math.max(0, left))}`;
}

/** Tell before the cut how it will end. `hold` in seconds, or Infinity. */
export function holdHint(hold, window) {
  if (window === 0) return "Resumption is off on this server: every cut ends the session.";
  if (hold === Infinity) return `You decide when to come back. After ${seconds(window)} it is too late.`;
  if (hold < window) return `The grace window is ${seconds(window)}: you will be back in time.`;
  return `The grace window is ${seconds(window)}: you will be too late.`;
}

/** What a storm came to, or how it goes. */
export function stormWords({ running, sent, total, lost, repeated, cuts }, plain) {
  if (running) return sent < total ? "Sending, while the network is cut at random …" : "All sent. Waiting for the last answer …";
  if (sent < total) return "The session ended in the middle of it.";
  const cut = `The network was cut ${cuts === 1 ? "once" : `${cuts} times`}`;
  if (lost === 0 && repeated === 0) return `${cut}: nothing was lost, nothing came twice.`;
  const what = [lost > 0 && `${messages(lost)} of ${sent} ${lost === 1 ? "was" : "were"} lost`, repeated > 0 && `${messages(repeated)} came twice`];
  return `${cut}: ${what.filter(Boolean).join(", ")}.`
    + (plain ? " What a plain page had sent when the network went is sent once: it arrives or not." : "");
}

/** This page's own WebSocket: for how long it has been open, and through how many moves of the hub. */
export function lineWords(open, moves) {
  if (open === null) return "This page has no connection now.";
  const since = `Your WebSocket has been open for ${seconds(Math.floor(open))}`;
  return moves === 0 ? `${since}.` : `${since}, through ${moves === 1 ? "1 move" : `${moves} moves`} of the hub. It never broke.`;
}

/** What a reload of the workers came to, or how it goes. */
export function reloadWords({ running, sent, back, lost, repeated, longest, breaks, processes, problem }) {
  const echoes = `${back} of ${sent} echoes came back`;
  if (running) return `${echoes}, the slowest after ${Math.round(longest)} ms …`;
  const way = processes.length < 2 ? "" : `The hub moved from process ${processes.join(" to process ")}. `;
  const all = lost === 0 && repeated === 0 ? `All ${sent} echoes came back, once each; the slowest took ${Math.round(longest)} ms. `
    : `${echoes}${repeated > 0 ? `, ${repeated} of them twice` : ""}. `;
  const line = breaks === 0 ? "Your WebSocket stayed open." : `Your WebSocket was closed ${breaks === 1 ? "once" : `${breaks} times`}.`;
  return problem ? `The workers were not reloaded: ${problem}.` : `All workers were replaced. ${way}${all}${line}`;
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}
