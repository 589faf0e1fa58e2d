// Where the reader is. The address carries it, so that a link opens the same place. `find` searches the
// list of problems, `text` the samples' texts: leaving a problem leaves the list as it was.

const KEYS = ["task", "run", "vs", "problem", "sample", "budget", "only", "sort", "find", "text", "scale"];
const NUMBERS = new Set(["run", "vs", "sample"]);

function readPlace() {
  const place = {};
  const words = new URLSearchParams(location.hash.slice(1));
  for (const key of KEYS) {
    const value = words.get(key);
    if (value === null || value === "") continue;
    place[key] = NUMBERS.has(key) ? Number.parseInt(value, 10) : value;
  }
  return place;
}

function address(place) {
  const words = new URLSearchParams();
  for (const key of KEYS)
    if (place[key] !== undefined && place[key] !== null && place[key] !== "") words.set(key, place[key]);
  return `#${words}`;
}

// The same place with changes; `undefined` drops a key.
const moved = (changes) => address({ ...state.place, ...changes });
const open = (changes) => {
  location.hash = moved(changes);
};
const step = (changes) => {
  location.replace(moved(changes));
};
