// The report's script: reads the data in the page and draws the plots.
import { View, clock, el, span } from "./base.js";
import { slack, spectrum, sweep } from "./latency.js";
import { spacetime } from "./messages.js";
import * as panels from "./panels.js";
import { lag, plane } from "./plane.js";
import { causes, named, own, strip } from "./strips.js";

const said = document.getElementById("said");
const read = (id) => {
  const node = document.getElementById(id);
  return node ? JSON.parse(node.textContent) : null;
};
const say = (text) => { said.textContent = text; };

/** Draws one figure; what comes back can follow the view, the width and the colours. */
function draw(run, figure) {
  const box = figure.querySelector(".canvas");
  const { plot, of } = figure.dataset;
  const label = figure.querySelector("strong").textContent;
  const [kind, what] = plot.split(":");
  switch (kind) {
    case "strip": return strip(run, box, what, label);
    case "series": return named(run, box, what.split(","), label);
    case "own": return own(run, box, label);
    case "plane": return plane(run, box, of, label);
    case "lag": return lag(run, box, of, label);
    case "spacetime": return spacetime(run, box, label);
    case "spectrum": return spectrum(run, box, label);
    case "causes": return causes(run, box, of, label);
    case "slack": return slack(run, box, label);
    default: return panels[kind](run, box, label);
  }
}

function timebar(run) {
  const bar = document.querySelector(`.timebar[data-run="${run.index}"]`);
  if (!bar) return;
  const { view } = run;
  const button = (text, name, action) => el("button", { type: "button", "aria-label": name, title: name, onclick: action }, text);
  const range = el("span", { class: "range" });
  const whole = button("Whole run", "Show the whole run", () => view.all());
  bar.append(
    el("span", { class: "what" }, "Plots show"),
    whole, button("◀", "Earlier", () => view.move(-0.5)), button("▶", "Later", () => view.move(0.5)),
    button("+", "Closer", () => view.zoom(0.5)), button("−", "Wider", () => view.zoom(2)), range,
  );
  const tell = () => {
    const [from, to] = view.range;
    range.textContent = `${run.clock.full(Math.round(from))} – ${run.clock.full(Math.round(to))}` + (view.mark !== null ? `, marked ${run.clock.full(view.mark)}` : "");
    whole.disabled = view.isWhole;
  };
  view.watch(tell);
  tell();
}

