// JupyterLab's way to the hub's page of earlier versions: one command, which the image's settings put into the menu File
// and into the menu of the file browser (lab-settings.json).
//
// A prebuilt extension is a container as webpack's module federation makes it: init() is given what JupyterLab shares,
// get() the module. This one needs nothing of it, so it is written by hand and nothing has to be built.
// Source: JupyterLab 4, Extension Developer Guide, "Prebuilt Extensions"; webpack, Module Federation.
(function () {
  "use strict";

  // where the hub is: jupyterhub-singleuser says it to the page
  function address(page) {
    var element = page.getElementById("jupyter-config-data");
    var config = JSON.parse((element && element.textContent) || "{}");
    return config.hubPrefix ? (config.hubHost || "") + config.hubPrefix + "earlier" : "";
  }

  var plugin = {
    id: "pdshub-earlier:plugin",
    description: "Opens the hub's page of earlier versions.",
    autoStart: true,
    activate: function (app) {
      var where = address(document);
      app.commands.addCommand("pdshub:earlier", {
        label: "Earlier Versions of Files…",
        caption: "Files of your home as they were, from the hub's backups",
        isVisible: function () { return where !== ""; },
        isEnabled: function () { return where !== ""; },
        execute: function () { window.open(where, "_blank", "noopener"); }
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
      return Promise.resolve(function () { return { __esModule: true, default: plugin }; });
    }
  };
})();
