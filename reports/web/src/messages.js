// The space-time diagram: actors in lanes, messages between them to scale.
import { Chart, SHAPES, el, legend, round, span, svg, tips } from "./base.js";

const KINDS = [
  { name: "event", colour: "--c0" },
  { name: "watermark", colour: "--c2", dash: "5 3" },
  { name: "barrier or marker", colour: "--c3", dash: "8 3 2 3" },
  { name: "between copies", colour: "--c6", dash: "2 3" },
  { name: "control", colour: "--c7", dash: "1 3" },
];
/** Messages that can be read in one picture. */
const READABLE = 90;

/** Actors by how far they are from the sources, as far as events flow. */
function order(timeline, used) {
  const rank = { source: 0, broker: 1, "watermark generator": 3, split: 3, operator: 4, "sub-stream": 4, merge: 5, copy: 5, arbiter: 6, gate: 6, sink: 7, counter: 8, coordinator: 8, store: 9 };
  const depth = timeline.actors.map((track) => (track.role === "source" ? 0 : -1));
  for (let turn = 0; turn < timeline.actors.length; turn++) {
    let moved = false;
    for (const link of timeline.links) {
      // Only forwards: from what stands before to what stands after.
      const ahead = !link.control && rank[timeline.actors[link.from].role] <= 7 && rank[timeline.actors[link.to].role] <= 7;
      if (ahead && depth[link.from] >= 0 && depth[link.to] < depth[link.from] + 1 && depth[link.from] < timeline.actors.length) {
        depth[link.to] = depth[link.from] + 1;
        moved = true;
      }
    }
    if (!moved) break;
  }
  return [...used].sort((a, b) => {
    const of = (i) => (rank[timeline.actors[i].role] > 7 || depth[i] < 0 ? 1000 + rank[timeline.actors[i].role] : Math.min(depth[i], 500));
    return of(a) - of(b) || a - b;
  });
}

