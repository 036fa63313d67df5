// The view of each pattern.
import { Chart, FATES, el, legend, marks, number, round, span, stepPath, svg, tips } from "./base.js";
import { spacetime } from "./messages.js";
import { describe, scatter } from "./plane.js";
import { plainTicks } from "./strips.js";

const COLOURS = ["--c0", "--c1", "--c2", "--c3", "--c4", "--c5", "--c7", "--c6"];

/** Makes a chart over the time that is shown. */
function timed(run, box, options) {
  const { view, clock, timeline } = run;
  const chart = new Chart(box, options);
  const [from, to] = view.range;
  chart.scaleX(from, to);
  if (options.bands !== false) chart.bands(timeline.bands);
  const ticks = clock.ticks(from, to, (chart.right - chart.left) / 85);
  chart.below(ticks.ticks, (at) => clock(at, ticks.step), options.title);
  return chart;
}

const actorName = (run, actor) => run.timeline.actors[actor]?.actor ?? "?";
const nameRoom = (names, box) => Math.min(Math.max(...names.map((name) => name.length), 4) * 6.4 + 16, box.clientWidth < 560 ? 100 : 200);
const again = (render) => { render(); return { view: render, size: render }; };
const empty = (box) => box.append(el("p", { class: "none" }, "Nothing of it lies in the part that is shown."));

/** Events in, what went out for them below. */
export function mapped(run, box, label) {
  return again(() => {
    box.replaceChildren();
    for (const plane of run.timeline.planes.filter((plane) => plane.points.at.length)) {
      const part = el("div", { class: "canvas" });
      box.append(part);
      const chart = timed(run, part, { height: 150, left: 70, label: `${label} of ${actorName(run, plane.actor)}` });
      const [from, to] = run.view.range;
      const { points } = plane;
      const top = chart.top + 22;
      const bottom = chart.bottom - 22;
      chart.lane("in", top);
      chart.lane("out", bottom);
      chart.over.append(svg("text", { class: "note", x: chart.left + 4, y: chart.top + 8 }, actorName(run, plane.actor)));
      const within = points.at.map((_, i) => i).filter((i) => points.at[i] >= from && points.at[i] <= to);
      let d = "";
      for (const i of within) if (points.out[i] !== null) d += `M${round(chart.x(points.at[i]))},${top}L${round(chart.x(points.out[i]))},${bottom}`;
      chart.ground.append(svg("path", { d, stroke: "var(--c0)", "stroke-width": 0.9, opacity: within.length > 300 ? 0.25 : 0.6, fill: "none" }));
      const places = scatter(chart, points, (i) => [chart.x(points.at[i]), top], (i) => points.at[i] >= from && points.at[i] <= to);
      chart.ground.append(marks({ shape: "square", r: 2, colour: "--c2" }, within.filter((i) => points.out[i] !== null).map((i) => [chart.x(points.out[i]), bottom])));
      chart.mark(run.view.mark);
      tips(chart, () => places, (place) => describe(run, plane, place.i));
    }
    const fates = new Set(run.timeline.planes.flatMap((plane) => plane.points.fate));
    legend(box, [...FATES.filter((_, fate) => fates.has(fate)), { name: "result", shape: "square", r: 2.5, colour: "--c2" }]);
  });
}

/** Values over event time, with the threshold. */
export function value(run, box, label) {
  return again(() => {
    box.replaceChildren();
    for (const plane of run.timeline.planes.filter((plane) => plane.points.value.length)) {
      const { points, rules } = plane;
      const part = el("div", { class: "canvas" });
      box.append(part);
      const chart = timed(run, part, { height: 260, label: `${label} of ${actorName(run, plane.actor)}`, title: "event time →" });
      const [from, to] = run.view.range;
      const shown = (i) => points.value[i] !== null && points.stamp[i] >= from && points.stamp[i] <= to;
      const values = points.value.filter((_, i) => shown(i)).concat(rules.map(([, at]) => at));
      if (!values.length) { part.replaceChildren(); empty(part); continue; }
      const low = Math.min(...values);
      const high = Math.max(...values);
      const room = (high - low) * 0.08 || 1;
      chart.scaleY(low - room, high + room);
      chart.beside(plainTicks(low - room, high + room, 6), number);
      const heights = rules.map(([, at]) => chart.y(at));
      if (heights.length > 1) chart.under.append(svg("rect", { x: chart.left, width: chart.right - chart.left, y: Math.min(...heights), height: Math.abs(heights[0] - heights[1]), fill: "var(--window)" }));
      rules.forEach(([name, at]) => {
        const y = chart.y(at);
        chart.over.append(svg("line", { x1: chart.left, x2: chart.right, y1: y, y2: y, stroke: "var(--c3)", "stroke-width": 1.5, "stroke-dasharray": name === "low" ? "6 4" : undefined }));
        chart.over.append(svg("text", { class: "note", x: chart.right - 4, y: y - 4, "text-anchor": "end" }, `${name} ${number(at)}`));
      });
      const places = scatter(chart, points, (i) => [chart.x(points.stamp[i]), chart.y(points.value[i])], shown);
      const passed = places.filter(({ i }) => points.fate[i] === 0);
      if (passed.length < 400) chart.ground.append(marks({ shape: "dot", r: 3.4, colour: "--c0" }, passed.map(({ x, y }) => [x, y])));
      chart.over.append(svg("text", { class: "note", x: chart.left + 6, y: chart.top + 10 }, `↑ ${plane.value}`));
      tips(chart, () => places, (place) => describe(run, plane, place.i));
      chart.mark(run.view.mark);
      const there = new Set(points.fate);
      legend(part, FATES.filter((_, fate) => there.has(fate)).map((look) => (look.name === "taken" ? { ...look, name: "passed" } : look)));
    }
  });
}

