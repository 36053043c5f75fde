/**
 * Times of kernels, added up over decoded tokens, and the table that shows them.
 *
 * @module
 */

/**
 * @typedef {object} KernelTime
 * @property {string} kernel
 * @property {number} calls of all tokens
 * @property {number} ns of all tokens
 */

/** The times of a run. */
export class KernelTimes {
  #tokens = 0;
  /** @type {Map<string, KernelTime>} */
  #kernels = new Map();

  /**
   * Adds a decoded token.
   *
   * @param {readonly import("./step_timer.js").StepTime[]} times
   */
  add(times) {
    this.#tokens += 1;
    for (const { step, ns } of times) {
      const sum = this.#kernels.get(step.kernel) ?? { kernel: step.kernel, calls: 0, ns: 0 };
      sum.calls += 1;
      sum.ns += ns;
      this.#kernels.set(step.kernel, sum);
    }
  }

  /** Averages of one token, the longest kernel first. */
  perToken() {
    return [...this.#kernels.values()]
      .map(({ kernel, calls, ns }) => {
        return { kernel, calls: calls / this.#tokens, ns: ns / this.#tokens };
      })
      .sort((a, b) => b.ns - a.ns);
  }
}

/**
 * Fills the table.
 *
 * @param {HTMLTableElement} table
 * @param {KernelTimes} times
 * @param {Record<string, any>} costs of the manifest, by kernel
 */
export function showKernels(table, times, costs) {
  const kernels = times.perToken();
  const total = kernels.reduce((sum, { ns }) => sum + ns, 0);
  const calls = kernels.reduce((sum, each) => sum + each.calls, 0);
  const [body, foot] = [table.tBodies[0], /** @type {HTMLElement} */ (table.tFoot)];
  body.replaceChildren(...kernels.map((kernel) => kernelRow(kernel, total, costs[kernel.kernel])));
  foot.replaceChildren(row("All kernels", [number(calls), microseconds(total), "100 %"]));
  table.hidden = kernels.length === 0;
}

/**
 * @param {KernelTime} time
 * @param {number} total
 * @param {any} cost
 */
function kernelRow({ kernel, calls, ns }, total, cost) {
  const name = element("code", kernel);
  const about = element("small", [cost?.operation, cost?.scheme].filter(isText).join(", "));
  return row([name, about], [number(calls), microseconds(ns), share(total > 0 ? ns / total : 0)]);
}

/**
 * @param {unknown} value
 * @returns {value is string}
 */
function isText(value) {
  return typeof value === "string";
}

/**
 * @param {string | Node[]} head
 * @param {(string | Node)[]} cells
 */
function row(head, cells) {
  const first = element("th", ...(typeof head === "string" ? [head] : head));
  first.setAttribute("scope", "row");
  return element("tr", first, ...cells.map((cell) => element("td", cell)));
}

/** @param {number} part */
function share(part) {
  const meter = document.createElement("meter");
  meter.value = part;
  meter.setAttribute("aria-hidden", "true");
  const both = element("span", meter, `${(100 * part).toFixed(1)} %`);
  both.className = "share";
  return both;
}

/**
 * @param {string} name
 * @param {(string | Node)[]} children
 */
function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

/** @param {number} value */
function number(value) {
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}

/** @param {number} ns */
function microseconds(ns) {
  return (ns / 1000).toFixed(ns < 100_000 ? 1 : 0);
}
