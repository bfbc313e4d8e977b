/** Writes a model folder as the hub has it: config.json and safetensors of a tiny Llama with seeded random weights. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomFloats, seededRandom } from './random-weights.ts';

export const TINY_CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 40,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  tie_word_embeddings: true,
  hidden_act: 'silu',
};

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  'model.embed_tokens.weight': [40, 32],
  'model.norm.weight': [32],
  ...Object.fromEntries(
    [0, 1].flatMap((layer) =>
      Object.entries({
        input_layernorm: [32],
        'self_attn.q_proj': [32, 32],
        'self_attn.k_proj': [16, 32],
        'self_attn.v_proj': [16, 32],
        'self_attn.o_proj': [32, 32],
        post_attention_layernorm: [32],
        'mlp.gate_proj': [64, 32],
        'mlp.up_proj': [64, 32],
        'mlp.down_proj': [32, 64],
      }).map(([part, shape]) => [`model.layers.${layer}.${part}.weight`, shape]),
    ),
  ),
};

/** The bytes of one file with the tensors whose place in the list `isIn` takes. */
export const safetensorsOf = (isIn: (index: number) => boolean = () => true): Buffer => {
  const random = seededRandom(5);
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  const bodies: Buffer[] = [];
  let offset = 0;
  for (const [index, [name, shape]] of Object.entries(SHAPES).entries()) {
    const length = shape.reduce((product, size) => product * size, 1);
    const values = randomFloats(length, random);
    if (!isIn(index)) continue;
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + 4 * length] };
    bodies.push(Buffer.from(values.buffer));
    offset += 4 * length;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...bodies]);
};

export const writeConfig = (folder: string, changes: Readonly<Record<string, unknown>> = {}): void =>
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...TINY_CONFIG, ...changes }));

/** One file. */
export const writeTinyModel = (folder: string): void => {
  writeConfig(folder);
  writeFileSync(join(folder, 'model.safetensors'), safetensorsOf());
};

/** Two files and their index. */
export const writeShardedModel = (folder: string): void => {
  writeConfig(folder);
  const isEven = (index: number) => index % 2 === 0;
  writeFileSync(join(folder, 'one.safetensors'), safetensorsOf(isEven));
  writeFileSync(
    join(folder, 'two.safetensors'),
    safetensorsOf((index) => !isEven(index)),
  );
  const names = Object.keys(SHAPES).map((name, i) => [name, isEven(i) ? 'one.safetensors' : 'two.safetensors']);
  const index = { metadata: {}, weight_map: Object.fromEntries(names) };
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
};
