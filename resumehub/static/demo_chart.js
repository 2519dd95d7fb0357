// Draws the model as SVG: four lanes over a time axis that moves left. The picture is built in world
// coordinates (x = seconds × pixels per second) and rebuilt when the model changes; between that only
// the group is shifted and what still grows is stretched. Details show on hover, on tap, and by arrow keys.
// It knows the model's lists and nothing of sockets or the server.

const SVG = "http://www.w3.org/2000/svg";
const SPANS = [6, 10, 15, 25, 40, 60, 100, 160];
const NAMES = {
  page: ["This page"],
  transport: ["Transport,", "the WebSocket"],
  session: ["Session,", "in the hub"],
  buffer: ["Kept,", "here and there"],
};
const WIDE = { gutter: 112, page: [8, 54], transport: [78, 26], session: [120, 32], buffer: [168, 66], axis: 246, height: 262 };
const NARROW = { gutter: 0, page: [20, 54], transport: [96, 24], session: [142, 30], buffer: [194, 66], axis: 272, height: 290 };
const ROW = { replayed: 10, live: 27, own: 44, again: 44 }; // of dots, in the page's lane
const ROWS = 11;
const CLUSTER = 15; // pixels: dots closer than this become one with a number

export class Chart {
  constructor({ box, svg, tip, model, now }) {
    Object.assign(this, { box, svg, tip, model, now });
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.width = 0;
    this.spanIndex = 0;
    this.paused = false;
    this.end = null;        // time at the right edge while paused
    this.front = 0.9;       // where "now" is, as a share of the width
    this.hits = [];
    this.selected = -1;
    this._shown = null;
    this._built = null;     // what the group shows: {version, width, span, from, to}
    this._live = [];
    new ResizeObserver(() => this._resize()).observe(box);
    this._resize();
    this._listen();
    this._tick = this._tick.bind(this);
    requestAnimationFrame(this._tick);
  }

  zoom(step) {
    const before = SPANS[this.spanIndex];
    this.spanIndex = Math.max(0, Math.min(SPANS.length - 1, this.spanIndex + step));
    if (this.paused) this.end += (SPANS[this.spanIndex] - before) / 2;   // around the middle of what is looked at
    this._hideTip();
    this._draw();
  }

  pause(paused) {
    this.paused = paused;
    this.end = paused ? this._rightEdge() : null;
    this._draw();
  }

  get _scale() {
    return this.width / SPANS[this.spanIndex];
  }

  // The picture begins at the left edge and moves only once it has filled the width.
  _rightEdge() {
    if (this.paused && this.end !== null) return this.end;
    const span = SPANS[this.spanIndex];
    const first = (this.model.began ?? this.now()) - 14 / this._scale + span;
    return Math.max(first, this.now() + span * (1 - this.front));
  }

  _resize() {
    const width = this.box.clientWidth;
    if (width === this._boxWidth || width === 0) return;
    this._boxWidth = width;
    // About 40 pixels for a second, whatever the screen; after that the zoom is the visitor's.
    if (this.width === 0) this.spanIndex = SPANS.findIndex((span) => width / span < 52);
    this._frame();
    this._built = null;
    this._draw();
  }