export function spacetime(run, box, label, only) {
  const { timeline, view, clock } = run;
  const { messages, links, bands } = timeline;
  let all = messages.link.map((link, i) => ({
    i, link, sent: messages.sent[i], got: messages.got[i], kind: messages.kind[i], about: messages.about[i], id: messages.id[i], fault: messages.fault[i],
    from: links[link].from, to: links[link].to,
  }));
  if (only) all = all.filter(only);
  const used = new Set(all.flatMap((m) => [m.from, m.to]));
  const lanes = order(timeline, used);
  const row = new Map(lanes.map((actor, i) => [actor, i]));
  let followed = null;
  let own = null;
  const controls = el("div", { class: "follow" });
  const field = el("input", { type: "text", placeholder: "event, such as orders#17", "aria-label": "Follow an event by its name", list: undefined });
  const told = el("span", { class: "fine" });
  controls.append(
    el("button", { type: "button", onclick: () => pan(-0.7) }, "◀ earlier"), el("button", { type: "button", onclick: () => pan(0.7) }, "later ▶"),
    field,
    el("button", { type: "button", onclick: () => follow(field.value.trim()) }, "Follow"), told,
  );
  field.addEventListener("keydown", (event) => { if (event.key === "Enter") follow(field.value.trim()); });
  const ground = el("div", { class: "canvas" });
  box.replaceChildren(controls, ground);

  /** Nobody can read all messages of a run at once: a part around what matters. */
  const window_ = () => {
    if (own) return own;
    const [from, to] = view.range;
    const within = all.filter((m) => m.sent <= to && (m.got ?? m.sent) >= from);
    if (within.length <= READABLE * 1.3) return [from, to];
    const troubled = within.find((m) => m.got === null || m.fault !== null);
    const centre = view.mark ?? run.firstBroken ?? (troubled ? troubled.sent : bands.find((band) => band.from > 0)?.from ?? within[0].sent);
    const times = within.map((m) => m.sent).sort((a, b) => a - b);
    const near = times.findIndex((t) => t >= centre);
    const at = near < 0 ? times.length - 1 : near;
    const first = times[Math.max(0, at - READABLE / 2)];
    const last = times[Math.min(times.length - 1, at + READABLE / 2)];
    const half = Math.max((last - first) / 2, 1);
    const begin = Math.min(Math.max(centre - half, from), Math.max(from, to - 2 * half));
    return [begin, Math.min(begin + 2 * half, to)];
  };
  const pan = (share) => {
    const [from, to] = window_();
    const by = Math.min(Math.max((to - from) * share, -from), view.whole[1] - to);
    own = [from + by, to + by];
    render();
  };
  const follow = (name) => {
    followed = name || null;
    told.textContent = "";
    if (followed) {
      const hits = all.filter((m) => m.about === followed || m.id === followed);
      if (hits.length) {
        const ends = hits.flatMap((m) => [m.sent, m.got ?? m.sent]);
        const from = Math.min(...ends);
        const to = Math.max(...ends);
        const room = Math.max((to - from) * 0.25, 1000);
        own = [Math.max(0, from - room), Math.min(view.whole[1], to + room)];
        told.textContent = `${hits.length} messages`;
      } else {
        told.textContent = `no message of ${followed} is kept here; wavetank tap --follow ${followed} has all`;
        followed = null;
      }
    }
    render();
  };

  const render = () => {
    const [from, to] = window_();
    const height = Math.max(110, lanes.length * (lanes.length > 10 ? 30 : 44) + 50);
    const longest = Math.max(...lanes.map((i) => timeline.actors[i].actor.length), 4);
    const narrow = ground.clientWidth < 560;
    const chart = new Chart(ground, { height, left: Math.min(longest * 6.4 + 14, narrow ? 96 : 190), right: 14, bottom: 32, label });
    chart.scaleX(from, to);
    const ticks = clock.ticks(from, to, (chart.right - chart.left) / 90);
    chart.bands(bands);
    chart.below(ticks.ticks, (at) => clock(at, ticks.step));
    const step = (chart.bottom - chart.top - 20) / Math.max(1, lanes.length - 1);
    const y = (actor) => chart.top + 12 + row.get(actor) * step;
    for (const actor of lanes) {
      chart.lane(timeline.actors[actor].actor, y(actor));
      chart.under.append(svg("line", { x1: chart.left, x2: chart.right, y1: y(actor), y2: y(actor), stroke: "var(--line)" }));
    }
    for (const lasting of timeline.spans) {
      if (lasting.kind !== "down" && lasting.kind !== "paused" || !row.has(lasting.actor)) continue;
      const a = Math.max(chart.x(lasting.from), chart.left);
      const b = Math.min(chart.x(lasting.to), chart.right);
      if (b > a) chart.under.append(svg("line", { x1: a, x2: b, y1: y(lasting.actor), y2: y(lasting.actor), stroke: "var(--c1)", "stroke-width": 5, "stroke-dasharray": "3 3", opacity: 0.8 }));
    }
    const shown = all.filter((m) => m.sent <= to && (m.got ?? m.sent) >= from);
    const many = shown.length > 400;
    const places = [];
    const copies = new Map();
    for (const m of shown) {
      if (m.kind !== 0) continue;
      const key = m.link + " " + m.about + " " + m.id + " " + m.sent;
      copies.set(key, (copies.get(key) ?? 0) + 1);
    }
    const lines = shown.map((m) => {
      const x1 = chart.x(m.sent);
      const y1 = y(m.from);
      const lost = m.got === null;
      const x2 = lost ? x1 + 10 : chart.x(m.got);
      const y2 = lost ? y1 + (y(m.to) - y1) * 0.5 : y(m.to);
      const look = KINDS[m.kind];
      const paint = lost || m.fault !== null ? "--c1" : look.colour;
      const line = svg("g", { stroke: `var(${paint})`, fill: "none" });
      const copied = copies.get(m.link + " " + m.about + " " + m.id + " " + m.sent) > 1;
      line.append(svg("line", { x1: round(x1), y1: round(y1), x2: round(x2), y2: round(y2), "stroke-width": copied ? 2 : 1.1, "stroke-dasharray": look.dash }));
      if (lost) line.append(svg("path", { d: SHAPES.cross(round(x2), round(y2), 4), "stroke-width": 1.8 }));
      else if (m.kind === 0 && !many) line.append(svg("path", { d: SHAPES.dot(round(x2), round(y2), 1.8), fill: `var(${paint})`, stroke: "none" }));
      places.push({ x: x2, y: y2, m }, { x: (x1 + x2) / 2, y: (y1 + y2) / 2, m }, { x: x1, y: y1, m });
      return { line, m };
    });
    for (const { line } of lines) chart.ground.append(line);
    const light = (name) => {
      for (const { line, m } of lines) {
        const lit = !name || m.about === name || m.id === name;
        line.setAttribute("opacity", lit ? 1 : 0.12);
        line.setAttribute("stroke-width", name && lit ? 2 : 1);
      }
    };
    light(followed);
    chart.mark(view.mark);
    tips(chart, () => places, ({ m }) => {
      const words = [`${m.about}${m.id ? `, as ${m.id}` : ""}`, `${timeline.actors[m.from].actor} → ${timeline.actors[m.to].actor}`, `sent ${clock.full(m.sent)}`];
      words.push(m.got === null ? "never arrived" : `arrived after ${span(m.got - m.sent)}`);
      if (m.fault !== null) words.push(`fault: ${run.record.faults[m.fault]?.id}`);
      return words.join("\n");
    }, (place) => light(place ? (place.m.kind === 0 ? place.m.about : null) : followed));
    const there = new Set(shown.map((m) => m.kind));
    const items = KINDS.filter((_, k) => there.has(k)).map((k) => ({ ...k, line: true }));
    if (shown.some((m) => m.got === null)) items.push({ name: "lost", colour: "--c1", shape: "cross", r: 4, hollow: true });
    if (shown.some((m) => m.fault !== null)) items.push({ name: "touched by a fault", colour: "--c1", line: true });
    legend(ground, items);
    ground.append(el("p", { class: "fine" }, `${shown.length} of ${all.length} messages, ${clock.full(Math.round(from))} to ${clock.full(Math.round(to))}`));
  };
  render();
  return { view: () => { own = null; render(); }, size: render };
}
