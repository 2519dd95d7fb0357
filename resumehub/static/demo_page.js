// The parts of the page that show something: the verdict, the chat, who is here, the list of words.
// They take plain facts and put them into the document, as text only: whatever other people typed is
// never parsed as markup.

import { OUTCOMES, idleWords, nextWords, windowWords } from "./demo_story.js";

const MOST_LINES = 300;
const MOST_KEPT = 60;
const MOST_WORDS = 200;
const MOST_PEOPLE = 60;

export const $ = (id) => document.getElementById(id);

/** Make an element: `el("p", "hint", "text", child, …)`. */
export function el(name, className = "", ...content) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...content.filter((part) => part !== null && part !== ""));
  return element;
}

/** The card on top: what happened, in one sentence, and what can be done now. */
export class Verdict {
  constructor() {
    this.card = $("verdict");
    this.key = "none";
  }

  show(key, facts) {
    const { code, title, text, tone } = OUTCOMES[key](facts);
    this.key = key;
    this.card.dataset.verdict = key;
    this.card.dataset.tone = tone;
    $("verdict-code").textContent = code;
    $("verdict-title").textContent = title;
    $("verdict-text").textContent = text;
  }

  /** Buttons and the grace-window bar follow the link's phase. */
  follow({ phase, droppedAt, nextDialAt }, window, now) {
    $("come-back").hidden = phase !== "away";
    $("start-new").hidden = phase !== "over";
    const over = phase === "over";
    const gone = droppedAt === null ? 0 : (now - droppedAt) / 1000;
    const left = Math.max(0, window - gone);
    if (this.key === "dropped" && window > 0 && left === 0) this.show("late", {});
    const fill = $("window-fill");
    fill.style.width = over ? "100%" : `${window > 0 ? Math.min(100, (gone / window) * 100).toFixed(2) : 0}%`;
    fill.dataset.over = String(over || left === 0);
    const planned = droppedAt === null || nextDialAt === null ? null : (nextDialAt - droppedAt) / 1000;
    const back = $("window-back");
    back.hidden = planned === null || planned > window || window === 0;
    if (!back.hidden) back.style.left = `${(planned / window) * 100}%`;
    // It is always there, so that what is below does not jump.
    setText($("window-words"), over ? "Nothing waits any more: the session is over" : droppedAt === null ? idleWords(window) : windowWords(left, window));
    setText($("window-next"), droppedAt === null ? "" : nextWords(phase, nextDialAt === null ? null : (nextDialAt - now) / 1000));
  }
}

/** The chat log: what people said, numbered bursts, and small news. */
export class ChatLog {
  constructor() {
    this.log = $("log");
    this.pending = new Map(); // tag -> line of a message that has not come back yet
    this.bursts = new Map();  // tag -> {line, chips, got, last}
    this.lastNumber = null;   // of the room's messages: a gap would be a message that never came
    this.arrived = 0;
    this.missing = 0;
    this.group = null;        // the latest news of people
    this.history = [];        // what a reload of the page brings back
  }

  /** Show what had been said before the page was reloaded. */
  remember(history) {
    this.history = history;
    for (const { from, who, text, own } of history) this._add(this._bubble({ name: from, text, own, who }));
    if (history.length > 0) this.news("The page was loaded again; this was said before.");
  }

  clear() {
    this.log.replaceChildren();
    this.pending.clear();
    this.bursts.clear();
    this.lastNumber = null;
    this.arrived = this.missing = 0;
    this.history = [];
    this._tally();
  }

  /** A new session counts from the number the room has reached. */
  countFrom(number) {
    this.lastNumber = number;
  }

  news(text, tone = "") {
    this._add(el("p", `news ${tone}`, text));
  }

