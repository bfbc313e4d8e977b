import { setUp } from '../../scripts/setup.mjs';

/** Builds dist/ where it is not what the sources say: what browsers get comes from there. */
export const ensureBuilt = (): Promise<void> => setUp({ adapter: false });
