// JupyterLab's ways to the hub: one command, which the image's settings put into the menu File and into the menu of the
// file browser (lab-settings.json), opens the hub's page of earlier versions; and whoever works here is told when their
// server is going to be stopped (pdshub_warnings.py).
//
// A prebuilt extension is a container as webpack's module federation makes it: init() is given what JupyterLab shares,
// get() the module. This one needs nothing of it, so it is written by hand and nothing has to be built.
// Source: JupyterLab 4, Extension Developer Guide, "Prebuilt Extensions"; webpack, Module Federation.
(function () {
  "use strict";

  // what jupyterhub-singleuser says to the page
  function config(page) {
    var element = page.getElementById("jupyter-config-data");
    return JSON.parse((element && element.textContent) || "{}");
  }

  var earlier = {
    id: "pdshub-earlier:plugin",
    description: "Opens the hub's page of earlier versions.",
    autoStart: true,
    activate: function (app) {
      var known = config(document);
      var where = known.hubPrefix ? (known.hubHost || "") + known.hubPrefix + "earlier" : "";
      app.commands.addCommand("pdshub:earlier", {
        label: "Earlier Versions of Files…",
        caption: "Files of your home as they were, from the hub's backups",
        isVisible: function () { return where !== ""; },
        isEnabled: function () { return where !== ""; },
        execute: function () { window.open(where, "_blank", "noopener"); }
      });
    }
  };

  var EVERY = 20000;  // milliseconds; who does not look at the page is asked nothing, and told when they do

  // by id the notification that tells a warning: a promise of JupyterLab's own id
  function told(app, shown, found) {
    Object.keys(shown).forEach(function (id) {
      if (found.some(function (one) { return one.id === id; })) { return; }
      shown[id].then(function (notification) {
        return app.commands.execute("apputils:dismiss-notification", { id: notification });
      }).catch(function () {});
      delete shown[id];
    });
    found.forEach(function (one) {
      if (shown[one.id]) { return; }
      var at = new Date(Date.now() + 1000 * one.seconds);
      shown[one.id] = app.commands.execute("apputils:notify", {
        message: at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) + ": " + one.message,
        type: "warning",
        options: {
          autoClose: false,
          actions: [{ label: "Save All", commandId: "docmanager:save-all", caption: "Save every open document" }]
        }
      });
    });
  }

  var warnings = {
    id: "pdshub-earlier:warnings",
    description: "Tells whoever works here when their server is going to be stopped.",
    autoStart: true,
    activate: function (app) {
      var where = (config(document).baseUrl || "/") + "pdshub/warnings?no_track_activity=1", shown = {};
      function look() {
        if (document.hidden) { return; }
        var token = /(?:^|; )_xsrf=([^;]+)/.exec(document.cookie);
        fetch(where, { credentials: "same-origin", headers: token ? { "X-XSRFToken": token[1] } : {} })
          .then(function (answer) { return answer.ok ? answer.json() : null; })
          .then(function (found) { if (found) { told(app, shown, found.warnings || []); } })
          .catch(function () {});  // the server is away: there is nothing to be told
      }
      app.restored.then(function () {
        look();
        window.setInterval(look, EVERY);
        document.addEventListener("visibilitychange", look);
      });
    }
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["pdshub-earlier"] = {
    init: function () {},
    get: function (module) {
      if (module !== "./extension") {
        return Promise.reject(new Error("pdshub-earlier has no module " + module));
      }
      return Promise.resolve(function () { return { __esModule: true, default: [earlier, warnings] }; });
    }
  };
})();
