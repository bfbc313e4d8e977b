// Each row of x meets the weights of an expert. `routes` has where each expert's rows begin in the list that follows it, one
// more for the end, then the list: rows of y, ordered by expert. The grid is made for the worst case; the rest is empty.
@group(0) @binding(7) var<storage, read> routes: array<u32>;

struct Tokens {
  first: u32, // in routes
  count: u32, // 0: nothing to do
  firstWeight: u32,
}

fn tokensAt(index: u32, size: u32) -> Tokens {
  var rest = index;
  for (var expert = 0u; expert < NUM_EXPERTS; expert++) {
    let start = routes[expert];
    let end = routes[expert + 1u];
    let numTiles = (end - start + size - 1u) / size;
    if (rest < numTiles) {
      let first = start + rest * size;
      return Tokens(NUM_EXPERTS + 1u + first, min(size, end - first), expert * ROWS_PER_EXPERT);
    }
    rest -= numTiles;
  }
  return Tokens(0u, 0u, 0u);
}

fn isEmpty(tokens: Tokens) -> bool { return tokens.count == 0u; }

fn xRowOf(tokens: Tokens, i: u32) -> u32 { return routes[tokens.first + min(i, tokens.count - 1u)] / Y_ROWS_PER_X_ROW; }

fn yRowOf(tokens: Tokens, i: u32) -> u32 { return routes[tokens.first + i]; }

// In the shard; what lies before it wraps to far behind it.
fn shardRow(tokens: Tokens, row: u32) -> u32 { return tokens.firstWeight + row - params.firstRow; }

fn hasWeight(tokens: Tokens, row: u32) -> bool { return row < ROWS_PER_EXPERT && shardRow(tokens, row) < params.rows; }

fn weightRowOf(tokens: Tokens, row: u32) -> u32 { return min(shardRow(tokens, row), params.rows - 1u); }

fn biasAt(tokens: Tokens, row: u32) -> u32 { return tokens.firstWeight + row; }
