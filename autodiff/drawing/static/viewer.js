// Plays a computation graph: pictures, steps and numbers come as data; nothing is computed or laid out here.
(() => {
'use strict';
const root = document.currentScript.closest('.agv');
const $ = q => root.querySelector(q);
const D = JSON.parse($('script[type="application/json"]').textContent);
const NS = 'http://www.w3.org/2000/svg';
const stage = $('.agv-stage'), says = $('.agv-says'), live = $('.agv-live'), range = $('input[type=range]');
const search = $('input[type=search]'), chooser = $('select'), inspector = $('.agv-inspector');
const count = D.label.length;

// ---------------------------------------------------------------- numbers and names
const num = x => x === null ? null : Number(x === 'inf' ? Infinity : x === '-inf' ? -Infinity : x);
const short = x => {
  if (x === null) return '';
  x = num(x);
  if (!isFinite(x)) return isNaN(x) ? 'nan' : x < 0 ? '−inf' : 'inf';
  const size = Math.abs(x);
  const text = x === 0 || (size >= 1e-3 && size < 99995) ? String(+x.toPrecision(4)) : x.toExponential(2).replace(/e([+-])(\d)$/, 'e$10$2');
  return text.replace(/^-/, '−');
};
const figure = (x, p) => D.map[p] ? 'max |·| ' + short(x) : short(x);
const d = p => `d${D.label[D.root]}/d${D.label[p]}`;

// ---------------------------------------------------------------- the graph
const inputs = Array.from({length: count}, () => []), outputs = Array.from({length: count}, () => []);
D.src.forEach((s, e) => { outputs[s].push(e); inputs[D.dst[e]].push(e); });
const fill = (text, e) => text.replace(/\{(\w+)\}/g, (all, key) => {
  const to = D.dst[e];
  return key === 'g' ? d(to) : key === 'z' ? D.label[to] : key in inputs[to] ? D.label[D.src[inputs[to][key]]] : all;
});
const formula = e => D.formula[e] < 0 ? null : D.formulas[D.formula[e]];

// ---------------------------------------------------------------- steps: 0 is before everything
const forward = [...D.label.keys()].filter(p => D.kind[p] !== 'constant');
const seed = forward.length + 1;
const last = D.steps.length ? seed + D.steps.length : forward.length;
const doneAt = new Array(count).fill(0);
forward.forEach((p, i) => doneAt[p] = i + 1);
const history = Array.from({length: count}, () => []);
const rows = new Map();
if (D.steps.length) history[D.root].push([seed, ...D.seed]);
D.steps.forEach(([p, passed], i) => passed.forEach(row => {
  history[D.src[row[0]]].push([seed + 1 + i, row[3], row[4] || '']);
  rows.set(row[0], row);
}));
const gradAt = (p, s) => {
  let found = null;
  for (const h of history[p]) { if (h[0] > s) break; found = h; }
  return found;
};
const event = s => s < 1 || s > last ? null
  : s < seed ? {phase: 'forward', place: forward[s - 1]}
  : s === seed ? {phase: 'seed', place: D.root}
  : {phase: 'back', place: D.steps[s - seed - 1][0], passed: D.steps[s - seed - 1][1]};

let step = D.swept ? last : forward.length, chosen = null, hovered = null, group = null, playing = 0, view = 0;
let svg, nodes, paths, frame, full, sized;

// ---------------------------------------------------------------- pictures
const pictures = [stage.querySelector('svg')];
for (const t of root.querySelectorAll('template')) pictures.push(t.content.querySelector('svg'));
const box = p => nodes[D.views[view].owner[p]] || null;
const placeOf = g => { const k = g.dataset.id; return k[0] === 'n' ? +k.slice(1) : null; };

function show(i) {
  view = i;
  chooser.value = i;
  svg = pictures[i];
  stage.replaceChildren(svg);
  stage.dataset.view = i;
  if (!svg.dataset.ready) prepare(svg);
  const byKey = new Map([...svg.querySelectorAll('.ag-node')].map(g => [g.dataset.id, g]));
  nodes = D.views[i].boxes.map(key => byKey.get(key));
  paths = [...svg.querySelectorAll('.ag-edges path')].map(path => ({path, from: byKey.get(path.dataset.from), to: byKey.get(path.dataset.to)}));
  full = svg.dataset.full.split(' ').map(Number);
  start();
  paint();
}
function prepare(s) {
  s.dataset.ready = '1';
  s.dataset.full = s.getAttribute('viewBox');
  s.removeAttribute('width');
  s.removeAttribute('height');
  s.setAttribute('role', 'group');
  let first = true;
  for (const g of s.querySelectorAll('.ag-node')) {
    g.setAttribute('role', 'button');
    g.setAttribute('aria-label', g.querySelector('title').textContent);
    g.setAttribute('aria-pressed', 'false');
    g.setAttribute('tabindex', first ? '0' : '-1');
    first = false;
  }
}
const setFrame = f => { frame = f; svg.setAttribute('viewBox', f.map(x => x.toFixed(1)).join(' ')); root.dataset.zoom = (full[2] / f[2]).toFixed(3); };
// A small graph is not blown up: at most one and a half times its size.
function fit() {
  const r = stage.getBoundingClientRect(), k = Math.min(1.5, r.width / full[2], r.height / full[3]) || 1;
  const w = r.width / k, h = r.height / k;
  setFrame([(full[2] - w) / 2, (full[3] - h) / 2, w, h]);
}
// Where fitting a small graph would make it unreadable, the picture starts at its first values; steps move along.
function start() {
  sized = stage.clientWidth + 'x' + stage.clientHeight;
  fit();
  if (stage.clientWidth / frame[2] >= .6 || nodes.length > 60) return;
  const w = stage.clientWidth / .85, h = stage.clientHeight / .85, down = svg.dataset.rankdir === 'TB';
  setFrame([down || full[2] < w ? (full[2] - w) / 2 : 0, !down || full[3] < h ? (full[3] - h) / 2 : 0, w, h]);
}
function zoom(by, x = .5, y = .5) {
  const [u, v, w, h] = frame, k = Math.min(Math.max(by, w / (full[2] * 8)), full[2] * 4 / w);
  setFrame([u + w * x * (1 - k), v + h * y * (1 - k), w * k, h * k]);
}
function reveal(g) {
  if (!g) return;
  const b = g.getBoundingClientRect(), r = stage.getBoundingClientRect();
  if (b.left >= r.left && b.right <= r.right && b.top >= r.top && b.bottom <= r.bottom) return;
  const k = frame[2] / r.width;
  const dx = (b.left + b.right - r.left - r.right) / 2 * k, dy = (b.top + b.bottom - r.top - r.bottom) / 2 * k;
  setFrame([frame[0] + dx, frame[1] + dy, frame[2], frame[3]]);
}

// ---------------------------------------------------------------- painting one step
const largest = Math.max(1e-300, ...history.flat().map(h => Math.abs(num(h[1]))).filter(isFinite));
const make = (kind, parent, attributes) => {
  const e = parent.appendChild(document.createElementNS(NS, kind));
  for (const key in attributes) e.setAttribute(key, attributes[key]);
  return e;
};
function paintMap(g, text) {
  if (g.dataset.shown === text) return;
  g.dataset.shown = text;
  g.replaceChildren();
  const where = {};
  text.split('/').forEach((row, r) => [...row].forEach((c, i) => { where[c] = (where[c] || '') + `M${i * 7} ${r * 7}h6v6h-6z`; }));
  for (const c in where) {
    const role = c === '0' ? 'muted' : c === '!' ? 'text' : c === c.toLowerCase() ? 'positive' : 'negative';
    const opacity = c === '0' ? .16 : c === '!' ? 1 : (c.toLowerCase().charCodeAt(0) - 96) / 8;
    make('path', g, {class: 'ag-' + role, fill: `var(--${role})`, 'fill-opacity': opacity, d: where[c]});
  }
}
function paintBar(g, x) {
  let bar = g.querySelector('.ag-bar');
  const w = +g.querySelector('.ag-box').getAttribute('width');
  const length = x ? (w / 2 - 8) * Math.min(1, Math.max(.04, 1 + Math.log10(Math.abs(x) / largest) / 4)) : 0;
  if (!bar && !length) return;
  bar = bar || make('rect', g, {y: 47.5, height: 3});
  const side = x > 0 ? 'positive' : 'negative';
  bar.setAttribute('class', 'ag-bar ag-' + side);
  bar.setAttribute('fill', `var(--${side})`);
  bar.setAttribute('x', x > 0 ? w / 2 : w / 2 - length);
  bar.setAttribute('width', isFinite(length) ? length : 0);
}
function paintNode(g, p) {
  const done = doneAt[p] <= step, h = gradAt(p, step), value = g.querySelector('.ag-value'), grad = g.querySelector('.ag-grad');
  g.classList.toggle('ag-pending', !done);
  if (value) value.textContent = done ? short(D.value[p]) : '·';
  if (grad) {
    grad.textContent = h ? '∂ ' + short(h[1]) : '∂ not yet';
    paintBar(g, h ? num(h[1]) : 0);
  }
  for (const m of g.querySelectorAll('.ag-heat')) paintMap(m, m.dataset.what === 'value' ? (done ? D.map[p] : '') : h ? h[2] : '');
}
function paint() {
  const now = step < last || playing ? event(step) : null;
  const receives = new Set(now && now.passed ? now.passed.map(r => box(D.src[r[0]])) : []);
  const edges = new Set(now ? now.phase === 'forward' ? inputs[now.place] : (now.passed || []).map(r => r[0]) : []);
  const ends = [...edges].map(e => [box(D.src[e]), box(D.dst[e])]);
  const active = now && box(now.place);
  const flow = chosen === null ? null : flowBoxes(chosen);
  D.views[view].boxes.forEach((key, i) => {
    const g = nodes[i], p = placeOf(g), c = g.classList;
    if (p !== null) paintNode(g, p);
    c.toggle('ag-active', g === active);
    c.toggle('ag-receives', g !== active && receives.has(g));
    c.toggle('ag-path', !!flow && flow.has(g));
    c.toggle('ag-dim', !!flow && !flow.has(g));
    c.toggle('ag-chosen', chosen !== null && box(chosen) === g);
    g.setAttribute('aria-pressed', String(chosen !== null && box(chosen) === g));
  });
  for (const {path, from, to} of paths) {
    const flows = ends.some(([a, b]) => a === from && b === to), on = !!flow && flow.has(from) && flow.has(to);
    path.classList.toggle('ag-flows', flows);
    path.classList.toggle('ag-back', flows && now.phase === 'back');
    path.classList.toggle('ag-path', on);
    path.classList.toggle('ag-dim', !!flow && !on);
  }
  root.dataset.step = step;
  range.value = step;
  const text = sentence(step);
  says.textContent = text;
  range.setAttribute('aria-valuetext', text);
  if (active && now) reveal(active);
  inspect();
}

// ---------------------------------------------------------------- sentences
function contribution([e, local, amount, total]) {
  const to = D.dst[e], from = D.src[e], f = formula(e), upstream = gradAt(to, step);
  let text = `${d(from)} += ${f ? fill(f[0], e) : `what ${D.op[to]} passes on of ${d(to)}`}`;
  if (local !== null && upstream && !D.map[to] && !D.map[from]) text += ` = ${short(upstream[1])} × ${short(local)}`;
  text += D.map[from] ? `, ${figure(amount, from)}` : ` = ${short(amount)}`;
  return [from, text, total];
}
function sentence(s) {
  const head = `Step ${s} of ${last}`, now = event(s);
  if (!now) return D.stale || `${head}. Nothing is computed yet.`;
  const p = now.place;
  if (now.phase === 'forward') {
    const end = s === last && D.stale ? ' ' + D.stale : '';
    return inputs[p].length ? `${head}, forward: ${D.label[p]} = ${D.computed[p]} = ${figure(D.value[p], p)}${end}` : `${head}: ${D.kind[p]} ${D.label[p]} = ${figure(D.value[p], p)}${end}`;
  }
  if (now.phase === 'seed') return `${head}, backward starts: ${d(p)} = ${figure(gradAt(p, s)[1], p)}`;
  const parts = [], before = new Map();
  for (const row of now.passed) {
    const [from, text, total] = contribution(row);
    const earlier = before.has(from) ? before.get(from) : (gradAt(from, s - 1) || [0, null])[1];
    before.set(from, total);
    parts.push(text + (earlier === null ? '' : D.map[from] ? `, added to what was there` : `, and ${short(earlier)} was there: ${short(total)}`));
  }
  return `${head}, back through ${D.op[p]}: ${parts.join('; ') || 'only constants are below'}`;
}

// ---------------------------------------------------------------- inspector
function inspect() {
  const now = event(step), p = hovered ?? chosen ?? (now ? now.place : D.root);
  const body = inspector.querySelector('tbody');
  body.replaceChildren();
  inspector.querySelector('caption').textContent = group ? 'Folded' : `${D.op[p]} ${D.label[p]}`.trim();
  const row = (head, text) => {
    const r = body.insertRow(), h = document.createElement('th');
    h.scope = 'row';
    h.textContent = head;
    r.append(h);
    r.insertCell().textContent = text;
  };
  if (group) return row('holds', group.getAttribute('aria-label'));
  row('kind', D.kind[p] === 'op' ? 'operation' : D.kind[p]);
  if (inputs[p].length) row('formula', D.computed[p]);
  if (D.shape[p]) row('shape', D.shape[p]);
  row('value', doneAt[p] <= step ? figure(D.value[p], p) : 'not computed yet');
  const h = gradAt(p, step);
  row('gradient', h ? figure(h[1], p) : history[p].length || D.kind[p] === 'parameter' ? 'not computed yet' : D.grad[p] === null ? 'none' : figure(D.grad[p], p));
  const end = gradAt(p, last);
  if (end && D.grad[p] !== null && Math.abs(num(D.grad[p]) - num(end[1])) > 1e-6 * Math.abs(num(end[1])) + 1e-300) row('.grad holds', figure(D.grad[p], p) + ', of several passes');
  for (const e of inputs[p]) {
    const f = formula(e), r = rows.get(e), local = r && r[1] !== null ? short(r[1]) : '';
    if (!f && !local) continue;
    const text = f ? f[1] ? fill(f[1], e) : fill(f[0], e) : '';
    row(f && !f[1] ? `passes to ${D.label[D.src[e]]}` : `d${D.label[p]}/d${D.label[D.src[e]]}`, text && local && text !== local ? `${text} = ${local}` : text || local);
  }
  const given = outputs[p].map(e => rows.get(e)).filter(Boolean);
  if (given.length > 1) row('gradient is', given.map(r => figure(r[2], p)).join(' + '));
  if (D.scopes[D.scope[p]]) row('scope', D.scopes[D.scope[p]]);
  if (D.line[p]) row('source line', D.line[p]);
}

// ---------------------------------------------------------------- paths and search
function flowBoxes(p) {
  const seen = new Set([p]), stack = [p];
  while (stack.length) for (const e of outputs[stack.pop()]) if (!seen.has(D.dst[e])) { seen.add(D.dst[e]); stack.push(D.dst[e]); }
  return new Set([...seen].map(box));
}
function choose(g) {
  const p = placeOf(g);
  if (p === null) return open(g);
  chosen = chosen === p ? null : p;
  tell(chosen === null ? 'selection cleared' : `${flowBoxes(p).size} boxes lie on the paths along which the gradient flows to ${D.label[p]}`);
  paint();
}
function open(g) {
  const first = D.views[view].owner.indexOf(nodes.indexOf(g));
  for (let i = D.views.length - 1; i > view || i > 0; i--) {
    if (i === view) continue;
    const key = D.views[i].boxes[D.views[i].owner[first]];
    if (key && key[0] === 'n') { show(i); zoomTo(box(first)); return focusOn(box(first)); }
  }
  tell('this box is folded in every view');
}
function zoomTo(g) {
  if (frame[2] > stage.clientWidth * 1.25) setFrame([frame[0], frame[1], stage.clientWidth, stage.clientHeight]);
  reveal(g);
}
let hits = [], hit = 0;
function find(text) {
  text = text.trim().toLowerCase();
  for (const g of svg.querySelectorAll('.ag-found')) g.classList.remove('ag-found');
  hits = text ? forward.filter(p => D.label[p].toLowerCase().includes(text) || D.op[p].toLowerCase() === text || D.scopes[D.scope[p]].toLowerCase().includes(text)) : [];
  hit = 0;
  $('.agv-hits').textContent = text ? `${hits.length} found` : '';
  for (const p of hits) if (box(p)) box(p).classList.add('ag-found');
}
function goHit() {
  if (!hits.length) return tell('nothing found');
  const p = hits[hit++ % hits.length];
  if (!box(p) || placeOf(box(p)) === null) {
    const i = D.views.findIndex(v => (v.boxes[v.owner[p]] || ' ')[0] === 'n');
    if (i >= 0) { show(i); for (const q of hits) if (box(q)) box(q).classList.add('ag-found'); }
  }
  if (box(p)) { zoomTo(box(p)); focusOn(box(p)); }
  tell(`${D.label[p]}, ${(hit - 1) % hits.length + 1} of ${hits.length}`);
}
let pending;
function tell(text) { clearTimeout(pending); pending = setTimeout(() => { live.textContent = text; }, 250); }

// ---------------------------------------------------------------- doing
function go(s) { step = Math.max(0, Math.min(last, s)); paint(); tell(says.textContent); }
function pause() { clearInterval(playing); playing = 0; $('[data-do=play]').setAttribute('aria-pressed', 'false'); }
function play() {
  if (playing) { pause(); return paint(); }
  if (step >= last) step = 0;
  const pace = matchMedia('(prefers-reduced-motion: reduce)').matches ? 1200 : 600;
  playing = setInterval(() => { if (step >= last) { pause(); paint(); } else go(step + 1); }, pace);
  $('[data-do=play]').setAttribute('aria-pressed', 'true');
  go(step);
}
function focusOn(g) {
  if (!g) return;
  for (const other of svg.querySelectorAll('.ag-node[tabindex="0"]')) other.setAttribute('tabindex', '-1');
  g.setAttribute('tabindex', '0');
  g.focus({preventScroll: true});
  reveal(g);
}
function neighbour(g, key) {
  const [onward, back] = svg.dataset.rankdir === 'TB' ? ['ArrowDown', 'ArrowUp'] : ['ArrowRight', 'ArrowLeft'];
  const along = key === onward ? paths.filter(p => p.from === g).map(p => p.to) : key === back ? paths.filter(p => p.to === g).map(p => p.from) : [];
  if (along[0]) return along[0];
  const a = g.getBoundingClientRect(), level = key === 'ArrowLeft' || key === 'ArrowRight', sign = key === 'ArrowLeft' || key === 'ArrowUp' ? -1 : 1;
  let best = Infinity, found = null;
  for (const other of nodes) {
    const b = other.getBoundingClientRect(), dx = (b.left + b.right - a.left - a.right) / 2, dy = (b.top + b.bottom - a.top - a.bottom) / 2;
    const ahead = (level ? dx : dy) * sign, aside = Math.abs(level ? dy : dx);
    if (ahead > 2 && ahead + 3 * aside < best) { best = ahead + 3 * aside; found = other; }
  }
  return found;
}
const doing = {first: () => go(0), back: () => go(step - 1), play, next: () => go(step + 1), last: () => go(last), out: () => zoom(1.25), in: () => zoom(.8), fit};
for (const b of root.querySelectorAll('button[data-do]')) b.addEventListener('click', () => doing[b.dataset.do]());
const keys = {'.': 'next', ',': 'back', Home: 'first', End: 'last', '+': 'in', '=': 'in', '-': 'out', 0: 'fit'};
document.addEventListener('keydown', e => {
  const on = e.target, g = on.closest('.ag-node');
  if (on !== document.body && !root.contains(on)) return;
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (on === search) {
    if (e.key === 'Enter') goHit();
    if (e.key === 'Escape') { search.value = ''; find(''); stage.querySelector('.ag-node[tabindex="0"]').focus(); }
    return;
  }
  if (on === chooser) return;
  if (e.key === '/') search.focus();
  else if (e.key === 'Escape') { chosen = null; paint(); }
  else if (g && (e.key === 'Enter')) choose(g);
  else if (g && e.key.startsWith('Arrow')) focusOn(neighbour(g, e.key));
  else if (e.key === ' ' && !on.matches('button, summary')) play();
  else if (e.key in keys && !(on === range && e.key.length > 1)) doing[keys[e.key]]();
  else return;
  e.preventDefault();
});
range.max = last;
range.addEventListener('input', () => go(+range.value));
chooser.addEventListener('change', () => show(+chooser.value));
search.addEventListener('input', () => find(search.value));
function hover(g) {
  hovered = g ? placeOf(g) : null;
  group = g && hovered === null ? g : null;
  inspect();
}
stage.addEventListener('pointerover', e => hover(e.target.closest('.ag-node')));
stage.addEventListener('pointerleave', () => hover(null));
stage.addEventListener('focusin', e => hover(e.target.closest('.ag-node')));
stage.addEventListener('focusout', () => hover(null));
let drag = null, moved = false;
stage.addEventListener('pointerdown', e => { drag = [e.clientX, e.clientY, ...frame]; moved = false; });
addEventListener('pointermove', e => {
  if (!drag) return;
  const dx = e.clientX - drag[0], dy = e.clientY - drag[1];
  if (Math.abs(dx) + Math.abs(dy) > 4) moved = true;
  if (moved) { const k = drag[4] / stage.clientWidth; setFrame([drag[2] - dx * k, drag[3] - dy * k, drag[4], drag[5]]); }
});
addEventListener('pointerup', () => { drag = null; });
stage.addEventListener('click', e => {
  if (moved) return;
  const g = e.target.closest('.ag-node');
  if (g) { focusOn(g); choose(g); } else if (chosen !== null) { chosen = null; paint(); }
});
stage.addEventListener('wheel', e => {
  if (!e.ctrlKey && !e.metaKey) return;
  e.preventDefault();
  const r = stage.getBoundingClientRect();
  zoom(Math.exp(e.deltaY * .0015), (e.clientX - r.left) / r.width, (e.clientY - r.top) / r.height);
}, {passive: false});
chooser.closest('label').hidden = D.views.length < 2;
root.classList.add('js');
show(0);
new ResizeObserver(() => { if (sized !== stage.clientWidth + 'x' + stage.clientHeight) start(); }).observe(stage);
root.player = {go, show, find, data: D, seed, last, gradAt: (p, s = step) => { const h = gradAt(p, s); return h ? num(h[1]) : null; }};
})();
