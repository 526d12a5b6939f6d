/* Makes plots and molecules of a page interactive.

   A library comes from the page itself (<script type="application/gzip" data-asset="plotly">, gzip in base64) or
   from an address (<meta name="asset-plotly" content="...">). Without either, or without this script, the drawings
   that the page carries stay. */
(() => {
  "use strict";

  async function unpack(base64) {
    const bytes = Uint8Array.from(atob(base64.trim()), (char) => char.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).blob();
  }

  const loaded = new Map();
  function address(name, type) {
    if (!loaded.has(name)) loaded.set(name, find(name, type));
    return loaded.get(name);
  }
  async function find(name, type) {
    const packed = document.querySelector(`script[data-asset="${name}"]`);
    if (packed) return URL.createObjectURL(new Blob([await unpack(packed.textContent)], { type }));
    const meta = document.querySelector(`meta[name="asset-${name}"]`);
    return meta ? new URL(meta.content, document.baseURI).href : null;
  }

  function add(tag, attributes) {
    return new Promise((resolve, reject) => {
      const element = Object.assign(document.createElement(tag), attributes);
      element.onload = resolve;
      element.onerror = () => reject(new Error(`could not load ${attributes.src || attributes.href}`));
      document.head.append(element);
    });
  }

  let plotly;
  function plotlyLibrary() {
    plotly ??= (async () => {
      if (window.Plotly) return window.Plotly;
      const src = await address("plotly", "text/javascript");
      if (!src) return null;
      await add("script", { src });
      return window.Plotly;
    })();
    return plotly;
  }

  function read(id) {
    return JSON.parse(document.getElementById(id).textContent);
  }

  const NARROW = 560; // pixels: a legend beside the plot would leave it no room

  /* The page's colours, and a place for the legend, for whatever the figure leaves open. */
  function themed(layout, width) {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const text = color("--text"), line = color("--line");
    const made = { autosize: true, ...layout };
    made.paper_bgcolor = "rgba(0,0,0,0)";
    made.plot_bgcolor = "rgba(0,0,0,0)";
    made.font = { family: "inherit", ...layout.font, color: layout.font?.color ?? text };
    made.modebar = { bgcolor: "rgba(0,0,0,0)", color: text, activecolor: color("--accent"), ...layout.modebar };
    const axis = (given) => ({ gridcolor: line, zerolinecolor: line, linecolor: text, automargin: true, ...given });
    made.xaxis = axis(layout.xaxis);
    made.yaxis = axis(layout.yaxis);
    for (const [key, value] of Object.entries(layout)) {
      if (/^[xy]axis\d+$/.test(key)) made[key] = axis(value);
      if (/^scene\d*$/.test(key)) {
        const inner = (given) => ({ gridcolor: line, zerolinecolor: line, color: text, ...given });
        made[key] = { ...value, xaxis: inner(value.xaxis), yaxis: inner(value.yaxis), zaxis: inner(value.zaxis) };
      }
    }
    made.margin = { l: 64, r: 24, t: layout.title || layout.annotations ? 64 : 24, b: 56, ...layout.margin };
    if (width < NARROW) made.legend = { orientation: "h", yref: "container", y: 0, yanchor: "bottom", ...layout.legend };
    delete made.width;
    return made;
  }

  const config = { responsive: true, displaylogo: false, showSendToCloud: false, showEditInChartStudio: false };

  async function plot(place, spec) {
    const library = await plotlyLibrary();
    if (!library) return;
    const figure = spec ?? read(place.dataset.plot);
    place.hidden = false;
    const layout = themed(structuredClone(figure.layout ?? {}), place.clientWidth);
    await library.react(place, structuredClone(figure.data ?? []), layout, { ...config, ...figure.config });
    place.closest("figure")?.classList.add("live");
  }

  /* The scene in the MolViewSpec format that Mol* reads. */
  function scene(structure, url, background) {
    const node = (kind, params, children = []) => ({ kind, params, children });
    const component = (selector, type, color, label) => node("component", { selector }, [
      node("representation", { type: type === "surface" ? "surface" : type }, [
        node("color", { color }),
        ...(type === "surface" ? [node("opacity", { opacity: 0.5 })] : []),
      ]),
      ...(label ? [node("tooltip", { text: label })] : []),
    ]);
    const parts = structure.selections.map((chosen) => component(
      chosen.residues.length
        ? chosen.residues.map((residue) => ({ auth_asym_id: chosen.chain, auth_seq_id: residue }))
        : { auth_asym_id: chosen.chain },
      chosen.style, chosen.color, chosen.label,
    ));
    if (!parts.length) parts.push(component("polymer", "cartoon", "#6c8ebf"), component("ligand", "ball_and_stick", "#d79b00"));
    const model = node("structure", { type: "model" }, parts);
    return {
      metadata: { version: "1", timestamp: new Date().toISOString() },
      root: node("root", {}, [
        node("download", { url }, [node("parse", { format: structure.format }, [model])]),
        node("canvas", { background_color: background }),
      ]),
    };
  }

  function hasWebGL() {
    try {
      return Boolean(document.createElement("canvas").getContext("webgl2"));
    } catch {
      return false;
    }
  }

  async function molecule(place) {
    const src = hasWebGL() ? await address("molstar", "text/javascript") : null;
    if (!src) return;
    const style = await address("molstar-style", "text/css");
    if (style) await add("link", { rel: "stylesheet", href: style });
    const packed = document.getElementById(`${place.dataset.molecule}-file`);
    const url = packed
      ? URL.createObjectURL(await unpack(packed.textContent))
      : new URL(place.dataset.href, document.baseURI).href;
    const { default: viewer } = await import(src);
    const background = getComputedStyle(document.documentElement).getPropertyValue("--surface").trim() || "#ffffff";
    const values = {
      height: "100%",
      width: "100%",
      msvj_data: JSON.stringify(scene(read(place.dataset.molecule), url, background)),
      viewer_options: {
        layoutIsExpanded: false, layoutShowControls: false, layoutShowRemoteState: false,
        extensions: ["mvs"], // the others would ask servers on the network
        viewportShowExpand: true, viewportShowSelectionMode: false, viewportShowAnimation: false,
      },
      mvs_load_options: { replaceExisting: true, sanityChecks: true },
    };
    place.hidden = false;
    viewer.render({ model: { get: (name) => values[name], on() {} }, el: place });
    for (const child of place.children) child.style.height = "100%";
    place.closest("figure")?.classList.add("live");
  }

  /* What fails leaves the drawing and its downloads in place, and says why where a developer looks. */
  async function attempt(make, place) {
    try {
      await make(place);
    } catch (error) {
      place.hidden = true;
      console.error(error);
    }
  }

  async function start(within = document) {
    for (const place of within.querySelectorAll("[data-plot]")) await attempt(plot, place);
    for (const place of within.querySelectorAll("[data-molecule]")) await attempt(molecule, place);
    document.documentElement.dataset.results = "ready";
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const place of document.querySelectorAll("[data-plot]")) attempt(plot, place);
  });
  window.colonnadeResults = { start, plot };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => start());
  else start();
})();
