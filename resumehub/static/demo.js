// The demo page: wires the link (a session over WebSockets), the server's timeline and the page together.
// Read next: demo_link.js (what happens when a socket ends), demo_model.js (what the timeline shows).

import { Chart } from "./demo_chart.js";
import { Events } from "./demo_events.js";
import { Link } from "./demo_link.js";
import { Model } from "./demo_model.js";
import { $, ChatLog, People, Verdict, Words } from "./demo_page.js";
import { holdHint } from "./demo_story.js";

const BURST = 10;
const PILL = { idle: "Not connected", dialing: "Connecting", open: "Connected", away: "Away", over: "Session over" };

const now = () => performance.now() / 1000;
const randomId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

// What outlives a reload of this tab, and only of this tab.
const kept = {
  get id() {
    return kept._get("id") || kept._set("id", randomId());
  },
  get name() { return kept._get("name"); },
  set name(value) { kept._set("name", value); },
  get room() { return kept._get("room"); },
  set room(value) { kept._set("room", value); },
  get handle() { return kept._get("handle"); },
  set handle(value) { kept._set("handle", value); },
  get chat() { return JSON.parse(kept._get("chat") || "[]"); },
  set chat(lines) { kept._set("chat", JSON.stringify(lines)); },
  get joined() { return kept._get("joined") === "yes"; },
  set joined(value) { kept._set("joined", value ? "yes" : ""); },
  _get: (key) => sessionStorage.getItem(`resumehub.${key}`) ?? "",
  _set: (key, value) => {
    sessionStorage.setItem(`resumehub.${key}`, value);
    return value;
  },
};

let settings = { resume_window: 30 };
let tag = 0;
let lost = 0; // messages that went with the latest session that ended
const waitingToSay = []; // typed while away
const armed = new Map(); // tag of a burst -> resolve, until the server has taken the order

const model = new Model();
const verdict = new Verdict();
const chat = new ChatLog();
const people = new People();
const words = new Words(model);
const chart = new Chart({ box: $("chart"), svg: $("chart-svg"), tip: $("tip"), model, now });
const link = new Link({ address: socketAddress, report: (kind, facts) => LINK[kind](facts) });
const events = new Events({
  query: () => (kept.joined || link.phase !== "idle" ? { room: kept.room, who: kept.handle || "unknown" } : null),
  deliver: onServerEvent,
  settings: onSettings,
  restarted: () => model.serverRestarted(now()),
});

