// A unit of work is QUERIES neighbouring query heads of one row, which share a KV head.

@group(0) @binding(6) var<storage, read> contextLengths: array<u32>;

struct Unit {
  sequence: u32,
  row: u32,
  head: u32,
  numKeys: u32,
}

fn unitAt(index: u32) -> Unit {
  let row = index / (NUM_HEADS / QUERIES);
  return Unit(row, row, index % (NUM_HEADS / QUERIES) * QUERIES, contextLengths[row]);
}

fn rowOf(unit: Unit, query: u32) -> u32 { return unit.row; }

fn headOf(unit: Unit, query: u32) -> u32 { return unit.head + query; }

// Keys that the query sees.
fn keysOf(unit: Unit, query: u32) -> u32 { return unit.numKeys; }

// The first key that any query of the unit sees, or a few before it: keys go in fours.
fn firstKeyOf(unit: Unit) -> u32 { return firstSeen(unit.numKeys) / 4u * 4u; }

fn isQuery(unit: Unit, query: u32) -> bool { return true; }
