// A paged cache of K or V as nibbles, one BF16 scale for every 32 columns. A page, one KV head's part of a block, has the
// nibbles [slot, column], then the scales [slot, group]. A word has columns 0 to 3 in its low nibbles, 4 to 7 in the high ones.
alias KvCache = array<u32>;

struct KvRow {
  octets: u32,
  scales: u32,
}

fn kvRow(page: u32, slot: u32) -> KvRow {
  let first = page * PAGE_WORDS;
  return KvRow(first + slot * (HEAD_DIM / 8u), 2u * (first + COLUMN_WORDS) + slot * KV_GROUPS);
}

// Columns 8 · octet … + 7 of a row.
fn kvOctet(cache: ptr<storage, KvCache, read>, row: KvRow, octet: u32) -> Octet {
  let nibbles = cache[row.octets + octet];
  let at = row.scales + octet / (KV_GROUP_LENGTH / 8u);
  let scale = bitcast<f32>((cache[at / 2u] >> (16u * (at & 1u))) << 16u);
  let low = vec4f(unpack4xU8(nibbles & 0x0f0f0f0fu)) - 8f;
  let high = vec4f(unpack4xU8((nibbles >> 4u) & 0x0f0f0f0fu)) - 8f;
  return Octet(scale * low, scale * high);
}
