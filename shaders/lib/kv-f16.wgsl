// A paged cache of K or V in F16: [block, KV head, slot, column]. A page is one KV head's part of a block.
alias KvCache = array<vec4u>;
alias KvRow = u32;

fn kvRow(page: u32, slot: u32) -> KvRow { return (page * BLOCK_SIZE + slot) * (HEAD_DIM / 8u); }

// Columns 8 · octet … + 7 of a row.
fn kvOctet(cache: ptr<storage, KvCache, read>, row: KvRow, octet: u32) -> Octet {
  return octetOfHalves(cache[row + octet]);
}
