// The demo page: wires the link (a session over WebSockets), the server's timeline and the page together.
// Read next: demo_link.js (how it uses the client), demo_model.js (what the timeline shows), demo_storm.js.

import { Chart } from "./demo_chart.js";
import { Events } from "./demo_events.js";
import { Link } from "./demo_link.js";
import { Model } from "./demo_model.js";
import { $, ChatLog, el, People, Verdict, Words } from "./demo_page.js";
import { Reload } from "./demo_reload.js";
import { Storm } from "./demo_storm.js";
import { holdHint, OUTCOMES, stormWords } from "./demo_story.js";
import { WorkersCard } from "./demo_workers.js";

const BURST = 10;
const STORM = 200;
const PILL = { idle: "Not connected", dialing: "Connecting", open: "Connected", away: "Away", over: "Session over" };

const now = () => performance.now() / 1000;
const guest = `Guest ${1 + (crypto.getRandomValues(new Uint16Array(1))[0] % 999)}`;   // who gives no name
const randomId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

// What outlives a reload of this tab. (A duplicate of the tab has a copy of it, see socketAddress.)
const kept = {
  get id() { return kept._get("id"); },
  set id(value) { kept._set("id", value); },
  get owner() { return kept._get("owner"); },
  set owner(value) { kept._set("owner", value); },
  get slot() { return kept._get("slot") || "a"; },
  set slot(value) { kept._set("slot", value); },
  get plain() { return kept._get("plain") === "yes"; },
  set plain(value) { kept._set("plain", value ? "yes" : ""); },
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
  _get: (key) => sessionStorage.getItem(`demo.${key}`) ?? "",
  _set: (key, value) => sessionStorage.setItem(`demo.${key}`, value),
};

let settings = { resume_window: 30 };
let tag = 0;
let lost = 0; // messages that were kept while this page was away, and went with the latest session that ended
const armed = new Map(); // tag of a burst -> resolve, until the server has taken the order

const model = new Model();
const verdict = new Verdict();
const chat = new ChatLog();
const people = new People();
const words = new Words(model);
const chart = new Chart({ box: $("chart"), svg: $("chart-svg"), tip: $("tip"), model, now });
// "Connect anew" has two sessions for a moment: each is kept under a name of its own.
const slots = {
  get current() { return `demo-${kept.slot}`; },
  get other() { return `demo-${kept.slot === "a" ? "b" : "a"}`; },
  swap() { kept.slot = kept.slot === "a" ? "b" : "a"; },
};
const link = new Link({ address: socketAddress, slots, report: (kind, facts) => LINK[kind](facts) });
const workers = new WorkersCard();
const reload = new Reload({ ask: askForReload, send: (event, payload) => link.send(event, payload), show: showReload });
const storm = new Storm({ send: (event, payload) => link.send(event, payload), cut: cutNow, show: showStorm });
const events = new Events({
  query: () => (kept.joined || link.phase !== "idle" ? { room: kept.room, who: kept.handle || "unknown" } : null),
  deliver: onServerEvent,
  settings: onSettings,
  workers: onWorkers,
  restarted: () => model.serverRestarted(now()),
});

// `tab` is the client's word for this tab: whoever has another one than the last time begins as somebody else. So a
// duplicate of the tab gets an id of its own, instead of the session of the original. (The rival wants that very id.)
function socketAddress({ tab, isRival }) {
  if (kept.owner !== tab && !isRival) kept.id = randomId();
  kept.owner = tab;
  const url = new URL("ws", location.href);
  url.search = new URLSearchParams({ room: kept.room, name: kept.name, id: kept.id });
  return url;
}

// What the link reports.