/** Windows: what belongs to them, when they answered, when they are gone. */
export function panes(run, box, label) {
  const MOST = 40;
  return again(() => {
    box.replaceChildren();
    for (const plane of run.timeline.planes.filter((plane) => plane.windows.start.length)) {
      const { windows } = plane;
      const [from, to] = run.view.range;
      let rows = windows.start.map((_, i) => i).filter((i) => windows.end[i] >= from && windows.start[i] <= to || windows.first[i] >= from && windows.first[i] <= to);
      const all = rows.length;
      const step = Math.ceil(rows.length / MOST);
      rows = rows.filter((_, k) => k % step === 0);
      const part = el("div", { class: "canvas" });
      box.append(part);
      if (!rows.length) { empty(part); continue; }
      const height = Math.max(90, rows.length * 14 + 44);
      const chart = timed(run, part, { height, left: 84, label: `${label} of ${actorName(run, plane.actor)}`, title: "time →" });
      const late = rows.map((row) => plane.points.fate.reduce((sum, fate, i) => sum + (fate === 2 && plane.points.stamp[i] >= windows.start[row] && plane.points.stamp[i] < windows.end[row] ? 1 : 0), 0));
      // Where not every late event is kept, their number is not known here.
      const told = (plane.fates.late ?? 0) === plane.points.fate.filter((fate) => fate === 2).length;
      const places = [];
      rows.forEach((i, k) => {
        const y = chart.top + 8 + k * 14;
        if (k % Math.ceil(rows.length / 20) === 0) chart.lane(run.clock(windows.start[i], windows.end[i] - windows.start[i]), y);
        const x = chart.x(windows.start[i]);
        const end = chart.x(windows.end[i]);
        chart.ground.append(svg("rect", { x: round(x), y: y - 4, width: Math.max(1, round(end - x)), height: 8, fill: "var(--c0)", opacity: 0.65 }));
        const gone = windows.gone[i] === null ? null : chart.x(windows.gone[i]);
        const last = Math.max(chart.x(windows.last[i]), gone ?? 0);
        chart.ground.append(svg("line", { x1: end, x2: last, y1: y, y2: y, stroke: "var(--c0)", "stroke-width": 1.2 }));
        chart.ground.append(marks({ shape: "diamond", r: 3, colour: "--c2" }, [[chart.x(windows.first[i]), y]]));
        if (windows.last[i] > windows.first[i]) chart.ground.append(marks({ shape: "diamond", r: 3, colour: "--c2", hollow: true }, [[chart.x(windows.last[i]), y]]));
        if (gone !== null) chart.ground.append(svg("line", { x1: gone, x2: gone, y1: y - 5, y2: y + 5, stroke: "var(--ink)", "stroke-width": 1.5 }));
        if (late[k] && told) chart.ground.append(svg("text", { class: "note", x: Math.max(last, chart.x(windows.first[i])) + 8, y: y + 4 }, `${late[k]} late`));
        places.push({ x: chart.x(windows.first[i]), y, i }, { x: (x + end) / 2, y, i });
      });
      chart.mark(run.view.mark);
      tips(chart, () => places, ({ i }) => `[${run.clock.full(windows.start[i])}, ${run.clock.full(windows.end[i])})\nfirst answer ${run.clock.full(windows.first[i])}, ${span(windows.first[i] - windows.end[i])} after its end\n${windows.answers[i]} answers over all groups`);
      if (step > 1) part.append(el("p", { class: "fine" }, `${rows.length} of ${all} windows: one in ${step}`));
    }
    legend(box, [{ name: "event time of the window", fill: "var(--c0)" }, { name: "first answer", shape: "diamond", r: 3, colour: "--c2" }, { name: "last answer, where it is another", shape: "diamond", r: 3, colour: "--c2", hollow: true }, { name: "gone for good", shape: "stroke", r: 5, colour: "--ink", hollow: true }]);
  });
}

