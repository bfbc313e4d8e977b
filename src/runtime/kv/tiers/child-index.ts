/** Which blocks of a tier come next after which. Most have one child, which needs no collection of its own. */
import type { BlockKey } from '../block-key.ts';

const NONE: readonly BlockKey[] = Object.freeze([]);

export class ChildIndex {
  readonly #children = new Map<BlockKey, BlockKey | Set<BlockKey>>();

  add(key: BlockKey, parent: BlockKey | undefined): void {
    if (parent === undefined) return;
    const children = this.#children.get(parent);
    if (children === undefined) this.#children.set(parent, key);
    else if (typeof children !== 'string') children.add(key);
    else if (children !== key) this.#children.set(parent, new Set([children, key]));
  }

  remove(key: BlockKey, parent: BlockKey | undefined): void {
    if (parent === undefined) return;
    const children = this.#children.get(parent);
    if (children === key) this.#children.delete(parent);
    else if (typeof children === 'object' && children.delete(key) && children.size === 0) this.#children.delete(parent);
  }

  of(parent: BlockKey): readonly BlockKey[] {
    const children = this.#children.get(parent);
    if (children === undefined) return NONE;
    return typeof children === 'string' ? [children] : [...children];
  }
}