/** Moves all plots to the moment at which an expectation was first broken. */
function go(run, button) {
  const at = Number(button.dataset.at);
  const wide = Math.min(run.timeline.length_us, Math.max(run.timeline.length_us / 8, run.timeline.bucket_us * 20));
  run.view.show(at - wide / 2, at + wide / 2, at);
  say(`The plots show ${span(wide)} around ${run.clock.full(at)}, at which "${button.textContent.trim()}" was first broken.`);
  const bar = document.querySelector(`.timebar[data-run="${run.index}"]`);
  bar?.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

function faults(run) {
  const place = document.querySelector(`.legend-faults[data-run="${run.index}"]`);
  const ids = [...new Set(run.timeline.bands.map((band) => band.fault))];
  if (!place) return;
  const { always } = run;
  if (always.length) place.append(el("span", {}, `At work all the time, and not shaded: ${always.slice(0, 12).join(", ")}${always.length > 12 ? ", …" : ""}.`));
  if (!ids.length) {
    if (!always.length) place.textContent = "No fault was at work.";
    return;
  }
  place.append(el("span", {}, "Shaded, behind every plot:"));
  for (const id of ids.slice(0, 12)) {
    const mine = run.timeline.bands.filter((band) => band.fault === id);
    const first = mine[0];
    place.append(el("button", {
      type: "button", class: "key", title: "Show it",
      onclick: () => {
        const wide = Math.max(first.to - first.from, run.timeline.bucket_us * 20);
        run.view.show(first.from - wide * 0.5, first.to + wide * 0.5, first.from);
        say(`The plots show ${id}.`);
      },
    }, `${id} (${first.kind} on ${first.on})`));
  }
  if (ids.length > 12) place.append(el("span", {}, `and ${ids.length - 12} more`));
}

function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A table as CSV, as RFC 4180 has it. */
function csv(table) {
  const cell = (node) => {
    const text = node.textContent.trim();
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [...table.querySelectorAll("tr")].map((row) => [...row.cells].map(cell).join(",")).join("\r\n") + "\r\n";
}

function downloads(index) {
  const place = document.querySelector(`.downloads[data-run="${index}"]`);
  if (!place) return;
  const { file } = place.dataset;
  const offer = (text, action) => place.append(el("button", { type: "button", onclick: action }, text));
  offer("Record (JSON)", () => save(`${file}.json`, "application/json", JSON.stringify(read(`record-${index}`), null, 2)));
  if (document.getElementById(`timeline-${index}`)) {
    offer("Timeline (JSON)", () => save(`${file}-timeline.json`, "application/json", document.getElementById(`timeline-${index}`).textContent));
  }
  const article = document.querySelector(`[data-article="${index}"]`);
  for (const table of article.querySelectorAll("table[id]")) {
    const name = table.id.replace(/^r\d+-/, "");
    offer(`${table.caption?.textContent.split(":")[0] ?? name} (CSV)`, () => save(`${file}-${name}.csv`, "text/csv", csv(table)));
  }
}

function article(node) {
  const index = Number(node.dataset.article);
  downloads(index);
  const timeline = read(`timeline-${index}`);
  const extra = read(`extra-${index}`);
  const record = read(`record-${index}`);
  const run = { index, timeline, extra, record, clock: clock(timeline?.start_us ?? 0), view: new View(timeline?.length_us ?? 1) };
  const first = node.querySelector("button.goto");
  run.firstBroken = first ? Number(first.dataset.at) : null;
  if (timeline) {
    // What is at work from beginning to end would shade everything and show nothing.
    const wide = timeline.length_us * 0.97;
    run.always = [...new Set(timeline.bands.filter((band) => band.to - band.from >= wide).map((band) => band.fault))];
    timeline.bands = timeline.bands.filter((band) => band.to - band.from < wide);
    timebar(run);
    faults(run);
    for (const button of node.querySelectorAll("button.goto")) button.addEventListener("click", () => go(run, button));
  }
  const drawn = [];
  const figures = [...node.querySelectorAll("figure.plot")];
  const begin = (figure) => {
    if (figure.dataset.drawn) return;
    figure.dataset.drawn = "1";
    const one = draw(run, figure);
    if (one) drawn.push({ ...one, figure });
  };
  // What is far below is drawn when somebody comes near, or when the page goes to paper.
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { near.unobserve(entry.target); begin(entry.target); }
  }, { rootMargin: "600px" });
  figures.forEach((figure) => near.observe(figure));
  const all = () => figures.forEach(begin);
  addEventListener("beforeprint", all);
  node.drawAll = all;
  run.view.watch(() => drawn.forEach((one) => one.view?.()));
  let width = 0;
  new ResizeObserver(() => {
    if (node.clientWidth === width || !node.clientWidth) return;
    width = node.clientWidth;
    requestAnimationFrame(() => drawn.forEach((one) => one.size?.()));
  }).observe(node);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach((one) => one.colours?.()));
}

document.documentElement.classList.add("js");
for (const node of document.querySelectorAll("[data-article]")) {
  const shell = node.closest("details.run");
  if (!shell || shell.open) article(node);
  else shell.addEventListener("toggle", () => article(node), { once: true });
}
const swept = document.querySelector('figure[data-plot="sweep"]');
if (swept) {
  const one = sweep(read("sweep-data"), swept.querySelector(".canvas"));
  addEventListener("resize", () => one.size());
}
// A link into a run opens it.
const open = () => {
  const target = location.hash ? document.getElementById(location.hash.slice(1)) : null;
  const shell = target?.closest("details.run");
  if (shell) { shell.open = true; target.scrollIntoView(); }
};
addEventListener("hashchange", open);
open();