/** Pairs: left time across, right time up. */
export function pairs(run, box, label) {
  return again(() => {
    box.replaceChildren();
    const [from, to] = run.view.range;
    const made = run.timeline.made.filter((one) => one.at >= from && one.at <= to);
    if (!made.length) return empty(box);
    const both = [];
    const alone = [];
    for (const one of made) {
      const left = one.parts.find(([, input]) => input === 0);
      const right = one.parts.find(([, input]) => input !== 0);
      if (left && right) both.push([left[0], right[0], one]);
      else if (one.parts.length > 1) both.push([one.parts[0][0], one.parts.at(-1)[0], one]);
      else alone.push([one.parts[0][0], !left, one]);
    }
    const times = both.flatMap(([a, b]) => [a, b]).concat(alone.map(([a]) => a));
    const low = Math.min(...times);
    const high = Math.max(...times, low + 1);
    const room = (high - low) * 0.04;
    const chart = new Chart(box, { height: Math.min(460, Math.max(300, box.clientWidth * 0.7)), left: 64, label });
    chart.scaleX(low - room, high + room);
    chart.scaleY(low - room, high + room);
    const across = run.clock.ticks(low, high, (chart.right - chart.left) / 85);
    chart.below(across.ticks, (at) => run.clock(at, across.step), "left →");
    const up = run.clock.ticks(low, high, 7);
    chart.beside(up.ticks, (at) => run.clock(at, up.step));
    const wide = Math.max(...both.map(([a, b]) => Math.abs(a - b)), 0);
    const edge = (d) => `${round(chart.x(low - room))},${round(chart.y(low - room + d))} ${round(chart.x(high + room))},${round(chart.y(high + room + d))}`.split(" ");
    const [a, b] = edge(wide);
    const [c, d] = edge(-wide);
    chart.ground.append(svg("path", { d: `M${a}L${b}L${d}L${c}Z`, fill: "var(--window)" }));
    const places = both.map(([a, b, one]) => ({ x: chart.x(a), y: chart.y(b), one, a, b }));
    chart.ground.append(marks({ shape: "dot", r: 2.6, colour: "--c0" }, places.map((p) => [p.x, p.y])));
    const lonely = alone.map(([at, right, one]) => ({ x: right ? chart.left + 5 : chart.x(at), y: right ? chart.y(at) : chart.bottom - 5, one, a: at }));
    chart.ground.append(marks({ shape: "cross", r: 3.5, colour: "--c1", hollow: true }, lonely.map((p) => [p.x, p.y])));
    chart.over.append(svg("text", { class: "note", x: chart.left + 6, y: chart.top + 10 }, "↑ right"));
    tips(chart, () => places.concat(lonely), (p) => (p.b === undefined ? `${run.clock.full(p.a)}: without a partner` : `left ${run.clock.full(p.a)}\nright ${run.clock.full(p.b)}\n${span(Math.abs(p.a - p.b))} apart`) + `\nanswered ${run.clock.full(p.one.at)}`);
    const items = [{ name: "pair", shape: "dot", r: 2.6, colour: "--c0" }, { name: `band: at most ${span(wide)} apart, as far as seen`, fill: "var(--window)" }];
    if (alone.length) items.push({ name: "without a partner", shape: "cross", r: 3.5, colour: "--c1", hollow: true });
    legend(box, items);
  });
}

