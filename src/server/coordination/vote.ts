/** Votes: what an agent is asked, how its answer is read, and how ballots are counted. */
import { runoff } from './runoff.ts';

export const DECISION_MODES = ['none', 'majority_vote', 'consensus', 'ranked_choice'] as const;

/**
 * none: most votes win. majority_vote: more than half of the ballots. consensus: every ballot, none abstaining.
 * ranked_choice: ballots rank options, and who is last goes until one has more than half; see runoff.ts.
 */
export type DecisionMode = (typeof DECISION_MODES)[number];

export interface Ballot {
  readonly agentId: string;
  /** Absent: an abstention. */
  readonly choice?: string;
  /** The choice first, then what the agent would have instead of it, each option once; absent: nothing. */
  readonly ranking?: readonly string[];
  /** Why there is no choice: the agent said so, or what it said is none of the options. */
  readonly abstention?: 'abstained' | 'invalid';
  /** What the agent said; absent for ballots that the caller cast. */
  readonly answer?: string;
}

export interface Poll {
  readonly question: string;
  /** Absent: whatever is chosen is an option. */
  readonly options: readonly string[] | undefined;
  /** One per agent: a later one takes the place of an earlier one. */
  readonly ballots: ReadonlyMap<string, Ballot>;
}

export interface Tally {
  readonly question: string;
  /** Ballots with a choice. */
  readonly totalVotes: number;
  readonly abstentions: number;
  /** Votes of each option, those without any included; of a ranked choice, first choices. */
  readonly results: Readonly<Record<string, number>>;
  /** Of a ranked choice: the votes that each round counted. */
  readonly rounds?: readonly Readonly<Record<string, number>>[];
  /** Absent: a tie, no votes, or fewer than the decision mode asks for. */
  readonly winner?: string;
  /** Two options or more have the most votes. */
  readonly isTied: boolean;
}

const ABSTAIN = 'abstain';

const INSTRUCTION = `Answer with one option, exactly as it is written, or with the word '${ABSTAIN}'. Write nothing else.`;
const RANKING_INSTRUCTION = `Answer with the numbers of the options, the best one first, in the form 2 > 1 > 3, or with the word '${ABSTAIN}'. Write nothing else.`;

export const ballotText = (question: string, options: readonly string[], mode: DecisionMode): string =>
  [
    `Vote on this question: ${question}`,
    'Options:',
    ...options.map((option, index) => `${index + 1}. ${option}`),
    mode === 'ranked_choice' ? RANKING_INSTRUCTION : INSTRUCTION,
  ].join('\n');

/** Case, surrounding space and quotes, and a final full stop do not count. */
export const foldChoice = (text: string): string =>
  text
    .trim()
    .replace(/\.$/, '')
    .replace(/^(["'`*]+)(.*)\1$/s, '$2')
    .replace(/\.$/, '')
    .trim()
    .toLowerCase();

/** The option that `answer` names, by its text or by its number in the list; anything beside it makes it none. */
const optionOf = (answer: string, options: readonly string[]): string | undefined => {
  const folded = foldChoice(answer);
  const numbered = /^(\d{1,3})(?:[.)]\s*(.*))?$/s.exec(folded);
  const byNumber = numbered === null ? undefined : options[Number(numbered[1]) - 1];
  const agrees = byNumber !== undefined && [undefined, '', foldChoice(byNumber)].includes(numbered?.[2]);
  return options.find((option) => foldChoice(option) === folded) ?? (agrees ? byNumber : undefined);
};

/** Options in the order that `answer` names them, between `>`, or one a line; undefined when one is none, or comes twice. */
const rankingOf = (answer: string, options: readonly string[]): string[] | undefined => {
  const named = answer.split(/[>\n]/).filter((part) => part.trim() !== '');
  const ranking = named.map((part) => optionOf(part, options));
  const known = ranking.filter((option) => option !== undefined);
  return known.length > 0 && known.length === named.length && new Set(known).size === known.length ? known : undefined;
};

/** What an agent's answer says, read strictly. */
export const readBallot = (
  agentId: string,
  answer: string,
  options: readonly string[],
  mode: DecisionMode = 'none',
): Ballot => {
  const choice = optionOf(answer, options);
  const ranking = mode === 'ranked_choice' ? (choice === undefined ? rankingOf(answer, options) : [choice]) : undefined;
  const first = ranking?.[0] ?? choice;
  if (first !== undefined) return { agentId, choice: first, ...(ranking ? { ranking } : {}), answer };
  return { agentId, abstention: foldChoice(answer) === ABSTAIN ? 'abstained' : 'invalid', answer };
};

export const tallyOf = ({ question, options, ballots }: Poll, mode: DecisionMode): Tally => {
  const counts = new Map((options ?? []).map((option) => [option, 0]));
  for (const { choice } of ballots.values()) {
    if (choice !== undefined) counts.set(choice, (counts.get(choice) ?? 0) + 1);
  }
  const totalVotes = [...counts.values()].reduce((total, count) => total + count, 0);
  const most = Math.max(0, ...counts.values());
  const leaders = [...counts].filter(([, count]) => count === most && count > 0).map(([option]) => option);
  const summary = { question, totalVotes, abstentions: ballots.size - totalVotes, results: Object.fromEntries(counts) };
  if (mode === 'ranked_choice') {
    const ranked = [...ballots.values()].flatMap(({ ranking = [] }) => ranking);
    return { ...summary, ...runoff([...new Set([...counts.keys(), ...ranked])], [...ballots.values()]) };
  }
  const needed = { none: 1, majority_vote: Math.floor(ballots.size / 2) + 1, consensus: ballots.size }[mode];
  const winner = leaders.length === 1 && most >= needed ? leaders[0] : undefined;
  return { ...summary, ...(winner === undefined ? {} : { winner }), isTied: leaders.length > 1 };
};
