/** Votes: what an agent is asked, how its answer is read, and how ballots are counted. */

export const DECISION_MODES = ['none', 'majority_vote', 'consensus'] as const;

/** none: most votes win. majority_vote: more than half of the ballots. consensus: every ballot, none abstaining. */
export type DecisionMode = (typeof DECISION_MODES)[number];

export interface Ballot {
  readonly agentId: string;
  /** Absent: an abstention. */
  readonly choice?: string;
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
  /** Votes of each option, those without any included. */
  readonly results: Readonly<Record<string, number>>;
  /** Absent: a tie, no votes, or fewer than the decision mode asks for. */
  readonly winner?: string;
  /** Two options or more have the most votes. */
  readonly isTied: boolean;
}

const ABSTAIN = 'abstain';

export const ballotText = (question: string, options: readonly string[]): string =>
  [
    `Vote on this question: ${question}`,
    'Options:',
    ...options.map((option, index) => `${index + 1}. ${option}`),
    `Answer with one option, exactly as it is written, or with the word '${ABSTAIN}'. Write nothing else.`,
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

/** The option that `answer` names, by its text or by its number in the list; anything beside it makes it invalid. */
export const readBallot = (agentId: string, answer: string, options: readonly string[]): Ballot => {
  const folded = foldChoice(answer);
  const numbered = /^(\d{1,3})(?:[.)]\s*(.*))?$/s.exec(folded);
  const byNumber = numbered === null ? undefined : options[Number(numbered[1]) - 1];
  const agrees = byNumber !== undefined && [undefined, '', foldChoice(byNumber)].includes(numbered?.[2]);
  const choice = options.find((option) => foldChoice(option) === folded) ?? (agrees ? byNumber : undefined);
  if (choice !== undefined) return { agentId, choice, answer };
  return { agentId, abstention: folded === ABSTAIN ? 'abstained' : 'invalid', answer };
};

export const tallyOf = ({ question, options, ballots }: Poll, mode: DecisionMode): Tally => {
  const counts = new Map((options ?? []).map((option) => [option, 0]));
  for (const { choice } of ballots.values()) {
    if (choice !== undefined) counts.set(choice, (counts.get(choice) ?? 0) + 1);
  }
  const totalVotes = [...counts.values()].reduce((total, count) => total + count, 0);
  const most = Math.max(0, ...counts.values());
  const leaders = [...counts].filter(([, count]) => count === most && count > 0).map(([option]) => option);
  const needed = { none: 1, majority_vote: Math.floor(ballots.size / 2) + 1, consensus: ballots.size }[mode];
  const winner = leaders.length === 1 && most >= needed ? leaders[0] : undefined;
  return {
    question,
    totalVotes,
    abstentions: ballots.size - totalVotes,
    results: Object.fromEntries(counts),
    ...(winner === undefined ? {} : { winner }),
    isTied: leaders.length > 1,
  };
};