/** Matches as arcs over event time. */
export function arcs(run, box, label) {
  return again(() => {
    box.replaceChildren();
    const chart = timed(run, box, { height: 230, left: 16, label, title: "event time →" });
    const [from, to] = run.view.range;
    const base = chart.bottom - 6;
    const made = run.timeline.made.map((one) => ({ one, times: one.parts.map(([at]) => at).sort((a, b) => a - b) })).filter(({ times }) => times.at(-1) >= from && times[0] <= to);
    const widest = Math.max(...made.map(({ times }) => chart.x(times.at(-1)) - chart.x(times[0])), 1);
    const places = [];
    for (const { one, times } of made) {
      const a = chart.x(times[0]);
      const b = chart.x(times.at(-1));
      const high = 16 + (base - chart.top - 24) * Math.sqrt(Math.max(b - a, 0) / widest);
      const answer = chart.x(one.at);
      chart.ground.append(svg("path", { d: `M${round(a)},${base}C${round(a)},${round(base - high * 1.33)} ${round(b)},${round(base - high * 1.33)} ${round(b)},${base}`, fill: "none", stroke: "var(--c0)", "stroke-width": 1.4, opacity: made.length > 150 ? 0.35 : 0.8 }));
      chart.ground.append(marks({ shape: "dot", r: 2, colour: "--c0" }, times.map((at) => [chart.x(at), base])));
      chart.ground.append(marks({ shape: "diamond", r: 3, colour: "--c2" }, [[answer, base + 1]]));
      places.push({ x: (a + b) / 2, y: base - high, one, times }, { x: b, y: base, one, times });
    }
    chart.mark(run.view.mark);
    tips(chart, () => places, ({ one, times }) => `${times.length} events, ${run.clock.full(times[0])} to ${run.clock.full(times.at(-1))}\nanswered ${run.clock.full(one.at)} by ${actorName(run, one.actor)}`);
    legend(box, [{ name: "match", colour: "--c0", line: true }, { name: "its events", shape: "dot", r: 2.4, colour: "--c0" }, { name: "answered", shape: "diamond", r: 3, colour: "--c2" }]);
  });
}

/** Who was busy when. */
export function gantt(run, box, label) {
  const spans = run.timeline.spans.filter((one) => one.kind === "work");
  const rows = [...new Set(spans.map((one) => one.actor))].sort((a, b) => a - b);
  return again(() => {
    box.replaceChildren();
    const names = rows.map((actor) => actorName(run, actor));
    const chart = timed(run, box, { height: rows.length * 26 + 46, left: nameRoom(names, box), label });
    const [from, to] = run.view.range;
    const places = [];
    rows.forEach((actor, k) => {
      const y = chart.top + 14 + k * 26;
      chart.lane(names[k], y);
      chart.under.append(svg("line", { x1: chart.left, x2: chart.right, y1: y + 9, y2: y + 9, stroke: "var(--faint)" }));
      let d = "";
      for (const one of spans) {
        if (one.actor !== actor || one.to < from || one.from > to) continue;
        const x = chart.x(one.from);
        const wide = Math.max(chart.x(one.to) - x - 0.3, 0.5);
        d += `M${round(x)},${y - 8}h${round(wide)}v16h${-round(wide)}z`;
        places.push({ x: x + wide / 2, y, one });
      }
      if (d) chart.ground.append(svg("path", { d, fill: `var(${COLOURS[k % COLOURS.length]})` }));
      for (const down of run.timeline.spans.filter((one) => one.kind === "down" && one.actor === actor)) {
        const x = chart.x(down.from);
        chart.ground.append(svg("line", { x1: x, x2: chart.x(down.to), y1: y, y2: y, stroke: "var(--c1)", "stroke-width": 6, "stroke-dasharray": "3 3" }));
      }
    });
    chart.mark(run.view.mark);
    tips(chart, () => places, ({ one }) => `${one.label}\n${run.clock.full(one.from)}, for ${span(one.to - one.from)}`);
  });
}

/** Into a buffer and out of it. */
export function order(run, box, label) {
  return again(() => {
    box.replaceChildren();
    for (const plane of run.timeline.planes.filter((plane) => plane.points.out.some((out) => out !== null))) {
      const { points } = plane;
      const part = el("div", { class: "canvas" });
      box.append(part);
      const chart = timed(run, part, { height: 320, left: 62, label: `${label} of ${actorName(run, plane.actor)}`, title: "virtual time →" });
      const [from, to] = run.view.range;
      const shown = (i) => points.at[i] <= to && (points.out[i] ?? points.at[i]) >= from;
      const stamps = points.stamp.filter((_, i) => shown(i));
      if (!stamps.length) { part.replaceChildren(); empty(part); continue; }
      chart.scaleY(Math.min(...stamps), Math.max(...stamps));
      const up = run.clock.ticks(...chart.y.domain(), 6);
      chart.beside(up.ticks, (at) => run.clock(at, up.step));
      let d = "";
      const outs = [];
      points.at.forEach((at, i) => {
        if (!shown(i) || points.out[i] === null) return;
        const y = round(chart.y(points.stamp[i]));
        d += `M${round(chart.x(at))},${y}H${round(chart.x(points.out[i]))}`;
        outs.push([chart.x(points.out[i]), y]);
      });
      chart.ground.append(svg("path", { d, stroke: "var(--c5)", "stroke-width": 1, fill: "none", opacity: outs.length > 300 ? 0.5 : 0.9 }));
      const places = scatter(chart, points, (i) => [chart.x(points.at[i]), chart.y(points.stamp[i])], shown);
      chart.ground.append(marks({ shape: "square", r: 2, colour: "--c2" }, outs));
      chart.over.append(svg("text", { class: "note", x: chart.left + 6, y: chart.top + 10 }, "↑ event time"));
      chart.mark(run.view.mark);
      tips(chart, () => places, (place) => describe(run, plane, place.i));
      const there = new Set(points.fate);
      legend(part, [...FATES.filter((_, fate) => there.has(fate)).map((look) => (look.name === "taken" ? { ...look, name: "came" } : look)), { name: "let go", shape: "square", r: 2.5, colour: "--c2" }]);
    }
  });
}

