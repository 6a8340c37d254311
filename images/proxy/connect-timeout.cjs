"use strict";
// Loaded before configurable-http-proxy (NODE_OPTIONS): a connection that is not made within some seconds has failed.
//
// The address of a pod that is gone answers nothing, not even no. Linux tries for more than two minutes, in which the
// browser waits for a page; the proxy has options for the time of an answer, which may be long, and none for this.
const net = require("node:net");

const SECONDS = Number(process.env.PROXY_CONNECT_SECONDS || 5);
const connect = net.Socket.prototype.connect;

net.Socket.prototype.connect = function (...given) {
  const timer = setTimeout(() => {
    if (this.connecting) {
      this.destroy(Object.assign(new Error(`no connection within ${SECONDS} s`), { code: "ETIMEDOUT" }));
    }
  }, SECONDS * 1000);
  timer.unref();
  const over = () => clearTimeout(timer);
  this.once("connect", over);
  this.once("close", over);
  return connect.apply(this, given);
};
