// Every row of x meets the same weights.

// A tile of neighbouring rows of x.
struct Tokens {
  first: u32,
  count: u32,
}

fn tokensAt(index: u32, size: u32) -> Tokens {
  return Tokens(index * size, min(size, params.numTokens - index * size));
}

// Known to the compiler: a software adapter masks all that follows a conditional return.
fn isEmpty(tokens: Tokens) -> bool { return false; }

// Rows beyond the tile repeat its last one; nothing of them is written.
fn xRowOf(tokens: Tokens, i: u32) -> u32 { return tokens.first + min(i, tokens.count - 1u); }

fn yRowOf(tokens: Tokens, i: u32) -> u32 { return tokens.first + i; }

fn hasWeight(tokens: Tokens, row: u32) -> bool { return row < params.rows; }

fn weightRowOf(tokens: Tokens, row: u32) -> u32 { return min(row, params.rows - 1u); }

fn biasAt(tokens: Tokens, row: u32) -> u32 { return params.yColumn + row; }
