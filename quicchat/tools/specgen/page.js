"use strict";
// The index is a list of [anchor, title, text]; all of it is in this page, so that it works without a server.
const entries = JSON.parse(document.getElementById("index").textContent);
const plain = (text) => text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");
const known = entries.map(([anchor, title, text]) => ({ anchor, title, text, head: plain(title), all: plain(title + " " + text) }));
const box = document.getElementById("search"), list = document.getElementById("found"), count = document.getElementById("count");
const aside = document.querySelector("aside");
let chosen = -1;

function rank(entry, words, whole) {
  if (!words.every((word) => entry.all.includes(word))) return 0;
  if (entry.head === whole || entry.anchor.toLowerCase() === whole.replace(/^\[|\]$/g, "")) return 4;
  if (entry.head.startsWith(whole)) return 3;
  return words.every((word) => entry.head.includes(word)) ? 2 : 1;
}

function marked(text, words) {
  const out = document.createElement("span"), low = plain(text);
  // Where folding changed the length, places do not match: the text stands unmarked.
  let at = low.length === text.length ? Math.min(...words.map((word) => low.indexOf(word)).filter((place) => place >= 0)) : Infinity;
  const from = at === Infinity ? 0 : Math.max(0, at - 50);
  out.append((from ? "…" : "") + text.slice(from, at === Infinity ? from + 160 : at));
  if (at !== Infinity) {
    const word = words.find((each) => low.startsWith(each, at));
    const mark = document.createElement("mark");
    mark.textContent = text.slice(at, at + word.length);
    out.append(mark, text.slice(at + word.length, from + 180));
  }
  if (from + 180 < text.length) out.append("…");
  return out;
}

function show() {
  const whole = plain(box.value.trim()), words = whole.split(/\s+/).filter(Boolean);
  list.replaceChildren();
  chosen = -1;
  if (!words.length) { count.textContent = ""; return; }
  const hits = known.map((entry) => [rank(entry, words, whole), entry]).filter(([rank]) => rank);
  hits.sort((one, other) => other[0] - one[0]);
  count.textContent = hits.length + (hits.length === 1 ? " place" : " places") + (hits.length > 40 ? ", the best 40:" : "");
  for (const [, entry] of hits.slice(0, 40)) {
    const item = document.createElement("li"), link = document.createElement("a"), title = document.createElement("b");
    link.href = "#" + entry.anchor;
    title.textContent = entry.title;
    link.append(title, marked(entry.text, words));
    item.append(link);
    list.append(item);
  }
}

function choose(step) {
  const links = [...list.querySelectorAll("a")];
  if (!links.length) return;
  chosen = (chosen + step + links.length) % links.length;
  links.forEach((link, at) => link.setAttribute("aria-selected", String(at === chosen)));
  links[chosen].scrollIntoView({ block: "nearest" });
}

box.addEventListener("input", show);
box.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") { choose(event.key === "ArrowDown" ? 1 : -1); event.preventDefault(); }
  if (event.key === "Escape") { box.value = ""; show(); box.blur(); }
  if (event.key === "Enter") {
    const links = list.querySelectorAll("a");
    if (links.length) links[Math.max(chosen, 0)].click();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== box) { box.focus(); box.select(); event.preventDefault(); }
});
document.getElementById("menu").addEventListener("click", () => aside.classList.toggle("open"));

// Dark, light, or what the system says; file: pages may have no storage.
const themes = ["", "dark", "light"], button = document.getElementById("theme");
let theme = "";
try { theme = localStorage.getItem("theme") || ""; } catch { /* it begins anew each time */ }
function dress() {
  if (theme) document.documentElement.dataset.theme = theme; else delete document.documentElement.dataset.theme;
  button.textContent = { "": "auto", dark: "dark", light: "light" }[theme];
}
button.addEventListener("click", () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  try { localStorage.setItem("theme", theme); } catch { /* as above */ }
  dress();
});
dress();

// Where one reads, in the navigation: the last heading of it above the upper third of the window.
const links = [...document.querySelectorAll("nav a")];
const places = links.map((link) => document.getElementById(link.getAttribute("href").slice(1)));
let here = null, due = false;
function locate() {
  due = false;
  let low = 0, high = places.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (places[middle].getBoundingClientRect().top < innerHeight / 3) low = middle + 1; else high = middle;
  }
  const link = links[Math.max(low - 1, 0)];
  if (link === here) return;
  if (here) here.removeAttribute("aria-current");
  here = link;
  here.setAttribute("aria-current", "true");
  if (getComputedStyle(aside).position === "sticky" && !box.value) here.scrollIntoView({ block: "nearest" });
}
addEventListener("scroll", () => { if (!due) { due = true; requestAnimationFrame(locate); } }, { passive: true });
locate();