/** Answers and their corrections, against the truth. */
export function answers(run, box, label) {
  const MOST = 40;
  return again(() => {
    box.replaceChildren();
    const [from, to] = run.view.range;
    const within = run.timeline.answers.filter((one) => one.at.some((at) => at >= from && at <= to));
    // Those first that were corrected.
    const rows = [...within].sort((a, b) => (b.at.length > 1) - (a.at.length > 1)).slice(0, MOST).sort((a, b) => (a.end ?? 0) - (b.end ?? 0) || a.group.localeCompare(b.group));
    if (!rows.length) return empty(box);
    const names = rows.map((one) => `${one.start === null ? "" : run.clock(one.start, (one.end ?? 0) - one.start)} ${one.group}`.trim());
    const values = rows.flatMap((one) => [...one.value, one.truth]).filter((n) => n !== null);
    const low = Math.min(0, ...values);
    const high = Math.max(...values, low + 1);
    const chart = new Chart(box, { height: rows.length * 18 + 50, left: nameRoom(names, box), right: 24, label });
    chart.scaleX(low, high * 1.02);
    chart.below(plainTicks(low, high, Math.max(3, (chart.right - chart.left) / 90)), number, `${rows[0].column} →`);
    const places = [];
    rows.forEach((one, k) => {
      const y = chart.top + 10 + k * 18;
      chart.lane(names[k], y);
      chart.under.append(svg("line", { x1: chart.left, x2: chart.right, y1: y + 9, y2: y + 9, stroke: "var(--faint)" }));
      const said = one.value.map((n) => (n === null ? null : chart.x(n)));
      const steps = said.filter((x) => x !== null);
      if (steps.length > 1) chart.over.append(svg("line", { x1: Math.min(...steps), x2: Math.max(...steps), y1: y, y2: y, stroke: "var(--c5)", "stroke-width": 2 }));
      if (one.truth !== null) {
        const x = chart.x(one.truth);
        chart.over.append(svg("line", { x1: x, x2: x, y1: y - 7, y2: y + 7, stroke: "var(--ink)", "stroke-width": 2 }));
      }
      if (steps.length > 2) chart.over.append(marks({ shape: "dot", r: 1.8, colour: "--c5" }, steps.slice(1, -1).map((x) => [x, y])));
      if (steps.length) {
        const right = one.truth === null || one.value.filter((n) => n !== null).at(-1) === one.truth;
        chart.over.append(marks({ shape: "dot", r: 4, colour: "--c0", hollow: true }, [[steps[0], y]]));
        chart.over.append(marks({ shape: right ? "dot" : "cross", r: right ? 3 : 4.5, colour: right ? "--c2" : "--c1", hollow: !right }, [[steps.at(-1), y]]));
      }
      places.push({ x: steps.at(-1) ?? chart.left, y, one }, { x: steps[0] ?? chart.left, y, one });
    });
    tips(chart, () => places, ({ one }) => one.at.map((at, i) => `${run.clock.full(at)}: ${one.value[i] === null ? "taken back" : one.value[i]} (${one.timing[i]})`).join("\n") + (one.truth === null ? "" : `\ntruth: ${one.truth}`));
    legend(box, [{ name: "first said", shape: "dot", r: 4, colour: "--c0", hollow: true }, { name: "in the end, and true", shape: "dot", r: 3, colour: "--c2" }, { name: "in the end, and not true", shape: "cross", r: 4.5, colour: "--c1", hollow: true }, { name: "truth", shape: "stroke", r: 6, colour: "--ink", hollow: true }]);
    if (rows.length < within.length) box.append(el("p", { class: "fine" }, `${rows.length} of ${within.length} windows and groups, those first that were corrected`));
  });
}

