// Plays the clips of a scene side by side, all at the same environment step.
(() => {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";
  const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
  const WIDTH = 240, ROW = 34, GAP = 8;

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function draw(tag, attributes) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  // Index of the last shown moment that is not after `step`.
  function momentAt(clip, step) {
    let low = 0, high = clip.steps.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (clip.steps[middle] <= step) low = middle; else high = middle - 1;
    }
    return low;
  }

  const short = (value) => String(Math.round(value * 100) / 100);
  const action = (clip, index) => (index ? clip.actions[index - 1].map(short).join(" ") : "none yet");

  function staircase(steps, values, last, low, high, top) {
    const x = (step) => (step / last) * WIDTH;
    const y = (value) => top + ROW - ((value - low) / (high - low || 1)) * ROW;
    let path = "";
    values.forEach((value, i) => {
      path += i ? `H${x(steps[i]).toFixed(1)}V${y(value).toFixed(1)}` : `M${x(steps[0]).toFixed(1)} ${y(value).toFixed(1)}`;
    });
    return path + `H${x(steps[steps.length - 1]).toFixed(1)}`;
  }

  function plot(clip, last, ranges) {
    const height = 2 * ROW + GAP;
    const svg = draw("svg", { class: "track", viewBox: `0 0 ${WIDTH} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    const later = clip.steps.slice(1);
    const path = (values, range, top, look) => draw("path", { class: look, d: staircase(later, values, last, ...range, top) });
    if (later.length) {
      svg.append(path(clip.rewards.slice(1), ranges.reward, 0, "track-reward"));
      for (let part = 0; part < clip.actions[0].length; part += 1) {
        svg.append(path(clip.actions.map((all) => all[part]), ranges.action, ROW + GAP, "track-action"));
      }
    }
    const cursor = draw("line", { class: "track-cursor", x1: 0, x2: 0, y1: 0, y2: height });
    svg.append(cursor);
    return { svg, cursor };
  }

  const extent = (values) => [Math.min(...values), Math.max(...values)];

  // Side by side on common axes, or the eye compares what cannot be compared.
  function rangesOf(clips) {
    return {
      reward: extent(clips.flatMap((clip) => [0, ...clip.rewards])),
      action: extent(clips.flatMap((clip) => clip.actions.flat())),
    };
  }

  function picture(clip, name) {
    if (clip.texts) return make("pre", "screen text-screen");
    if (!clip.sheet) return make("p", "screen missing", `no pictures: ${clip.pictures_reason}`);
    const canvas = make("canvas", "screen");
    canvas.width = clip.pictures.width;
    canvas.height = clip.pictures.height;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${name}, pictures of the episode`);
    return canvas;
  }

  function card(name, clip, last, ranges, onSeek, onLoad) {
    const figure = make("figure", "clip");
    const head = make("figcaption");
    const title = make("bdi", "name", name);
    title.title = name;
    head.append(title, make("small", "", `return ${short(clip.episode_return)}, ${clip.length} steps, ${clip.ended}`));
    const screen = picture(clip, name);
    const facts = make("dl", "readout");
    const fields = ["step", "reward", "return", "action"].map((label) => {
      const row = make("div"), value = make("dd");
      row.append(make("dt", "", label), value);
      facts.append(row);
      return value;
    });
    const { svg, cursor } = plot(clip, last, ranges);
    const seek = (event) => {
      const box = svg.getBoundingClientRect();
      onSeek(((event.clientX - box.left) / box.width) * last);
    };
    svg.addEventListener("pointerdown", seek);
    svg.addEventListener("pointermove", (event) => { if (event.buttons) seek(event); });
    figure.append(head, screen, facts, svg, make("small", "verdict-line", clip.verdict));
    let sheet = null;
    if (clip.sheet) {
      sheet = new Image();
      sheet.addEventListener("load", onLoad);
      sheet.src = clip.sheet;
    }
    function show(step) {
      const index = momentAt(clip, step);
      if (clip.texts) screen.textContent = clip.texts[index];
      if (sheet && sheet.complete && sheet.naturalWidth) {
        const { columns, width, height } = clip.pictures;
        const left = (index % columns) * width, top = Math.floor(index / columns) * height;
        screen.getContext("2d").drawImage(sheet, left, top, width, height, 0, 0, width, height);
      }
      const over = step > clip.length;
      figure.classList.toggle("over", over);
      const at = clip.steps[index];
      fields[0].textContent = over || at === clip.length ? `${clip.length}, ${clip.ended}` : at;
      fields[1].textContent = short(clip.rewards[index]);
      fields[2].textContent = short(clip.returns[index]);
      fields[3].textContent = action(clip, index);
      const x = (Math.min(step, clip.length) / last) * WIDTH;
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
    }
    return { figure, show };
  }

  function player(root) {
    const data = JSON.parse(document.getElementById(root.dataset.replays).textContent);
    const part = (name) => root.querySelector(`[data-part="${name}"]`);
    const [scene, stage, toggle, scrubber, speed, place] =
      ["scene", "stage", "play", "scrub", "speed", "place"].map(part);
    let cards = [], clips = [], last = 1, at = 0, playing = false, before = 0;

    function show(step) {
      at = Math.max(0, Math.min(last, step));
      const whole = Math.floor(at);
      scrubber.value = whole;
      scrubber.setAttribute("aria-valuetext", `step ${whole} of ${last}`);
      place.textContent = `${whole} / ${last}`;
      cards.forEach((one) => one.show(whole));
    }

    function play(on) {
      playing = on && at < last;
      toggle.textContent = playing ? "Pause" : "Play";
      before = performance.now();
      if (playing) requestAnimationFrame(tick);
    }

    function tick(now) {
      if (!playing) return;
      show(at + ((now - before) / 1000) * clips[0].steps_per_second * Number(speed.value));
      before = now;
      if (at >= last) play(false); else requestAnimationFrame(tick);
    }

    function seek(step) {
      play(false);
      show(step);
    }

    // To the next or the previous moment of which there is a picture.
    function move(by) {
      const longest = clips.reduce((a, b) => (b.length > a.length ? b : a));
      const index = momentAt(longest, at) + by;
      seek(longest.steps[Math.max(0, Math.min(longest.steps.length - 1, index))]);
    }

    function open(index) {
      const players = data.scenes[index].players;
      clips = players.map((one) => data.clips[one.clip]);
      last = Math.max(1, ...clips.map((clip) => clip.length));
      scrubber.max = last;
      const ranges = rangesOf(clips);
      cards = players.map((one, i) => card(one.name, clips[i], last, ranges, seek, () => show(at)));
      stage.replaceChildren(...cards.map((one) => one.figure));
      play(false);
      show(0);
    }

    function faster(by) {
      const next = SPEEDS.indexOf(Number(speed.value)) + by;
      speed.value = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, next))];
    }

    const keys = {
      " ": () => (at >= last ? (show(0), play(true)) : play(!playing)),
      ArrowLeft: () => move(-1), ArrowRight: () => move(1),
      Home: () => seek(0), End: () => seek(last),
      "+": () => faster(1), "-": () => faster(-1),
    };
    data.scenes.forEach((one, index) => scene.append(new Option(one.title, index)));
    SPEEDS.forEach((value) => speed.append(new Option(`${value}×`, value, value === 1, value === 1)));
    scene.addEventListener("change", () => open(Number(scene.value)));
    scrubber.addEventListener("input", () => seek(Number(scrubber.value)));
    toggle.addEventListener("click", keys[" "]);
    part("back").addEventListener("click", () => move(-1));
    part("forward").addEventListener("click", () => move(1));
    // On a page of its own the player has the keys from the start; in a report only while in focus.
    const listening = "alone" in root.dataset ? document : root;
    listening.addEventListener("keydown", (event) => {
      const own = event.target.closest?.("select, button");
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      if (own && (own.tagName === "SELECT" || event.key === " ")) return;
      event.preventDefault();
      keys[event.key]();
    });
    root.hidden = false;
    root.previousElementSibling.hidden = true;
    open(0);
  }

  document.querySelectorAll(".player[data-replays]").forEach(player);
})();