const LINK = {
  phase({ phase }) {
    $("pill").dataset.phase = phase;
    $("pill-text").textContent = PILL[phase];
    const open = phase === "open";
    for (const id of ["cut", "take-over", "kick"]) $(id).disabled = !open || storm.running;
    $("storm").disabled = !open || storm.running;
    $("leave").disabled = phase === "idle" || phase === "over";
    $("start-over").disabled = phase === "dialing";
    if (phase === "away") people.me(kept.handle, "suspended");
    if (phase === "over") {
      people.me(kept.handle, "over");
      storm.stop();
    }
    events.poke();
    refresh();
    keepFocus(phase);
  },

  outcome({ key, ...facts }) {
    verdict.show(key, { window: settings.resume_window, lost, ...facts });
    lost = 0;
    if (["joined", "anew", "resumed", "tookover"].includes(key)) {
      workers.open(now());
      model.page("proven", now(), { key, ...facts });
      people.me(kept.handle, "connected");
      refresh();
    }
    if (link.phase === "away" && key === "conflict") return;
    if (["gone", "kicked", "displaced", "left", "ended", "anew"].includes(key)) chat.giveUp();
    if (key === "left") backToDoor(facts);
  },

  dial(facts) {
    model.page("dial", now(), facts);
    if (verdict.key === "none") verdict.show("connecting", {});
  },

  open() {
    events.poke();
  },

  close(facts) {
    if (!facts.old) {
      workers.close();
      reload.broke();
    }
    model.page("close", now(), facts);
    events.poke();
  },

  sent({ event, payload, number, again }) {
    if (event === "demo.echo") return showUnproven();
    chat.pending.get(payload?.tag)?.querySelector(".note").replaceChildren();
    const what = event === "demo.storm" ? (payload.last ? "The end of the storm" : `Storm ${payload.i}`) : `“${short(payload?.text ?? event)}”`;
    const text = again ? "Sent again: the server had not acknowledged it." : "Sent by this page.";
    model.page("said", now(), { title: numbered(number, what), text, again });
    showUnproven();
    events.poke();
  },

  ack(facts) {
    model.page("ack", now(), facts);
    showUnproven();
  },

  message({ event, payload, number, replayed, received }) {
    if (event === "demo.echo") return reload.answer(payload);
    const at = received / 1000;
    const sentAt = typeof payload?.at === "number" ? events.toPage(payload.at) : null;
    const late = sentAt === null ? 0 : Math.max(0, at - sentAt);
    const how = { replayed, late, own: payload?.who === kept.handle };
    MESSAGES[event]?.(payload, how);
    const title = titleOf(event, payload);
    if (title) model.page("got", at, { title: numbered(number, title), text: replayed ? `Replayed, ${late.toFixed(1)} s after it was sent.` : "Arrived straight away.", replayed });
    events.poke();
  },
};

function showUnproven() {
  if (!kept.plain) model.page("unproven", now(), { used: link.stats.unacked ?? 0 });
}

const numbered = (number, title) => (number === null ? title : `#${number}: ${title}`);

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
  "demo.storm": (payload) => storm.answer(payload),
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
  if (event === "demo.storm") return payload.last ? "The storm is over" : `Answer ${payload.i}`;
  if (event === "demo.numbered") return `Number ${payload.i} of ${payload.of}`;
  if (event === "presence") return `News: ${short(payload.name)} is ${payload.state}`;
  return { "demo.welcome": "Welcome", "demo.restored": "Welcome back" }[event] ?? "";
}

function short(text) {
  const letters = [...String(text)];
  return letters.length > 40 ? `${letters.slice(0, 39).join("")}…` : letters.join("");
}

function onServerEvent(event) {
  if (event.kind === "closed") lost = model.keptWhileAway;
  model.server(event);
  // The verdict says 410 until the server tells that it was the race instead.
  if (event.kind === "resume_refused" && event.status === 4100 && verdict.key === "gone") {
    verdict.show("gone", { away: 0, window: settings.resume_window, lost: 0, race: true });
  }
}

function onWorkers(found) {
  workers.update(found);
  if (found) reload.progress({ reloading: found.reloading, since: found.reload_at === null ? 0 : found.reload_at * 1000 });
}

function showReload(counts) {
  workers.reload = counts;
  workers.tick(now());
}

async function askForReload() {
  const answer = await fetch("reload", { method: "POST", cache: "no-store" });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  events.poke();
}

function onSettings(found) {
  settings = found;
  model.window = found.resume_window;
  showHint();
}

// What the visitor does.

$("join-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("name").value.trim() || $("name").placeholder;
  const room = $("room").value.trim() || $("room").placeholder;
  const plain = chosen("protocol") === "plain";
  Object.assign(kept, { name, room, plain, joined: true, chat: [] });
  enter();
  link.start();
});

$("say-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("say").value.trim();
  if (!text) return;
  $("say").value = "";
  const message = { text, tag: nextTag() };
  chat.mine(message.tag, kept.name, text, link.phase === "open");
  try {
    link.send("chat.say", message);
  } catch (error) {
    chat.refuse(message.tag, error.message);
  }
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
  const answer = await askForCut();
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
}

