// The patient's conversation, made live. Without this file the page works as plain forms.
// A message is kept on the phone until the server has said that it is stored.

const root = document.querySelector(".chat");
const log = root.querySelector(".log");
const composer = document.querySelector("#composer");
const status = document.querySelector("#status");
const choices = document.querySelector("#choices");
const session = root.dataset.session;
const boxName = `anamnesis-outbox-${session}`;
const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
for (const time of document.querySelectorAll("time.at")) time.textContent = clock.format(new Date(time.dateTime));

const outbox = {
  read() {
    try { return JSON.parse(localStorage.getItem(boxName)) || []; } catch { return []; }
  },
  write(items) {
    try { localStorage.setItem(boxName, JSON.stringify(items)); } catch { /* private mode: the page itself still holds the text */ }
  },
  add(item) { this.write([...this.read(), item]); },
  remove(id) { this.write(this.read().filter((item) => item.id !== id)); },
};

function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}

// A call about this conversation: what tRPC answers, {result} or {error}. Fails when nobody answered.
async function call(name, input) {
  const response = await fetch(`/api/trpc/${name}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ json: { sessionId: session, ...input } }),
  });
  return response.json();
}

function say(text) { status.textContent = text; }

function bubble(kind, sender, text, at) {
  const item = document.createElement("li");
  item.className = `bubble ${kind}`;
  const from = document.createElement("span");
  from.className = "from";
  from.textContent = sender;
  const time = document.createElement("time");
  time.className = "at";
  time.textContent = at ? clock.format(at) : "";
  const words = document.createElement("span");
  words.className = "text";
  words.textContent = text;
  item.append(from, words, time);
  return item;
}

// A picture's address, without the origin it is told with: the page has one of its own.
function picture(url) {
  const { pathname, search } = new URL(url, location.href);
  const link = document.createElement("a");
  link.className = "picture";
  link.href = pathname + search;
  const image = document.createElement("img");
  image.src = `${pathname}/small${search}`;
  image.alt = "Photo sent with this message";
  link.append(image);
  return link;
}

function withPictures(item, urls = []) {
  item.querySelector(".text").before(...urls.map(picture));
  return item;
}

function show(item) {
  const near = innerHeight + scrollY > document.body.offsetHeight - 240;
  log.append(item);
  if (near || item.classList.contains("user")) item.scrollIntoView({ block: "end" });
}

const known = (id) => id && document.getElementById(`m-${id}`);

function name(item, message) {
  item.id = `m-${message.id}`;
  item.dataset.id = message.id;
  item.classList.remove("waiting");
  item.querySelector(".at").textContent = `${clock.format(new Date(message.timestamp))} ✓`;
}

function receive(message) {
  if (!message || known(message.id)) return;
  if (message.role === "user") {
    const mine = [...log.querySelectorAll(".waiting")].find((item) => item.dataset.text === message.text);
    if (mine) return name(mine, message);
    return show(withPictures(named(bubble("user", "You", message.text, null), message), message.images));
  }
  const isDoctor = message.role === "doctor";
  if (!isDoctor) allowOtherWords(message);
  if (growing && !isDoctor && !message.isEmergency) return ripen(message);
  const kind = isDoctor ? "doctor" : message.isEmergency ? "emergency" : "model";
  show(named(bubble(kind, isDoctor ? root.dataset.doctor : "Assistant", message.text, null), message));
  offer(message.choices || []);
}

function named(item, message) {
  item.id = `m-${message.id}`;
  item.dataset.id = message.id;
  item.querySelector(".at").textContent = clock.format(new Date(message.timestamp));
  if (message.isStopped) item.append(Object.assign(document.createElement("span"), { className: "at state", textContent: "stopped" }));
  return item;
}

// -- a reply on its way: what the server has let out of it, word by word ------------------------------------------

const stop = document.querySelector("#stop");
const isCalm = matchMedia("(prefers-reduced-motion:reduce)").matches;
let growing = null;

function grow({ replyTo, text }) {
  if (!text) return wither();
  if (!growing) {
    growing = { item: bubble("model growing", "Assistant", "", null), text: "" };
    log.setAttribute("aria-busy", "true"); // a reader of screens is told of it once, when it is whole
    show(growing.item);
  }
  growing.replyTo = replyTo;
  if (stop) stop.hidden = false;
  say("");
  reveal(growing, text);
}

function reveal(reply, text) {
  const words = reply.item.querySelector(".text");
  reply.text = text;
  if (isCalm || !text.startsWith(words.textContent)) { words.textContent = text; return; }
  if (reply.timer) return;
  const next = () => {
    const length = words.textContent.length;
    words.textContent = reply.text.slice(0, length) + (/^\s*\S*/.exec(reply.text.slice(length))[0]);
    reply.timer = words.textContent.length < reply.text.length ? setTimeout(next, 45) : null;
  };
  next();
}

// What was shown did not pass: the same question comes in other words.
function wither() {
  growing?.item.remove();
  leave();
}

function ripen(message) {
  const reply = growing;
  leave();
  reply.item.classList.remove("growing");
  reveal(reply, message.text);
  named(reply.item, message);
  offer(message.choices || []);
}

function leave() {
  growing = null;
  log.removeAttribute("aria-busy");
  if (stop) stop.hidden = true;
}

stop?.addEventListener("click", async () => {
  stop.hidden = true;
  try {
    const body = await call("intake.stopReply", { messageId: growing?.replyTo });
    receive(body.result.data.json.aiMessage);
  } catch {
    if (growing) stop.hidden = false;
    say("It could not be stopped. Please try again.");
  }
});

// -- the last question in other words -----------------------------------------------------------------------------

const otherWords = document.querySelector("#other-words");

function allowOtherWords(message) {
  if (otherWords) otherWords.hidden = message.isEmergency || !log.querySelector(".bubble.user");
}

otherWords?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = otherWords.querySelector("button");
  const asked = [...log.querySelectorAll(".bubble.model")].at(-1);
  button.disabled = true;
  say("…");
  try {
    const body = await call("intake.regenerateResponse", { messageId: asked?.dataset.id });
    const reply = body.result.data.json.aiMessage;
    const isSame = !reply || reply.id === asked?.dataset.id;
    if (!isSame) asked?.remove();
    receive(reply);
    say(isSame ? "There are no other words for it just now." : "");
  } catch {
    say("No other words came. The question stands as it is; you can answer it.");
  } finally {
    button.disabled = false;
  }
});

function offer(list) {
  choices.replaceChildren(...list.map(({ value, label }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", () => send(value));
    return button;
  }));
}

function settle(answer) {
  document.querySelector("#progress").value = answer.completeness;
  const decision = answer.updatedMedicalData?.vitalsData?.triageDecision;
  if (decision === "emergency" && !document.querySelector("#emergency")) location.reload();
}

function send(text, photos = []) {
  const content = text.trim();
  if (!content) return false;
  offer([]);
  const item = { id: newId(), content, images: photos.map((photo) => photo.url) };
  outbox.add(item);
  show(waiting(item));
  flush();
  return true;
}

function waiting(item) {
  const mine = withPictures(bubble("user waiting", "You", item.content, null), item.images);
  mine.dataset.client = item.id;
  mine.dataset.text = item.content;
  mine.querySelector(".at").textContent = "⏱ waiting";
  return mine;
}

let busy = false;
let pause = 1000;

async function flush() {
  if (busy) return;
  busy = true;
  try {
    for (let item = outbox.read()[0]; item; item = outbox.read()[0]) {
      if (!(await deliver(item))) break;
      pause = 1000;
    }
  } finally {
    busy = false;
  }
}

async function deliver(item) {
  const slow = setTimeout(() => say("Still working… your answer is saved on this phone."), 20000);
  say("…");
  try {
    const body = await call("intake.sendMessage", { content: item.content, clientMessageId: item.id, images: item.images?.length ? item.images : undefined });
    if (body.error) return refuse(item, body.error.json);
    accept(item, body.result.data.json);
    return true;
  } catch {
    return later(`No connection. ${outbox.read().length} message(s) waiting.`);
  } finally {
    clearTimeout(slow);
  }
}

function accept(item, answer) {
  outbox.remove(item.id);
  const mine = log.querySelector(`[data-client="${item.id}"]`);
  if (known(answer.userMessage.id)) { if (mine && mine !== known(answer.userMessage.id)) mine.remove(); } else if (mine) name(mine, answer.userMessage);
  receive(answer.aiMessage);
  settle(answer);
  say("");
}

function refuse(item, error) {
  const { httpStatus } = error.data;
  if (httpStatus === 401) return later("You have been signed out. Your message is kept on this phone; sign in again to send it."), false;
  if (httpStatus >= 500 || httpStatus === 429 || httpStatus === 408) return later("The clinic is busy. Your message is kept and will be sent.");
  outbox.remove(item.id);
  const mine = log.querySelector(`[data-client="${item.id}"]`);
  if (mine) mine.querySelector(".at").textContent = "⚠ not sent";
  say("This message was not accepted. Please change it and send it again.");
  return true;
}

function later(text) {
  say(text);
  setTimeout(flush, pause * (0.75 + Math.random() / 2));
  pause = Math.min(pause * 2, 30000);
  return false;
}

// -- photos and documents: sent as soon as they are chosen, shown when the server has them -------------------------

const attached = document.querySelector("#attached");
const LONGEST_SIDE = 1600;
// What goes with photos that are sent without words; the interview takes it for no answer.
const PHOTO_ALONE = "Photo";
let uploading = 0;
let isDue = false;

// A photo shrunk on the phone, for a slow network; the server takes the whole one as well.
async function shrunk(file) {
  if (!file.type.startsWith("image/") || file.size < 300_000) return file;
  try {
    const whole = await createImageBitmap(file);
    const scale = Math.min(1, LONGEST_SIDE / Math.max(whole.width, whole.height));
    const canvas = Object.assign(document.createElement("canvas"), { width: whole.width * scale, height: whole.height * scale });
    canvas.getContext("2d").drawImage(whole, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.8));
    return blob && blob.size < file.size ? new File([blob], "photo.jpg", { type: "image/jpeg" }) : file;
  } catch { return file; }
}

function upload(file, progress) {
  return new Promise((done, fail) => {
    const form = new FormData();
    form.append("files", file);
    const asked = new XMLHttpRequest();
    asked.open("POST", `/api/v1/intake-sessions/${session}/files`);
    asked.responseType = "json";
    asked.upload.addEventListener("progress", (event) => { if (event.lengthComputable) progress(event.loaded / event.total); });
    asked.addEventListener("load", () => (asked.status === 201 ? done(asked.response.files[0]) : fail(new Error(asked.response?.errors?.[0]?.message || asked.response?.detail || "It was not taken."))));
    asked.addEventListener("error", () => fail(new Error("No connection. Please choose it again.")));
    asked.send(form);
  });
}

async function attach(file) {
  const item = document.createElement("li");
  const bar = Object.assign(document.createElement("progress"), { max: 1, value: 0 });
  bar.setAttribute("aria-label", "Uploading");
  const label = document.createElement("span");
  label.textContent = "Uploading…";
  item.append(bar, label);
  attached.append(item);
  uploading += 1;
  try {
    const kept = await upload(await shrunk(file), (share) => { bar.value = share; });
    bar.remove();
    label.textContent = kept.thumbnailUrl ? "Press Send, with words or without." : `${kept.fileName}: your doctor has it.`;
    if (kept.thumbnailUrl) {
      item.prepend(picture(kept.url));
      item.dataset.url = kept.url;
    }
  } catch (error) {
    bar.remove();
    label.textContent = `⚠ Not sent. ${error.message}`;
  } finally {
    uploading -= 1;
    if (isDue && uploading === 0) composer.requestSubmit();
  }
}

function takePhotos() {
  const ready = [...attached.querySelectorAll("[data-url]")].slice(0, 4);
  return ready.map((item) => ({ url: item.dataset.url, item }));
}

function listen() {
  const input = JSON.stringify({ json: { sessionId: session, growing: true, lastEventId: root.dataset.resume || undefined } });
  const stream = new EventSource(`/api/trpc/intake.onSession?input=${encodeURIComponent(input)}`);
  stream.addEventListener("message", (event) => {
    const told = JSON.parse(event.data).json;
    if (told.isGrowing) grow(told); else receive(told);
  });
  stream.addEventListener("open", flush);
  stream.addEventListener("return", () => stream.close());
}

if (composer) {
  const box = composer.elements.content;
  composer.addEventListener("submit", (event) => {
    event.preventDefault();
    const photos = takePhotos();
    // Pressed while a photo is on its way: it goes as soon as it is there.
    isDue = !box.value.trim() && uploading > 0;
    if (isDue || !send(box.value.trim() || (photos.length ? PHOTO_ALONE : ""), photos)) return;
    for (const photo of photos) photo.item.remove();
    box.value = "";
    box.style.height = "";
    box.focus();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && matchMedia("(pointer:fine)").matches) {
      event.preventDefault();
      composer.requestSubmit();
    }
  });
  box.addEventListener("input", () => {
    box.style.height = "";
    box.style.height = `${Math.min(box.scrollHeight, 144)}px`;
  });
  root.classList.add("live");
  composer.elements.files.addEventListener("change", async (event) => {
    const chosen = [...event.target.files];
    event.target.value = "";
    for (const file of chosen) await attach(file);
    box.focus();
  });
  choices.addEventListener("submit", (event) => {
    event.preventDefault();
    send(new FormData(event.target).get("content"));
  });
}

for (const item of outbox.read()) show(waiting(item));
addEventListener("online", flush);
flush();
listen();
log.lastElementChild?.scrollIntoView({ block: "end" });
