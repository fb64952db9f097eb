// The doctor's pages, kept current: when something happens the page fetches itself and swaps its content,
// unless the doctor is writing, who is told instead.

const main = document.querySelector("#main");
const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });

function showLocalTimes() {
  for (const time of main.querySelectorAll("time.at")) time.textContent = clock.format(new Date(time.dateTime));
}
showLocalTimes();

function isWriting() {
  return [...main.querySelectorAll("textarea")].some((box) => box.value.trim() || box === document.activeElement);
}

async function refresh() {
  if (isWriting()) return hint();
  const response = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("#main");
  if (!fresh || isWriting()) return;
  main.replaceChildren(...fresh.childNodes);
  showLocalTimes();
}

function hint() {
  if (document.querySelector("#fresh")) return;
  const note = document.createElement("p");
  note.id = "fresh";
  note.className = "notice";
  note.setAttribute("role", "status");
  const link = document.createElement("a");
  link.href = location.href;
  link.textContent = "Something new has arrived. Show it.";
  note.append(link);
  main.prepend(note);
}

let timer;
function soon() {
  clearTimeout(timer);
  timer = setTimeout(refresh, 300);
}

const input = main.dataset.session ? { json: { sessionId: main.dataset.session } } : { json: {} };
const stream = new EventSource(`/api/trpc/${main.dataset.live}?input=${encodeURIComponent(JSON.stringify(input))}`);
let isOpen = false;
stream.addEventListener("message", () => isOpen && soon());
stream.addEventListener("open", () => setTimeout(() => { isOpen = true; }, 1000));
