// The page's data: compressed blocks in the file itself, or from `reghar view` on demand.

async function inflate(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

async function block(name) {
  const node = document.getElementById(name);
  if (node) return inflate(node.textContent);
  if (!state.index || !state.index.served) return null;
  const answer = await fetch(`data/${name}`, { credentials: "omit" });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}; is \`reghar view\` still running?`);
  return inflate(await answer.text());
}

// Texts of one problem's samples; null where this file does not hold them.
const held = new Map();
function samplesOf(run, problem) {
  const name = `samples-${run}-${problem.at}`;
  if (!held.has(name)) {
    if (held.size > 40) held.delete(held.keys().next().value);
    const wanted = block(name);
    wanted.catch(() => held.delete(name));
    held.set(name, wanted);
  }
  return held.get(name);
}