/** The watermarks of the inputs, and their least in bold. */
export function watermarks(run, box, label) {
  return again(() => {
    box.replaceChildren();
    for (const plane of run.timeline.planes.filter((plane) => plane.watermark.at.length || plane.inputs.length)) {
      const part = el("div", { class: "canvas" });
      box.append(part);
      const chart = timed(run, part, { height: 280, left: 62, label: `${label} of ${actorName(run, plane.actor)}`, title: "virtual time →" });
      const [from, to] = run.view.range;
      const lines = [...plane.inputs.map((input) => ({ ...input })), { name: "combined", steps: plane.watermark, bold: true }];
      const seen = lines.flatMap(({ steps }) => steps.value.filter((_, i) => steps.at[i] >= from && steps.at[i] <= to));
      const low = Math.min(...seen, from);
      const high = Math.max(...seen, to);
      chart.scaleY(Math.max(low, from - (to - from)), Math.min(high, to + (to - from)));
      const up = run.clock.ticks(...chart.y.domain(), 6);
      chart.beside(up.ticks, (at) => run.clock(at, up.step));
      chart.ground.append(svg("line", { x1: chart.x(from), y1: chart.y(from), x2: chart.x(to), y2: chart.y(to), stroke: "var(--soft)", "stroke-dasharray": "4 4" }));
      lines.forEach((one, k) => {
        if (!one.steps.at.length) return;
        const at = [...one.steps.at, to];
        const value = [...one.steps.value, one.steps.value.at(-1)];
        chart.ground.append(svg("path", { d: stepPath(chart, at, value), fill: "none", stroke: one.bold ? "var(--ink)" : `var(${COLOURS[k % COLOURS.length]})`, "stroke-width": one.bold ? 2.6 : 1.5, "stroke-dasharray": one.bold ? undefined : ["", "7 3", "2 3", "9 3 2 3"][k % 4] || undefined }));
      });
      chart.over.append(svg("text", { class: "note", x: chart.left + 6, y: chart.top + 10 }, "↑ event time reached"));
      chart.mark(run.view.mark);
      legend(part, [{ name: `${actorName(run, plane.actor)}, combined`, colour: "--ink", line: true, wide: 2.6 }, ...plane.inputs.map((input, k) => ({ name: input.name, colour: COLOURS[k % COLOURS.length], line: true, dash: ["", "7 3", "2 3", "9 3 2 3"][k % 4] || undefined })), { name: "as if nothing took time", colour: "--soft", line: true, dash: "4 4" }]);
    }
  });
}

/** Places in a log: read, read again, acknowledged. */
export function offsets(run, box, label) {
  return again(() => {
    box.replaceChildren();
    for (const reader of run.timeline.offsets) {
      const part = el("div", { class: "canvas" });
      box.append(el("p", { class: "fine" }, `${actorName(run, reader.actor)} was given ${number(reader.given)} events, ${number(reader.again)} of them again`), part);
      const chart = timed(run, part, { height: 260, left: 62, label: `${label}: ${actorName(run, reader.actor)}`, title: "virtual time →" });
      const [from, to] = run.view.range;
      const shown = reader.at.map((_, i) => i).filter((i) => reader.at[i] >= from && reader.at[i] <= to);
      const top = Math.max(...shown.map((i) => reader.offset[i]), 1);
      const low = Math.min(...shown.map((i) => reader.offset[i]), top);
      chart.scaleY(low, top * 1.02);
      chart.beside(plainTicks(low, top, 5), number);
      const partitions = [...new Set(reader.partition)].sort((a, b) => a - b);
      const places = [];
      partitions.forEach((partition, k) => {
        const paint = COLOURS[[0, 3, 5, 6, 7][k % 5]];
        const place = (i) => { const p = [chart.x(reader.at[i]), chart.y(reader.offset[i])]; places.push({ x: p[0], y: p[1], i }); return p; };
        const mine = shown.filter((i) => reader.partition[i] === partition);
        chart.ground.append(marks({ shape: "dot", r: 1.8, colour: paint }, mine.filter((i) => !reader.repeated[i]).map(place)));
        chart.ground.append(marks({ shape: "square", r: 2.6, colour: "--c1" }, mine.filter((i) => reader.repeated[i]).map(place)));
        const acknowledged = reader.acknowledged.filter(([, p]) => p === partition);
        if (acknowledged.length) chart.ground.append(svg("path", { d: stepPath(chart, acknowledged.map(([at]) => at), acknowledged.map(([, , offset]) => offset)), fill: "none", stroke: "var(--c2)", "stroke-width": 1.8 }));
      });
      for (const mark of run.timeline.marks.filter((mark) => mark.kind === "seek" && mark.actor === reader.actor || mark.kind === "recovery" && mark.actor === reader.actor)) {
        const x = chart.x(mark.at);
        if (x >= chart.left && x <= chart.right) chart.over.append(svg("line", { x1: x, x2: x, y1: chart.top, y2: chart.bottom, stroke: "var(--c3)", "stroke-dasharray": "2 3" }, svg("title", {}, mark.text)));
      }
      chart.over.append(svg("text", { class: "note", x: chart.left + 6, y: chart.top + 10 }, "↑ place in the log"));
      chart.mark(run.view.mark);
      tips(chart, () => places, ({ i }) => `partition ${reader.partition[i]}, place ${reader.offset[i]}${reader.repeated[i] ? ", again" : ""}\n${run.clock.full(reader.at[i])}`);
    }
    const items = [{ name: "given", shape: "dot", r: 2, colour: "--c0" }, { name: "given again", shape: "square", r: 2.6, colour: "--c1" }];
    if (run.timeline.offsets.some((reader) => reader.acknowledged.length)) items.push({ name: "acknowledged", colour: "--c2", line: true });
    items.push({ name: "goes back", colour: "--c3", line: true, dash: "2 3" });
    legend(box, items);
  });
}

