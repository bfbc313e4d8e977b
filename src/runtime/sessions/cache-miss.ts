/** Why a prompt's KV was not all there: compares it with the conversation it goes on with. */
import type { CacheMissCause, CacheMissReason, CacheReport } from '../api.ts';
import { commonMessages, type Outline } from './outline.ts';
import { commonPrefix, type TimelineState } from './timeline.ts';

/** What KV belongs to: that of another model or format never matches. */
export interface KvIdentity {
  readonly modelFingerprint: string;
  readonly kvFormat: string;
}

export interface Lookup {
  readonly tokenIds: Uint32Array;
  readonly outline: Outline | undefined;
  /** What the cache says by itself. */
  readonly report: CacheReport;
  /** The conversation as it stood; undefined: there is none to go on with. */
  readonly earlier: TimelineState | undefined;
  /** What the conversation's KV belonged to, and what belongs to this model now. */
  readonly identities: { readonly earlier: KvIdentity; readonly current: KvIdentity };
  /** The session has other conversations. */
  readonly hasOthers: boolean;
}

export interface Explanation {
  readonly reason: CacheMissReason;
  /** Absent: nothing was missed. */
  readonly miss?: { readonly cause: CacheMissCause; readonly tokenIndex: number; readonly lostTokens: number };
}

/** Fewer tokens than this are lost at every turn: the rest of a block, an end of turn written in another way. */
const MIN_LOST_TOKENS = 16;

const NOTHING_MISSED: Explanation = { reason: 'none' };

export const explainMiss = (lookup: Lookup): Explanation => {
  const { tokenIds, report, earlier, identities } = lookup;
  const numFound = tokenIds.length - report.computed;
  // The last token is computed in any case: its logits are wanted.
  const most = tokenIds.length - 1;
  const lost = (wanted: number): number => Math.max(0, wanted - numFound);
  if (earlier === undefined) {
    const cause = lookup.hasOthers ? 'new_conversation' : 'new_session';
    return lost(most) === 0
      ? NOTHING_MISSED
      : { reason: report.reason, miss: { cause, tokenIndex: 0, lostTokens: lost(most) } };
  }
  // Of its last token there is no KV: nothing was sampled after it.
  const reusable = Math.min(most, earlier.tokenIds.length - 1);
  if (lost(reusable) < MIN_LOST_TOKENS) return NOTHING_MISSED;
  const other = otherIdentity(identities);
  if (other !== undefined)
    return { reason: 'changed', miss: { cause: other, tokenIndex: 0, lostTokens: lost(reusable) } };
  const numCommon = commonPrefix(earlier.tokenIds, tokenIds);
  if (lost(Math.min(numCommon, reusable)) >= MIN_LOST_TOKENS)
    return { reason: 'evicted', miss: { cause: 'evicted', tokenIndex: numFound, lostTokens: lost(reusable) } };
  const cause = causeOfChange(earlier, lookup.outline, numCommon);
  return { reason: 'changed', miss: { cause, tokenIndex: numCommon, lostTokens: lost(reusable) } };
};

const otherIdentity = ({ earlier, current }: Lookup['identities']): CacheMissCause | undefined => {
  if (earlier.modelFingerprint !== current.modelFingerprint) return 'other_model';
  return earlier.kvFormat === current.kvFormat ? undefined : 'other_kv_format';
};

/** Instructions and tools stand before the messages, so a change there explains a difference wherever it shows. */
const causeOfChange = (earlier: TimelineState, now: Outline | undefined, numCommon: number): CacheMissCause => {
  const then = earlier.outline;
  if (then === undefined || now === undefined) return 'prompt_changed';
  if (then.system !== now.system) return 'system_changed';
  if (!isSameList(then.tools, now.tools))
    return isSameList([...then.tools].sort(), [...now.tools].sort()) ? 'tools_reordered' : 'tools_changed';
  if (commonMessages(then, now) < then.messages.length) return 'history_changed';
  // All that was sent came again: only the answer, or how the template writes it all, can have changed.
  if (earlier.answerReasons || then.hasReasoning) return 'reasoning_dropped';
  return numCommon >= earlier.numPromptTokens ? 'history_changed' : 'prompt_changed';
};

const isSameList = (first: readonly string[], second: readonly string[]): boolean =>
  first.length === second.length && first.every((value, index) => value === second[index]);