function socketAddress(resume) {
  const url = new URL("ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const query = { room: kept.room, name: kept.name, id: kept.id, reject: "close" };
  url.search = new URLSearchParams(resume ? { ...query, resume: "true" } : query).toString();
  return url.href;
}

// What the link reports.

const LINK = {
  phase({ phase }) {
    $("pill").dataset.phase = phase;
    $("pill-text").textContent = PILL[phase];
    const open = phase === "open";
    for (const id of ["cut", "take-over", "kick"]) $(id).disabled = !open;
    $("leave").disabled = phase === "idle" || phase === "over";
    $("start-over").disabled = phase === "dialing";
    if (phase === "away") people.me(kept.handle, "suspended");
    if (phase === "over") people.me(kept.handle, "over");
    events.poke();
    refresh();
    keepFocus(phase);
  },

  outcome({ key, ...facts }) {
    verdict.show(key, { window: settings.resume_window, lost, ...facts });
    lost = 0;
    if (["joined", "anew", "resumed", "tookover"].includes(key)) {
      model.page("proven", now(), { key, ...facts });
      people.me(kept.handle, "connected");
      queueMicrotask(sayWhatWaited);
    }
    if (link.phase === "away" && key === "conflict") return;
    if (["gone", "kicked", "displaced", "left", "ended", "anew"].includes(key)) chat.giveUp();
    if (key === "left") backToDoor();
  },

  dial(facts) {
    model.page("dial", now(), facts);
    if (verdict.key === "none") verdict.show("connecting", {});
  },

  open() {
    events.poke();
  },

  close(facts) {
    model.page("close", now(), facts);
    events.poke();
  },

  sent({ event, payload }) {
    model.page("said", now(), { title: `“${short(payload?.text ?? event)}”`, text: "Sent by this page." });
    events.poke();
  },

  message({ event, payload, replayed, received }) {
    const at = received / 1000;
    const sentAt = typeof payload?.at === "number" ? events.toPage(payload.at) : null;
    const late = sentAt === null ? 0 : Math.max(0, at - sentAt);
    const how = { replayed, late, own: payload?.who === kept.handle };
    MESSAGES[event]?.(payload, how);
    const title = titleOf(event, payload);
    if (title) model.page("got", at, { title, text: replayed ? `Replayed, ${late.toFixed(1)} s after it was sent.` : "Arrived straight away.", replayed });
    events.poke();
  },
};

// The button that was pressed may be disabled now; whoever uses a keyboard goes on where it makes sense.
function keepFocus(phase) {
  const active = document.activeElement;
  if (active && active !== document.body && !active.disabled && !active.hidden) return;
  const next = { away: "come-back", over: "start-new", open: "cut" }[phase];
  if (next) $(next).focus({ preventScroll: true });
}

// What the server says.

const MESSAGES = {
  "demo.welcome"({ you, ...roster }) {
    if (kept.handle !== you) events.restart();
    kept.handle = you;
    onRoster(roster);
    chat.countFrom(roster.n);
  },
  "demo.restored"(roster) {
    onRoster(roster);
    if (chat.lastNumber === null) chat.countFrom(roster.n);
  },
  "demo.armed"({ tag: armedTag }) {
    armed.get(armedTag)?.();
  },
  "demo.problem"({ text }) {
    chat.news(text, "bad");
  },
  "demo.numbered": (payload, how) => chat.numbered(payload, how),
  "chat.message"(payload, how) {
    chat.said(payload, how);
    kept.chat = chat.history;
  },
  presence(payload) {
    const news = people.change(payload);
    if (news) chat.newsOf(news);
  },
};

function onRoster({ window, ...roster }) {
  onSettings({ ...settings, resume_window: window });
  people.mine = kept.handle;
  people.roster(roster);
}

function titleOf(event, payload) {
  if (event === "chat.message") return `“${short(payload.text)}” from ${short(payload.from)}`;
  if (event === "demo.numbered") return `Number ${payload.i} of ${payload.of}`;
  if (event === "presence") return `News: ${short(payload.name)} is ${payload.state}`;
  return { "demo.welcome": "Welcome", "demo.restored": "Welcome back" }[event] ?? "";
}

function short(text) {
  const letters = [...String(text)];
  return letters.length > 40 ? `${letters.slice(0, 39).join("")}…` : letters.join("");
}

function onServerEvent(event) {
  model.server(event);
  if (event.kind === "closed") lost = event.lost;
  // The verdict says 410 until the server tells that it was the race instead.
  if (event.kind === "resume_refused" && event.status === 4100 && verdict.key === "gone") {
    verdict.show("gone", { away: 0, window: settings.resume_window, lost: 0, race: true });
  }
}

function onSettings(found) {
  settings = found;
  model.window = found.resume_window;
  showHint();
}

// What the visitor does.

$("join-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("name").value.trim();
  const room = $("room").value.trim();
  $("join-problem").textContent = name && room ? "" : "Both a name and a room are needed.";
  if (!name || !room) return;
  Object.assign(kept, { name, room, joined: true, chat: [] });
  enter();
  link.start();
});

$("say-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("say").value.trim();
  if (!text) return;
  $("say").value = "";
  const message = { text, tag: nextTag() };
  const sent = link.send("chat.say", message);
  chat.mine(message.tag, kept.name, text, sent);
  if (!sent) waitingToSay.push(message);
});

$("cut").addEventListener("click", async () => {
  $("cut-problem").textContent = "";
  $("cut").disabled = true;
  try {
    await cut(chosen("hold"), chosen("burst"));
  } catch (error) {
    $("cut-problem").textContent = `It could not be cut: ${error.message}`;
    $("cut").disabled = link.phase !== "open";
  }
});

async function cut(hold, burst) {
  const seconds = hold === "forever" ? Infinity : Number(hold);
  if (burst !== "none") {
    const over = Math.min(seconds, settings.resume_window, 12);
    await order({ count: BURST, when: "away", seconds: burst === "once" ? 0 : over * 0.8 });
  }
  link.plan(seconds);
  const answer = await fetch(`cut?id=${encodeURIComponent(kept.id)}`, { method: "POST", cache: "no-store" });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
}