/** Snapshots, their parts, and recoveries. */
export function snapshots(run, box, label) {
  const { timeline } = run;
  const done = timeline.spans.filter((one) => one.kind === "snapshot" || one.kind === "aborted");
  const cuts = timeline.marks.filter((mark) => mark.kind === "cut" || mark.kind === "recovery");
  const rows = [...new Set(cuts.map((mark) => mark.actor))].sort((a, b) => a - b);
  return again(() => {
    box.replaceChildren();
    const names = ["snapshots", ...rows.map((actor) => actorName(run, actor))];
    const chart = timed(run, box, { height: names.length * 24 + 50, left: nameRoom(names, box), label });
    const y = (k) => chart.top + 14 + k * 24;
    names.forEach((name, k) => {
      chart.lane(name, y(k));
      chart.under.append(svg("line", { x1: chart.left, x2: chart.right, y1: y(k), y2: y(k), stroke: "var(--faint)" }));
    });
    const places = [];
    for (const one of done) {
      const x = chart.x(one.from);
      const wide = Math.max(chart.x(one.to) - x, 2);
      const good = one.kind === "snapshot";
      chart.ground.append(svg("rect", { x: round(x), y: y(0) - 8, width: round(wide), height: 16, fill: good ? "var(--c2)" : "none", stroke: good ? "none" : "var(--c1)", "stroke-dasharray": good ? undefined : "3 2" }));
      places.push({ x: x + wide / 2, y: y(0), text: `${one.label}\n${run.clock.full(one.from)}, ${span(one.to - one.from)}` });
    }
    for (const mark of cuts) {
      const at = [chart.x(mark.at), y(1 + rows.indexOf(mark.actor))];
      const back = mark.kind === "recovery";
      chart.ground.append(marks(back ? { shape: "down", r: 4.5, colour: "--c1" } : { shape: "plus", r: 3.5, colour: "--c0", hollow: true }, [at]));
      places.push({ x: at[0], y: at[1], text: `${actorName(run, mark.actor)}: ${mark.text}\n${run.clock.full(mark.at)}` });
    }
    chart.mark(run.view.mark);
    tips(chart, () => places, (place) => place.text);
    legend(box, [{ name: "complete", fill: "var(--c2)" }, { name: "given up, or not complete", fill: "none", stroke: "var(--c1)" }, { name: "cuts its part", shape: "plus", r: 3.5, colour: "--c0", hollow: true }, { name: "goes back", shape: "down", r: 4, colour: "--c1" }]);
  });
}

