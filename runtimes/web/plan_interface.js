/**
 * Inputs and outputs of segments: what the host writes and reads, by role and layer.
 *
 * @module
 */

import { ensure } from "./plan_fields.js";
import { Role, Use, hasRows, roleName } from "./plan_parts.js";

/**
 * @typedef {import("./plan_parts.js").Tensor} Tensor
 * @typedef {import("./plan_segment.js").Binding} Binding
 * @typedef {import("./plan_segment.js").Segment} Segment
 *
 * @typedef {object} Port A tensor that is bound.
 * @property {number} role
 * @property {number} layer
 * @property {Tensor} tensor
 */

/**
 * @param {readonly Binding[]} bindings
 * @param {readonly Tensor[]} tensors
 * @returns {Port[]}
 */
function portsOf(bindings, tensors) {
  const ports = bindings.map(({ layer, tensor }) => {
    return { role: tensors[tensor].role, layer, tensor: tensors[tensor] };
  });
  const names = ports.map(describe);
  const twice = names.find((name, index) => names.indexOf(name) < index);
  ensure(twice === undefined, `${twice} is bound twice`);
  return ports;
}

/** @param {{ role: number, layer: number }} port */
function describe({ role, layer }) {
  return layer < 0 ? roleName(role) : `${roleName(role)} of layer ${layer}`;
}

/**
 * The tensor of a role among inputs or outputs.
 *
 * @param {readonly Binding[]} bindings
 * @param {readonly Tensor[]} tensors
 * @param {number} role
 */
export function boundTensor(bindings, tensors, role) {
  const found = bindings.find(({ layer, tensor }) => layer < 0 && tensors[tensor].role === role);
  return found && tensors[found.tensor];
}

/** Checks segments against the sizes that decode has. */
export class InterfaceCheck {
  #plan;
  #widths;

  /**
   * @param {object} plan
   * @param {readonly import("./plan_parts.js").Space[]} plan.spaces
   * @param {readonly Tensor[]} plan.tensors
   * @param {number} plan.vocabSize
   * @param {number} plan.hiddenSize
   * @param {Segment} decode
   */
  constructor(plan, decode) {
    this.#plan = plan;
    this.#widths = new Map(
      portsOf(decode.outputs, plan.tensors)
        .filter(({ role }) => role === Role.EXPERT_INDICES)
        .map(({ layer, tensor }) => [layer, tensor.shape.at(-1) ?? 0]),
    );
  }

  /**
   * Refuses a segment whose inputs and outputs are not those that hosts know.
   *
   * @param {Segment} segment
   */
  check(segment) {
    const { tensors } = this.#plan;
    const [inputs, outputs] = [portsOf(segment.inputs, tensors), portsOf(segment.outputs, tensors)];
    const needs = this.#needs(segment.name);
    checkNames(segment, "input", inputs, needs.inputs);
    checkNames(segment, "output", outputs, needs.outputs);
    checkOrder(segment, outputs);
    for (const port of [...inputs, ...outputs]) this.#checkRows(segment, port);
  }

  /** @param {string} segment */
  #needs(segment) {
    const [hidden, logits] = [Role.HIDDEN, Role.LOGITS].map((role) => ({ role, layer: -1 }));
    if (segment === "head") return { inputs: [hidden], outputs: [logits] };
    const routers = [...this.#widths.keys()];
    return {
      inputs: [Role.TOKEN_IDS, Role.POSITIONS].map((role) => ({ role, layer: -1 })),
      outputs: [hidden, ...routers.map((layer) => ({ role: Role.EXPERT_INDICES, layer }))],
    };
  }

  /**
   * @param {Segment} segment
   * @param {Port} port
   */
  #checkRows(segment, port) {
    const columns = this.#columns(port);
    const where = `${describe(port)} of ${segment.name}`;
    const isCount = columns === null || (columns > 0 && columns < 2 ** 31);
    ensure(isCount, `${where} has ${columns} columns`);
    const use = this.#plan.spaces[port.tensor.space].use;
    ensure(use === Use.STATE, `${where} is not in the state`);
    ensure(
      hasRows(port.tensor, columns, segment.maxTokens),
      `${where} has the shape [${port.tensor.shape}]`,
    );
  }

  /**
   * @param {Port} port
   * @returns {number | null} null: its shape is [rows]
   */
  #columns({ role, layer }) {
    if (role === Role.HIDDEN) return this.#plan.hiddenSize;
    if (role === Role.LOGITS) return this.#plan.vocabSize;
    return role === Role.EXPERT_INDICES ? (this.#widths.get(layer) ?? 0) : null;
  }
}

/**
 * @param {Segment} segment
 * @param {string} what
 * @param {Port[]} given
 * @param {{ role: number, layer: number }[]} needed
 */
function checkNames({ name }, what, given, needed) {
  const [has, needs] = [given.map(describe), needed.map(describe)];
  const lacking = needs.find((each) => !has.includes(each));
  const surplus = has.find((each) => !needs.includes(each));
  ensure(lacking === undefined, `${name} lacks the ${what} ${lacking}`);
  ensure(surplus === undefined, `${name} has the ${what} ${surplus}`);
}

/**
 * @param {Segment} segment
 * @param {Port[]} outputs
 */
function checkOrder({ name }, outputs) {
  const layers = outputs
    .filter(({ role }) => role === Role.EXPERT_INDICES)
    .map((each) => each.layer);
  ensure(
    layers.every((layer, index) => layer >= 0 && (index === 0 || layer > layers[index - 1])),
    `the routers of ${name} are not in the order of the layers`,
  );
}
