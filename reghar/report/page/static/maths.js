// Formulas in text, rendered by KaTeX within bounds; anything it refuses stays as it was written.

const FORMULA =
  /\$\$[^$]{1,900}\$\$|\\\[[\s\S]{1,900}?\\\]|\\\([\s\S]{1,900}?\\\)|\$(?=\S)[^$\n]{1,400}?\S?\$(?!\d)|\\boxed\{[^{}]{1,300}(?:\{[^{}]{0,300}\}[^{}]{0,300}){0,8}\}/g;
const MOST_FORMULAS = 800;

function formula(source) {
  const display = source.startsWith("$$") || source.startsWith("\\[");
  const edge = source.startsWith("\\boxed") ? 0 : source.startsWith("$") && !display ? 1 : 2;
  const tex = edge ? source.slice(edge, -edge) : source;
  const node = el("span", { class: display ? "math block" : "math", title: clip(visible(source), 300) });
  try {
    katex.render(tex, node, {
      displayMode: display,
      throwOnError: true,
      trust: false,
      strict: "ignore",
      maxExpand: 100,
      maxSize: 8,
    });
  } catch {
    return document.createTextNode(visible(source));
  }
  return node;
}

// Text as nodes with its formulas rendered, at most `limit` of them.
function withFormulas(text, limit = MOST_FORMULAS) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(FORMULA)) {
    if (nodes.length > 2 * limit) break;
    const node = formula(match[0]);
    // A formula on lines of its own brings its own line breaks: those around it would double them.
    const alone = node.classList?.contains("block");
    const before = text.slice(from, match.index);
    if (before) nodes.push(document.createTextNode(visible(alone ? before.replace(/\n$/, "") : before)));
    nodes.push(node);
    from = match.index + match[0].length;
    if (alone && text[from] === "\n") from += 1;
  }
  nodes.push(document.createTextNode(visible(text.slice(from))));
  return nodes;
}

const asFormula = (tex) =>
  /[\\^_{]/.test(tex) && tex.length < 300
    ? formula(`\\(${tex}\\)`)
    : document.createTextNode(visible(clip(tex, 300)));
