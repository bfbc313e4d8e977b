/** The official SDKs that the server is driven with: an old and a new major version of each. */
import Anthropic from '@anthropic-ai/sdk';
import Anthropic2023 from '@anthropic-ai/sdk-2023';
import OpenAI from 'openai';
import OpenAI7 from 'openai-7';

export const OPENAI_SDKS = [
  ['openai 6', OpenAI],
  ['openai 7', OpenAI7 as unknown as typeof OpenAI],
] as const;

export const ANTHROPIC_SDKS = [
  ['@anthropic-ai/sdk 1', Anthropic],
  ['@anthropic-ai/sdk 0', Anthropic2023 as unknown as typeof Anthropic],
] as const;
