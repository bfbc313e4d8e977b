/** One conversation's tokens as they stood after its last answer, and which conversation a new prompt goes on with. */
import { commonMessages, type Outline } from './outline.ts';

export interface TimelineState {
  /** Prompt and answer. Never changed: a longer one takes its place. */
  readonly tokenIds: Uint32Array;
  readonly numPromptTokens: number;
  /** Of the last prompt; absent where it was no conversation. */
  readonly outline?: Outline;
  /** The last answer began with reasoning. */
  readonly answerReasons: boolean;
  /** Unix milliseconds. */
  readonly lastUsedAt: number;
  /** Until when a request's mark keeps its KV, in Unix milliseconds; absent: none does. */
  readonly pinnedUntil?: number;
}

export class Timeline {
  state: TimelineState;
  /** The state that was last written to disk. */
  stored: TimelineState | undefined;

  constructor(state: TimelineState) {
    this.state = state;
  }
}

/** Number of leading elements that are equal. */
export const commonPrefix = (first: Uint32Array, second: Uint32Array): number => {
  const end = Math.min(first.length, second.length);
  let index = 0;
  while (index < end && first[index] === second[index]) index++;
  return index;
};

/**
 * What a template writes after the last message to begin the answer may be written differently once the answer is part
 * of the conversation: so many tokens at a prompt's end say nothing.
 */
const GENERATION_PROMPT_TOKENS = 4;

/**
 * Whether a prompt goes on with a conversation rather than sharing its system prompt by chance. Between conversations the
 * messages decide: all of the earlier prompt's but perhaps the last come again, the first one among them. Where there are
 * none to compare, the earlier prompt's tokens do.
 */
const goesOn = (earlier: TimelineState, outline: Outline | undefined, numCommonTokens: number): boolean => {
  if (earlier.outline === undefined || outline === undefined)
    return numCommonTokens > 0 && numCommonTokens >= earlier.numPromptTokens - GENERATION_PROMPT_TOKENS;
  const numCommon = commonMessages(earlier.outline, outline);
  return numCommon > 0 && numCommon >= earlier.outline.messages.length - 1;
};

/** The conversation that a prompt goes on with: of those that may be meant, the one that shares the most tokens. */
export const chooseTimeline = (
  timelines: readonly Timeline[],
  tokenIds: Uint32Array,
  outline: Outline | undefined,
): Timeline | undefined => {
  let best: { readonly timeline: Timeline; readonly numCommon: number } | undefined;
  for (const timeline of timelines) {
    const numCommon = commonPrefix(timeline.state.tokenIds, tokenIds);
    if (!goesOn(timeline.state, outline, numCommon)) continue;
    const isLonger = best === undefined || numCommon > best.numCommon;
    const isLater = numCommon === best?.numCommon && timeline.state.lastUsedAt > best.timeline.state.lastUsedAt;
    if (isLonger || isLater) best = { timeline, numCommon };
  }
  return best?.timeline;
};