  /** News of a person; the same of several in a row become one line. */
  newsOf({ name, what }) {
    if (this.log.lastElementChild !== this.group?.line || this.group.what !== what) {
      this.group = { what, names: [], line: el("p", "news") };
      this._add(this.group.line);
    }
    const { names, line } = this.group;
    names.push(name);
    line.textContent = `${names.slice(0, 2).join(", ")}${names.length > 2 ? ` and ${names.length - 2} more` : ""} ${what}`;
  }

  /** Show what was just typed, faded until it comes back from the hub. */
  mine(tag, name, text, sent) {
    const line = this._bubble({ name, text, own: true, who: "" });
    line.classList.add("pending");
    line.querySelector(".note").textContent = sent ? "" : "waiting until you are back";
    this.pending.set(tag, line);
    this._add(line);
  }

  /** Messages that were never confirmed, once their session is gone. */
  giveUp() {
    for (const line of this.pending.values()) {
      line.classList.add("unsent");
      line.querySelector(".note").textContent = "not confirmed: the session is gone";
    }
    this.pending.clear();
  }

  /** There was no room for what was just typed. */
  refuse(tag, why) {
    const line = this.pending.get(tag);
    this.pending.delete(tag);
    line?.classList.add("unsent");
    line?.querySelector(".note").replaceChildren(`not sent: ${why}`);
  }

  said({ from, who, text, n, tag }, { own, replayed, late }) {
    this.arrived += 1;
    this._count(n);
    const line = this.pending.get(tag) ?? this._bubble({ name: from, text, own, who });
    const known = this.pending.delete(tag);
    line.classList.remove("pending");
    line.classList.toggle("replayed", replayed);
    line.querySelector(".note").textContent = replayed ? `replayed, ${late.toFixed(1)} s late` : "";
    if (!known) this._add(line);
    this.history = [...this.history, { from, who, text, own }].slice(-MOST_KEPT);
    this._tally();
  }

  numbered({ i, of, tag }, { replayed }) {
    let burst = this.bursts.get(tag);
    if (!burst) {
      const chips = Array.from({ length: Math.min(of, 50) }, (_, index) => el("span", "chip", String(index + 1)));
      const line = el("div", "burst", el("p", "burst-title", "Numbered messages from the server"), el("div", "chips", ...chips), el("p", "burst-sum"));
      burst = { line, chips, got: 0, last: 0, inOrder: true, replayed: 0 };
      this.bursts.set(tag, burst);
      this._add(line);
    }
    this.arrived += 1;
    burst.got += 1;
    burst.replayed += replayed ? 1 : 0;
    burst.inOrder &&= i === burst.last + 1;
    burst.last = i;
    const chip = burst.chips[i - 1];
    chip?.classList.add(replayed ? "replayed" : "live");
    chip?.setAttribute("aria-label", `${i}, ${replayed ? "replayed" : "live"}`);
    burst.line.dataset.got = String(burst.got);
    burst.line.dataset.ordered = String(burst.inOrder);
    burst.line.querySelector(".burst-sum").textContent = `${burst.got} of ${of}, ${burst.inOrder ? "in order" : "out of order"}`
      + (burst.replayed ? `, ${burst.replayed} replayed` : "");
    this._scroll();
    this._tally();
  }

  _count(n) {
    if (this.lastNumber !== null && n > this.lastNumber + 1) this.missing += n - this.lastNumber - 1;
    this.lastNumber = Math.max(this.lastNumber ?? 0, n);
  }

  _tally() {
    const tally = $("tally");
    tally.textContent = this.arrived ? `${this.arrived} arrived, ${this.missing} missing` : "";
    tally.dataset.missing = String(this.missing);
  }

  _bubble({ name, text, own, who }) {
    const line = el("div", own ? "bubble own" : "bubble");
    if (!own) line.append(face(name, who));
    const words = el("div", "bubble-words", own ? "" : el("b", "", name), el("p", "", text), el("small", "note"));
    line.append(words);
    return line;
  }

  _add(line) {
    const nearEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 80;
    this.log.append(line);
    while (this.log.childElementCount > MOST_LINES) this.log.firstElementChild.remove();
    if (nearEnd) this._scroll();
  }

