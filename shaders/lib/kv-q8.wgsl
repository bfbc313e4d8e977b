// A paged cache of K or V as signed bytes, one BF16 scale for every 32 columns. A page, one KV head's part of a block, has
// the bytes [slot, column], then the scales [slot, group].
alias KvCache = array<vec2u>;

struct KvRow {
  octets: u32,
  scales: u32,
}

fn kvRow(page: u32, slot: u32) -> KvRow {
  let first = page * PAGE_WORDS;
  return KvRow(first / 2u + slot * (HEAD_DIM / 8u), 2u * (first + COLUMN_WORDS) + slot * KV_GROUPS);
}

// Columns 8 · octet … + 7 of a row.
fn kvOctet(cache: ptr<storage, KvCache, read>, row: KvRow, octet: u32) -> Octet {
  let bytes = cache[row.octets + octet];
  let at = row.scales + octet / (KV_GROUP_LENGTH / 8u);
  let scales = cache[at / 4u];
  let pair = select(scales.x, scales.y, (at & 2u) != 0u);
  let scale = bitcast<f32>((pair >> (16u * (at & 1u))) << 16u);
  return Octet(scale * vec4f(unpack4xI8(bytes.x)), scale * vec4f(unpack4xI8(bytes.y)));
}
