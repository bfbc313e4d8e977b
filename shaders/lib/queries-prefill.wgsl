// A unit of work is one query head of QUERIES neighbouring rows of a tile; at a tile's end some queries are missing.

@group(0) @binding(6) var<storage, read> tiles: array<vec4u>; // sequence, first row, rows, position of the first row

struct Unit {
  sequence: u32,
  row: u32,
  head: u32,
  numKeys: u32, // that the last query sees; 0 in a unit without queries
  numQueries: u32,
}

fn unitAt(index: u32) -> Unit {
  let part = index / NUM_HEADS;
  let tile = tiles[part / (TILE_ROWS / QUERIES)];
  let first = part % (TILE_ROWS / QUERIES) * QUERIES;
  if (first >= tile.z) { return Unit(0u, 0u, 0u, 0u, 0u); }
  let numQueries = min(QUERIES, tile.z - first);
  return Unit(tile.x, tile.y + first, index % NUM_HEADS, tile.w + first + numQueries, numQueries);
}

// A missing query repeats the last one; nothing of it is written.
fn rowOf(unit: Unit, query: u32) -> u32 { return unit.row + min(query, unit.numQueries - 1u); }

fn headOf(unit: Unit, query: u32) -> u32 { return unit.head; }

// Keys that the query sees: a tile's rows have neighbouring positions.
fn keysOf(unit: Unit, query: u32) -> u32 { return unit.numKeys - unit.numQueries + 1u + min(query, unit.numQueries - 1u); }

// The first key that any query of the unit sees, or a few before it: keys go in fours.
fn firstKeyOf(unit: Unit) -> u32 { return firstSeen(keysOf(unit, 0u)) / 4u * 4u; }

fn isQuery(unit: Unit, query: u32) -> bool { return query < unit.numQueries; }
