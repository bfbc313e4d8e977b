/** What published configurations say, and what they leave to the modelling code. */
import { describe, expect, test } from 'vitest';
import { translateConfig } from '../../../src/runtime/weights/hugging-face-config.ts';

const keysOf = (config: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(translateConfig('config.json', config).metadata);

const LLAMA = { model_type: 'llama', hidden_size: 64, num_hidden_layers: 8, num_attention_heads: 4 };
const QWEN = { ...LLAMA, model_type: 'qwen2', intermediate_size: 64 };

/** google/gemma-3-4b-it's, as it is. */
const GEMMA3 = {
  architectures: ['Gemma3ForConditionalGeneration'],
  model_type: 'gemma3',
  text_config: {
    hidden_size: 2560,
    intermediate_size: 10_240,
    model_type: 'gemma3_text',
    num_hidden_layers: 34,
    rope_scaling: { factor: 8, rope_type: 'linear' },
    sliding_window: 1024,
  },
};

describe('what is left out', () => {
  test('Gemma 3 has its heads, bases and norms', () => {
    expect(keysOf(GEMMA3)).toMatchObject({
      'gemma3.attention.head_count': 8,
      'gemma3.attention.head_count_kv': 4,
      'gemma3.attention.key_length': 256,
      'gemma3.attention.scale': 1 / 16,
      'gemma3.attention.layer_norm_rms_epsilon': 1e-6,
      'gemma3.attention.sliding_window': 1024,
      'gemma3.rope.freq_base': 1_000_000,
      'gemma3.rope.freq_base_swa': 10_000,
      'gemma3.rope.scaling.factor': 8,
      'gemma3.context_length': 131_072,
    });
  });
  test('Mistral has a window, unless it says null', () => {
    const mistral = { ...LLAMA, model_type: 'mistral' };
    expect(keysOf(mistral)['llama.attention.sliding_window']).toBe(4096);
    expect(keysOf({ ...mistral, sliding_window: null })['llama.attention.sliding_window']).toBeUndefined();
  });
  test('norms divide by the root of the mean square plus 1e-6', () => {
    expect(keysOf(LLAMA)['llama.attention.layer_norm_rms_epsilon']).toBe(1e-6);
  });
  test("Qwen3's experts share over all, unless it says otherwise", () => {
    expect(keysOf({ ...QWEN, model_type: 'qwen3_moe' })['qwen3moe.expert_weights_norm']).toBe(false);
  });
});

describe('rotation', () => {
  test('newer files keep base and rotated part beside the scaling', () => {
    const rope_parameters = { rope_type: 'default', rope_theta: 5e5, partial_rotary_factor: 0.5 };
    const keys = keysOf({ ...LLAMA, rope_parameters });
    expect(keys).toMatchObject({ 'llama.rope.freq_base': 5e5, 'llama.rope.dimension_count': 8 });
  });
  test("newer files of Gemma 3 have each kind of layer's own", () => {
    const rope_parameters = {
      full_attention: { rope_type: 'linear', factor: 4, rope_theta: 2e6 },
      sliding_attention: { rope_type: 'default', rope_theta: 3e4 },
    };
    const text_config = { ...GEMMA3.text_config, rope_scaling: undefined, rope_parameters };
    expect(keysOf({ ...GEMMA3, text_config })).toMatchObject({
      'gemma3.rope.freq_base': 2e6,
      'gemma3.rope.freq_base_swa': 3e4,
      'gemma3.rope.scaling.factor': 4,
    });
  });
  test('YaRN with scales of its magnitude has their ratio', () => {
    const rope_scaling = { type: 'yarn', factor: 40, mscale: 1, mscale_all_dim: 0.8 };
    const expected = (1 + 0.1 * Math.log(40)) / (1 + 0.08 * Math.log(40));
    expect(keysOf({ ...LLAMA, rope_scaling })['llama.rope.scaling.magnitude']).toBeCloseTo(expected, 12);
  });
});

describe('layers', () => {
  const types = (...full: number[]) =>
    Array.from({ length: 8 }, (_, layer) => (full.includes(layer + 1) ? 'full_attention' : 'sliding_attention'));
  const gemma = (layer_types: string[], model_type = 'gemma3_text') => ({ ...LLAMA, model_type, layer_types });

  test('at even distances see all keys', () => {
    const pattern = 'gemma3.attention.sliding_window_pattern';
    expect(keysOf(gemma(types(4, 8)))[pattern]).toBe(4);
    expect(keysOf(gemma(types()))[pattern]).toBe(9);
    expect(keysOf(gemma(types(2, 4, 6, 8), 'gemma2'))).toMatchObject({ 'gemma2.attention.sliding_window': 4096 });
  });
  test('that see what no forward pass here computes are refused', () => {
    for (const config of [
      gemma(types(3, 4)),
      gemma(types(4, 8), 'gemma2'),
      gemma(types(), 'gpt_oss'),
      gemma(types(8), 'mistral'),
      { ...QWEN, use_sliding_window: true, sliding_window: 4096, max_window_layers: 6 },
      { ...LLAMA, model_type: 'smollm3', no_rope_layers: [1, 1, 0, 1, 1, 0, 1, 1] },
    ]) {
      expect(() => keysOf(config)).toThrow(/config\.json: .*supported/);
    }
    keysOf({ ...QWEN, use_sliding_window: true, sliding_window: 4096, max_window_layers: 8 });
    keysOf({ ...LLAMA, model_type: 'smollm3', no_rope_layers: [1, 1, 1, 0, 1, 1, 1, 0] });
  });
  test('that see the future belong to embedding models', () => {
    const config = { ...gemma(types(6)), use_bidirectional_attention: true };
    expect(() => keysOf(config)).toThrow(/an embedding model/);
  });
});
