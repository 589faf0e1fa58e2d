// Elements from text: whatever a model wrote becomes text nodes, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "style") for (const [key, v] of Object.entries(value)) node.style.setProperty(key, v);
    else if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// Control and direction characters are shown, not obeyed.
const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

function visible(text) {
  return text.replace(UNSEEN, (c) => {
    const code = c.codePointAt(0);
    return code < 32 ? String.fromCodePoint(0x2400 + code) : `⟪U+${code.toString(16).toUpperCase()}⟫`;
  });
}

const clip = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
const count = (value) => Math.round(value).toLocaleString("en-US").replace("-", "−");

// As Python rounds: a tie goes to the even digit, so that the page and report.md say the same.
function fixed(value, digits) {
  const scale = 10 ** digits;
  const halves = value * 2 ** (digits + 1);
  if (!Number.isInteger(halves) || halves % 2 === 0) return value.toFixed(digits);
  const below = Math.floor(value * scale);
  return ((below % 2 === 0 ? below : below + 1) / scale).toFixed(digits);
}

const percent = (value, digits = 1) => `${fixed(100 * value, digits)}%`;
const points = (value) => `${value > 0 ? "+" : ""}${fixed(100 * value, 1)}`.replace("-", "−");
const mean = (values) => (values.length ? values.reduce((a, b) => a + b, 0) / values.length : 0);

function figure(measure) {
  if (!measure || measure.value === null) return "–";
  const one = (v) =>
    measure.unit === "fraction" ? percent(v) : Math.abs(v) >= 100 ? count(v) : fixed(v, 1).replace("-", "−");
  return measure.low === null
    ? one(measure.value)
    : `${one(measure.value)} [${one(measure.low)}, ${one(measure.high)}]`;
}
