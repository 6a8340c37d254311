"use strict";
// Loaded before configurable-http-proxy (NODE_OPTIONS): whose word about the client is believed.
//
// The proxy itself passes on X-Forwarded-* of whoever sends them, and JupyterHub (Tornado: X-Real-Ip, X-Scheme) believes
// them. With PROXY_TRUSTED, ranges of addresses joined by commas and maybe empty, all such headers are taken off, and
// those of one hop are set: what a trusted peer says, or what this connection itself shows. PROXY_DOOR_TOKEN is a secret
// that the hub's own door sends along, whose address nobody knows beforehand. PROXY_HSTS are the seconds of a
// Strict-Transport-Security header, for what came by HTTPS. Without PROXY_TRUSTED nothing changes.
const { createHash, timingSafeEqual } = require("node:crypto");
const http = require("node:http");
const https = require("node:https");
const { BlockList, isIP } = require("node:net");
const path = require("node:path");

const RANGES = process.env.PROXY_TRUSTED;
const TOKEN = process.env.PROXY_DOOR_TOKEN || "";
const HSTS = process.env.PROXY_HSTS || "";
const DOOR = "x-pdshub-door";
const TAKEN_OFF = /^(x-forwarded(-.*)?|forwarded|x-real-ip|x-scheme|x-client-ip|true-client-ip|x-pdshub-door)$/;
const HOST = /^[A-Za-z0-9._-]+(:[0-9]{1,5})?$|^\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?$/;

const family = (address) => (isIP(address) === 6 ? "ipv6" : "ipv4");

function listed(text) {
  const found = new BlockList();
  for (const range of text.split(",").map((each) => each.trim()).filter(Boolean)) {
    const [address, length] = range.split("/");
    found.addSubnet(address, Number(length), family(address));
  }
  return found;
}

// An address as it is compared: IPv4 inside of IPv6 is IPv4, an interface is no part of it, a port neither.
function plain(text) {
  let address = (text || "").trim();
  const bracketed = /^\[([^\]]+)\](:\d+)?$/.exec(address) || /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(address);
  address = (bracketed ? bracketed[1] : address).split("%")[0];
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  return mapped ? mapped[1] : address;
}

const parts = (header) => String(header || "").split(",").map((each) => each.trim()).filter(Boolean);
const last = (header) => parts(header).pop() || "";

function isDoor(given) {
  if (!TOKEN || typeof given !== "string") return false;
  const digest = (text) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(TOKEN));
}

// The client as the last trusted hop saw it: from the right, the first address that is not one of ours.
function client(peer, header, trusted) {
  let found = peer;
  for (const each of parts(header).map(plain).reverse()) {
    if (!isIP(each)) break;
    found = each;
    if (!trusted.check(each, family(each))) break;
  }
  return found;
}

function told(request, trusted) {
  const { headers, socket } = request;
  const peer = plain(socket.remoteAddress);
  const door = isDoor(headers[DOOR]);
  const host = HOST.test(headers.host || "") ? headers.host : "";
  const straight = { for: peer, proto: socket.encrypted ? "https" : "http", host };
  if (!door && !(isIP(peer) && trusted.check(peer, family(peer)))) return straight;
  const proto = last(headers["x-forwarded-proto"]).toLowerCase();
  const named = last(headers["x-forwarded-host"]);
  return {
    for: door ? plain(last(headers["x-forwarded-for"])) || peer : client(peer, headers["x-forwarded-for"], trusted),
    proto: proto === "https" || proto === "http" ? proto : straight.proto,
    host: HOST.test(named) ? named : host,
    port: /^\d{1,5}$/.test(last(headers["x-forwarded-port"])) ? last(headers["x-forwarded-port"]) : "",
  };
}

function rewrite(request, response, trusted) {
  const found = told(request, trusted);
  for (const name of Object.keys(request.headers)) {
    if (TAKEN_OFF.test(name)) delete request.headers[name];
  }
  const port = /:(\d+)$/.exec(found.host);
  request.headers["x-forwarded-for"] = found.for;
  request.headers["x-forwarded-proto"] = found.proto;
  if (found.host) request.headers["x-forwarded-host"] = found.host;
  request.headers["x-forwarded-port"] = found.port || (port ? port[1] : found.proto === "https" ? "443" : "80");
  if (HSTS && found.proto === "https" && typeof response.setHeader === "function") {
    response.setHeader("Strict-Transport-Security", `max-age=${HSTS}`);
  }
}

if (RANGES !== undefined && path.basename(process.argv[1] || "") === "configurable-http-proxy") {
  const trusted = listed(RANGES);
  // the proxy would add its own peer: what it passes on is said above
  process.argv.push("--no-x-forward");
  for (const { prototype } of [http.Server, https.Server]) {
    const emit = prototype.emit;
    prototype.emit = function (event, ...given) {
      if (["request", "upgrade", "checkContinue", "checkExpectation"].includes(event)) rewrite(given[0], given[1], trusted);
      return emit.call(this, event, ...given);
    };
  }
}
