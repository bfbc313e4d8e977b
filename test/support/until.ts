/** Resolves once `isTrue` is; gives the event loop a turn between the looks. */
export const until = async (isTrue: () => boolean): Promise<void> => {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
};