  _scroll() {
    this.log.scrollTop = this.log.scrollHeight;
  }
}

/** Who is in the room, and who is away for how long. */
export class People {
  constructor() {
    this.list = $("people");
    this.people = new Map(); // handle -> {name, state, until}
    this.total = 0;
    this.rows = new Map();
  }

  /** A whole roster; `until` is in the server's seconds, `toPage` converts it. */
  roster({ people, total }) {
    this.people = new Map(people.map((one) => [one.who, one]));
    this.total = total;
    this._rebuild();
  }

  /** One change; gives what to tell the room, or null. */
  change({ who, name, state, until, total }) {
    const before = this.people.get(who);
    this.total = total;
    if (state === "gone" || state === "expired") {
      this.people.delete(who);
      this._rebuild();
      return { name, what: state === "expired" ? "stayed away too long" : "left" };
    }
    this.people.set(who, { who, name, state, until });
    this._rebuild();
    if (!before) return { name, what: "joined" };
    if (before.state === state) return null;
    return { name, what: state === "suspended" ? "lost the connection" : "came back" };
  }

  /** Show my own state, which the server does not tell me about. */
  me(who, state, until = null) {
    const me = this.people.get(who);
    if (!me || (me.state === state && me.until === until)) return;
    this.people.set(who, { ...me, state, until });
    this._rebuild();
  }

  _rebuild(mine = this.mine) {
    this.mine = mine;
    $("people-count").textContent = this.total ? String(this.total) : "";
    const all = [...this.people.values()].sort((a, b) => (b.who === mine) - (a.who === mine)
      || (a.state === "suspended") - (b.state === "suspended") || a.name.localeCompare(b.name, undefined, { numeric: true }));
    this.rows.clear();
    const rows = all.slice(0, MOST_PEOPLE).map((one) => {
      const state = el("span", "person-state");
      this.rows.set(one.who, state);
      const name = el("span", "person-name", one.name);
      const row = el("li", `person ${one.state}`, face(one.name, one.who), el("span", "person-words", el("span", "", name, one.who === mine ? el("i", "you", "you") : ""), state));
      row.dataset.state = one.state;
      row.dataset.name = one.name;
      return row;
    });
    const rest = Math.max(0, this.total - rows.length);
    if (rest) rows.push(el("li", "hint", `and ${rest} more`));
    this.list.replaceChildren(...rows);
  }

  /** Count down; `left(until)` gives seconds. */
  tick(left) {
    for (const [who, row] of this.rows) {
      const { state, until } = this.people.get(who);
      const rest = state === "suspended" ? left(until) : null;
      setText(row, state === "over" ? "session over" : state !== "suspended" ? "connected" : rest === null ? "away" : `away, ${Math.max(0, Math.ceil(rest))} s left`);
    }
  }
}

/** The timeline in words, newest first. Only rebuilt while it is open. */
export class Words {
  constructor(model) {
    this.model = model;
    this.list = $("words");
    this.details = this.list.closest("details");
    this.version = -1;
    this.details.addEventListener("toggle", () => this.refresh());
  }

  refresh() {
    const { model } = this;
    if (!this.details.open || this.version === model.version) return;
    this.version = model.version;
    const lines = [...model.words].sort((a, b) => b.at - a.at).slice(0, MOST_WORDS);
    this.list.replaceChildren(...lines.map(({ at, text, tone, count }) => el("li", tone,
      el("time", "", `${(at - (model.began ?? at)).toFixed(1)} s`), el("span", "", count > 1 ? `${text} (${count} times)` : text))));
  }
}

function face(name, who) {
  const circle = el("span", "face", [...name][0]?.toUpperCase() ?? "?");
  circle.setAttribute("aria-hidden", "true");
  circle.dataset.hue = String(parseInt(who.slice(0, 4) || "0", 16) % 6);
  return circle;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
