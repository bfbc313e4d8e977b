/** Which bytes of a file are there: a set of half-open ranges. */

/** From the first byte to the one before `end`. */
export type ByteRange = readonly [start: number, end: number];

export class ByteRanges {
  /** Sorted; neither overlapping nor touching. */
  #ranges: ByteRange[] = [];

  constructor(ranges: readonly ByteRange[] = []) {
    for (const [start, end] of ranges) this.add(start, end);
  }

  add(start: number, end: number): void {
    if (end <= start) return;
    const apart = this.#ranges.filter(([from, to]) => to < start || from > end);
    const touching = this.#ranges.filter(([from, to]) => to >= start && from <= end);
    const whole: ByteRange = [
      Math.min(start, ...touching.map(([from]) => from)),
      Math.max(end, ...touching.map(([, to]) => to)),
    ];
    this.#ranges = [...apart, whole].sort(([a], [b]) => a - b);
  }

  get ranges(): readonly ByteRange[] {
    return this.#ranges;
  }

  get numBytes(): number {
    return this.#ranges.reduce((sum, [start, end]) => sum + end - start, 0);
  }

  /** What is missing of a file of `sizeBytes`, in order. */
  gaps(sizeBytes: number): ByteRange[] {
    const gaps: ByteRange[] = [];
    let next = 0;
    for (const [start, end] of this.#ranges) {
      if (start > next) gaps.push([next, start]);
      next = end;
    }
    if (next < sizeBytes) gaps.push([next, sizeBytes]);
    return gaps;
  }
}
