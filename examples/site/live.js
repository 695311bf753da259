// What runs here, and its counters: JSON on the WebSocket /live, once a second.
"use strict";

// A WebSocket that comes back by itself. `events` has message(data) and state(word, kind); `send` answers whether it went out.
function lastingSocket(path, events) {
  let socket = null, attempt = 0, timer = 0;

  function open() {
    clearTimeout(timer);
    const url = new URL(path, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    socket = new WebSocket(url);
    socket.onopen = () => { attempt = 0; events.state("connected", "good"); if (events.open) events.open(); };
    socket.onmessage = (event) => events.message(event.data);
    socket.onclose = () => {
      const wait = Math.min(8000, 500 * 2 ** attempt++) * (0.75 + Math.random() / 2);
      events.state(`no server, trying again in ${Math.ceil(wait / 1000)} s`, "bad");
      timer = setTimeout(open, wait);
    };
  }

  addEventListener("online", () => { if (socket.readyState === WebSocket.CLOSED) open(); });
  open();
  return {
    send(text) {
      if (socket.readyState !== WebSocket.OPEN) return false;
      socket.send(text);
      return true;
    },
  };
}

function showState(id, word, kind) {
  const element = document.getElementById(id);
  if (element.textContent === word) return;
  element.textContent = word;
  element.dataset.state = kind;
}

function readableBytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; count >= 1024 && unit < units.length - 1; unit++) count /= 1024;
  return `${count.toFixed(unit === 0 || count >= 100 ? 0 : 1)} ${units[unit]}`;
}

(() => {
  const seconds = 60;
  const history = { connections: [], requests: [], messages: [], bytes: [] };
  let before = null;

  const byId = (id) => document.getElementById(id);
  const number = (n) => n.toLocaleString("en-US");

  function readableTime(total) {
    const s = Math.floor(total) % 60, m = Math.floor(total / 60) % 60, h = Math.floor(total / 3600);
    if (h > 0) return `${h} h ${m} min`;
    return m > 0 ? `${m} min ${s} s` : `${s} s`;
  }

  function spark(name, value) {
    const values = history[name];
    values.push(value);
    if (values.length > seconds) values.shift();
    const top = Math.max(1, ...values);
    const points = values.map((v, i) => {
      const x = 120 - (values.length - 1 - i) * (120 / (seconds - 1));
      return `${x.toFixed(1)},${(30 - v / top * 28).toFixed(1)}`;
    });
    byId(`spark-${name}`).setAttribute("d", points.length > 1 ? `M${points.join("L")}` : "");
  }

  function show(now) {
    for (const element of document.querySelectorAll("[data-fact]")) {
      element.textContent = now[element.dataset.fact];
    }
    byId("uptime").textContent = readableTime(now.uptime);
    byId("engine-reason").textContent = `Chosen at start-up: ${now.engine_reason}`;

    const messages = now.messages_received + now.messages_sent;
    const bytes = now.bytes_received + now.bytes_sent;
    byId("counter-connections").textContent = number(now.connections);
    byId("counter-connections-note").textContent =
      `open now, ${number(now.websockets)} of them WebSockets; ${number(now.accepted)} since the start`;
    byId("counter-requests").textContent = number(now.requests);
    byId("counter-messages").textContent = number(messages);
    byId("counter-bytes").textContent = readableBytes(bytes);

    const restarted = before && now.uptime < before.uptime;
    if (before && !restarted) {
      const time = Math.max(0.05, now.uptime - before.uptime);
      const rate = (a, b) => Math.max(0, (a - b) / time);
      const requestRate = rate(now.requests, before.requests);
      const messageRate = rate(messages, before.messages);
      const byteRate = rate(bytes, before.bytes);
      byId("counter-requests-note").textContent = `${number(Math.round(requestRate))} per second`;
      byId("counter-messages-note").textContent = `${number(Math.round(messageRate))} per second, both ways`;
      byId("counter-bytes-note").textContent = `${readableBytes(byteRate)} per second, both ways`;
      spark("connections", now.connections);
      spark("requests", requestRate);
      spark("messages", messageRate);
      spark("bytes", byteRate);
    }
    before = { uptime: now.uptime, requests: now.requests, messages, bytes };
  }

  async function load() {
    const button = byId("counter-load"), status = byId("counter-load-status");
    button.disabled = true;
    const start = performance.now();
    try {
      const answers = await Promise.all(
        Array.from({ length: 200 }, () => fetch("/api/counters", { cache: "no-store" })));
      const good = answers.filter((answer) => answer.ok).length;
      status.textContent = `${good} of 200 answered in ${Math.round(performance.now() - start)} ms.`;
    } catch {
      status.textContent = "The server did not answer.";
    }
    button.disabled = false;
  }

  for (const element of document.querySelectorAll(".origin")) element.textContent = location.origin;
  byId("counter-load").addEventListener("click", load);
  lastingSocket("/live", {
    message: (data) => show(JSON.parse(data)),
    state: (word, kind) => showState("counter-state", word, kind),
  });
})();