const askForCut = () => fetch(`cut?id=${encodeURIComponent(kept.id)}`, { method: "POST", cache: "no-store" });

// In a storm: true if there was something to cut.
async function cutNow() {
  try {
    return link.phase === "open" && (await askForCut()).ok;
  } catch {
    return false;
  }
}

function startStorm() {
  link.hurry = true;
  storm.start(STORM, nextTag());
  bringIntoView($("storm-words"), "nearest");
}

function showStorm(counts) {
  for (const name of ["sent", "handled", "back", "repeated", "cuts"]) $(`storm-${name}`).textContent = String(counts[name]);
  $("storm-again").textContent = String(link.stats.resent ?? 0);
  $("storm-lost").textContent = counts.lost === null ? "…" : String(counts.lost);
  $("storm-counts").dataset.tone = counts.running ? "running" : counts.lost || counts.repeated ? "bad" : "good";
  for (const name of ["lost", "repeated"]) {
    $(`storm-${name}`).parentElement.dataset.tone = counts.running ? "" : counts[name] ? "bad" : "good";
  }
  $("storm-words").textContent = stormWords(counts, kept.plain);
  if (counts.running) return;
  link.hurry = false;
  for (const id of ["cut", "take-over", "kick", "storm"]) $(id).disabled = link.phase !== "open";
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
    link.send("demo.burst", { ...burst, tag: burstTag });
  });
}

const CLICKS = {
  "come-back": () => link.comeBack(),
  "start-new": () => link.start(),
  "take-over": () => link.takeOver(),
  "start-over": () => link.connectAnew(),
  storm: startStorm,
  reload: () => reload.start(nextTag()),
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
for (const id of ["cut", "take-over", "start-over", "kick", "start-new"]) $(id).addEventListener("click", () => bringIntoView($("verdict"), "start"));

// On a phone the buttons are far below what they cause; a storm counts right below its own.
function bringIntoView(element, block) {
  const { top, bottom } = element.getBoundingClientRect();
  if (top >= 0 && bottom <= innerHeight) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ block, behavior: calm ? "auto" : "smooth" });
}

$("auto").addEventListener("change", () => {
  link.auto = $("auto").checked;
});
for (const choice of document.querySelectorAll("input[name=hold]")) choice.addEventListener("change", showHint);

// The preflight: the same request without upgrade headers. Its status says what a resume would get.
async function askFirst() {
  const url = new URL("ws", location.href);
  url.search = new URLSearchParams({ room: kept.room, name: kept.name, id: kept.id, instance: kept.owner, resume: "true" });
  const answer = $("preflight-answer");
  answer.textContent = "Asking…";
  try {
    const { status } = await fetch(url, { cache: "no-store" });
    answer.textContent = { 204: "204: yes, a resume would succeed now.", 410: "410: no, the session is gone." }[status] ?? `The server answered ${status}.`;
  } catch {
    answer.textContent = "No answer: the network is down, which says nothing about the session.";
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
  $("farewell").hidden = true;
  $("stage").hidden = false;
  scrollTo(0, 0);   // the button that was pressed may be far down on a small screen
  $("room-name").textContent = kept.room;
  link.plain = kept.plain;
  $("preflight-item").hidden = !kept.plain;   // it needs the token of a lossless session, which a page can't put there
  $("protocol").textContent = kept.plain ? "plain" : "lossless";
  chat.clear();
  if (link.phase === "idle" && kept.joined) chat.remember(kept.chat);
  people.mine = kept.handle;
  showHint();
  events.poke();
}

function backToDoor(facts) {
  const { title, text } = OUTCOMES.left(facts);
  $("farewell").replaceChildren(el("b", "", title), text);
  $("farewell").hidden = false;
  kept.joined = false;
  kept.chat = [];
  $("stage").hidden = true;
  $("join").hidden = false;
  verdict.key = "none";
  model.clear();
  queueMicrotask(() => {
    $("pill").dataset.phase = "idle";
    $("pill-text").textContent = PILL.idle;
    $("name").focus({ preventScroll: true });
    scrollTo(0, 0);
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
  workers.tick(now());
}

setInterval(refresh, 250);
setInterval(() => model.prune(now()), 30_000);
$("name").placeholder = guest;
$("name").value = kept.name;
$("room").value = kept.room || "lobby";
if (kept.joined) {
  enter();
  link.start(); // the page was reloaded: the session may still be waiting
} else {
  $("name").focus();
}
