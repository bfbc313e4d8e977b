/** Writes SentencePiece's compiled normalization rules, as its trainer does: a double array over the texts' bytes. */

interface Node {
  readonly children: Map<number, Node>;
  value?: number;
}

/** @param rules what replaces which text */
export const encodeCharsmap = (rules: Readonly<Record<string, string>>): Uint8Array => {
  const root: Node = { children: new Map() };
  const replacements: number[] = [];
  for (const [text, content] of Object.entries(rules)) {
    let node = root;
    for (const byte of Buffer.from(text)) {
      const child = node.children.get(byte) ?? { children: new Map() };
      node.children.set(byte, child);
      node = child;
    }
    node.value = replacements.length;
    replacements.push(...Buffer.from(content), 0);
  }
  const units = new Map<number, number>([[0, 0]]);
  const bases = new Set<number>();
  // A node's unit says where its children are: at the exclusive or of that place and their bytes; a value is child 0.
  const place = (node: Node, at: number): void => {
    const labels = [...(node.value === undefined ? [] : [0]), ...node.children.keys()];
    let base = 1;
    while (base % 256 === 0 || bases.has(base) || labels.some((label) => units.has(base ^ label))) base++;
    bases.add(base);
    const offset = at === 0 ? base : at ^ base;
    for (const label of labels) units.set(base ^ label, 0);
    units.set(at, (units.get(at)! | (offset << 10) | (node.value === undefined ? 0 : 0x100)) >>> 0);
    if (node.value !== undefined) units.set(base, (0x80000000 | node.value) >>> 0);
    for (const [label, child] of node.children) {
      units.set(base ^ label, label);
      place(child, base ^ label);
    }
  };
  place(root, 0);
  const numUnits = Math.max(...units.keys()) + 256;
  const bytes = Buffer.alloc(4 + 4 * numUnits + replacements.length);
  bytes.writeUInt32LE(4 * numUnits, 0);
  for (const [at, unit] of units) bytes.writeUInt32LE(unit, 4 + 4 * at);
  bytes.set(replacements, 4 + 4 * numUnits);
  return bytes;
};
