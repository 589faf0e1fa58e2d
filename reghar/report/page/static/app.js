// Reads the index, then draws whatever view the address names.

const state = { index: null, place: {}, found: null, raw: false, note: null };

// The place that the address names, with what it leaves out, without what this page does not hold.
function settlePlace() {
  const { runs, budgets } = state.index;
  const place = readPlace();
  state.note = null;
  const refuse = (what) => {
    state.note = `This page holds no ${what}: the address is of another run, or was cut short.`;
  };
  if (place.run === undefined || !runs[place.run]) {
    if (place.run !== undefined) refuse(`run ${place.run}`);
    place.run = 0;
  }
  if (place.vs !== undefined && (!runs[place.vs] || place.vs === place.run)) delete place.vs;
  const { tasks } = runs[place.run];
  if (!place.task || !Object.hasOwn(tasks, place.task)) {
    if (place.task) {
      refuse(`task ${place.task}`);
      delete place.problem;
    }
    place.task = Object.keys(tasks)[0];
  }
  const problem =
    place.problem === undefined ? undefined : tasks[place.task].problems.find((p) => p.id === place.problem);
  if (place.problem !== undefined && !problem) {
    refuse(`problem ${place.problem}`);
    delete place.problem;
  }
  if (!problem) {
    delete place.sample;
    delete place.vs;
  }
  if (place.sample !== undefined && !problem.samples.some((s) => s.sample === place.sample)) {
    refuse(`sample ${place.sample}`);
    delete place.sample;
  }
  if (place.sample !== undefined && !budgets.map(String).includes(place.budget)) place.budget = "full";
  return place;
}

function trail() {
  const { place, index } = state;
  const parts = [
    el(
      "a",
      {
        href: moved({
          problem: undefined,
          sample: undefined,
          budget: undefined,
          vs: undefined,
          text: undefined,
        }),
        title: "summary",
      },
      el("b", {}, "reghar"),
      el("span", { class: "model" }, ` ${index.title}`),
    ),
  ];
  if (place.problem !== undefined)
    parts.push(
      " › ",
      el("a", { href: moved({ sample: undefined, budget: undefined }) }, visible(place.problem)),
    );
  if (place.sample !== undefined) parts.push(" › ", `sample ${place.sample}`);
  const move = place.sample !== undefined ? moveSample : place.problem !== undefined ? moveProblem : null;
  return [
    el("nav", { class: "trail" }, parts),
    el(
      "span",
      { class: "tools" },
      move
        ? [
            el(
              "button",
              {
                click: () => move(-1),
                title: place.sample !== undefined ? "key: k" : "key: p",
                "aria-label": "previous",
              },
              "‹",
            ),
            el(
              "button",
              {
                click: () => move(1),
                title: place.sample !== undefined ? "key: j" : "key: n",
                "aria-label": "next",
              },
              "›",
            ),
          ]
        : null,
      el("button", { click: help, title: "key: ?" }, "? keys"),
    ),
  ];
}

let turn = 0;
let shown = "";

// A new view begins at its top; a list that the reader comes back to, at the row that was left.
function comeFrom(before) {
  const { place } = state;
  const [, problem, sample] = before.split("\n");
  const left = place.problem === undefined ? problem : place.sample === undefined ? sample : "";
  const row = left && [...document.querySelectorAll(".row")].find((one) => one.dataset.name === left);
  if (!row) return window.scrollTo(0, 0);
  row.classList.add("chosen");
  row.scrollIntoView({ block: "center" });
}

async function render() {
  const mine = ++turn;
  state.place = settlePlace();
  const { place } = state;
  const main = document.getElementById("main");
  try {
    state.found = await findSamples();
    const view =
      place.sample !== undefined
        ? await traceView()
        : place.problem !== undefined
          ? problemView()
          : summaryView();
    if (mine !== turn) return;
    const typing =
      document.activeElement && ["find", "text", "only"].includes(document.activeElement.id)
        ? document.activeElement.id
        : null;
    const cursor = typing && typing !== "only" ? document.activeElement.selectionStart : 0;
    document.getElementById("bar").replaceChildren(...trail());
    main.replaceChildren(
      ...(state.note ? [el("p", { class: "note warning" }, visible(state.note))] : []),
      ...view.flat(3).filter(Boolean),
    );
    if (typing) {
      const field = document.getElementById(typing);
      field?.focus();
      if (typing !== "only") field?.setSelectionRange(cursor, cursor);
    }
    const hits = document.getElementById("hits");
    if (hits && place.text) hits.textContent = `${main.querySelectorAll("mark").length} found`;
    const where = [place.task, place.problem, place.sample].join("\n");
    if (where !== shown) comeFrom(shown);
    if (place.sample !== undefined && where !== shown)
      main.querySelector("mark")?.scrollIntoView({ block: "center" });
    shown = where;
    document.title = [
      place.sample !== undefined ? `sample ${place.sample}` : null,
      place.problem,
      state.index.title,
    ]
      .filter(Boolean)
      .join(" · ");
    main.dataset.ready = String(mine);
  } catch (error) {
    if (mine === turn)
      main.replaceChildren(
        el("p", { class: "note warning" }, `This view could not be drawn: ${error.message}`),
      );
  }
}

async function start() {
  try {
    state.index = await block("index");
    if (state.index === null) throw new Error("the file was cut short");
  } catch (error) {
    document
      .getElementById("main")
      .replaceChildren(
        el("p", { class: "note warning" }, `The page's data could not be read: ${error.message}`),
      );
    return;
  }
  for (const run of state.index.runs)
    for (const task of Object.values(run.tasks))
      for (const p of task.problems) for (const s of p.samples) s.overthought = Boolean(s.overthought);
  window.addEventListener("hashchange", render);
  await render();
}

start();
