// The time plane and the lag view of an operator.
import { Chart, FATES, legend, marks, round, span, stepPath, svg, tips } from "./base.js";
import { spanTicks } from "./strips.js";

/** Draws the plane of an operator: when events happened, across, against when they came. */
export function plane(run, box, actor, label) {
  const { timeline, view, clock } = run;
  const data = timeline.planes.find((plane) => timeline.actors[plane.actor].actor === actor);
  const { points, windows, watermark } = data;
  const render = () => {
    const [from, to] = view.range;
    const chart = new Chart(box, { height: 400, left: 58, label });
    // What came in the time that is shown decides which event times are shown.
    let low = Infinity;
    let high = -Infinity;
    points.at.forEach((at, i) => {
      if (at < from || at > to) return;
      low = Math.min(low, points.stamp[i]);
      high = Math.max(high, points.stamp[i]);
    });
    if (low === Infinity) { low = from; high = to; }
    const room = Math.max((high - low) * 0.04, 1);
    chart.scaleX(low - room, Math.max(high, low + 1) + room);
    chart.scaleY(from, to);
    const [x0, x1] = chart.x.domain();
    // Fault bands lie across: they are times of coming.
    for (const band of timeline.bands) {
      const y = chart.y(Math.min(band.to, to));
      const bottom = chart.y(Math.max(band.from, from));
      if (bottom > y) chart.under.append(svg("rect", { class: "band", x: chart.left, width: chart.right - chart.left, y, height: Math.max(2, bottom - y) }));
    }
    const across = clock.ticks(x0, x1, (chart.right - chart.left) / 80);
    chart.below(across.ticks, (at) => clock(at, across.step), "when it happened →");
    const up = clock.ticks(from, to, 6);
    chart.beside(up.ticks, (at) => clock(at, up.step));
    windows.start.forEach((start, i) => {
      const end = windows.end[i];
      if (end < x0 || start > x1) return;
      const left = chart.x(start);
      const wide = Math.max(0.5, chart.x(end) - left);
      const y = chart.y(windows.first[i]);
      if (windows.first[i] >= from) {
        chart.ground.append(svg("rect", { x: round(left), width: round(Math.max(0.5, wide - 1)), y: round(y), height: Math.max(0, chart.bottom - y), fill: "var(--window)" }));
        chart.ground.append(svg("line", { x1: left, x2: left + wide - 1, y1: y, y2: y, stroke: "var(--c0)", "stroke-width": 1.5 }));
      }
    });
    const a = Math.max(x0, from);
    const b = Math.min(x1, to);
    if (b > a) chart.ground.append(svg("line", { x1: chart.x(a), y1: chart.y(a), x2: chart.x(b), y2: chart.y(b), stroke: "var(--soft)", "stroke-dasharray": "4 4", opacity: 0.8 }));
    const places = scatter(chart, points, (i) => [chart.x(points.stamp[i]), chart.y(points.at[i])], (i) => points.at[i] >= from && points.at[i] <= to);
    chart.ground.append(svg("path", { d: stepPath(chart, watermark.at, watermark.value, true), fill: "none", stroke: "var(--c2)", "stroke-width": 1.8 }));
    if (view.mark !== null && view.mark >= from && view.mark <= to) {
      const y = chart.y(view.mark);
      chart.over.append(svg("line", { class: "markline", x1: chart.left, x2: chart.right, y1: y, y2: y }));
    }
    chart.over.append(svg("text", { class: "note", x: chart.left + 6, y: chart.top + 10 }, "↑ when it came"));
    tips(chart, () => places, (place) => describe(run, data, place.i));
    keys(box, points, windows.start.length > 0, watermark.at.length > 0);
  };
  render();
  return { view: render, size: render };
}

