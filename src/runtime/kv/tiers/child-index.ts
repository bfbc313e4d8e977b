/** Which blocks of a tier come next after which. */
import type { BlockKey } from '../block-key.ts';

export class ChildIndex {
  readonly #children = new Map<BlockKey, Map<BlockKey, Uint32Array>>();

  add(key: BlockKey, parent: BlockKey | undefined, tokenIds: Uint32Array): void {
    if (parent === undefined) return;
    const siblings = this.#children.get(parent);
    if (siblings) siblings.set(key, tokenIds);
    else this.#children.set(parent, new Map([[key, tokenIds]]));
  }

  remove(key: BlockKey, parent: BlockKey | undefined): void {
    if (parent === undefined) return;
    const siblings = this.#children.get(parent);
    if (siblings?.delete(key) && siblings.size === 0) this.#children.delete(parent);
  }

  of(parent: BlockKey): Iterable<readonly [BlockKey, Uint32Array]> {
    return this.#children.get(parent) ?? [];
  }
}
