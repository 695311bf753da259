// The chat. Messages on the WebSocket /chat are text, fields parted by TAB:
//   to the server    join ROOM NAME | say TEXT
//   from it          room ROOM COUNT | join NAME COUNT | leave NAME COUNT | say NAME TEXT | error WORDS
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const log = byId("chat-log"), name = byId("chat-name"), room = byId("chat-room");
  const input = byId("chat-input"), send = byId("chat-send");
  const kept = 200;
  let joined = "";

  // Each tab is a guest of its own; a reload keeps the name.
  const guest = () => `guest-${Math.floor(1000 + Math.random() * 9000)}`;
  name.value = sessionStorage.getItem("chat-name") || guest();
  room.value = sessionStorage.getItem("chat-room") || "lobby";
  if (room.selectedIndex < 0) room.selectedIndex = 0;

  function hue(text) {
    let sum = 0;
    for (const c of text) sum = (sum * 31 + c.codePointAt(0)) % 360;
    return sum;
  }

  // Everything that came from others goes in as text, never as markup.
  function add(kind, text, from) {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    const item = document.createElement("li");
    item.className = kind;
    if (from !== undefined) {
      const who = document.createElement("b");
      who.textContent = from;
      who.style.setProperty("--hue", hue(from));
      item.append(who);
    }
    item.append(text);
    log.append(item);
    while (log.childElementCount > kept) log.firstElementChild.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  function people(count) { return count === "1" ? "nobody else is here" : `${count} are here`; }

  function received(message) {
    const [verb, first, ...rest] = message.split("\t");
    const last = rest.join("\t");
    if (verb === "room") {
      joined = first;
      send.disabled = false;
      add("news", `You are in ${first}: ${people(last)}`);
    } else if (verb === "join") {
      if (first !== name.value) add("news", `${first} came in: ${people(last)}`);
    } else if (verb === "leave") {
      add("news", `${first} left: ${people(last)}`);
    } else if (verb === "say") {
      add(first === name.value ? "own" : "other", last, first);
    } else if (verb === "error") {
      add("news", first);
    }
  }

  function join() {
    name.value = name.value.replace(/[\u0000-\u001f\u007f]/g, " ").trim() || guest();
    sessionStorage.setItem("chat-name", name.value);
    sessionStorage.setItem("chat-room", room.value);
    send.disabled = true;
    socket.send(`join\t${room.value}\t${name.value}`);
  }

  const socket = lastingSocket("/chat", {
    open: join,
    message: received,
    state(word, kind) {
      if (kind === "bad") {
        send.disabled = true;
        if (joined) add("news", "The connection is gone. What you type is not lost; it can be sent when it is back.");
        joined = "";
      }
      showState("chat-state", word, kind);
    },
  });

  name.addEventListener("change", join);
  room.addEventListener("change", join);
  byId("chat-identity").addEventListener("submit", (event) => { event.preventDefault(); name.blur(); });
  byId("chat-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (text && !send.disabled && socket.send(`say\t${text}`)) input.value = "";
    input.focus();
  });
})();