/** The lag view: how much later events came. */
export function lag(run, box, actor, label) {
  const { timeline, view, clock } = run;
  const data = timeline.planes.find((plane) => timeline.actors[plane.actor].actor === actor);
  const { points, windows } = data;
  const render = () => {
    const [from, to] = view.range;
    const chart = new Chart(box, { height: 400, left: 58, label });
    let most = 0;
    let least = 0;
    points.at.forEach((at, i) => {
      if (points.stamp[i] < from || points.stamp[i] > to) return;
      most = Math.max(most, at - points.stamp[i]);
      least = Math.min(least, at - points.stamp[i]);
    });
    let wait = 0;
    windows.gone.forEach((gone, i) => {
      if (gone !== null && windows.end[i] >= from && windows.end[i] <= to) wait = Math.max(wait, Math.min(gone - windows.end[i], most * 3 || gone - windows.end[i]));
    });
    chart.scaleX(from, to);
    chart.scaleY(least * 1.1, Math.max(most, wait, 1000) * 1.15);
    const across = clock.ticks(from, to, (chart.right - chart.left) / 80);
    chart.bands(timeline.bands);
    chart.below(across.ticks, (at) => clock(at, across.step), "when it happened →");
    chart.beside(spanTicks(...chart.y.domain(), 6), (us) => span(us));
    windows.start.forEach((start, i) => {
      const end = windows.end[i];
      if (windows.gone[i] === null || end < from || start > to) return;
      const corners = [[start, 0], [start, windows.gone[i] - start], [end, windows.gone[i] - end], [end, 0]];
      const d = "M" + corners.map(([x, y]) => `${round(chart.x(x))},${round(chart.y(y))}`).join("L") + "Z";
      chart.ground.append(svg("path", { d, fill: "var(--window)", stroke: "var(--c0)", "stroke-width": 0.8, "stroke-opacity": 0.6 }));
    });
    const places = scatter(chart, points, (i) => [chart.x(points.stamp[i]), chart.y(points.at[i] - points.stamp[i])], (i) => points.stamp[i] >= from && points.stamp[i] <= to);
    chart.mark(view.mark);
    chart.over.append(svg("text", { class: "note", x: chart.left + 6, y: chart.top + 10 }, "↑ how much later it came"));
    tips(chart, () => places, (place) => describe(run, data, place.i));
    keys(box, points, windows.gone.some((gone) => gone !== null), false, true);
  };
  render();
  return { view: render, size: render };
}

/** Marks for events, by fate; the unlucky ones on top. */
export function scatter(chart, points, place, shown) {
  const groups = FATES.map(() => []);
  const places = [];
  points.fate.forEach((fate, i) => {
    if (!shown(i)) return;
    const [x, y] = place(i);
    groups[fate].push([x, y]);
    places.push({ x, y, i });
  });
  // Those that were filtered lie at the bottom.
  [1, 0, 2, 3, 4, 5, 6].forEach((fate) => {
    const group = groups[fate];
    if (!group.length) return;
    const look = FATES[fate];
    // Where there are many, each is smaller.
    const r = group.length > 700 ? look.r * 0.7 : look.r;
    chart.ground.append(marks({ ...look, r }, group));
  });
  return places;
}

function keys(box, points, windows, watermark, teeth) {
  const there = new Set(points.fate);
  const items = FATES.filter((_, fate) => there.has(fate));
  if (watermark) items.push({ name: "watermark", colour: "--c2", line: true });
  if (windows) items.push({ name: teeth ? "window, until it is gone" : "window, up to its first answer", fill: "var(--window)", stroke: "var(--c0)" });
  legend(box, items);
}

/** An event in words. */
export function describe(run, data, i) {
  const { points } = data;
  const { timeline, clock } = run;
  const maker = timeline.actors[points.from[i]]?.actor ?? "?";
  const lines = [
    `${maker}#${points.number[i]}: ${FATES[points.fate[i]].name}`,
    `happened ${clock.full(points.stamp[i])}`,
    points.fate[i] === 5 ? `lost ${clock.full(points.at[i])}` : `came ${clock.full(points.at[i])}, ${span(points.at[i] - points.stamp[i])} later`,
  ];
  if (points.out[i] !== null) lines.push(`out ${clock.full(points.out[i])}`);
  if (points.value.length && points.value[i] !== null) lines.push(`${data.value} ${points.value[i]}`);
  return lines.join("\n");
}
