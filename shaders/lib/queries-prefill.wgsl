// A unit of work is one query head of QUERIES neighbouring rows of a tile; at a tile's end some queries are missing.

@group(0) @binding(6) var<storage, read> positions: array<u32>;
@group(0) @binding(7) var<storage, read> tiles: array<u32>;

struct Unit {
  sequence: u32,
  row: u32,
  head: u32,
  numKeys: u32, // that the last query sees; 0 in a unit without queries
  numQueries: u32,
}

fn unitAt(index: u32) -> Unit {
  let part = index / NUM_HEADS;
  let tile = 3u * (part / (TILE_ROWS / QUERIES));
  let first = part % (TILE_ROWS / QUERIES) * QUERIES;
  let tileRows = tiles[tile + 2u];
  if (first >= tileRows) { return Unit(0u, 0u, 0u, 0u, 0u); }
  let row = tiles[tile + 1u] + first;
  let numQueries = min(QUERIES, tileRows - first);
  return Unit(tiles[tile], row, index % NUM_HEADS, positions[row] + numQueries, numQueries);
}

// A missing query repeats the last one; nothing of it is written.
fn rowOf(unit: Unit, query: u32) -> u32 { return unit.row + min(query, unit.numQueries - 1u); }

fn headOf(unit: Unit, query: u32) -> u32 { return unit.head; }

// Keys that the query sees: a tile's rows have neighbouring positions.
fn keysOf(unit: Unit, query: u32) -> u32 { return unit.numKeys - unit.numQueries + 1u + min(query, unit.numQueries - 1u); }

fn isQuery(unit: Unit, query: u32) -> bool { return query < unit.numQueries; }
