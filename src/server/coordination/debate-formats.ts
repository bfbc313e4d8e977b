/** How agents are told to discuss: one sentence of their system prompts for each format. */

export const DEBATE_FORMATS = ['free_form', 'structured', 'socratic', 'devils_advocate', 'parliamentary'] as const;

export type DebateFormat = (typeof DEBATE_FORMATS)[number];

export const DEBATE_INSTRUCTIONS: Readonly<Record<DebateFormat, string>> = {
  free_form: '',
  structured:
    'Keep to the order of a structured debate: state your position, give your reasons, answer the others, conclude.',
  socratic: 'Discuss by the Socratic method: ask questions that lay assumptions open, and answer those put to you.',
  devils_advocate: 'Test every claim: where the others agree, argue the opposite side as well as it can be argued.',
  parliamentary: 'Keep to parliamentary manners: address the chair, speak to the motion, and refer to others by name.',
};
