// Gathers rows of a weight shard by token id: one invocation per four values. An id beyond the matrix gives zeros.
struct Params {
  columns: u32,
  numTokens: u32,
  rowStart: u32,
  rowEnd: u32,
  vocabularySize: u32,
  scale: f32,
}
var<immediate> params: Params;

@group(0) @binding(4) var<storage, read> tokenIds: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let numBlocks = (params.columns + 31u) / 32u;
  let numQuads = (params.columns + 3u) / 4u;
  let index = invocation.x + invocation.y * grid.x * 64u;
  let token = index / numQuads;
  let quad = index % numQuads;
  if (token >= params.numTokens) {
    return;
  }
  let id = tokenIds[token];
  let isUnknown = id >= params.vocabularySize;
  if (id < params.rowStart || id >= params.rowEnd) {
    // Another shard has this row; the first one answers for ids that no shard has.
    if (!(isUnknown && params.rowStart == 0u)) {
      return;
    }
  }
  var values = vec4f();
  if (!isUnknown) {
    let row = id - params.rowStart;
    let chunk = loadChunk((row * numBlocks * 8u + quad) / CHUNK_QUADS);
    let scale = params.scale * loadScale(row, numBlocks, quad / 8u);
    values = scale * decodeQuad(chunk, quad % CHUNK_QUADS);
  }
  let at = token * params.columns + quad * 4u;
  for (var i = 0u; i < min(4u, params.columns - quad * 4u); i++) {
    y[at + i] = values[i];
  }
}