  // The parts that stay: lanes and their names, the hatching, the line that is now.
  _frame() {
    const layout = this.layout = this.box.clientWidth >= 680 ? WIDE : NARROW;
    this.width = this.box.clientWidth - layout.gutter;
    this.lanes = {};
    for (const name of Object.keys(NAMES)) this.lanes[name] = { y: layout[name][0], height: layout[name][1] };
    this.svg.replaceChildren();
    this.svg.setAttribute("viewBox", `0 0 ${this.box.clientWidth} ${layout.height}`);
    this.svg.setAttribute("height", layout.height);
    const defs = add(this.svg, "defs");
    const hatch = add(defs, "pattern", { id: "hatch", width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
    add(hatch, "rect", { width: 7, height: 7, class: "hatch-back" });
    add(hatch, "rect", { width: 3, height: 7, class: "hatch-line" });
    const plot = add(this.svg, "svg", { x: layout.gutter, y: 0, width: this.width, height: layout.height });
    for (const { y, height } of Object.values(this.lanes)) {
      add(plot, "rect", { class: "lane-back", x: 0, y, width: this.width, height, rx: 6 });
    }
    this.world = add(plot, "g");
    this.nowLine = add(plot, "line", { class: "now", y1: 2, y2: layout.axis - 6 });
    for (const [name, words] of Object.entries(NAMES)) this._name(words, this.lanes[name], layout.gutter > 0);
  }

  // Beside the lane where there is room, above it on a phone.
  _name(words, { y, height }, beside) {
    if (!beside) {
      add(this.svg, "text", { class: "lane-name", x: 1, y: y - 5 }, words.join(" "));
      return;
    }
    const first = y + height / 2 + 4 - (words.length - 1) * 7.5;
    words.forEach((word, index) => add(this.svg, "text", { class: index ? "lane-name second" : "lane-name", x: 0, y: first + index * 15 }, word));
  }

  _tick(time) {
    requestAnimationFrame(this._tick);
    const pause = this.calm.matches ? 500 : 33;
    if (time - (this._drawnAt ?? 0) < pause || this.width === 0) return;
    this._drawnAt = time;
    this._draw();
  }

  _draw() {
    // While a session waits, the future matters: how much of the window is left.
    const goal = this.model.waiting ? 0.62 : 0.9;
    this.front += this.calm.matches ? goal - this.front : (goal - this.front) * 0.12;
    const now = this.now();
    const span = SPANS[this.spanIndex];
    const right = this._rightEdge();
    const left = right - span;
    const built = this._built;
    if (!built || built.version !== this.model.version || built.span !== span || left < built.from || right > built.to) {
      this._build(left - span / 2, right + span / 2);
    }
    this.world.setAttribute("transform", `translate(${(-left * this._scale).toFixed(2)} 0)`);
    const x = (now - left) * this._scale;
    this.nowLine.setAttribute("x1", x);
    this.nowLine.setAttribute("x2", x);
    for (const grow of this._live) grow(now, left, right);
    if (this._shown) this._placeTip(left);
  }

  _build(from, to) {
    const { model } = this;
    this._built = { version: model.version, span: SPANS[this.spanIndex], from, to };
    this._live = [];
    this.hits = [];
    this.world.replaceChildren();
    const seen = (thing) => thing.from <= to && (thing.to === null || thing.to >= from);
    this._axis(from, to);
    for (const transport of model.transports.filter(seen)) this._transport(transport);
    for (const session of model.sessions.filter(seen)) this._session(session);
    for (const wait of model.waits.filter((wait) => wait.from <= to && wait.from + wait.window >= from)) this._wait(wait);
    for (const tick of model.ticks) if (tick.at >= from && tick.at <= to) this._sent(tick);
    this._level(model.levels, "level", from, to);
    this._level(model.unproven, "unproven", from, to);
    for (const held of model.held.filter(seen)) this._held(held);
    for (const ack of model.acks) if (ack.at >= from && ack.at <= to) this._ack(ack);
    this._arrows(model.arrows.filter((arrow) => arrow.at >= from && arrow.at <= to));
    this._flags = {};
    for (const mark of model.marks) if (mark.at >= from && mark.at <= to) this._mark(mark);
    this.hits.sort((a, b) => a.x - b.x);
    if (this.selected >= this.hits.length) this._hideTip();
  }

  _axis(from, to) {
    const step = [1, 2, 5, 10, 20, 30, 60].find((seconds) => seconds * this._scale >= 54) ?? 60;
    const zero = this.model.began ?? this.now();
    for (let n = Math.max(0, Math.ceil((from - zero) / step)); zero + n * step <= to; n += 1) {
      const x = (zero + n * step) * this._scale;
      add(this.world, "line", { class: "grid", x1: x, x2: x, y1: 2, y2: this.layout.axis - 6 });
      add(this.world, "text", { class: "axis", x, y: this.layout.axis + 10, "text-anchor": "middle" }, clock(n * step));
    }
  }

  // A bar whose end may still be open; `label` is drawn inside where it fits.
  _bar({ from, to, lane, kind, inset = 0, rx = 5 }) {
    const { y, height } = this.lanes[lane];
    const x = from * this._scale;
    const bar = add(this.world, "rect", { class: kind, x, y: y + inset, height: height - 2 * inset, rx });
    const stretch = (end) => bar.setAttribute("width", Math.max(2, end * this._scale - x));
    if (to === null) this._live.push(stretch);
    stretch(to ?? this.now());
    return bar;
  }

  _label({ from, to, lane, text, kind = "", sticky = true }) {
    const { y, height } = this.lanes[lane];
    const label = add(this.world, "text", { class: `bar-label ${kind}`, y: y + height / 2 + 4 });
    const place = (now, left) => {
      const words = typeof text === "function" ? text(now) : text;
      if (label.textContent !== words) label.textContent = words;
      const start = Math.max(from, sticky ? left : from) * this._scale + 7;
      const room = (to ?? now) * this._scale - start;
      label.setAttribute("x", start);
      label.setAttribute("visibility", room > words.length * 6.6 + 4 ? "visible" : "hidden");
    };
    this._live.push(place);
    place(this.now(), from);
  }

  _transport(transport) {
    const { from, to, kind, label, title } = transport;
    const inset = kind === "live" ? 0 : 8;
    this._bar({ from, to, lane: "transport", kind: `bar transport-${kind}`, inset });
    if (label) this._label({ from, to, lane: "transport", text: label, kind: "on-live" });
    this._hitBar(transport, "transport", title, to === null ? "Open." : `Lasted ${(to - from).toFixed(1)} s.`);
  }

  _session(session) {
    const { from, to, reason } = session;
    this._bar({ from, to, lane: "session", kind: "bar session" });
    const firstWait = this.model.waits.find((wait) => wait.from >= from);
    this._label({ from, to: firstWait ? Math.min(firstWait.from, to ?? Infinity) : to, lane: "session", text: "connected", kind: "on-session" });
    this._hitBar(session, "session", "The session", to === null ? "Alive." : `Lived ${(to - from).toFixed(1)} s. ${reason}`);
  }

  _wait(wait) {
    const { y, height } = this.lanes.session;
    const { from, to, window } = wait;
    const x = from * this._scale;
    if (to === null) add(this.world, "rect", { class: "grace-outline", x, y: y + 1, width: Math.max(2, window * this._scale), height: height - 2, rx: 5 });
    this._bar({ from, to, lane: "session", kind: `grace ${to === null ? "grace-open" : `grace-${wait.end}`}`, inset: 1 });
    this._label({
      from, to: to ?? from + window, lane: "session", kind: "on-grace",
      text: to === null
        ? (now) => `suspended, ${Math.max(0, from + window - now).toFixed(1)} s left`
        : `away ${(to - from).toFixed(1)} s`,
    });
    const end = to === null ? "Still waiting." : wait.end === "restored" ? `Restored after ${(to - from).toFixed(1)} s.` : `The session ended after ${(to - from).toFixed(1)} s.`;
    this._hitBar(wait, "session", "Suspended", `Grace window ${window} s. ${end}`, 1);
  }

  _held(held) {
    const { from, to, row, end, used, capacity } = held;
    const { y, height } = this.lanes.buffer;
    const pitch = Math.min(6, (height - 4) / Math.max(ROWS, this._highest()));
    const top = y + height - 3 - row * pitch;
    const x = from * this._scale;
    const bar = add(this.world, "rect", { class: `held held-${end || "open"}`, x, y: top, height: Math.max(1, pitch - 1.5), rx: 1.5 });
    const stretch = (until) => bar.setAttribute("width", Math.max(2, until * this._scale - x));
    stretch(to ?? this.now());
    if (to === null) this._live.push(stretch);
    const how = end === "replayed" ? `Replayed after ${(to - from).toFixed(1)} s.` : end === "lost" ? "Lost with the session." : "Waiting for you.";
    this._hit({ x, y: top, x0: x, x1: (to ?? this.now()) * this._scale, title: `Kept message ${used}`, text: `${how} Buffer: ${used} of ${capacity}.`, weight: 2 });
  }

  _highest() {
    const { held, levels, unproven } = this.model;
    const most = (highest, { row, used }) => Math.max(highest, row ?? used);
    return [held, levels, unproven].reduce((highest, list) => list.reduce(most, highest), 1);
  }

  // How full a buffer is, as steps: up with each message, down with each acknowledgement.
  _level(levels, kind, from, to) {
    const first = Math.max(0, levels.findIndex((level) => level.at >= from) - 1);
    const shown = levels.slice(first).filter((level) => level.at <= to);
    if (shown.length === 0) return;
    const { y, height } = this.lanes.buffer;
    const base = y + height - 3;
    const pitch = Math.min(6, (height - 6) / Math.max(ROWS, this._highest()));
    const steps = shown.map(({ at, used }, index) => `${index ? "H" : "M"}${(at * this._scale).toFixed(1)}${index ? "V" : " "}${(base - used * pitch).toFixed(1)}`).join("");
    const area = add(this.world, "path", { class: `level-area ${kind}-area` });
    const line = add(this.world, "path", { class: kind });
    const stretch = (now) => {
      const end = (Math.max(now, shown.at(-1).at) * this._scale).toFixed(1);
      line.setAttribute("d", `${steps}H${end}`);
      area.setAttribute("d", `${steps}H${end}V${base}H${(shown[0].at * this._scale).toFixed(1)}Z`);
    };
    this._live.push(stretch);
    stretch(this.now());
    for (const { at, title, used, text } of shown) this._hit({ x: at * this._scale, y: base - used * pitch, title, text });
  }

  // Small triangles on the transport, pointing to whoever learns from them.
  _ack({ at, ours, title, text }) {
    const { y, height } = this.lanes.transport;
    const x = at * this._scale;
    const shape = ours ? `M${(x - 4).toFixed(1)} ${y + height - 7}h8l-4 6z` : `M${(x - 4).toFixed(1)} ${y + 7}h8l-4 -6z`;
    add(this.world, "path", { class: "ack", d: shape });
    this._hit({ x, y: ours ? y + height - 4 : y + 4, title, text, weight: 2 });
  }

  _sent({ at, kind, title, text }) {
    const { y, height } = this.lanes.session;
    const x = at * this._scale;
    const below = kind === "live";
    add(this.world, "rect", { class: `tick tick-${kind}`, x: x - 1, y: below ? y : y + height - 7, width: 2, height: 7 });
    this._hit({ x, y: below ? y + 3 : y + height - 3, title, text });
  }

  // Lines from lane to lane, dots on the page's lane; dots that would overlap become one with a number.
  _arrows(arrows) {
    const groups = [];
    for (const arrow of arrows) {
      const x = arrow.at * this._scale;
      const last = groups.findLast((group) => group.kind === arrow.kind);
      if (last && x - last.x < CLUSTER) last.arrows.push(arrow);
      else groups.push({ kind: arrow.kind, x, arrows: [arrow] });
    }
    for (const group of groups) this._wire(group);
    for (const group of groups) this._dot(group);
  }

  _wire({ kind, x }) {
    const foot = kind === "replayed" ? this.lanes.buffer.y + 3 : this.lanes.session.y;
    const top = this.lanes.page.y + ROW[kind];
    add(this.world, "line", { class: `wire wire-${kind}`, x1: x, x2: x, y1: top, y2: foot });
    const { y, height } = this.lanes.page;
    // On a phone the lane's name is between the lanes: the arrow's head goes above it.
    const above = this.layout === NARROW ? y + height - 8 : this.lanes.transport.y - 9;
    const [tip, back] = kind === "own" || kind === "again" ? [foot - 1, -7] : [above, 7];
    add(this.world, "path", { class: `head head-${kind}`, d: `M${x.toFixed(1)} ${tip}l-4 ${back}h8z` });
  }

  _dot({ kind, x, arrows }) {
    const y = this.lanes.page.y + ROW[kind];
    const count = arrows.length;
    add(this.world, "circle", { class: `dot dot-${kind}`, cx: x, cy: y, r: count > 1 ? 8.5 : 5 });
    if (count > 1) add(this.world, "text", { class: "dot-count", x, y: y + 3.4, "text-anchor": "middle" }, count > 99 ? "99" : String(count));
    const verb = { own: "sent", again: "sent again", replayed: "replayed", live: "arrived" }[kind];
    const title = count > 1 ? `${count} messages ${verb}` : arrows[0].title;
    const text = count > 1 ? arrows.slice(0, 4).map((one) => one.title).join(", ") + (count > 4 ? ", …" : "") : arrows[0].text;
    this._hit({ x, y, title, text, weight: 3 });
  }

  _mark({ at, lane, kind, label, title, text }) {
    const { y, height } = this.lanes[lane];
    const x = at * this._scale;
    const middle = y + height / 2;
    if (kind === "dial") {
      const foot = this.layout === NARROW ? y + height - 1 : this.lanes.transport.y - 3;
      add(this.world, "path", { class: "mark mark-dial", d: `M${x.toFixed(1)} ${foot - 22}V${foot}m-4 -6l4 6l4 -6` });
    } else if (label && (this._flags[lane] ?? -Infinity) < x + 30) {
      // Flags in quick succession stand side by side; where that would lead too far from their place, they are just lines.
      const width = label.length * 7.2 + 9;
      const start = Math.max(x - 2, this._flags[lane] ?? -Infinity);
      this._flags[lane] = start + width + 1;
      add(this.world, "rect", { class: `flag flag-${kind}`, x: start, y: middle - 8, width, height: 16, rx: 4 });
      add(this.world, "text", { class: "flag-text", x: start + width / 2, y: middle + 4, "text-anchor": "middle" }, label);
      this._hit({ x: start + width / 2, y: middle, x0: start, x1: start + width, title, text, weight: 3 });
      return;
    } else {
      add(this.world, "rect", { class: `stop stop-${kind}`, x: x - 2, y: y - 3, width: 4, height: height + 6, rx: 2 });
    }
    this._hit({ x, y: middle, title, text, weight: 3 });
  }

  _hitBar({ from, to }, lane, title, text, weight = 0) {
    const { y, height } = this.lanes[lane];
    this._hit({ x: from * this._scale, y: y + height / 2, x0: from * this._scale, x1: (to ?? this.now() + 3600) * this._scale, half: height / 2, title, text, weight });
  }

  _hit(hit) {
    this.hits.push({ x0: hit.x, x1: hit.x, half: 0, weight: 1, ...hit });
  }

  // What is under the pointer: the nearest within reach, a small thing before the bar behind it.
  _find(x, y, reach) {
    let best = -1;
    let bestScore = Infinity;
    this.hits.forEach((hit, index) => {
      const dx = Math.max(hit.x0 - x, 0, x - hit.x1);
      const dy = Math.max(0, Math.abs(y - hit.y) - hit.half);
      const distance = Math.hypot(dx, dy);
      if (distance > reach) return;
      const score = distance - hit.weight * 4;
      if (score < bestScore) [best, bestScore] = [index, score];
    });
    return best;
  }

  _listen() {
    const at = (event) => {
      const box = this.svg.getBoundingClientRect();
      const left = this._rightEdge() - SPANS[this.spanIndex];
      return [event.clientX - box.left - this.layout.gutter + left * this._scale, event.clientY - box.top];
    };
    const show = (event, reach) => {
      const index = this._find(...at(event), reach);
      if (index < 0) this._hideTip();
      else this._showTip(index);
    };
    let drag = null;
    this.svg.addEventListener("pointerdown", (event) => {
      show(event, event.pointerType === "mouse" ? 8 : 22);
      if (this.paused) drag = { x: event.clientX, end: this.end };
    });
    this.svg.addEventListener("pointermove", (event) => {
      if (drag && event.buttons) {
        this.end = drag.end - (event.clientX - drag.x) / this._scale;
        this._hideTip();
      } else if (event.pointerType === "mouse") {
        show(event, 8);
      }
    });
    addEventListener("pointerup", () => { drag = null; });
    this.svg.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") this._hideTip(); });
    this.box.addEventListener("blur", () => this._hideTip());
    this.box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return this._hideTip();
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || this.hits.length === 0) return;
      event.preventDefault();
      const next = this.selected < 0 ? this.hits.length - 1 : this.selected + step;
      this._showTip(Math.max(0, Math.min(this.hits.length - 1, next)));
    });
  }

  _showTip(index) {
    const hit = this.hits[index];
    this.selected = index;
    const title = this.tip.querySelector("b");
    const text = this.tip.querySelector("span");
    if (title.textContent !== hit.title) title.textContent = hit.title;
    if (text.textContent !== hit.text) text.textContent = hit.text;
    this.tip.hidden = false;
    this._shown = hit;
    this._placeTip(this._rightEdge() - SPANS[this.spanIndex]);
  }

  // It stays with what it explains while the picture moves, and goes when that has left the screen.
  _placeTip(left) {
    const { x, x1, y, half } = this._shown;
    if ((x1 - left * this._scale) < -20) return this._hideTip();
    const width = this.tip.offsetWidth;
    const middle = this.layout.gutter + Math.max(0, x - left * this._scale);
    this.tip.style.left = `${Math.max(0, Math.min(this._boxWidth - width, middle - width / 2))}px`;
    this.tip.style.top = `${y + half + 12}px`;
  }

  _hideTip() {
    this.selected = -1;
    this._shown = null;
    this.tip.hidden = true;
  }
}

function add(parent, name, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, typeof value === "number" ? Number(value.toFixed(2)) : value);
  }
  if (text) element.textContent = text;
  parent.append(element);
  return element;
}

function clock(seconds) {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
