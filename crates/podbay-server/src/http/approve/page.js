"use strict";
const at = (id) => document.getElementById(id);
const DAY_MS = 24 * 60 * 60 * 1000;

at("code").value = new URLSearchParams(location.search).get("code") || "";

function say(text, bad) {
  at("said").textContent = text;
  at("said").className = bad ? "bad" : "";
}

async function send(verb, body) {
  if (!at("form").reportValidity()) return;
  const buttons = [at("approve"), at("refuse")];
  buttons.forEach((button) => { button.disabled = true; });
  try {
    const reply = await fetch("/api/v1/auth_challenge/" + verb, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: "Bearer " + at("key").value.trim() },
      body: JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
    });
    const said = await reply.json();
    if (reply.ok) {
      at("key").value = "";
      at("form").hidden = true;
      say(verb === "approve"
        ? "Approved. The program has its key within seconds. Its name is “" + said.name + "”."
        : "Refused. Nobody gets a key.");
      return;
    }
    say(said.message || said.detail || "HTTP " + reply.status, true);
  } catch (error) {
    say("The server cannot be reached: " + error.message, true);
  }
  buttons.forEach((button) => { button.disabled = false; });
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const scopes = {};
  for (const select of document.querySelectorAll("select[data-scope]")) {
    scopes[select.dataset.scope] = select.value;
  }
  const days = Number(at("days").value);
  const expiresAt = days ? new Date(Date.now() + days * DAY_MS).toISOString() : null;
  send("approve", { challenge: at("code").value, scopes, expiresAt });
});

at("refuse").addEventListener("click", () => send("refuse", { challenge: at("code").value }));
