/** What a config.json leaves out: published ones name only what differs from these. */

const LLAMA = { rms_norm_eps: 1e-6, rope_theta: 10_000, max_position_embeddings: 2048 };
const QWEN = { rms_norm_eps: 1e-6, rope_theta: 10_000, max_position_embeddings: 32_768 };
const GEMMA = {
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 256,
  rms_norm_eps: 1e-6,
  query_pre_attn_scalar: 256,
  sliding_window: 4096,
};
const GEMMA3 = { ...GEMMA, max_position_embeddings: 131_072, rope_theta: 1_000_000, rope_local_base_freq: 10_000 };

/** By `model_type`. Source: the configuration classes of Hugging Face's transformers. */
export const CONFIG_DEFAULTS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  llama: LLAMA,
  mistral: { ...LLAMA, num_key_value_heads: 8, max_position_embeddings: 131_072, sliding_window: 4096 },
  smollm3: { ...LLAMA, num_key_value_heads: 4, rope_theta: 2_000_000, max_position_embeddings: 32_768 },
  qwen2: { ...QWEN, num_key_value_heads: 32 },
  qwen3: { ...QWEN, num_key_value_heads: 32, head_dim: 128 },
  qwen3_moe: {
    ...QWEN,
    num_key_value_heads: 4,
    num_experts: 128,
    num_experts_per_tok: 8,
    moe_intermediate_size: 768,
    norm_topk_prob: false,
  },
  phi3: { ...LLAMA, rms_norm_eps: 1e-5, max_position_embeddings: 4096 },
  gemma2: {
    ...GEMMA,
    max_position_embeddings: 8192,
    rope_theta: 10_000,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
  },
  gemma3_text: GEMMA3,
  gemma3: GEMMA3,
  gpt_oss: {
    head_dim: 64,
    num_key_value_heads: 8,
    rms_norm_eps: 1e-5,
    rope_theta: 150_000,
    max_position_embeddings: 131_072,
    sliding_window: 128,
    num_local_experts: 128,
    num_experts_per_tok: 4,
  },
};