/** What actors said of themselves, when: pointed at, and the first of it below. */
const LISTED = 12;
export function said(run, box, label) {
  const notes = run.timeline.marks.filter((mark) => mark.kind === "note");
  const actors = [...new Set(notes.map((mark) => mark.actor))];
  const names = actors.map((actor) => actorName(run, actor));
  const lanes = el("div", { class: "canvas" });
  const list = el("ol", { class: "fine" }, ...notes.slice(0, LISTED).map((mark) => el("li", {}, `${run.clock.full(mark.at)} ${actorName(run, mark.actor)}: ${mark.text}`)));
  box.replaceChildren(lanes, list);
  if (notes.length > LISTED) box.append(el("p", { class: "fine" }, `and ${notes.length - LISTED} more: point at the marks`));
  return again(() => {
    lanes.replaceChildren();
    const chart = timed(run, lanes, { height: actors.length * 30 + 46, left: nameRoom(names, lanes), label });
    const places = [];
    actors.forEach((actor, k) => {
      const y = chart.top + 16 + k * 30;
      chart.lane(names[k], y);
      for (const mark of notes.filter((mark) => mark.actor === actor)) {
        const x = chart.x(mark.at);
        if (x >= chart.left && x <= chart.right) places.push({ x, y, text: `${names[k]}: ${mark.text}\n${run.clock.full(mark.at)}` });
      }
    });
    chart.ground.append(marks({ shape: "diamond", r: 4, colour: "--c1" }, places.map((place) => [place.x, place.y])));
    chart.mark(run.view.mark);
    tips(chart, () => places, (place) => place.text);
  });
}

/** Two copies: who is the primary, who is down, and what they tell each other. */
export function roles(run, box, label) {
  const { timeline } = run;
  const copies = timeline.actors.map((track, i) => ({ ...track, i })).filter((track) => track.role === "copy");
  const lanes = el("div", { class: "canvas" });
  const talk = el("div", {});
  box.replaceChildren(lanes, el("p", { class: "fine" }, "What the copies, their arbiter and their receivers tell each other:"), talk);
  const between = new Set(timeline.actors.map((track, i) => [track.role, i]).filter(([role]) => ["copy", "arbiter"].includes(role)).map(([, i]) => i));
  const render = () => {
    const names = copies.map((track) => track.actor.replace(/\.output$/, ""));
    const chart = timed(run, lanes, { height: copies.length * 40 + 46, left: nameRoom(names, lanes), label });
    const places = [];
    copies.forEach((track, k) => {
      const y = chart.top + 20 + k * 40;
      chart.lane(names[k], y);
      chart.under.append(svg("line", { x1: chart.left, x2: chart.right, y1: y, y2: y, stroke: "var(--line)", "stroke-width": 6 }));
      for (const one of timeline.spans.filter((one) => one.actor === track.i)) {
        const x = chart.x(one.from);
        const wide = Math.max(chart.x(one.to) - x, 1.5);
        if (one.kind === "primary") {
          chart.ground.append(svg("rect", { x: round(x), y: y - 11, width: round(wide), height: 22, fill: `var(${COLOURS[k % 2 ? 2 : 0]})` }));
          if (wide > 60) chart.ground.append(svg("text", { x: round(x + 6), y: y + 4, fill: "var(--ground)", "font-size": 11 }, `primary, ${one.label}`));
        } else if (["down", "paused", "slow"].includes(one.kind)) {
          chart.ground.append(svg("line", { x1: x, x2: x + wide, y1: y, y2: y, stroke: "var(--c1)", "stroke-width": 12, "stroke-dasharray": "3 4" }));
        } else continue;
        places.push({ x: x + Math.min(wide / 2, 40), y, text: `${names[k]}: ${one.kind}, ${one.label}\n${run.clock.full(one.from)}, for ${span(one.to - one.from)}` });
      }
      for (const mark of timeline.marks.filter((mark) => mark.actor === track.i && mark.kind !== "cut")) {
        const at = [chart.x(mark.at), y - 15];
        if (at[0] < chart.left || at[0] > chart.right) continue;
        chart.ground.append(marks({ shape: "down", r: 3.4, colour: mark.kind === "suspects" ? "--c1" : mark.kind === "diverged" ? "--c3" : "--ink" }, [at]));
        places.push({ x: at[0], y: at[1], text: `${names[k]} ${mark.text}\n${run.clock.full(mark.at)}` });
      }
    });
    chart.mark(run.view.mark);
    tips(chart, () => places, (place) => place.text);
    legend(lanes, [{ name: "primary", fill: "var(--c0)" }, { name: "secondary", colour: "--line", line: true, wide: 6 }, { name: "node down or paused", colour: "--c1", line: true, wide: 6, dash: "3 4" }, { name: "a change, point at it", shape: "down", r: 3.4, colour: "--ink" }, { name: "takes the other for gone", shape: "down", r: 3.4, colour: "--c1" }]);
  };
  render();
  const diagram = spacetime(run, talk, `${label}: messages`, (m) => between.has(m.from) && between.has(m.to) && m.kind >= 3);
  return { view: () => { render(); diagram.view(); }, size: () => { render(); diagram.size(); } };
}