// Order a burst and wait until the server has it, so that the cut cannot come first.
function order(burst) {
  const burstTag = nextTag();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the server did not take the order for the messages")), 3000);
    armed.set(burstTag, () => {
      clearTimeout(timer);
      armed.delete(burstTag);
      resolve();
    });
    if (!link.send("demo.burst", { ...burst, tag: burstTag })) armed.get(burstTag)();
  });
}

const CLICKS = {
  "come-back": () => link.comeBack(),
  "start-new": () => link.start(),
  "take-over": () => link.takeOver(),
  "start-over": () => link.connectAnew(),
  kick: () => link.send("demo.kick", {}),
  leave: () => link.leave(),
  preflight: askFirst,
  "zoom-in": () => chart.zoom(-1),
  "zoom-out": () => chart.zoom(1),
  pause: () => {
    chart.pause(!chart.paused);
    $("pause").setAttribute("aria-pressed", String(chart.paused));
    $("pause").textContent = chart.paused ? "Follow" : "Pause";
  },
};
for (const [id, click] of Object.entries(CLICKS)) $(id).addEventListener("click", () => click());
for (const id of ["cut", "take-over", "start-over", "kick", "start-new"]) $(id).addEventListener("click", showVerdict);

// On a phone the buttons are far below what they cause.
function showVerdict() {
  if ($("verdict").getBoundingClientRect().bottom > 60) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  $("verdict").scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
}

$("auto").addEventListener("change", () => {
  link.auto = $("auto").checked;
});
for (const choice of document.querySelectorAll("input[name=hold]")) choice.addEventListener("change", showHint);

// The preflight: the same request without upgrade headers. Its status says what a resume would get.
async function askFirst() {
  const url = new URL(socketAddress(true));
  url.protocol = location.protocol;
  url.searchParams.delete("reject");
  const answer = $("preflight-answer");
  answer.textContent = "Asking…";
  try {
    const { status } = await fetch(url, { cache: "no-store" });
    answer.textContent = { 204: "204: yes, a resume would succeed now.", 410: "410: no, the session is gone." }[status] ?? `The server answered ${status}.`;
  } catch {
    answer.textContent = "No answer: the network is down, which says nothing about the session.";
  }
}

function sayWhatWaited() {
  while (waitingToSay.length > 0 && link.send("chat.say", waitingToSay[0])) {
    chat.pending.get(waitingToSay.shift().tag)?.querySelector(".note").replaceChildren();
  }
}

function nextTag() {
  tag += 1;
  return `${kept.handle}-${Date.now().toString(36)}-${tag}`;
}

function chosen(name) {
  return document.querySelector(`input[name=${name}]:checked`).value;
}

function showHint() {
  const hold = chosen("hold");
  $("hold-hint").textContent = holdHint(hold === "forever" ? Infinity : Number(hold), settings.resume_window);
}

// The page's two faces: the door and the room.

function enter() {
  $("join").hidden = true;
  $("stage").hidden = false;
  $("room-name").textContent = kept.room;
  chat.clear();
  if (link.phase === "idle" && kept.joined) chat.remember(kept.chat);
  people.mine = kept.handle;
  showHint();
  events.poke();
}

function backToDoor() {
  kept.joined = false;
  kept.chat = [];
  waitingToSay.length = 0;
  $("stage").hidden = true;
  $("join").hidden = false;
  verdict.key = "none";
  model.clear();
  queueMicrotask(() => {
    $("pill").dataset.phase = "idle";
    $("pill-text").textContent = PILL.idle;
    $("name").focus();
  });
}

function refresh() {
  verdict.follow(link, settings.resume_window, performance.now());
  people.tick((until) => {
    if (until === null) return link.droppedAt === null ? null : settings.resume_window - (performance.now() - link.droppedAt) / 1000;
    const at = events.toPage(until);
    return at === null ? null : at - now();
  });
  words.refresh();
}

setInterval(refresh, 250);
setInterval(() => model.prune(now()), 30_000);
$("name").value = kept.name;
$("room").value = kept.room || "lobby";
if (kept.joined) {
  enter();
  link.resume(); // the page was reloaded: the session may still be waiting
} else {
  $("name").focus();
}
